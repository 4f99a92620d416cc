// What was generated of one service: newest first, page by page; what is being made stands before it.
import { call, limits, query, read, user } from "./session.js";
import { store } from "./store.js";

const PAGE = 24;
const AT_ONCE = 4;
// So many calls of the minute are left for what people do themselves.
const RESERVE = 15;
const EARLY_MS = 60_000;

export function createHistory(service, plural) {
  const empty = { items: [], jobs: [], cursor: undefined, loading: false, problem: null };
  const state = store(empty);
  const details = new Map();
  const urls = new Map();
  user.watch(() => {
    if (user.value) return;
    state.set(empty);
    details.clear();
    urls.clear();
  });

  const change = (more) => state.set((before) => ({ ...before, ...more }));

  async function more() {
    const { loading, cursor } = state.value;
    if (loading || cursor === null) return;
    change({ loading: true, problem: null });
    try {
      const page = await read(`admin/${plural}${query({ limit: PAGE, cursor })}`);
      state.set((before) => {
        const known = new Set(before.items.map(({ id }) => id));
        const items = [...before.items, ...page.items.filter(({ id }) => !known.has(id))];
        return { ...before, items, cursor: page.nextCursor, loading: false };
      });
    } catch (problem) {
      change({ loading: false, problem });
    }
  }

  // A job keeps its key: sent again, it is the same generation, and is paid for once.
  async function run(job) {
    const update = (more) => state.set((before) => ({ ...before, jobs: before.jobs.map((each) => (each.key === job.key ? { ...each, ...more } : each)) }));
    update({ problem: null, running: true });
    try {
      const answer = await call("POST", `${service}/generate`, { body: job.body, headers: { "Idempotency-Key": job.key } });
      const made = await answer.json();
      details.set(made.id, made);
      const item = { id: made.id, createdAt: made.createdAt, provider: made.meta.provider, model: made.meta.model, prompt: made.prompt, fresh: true };
      state.set((before) => ({ ...before, jobs: before.jobs.filter(({ key }) => key !== job.key), items: [item, ...before.items.filter(({ id }) => id !== item.id)] }));
      return made;
    } catch (problem) {
      update({ problem, running: false });
      return null;
    }
  }

  function make(body, about) {
    const job = { key: crypto.randomUUID(), body, about, running: true, problem: null };
    state.set((before) => ({ ...before, jobs: [job, ...before.jobs] }));
    return run(job);
  }

  const dismiss = (job) => state.set((before) => ({ ...before, jobs: before.jobs.filter(({ key }) => key !== job.key) }));

  async function detail(id) {
    if (!details.has(id)) details.set(id, await read(`${service}/${id}`));
    return details.get(id);
  }

  async function remove(id) {
    await call("DELETE", `${service}/${id}`).catch((problem) => {
      if (problem.status !== 404) throw problem;
    });
    state.set((before) => ({ ...before, items: before.items.filter((item) => item.id !== id) }));
  }

  // Where the bytes are, for some minutes.
  function url(id) {
    const known = urls.get(id);
    if (known && (!known.until || known.until > Date.now())) return known.url;
    const entry = { url: paced(() => read(`${service}/${id}/download`)), until: 0 };
    urls.set(id, entry);
    entry.url = entry.url.then(
      (answer) => {
        entry.until = Date.now() + answer.expiresIn * 1000 - EARLY_MS;
        return answer.url;
      },
      (problem) => {
        urls.delete(id);
        throw problem;
      },
    );
    return entry.url;
  }

  return { service, state, more, make, again: run, dismiss, detail, remove, url };
}

// Scrolling asks for many addresses: a few at a time, and no faster than the limit lets.
export const held = store(0);
const waiting = [];
let running = 0;

function paced(work) {
  return new Promise((resolve, reject) => {
    waiting.push({ work, resolve, reject });
    pump();
  });
}

function pump() {
  while (running < AT_ONCE && waiting.length) {
    const { remaining = Infinity, until = 0 } = limits.value.other ?? {};
    const wait = until - Date.now();
    if (remaining <= RESERVE && wait > 0) return hold(until);
    const { work, resolve, reject } = waiting.shift();
    running += 1;
    work()
      .then(resolve, reject)
      .finally(() => {
        running -= 1;
        pump();
      });
  }
}

function hold(until) {
  if (held.value >= until) return;
  held.set(until);
  setTimeout(() => {
    held.set(0);
    pump();
  }, until - Date.now() + 250);
}
