// Engines of bots: which process trades for which wallet, and draining one before its machine is taken away.

import { get, post } from "../lib/api.js";
import { ago, count, duration, word } from "../lib/format.js";
import { allWallets, botsOf, ofAll } from "../lib/bots.js";
import { html, useState } from "../lib/html.js";
import { Badge, Confirm, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";

const TONES = { live: "ok", draining: "warn", drained: "", leaving: "warn", gone: "bad" };
const stateOf = (engine) => word(engine.state, "BOT_ENGINE_STATE_");
const gone = (engine) => stateOf(engine) === "gone";

async function load() {
  const [{ engines = [], waitingWallets = [] }, wallets] = await Promise.all([get("/engines"), allWallets()]);
  return { engines: engines.sort((a, b) => gone(a) - gone(b)), waiting: waitingWallets, names: new Map(wallets.map((one) => [one.id, one.name])) };
}

export default function Engines({ who }) {
  const may = who.rest?.scope === "manage" && ofAll(who);
  const loaded = useLoaded(load, [], 3);
  const [asking, ask] = useState(null);
  const over = () => { ask(null); loaded.reload(); };
  const others = (engine) => (loaded.data?.engines || []).filter((one) => one.name !== engine.name && stateOf(one) === "live").length;
  return html`
    <div class="top"><h1>Engines</h1></div>
    <${Loaded} of=${loaded} empty=${{ when: (d) => !d.engines.length && !d.waiting.length, title: "No engine of bots", text: "None has ever registered: make run BOTS=1 starts one." }}>${({ engines, waiting, names }) => html`<div class="grid">
      ${waiting.length > 0 && html`<${Panel} wide title="Wallets without an engine"><p class="problem" role="status">${count(waiting.length)} wallet${waiting.length > 1 ? "s have" : " has"} bots that should run, and no engine: none lives, has room, or can the exchange.</p>
        <p>${waiting.map((id) => html`<${Wallet} id=${id} names=${names} /> `)}</p><//>`}
      <${Panel} wide title="Processes" aside="a wallet is one engine's at a time"><${Table} label="Engines" rows=${engines} rowKey=${(e) => e.name} columns=${[
        { name: "engine", cell: (e) => html`<span class="num">${e.name}</span><div class="quiet small">${e.programVersion}</div>` },
        { name: "state", cell: (e) => html`<${Badge} tone=${TONES[stateOf(e)]} text=${stateOf(e)} />${e.draining && html`<div class="quiet small">wanted by ${e.drainActor}, <${Time} at=${e.drainAt} /></div>`}` },
        { name: "exchanges", hide: "m", cell: (e) => (e.exchanges || []).join(", ") || "none" },
        { name: "bots", right: true, cell: (e) => html`${count(e.bots)} <span class="quiet">of ${count(e.capacity)}</span>` },
        { name: "wallets", right: true, cell: (e) => count((e.wallets || []).length) },
        { name: "loop late by", right: true, hide: "m", cell: (e) => (gone(e) ? "–" : duration(e.loopLagMs)) },
        { name: "heard of", right: true, hide: "s", cell: (e) => html`<span title=${e.seenAt}>${ago(e.seenAt)} ago</span>` },
        { name: "", right: true, cell: (e) => may && (e.draining ? html`<button type="button" onClick=${() => ask({ undrain: e })}>Undrain</button>`
          : !gone(e) && html`<button type="button" onClick=${() => ask({ drain: e })}>Drain</button>`) },
      ]} /><//>
      <${Panel} wide title="Leases" aside="which engine trades for which wallet"><${Leases} of=${engines} names=${names} /><//>
    </div>`}<//>
    ${asking?.drain && html`<${Confirm} title=${`Drain ${asking.drain.name}?`} action="Drain" danger onEnd=${over} onDo=${() => post(`/engines/${asking.drain.name}/drain`)}
      text=${`It hands its ${count((asking.drain.wallets || []).length)} wallet(s) to other engines and takes none until it is undrained. Quotes pause for a moment while a wallet moves.`}>
      ${!others(asking.drain) && html`<p class="problem" role="status">No other engine lives: it keeps its wallets until one does.</p>`}<//>`}
    ${asking?.undrain && html`<${Confirm} title=${`Undrain ${asking.undrain.name}?`} action="Undrain" onEnd=${over} onDo=${() => post(`/engines/${asking.undrain.name}/undrain`)}
      text="It takes wallets again, as soon as some are free." />`}`;
}

const Wallet = ({ id, names }) => (names.get(id) ? html`<a href=${botsOf(id)} title=${id}>${names.get(id)}</a>` : html`<${Id} of=${id} />`);

function Leases({ of: engines, names }) {
  const rows = engines.flatMap((engine) => (engine.wallets || []).map((wallet) => ({ ...wallet, engine: engine.name })));
  return rows.length ? html`<${Table} label="Leases" rows=${rows} rowKey=${(w) => w.id} columns=${[
    { name: "wallet", cell: (w) => html`<${Wallet} id=${w.id} names=${names} />` }, { name: "exchange", cell: (w) => w.exchange },
    { name: "engine", cell: (w) => w.engine }, { name: "bots", right: true, cell: (w) => count(w.bots) },
    { name: "times taken", right: true, hide: "s", cell: (w) => count(w.epoch) },
  ]} />` : html`<p class="quiet">No engine has a wallet.</p>`;
}
