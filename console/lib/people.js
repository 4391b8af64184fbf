// People who log in, for admins; and the sessions of who has logged in.

import { get, patch, post, remove } from "./api.js";
import { word } from "./format.js";
import { html, useState } from "./html.js";
import { Badge, Confirm, Id, Loaded, Table, Time, useLoaded } from "./ui.js";

const ROLES = [["ROLE_VIEWER", "viewer: looks"], ["ROLE_OPERATOR", "operator: acts at some exchanges"], ["ROLE_ADMIN", "admin: everything"]];
const EXCHANGES = ["okx", "polymarket"];

async function everybody() {
  const users = [];
  let pageToken = "";
  do {
    const page = await get("/users", { pageSize: 200, pageToken });
    users.push(...(page.users || []));
    pageToken = page.nextPageToken;
  } while (pageToken && users.length < 1000);
  return users;
}

export function People({ who }) {
  const people = useLoaded(everybody, [], 15);
  const [asking, ask] = useState(null);
  const [once, show] = useState(null);
  const over = () => { ask(null); people.reload(); };
  const enable = (user) => patch(`/users/${user.id}`, { disabled: false }).then(people.reload, (error) => show({ error: error.message }));
  return html`
    ${once && html`<p class=${once.error ? "problem" : "notice"} role="status">${once.error || html`The password of ${once.name} for one login, shown once: <code>${once.password}</code>
      <button type="button" onClick=${() => show(null)}>I have kept it</button>`}</p>`}
    <${Loaded} of=${people}>${(users) => html`<${Table} label="People" first=${50} rows=${users} rowKey=${(u) => u.id} columns=${[
      { name: "name", cell: (u) => u.name },
      { name: "role", cell: (u) => html`${word(u.role, "ROLE_")}${(u.exchanges || []).length ? html`<div class="quiet small">${u.exchanges.join(", ")}</div>` : ""}` },
      { name: "may log in", cell: (u) => html`<${Badge} tone=${u.disabled ? "bad" : "ok"} text=${u.disabled ? "disabled" : "yes"} />` },
      { name: "since", hide: "s", cell: (u) => html`<${Time} at=${u.createdAt} />` },
      { name: "", right: true, cell: (u) => `@${u.name}` !== who.rest.id && html`<div class="actions">
        ${u.disabled ? html`<button type="button" onClick=${() => enable(u)}>Enable</button>` : html`<button type="button" onClick=${() => ask({ disable: u })}>Disable</button>`}
        <button type="button" onClick=${() => ask({ reset: u })}>New password</button></div>` },
    ]} />`}<//>
    <p><button type="button" onClick=${() => ask({ add: true })}>Add a person</button></p>
    ${asking?.disable && html`<${Confirm} title=${`Disable ${asking.disable.name}?`} action="Disable" danger text="All sessions of this person end now, and no login begins another." onEnd=${over}
      onDo=${() => patch(`/users/${asking.disable.id}`, { disabled: true })} />`}
    ${asking?.reset && html`<${Confirm} title=${`A new password for ${asking.reset.name}?`} action="Make one" danger text="All sessions of this person end now. The new password is good for 24 hours and one login." onEnd=${over}
      onDo=${async () => show({ name: asking.reset.name, password: (await post(`/users/${asking.reset.id}/reset-password`)).oneTimePassword })} />`}
    ${asking?.add && html`<${Add} onEnd=${over} onMade=${show} />`}`;
}

function Add({ onEnd, onMade }) {
  const [role, choose] = useState("ROLE_VIEWER");
  const [key] = useState(() => crypto.randomUUID());
  const add = async (form) => {
    const name = form.get("name").trim(), exchanges = role === "ROLE_OPERATOR" ? form.getAll("exchanges") : [];
    onMade({ name, password: (await post("/users", { name, role, exchanges }, { "idempotency-key": key })).oneTimePassword });
  };
  return html`<${Confirm} title="Add a person" action="Add" text="The first password is shown here once. It is good for 24 hours and one login, which asks for another." onDo=${add} onEnd=${onEnd}>
    <label>Name <input name="name" required pattern="[a-z0-9][a-z0-9.\\-]{0,29}" autocomplete="off" placeholder="small letters, digits, dots: ann" /></label>
    <label>Role <select name="role" onChange=${(e) => choose(e.target.value)}>${ROLES.map(([value, said]) => html`<option value=${value} selected=${value === role}>${said}</option>`)}</select></label>
    ${role === "ROLE_OPERATOR" && EXCHANGES.map((one) => html`<label class="inline" key=${one}><input type="checkbox" name="exchanges" value=${one} />${one}</label>`)}
  <//>`;
}

/** Sessions of the person who looks. */
export function Sessions() {
  const sessions = useLoaded(() => get("/auth/sessions"), [], 15);
  const [asking, ask] = useState(null);
  return html`<${Loaded} of=${sessions}>${({ sessions: all = [] }) => html`<${Table} label="My sessions" rows=${all} rowKey=${(s) => s.id} columns=${[
    { name: "begun", cell: (s) => html`<${Time} at=${s.createdAt} />` },
    { name: "from", cell: (s) => html`<span class="num">${s.address}</span>${s.client && html`<div class="quiet small clamp">${s.client}</div>`}` },
    { name: "used", hide: "s", cell: (s) => html`<${Time} at=${s.usedAt} />` },
    { name: "session", hide: "m", cell: (s) => html`<${Id} of=${s.id} />` },
    { name: "", right: true, cell: (s) => (s.current ? html`<${Badge} tone="ok" text="this one" />` : html`<button type="button" onClick=${() => ask(s)}>End</button>`) },
  ]} />`}<//>
  ${asking && html`<${Confirm} title="End this session?" action="End it" danger text=${`It was begun from ${asking.address}; who has it is logged out.`} onDo=${() => remove(`/auth/sessions/${asking.id}`)}
    onEnd=${() => { ask(null); sessions.reload(); }} />`}`;
}
