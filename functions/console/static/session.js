// Who is logged in, and every call of the API.
//
// The access token is in this module alone, in memory. The refresh token is in a cookie that no script can read: the
// page exchanges it at console/session/token, which answers with the next access token.
import { chosen, drafts, store } from "./store.js";

// Kept, so that whatever changes them later does not see the token.
const fetch = window.fetch.bind(window);
const BASE = new URL("../../../", import.meta.url);
const EARLY_MS = 60_000;
const SLOW_MS = 1_500;
const PATIENCE_MS = 90_000;

let access = null;
let expires = 0;
let timer = 0;
let refreshing = null;

// undefined: not known yet; null: nobody.
export const user = store(undefined);
// Whether it ended by itself, so that the page can say so.
export const ended = store(false);
// The last word of each limit: {limit, remaining, until}.
export const limits = store({});
// Calls that take long, for a sign that something happens.
export const slow = store(0);
export const online = store(navigator.onLine);
addEventListener("online", () => online.set(true));
addEventListener("offline", () => online.set(false));

// Tells the other tabs; they have the same cookie.
const tabs = "BroadcastChannel" in window ? new BroadcastChannel("console") : null;
tabs?.addEventListener("message", ({ data }) => {
  if (data === "out") forget();
  else if (data === "in" && !user.value) restore();
});

export class Problem extends Error {
  constructor(status, told = {}, retryAfter = null) {
    super(told.detail ?? "");
    this.status = status;
    this.slug = String(told.type ?? "").split(":").pop();
    this.errors = told.errors ?? [];
    this.requestId = told.requestId;
    this.retryAfter = retryAfter;
  }
}

function claims(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const text = new TextDecoder().decode(Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0)));
  const { sub, email, role, sid } = JSON.parse(text);
  return { id: sub, email, role, session: sid };
}

function take({ accessToken, expiresIn }) {
  access = accessToken;
  expires = Date.now() + expiresIn * 1000;
  chosen.set("session", "1");
  const who = claims(accessToken);
  drafts.belongTo(who.id);
  ended.set(false);
  if (JSON.stringify(who) !== JSON.stringify(user.value)) user.set(who);
  clearTimeout(timer);
  timer = setTimeout(() => refresh().catch(() => {}), Math.max(1_000, expiresIn * 1000 - EARLY_MS));
}

function forget(byItself = false) {
  access = null;
  clearTimeout(timer);
  chosen.set("session", null);
  limits.set({});
  // What was typed is still there for whoever logs in again.
  if (!byItself) drafts.clear();
  ended.set(byItself);
  user.set(null);
}

// One exchange at a time, in all tabs together: each token is good once.
async function exchange(body) {
  const work = () => send("POST", "console/session/token", { body, token: null });
  const answer = await (navigator.locks ? navigator.locks.request("console-session", work) : work());
  if (answer.status === 204) return false;
  take(await answer.json());
  return true;
}

function refresh() {
  refreshing ??= exchange({})
    .then((isIn) => {
      if (!isIn) forget(true);
      return isIn;
    })
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}

// At the start: whoever was never logged in here is not asked for.
export async function restore() {
  if (!chosen.get("session")) return user.set(null);
  await refresh();
}

export async function logIn(path, email, password) {
  const answer = await send("POST", path, { body: { email, password }, token: null });
  const { refreshToken } = await answer.json();
  await exchange({ refreshToken });
  tabs?.postMessage("in");
}

export async function logOut() {
  await send("DELETE", "console/session/token", { token: null });
  tabs?.postMessage("out");
  forget();
}

function note(path, headers) {
  if (!headers.has("RateLimit-Limit")) return;
  const [, service] = /^(\w+)\/generate$/.exec(path) ?? [];
  const [limit, remaining, reset] = ["Limit", "Remaining", "Reset"].map((name) => Number(headers.get(`RateLimit-${name}`)));
  limits.set((before) => ({ ...before, [service ?? "other"]: { limit, remaining, until: Date.now() + reset * 1000 } }));
}

async function send(method, path, { body, token = access, headers = {}, signal, patience = PATIENCE_MS } = {}) {
  let isSlow = false;
  const waits = setTimeout(() => {
    isSlow = true;
    slow.set((count) => count + 1);
  }, SLOW_MS);
  const limit = AbortSignal.timeout(patience);
  let answer;
  try {
    answer = await fetch(new URL(path, BASE), {
      method,
      headers: {
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: path.startsWith("console/") ? "same-origin" : "omit",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0);
  } finally {
    clearTimeout(waits);
    if (isSlow) slow.set((count) => count - 1);
  }
  if (!path.startsWith("console/")) note(path, answer.headers);
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, told, Number(answer.headers.get("Retry-After")) || null);
}

// The answer to a call with the user's token, which is renewed when it has to be.
export async function call(method, path, options = {}) {
  if (access && Date.now() > expires - 5_000) await refresh();
  try {
    return await send(method, path, { ...options, token: access });
  } catch (problem) {
    if (problem.status !== 401 || !access || !(await refresh())) throw problem;
    return send(method, path, { ...options, token: access });
  }
}

export async function read(path, options) {
  return (await call("GET", path, options)).json();
}

// The values that are given, as a query.
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
