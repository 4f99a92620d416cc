// The parts that all pages are made of.
import { h, render } from "./preact.js";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "./hooks.js";
import htm from "./htm.js";
import shapes from "./icons.js";
import { has, number, t, tn } from "./i18n.js";
import { limits, Problem } from "./session.js";
import { store, useStore } from "./store.js";

export { render, useEffect, useId, useLayoutEffect, useRef, useState };
export const html = htm.bind(h);
export const classes = (...names) => names.filter(Boolean).join(" ");

export function Icon({ name, label }) {
  const drawn = shapes[name].map(([tag, attributes]) => h(tag, attributes));
  return html`<svg class="icon" viewBox="0 0 24 24" role=${label ? "img" : undefined} aria-label=${label} aria-hidden=${label ? undefined : "true"}>${drawn}</svg>`;
}

export function Spinner() {
  return html`<span class="spinner" aria-hidden="true"></span>`;
}

export function Button({ icon, label, busy, kind, children, class: more, ...rest }) {
  const bare = !children;
  return html`<button
    type="button"
    ...${rest}
    class=${classes("button", kind, bare && "bare", more)}
    aria-label=${bare ? label : rest["aria-label"]}
    title=${bare ? label : undefined}
    aria-busy=${busy ? "true" : undefined}
  >
    ${busy ? html`<${Spinner} />` : icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;
}

// ---------------------------------------------------------------- words for what went wrong

export function wordsFor(problem) {
  if (!(problem instanceof Problem)) return t("problem.bug");
  if (problem.status === 0) return t(navigator.onLine ? "problem.unreachable" : "problem.offline");
  if (problem.slug === "rate-limited") return t("problem.rate-limited", { seconds: problem.retryAfter ?? 60 });
  if (has(`problem.${problem.slug}`)) return t(`problem.${problem.slug}`);
  return t(problem.status >= 500 ? "problem.server" : "problem.client");
}

// What the platform itself says is English, and said where it tells more than our own words.
export function Failure({ problem, retry }) {
  if (!problem) return null;
  const details = problem.errors?.length ? problem.errors.map(({ field, message }) => (field ? `${field}: ${message}` : message)) : [];
  if (!details.length && problem.status >= 400 && problem.status < 500 && problem.status !== 429 && problem.message) details.push(problem.message);
  return html`<div class="notice bad" role="alert">
    <${Icon} name=${problem.status === 0 ? "wifi-off" : "circle-alert"} />
    <div>
      <p>${wordsFor(problem)}</p>
      ${details.map((text) => html`<p class="detail" lang="en" dir="auto">${text}</p>`)}
      ${problem.status >= 500 && problem.requestId && html`<p class="detail">${t("problem.reference", { id: problem.requestId })}</p>`}
    </div>
    ${retry && html`<${Button} icon="rotate-ccw" onClick=${retry}>${t("action.again")}<//>`}
  </div>`;
}

export function Notice({ kind = "plain", icon = "info", children }) {
  return html`<div class="notice ${kind}"><${Icon} name=${icon} /><div>${children}</div></div>`;
}

export function Empty({ icon, title, children }) {
  return html`<div class="empty">
    <span class="badge"><${Icon} name=${icon} /></span>
    <p class="strong">${title}</p>
    <p>${children}</p>
  </div>`;
}

// ---------------------------------------------------------------- fields

export function Field({ label, hint, error, children, aside }) {
  const id = useId();
  const told = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  return html`<div class="field">
    <div class="row between"><label for=${id}>${label}</label>${aside}</div>
    ${children({ id, "aria-describedby": told, "aria-invalid": error ? "true" : undefined })}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${error && html`<p class="error" id="${id}-error">${error}</p>`}
  </div>`;
}

export const length = (text) => [...text].length;

// How many characters are left, once that matters.
export function Count({ text, most }) {
  const count = length(text);
  if (count < most * 0.8) return null;
  return html`<span class=${classes("count", count > most && "over")}>${t("field.count", { count: number(count), most: number(most) })}</span>`;
}

// A text that grows with its field, up to a height, and sends with Ctrl or Cmd and Enter.
export function Textarea({ value, onValue, onSend, plainEnter, ...rest }) {
  const ref = useRef(null);
  useLayoutEffect(() => {
    const field = ref.current;
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight + 2, 320)}px`;
  }, [value]);
  const pressed = (event) => {
    if (event.key !== "Enter" || event.isComposing || !onSend) return;
    if (event.ctrlKey || event.metaKey || (plainEnter && !event.shiftKey)) {
      event.preventDefault();
      onSend();
    }
  };
  return html`<textarea dir="auto" rows="3" ...${rest} ref=${ref} value=${value} onInput=${(event) => onValue(event.target.value)} onKeyDown=${pressed}></textarea>`;
}

// One of a few, as a group of radio buttons that looks like one control.
export function Choice({ legend, value, options, onValue, hidden }) {
  const name = useId();
  return html`<fieldset class="field choice">
    <legend class=${classes(hidden && "unseen")}>${legend}</legend>
    <div class=${classes("segments", options.length > 3 && "many")}>
      ${options.map(
        ([key, text]) => html`<label>
          <input type="radio" name=${name} value=${key} checked=${key === value} onChange=${() => onValue(key)} />
          <span>${text}</span>
        </label>`,
      )}
    </div>
  </fieldset>`;
}

export function Select({ value, options, onValue, ...rest }) {
  return html`<select ...${rest} value=${value} onChange=${(event) => onValue(event.target.value)}>
    ${options.map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
  </select>`;
}

// What is left of a limit, before it is hit.
export function Allowance({ service }) {
  const told = useStore(limits)[service];
  const [, redraw] = useState(0);
  const left = told ? told.until - Date.now() : 0;
  useEffect(() => {
    if (left <= 0) return undefined;
    const timer = setTimeout(() => redraw((count) => count + 1), told.remaining === 0 ? 1_000 : left + 50);
    return () => clearTimeout(timer);
  });
  if (!told || left <= 0 || told.remaining > Math.max(3, told.limit / 2)) return null;
  const values = { remaining: number(told.remaining), limit: number(told.limit), seconds: Math.ceil(left / 1000) };
  return html`<p class=${classes("allowance", told.remaining < 2 && "low")}>
    <${Icon} name="info" /><span>${told.remaining ? t("limit.left", values) : t("limit.none", values)}</span>
  </p>`;
}

// ---------------------------------------------------------------- above the page

export function Dialog({ label, onClose, children, class: more }) {
  const ref = useRef(null);
  const isHere = useRef(true);
  useLayoutEffect(() => {
    const dialog = ref.current;
    isHere.current = true;
    dialog.showModal();
    return () => {
      // What is said of its end comes later, and nobody closed it then.
      isHere.current = false;
      if (dialog.open) dialog.close();
    };
  }, []);
  const outside = (event) => event.target === ref.current && onClose();
  return html`<dialog ref=${ref} aria-label=${label} class=${more} onClose=${() => isHere.current && onClose()} onClick=${outside}>
    <div class="panel">${children}</div>
  </dialog>`;
}

export function Confirm({ title, text, action, onYes, onNo }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const go = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await onYes();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return html`<${Dialog} label=${title} onClose=${onNo} class="small">
    <h2>${title}</h2>
    <p dir="auto" class="said">${text}</p>
    <${Failure} problem=${problem} />
    <div class="row end">
      <${Button} onClick=${onNo}>${t("action.cancel")}<//>
      <${Button} kind="danger" busy=${busy} onClick=${go}>${action}<//>
    </div>
  <//>`;
}

const messages = store([]);

export function toast(text) {
  const message = { text };
  messages.set((before) => [...before.slice(-2), message]);
  setTimeout(() => messages.set((before) => before.filter((each) => each !== message)), 4_000);
}

export function Toasts() {
  return html`<div class="toasts" role="status">${useStore(messages).map(({ text }) => html`<p><${Icon} name="check" />${text}</p>`)}</div>`;
}

// ---------------------------------------------------------------- files

const ENDINGS = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "audio/mpeg": "mp3", "text/plain": "txt", "text/markdown": "md", "text/csv": "csv" };

export function save(name, content) {
  const url = URL.createObjectURL(content);
  const ending = ENDINGS[content.type.split(";")[0]];
  follow(url, { download: ending ? `${name}.${ending}` : name });
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// What storage does not let a page read is shown in a tab of its own.
export async function saveFrom(name, url) {
  try {
    const answer = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer" });
    if (!answer.ok) throw new Error(answer.statusText);
    save(name, await answer.blob());
  } catch {
    follow(url, { target: "_blank" });
  }
}

function follow(url, how) {
  const link = Object.assign(document.createElement("a"), { href: url, rel: "noopener noreferrer", ...how });
  document.body.append(link);
  link.click();
  link.remove();
}

export async function copy(text) {
  await navigator.clipboard.writeText(text);
  toast(t("done.copied"));
}

// Calls back when an element comes into view.
export function useSight(callback, active = true) {
  const ref = useRef(null);
  const latest = useRef(callback);
  latest.current = callback;
  useEffect(() => {
    if (!active || !ref.current) return undefined;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && latest.current(), { rootMargin: "400px" });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [active]);
  return ref;
}

export { number, t, tn };
