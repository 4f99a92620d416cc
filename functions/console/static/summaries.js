// Summaries: of a text that is pasted, or dropped as a file.
import { ago, languageName, milliseconds } from "./i18n.js";
import { createHistory } from "./history.js";
import { useDraft, useStore } from "./store.js";
import { Allowance, Button, Choice, Confirm, Count, Empty, Failure, Field, Icon, Notice, Select, Spinner, Textarea, classes, copy, html, length, number, saveFrom, t, tn, toast, useEffect, useRef, useSight, useState } from "./ui.js";

const MOST = 100_000;
// In UTF-8 no character of a text that fits takes more.
const MOST_BYTES = MOST * 4;
const LANGUAGES = ["en", "es", "de", "fr", "it", "ja", "ko", "pt", "zh"];
const summaries = createHistory("summarize", "summaries");

export default function Summaries() {
  const [wanted, setWanted] = useDraft("summaries", { text: "", file: null, length: "medium", style: "paragraph", language: "" });
  const [tried, setTried] = useState(false);
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState(null);
  const picker = useRef(null);
  const { items, jobs, loading, cursor, problem } = useStore(summaries.state);
  const end = useSight(summaries.more, cursor !== null && !loading && !problem);
  useEffect(() => {
    if (!items.length && cursor === undefined) summaries.more();
  }, []);
  const set = (more) => setWanted((before) => ({ ...before, ...more }));
  const text = wanted.text.trim();
  const error = !text ? t("error.empty") : length(text) > MOST ? t("error.long", { most: number(MOST) }) : null;
  const send = (event) => {
    event?.preventDefault();
    setTried(true);
    if (error) return;
    setTried(false);
    const { length: size, style, language } = wanted;
    summaries.make({ text, length: size, style, ...(language ? { language } : {}) }, wanted.file);
  };
  const take = async (file) => {
    setRefused(null);
    if (!file) return;
    try {
      if (file.size > MOST_BYTES) throw new Error("large");
      const content = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      if (content.includes("\0")) throw new Error("binary");
      set({ text: content, file: file.name });
    } catch (cause) {
      setRefused(t(cause.message === "large" ? "summaries.fileLarge" : "summaries.fileBinary", { name: file.name, most: number(MOST) }));
    }
  };
  const dropped = (event) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files[0]);
  };
  return html`<div class="split">
    <form class="card composer" onSubmit=${send} noValidate>
      <div
        class=${classes("drop", over && "over")}
        onDragOver=${(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave=${() => setOver(false)}
        onDrop=${dropped}
      >
        <${Field} label=${t("summaries.text")} hint=${t("summaries.dropHint")} error=${refused ?? (tried && error)} aside=${html`<${Count} text=${wanted.text} most=${MOST} />`}>
          ${(told) => html`<${Textarea} ...${told} class="long" data-field="prompt" rows="8" placeholder=${t("summaries.example")} value=${wanted.text} onValue=${(value) => set({ text: value })} onSend=${send} />`}
        <//>
        <div class="row wrap">
          <input ref=${picker} type="file" accept="text/*,.txt,.md,.csv,.log" hidden onChange=${(event) => take(event.target.files[0])} aria-label=${t("summaries.choose")} />
          <${Button} icon="file-text" onClick=${() => picker.current.click()}>${t("summaries.choose")}<//>
          ${wanted.file &&
          html`<span class="file"><span dir="auto">${wanted.file}</span><${Button} icon="x" label=${t("summaries.forget", { name: wanted.file })} onClick=${() => set({ file: null, text: "" })} /></span>`}
        </div>
      </div>
      <${Choice} legend=${t("summaries.length")} value=${wanted.length} options=${["short", "medium", "long"].map((each) => [each, t(`summaries.${each}`)])} onValue=${(value) => set({ length: value })} />
      <${Choice} legend=${t("summaries.style")} value=${wanted.style} options=${["paragraph", "bullets"].map((each) => [each, t(`summaries.${each}`)])} onValue=${(style) => set({ style })} />
      <${Field} label=${t("summaries.language")}>
        ${(told) => html`<${Select} ...${told} value=${wanted.language} options=${[["", t("summaries.sameLanguage")], ...LANGUAGES.map((tag) => [tag, languageName(tag)])]} onValue=${(tag) => set({ language: tag })} />`}
      <//>
      <${Allowance} service="summarize" />
      <${Button} type="submit" kind="primary" icon="file-text">${t("summaries.make")}<//>
      <p class="hint keys">${t("field.keys")}</p>
    </form>
    <section aria-label=${t("summaries.made")} aria-busy=${loading ? "true" : "false"}>
      ${!items.length && !jobs.length && !loading && !problem && html`<${Empty} icon="file-text" title=${t("summaries.none")}>${t("summaries.noneHint")}<//>`}
      <ul class="rows">
        ${jobs.map(
          (job) => html`<li key=${job.key} class="card">
            ${job.problem
              ? html`<${Failure} problem=${job.problem} />
                  <p class="clamp" dir="auto">${job.body.text.slice(0, 200)}</p>
                  <div class="row">
                    <${Button} icon="rotate-ccw" onClick=${() => summaries.again(job)}>${t("action.again")}<//>
                    <${Button} onClick=${() => summaries.dismiss(job)}>${t("action.dismiss")}<//>
                  </div>`
              : html`<p class="row" role="status"><${Spinner} /> ${t("summaries.making")}</p>
                  <p class="clamp hint" dir="auto">${job.about ?? job.body.text.slice(0, 200)}</p>`}
          </li>`,
        )}
        ${items.map((item) => html`<${Summary} key=${item.id} item=${item} />`)}
      </ul>
      <${Failure} problem=${problem} retry=${summaries.more} />
      <div ref=${end} class="more">${loading && html`<p role="status"><${Spinner} /> ${t("state.loading")}</p>`}</div>
    </section>
  </div>`;
}

// A summary is text: its bullets are lines that begin with a hyphen.
function Body({ made }) {
  const lines = made.summary.split(/\n+/).filter(Boolean);
  const told = { lang: made.meta.language, dir: "auto" };
  if (made.meta.style !== "bullets") return html`<div class="summary" ...${told}>${lines.map((line) => html`<p>${line}</p>`)}</div>`;
  return html`<ul class="summary" ...${told}>${lines.map((line) => html`<li>${line.replace(/^[-*•]\s*/, "")}</li>`)}</ul>`;
}

function Summary({ item }) {
  const [made, setMade] = useState(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(false);
  const load = async () => {
    setBusy(true);
    setProblem(null);
    await summaries.detail(item.id).then(setMade, setProblem);
    setBusy(false);
  };
  useEffect(() => {
    if (item.fresh) load();
  }, []);
  const meta = made?.meta;
  const facts = meta && [t(`summaries.${meta.length}`), tn("fact.characters", meta.sourceCharacters), `${meta.model} · ${meta.provider}`, milliseconds(meta.latencyMs), ago(item.createdAt)];
  return html`<li class=${classes("card", item.fresh && "fresh")}>
    <p class=${classes("clamp", made && "hint")} dir="auto">${made ? html`<${Icon} name="file-text" /> ` : null}${item.prompt}</p>
    ${made && html`<${Body} made=${made} />`}
    ${meta?.fallbackFrom && html`<${Notice}>${t("fact.fallback", { from: meta.fallbackFrom, provider: meta.provider })}<//>`}
    <${Failure} problem=${problem} retry=${load} />
    <div class="row between wrap">
      <p class="hint">${facts ? facts.filter(Boolean).join(" · ") : ago(item.createdAt)}</p>
      <div class="row">
        ${made ? html`<${Button} icon="copy" label=${t("action.copy")} onClick=${() => copy(made.summary)} />` : html`<${Button} icon="chevron-down" busy=${busy} onClick=${load}>${t("summaries.show")}<//>`}
        <${Button} icon="download" label=${t("action.download")} onClick=${() => summaries.url(item.id).then((found) => saveFrom(item.id, found), setProblem)} />
        <${Button} icon="trash" kind="quiet-danger" label=${t("action.delete")} onClick=${() => setAsking(true)} />
      </div>
    </div>
    ${asking &&
    html`<${Confirm}
      title=${t("summaries.delete")}
      text=${item.prompt}
      action=${t("action.delete")}
      onNo=${() => setAsking(false)}
      onYes=${async () => {
        await summaries.remove(item.id);
        toast(t("done.deleted"));
      }}
    />`}
  </li>`;
}
