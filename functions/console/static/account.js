// The account: where it is logged in, its password, and how the page looks and speaks.
import { ago, LANGUAGES, language, moment, speak } from "./i18n.js";
import { newPasswordError } from "./login.js";
import { call, logOut, read, user } from "./session.js";
import { useStore } from "./store.js";
import { schemes, theme, wear } from "./theme.js";
import { Button, Choice, Confirm, Failure, Field, Icon, Spinner, html, t, toast, useEffect, useState } from "./ui.js";

export default function Account() {
  const { email, role } = useStore(user) ?? {};
  return html`<div class="columns">
    <div class="stack">
    <section class="card stack">
      <div class="row"><span class="badge"><${Icon} name="user" /></span><div class="grow"><h2 class="break" dir="auto">${email}</h2><p class="hint">${t(role === "admin" ? "account.admin" : "account.user")}</p></div></div>
      <${Button} icon="log-out" onClick=${() => logOut().catch(() => toast(t("problem.unreachable")))}>${t("account.logOut")}<//>
    </section>
    <${Sessions} />
    </div>
    <div class="stack">
    <section class="card stack">
      <h2>${t("account.looks")}</h2>
      <${Looks} />
    </section>
    <${Password} email=${email} />
    </div>
  </div>`;
}

function Looks() {
  return html`<${Choice} legend=${t("account.language")} value=${useStore(language)} options=${Object.entries(LANGUAGES).map(([tag, name]) => [tag, html`<span lang=${tag}>${name}</span>`])} onValue=${speak} />
    <${Choice} legend=${t("account.theme")} value=${useStore(theme)} options=${schemes.map((each) => [each, t(`theme.${each}`)])} onValue=${wear} />`;
}

// What a browser calls itself, in words.
function device(agent) {
  if (!agent) return t("account.unknownDevice");
  // In this order, since most call themselves Safari, too.
  const browser = ["Edg", "OPR", "Firefox", "Chrome", "Safari", "curl", "python-requests"].find((name) => agent.includes(name));
  const system = /\b(Windows|Android|iPhone|iPad|Mac OS X|Linux)\b/.exec(agent)?.[1];
  const names = { Edg: "Edge", OPR: "Opera", "Mac OS X": "macOS" };
  const words = [browser, system].filter(Boolean).map((word) => names[word] ?? word);
  return words.length ? words.join(" · ") : agent.slice(0, 80);
}

const SHOWN = 6;

function Sessions() {
  const [all, setAll] = useState(false);
  const [items, setItems] = useState(null);
  const [problem, setProblem] = useState(null);
  const [asked, setAsked] = useState(null);
  const load = () => {
    setProblem(null);
    read("auth/sessions").then(({ items: found }) => setItems(found), setProblem);
  };
  useEffect(load, []);
  // This one first, whatever was used since.
  const inOrder = items && [...items.filter(({ current }) => current), ...items.filter(({ current }) => !current)];
  const others = items?.filter(({ current }) => !current) ?? [];
  const end = async (each) => {
    await call("DELETE", `auth/sessions/${each.id}`);
    setItems((before) => before.filter(({ id }) => id !== each.id));
  };
  return html`<section class="card stack" aria-busy=${items ? "false" : "true"}>
    <h2>${t("account.sessions")}</h2>
    <p class="hint">${t("account.sessionsHint")}</p>
    ${!items && !problem && html`<p role="status"><${Spinner} /> ${t("state.loading")}</p>`}
    <${Failure} problem=${problem} retry=${load} />
    <ul class="lines">
      ${inOrder?.slice(0, all ? undefined : SHOWN).map(
        (each) => html`<li key=${each.id}>
          <${Icon} name=${/Android|iPhone|Mobile/.test(each.userAgent ?? "") ? "smartphone" : "monitor"} />
          <div class="grow">
            <p class="strong break" dir="auto" title=${each.userAgent}>${device(each.userAgent)}</p>
            <p class="hint">${[each.ip, t("account.used", { when: ago(each.lastUsedAt) }), t("account.since", { when: moment(each.createdAt) })].filter(Boolean).join(" · ")}</p>
          </div>
          ${each.current ? html`<span class="tag">${t("account.thisOne")}</span>` : html`<${Button} aria-label=${t("account.endNamed", { name: device(each.userAgent) })} onClick=${() => setAsked([each])}>${t("account.end")}<//>`}
        </li>`,
      )}
    </ul>
    ${!all && items?.length > SHOWN && html`<${Button} icon="chevron-down" onClick=${() => setAll(true)}>${t("account.allSessions", { count: items.length })}<//>`}
    ${others.length > 1 && html`<${Button} icon="log-out" onClick=${() => setAsked(others)}>${t("account.endOthers")}<//>`}
    ${asked &&
    html`<${Confirm}
      title=${t(asked.length > 1 ? "account.endOthers" : "account.end")}
      text=${asked.length > 1 ? t("account.endOthersText", { count: asked.length }) : device(asked[0].userAgent)}
      action=${t("account.end")}
      onNo=${() => setAsked(null)}
      onYes=${async () => {
        for (const each of asked) await end(each);
        setAsked(null);
        toast(t("account.ended"));
      }}
    />`}
  </section>`;
}

function Password({ email }) {
  const empty = { current: "", next: "" };
  const [typed, setTyped] = useState(empty);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const errors = { current: typed.current ? null : t("error.empty"), next: newPasswordError(typed.next) ?? (typed.next === typed.current ? t("error.samePassword") : null) };
  const send = async (event) => {
    event.preventDefault();
    setTried(true);
    setProblem(null);
    if (errors.current || errors.next) return;
    setBusy(true);
    try {
      await call("POST", "auth/password", { body: { currentPassword: typed.current, newPassword: typed.next } });
      setTyped(empty);
      setTried(false);
      toast(t("account.passwordChanged"));
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  const field = (name, label, complete, hint) => html`<${Field} label=${label} hint=${hint} error=${tried && errors[name]}>
    ${(told) => html`<input ...${told} type="password" autocomplete=${complete} value=${typed[name]} onInput=${(event) => setTyped({ ...typed, [name]: event.target.value })} />`}
  <//>`;
  return html`<form class="card stack" onSubmit=${send} noValidate>
    <h2>${t("account.password")}</h2>
    <input type="email" class="unseen" autocomplete="username" value=${email} readonly tabindex="-1" aria-hidden="true" />
    ${field("current", t("account.currentPassword"), "current-password")} ${field("next", t("account.newPassword"), "new-password", t("account.passwordHint"))}
    <${Failure} problem=${problem} />
    <${Button} type="submit" kind="primary" busy=${busy}>${t("account.changePassword")}<//>
  </form>`;
}
