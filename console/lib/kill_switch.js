// The kill switch of bots: use it, see how far it is with each wallet, clear it.

import { get, post, remove } from "./api.js";
import { allBots, exchangeOf, ofAll, stateOf } from "./bots.js";
import { count, word } from "./format.js";
import { html, useState } from "./html.js";
import { Badge, Confirm, Id, Loaded, Table, Time, useLoaded } from "./ui.js";

const PHASES = {
  WAITING: "no engine has begun", CANCELLING: "cancels orders", FLATTENING: "closes what is held",
  SECOND_SWEEP: "waits for what may still arrive, then looks again", DONE: "nothing rests, nothing is held",
};
const where = ({ exchange }) => exchange || "all exchanges";
const standing = (all) => all.filter((one) => !one.clearedAt);

export function KillSwitches({ who, wallets, onChange }) {
  const may = who.rest?.scope === "manage" && (ofAll(who) || who.rest.exchanges.length > 0);
  const kills = useLoaded(() => get("/risk/kill-switch"), [], 2);
  const [asking, ask] = useState(null);
  const over = () => { ask(null); kills.reload(); onChange(); };
  return html`<${Loaded} of=${kills}>${({ killSwitches = [] }) => {
    const stand = standing(killSwitches), past = killSwitches.filter((one) => one.clearedAt);
    return html`
      <div class="halts">
        <p class="state">${stand.length
          ? stand.map((one) => html`<${Badge} tone="bad" text=${`the kill switch of ${where(one)} stands`} /> `)
          : html`<${Badge} tone="ok" text="No kill switch stands" /> <span class="quiet">Bots may trade.</span>`}</p>
        ${may && html`<div><button type="button" class="danger" onClick=${() => ask({ use: true })}>Use the kill switch</button></div>`}
      </div>
      ${stand.map((one) => html`<${Standing} key=${one.id} of=${one} wallets=${wallets} may=${may} onClear=${() => ask({ clear: one })} />`)}
      ${past.length > 0 && html`<details><summary>Cleared before: ${count(past.length)}</summary><${Table} label="Kill switches that were cleared" rows=${past} rowKey=${(k) => k.id} columns=${[
        { name: "set", cell: (k) => html`<${Time} at=${k.setAt} />` }, { name: "of", cell: where },
        { name: "why", cell: (k) => k.reason }, { name: "by", hide: "m", cell: (k) => k.actor },
        { name: "done", hide: "m", cell: (k) => html`<${Time} at=${k.doneAt} />` },
        { name: "cleared", cell: (k) => html`<${Time} at=${k.clearedAt} /><div class="quiet small">by ${k.clearedBy}</div>` },
      ]} /></details>`}
      ${asking?.use && html`<${Use} who=${who} onEnd=${over} />`}
      ${asking?.clear && html`<${Confirm} title=${`Clear the kill switch of ${where(asking.clear)}?`} action="Clear" danger onEnd=${over}
        text=${`Bots may trade again, but none does by itself: each that was stopped waits for a person to resume it. It was set because: ${asking.clear.reason}`}
        onDo=${() => remove(`/risk/kill-switch/${asking.clear.id}`)}>
        ${!asking.clear.doneAt && html`<p class="problem" role="status">It is not done: some wallets still have orders or holdings. What is left of it stays undone.</p>`}<//>`}`;
  }}<//>`;
}

function Standing({ of: kill, wallets, may, onClear }) {
  const rows = kill.wallets || [], done = rows.filter((one) => one.phase === "DONE").length;
  const names = new Map((wallets || []).map((one) => [one.id, one.name]));
  return html`<div class="standing">
    <p>${kill.doneAt ? html`<${Badge} tone="ok" text="done" /> since <${Time} at=${kill.doneAt} />. ` : html`<${Badge} tone="warn" text=${`${done} of ${rows.length} wallets done`} /> `}
      Set <${Time} at=${kill.setAt} /> by ${kill.actor} for ${where(kill)}: ${kill.reason}
      ${may && html` <button type="button" onClick=${onClear}>Clear</button>`}</p>
    ${rows.length ? html`<${Table} label=${`Wallets under the kill switch of ${where(kill)}`} rows=${rows} rowKey=${(w) => w.walletId} columns=${[
      { name: "wallet", cell: (w) => html`${names.get(w.walletId) || html`<${Id} of=${w.walletId} />`}` },
      { name: "it", cell: (w) => html`<${Badge} tone=${w.phase === "DONE" ? "ok" : "warn"} text=${word(w.phase)} /><div class="quiet small">${PHASES[w.phase] || ""}</div>${w.detail && html`<div class="down small">${w.detail}</div>`}` },
      { name: "bots", right: true, hide: "s", cell: (w) => count(w.bots) },
      { name: "may still fill", right: true, cell: (w) => count(w.orders) },
      { name: "still hold", right: true, cell: (w) => count(w.holdings) },
      { name: "looks again after", hide: "m", cell: (w) => html`<${Time} at=${w.lastArrivalAt} />` },
      { name: "engine", hide: "m", cell: (w) => w.engine || "–" },
    ]} />` : html`<p class="quiet">No wallet had anything to close.</p>`}
  </div>`;
}

/** What it does is said with the numbers of now, and then it is done by one click. */
function Use({ who, onEnd }) {
  const all = ofAll(who);
  const [exchange, choose] = useState(all ? "" : who.rest.exchanges[0]);
  const bots = useLoaded(() => allBots(), []), exchanges = useLoaded(() => get("/exchanges"), []);
  const reached = (bots.data || []).filter((bot) => stateOf(bot) !== "idle" && (!exchange || exchangeOf(bot.instruments[0]) === exchange));
  const set = (form) => post("/risk/kill-switch", { exchange, reason: (form.get("reason") || "").trim() });
  return html`<${Confirm} title="Use the kill switch?" action="Stop all bots and sell" danger onDo=${set} onEnd=${onEnd}>
    <p>${bots.data ? html`<strong>${count(reached.length)} bot${reached.length === 1 ? "" : "s"}</strong> of ${exchange || "all exchanges"} will:` : `All bots of ${exchange || "all exchanges"} will:`}</p>
    <ul class="effects"><li>cancel all orders,</li><li>close all that they hold, at what the market pays,</li>
      <li>look again after the last order that may still arrive, and close that too,</li><li>stay stopped until this is cleared and a person resumes each.</li></ul>
    <p class="quiet">It cannot be taken back: what was sold stays sold. Copies of followers go on; the overview halts them.</p>
    <label>Of <select name="exchange" onChange=${(e) => choose(e.target.value)}>${all && html`<option value="">all exchanges</option>`}
      ${(exchanges.data?.exchanges || []).map(({ name }) => html`<option value=${name}>${name}</option>`)}</select></label>
    <label>Why <input name="reason" maxlength="500" placeholder="Others read this at three in the morning" /></label>
  <//>`;
}
