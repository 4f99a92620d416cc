// Speech: have a text said, and listen to what was said before.
import { ago, bytes, languageName, language, seconds } from "./i18n.js";
import { createHistory } from "./history.js";
import { useDraft, useStore } from "./store.js";
import { Allowance, Button, Choice, Confirm, Count, Empty, Failure, Field, Select, Spinner, Textarea, classes, html, length, number, saveFrom, t, toast, useEffect, useSight, useState } from "./ui.js";

const MOST = 4096;
// What every provider speaks.
const VOICES = "af am ar bg bn bs ca cs cy da de el en es et eu fi fr fr-CA gu hi hr hu id is it iw ja kn ko la lt lv ml mr ms my ne nl no pa pl pt pt-PT ro ru si sk sq sr sv sw ta te th tr uk ur vi yue zh zh-CN zh-TW".split(" ");
const speech = createHistory("tts", "audios");

export default function Speech() {
  const [wanted, setWanted] = useDraft("speech", { prompt: "", voice: language.value, model: "gtts" });
  const [tried, setTried] = useState(false);
  const { items, jobs, loading, cursor, problem } = useStore(speech.state);
  const end = useSight(speech.more, cursor !== null && !loading && !problem);
  useEffect(() => {
    if (!items.length && cursor === undefined) speech.more();
  }, []);
  const set = (more) => setWanted((before) => ({ ...before, ...more }));
  const text = wanted.prompt.trim();
  const error = !text ? t("error.empty") : length(text) > MOST ? t("error.long", { most: number(MOST) }) : null;
  const send = (event) => {
    event?.preventDefault();
    setTried(true);
    if (error) return;
    setTried(false);
    speech.make({ ...wanted, prompt: text });
  };
  const voices = VOICES.map((tag) => [tag, languageName(tag)]).sort(([, one], [, other]) => one.localeCompare(other, language.value));
  return html`<div class="split">
    <form class="card composer" onSubmit=${send} noValidate>
      <${Field} label=${t("speech.text")} error=${tried && error} aside=${html`<${Count} text=${wanted.prompt} most=${MOST} />`}>
        ${(told) => html`<${Textarea} ...${told} class="prompt" data-field="prompt" placeholder=${t("speech.example")} value=${wanted.prompt} onValue=${(prompt) => set({ prompt })} onSend=${send} />`}
      <//>
      <${Field} label=${t("speech.voice")}>${(told) => html`<${Select} ...${told} value=${wanted.voice} options=${voices} onValue=${(voice) => set({ voice })} />`}<//>
      <${Choice} legend=${t("speech.pace")} value=${wanted.model} options=${[["gtts", t("speech.normal")], ["gtts-slow", t("speech.slow")]]} onValue=${(model) => set({ model })} />
      <${Allowance} service="tts" />
      <${Button} type="submit" kind="primary" icon="audio-lines">${t("speech.make")}<//>
      <p class="hint keys">${t("field.keys")}</p>
    </form>
    <section aria-label=${t("speech.made")} aria-busy=${loading ? "true" : "false"}>
      ${!items.length && !jobs.length && !loading && !problem && html`<${Empty} icon="audio-lines" title=${t("speech.none")}>${t("speech.noneHint")}<//>`}
      <ul class="rows">
        ${jobs.map(
          (job) => html`<li key=${job.key} class="card">
            ${job.problem
              ? html`<${Failure} problem=${job.problem} />
                  <p class="clamp" dir="auto">${job.body.prompt}</p>
                  <div class="row">
                    <${Button} icon="rotate-ccw" onClick=${() => speech.again(job)}>${t("action.again")}<//>
                    <${Button} onClick=${() => speech.dismiss(job)}>${t("action.dismiss")}<//>
                  </div>`
              : html`<p class="row" role="status"><${Spinner} /> ${t("speech.making")}</p><p class="clamp hint" dir="auto">${job.body.prompt}</p>`}
          </li>`,
        )}
        ${items.map((item) => html`<${Said} key=${item.id} item=${item} />`)}
      </ul>
      <${Failure} problem=${problem} retry=${speech.more} />
      <div ref=${end} class="more">${loading && html`<p role="status"><${Spinner} /> ${t("state.loading")}</p>`}</div>
    </section>
  </div>`;
}

function Said({ item }) {
  const [made, setMade] = useState(null);
  const [url, setUrl] = useState(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(false);
  const load = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const [found, told] = await Promise.all([speech.url(item.id), speech.detail(item.id)]);
      setMade(told);
      setUrl(found);
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  // What was just made is ready to be heard.
  useEffect(() => {
    if (item.fresh) load();
  }, []);
  const meta = made?.meta;
  const facts = [meta && languageName(meta.voice), meta?.durationSeconds && seconds(meta.durationSeconds), meta && bytes(meta.bytes), item.provider, ago(item.createdAt)];
  return html`<li class=${classes("card", item.fresh && "fresh")}>
    <p class="said clamp" dir="auto">${made?.prompt ?? item.prompt}</p>
    ${url && html`<audio controls src=${url} aria-label=${t("speech.player", { prompt: item.prompt })} onError=${() => setUrl(null)}></audio>`}
    <${Failure} problem=${problem} retry=${load} />
    <div class="row between wrap">
      <p class="hint">${facts.filter(Boolean).join(" · ")}</p>
      <div class="row">
        ${!url && html`<${Button} icon="audio-lines" busy=${busy} onClick=${load}>${t("speech.listen")}<//>`}
        <${Button} icon="download" label=${t("action.download")} onClick=${() => speech.url(item.id).then((found) => saveFrom(item.id, found), setProblem)} />
        <${Button} icon="trash" kind="quiet-danger" label=${t("action.delete")} onClick=${() => setAsking(true)} />
      </div>
    </div>
    ${asking &&
    html`<${Confirm}
      title=${t("speech.delete")}
      text=${item.prompt}
      action=${t("action.delete")}
      onNo=${() => setAsking(false)}
      onYes=${async () => {
        await speech.remove(item.id);
        toast(t("done.deleted"));
      }}
    />`}
  </li>`;
}

