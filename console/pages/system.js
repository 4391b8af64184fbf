// System: processes, people, dead letters, webhooks, the audit.

import { get, operate, patch, post, remove } from "../lib/api.js";
import { count, duration, word } from "../lib/format.js";
import { ofAll } from "../lib/bots.js";
import { html, useState } from "../lib/html.js";
import { People, Sessions } from "../lib/people.js";
import { wrongOf } from "../lib/health.js";
import { Badge, Confirm, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";

export default function System({ who }) {
  const health = useLoaded(() => get("/health/engine"), [], 3);
  return html`
    <div class="top"><h1>System</h1></div>
    <div class="grid">
      <${Panel} wide title="Processes"><${Loaded} of=${health}>${(data) => html`<${Table} label="Processes" rows=${data.parts || []} rowKey=${(p) => p.name} columns=${[
        { name: "process", cell: (p) => p.name },
        { name: "state", cell: (p) => html`<${Badge} text=${p.serving ? "serving" : "down"} />` },
        { name: "since", hide: "s", cell: (p) => html`<${Time} at=${p.since} />` },
        { name: "what is wrong", cell: (p) => html`<span class="down">${(p.away || []).map(wrongOf).join("; ")}</span>` },
        { name: "oldest waits", right: true, cell: (p) => (Number(p.backlogMs) > 0 ? duration(p.backlogMs) : "") },
      ]} />`}<//><//>
      ${who.rest?.role === "admin" && html`<${Panel} wide title="People" aside="who may log in"><${People} who=${who} /><//>`}
      ${who.rest?.role && html`<${Panel} wide title="My sessions"><${Sessions} /><//>`}
      ${ofAll(who) && html`<${Panel} wide title="Webhook endpoints"><${Webhooks} who=${who} /><//>`}
      ${!ofAll(who) ? html`<${Panel} wide title="Webhooks, dead letters and audit"><p class="quiet">They are about all exchanges: an operator of all of them sees them.</p><//>`
        : who.operator ? html`<${Panel} wide title="Dead letters"><${DeadLetters} who=${who} /><//>
        <${Panel} wide title="Audit" aside="what was changed, newest first"><${Audit} /><//>`
        : html`<${Panel} wide title="Dead letters and audit"><p class="quiet">They need an operator's token in this session.</p><//>`}
    </div>`;
}

function Webhooks({ who }) {
  const may = who.rest?.scope === "manage";
  const endpoints = useLoaded(() => get("/webhook-endpoints"), [], 10);
  const [asking, ask] = useState(null);
  const [secret, show] = useState("");
  const over = () => { ask(null); endpoints.reload(); };
  return html`<${Loaded} of=${endpoints}>${(data) => html`
    ${secret && html`<p class="notice" role="status">Its secret, shown once: <code>${secret}</code> <button type="button" onClick=${() => show("")}>I have kept it</button></p>`}
    ${(data.endpoints || []).length ? html`<${Table} label="Webhook endpoints" rows=${data.endpoints} rowKey=${(e) => e.id} columns=${[
      { name: "url", cell: (e) => html`<span class="mono">${e.url}</span><div class="quiet small">${e.description}</div>` },
      { name: "events", hide: "m", cell: (e) => (e.types || []).join(", ") },
      { name: "state", cell: (e) => html`<${Badge} text=${!e.enabled ? "disabled" : e.failingSince ? "failing" : "active"} tone=${!e.enabled ? "bad" : e.failingSince ? "warn" : "ok"} /> ${e.disabledReason || ""}` },
      { name: "delivered to", right: true, hide: "m", cell: (e) => count(e.deliveredTo) },
      { name: "", right: true, cell: (e) => may && html`<div class="actions">
        <button type="button" onClick=${() => patch(`/webhook-endpoints/${e.id}`, { enabled: !e.enabled }).then(endpoints.reload)}>${e.enabled ? "Disable" : "Enable"}</button>
        <button type="button" onClick=${() => post(`/webhook-endpoints/${e.id}/test`).then((d) => ask({ told: d }), (error) => ask({ told: { outcome: error.message } }))}>Test</button>
        <button type="button" onClick=${() => ask({ gone: e })}>Delete</button></div>` },
    ]} />` : html`<p class="quiet">Nobody is told of events by webhooks.</p>`}
    ${may && html`<button type="button" onClick=${() => ask({ made: true })}>Add an endpoint</button>`}
    ${asking?.told && html`<${Confirm} title="A test was sent" action="Close" text=${`Outcome: ${word(asking.told.outcome)} ${asking.told.status || ""} ${asking.told.answer || ""}`} onDo=${async () => {}} onEnd=${over} />`}
    ${asking?.gone && html`<${Confirm} title="Delete this endpoint?" action="Delete" danger text=${asking.gone.url} onDo=${() => remove(`/webhook-endpoints/${asking.gone.id}`)} onEnd=${over} />`}
    ${asking?.made && html`<${Confirm} title="Add an endpoint" action="Add" onEnd=${over}
      onDo=${async (form) => show((await post("/webhook-endpoints", { url: form.get("url"), types: form.get("types").split(/[\s,]+/).filter(Boolean), description: form.get("description") })).secret)}>
      <label>URL <input name="url" type="url" required placeholder="https://example.org/hooks" /></label>
      <label>Events <input name="types" required value="order.*, position.*" /></label>
      <label>Description <input name="description" maxlength="200" /></label>
    <//>`}`}<//>`;
}

function DeadLetters({ who }) {
  const letters = useLoaded(() => operate("ListDeadLetters", { pageSize: 50 }), [], 10);
  const [asking, ask] = useState(null);
  return html`<${Loaded} of=${letters} empty=${{ when: (d) => !d.deadLetters.length, title: "No dead letters", text: "Every message was handled." }}>
    ${(data) => html`<${Table} label="Dead letters" rows=${data.deadLetters} rowKey=${(m) => m.id} columns=${[
      { name: "reader", cell: (m) => m.consumer }, { name: "stream", hide: "m", cell: (m) => m.stream },
      { name: "why", cell: (m) => m.reason }, { name: "since", cell: (m) => html`<${Time} at=${m.quarantinedAt} />` },
      { name: "", right: true, cell: (m) => m.replayedAt ? html`replayed <${Time} at=${m.replayedAt} />`
        : who.operator.scope === "operate" && html`<button type="button" onClick=${() => ask(m)}>Replay</button>` },
    ]} />`}<//>
    ${asking && html`<${Confirm} title="Have it handled again?" action="Replay" text=${`${asking.consumer} takes it up soon. It failed because: ${asking.reason}`}
      onDo=${() => operate("ReplayDeadLetter", { id: asking.id, operator: who.operator.id })} onEnd=${() => { ask(null); letters.reload(); }} />`}`;
}

function Audit() {
  const [pages, turn] = useState([""]);
  const audit = useLoaded(() => operate("ListAudit", { pageSize: 25, pageToken: pages.at(-1) }), [pages.at(-1)], pages.length === 1 ? 10 : 0);
  return html`<${Loaded} of=${audit} empty=${{ when: (d) => !d.entries.length, title: "Nothing was changed", text: "Each change of subscriptions, triggers, halts and lots is written here." }}>
    ${(data) => html`<${Table} label="Audit" rows=${data.entries} rowKey=${(e) => e.seq} columns=${[
      { name: "at", cell: (e) => html`<${Time} at=${e.changedAt} />` }, { name: "who", cell: (e) => html`${e.actor}<div class="quiet small">${e.source}</div>` },
      { name: "did", cell: (e) => word(e.action) }, { name: "to", cell: (e) => html`${e.subjectKind} <${Id} of=${e.subjectId} />` },
      { name: "proof", hide: "m", cell: (e) => html`<${Id} of=${e.hash} />` },
    ]} />
    <div class="pager">${pages.length > 1 && html`<button type="button" onClick=${() => turn(pages.slice(0, -1))}>Newer</button>`}
      ${data.nextPageToken && html`<button type="button" onClick=${() => turn([...pages, data.nextPageToken])}>Older</button>`}</div>`}<//>`;
}
