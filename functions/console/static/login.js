// The way in: log in, or register.
import { ended, logIn } from "./session.js";
import { useStore } from "./store.js";
import { Button, Choice, Failure, Field, Icon, Notice, html, t, useEffect, useRef, useState } from "./ui.js";

export function newPasswordError(text) {
  if ([...text.normalize("NFC")].length < 8) return t("error.shortPassword");
  if (new TextEncoder().encode(text.normalize("NFC")).length > 72) return t("error.longPassword");
  return null;
}

export default function LogIn() {
  const [way, setWay] = useState("login");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const first = useRef(null);
  const isNew = way === "register";
  useEffect(() => first.current?.focus(), []);
  const errors = {
    email: /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(email.trim()) ? null : t("error.email"),
    password: isNew ? newPasswordError(password) : password ? null : t("error.empty"),
  };
  const send = async (event) => {
    event.preventDefault();
    setTried(true);
    setProblem(null);
    if (errors.email || errors.password) return;
    setBusy(true);
    try {
      await logIn(`auth/${way}`, email.trim(), password);
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  // Of a login, 401 is not about a session.
  const told = problem?.status === 401 ? html`<div class="notice bad" role="alert"><${Icon} name="circle-alert" /><p>${t("problem.wrong-login")}</p></div>` : html`<${Failure} problem=${problem} />`;
  return html`<form class="card login" onSubmit=${send} noValidate>
    <div>
      <h1 tabindex="-1">${t(isNew ? "login.registerTitle" : "login.title")}</h1>
      <p class="hint">${t(isNew ? "login.registerLead" : "login.lead")}</p>
    </div>
    ${useStore(ended) && html`<${Notice} icon="log-out">${t("login.ended")}<//>`}
    <${Choice} hidden legend=${t("login.way")} value=${way} options=${[["login", t("login.title")], ["register", t("login.register")]]} onValue=${(next) => {
      setWay(next);
      setTried(false);
      setProblem(null);
    }} />
    <${Field} label=${t("login.email")} error=${tried && errors.email}>
      ${(field) => html`<input ...${field} ref=${first} type="email" name="email" dir="ltr" autocomplete="username" value=${email} onInput=${(event) => setEmail(event.target.value)} />`}
    <//>
    <${Field} label=${t("login.password")} hint=${isNew && t("account.passwordHint")} error=${tried && errors.password}
      aside=${html`<button type="button" class="link" aria-pressed=${String(shown)} onClick=${() => setShown(!shown)}>${t(shown ? "login.hide" : "login.show")}</button>`}>
      ${(field) => html`<input ...${field} type=${shown ? "text" : "password"} name="password" autocomplete=${isNew ? "new-password" : "current-password"} value=${password} onInput=${(event) => setPassword(event.target.value)} />`}
    <//>
    ${told}
    <${Button} type="submit" kind="primary" busy=${busy}>${t(isNew ? "login.register" : "login.title")}<//>
  </form>`;
}
