// Pictures: ask for one, and look through those that were made.
import { bytes, milliseconds, moment } from "./i18n.js";
import { createHistory, held } from "./history.js";
import { useDraft, useStore } from "./store.js";
import { Allowance, Button, Choice, Confirm, Count, Dialog, Empty, Failure, Field, Icon, Notice, Spinner, Textarea, classes, html, length, number, saveFrom, t, toast, useEffect, useSight, useState } from "./ui.js";

const MOST = 2000;
const MOST_SEED = 2 ** 31 - 1;
const SIZES = [
  ["1024x1024", "square"],
  ["768x1152", "portrait"],
  ["1152x768", "landscape"],
];
const pictures = createHistory("image", "images");
const FRESH = { prompt: "", size: "1024x1024", seed: "", model: "flux" };

export default function Pictures() {
  const [wanted, setWanted] = useDraft("pictures", FRESH);
  const [tried, setTried] = useState(false);
  const [shown, setShown] = useState(null);
  const { items, jobs, loading, cursor, problem } = useStore(pictures.state);
  const until = useStore(held);
  const end = useSight(pictures.more, cursor !== null && !loading && !problem);
  useEffect(() => {
    if (!items.length && cursor === undefined) pictures.more();
  }, []);

  const set = (more) => setWanted((before) => ({ ...before, ...more }));
  const errors = check(wanted);
  const send = (event) => {
    event?.preventDefault();
    setTried(true);
    if (Object.keys(errors).length) return;
    setTried(false);
    const { prompt, size, seed, model } = wanted;
    pictures.make({ prompt: prompt.trim(), size, model: model.trim(), ...(seed === "" ? {} : { seed: Number(seed) }) });
  };
  const again = ({ prompt, meta }) => {
    setWanted({ prompt, size: meta.size, seed: String(meta.seed ?? ""), model: meta.model && meta.provider !== "offline" ? meta.model : wanted.model });
    setShown(null);
    toast(t("pictures.taken"));
    document.querySelector("[data-field=prompt]")?.focus();
  };
  const isCustom = !SIZES.some(([size]) => size === wanted.size);
  return html`<div class="split">
    <form class="card composer" onSubmit=${send} noValidate>
      <${Field} label=${t("field.prompt")} error=${tried && errors.prompt} aside=${html`<${Count} text=${wanted.prompt} most=${MOST} />`}>
        ${(told) => html`<${Textarea} ...${told} class="prompt" data-field="prompt" placeholder=${t("pictures.example")} value=${wanted.prompt} onValue=${(prompt) => set({ prompt })} onSend=${send} />`}
      <//>
      <${Choice}
        legend=${t("pictures.shape")}
        value=${isCustom ? "custom" : wanted.size}
        options=${[...SIZES.map(([size, name]) => [size, html`<span class="shape ${name}" aria-hidden="true"></span>${t(`pictures.${name}`)}`]), ["custom", t("pictures.custom")]]}
        onValue=${(size) => set({ size: size === "custom" ? "640x640" : size })}
      />
      ${isCustom &&
      html`<${Field} label=${t("pictures.size")} hint=${t("pictures.sizeHint")} error=${tried && errors.size}>
        ${(told) => html`<input ...${told} type="text" inputmode="numeric" autocomplete="off" value=${wanted.size} onInput=${(event) => set({ size: event.target.value.trim().toLowerCase() })} />`}
      <//>`}
      <div class="pair">
        <${Field} label=${t("pictures.seed")} hint=${t("pictures.seedHint")} error=${tried && errors.seed}>
          ${(told) => html`<div class="joined">
            <input ...${told} type="text" inputmode="numeric" autocomplete="off" placeholder=${t("pictures.anySeed")} value=${wanted.seed} onInput=${(event) => set({ seed: event.target.value.trim() })} />
            <${Button} icon="dices" label=${t("pictures.draw")} onClick=${() => set({ seed: String(Math.floor(Math.random() * MOST_SEED)) })} />
          </div>`}
        <//>
        <${Field} label=${t("field.model")} error=${tried && errors.model}>
          ${(told) => html`<input ...${told} type="text" autocomplete="off" spellcheck=${false} value=${wanted.model} onInput=${(event) => set({ model: event.target.value })} />`}
        <//>
      </div>
      <${Allowance} service="image" />
      <${Button} type="submit" kind="primary" icon="sparkles">${t("pictures.make")}<//>
      <p class="hint keys">${t("field.keys")}</p>
    </form>
    <section aria-label=${t("pictures.gallery")} aria-busy=${loading ? "true" : "false"}>
      ${until > 0 && html`<${Notice}>${t("limit.paced")}<//>`}
      ${!items.length && !jobs.length && !loading && !problem && html`<${Empty} icon="image" title=${t("pictures.none")}>${t("pictures.noneHint")}<//>`}
      <ul class="gallery">
        ${jobs.map((job) => html`<${Job} key=${job.key} job=${job} />`)}
        ${items.map((item) => html`<${Tile} key=${item.id} item=${item} onOpen=${() => setShown(item)} />`)}
      </ul>
      <${Failure} problem=${problem} retry=${pictures.more} />
      <div ref=${end} class="more">${loading && html`<p role="status"><${Spinner} /> ${t("state.loading")}</p>`}</div>
    </section>
    ${shown && html`<${Picture} item=${shown} onClose=${() => setShown(null)} onAgain=${again} />`}
  </div>`;
}

function check({ prompt, size, seed, model }) {
  const errors = {};
  if (!prompt.trim()) errors.prompt = t("error.empty");
  else if (length(prompt.trim()) > MOST) errors.prompt = t("error.long", { most: number(MOST) });
  const sides = /^([1-9]\d{1,3})x([1-9]\d{1,3})$/.exec(size)?.slice(1).map(Number);
  if (!sides || sides.some((side) => side < 64 || side > 2048)) errors.size = t("pictures.sizeError");
  if (seed !== "" && !(/^\d+$/.test(seed) && Number(seed) <= MOST_SEED)) errors.seed = t("pictures.seedError", { most: number(MOST_SEED) });
  if (!model.trim()) errors.model = t("error.empty");
  return errors;
}

function Job({ job }) {
  return html`<li class="job">
    ${job.problem
      ? html`<${Failure} problem=${job.problem} />
          <p class="clamp" dir="auto">${job.body.prompt}</p>
          <div class="row">
            <${Button} icon="rotate-ccw" onClick=${() => pictures.again(job)}>${t("action.again")}<//>
            <${Button} onClick=${() => pictures.dismiss(job)}>${t("action.dismiss")}<//>
          </div>`
      : html`<div class="making" role="status"><${Spinner} /><p>${t("pictures.making")}</p><p class="clamp hint" dir="auto">${job.body.prompt}</p></div>`}
  </li>`;
}

function useUrl(history, id, wanted = true) {
  const [url, setUrl] = useState(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let current = true;
    if (wanted)
      history.url(id).then(
        (found) => current && setUrl(found),
        () => current && setFailed(true),
      );
    return () => {
      current = false;
    };
  }, [id, wanted]);
  return [url, failed, () => setFailed(true)];
}

function Tile({ item, onOpen }) {
  const [seen, setSeen] = useState(false);
  const ref = useSight(() => setSeen(true), !seen);
  const [url, failed, fail] = useUrl(pictures, item.id, seen);
  const [loaded, setLoaded] = useState(false);
  return html`<li ref=${ref} class=${classes("tile", item.fresh && "fresh")}>
    <button type="button" onClick=${onOpen} aria-label=${t("pictures.open", { prompt: item.prompt })}>
      ${url && !failed && html`<img src=${url} alt="" decoding="async" class=${classes(loaded && "there")} onLoad=${() => setLoaded(true)} onError=${fail} />`}
      ${failed && html`<span class="gone"><${Icon} name="image" />${t("pictures.gone")}</span>`}
      <span class="caption" dir="auto">${item.prompt}</span>
    </button>
  </li>`;
}

function Picture({ item, onClose, onAgain }) {
  const [made, setMade] = useState(null);
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(false);
  const [url, failed, fail] = useUrl(pictures, item.id);
  const load = () => {
    setProblem(null);
    pictures.detail(item.id).then(setMade, setProblem);
  };
  useEffect(load, [item.id]);
  const meta = made?.meta;
  const facts = meta && [
    [t("pictures.size"), meta.size],
    [t("pictures.seed"), meta.seed],
    [t("field.model"), `${meta.model} · ${meta.provider}`],
    [t("fact.made"), moment(made.createdAt)],
    [t("fact.took"), milliseconds(meta.latencyMs)],
    [t("fact.file"), `${meta.contentType} · ${bytes(meta.bytes)}`],
  ];
  if (asking)
    return html`<${Confirm}
      title=${t("pictures.delete")}
      text=${item.prompt}
      action=${t("action.delete")}
      onNo=${() => setAsking(false)}
      onYes=${async () => {
        await pictures.remove(item.id);
        toast(t("done.deleted"));
        onClose();
      }}
    />`;
  return html`<${Dialog} label=${t("pictures.single")} onClose=${onClose} class="wide picture">
    <${Button} class="close" icon="x" label=${t("action.close")} onClick=${onClose} />
    <div class="stage">
      ${failed ? html`<p class="gone"><${Icon} name="image" />${t("pictures.gone")}</p>` : url ? html`<img src=${url} alt=${t("pictures.alt", { prompt: made?.prompt ?? item.prompt })} onError=${fail} />` : html`<${Spinner} />`}
    </div>
    <div class="about">
      <h2 class="unseen">${t("pictures.single")}</h2>
      <p class="said" dir="auto" tabindex="0">${made?.prompt ?? item.prompt}</p>
      <${Failure} problem=${problem} retry=${load} />
      ${meta?.fallbackFrom && html`<${Notice}>${t("fact.fallback", { from: meta.fallbackFrom, provider: meta.provider })}<//>`}
      ${facts && html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl>`}
      <div class="row wrap">
        <${Button} kind="primary" icon="refresh-cw" disabled=${!made} onClick=${() => onAgain(made)}>${t("pictures.again")}<//>
        <${Button} icon="download" onClick=${() => pictures.url(item.id).then((found) => saveFrom(item.id, found), setProblem)}>${t("action.download")}<//>
        <${Button} icon="trash" kind="quiet-danger" onClick=${() => setAsking(true)}>${t("action.delete")}<//>
      </div>
    </div>
  <//>`;
}

export { useUrl };
