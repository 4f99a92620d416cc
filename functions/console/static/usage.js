// Usage: what was used, what it cost, how fast it was; for administrators everybody's, and who they are.
import { language, milliseconds, moment, number, percent, usd } from "./i18n.js";
import { call, query, read, user } from "./session.js";
import { useDraft, useStore } from "./store.js";
import { Button, Empty, Failure, Field, Select, Spinner, classes, html, save, t, useEffect, useState } from "./ui.js";

const DAY_MS = 86_400_000;
const SERVICES = ["image", "tts", "summarize", "chat"];
const MOST_HOURLY_DAYS = 3;
const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const zones = () => [...new Set([here, "UTC", ...Intl.supportedValuesOf("timeZone")])];
// A day of the zone, as the API has it.
const day = (zone, back = 0) => new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short" }).format(new Date(Date.now() - back * DAY_MS));

export const serviceName = (service) => (SERVICES.includes(service) ? t(`service.${service}`) : service);

export default function Usage() {
  const isAdmin = useStore(user)?.role === "admin";
  useStore(language);
  const [wanted, setWanted] = useDraft("usage", { from: "", to: "", tz: here, service: "", whose: "", userId: "" });
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const [loading, setLoading] = useState(false);
  const [Chart, setChart] = useState(null);
  const set = (more) => setWanted((before) => ({ ...before, ...more }));
  const from = wanted.from || day(wanted.tz, 29);
  const to = wanted.to || day(wanted.tz);
  const whose = !isAdmin || !wanted.whose ? undefined : wanted.whose === "one" ? wanted.userId.trim() || undefined : wanted.whose;
  const range = { from, to, tz: wanted.tz, service: wanted.service, userId: whose };
  const days = Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1;
  const wrong = !(days >= 1) ? t("usage.order") : days > 400 ? t("usage.tooLong") : null;
  const bucket = days <= MOST_HOURLY_DAYS ? "hour" : "day";
  const asked = JSON.stringify(range);

  useEffect(() => {
    import("./chart.js").then((module) => setChart(() => module.default));
  }, []);
  const load = () => {
    if (wrong) return undefined;
    let current = true;
    setLoading(true);
    setProblem(null);
    Promise.all([read(`analytics/overview${query(range)}`), read(`analytics/timeseries${query({ ...range, bucket })}`), read(`analytics/performance${query(range)}`), read(`analytics/costs${query(range)}`)])
      .then(
        ([overview, series, performance, costs]) => current && setFound({ overview, series: columns(series.items), hourly: bucket === "hour", performance: performance.items, costs: costs.items }),
        (error) => current && setProblem(error),
      )
      .finally(() => current && setLoading(false));
    return () => {
      current = false;
    };
  };
  useEffect(load, [asked]);

  const csv = async (name) => {
    try {
      const answer = await call("GET", `analytics/${name}${query({ ...range, ...(name === "timeseries" ? { bucket } : {}), format: "csv" })}`);
      save(`${name}-${from}-${to}`, new Blob([await answer.text()], { type: "text/csv" }));
    } catch (error) {
      setProblem(error);
    }
  };
  return html`<div class="stack usage">
    <form class="card filters" onSubmit=${(event) => event.preventDefault()}>
      <div class="row wrap presets" role="group" aria-label=${t("usage.range")}>
        ${[1, 7, 30, 90].map((back) => {
          const isOn = from === day(wanted.tz, back - 1) && to === day(wanted.tz);
          return html`<${Button} class=${classes(isOn && "on")} aria-pressed=${String(isOn)} onClick=${() => set({ from: day(wanted.tz, back - 1), to: day(wanted.tz) })}>${back === 1 ? t("usage.today") : t("usage.days", { days: back })}<//>`;
        })}
        <${Button} icon="refresh-cw" label=${t("usage.again")} onClick=${load} />
      </div>
      <${Field} label=${t("usage.from")} error=${wrong}>${(told) => html`<input ...${told} type="date" value=${from} max=${to} onInput=${(event) => set({ from: event.target.value })} />`}<//>
      <${Field} label=${t("usage.to")}>${(told) => html`<input ...${told} type="date" value=${to} onInput=${(event) => set({ to: event.target.value })} />`}<//>
      <${Field} label=${t("usage.zone")}>${(told) => html`<${Select} ...${told} value=${wanted.tz} options=${zones().map((zone) => [zone, zone.replaceAll("_", " ")])} onValue=${(tz) => set({ tz })} />`}<//>
      <${Field} label=${t("usage.service")}>${(told) => html`<${Select} ...${told} value=${wanted.service} options=${[["", t("usage.allServices")], ...SERVICES.map((name) => [name, serviceName(name)])]} onValue=${(service) => set({ service })} />`}<//>
      ${isAdmin &&
      html`<${Field} label=${t("usage.whose")}>
        ${(told) => html`<${Select} ...${told} value=${wanted.whose} options=${[["", t("usage.mine")], ["all", t("usage.everybody")], ["anonymous", t("usage.anonymous")], ["one", t("usage.oneUser")]]} onValue=${(value) => set({ whose: value })} />`}
      <//>`}
      ${isAdmin &&
      wanted.whose === "one" &&
      html`<${Field} label=${t("usage.userId")}>${(told) => html`<input ...${told} type="text" autocomplete="off" spellcheck=${false} value=${wanted.userId} onChange=${(event) => set({ userId: event.target.value })} />`}<//>`}
    </form>
    <${Failure} problem=${problem} retry=${load} />
    ${loading && !found && html`<p role="status"><${Spinner} /> ${t("state.loading")}</p>`}
    ${found && html`<div class=${classes("stack", loading && "stale")} aria-busy=${String(loading)}><${Found} ...${found} Chart=${Chart} csv=${csv} /></div>`}
    ${isAdmin && !wrong && html`<${Users} range=${{ ...range, userId: undefined }} onUser=${(id) => set({ whose: "one", userId: id })} onCsv=${() => csv("users")} />`}
  </div>`;
}

// Rows of services out of items of buckets.
function columns(items) {
  const starts = [...new Set(items.map(({ start }) => start))].sort((one, other) => Date.parse(one) - Date.parse(other));
  const services = [...new Set(items.map(({ service }) => service))].sort((one, other) => SERVICES.indexOf(one) - SERVICES.indexOf(other));
  const by = new Map(items.map((item) => [`${item.start} ${item.service}`, item]));
  const rows = (field) => services.map((service) => starts.map((start) => by.get(`${start} ${service}`)?.[field] ?? 0));
  return { starts, services, requests: rows("requests"), usd: rows("usd") };
}

function Found({ overview, series, hourly, performance, costs, Chart, csv }) {
  const { requests, failed, errorRate, inputTokens, outputTokens, latencyMs, unpriced, users, pictures, audioSeconds } = overview;
  const tiles = [
    [t("usage.requests"), number(requests), failed ? t("usage.failed", { count: number(failed), rate: percent(errorRate) }) : t("usage.noneFailed")],
    [t("usage.cost"), usd(overview.usd), unpriced ? t("usage.unpriced", { count: number(unpriced) }) : null],
    [t("usage.latency"), milliseconds(latencyMs.p50), t("usage.p95", { value: milliseconds(latencyMs.p95) })],
    [t("usage.tokens"), number(inputTokens + outputTokens, { notation: "compact" }), t("usage.inOut", { input: number(inputTokens), output: number(outputTokens) })],
    [t("usage.made"), number(pictures), t("usage.pictures", { seconds: number(audioSeconds, { maximumFractionDigits: 0 }) })],
    ...(users === undefined ? [] : [[t("usage.users"), number(users), null]]),
  ];
  const names = series.services.map(serviceName);
  const name = (row) => html`<th scope="row"><span class="strong">${serviceName(row.service)}</span> <span class="hint" dir="auto">${row.model} · ${row.provider}</span></th>`;
  const slowest = Math.max(...performance.map(({ latencyMs: { p99 } }) => p99 ?? 0), 1);
  return html`<dl class="tiles">${tiles.map(([label, value, more]) => html`<div class="card"><dt>${label}</dt><dd class="value">${value}</dd>${more && html`<dd class="hint">${more}</dd>`}</div>`)}</dl>
    ${!requests
      ? html`<${Empty} icon="chart-column" title=${t("usage.none")}>${t("usage.noneHint")}<//>`
      : html`<div class="charts">
            <section class="card">
              ${Chart && html`<${Chart} title=${t("usage.requestsBy")} starts=${series.starts} rows=${series.requests} names=${names} format=${(value) => number(value, { maximumFractionDigits: 1 })} hourly=${hourly} />`}
              <${Numbers} series=${series} rows=${series.requests} format=${number} onCsv=${() => csv("timeseries")} label=${t("usage.requestsBy")} hourly=${hourly} />
            </section>
            <section class="card">
              ${Chart && html`<${Chart} title=${t("usage.costBy")} starts=${series.starts} rows=${series.usd} names=${names} format=${usd} hourly=${hourly} />`}
              <${Numbers} series=${series} rows=${series.usd} format=${usd} onCsv=${() => csv("timeseries")} label=${t("usage.costBy")} hourly=${hourly} />
            </section>
          </div>
          <section class="card">
            <${Heading} text=${t("usage.speed")} onCsv=${() => csv("performance")} />
            <${Table} label=${t("usage.speed")} head=${[t("usage.model"), t("usage.requests"), t("usage.errors"), t("usage.fallbacks"), "p50", "p95", "p99"]}>
              ${performance.map(
                (row) => html`<tr>
                  ${name(row)}
                  <td>${number(row.requests)}</td>
                  <td>${percent(row.errorRate)}</td>
                  <td>${percent(row.fallbackRate)}</td>
                  <td>${milliseconds(row.latencyMs.p50)}</td>
                  <td>${milliseconds(row.latencyMs.p95)}</td>
                  <td><${Bar} value=${row.latencyMs.p99} most=${slowest} />${milliseconds(row.latencyMs.p99)}</td>
                </tr>`,
              )}
            <//>
          </section>
          <section class="card">
            <${Heading} text=${t("usage.costs")} onCsv=${() => csv("costs")} />
            <${Table} label=${t("usage.costs")} head=${[t("usage.model"), t("usage.requests"), t("usage.input"), t("usage.output"), t("usage.audio"), t("usage.picturesMade"), t("usage.cost")]}>
              ${costs.map(
                (row) => html`<tr>
                  ${name(row)}
                  <td>${number(row.requests)}</td>
                  <td>${number(row.inputTokens)}</td>
                  <td>${number(row.outputTokens)}</td>
                  <td>${number(row.audioSeconds, { maximumFractionDigits: 1 })}</td>
                  <td>${number(row.pictures)}</td>
                  <td>${usd(row.usd)}</td>
                </tr>`,
              )}
            <//>
          </section>`}`;
}

function Heading({ text, onCsv }) {
  return html`<div class="row between"><h2>${text}</h2><${Button} icon="download" aria-label=${t("usage.csvOf", { name: text })} onClick=${onCsv}>CSV<//></div>`;
}

function Table({ label, head, children }) {
  return html`<div class="scroll" role="region" aria-label=${label} tabindex="0">
    <table>
      <thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
      <tbody>${children}</tbody>
    </table>
  </div>`;
}

function Bar({ value, most }) {
  return html`<span class="bar" aria-hidden="true"><span style=${{ width: `${Math.round(((value ?? 0) / most) * 100)}%` }}></span></span>`;
}

function Numbers({ series, rows, format, onCsv, label, hourly }) {
  const [shown, setShown] = useState(false);
  return html`<details onToggle=${(event) => setShown(event.target.open)}>
    <summary>${t("usage.numbers")}</summary>
    ${shown &&
    html`<div class="row end"><${Button} icon="download" aria-label=${t("usage.csvOf", { name: label })} onClick=${onCsv}>CSV<//></div>
      <${Table} label=${label} head=${[t("usage.when"), ...series.services.map(serviceName)]}>
        ${series.starts.map((start, place) => html`<tr><th scope="row">${start.slice(0, hourly ? 16 : 10).replace("T", " ")}</th>${rows.map((row) => html`<td>${format(row[place])}</td>`)}</tr>`)}
      <//>`}
  </details>`;
}

function Users({ range, onUser, onCsv }) {
  const [items, setItems] = useState([]);
  const [cursor, setCursor] = useState(undefined);
  const [loading, setLoading] = useState(false);
  const [problem, setProblem] = useState(null);
  const asked = JSON.stringify(range);
  const load = async (after) => {
    setLoading(true);
    setProblem(null);
    try {
      const page = await read(`analytics/users${query({ ...range, limit: 20, cursor: after })}`);
      setItems((before) => (after ? [...before, ...page.items] : page.items));
      setCursor(page.nextCursor);
    } catch (error) {
      setProblem(error);
    }
    setLoading(false);
  };
  useEffect(() => {
    load();
  }, [asked]);
  return html`<section class="card" aria-busy=${String(loading)}>
    <${Heading} text=${t("usage.users")} onCsv=${onCsv} />
    <${Failure} problem=${problem} retry=${() => load(cursor)} />
    <${Table} label=${t("usage.users")} head=${[t("usage.user"), t("usage.requests"), t("usage.errors"), t("usage.tokens"), t("usage.cost"), t("usage.last")]}>
      ${items.map(
        (row) => html`<tr key=${row.userId}>
          <th scope="row"><button type="button" class="link mono" onClick=${() => onUser(row.userId)}>${row.userId}</button></th>
          <td>${number(row.requests)}</td>
          <td>${number(row.failed)}</td>
          <td>${number(row.inputTokens + row.outputTokens)}</td>
          <td>${usd(row.usd)}</td>
          <td>${row.lastAt ? moment(row.lastAt) : "–"}</td>
        </tr>`,
      )}
    <//>
    ${!items.length && !loading && !problem && html`<p class="hint">${t("usage.none")}</p>`}
    ${cursor && html`<div class="row"><${Button} icon="chevron-down" busy=${loading} onClick=${() => load(cursor)}>${t("usage.more")}<//></div>`}
  </section>`;
}
