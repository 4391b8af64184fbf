// Limits of many bots together: of wallets, exchanges, groups, markets and the whole portfolio.

import { CallError, get, put } from "./api.js";
import { change, figure, money, Near, ofAll, symbolOf, toneOf } from "./bots.js";
import { count, word } from "./format.js";
import { html, useState } from "./html.js";
import { Badge, Confirm, Id, Loaded, Table, Time, useLoaded } from "./ui.js";

const ALL = ["WALLET", "EXCHANGE", "PORTFOLIO", "GROUP", "MARKET"], ACCOUNTS = ["WALLET", "EXCHANGE", "PORTFOLIO"];
/** {name, label, about, of: scopes that it fits, used: what of a usage counts against it}. */
export const SCOPE_LIMITS = [
  { name: "maxGross", label: "Most in all", about: "Both sides together, with what could still open. Then only what reduces goes on.", of: ALL, used: (u) => u.gross },
  { name: "maxNet", label: "Most on one side", about: "Less what is held on the other. Then only what reduces goes on.", of: ALL.slice(0, 4), used: (u) => u.net },
  { name: "maxConcentration", label: "Most in one market", about: "Part of the most in all: 0.25. Then only what reduces goes on there.", of: ALL.slice(0, 4), part: true,
    used: (u) => (Number(u.limits.limits?.maxGross) > 0 ? Number(u.marketGross) / Number(u.limits.limits.maxGross) : null) },
  { name: "maxDailyLoss", label: "Most lost in a day", about: "Counted anew when it is set; its bots are stopped.", of: ACCOUNTS, used: (u) => u.dayLoss },
  { name: "maxDrawdown", label: "Largest drawdown", about: "From the highest result since it was set; its bots are stopped.", of: ACCOUNTS, used: (u) => u.drawdown },
  { name: "maxWithCopies", label: "Most with copies", about: "Bots and copies together; it acts on bots alone.", of: ["MARKET"], used: (u) => Number(u.gross) + Number(u.copies) },
];
const labels = new Map(SCOPE_LIMITS.map((one) => [one.name, one.label]));
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const limitLabel = (name) => labels.get(camel(name)) || word(name);
const kindOf = (limits) => word(limits.scope, "RISK_SCOPE_");

function Scope({ of: limits, names }) {
  const { subject } = limits;
  if (!subject) return "all bots";
  if (subject === "*") return "each market";
  return html`${kindOf(limits)} ${names.get(subject) || (subject.length > 40 || subject.startsWith("wal_") ? html`<${Id} of=${subject} />` : html`<span title=${subject}>${subject.includes(":") ? symbolOf(subject) : subject}</span>`)}`;
}

const scopeKey = (u) => `${u.limits.scope}/${u.limits.subject}`;

export function ScopeUsage({ who, wallets }) {
  const may = who.rest?.scope === "manage" && ofAll(who);
  const usage = useLoaded(() => get("/risk/usage"), [], 5);
  const [asking, ask] = useState(null);
  const names = new Map((wallets || []).map((one) => [one.id, one.name]));
  const over = () => { ask(null); usage.reload(); };
  return html`<${Loaded} of=${usage}>${(data) => {
    const rows = (data.usage || []).flatMap((u) => Object.entries(u.limits.limits || {}).map(([name, limit]) => nearnessOf(u, name, limit))).sort((a, b) => (b.part ?? -1) - (a.part ?? -1));
    const doubts = (data.usage || []).flatMap((u) => (u.reached || []).filter((one) => one.limit.startsWith("stale")).map((one) => ({ ...one, of: u.limits })));
    return html`
      ${doubts.map((one) => html`<p class="problem" role="status"><strong><${Scope} of=${one.of} names=${names} />:</strong> ${one.detail}; nothing new opens there.</p>`)}
      <${Table} label="Used by scope, USDC" rows=${data.usage || []} rowKey=${scopeKey} columns=${[
        { name: "bots of", cell: (u) => html`<${Scope} of=${u.limits} names=${names} />` },
        { name: "in all", right: true, cell: (u) => money(u.gross) },
        { name: "on one side", right: true, cell: (u) => money(u.net) },
        { name: "largest market", right: true, hide: "m", cell: (u) => (u.market ? html`${money(u.marketGross)}<div class="quiet small" title=${u.market}>${symbolOf(u.market)}</div>` : "–") },
        { name: "result", right: true, hide: "s", cell: (u) => html`<span class=${toneOf(u.result)}>${change(u.result)}</span>` },
        { name: "lost today", right: true, hide: "m", cell: (u) => (u.limits.limits?.maxDailyLoss ? money(u.dayLoss) : "–") },
        { name: "", right: true, cell: (u) => may && html`<button type="button" onClick=${() => ask(u.limits)}>Limits</button>` },
      ]} />
      ${rows.length ? html`<${Table} label="Limits of scopes" rows=${rows} rowKey=${(l) => scopeKey(l.usage) + l.name} columns=${[
        { name: "limit", cell: (l) => labels.get(l.name) || l.name },
        { name: "of", cell: (l) => html`<${Scope} of=${l.usage.limits} names=${names} />` },
        { name: "used", right: true, cell: (l) => figure(l.name === "maxConcentration" ? l.used : l.used?.toFixed(2)) }, { name: "limit", right: true, cell: (l) => figure(l.limit) },
        { name: "", cell: (l) => html`<${Near} part=${l.part} label=${`${labels.get(l.name)}: ${figure(l.used)} of ${figure(l.limit)}`} />` },
        { name: "", hide: "s", cell: (l) => l.reached && html`<${Badge} tone="bad" text="reached" /><div class="small">${l.reached.detail}</div>` },
      ]} />` : html`<p class="quiet">Nothing limits many bots together; each has its own limits alone.</p>`}
      ${may && html`<p><button type="button" onClick=${() => ask({ scope: "RISK_SCOPE_PORTFOLIO", subject: "", fresh: true })}>Set a limit</button></p>`}
      ${asking && html`<${Change} of=${asking} wallets=${wallets || []} known=${data.usage || []} onEnd=${over} />`}`;
  }}<//>`;
}

/** How much of one limit of a scope is used. */
function nearnessOf(usage, name, limit) {
  const value = SCOPE_LIMITS.find((one) => one.name === name)?.used(usage);
  const used = value == null || value === "" ? null : Number(value);
  const part = used == null ? null : Number(limit) > 0 ? Math.max(0, used) / Number(limit) : 1;
  return { usage, name, limit, used, part, reached: (usage.reached || []).find((one) => camel(one.limit) === name) };
}

/** Set all limits of a scope. */
function Change({ of: first, wallets, known, onEnd }) {
  const [kind, choose] = useState(first.scope.replace("RISK_SCOPE_", ""));
  const [error, fail] = useState(null);
  const scope = `RISK_SCOPE_${kind}`;
  const before = (first.fresh ? known.find((u) => u.limits.scope === scope && !u.limits.subject)?.limits : first) || {};
  const save = async (form) => {
    const text = (name) => (form.get(name) || "").trim();
    const fits = SCOPE_LIMITS.filter((one) => one.of.includes(kind) && text(one.name));
    try {
      await put("/risk/limits", {
        scope, subject: first.fresh ? text("subject") : first.subject,
        instruments: kind === "GROUP" ? text("instruments").split(/[\s,]+/).filter(Boolean) : [],
        limits: Object.fromEntries(fits.map(({ name }) => [name, text(name)])),
      });
    } catch (problem) {
      if (problem instanceof CallError) fail(problem);
      throw problem;
    }
  };
  const wrong = (name) => error?.field.split(".").at(-1) === name || undefined;
  return html`<${Confirm} title=${first.fresh ? "Set limits of many bots" : "Limits"} action="Set" danger large onDo=${save} onEnd=${onEnd}
    text="They take the place of all limits of this scope, and losses are counted from now on. One that is left empty does not exist; 0 lets nothing in. USDC, at the prices of now.">
    ${first.fresh ? html`<label>Bots of <select name="kind" onChange=${(e) => choose(e.target.value)}>
        <option value="PORTFOLIO" selected=${kind === "PORTFOLIO"}>all of them</option><option value="EXCHANGE">an exchange</option><option value="WALLET">a wallet</option>
        <option value="MARKET">a market</option><option value="GROUP">a group of instruments</option></select></label>
      <${Subject} kind=${kind} wallets=${wallets} wrong=${wrong("subject")} />` : html`<p><strong>${first.subject || "all bots"}</strong> <span class="quiet">${kindOf(first)}</span></p>`}
    ${kind === "GROUP" && html`<label>Instruments <input name="instruments" required defaultValue=${(before.instruments || []).join(" ")} placeholder="okx:BTC-USDT-SWAP okx:ETH-USDT-SWAP" aria-invalid=${wrong("instruments")} /></label>`}
    <div class="fields" key=${kind}>${SCOPE_LIMITS.filter((one) => one.of.includes(kind)).map((one) => html`<label key=${one.name}><span>${one.label} <span class="quiet small">${one.part ? "a part" : "USDC"}</span></span>
      <input name=${one.name} inputmode="decimal" defaultValue=${before.limits?.[one.name] ?? ""} placeholder="no limit" aria-invalid=${wrong(one.name)} /><span class="field-note">${one.about}</span></label>`)}</div>
  <//>`;
}

function Subject({ kind, wallets, wrong }) {
  const exchanges = useLoaded(() => get("/exchanges"), []);
  if (kind === "PORTFOLIO") return null;
  if (kind === "WALLET" || kind === "EXCHANGE") {
    const choices = kind === "WALLET" ? wallets.map(({ id, name }) => [id, name]) : (exchanges.data?.exchanges || []).map(({ name }) => [name, name]);
    return html`<label>Which <select key=${kind} name="subject" required aria-invalid=${wrong}>${choices.map(([value, said]) => html`<option value=${value}>${said}</option>`)}</select></label>`;
  }
  return html`<label>Which <input key=${kind} name="subject" required aria-invalid=${wrong} placeholder=${kind === "GROUP" ? "a name: majors" : "okx:BTC-USDT-SWAP, or * for each"} /></label>`;
}

/** Limits that were reached, the newest first. */
export function Breaches({ names }) {
  const [pages, turn] = useState([""]);
  const breaches = useLoaded(() => get("/risk/breaches", { pageSize: 15, pageToken: pages.at(-1) }), [pages.at(-1)], pages.length === 1 ? 5 : 0);
  return html`<${Loaded} of=${breaches} empty=${{ when: (d) => !(d.breaches || []).length, title: "No limit was reached", text: "Each limit that a bot, or many together, reach is written here." }}>
    ${(data) => html`<${Table} label="Breaches, newest first" rows=${data.breaches} rowKey=${(b) => b.occurredAt + b.scope + b.subject + b.limit} columns=${[
      { name: "at", cell: (b) => html`<${Time} at=${b.occurredAt} />` },
      { name: "of", cell: (b) => (b.scope === "BOT" ? html`<a href=${`#/bots/${b.subject}`}>${names.get(b.subject) || "a bot"}</a>` : `${word(b.scope)} ${names.get(b.subject) || b.subject}`) },
      { name: "limit", cell: (b) => limitLabel(b.limit) },
      { name: "then", hide: "m", cell: (b) => word(b.action) },
      { name: "with", cell: (b) => b.detail },
    ]} />
    <div class="pager">${pages.length > 1 && html`<button type="button" onClick=${() => turn(pages.slice(0, -1))}>Newer</button>`}
      ${data.nextPageToken && html`<button type="button" onClick=${() => turn([...pages, data.nextPageToken])}>Older</button>`}</div>`}<//>`;
}
