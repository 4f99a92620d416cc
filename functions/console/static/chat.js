// Chat: sessions that remember, and answers that are read while they are written.
import { ago, usd } from "./i18n.js";
import { call, Problem, query, read, user } from "./session.js";
import { store, useDraft, useStore } from "./store.js";
import { Allowance, Button, Confirm, Count, Dialog, Empty, Failure, Field, Icon, Notice, Select, Spinner, Textarea, classes, copy, html, length, number, t, tn, toast, useEffect, useLayoutEffect, useRef, useSight, useState } from "./ui.js";

const MOST = 32_000;
const MOST_SYSTEM = 8_000;
const MOST_TITLE = 200;
const PAGE = 50;
const STREAM_MS = 15 * 60_000;
const BUSY_MS = 90_000;
const NEW = "new";
const NOTHING = { items: [], cursor: undefined, loading: false, problem: null };

const sessions = store(NOTHING);
const talks = store({}); // by session: {messages, cursor, loading, problem, turn}
const models = store(null);
user.watch(() => {
  if (user.value) return;
  for (const talk of Object.values(talks.value)) talk.turn?.abort?.abort();
  sessions.set(NOTHING);
  talks.set({});
});

const talk = (id) => talks.value[id] ?? { messages: [], cursor: undefined, loading: false, problem: null, turn: null };
const change = (id, more) => talks.set((before) => ({ ...before, [id]: { ...talk(id), ...(typeof more === "function" ? more(talk(id)) : more) } }));

async function loadSessions(all = false) {
  do {
    const { loading, cursor } = sessions.value;
    if (loading || cursor === null) return;
    sessions.set((before) => ({ ...before, loading: true, problem: null }));
    try {
      const page = await read(`chat/sessions${query({ limit: all ? 100 : PAGE, cursor })}`);
      sessions.set((before) => ({ items: merged(before.items, page.items), cursor: page.nextCursor, loading: false, problem: null }));
    } catch (problem) {
      sessions.set((before) => ({ ...before, loading: false, problem }));
      return;
    }
  } while (all);
}

const merged = (before, more) => [...before, ...more.filter(({ id }) => !before.some((each) => each.id === id))];

// The first page of the list, once it is asked for.
let listing = Promise.resolve();

async function refreshSession(id) {
  const session = await read(`chat/sessions/${id}`).catch(() => null);
  if (session) sessions.set((before) => ({ ...before, items: [session, ...before.items.filter((each) => each.id !== id)] }));
}

async function changeSession(id, more) {
  const session = await (await call("PATCH", `chat/sessions/${id}`, { body: more })).json();
  sessions.set((before) => ({ ...before, items: before.items.map((each) => (each.id === id ? session : each)) }));
}

async function loadMessages(id) {
  const { loading, cursor } = talk(id);
  if (id === NEW || loading || cursor === null) return;
  change(id, { loading: true, problem: null });
  try {
    const page = await read(`chat/sessions/${id}/messages${query({ limit: PAGE, cursor })}`);
    change(id, ({ messages }) => ({ messages: merged(page.items.reverse(), messages), cursor: page.nextCursor, loading: false }));
  } catch (problem) {
    change(id, { loading: false, problem });
  }
}

// ---------------------------------------------------------------- one question and its answer

// Server-sent events, as they come.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const whole = rest.split(/\r?\n\r?\n/);
    rest = whole.pop();
    for (const event of whole) {
      const fields = event.split(/\r?\n/).map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
      const data = fields.filter(([, name]) => name === "data").map(([, , text]) => text).join("\n");
      if (data) yield [fields.find(([, name]) => name === "event")?.[2], JSON.parse(data)];
    }
  }
}

async function say(id, prompt, { model, system, onSession }) {
  const abort = new AbortController();
  const turn = { key: crypto.randomUUID(), prompt, text: "", state: "waiting", abort, model, system };
  change(id, { turn });
  await answer(id, turn, onSession);
}

async function answer(id, turn, onSession) {
  const update = (more) => change(id, ({ turn: now }) => ({ turn: now?.key === turn.key ? { ...now, ...more } : now }));
  let generation = null;
  try {
    if (id === NEW && turn.system) {
      const session = await (await call("POST", "chat/sessions", { body: { system: turn.system, ...(turn.model ? { model: turn.model } : {}) } })).json();
      id = moved(id, session.id, onSession);
    }
    const response = await patiently(
      () =>
        call("POST", "chat/generate", {
          body: { prompt: turn.prompt, stream: true, ...(id === NEW ? {} : { sessionId: id }), ...(id === NEW && turn.model ? { model: turn.model } : {}) },
          headers: { "Idempotency-Key": turn.key, Accept: "text/event-stream" },
          signal: turn.abort.signal,
          patience: STREAM_MS,
        }),
      () => update({ state: "queued" }),
      turn.abort.signal,
    );
    update({ state: "writing" });
    for await (const [name, data] of events(response.body)) {
      if (name === "start") {
        if (id === NEW && data.sessionId) id = moved(id, data.sessionId, onSession);
        change(id, ({ turn: now }) => ({ turn: { ...now, by: data.model } }));
      } else if (name === "delta") change(id, ({ turn: now }) => ({ turn: now && { ...now, text: now.text + data.text } }));
      else if (name === "error") throw new Problem(data.status, data);
      else if (name === "end") generation = data;
    }
    if (!generation) throw new Problem(0);
    const asked = { id: `${generation.id}-asked`, role: "user", content: turn.prompt, createdAt: generation.createdAt };
    const said = { id: generation.id, role: "assistant", content: generation.text, createdAt: generation.createdAt, model: generation.meta.model, reason: generation.finishReason };
    change(id, ({ messages }) => ({ messages: [...messages, asked, said], turn: null, cursor: talk(id).cursor === undefined ? null : talk(id).cursor }));
  } catch (problem) {
    if (turn.abort.signal.aborted) update({ state: "stopped" });
    else change(id, ({ turn: now }) => ({ turn: now && { ...now, state: "failed", problem } }));
  }
  if (id !== NEW) refreshSession(id);
}

// A new talk has become a session.
function moved(from, to, onSession) {
  const { turn } = talk(from);
  talks.set((before) => {
    const { [from]: old, ...rest } = before;
    return { ...rest, [to]: { ...talk(to), messages: [], cursor: null, turn } };
  });
  onSession(to);
  return to;
}

// A session answers one message at a time: the next one waits its turn.
async function patiently(ask, onWait, signal) {
  const end = Date.now() + BUSY_MS;
  for (;;) {
    try {
      return await ask();
    } catch (problem) {
      if (problem.slug !== "session-busy" || Date.now() > end || signal.aborted) throw problem;
      onWait();
      await new Promise((resolve) => setTimeout(resolve, (problem.retryAfter ?? 2) * 1000));
      signal.throwIfAborted();
    }
  }
}

// ---------------------------------------------------------------- the page

export default function Chat({ id = NEW, go }) {
  const { items } = useStore(sessions);
  const session = items.find((each) => each.id === id) ?? null;
  const [listed, setListed] = useState(false);
  useEffect(() => {
    if (sessions.value.cursor === undefined) listing = loadSessions();
    if (!models.value) read("chat/models").then(({ items: found }) => models.set(found), () => {});
  }, []);
  useEffect(() => {
    setListed(false);
    if (id === NEW) return;
    if (talk(id).cursor === undefined) loadMessages(id);
    // Most are in the list; another request for one of those might come when it is deleted already.
    listing.then(() => sessions.value.items.some((each) => each.id === id) || refreshSession(id));
  }, [id]);
  return html`<div class="chat">
    <aside class="card sessions" aria-label=${t("chat.sessions")}><${Sessions} id=${id} go=${go} /></aside>
    <${Talk} id=${id} session=${session} go=${go} onList=${() => setListed(true)} />
    ${listed &&
    html`<${Dialog} label=${t("chat.sessions")} onClose=${() => setListed(false)} class="small drawer">
      <${Button} class="close" icon="x" label=${t("action.close")} onClick=${() => setListed(false)} />
      <h2>${t("chat.sessions")}</h2>
      <${Sessions} id=${id} go=${go} onChosen=${() => setListed(false)} />
    <//>`}
  </div>`;
}

function Sessions({ id, go, onChosen }) {
  const { items, cursor, loading, problem } = useStore(sessions);
  const [wanted, setWanted] = useState("");
  const [starred, setStarred] = useState(false);
  const end = useSight(() => loadSessions(), cursor !== null && !loading && !problem);
  // Titles are searched here, so all of them have to be.
  useEffect(() => {
    if ((wanted || starred) && cursor !== null) loadSessions(true);
  }, [wanted, starred]);
  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
  const found = items.filter(({ title, starred: star }) => (!starred || star) && fold(title ?? "").includes(fold(wanted.trim())));
  return html`<div class="row">
      <${Button}
        kind="primary"
        icon="plus"
        class="grow"
        onClick=${() => {
          go("chat");
          onChosen?.();
        }}
      >${t("chat.new")}<//>
      <${Button} icon="star" class=${classes(starred && "on")} label=${t("chat.onlyStarred")} aria-pressed=${String(starred)} onClick=${() => setStarred(!starred)} />
    </div>
    <label class="search"><span class="unseen">${t("chat.search")}</span><${Icon} name="search" /><input type="search" placeholder=${t("chat.search")} value=${wanted} onInput=${(event) => setWanted(event.target.value)} /></label>
    <nav aria-label=${t("chat.sessions")} class="list">
      <ul>
        ${found.map(
          (each) => html`<li key=${each.id}>
            <a href="#/chat/${each.id}" aria-current=${each.id === id ? "page" : undefined} onClick=${onChosen}>
              <span class="title" dir="auto">${each.title ?? t("chat.untitled")}</span>
              <span class="hint">${ago(each.updatedAt)}</span>
              ${each.starred && html`<${Icon} name="star" label=${t("chat.starred")} />`}
            </a>
          </li>`,
        )}
      </ul>
      ${!found.length && !loading && !problem && html`<p class="hint">${wanted || starred ? t("chat.nothingFound") : t("chat.noSessions")}</p>`}
      <${Failure} problem=${problem} retry=${() => loadSessions()} />
      <div ref=${end}>${loading && html`<p class="hint" role="status"><${Spinner} /> ${t("state.loading")}</p>`}</div>
    </nav>`;
}

function Talk({ id, session, go, onList }) {
  const all = useStore(talks);
  const { messages, cursor, loading, problem, turn } = all[id] ?? talk(id);
  const [draft, setDraft] = useKeptDraft(id);
  const [settings, setSettings] = useDraft("chat.settings", { model: "", system: "" });
  const [open, setOpen] = useState(null);
  const busy = turn && ["waiting", "queued", "writing"].includes(turn.state);
  const over = length(draft.trim()) > MOST;
  const view = useRef(null);
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    isAtEnd.current = true;
  }, [id]);
  useLayoutEffect(() => {
    const box = view.current;
    if (isAtEnd.current) box.scrollTop = box.scrollHeight;
  }, [id, messages, turn]);
  const scrolled = ({ target }) => {
    isAtEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 80;
  };
  const onSession = (made) => go(`chat/${made}`, { replace: true });
  const send = (event) => {
    event?.preventDefault();
    const prompt = draft.trim();
    if (!prompt || busy || over) return;
    isAtEnd.current = true;
    setDraft("");
    if (turn?.state === "stopped") change(id, ({ messages: before }) => ({ messages: [...before, ...leftOf(turn)] }));
    say(id, prompt, { ...settings, onSession });
  };
  const edit = () => {
    setDraft(turn.prompt);
    change(id, { turn: null });
  };
  const retry = () => {
    const again = { ...turn, state: "waiting", problem: null, text: "", abort: new AbortController() };
    change(id, { turn: again });
    answer(id, again, onSession);
  };
  const title = id === NEW ? t("chat.new") : (session?.title ?? t("chat.untitled"));
  const nothing = !messages.length && !turn && !loading && !problem;
  return html`<section class="card talk" aria-label=${title}>
    <header class="row between">
      <${Button} icon="menu" class="narrow" label=${t("chat.sessions")} onClick=${onList} />
      <div class="grow">
        <h2 dir="auto" class="clamp-1">${title}</h2>
        ${session && html`<p class="hint">${[tn("chat.messages", session.messages), session.usage.usd !== null && usd(session.usage.usd), session.model].filter(Boolean).join(" · ")}</p>`}
      </div>
      ${session &&
      html`<${Button} icon="star" class=${classes(session.starred && "on")} label=${t(session.starred ? "chat.unstar" : "chat.star")} aria-pressed=${String(session.starred)} onClick=${() => changeSession(id, { starred: !session.starred }).catch(() => toast(t("problem.server")))} />
        <${Button} icon="pencil" label=${t("chat.rename")} onClick=${() => setOpen("rename")} />
        <${Button} icon="trash" kind="quiet-danger" label=${t("chat.delete")} onClick=${() => setOpen("delete")} />`}
      <${Button} icon="settings-2" label=${t("chat.settings")} onClick=${() => setOpen("settings")} />
    </header>
    <div class="messages" ref=${view} onScroll=${scrolled} tabindex="0" role="region" aria-label=${t("chat.conversation")}>
      ${nothing && html`<${Empty} icon="message-square" title=${t("chat.none")}>${t("chat.noneHint")}<//>`}
      ${cursor && !loading && html`<${Button} onClick=${() => loadMessages(id)}>${t("chat.earlier")}<//>`}
      ${loading && html`<p class="hint" role="status"><${Spinner} /> ${t("state.loading")}</p>`}
      <${Failure} problem=${problem} retry=${() => loadMessages(id)} />
      ${messages.map((message) => html`<${Message} key=${message.id} message=${message} />`)}
      ${turn &&
      html`<${Message} message=${{ role: "user", content: turn.prompt }} />
        ${(turn.text || busy) && html`<${Message} message=${{ role: "assistant", content: turn.text, model: turn.by }} writing=${busy} />`}
        ${turn.state === "queued" && html`<p class="hint" role="status">${t("chat.queued")}</p>`}
        ${turn.state === "stopped" && html`<${Notice} icon="circle-stop">${t("chat.stopped")}<//>`}
        ${turn.state === "failed" &&
        html`<${Failure} problem=${turn.problem} />
          <div class="row"><${Button} icon="rotate-ccw" kind="primary" onClick=${retry}>${t("action.again")}<//><${Button} icon="pencil" onClick=${edit}>${t("chat.edit")}<//></div>`}`}
    </div>
    <p class="unseen" role="status">${turn?.state === "writing" ? t("chat.writing") : !turn && messages.length ? t("chat.done") : ""}</p>
    <form class="say" onSubmit=${send}>
      <${Allowance} service="chat" />
      <div class="joined">
        <${Textarea} aria-label=${t("chat.message")} data-field="prompt" rows="1" placeholder=${t("chat.message")} value=${draft} onValue=${setDraft} onSend=${send} plainEnter=${true} />
        ${busy
          ? html`<${Button} icon="circle-stop" kind="primary" label=${t("chat.stop")} onClick=${() => turn.abort.abort()} />`
          : html`<${Button} type="submit" icon="arrow-up" kind="primary" label=${t("chat.send")} disabled=${!draft.trim() || over} />`}
      </div>
      <div class="row between"><p class="hint keys">${t("chat.keys")}</p><${Count} text=${draft} most=${MOST} /></div>
    </form>
    ${open === "rename" && html`<${Rename} session=${session} onClose=${() => setOpen(null)} />`}
    ${open === "settings" && html`<${Settings} session=${session} settings=${settings} onSettings=${setSettings} onClose=${() => setOpen(null)} />`}
    ${open === "delete" &&
    html`<${Confirm}
      title=${t("chat.delete")}
      text=${t("chat.deleteText", { title })}
      action=${t("action.delete")}
      onNo=${() => setOpen(null)}
      onYes=${async () => {
        await call("DELETE", `chat/sessions/${id}`);
        sessions.set((before) => ({ ...before, items: before.items.filter((each) => each.id !== id) }));
        toast(t("done.deleted"));
        setOpen(null);
        go("chat");
      }}
    />`}
  </section>`;
}

// Each session has a draft of its own.
function useKeptDraft(id) {
  const [kept, setKept] = useDraft("chat", { texts: {} });
  const set = (text) => setKept((before) => ({ texts: { ...before.texts, [id]: text } }));
  return [kept.texts[id] ?? "", set];
}

const leftOf = (turn) => [
  { id: `${turn.key}-asked`, role: "user", content: turn.prompt },
  { id: `${turn.key}-said`, role: "assistant", content: turn.text, model: turn.by, stopped: true },
];

const renderer = store(null);

function Message({ message, writing }) {
  const safe = useStore(renderer);
  const box = useRef(null);
  const isAnswer = message.role === "assistant";
  useEffect(() => {
    if (isAnswer && !safe) import("./markdown.js").then((module) => renderer.set(() => module.safe));
  }, []);
  useLayoutEffect(() => {
    if (!isAnswer || !safe) return;
    box.current.replaceChildren(safe(message.content));
    box.current.querySelectorAll("pre").forEach(withCopy);
    for (const table of box.current.querySelectorAll("table")) table.tabIndex = 0;
  }, [message.content, safe]);
  return html`<article class=${classes("message", message.role)} aria-label=${t(isAnswer ? "chat.answer" : "chat.you")}>
    ${isAnswer
      ? html`<div class="prose" dir="auto" ref=${box} aria-busy=${writing ? "true" : "false"}></div>
          ${!safe && html`<p class="said" dir="auto">${message.content}</p>`}
          ${writing && html`<p class="dots" aria-hidden="true"><span></span><span></span><span></span></p>`}
          ${!writing &&
          html`<div class="row foot">
            <${Button} icon="copy" label=${t("chat.copyAnswer")} onClick=${() => copy(message.content)} />
            <span class="hint">${[message.model, message.reason === "length" && t("chat.cut"), (message.stopped || message.reason === "error") && t("chat.partly")].filter(Boolean).join(" · ")}</span>
          </div>`}`
      : html`<p class="said" dir="auto">${message.content}</p>`}
  </article>`;
}

function withCopy(block) {
  const frame = document.createElement("div");
  const button = document.createElement("button");
  frame.className = "code";
  button.type = "button";
  button.className = "button";
  button.textContent = t("action.copy");
  button.addEventListener("click", () => copy(block.textContent));
  block.tabIndex = 0;
  block.replaceWith(frame);
  frame.append(block, button);
}

function Rename({ session, onClose }) {
  const [title, setTitle] = useState(session.title ?? "");
  const [problem, setProblem] = useState(null);
  const send = async (event) => {
    event.preventDefault();
    try {
      await changeSession(session.id, { title: title.trim() });
      onClose();
    } catch (error) {
      setProblem(error);
    }
  };
  const wrong = !title.trim() || length(title.trim()) > MOST_TITLE;
  return html`<${Dialog} label=${t("chat.rename")} onClose=${onClose} class="small">
    <form onSubmit=${send}>
      <h2>${t("chat.rename")}</h2>
      <${Field} label=${t("chat.title")} aside=${html`<${Count} text=${title} most=${MOST_TITLE} />`}>
        ${(told) => html`<input ...${told} type="text" dir="auto" autocomplete="off" autofocus value=${title} onInput=${(event) => setTitle(event.target.value)} />`}
      <//>
      <${Failure} problem=${problem} />
      <div class="row end"><${Button} onClick=${onClose}>${t("action.cancel")}<//><${Button} type="submit" kind="primary" disabled=${wrong}>${t("action.save")}<//></div>
    </form>
  <//>`;
}

function Settings({ session, settings, onSettings, onClose }) {
  const offered = useStore(models) ?? [];
  const [model, setModel] = useState((session ? session.model : settings.model) ?? "");
  const [system, setSystem] = useState((session ? session.system : settings.system) ?? "");
  const [problem, setProblem] = useState(null);
  const send = async (event) => {
    event.preventDefault();
    try {
      if (session) await changeSession(session.id, { model: model || null, system: system.trim() || null });
      else onSettings({ model, system: system.trim() });
      onClose();
      toast(t("done.saved"));
    } catch (error) {
      setProblem(error);
    }
  };
  const standard = offered.find((each) => each.default);
  const options = [["", standard ? t("chat.defaultModel", { model: standard.id }) : t("chat.anyModel")], ...offered.map((each) => [each.id, `${each.id} · ${each.provider} · ${t("chat.context", { tokens: number(each.contextTokens) })}`])];
  return html`<${Dialog} label=${t("chat.settings")} onClose=${onClose} class="small">
    <form onSubmit=${send}>
      <h2>${t("chat.settings")}</h2>
      <${Field} label=${t("field.model")}>${(told) => html`<${Select} ...${told} value=${model} options=${options} onValue=${setModel} />`}<//>
      <${Field} label=${t("chat.system")} hint=${t("chat.systemHint")} aside=${html`<${Count} text=${system} most=${MOST_SYSTEM} />`}>
        ${(told) => html`<${Textarea} ...${told} rows="4" value=${system} onValue=${setSystem} />`}
      <//>
      <${Failure} problem=${problem} />
      <div class="row end"><${Button} onClick=${onClose}>${t("action.cancel")}<//><${Button} type="submit" kind="primary" disabled=${length(system.trim()) > MOST_SYSTEM}>${t("action.save")}<//></div>
    </form>
  <//>`;
}
