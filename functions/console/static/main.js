// The frame of the page, and which part of it is shown.
import { LANGUAGES, language, speak, t } from "./i18n.js";
import LogIn from "./login.js";
import { online, restore, slow, user } from "./session.js";
import { store, useStore } from "./store.js";
import { schemes, theme, wear } from "./theme.js";
import { Button, Failure, Icon, Notice, Select, Spinner, Toasts, classes, html, render, useEffect, useRef, useState } from "./ui.js";

const PAGES = {
  pictures: ["image", () => import("./pictures.js")],
  speech: ["audio-lines", () => import("./speech.js")],
  summaries: ["file-text", () => import("./summaries.js")],
  chat: ["message-square", () => import("./chat.js")],
  usage: ["chart-column", () => import("./usage.js")],
  account: ["user", () => import("./account.js")],
};
const THEME_ICONS = { auto: "laptop", light: "sun", dark: "moon" };

function place() {
  const [name, id] = location.hash.replace(/^#\/?/, "").split("/");
  return { name: name in PAGES ? name : "pictures", id: id || undefined };
}

const where = store(place());
addEventListener("hashchange", () => where.set(place()));

function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", `#/${path}`);
  where.set(place());
}

function Console() {
  const tag = useStore(language);
  const who = useStore(user);
  const { name, id } = useStore(where);
  const [problem, setProblem] = useState(null);
  const start = () => {
    setProblem(null);
    restore().catch(setProblem);
  };
  useEffect(start, []);
  useEffect(() => {
    document.documentElement.lang = tag;
    document.title = who ? `${t(`page.${name}`)} · llm-microservices` : `${t("login.title")} · llm-microservices`;
  }, [tag, who, name]);
  return html`<${Banner} />
    ${who ? html`<${Inside} key=${who.id} name=${name} id=${id} />` : html`<${Outside} known=${who === null} problem=${problem} retry=${start} />`}
    <${Toasts} />`;
}

// What concerns every page: no connection, or a call that takes its time.
function Banner() {
  const isOnline = useStore(online);
  const waiting = useStore(slow) > 0;
  return html`<div class="banner" role="status">
    ${!isOnline && html`<p class="offline"><${Icon} name="wifi-off" />${t("state.offline")}</p>`} ${waiting && isOnline && html`<p><${Spinner} />${t("state.slow")}</p>`}
  </div>`;
}

function Brand() {
  return html`<span class="brand"><img src=${new URL("icon.svg", import.meta.url).href} alt="" width="28" height="28" /><span>llm-microservices</span></span>`;
}

function Preferences() {
  const current = useStore(theme);
  const next = schemes[(schemes.indexOf(current) + 1) % schemes.length];
  return html`<div class="row">
    <label><span class="unseen">${t("account.language")}</span><${Select} class="slim" value=${useStore(language)} options=${Object.entries(LANGUAGES)} onValue=${speak} /></label>
    <${Button} icon=${THEME_ICONS[current]} label=${t("theme.next", { now: t(`theme.${current}`), next: t(`theme.${next}`) })} onClick=${() => wear(next)} />
  </div>`;
}

const docs = () => new URL(document.body.dataset.docs, document.baseURI).href;

function Outside({ known, problem, retry }) {
  return html`<div class="outside">
    <header class="row between"><${Brand} /><${Preferences} /></header>
    <main>
      ${problem ? html`<${Failure} problem=${problem} retry=${retry} />` : known ? html`<${LogIn} />` : html`<p class="starting" role="status"><${Spinner} /> ${t("state.starting")}</p>`}
    </main>
    <footer><a href=${docs()}>${t("page.docs")}</a></footer>
  </div>`;
}

function Inside({ name, id }) {
  const heading = useRef(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else heading.current?.focus();
  }, [name]);
  const skip = (event) => {
    event.preventDefault();
    heading.current.focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>${t("page.skip")}</a>
    <div class="frame">
      <header class="side">
        <${Brand} />
        <nav aria-label=${t("page.menu")}>
          <ul>
            ${Object.entries(PAGES).map(
              ([each, [icon]]) => html`<li><a href="#/${each}" aria-current=${each === name ? "page" : undefined}><${Icon} name=${icon} /><span>${t(`page.${each}`)}</span></a></li>`,
            )}
          </ul>
        </nav>
        <div class="bottom"><a class="docs" href=${docs()}><${Icon} name="book-open" /><span>${t("page.docs")}</span></a><${Preferences} /></div>
      </header>
      <main class=${classes("page", `of-${name}`)} id="main">
        <div class="title"><h1 tabindex="-1" ref=${heading}>${t(`page.${name}`)}</h1><p class="hint">${t(`lead.${name}`)}</p></div>
        <${Part} key=${name} name=${name} id=${id} />
      </main>
    </div>`;
}

// A page comes when it is first opened. One that does not come is of a version that is gone, or the connection is.
function Part({ name, id }) {
  const [Page, setPage] = useState(null);
  const [lost, setLost] = useState(false);
  useEffect(() => {
    PAGES[name][1]().then((module) => setPage(() => module.default), () => setLost(true));
  }, [name]);
  if (lost) return html`<${Notice} kind="bad" icon="circle-alert"><p>${t("state.newVersion")}</p><${Button} icon="rotate-ccw" onClick=${() => location.reload()}>${t("state.reload")}<//><//>`;
  return Page ? html`<${Page} id=${id} go=${go} />` : html`<p role="status"><${Spinner} /> ${t("state.loading")}</p>`;
}

const root = document.querySelector("#console");
root.replaceChildren();
render(html`<${Console} />`, root);
