// The languages of the page. Every text is in texts.js; one that is missing is an error.
import { chosen, store } from "./store.js";
import texts from "./texts.js";

export const LANGUAGES = { en: "English", es: "Español" };

function preferred() {
  const own = chosen.get("language");
  if (own in LANGUAGES) return own;
  const known = navigator.languages.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in LANGUAGES);
  return known ?? "en";
}

export const language = store(preferred());

export function speak(tag) {
  chosen.set("language", tag);
  language.set(tag);
}

export function has(key) {
  return key in texts;
}

export function t(key, values = {}) {
  let text = texts[key]?.[language.value];
  if (text === undefined) {
    console.error(`no text ${key} in ${language.value}`);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// A text with a number: the catalogue has `key.one` and `key.other`.
export function tn(key, count, values = {}) {
  const form = new Intl.PluralRules(language.value).select(count) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { count: number(count), ...values });
}

export const number = (value, options) => new Intl.NumberFormat(language.value, options).format(value);

export function usd(value) {
  if (value === null || value === undefined) return "–";
  const digits = value !== 0 && Math.abs(value) < 0.1 ? 4 : 2;
  return number(value, { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function bytes(value) {
  const [size, unit] = value < 1e6 ? [value / 1e3, "kilobyte"] : [value / 1e6, "megabyte"];
  return number(size, { style: "unit", unit, maximumFractionDigits: size < 10 ? 1 : 0 });
}

export const seconds = (value) => number(value, { style: "unit", unit: "second", unitDisplay: "narrow", maximumFractionDigits: 1 });

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? number(value, { style: "unit", unit: "millisecond", maximumFractionDigits: 0 }) : seconds(value / 1000);
}

export const percent = (value) => (value === null || value === undefined ? "–" : number(value, { style: "percent", maximumFractionDigits: 1 }));

export const moment = (iso) => new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));

const STEPS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 7],
];

// How long ago, within a week; then the date.
export function ago(iso, now = Date.now()) {
  let left = Math.max(0, (now - new Date(iso)) / 1000);
  for (const [unit, size] of STEPS) {
    if (left < size) return new Intl.RelativeTimeFormat(language.value, { numeric: "auto" }).format(-Math.floor(left), unit);
    left /= size;
  }
  return new Intl.DateTimeFormat(language.value, { dateStyle: "medium" }).format(new Date(iso));
}

export function languageName(tag) {
  const name = new Intl.DisplayNames([language.value], { type: "language" }).of(tag === "iw" ? "he" : tag);
  return name.charAt(0).toLocaleUpperCase(language.value) + name.slice(1);
}
