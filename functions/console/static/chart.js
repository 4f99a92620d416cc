// Columns over time, one upon the other for each service.
import { colours } from "./theme.js";
import { useStore } from "./store.js";
import { language } from "./i18n.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./ui.js";
import UPlot from "./uplot.js";

const HEIGHT = 220;
const loaded = new Set();

function style() {
  if (loaded.has("uplot")) return;
  loaded.add("uplot");
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("uplot.css", import.meta.url).href });
  document.head.append(link);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Names of services as colours: the same in every chart.
export const hue = (place) => `series-${(place % 6) + 1}`;

export default function Chart({ title, starts, rows, names, format, hourly }) {
  const box = useRef(null);
  const plot = useRef(null);
  const [at, setAt] = useState(null);
  useStore(colours);
  const palette = colour("ink") + colour("surface");
  useLayoutEffect(style, []);
  useEffect(() => {
    // The first series is the top of the stack, so that each is drawn over what is behind it.
    const sum = (place, column) => rows.slice(0, place + 1).reduce((before, row) => before + (row[column] ?? 0), 0);
    const stacks = names.map((_, place) => starts.map((_, column) => (rows[place][column] ? sum(place, column) : null))).reverse();
    const bars = UPlot.paths.bars({ size: [0.7, 48], radius: 0.15 });
    const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const day = new Intl.DateTimeFormat(language.value, { day: "numeric", month: "short", timeZone: "UTC" });
    const hour = new Intl.DateTimeFormat(language.value, { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
    // The zone's own clock is what stands in the text.
    const shown = (place) => (hourly ? hour : day).format(new Date(`${starts[place].slice(0, 19)}Z`));
    const drawn = new UPlot(
      {
        width: box.current.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: false, range: (_, low, high) => [low - 0.6, high + 0.6] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, space: 64, size: 34, incrs: [1, 2, 5, 7, 10, 14, 30, 60, 90], values: (_, places) => places.map((place) => (Number.isInteger(place) && starts[place] ? shown(place) : "")) },
          { ...axis, size: 56, space: 40, values: (_, values) => values.map((value) => format(value)) },
        ],
        series: [{}, ...stacks.map((_, place) => ({ paths: bars, points: { show: false }, fill: colour(hue(names.length - 1 - place)), stroke: colour("surface"), width: 1 }))],
        hooks: { setCursor: [(chart) => setAt(chart.cursor.idx ?? null)] },
      },
      [starts.map((_, place) => place), ...stacks],
      box.current,
    );
    plot.current = drawn;
    const observer = new ResizeObserver(() => box.current && drawn.setSize({ width: box.current.clientWidth, height: HEIGHT }));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      drawn.destroy();
    };
  }, [starts, rows, palette, language.value]);
  const total = (row) => row.reduce((sum, value) => sum + (value ?? 0), 0);
  const when = at === null || !starts[at] ? null : starts[at].slice(0, hourly ? 16 : 10).replace("T", " ");
  return html`<figure class="chart">
    <figcaption class="row between wrap"><h2>${title}</h2><span class="hint">${when}</span></figcaption>
    <div ref=${box} class="plot" role="img" aria-label=${`${title}: ${names.map((name, place) => `${name} ${format(total(rows[place]))}`).join(", ")}`}></div>
    <ul class="legend">
      ${names.map((name, place) => html`<li><span class="swatch ${hue(place)}" aria-hidden="true"></span>${name} <span class="strong">${format(at === null ? total(rows[place]) : (rows[place][at] ?? 0))}</span></li>`)}
    </ul>
  </figure>`;
}

