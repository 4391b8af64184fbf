// Risk of bots: the kill switch, limits and what of them is used, exposure, who was stopped.

import { get } from "../lib/api.js";
import { count, duration } from "../lib/format.js";
import { allBots, allWallets, change, exchangeOf, ExchangeChoice, figure, limitFigure, money, Near, nearness, plain, State, stateOf, symbolOf, toneOf, useExchange } from "../lib/bots.js";
import { html } from "../lib/html.js";
import { KillSwitches } from "../lib/kill_switch.js";
import { Breaches, ScopeUsage } from "../lib/scopes.js";
import { LIMITS } from "../lib/strategies.js";
import { Badge, Loaded, Panel, Table, useLoaded } from "../lib/ui.js";

const SHOWN = 30;
const labels = new Map(LIMITS.map((one) => [one.name, one.label]));

async function load(exchange) {
  const [every, wallets, { parts = [] }] = await Promise.all([allBots(), allWallets(), get("/portfolio")]);
  const bots = every.filter((bot) => !exchange || exchangeOf(bot.instruments[0]) === exchange);
  const names = new Map([...every, ...wallets].map(({ id, name }) => [id, name]));
  const near = bots.flatMap((bot) => nearness(bot, null).map((limit) => ({ ...limit, bot }))).filter((one) => one.part != null && one.part > 0)
    .sort((a, b) => b.part - a.part);
  return { near, parts, wallets, names, stopped: bots.filter((bot) => ["risk stopped", "error"].includes(stateOf(bot))) };
}

export default function Risk({ who }) {
  const [exchange, choose] = useExchange();
  const risk = useLoaded(() => load(exchange), [exchange], 5);
  return html`
    <div class="top"><h1>Risk</h1><${ExchangeChoice} chosen=${exchange} onChoose=${choose} /></div>
    <${Loaded} of=${risk}>${({ near, parts, stopped, wallets, names }) => html`<div class="grid">
      <${Panel} wide title="Kill switch"><${KillSwitches} who=${who} wallets=${wallets} onChange=${risk.reload} /><//>
      <${Panel} wide title="Stopped">${stopped.length ? html`<${Table} label="Stopped bots" rows=${stopped} rowKey=${(b) => b.id} columns=${[
        { name: "bot", cell: (b) => html`<a href=${`#/bots/${b.id}`}>${b.name}</a>` }, { name: "state", cell: (b) => html`<${State} of=${b} />` },
        { name: "why", cell: (b) => plain(b.reason) }, { name: "still holds", right: true, hide: "s", cell: (b) => figure(b.holdings?.[0]?.size ?? 0) },
      ]} />` : html`<p><${Badge} tone="ok" text="No bot is stopped" /> <span class="quiet">Neither by risk nor by an error.</span></p>`}<//>
      <${Panel} wide title="Limits of many bots" aside="USDC, at the prices of now"><${ScopeUsage} who=${who} wallets=${wallets} /><//>
      <${Panel} wide title="Bots nearest to a limit">${near.length ? html`<${Table} label="Limits" rows=${near.slice(0, SHOWN)} rowKey=${(l) => l.bot.id + l.name} columns=${[
        { name: "bot", cell: (l) => html`<a href=${`#/bots/${l.bot.id}`}>${l.bot.name}</a>` },
        { name: "limit", cell: (l) => labels.get(l.name) || l.name },
        { name: "used", right: true, cell: (l) => limitFigure(l.name, l.used) }, { name: "of", right: true, cell: (l) => figure(l.limit) },
        { name: "", cell: (l) => html`<${Near} part=${l.part} label=${`${l.bot.name}, ${labels.get(l.name)}: ${limitFigure(l.name, l.used)} of ${figure(l.limit)}`} />` },
      ]} />` : html`<p class="quiet">No bot uses any part of a limit.</p>`}<//>
      ${parts.map((part) => html`<${Exposure} key=${part.live + part.currency} of=${part} exchange=${exchange} />`)}
      ${!parts.length && html`<${Panel} wide title="Exposure"><p class="quiet">No bot holds anything.</p><//>`}
      <${Panel} wide title="Breaches" aside="limits that were reached"><${Breaches} names=${names} /><//>
    </div>`}<//>`;
}

function Exposure({ of: part, exchange }) {
  const fits = (slice) => !exchange || slice.name === exchange || exchangeOf(slice.name) === exchange;
  const columns = (name, show) => [
    { name, cell: show },
    { name: "long and short", right: true, cell: (s) => money(s.gross) },
    { name: "long less short", right: true, cell: (s) => money(s.net) },
    { name: "result", right: true, hide: "s", cell: (s) => html`<span class=${toneOf(s.result)}>${change(s.result)}</span>` },
  ];
  const title = html`Exposure, ${part.currency} <${Badge} tone=${part.live ? "ok" : "warn"} text=${part.live ? "live" : "paper"} />`;
  return html`<${Panel} wide title=${title} aside=${part.markAgeMs == null ? "" : `oldest price ${duration(part.markAgeMs)} old`}>
    ${part.unmarked > 0 && html`<p class="problem">${count(part.unmarked)} positions have no price and count as worth nothing.</p>`}
    <${Table} label=${`Exposure by exchange, ${part.currency}`} rows=${(part.byExchange || []).filter(fits)} rowKey=${(s) => s.name} columns=${columns("exchange", (s) => s.name)} />
    <${Table} label=${`Exposure by instrument, ${part.currency}`} rows=${(part.byInstrument || []).filter(fits)} rowKey=${(s) => s.name} columns=${columns("instrument", (s) => html`<span title=${s.name}>${symbolOf(s.name)}</span>`)} />
  <//>`;
}
