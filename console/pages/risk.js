// Risk of bots: exposure by exchange and instrument, who is near a limit, who was stopped.

import { get } from "../lib/api.js";
import { count, millis } from "../lib/format.js";
import { allBots, change, exchangeOf, ExchangeChoice, figure, Near, nearness, State, stateOf, symbolOf, toneOf, useExchange } from "../lib/bots.js";
import { html } from "../lib/html.js";
import { LIMITS } from "../lib/strategies.js";
import { Badge, Loaded, Panel, Table, useLoaded } from "../lib/ui.js";

const SHOWN = 30;
const labels = new Map(LIMITS.map((one) => [one.name, one.label]));

async function load(exchange) {
  const [bots, { parts = [] }] = await Promise.all([allBots(exchange ? { exchange } : {}), get("/portfolio")]);
  const near = bots.flatMap((bot) => nearness(bot, null).map((limit) => ({ ...limit, bot }))).filter((one) => one.part != null && one.part > 0)
    .sort((a, b) => b.part - a.part);
  return { near, parts, stopped: bots.filter((bot) => ["risk stopped", "error"].includes(stateOf(bot))) };
}

export default function Risk() {
  const [exchange, choose] = useExchange();
  const risk = useLoaded(() => load(exchange), [exchange], 5);
  return html`
    <div class="top"><h1>Risk</h1><${ExchangeChoice} chosen=${exchange} onChoose=${choose} /></div>
    <${Loaded} of=${risk}>${({ near, parts, stopped }) => html`<div class="grid">
      <${Panel} wide title="Stopped">${stopped.length ? html`<${Table} label="Stopped bots" rows=${stopped} rowKey=${(b) => b.id} columns=${[
        { name: "bot", cell: (b) => html`<a href=${`#/bots/${b.id}`}>${b.name}</a>` }, { name: "state", cell: (b) => html`<${State} of=${b} />` },
        { name: "why", cell: (b) => b.reason }, { name: "still holds", right: true, cell: (b) => figure(b.holdings?.[0]?.size ?? 0) },
      ]} />` : html`<p><${Badge} tone="ok" text="No bot is stopped" /> <span class="quiet">Neither by risk nor by an error.</span></p>`}<//>
      <${Panel} wide title="Nearest to a limit">${near.length ? html`<${Table} label="Limits" rows=${near.slice(0, SHOWN)} rowKey=${(l) => l.bot.id + l.name} columns=${[
        { name: "bot", cell: (l) => html`<a href=${`#/bots/${l.bot.id}`}>${l.bot.name}</a>` },
        { name: "limit", cell: (l) => labels.get(l.name) || l.name },
        { name: "used", right: true, cell: (l) => figure(l.used) }, { name: "of", right: true, cell: (l) => figure(l.limit) },
        { name: "", cell: (l) => html`<${Near} part=${l.part} label=${`${l.bot.name}, ${labels.get(l.name)}: ${figure(l.used)} of ${figure(l.limit)}`} />` },
      ]} />` : html`<p class="quiet">No bot uses any part of a limit.</p>`}<//>
      ${parts.map((part) => html`<${Exposure} key=${part.live + part.currency} of=${part} exchange=${exchange} />`)}
      ${!parts.length && html`<${Panel} wide title="Exposure"><p class="quiet">No bot holds anything.</p><//>`}
    </div>`}<//>`;
}

function Exposure({ of: part, exchange }) {
  const fits = (slice) => !exchange || slice.name === exchange || exchangeOf(slice.name) === exchange;
  const columns = (name, show) => [
    { name, cell: show },
    { name: "long and short", right: true, cell: (s) => figure(s.gross) },
    { name: "long less short", right: true, cell: (s) => figure(s.net) },
    { name: "result", right: true, hide: "s", cell: (s) => html`<span class=${toneOf(s.result)}>${change(s.result)}</span>` },
  ];
  const title = html`Exposure, ${part.currency} <${Badge} tone=${part.live ? "ok" : "warn"} text=${part.live ? "live" : "paper"} />`;
  return html`<${Panel} wide title=${title} aside=${part.markAgeMs == null ? "" : `oldest mark ${millis(Number(part.markAgeMs) * 1000)} old`}>
    ${part.unmarked > 0 && html`<p class="problem">${count(part.unmarked)} positions have no mark and count as worth nothing.</p>`}
    <${Table} label=${`Exposure by exchange, ${part.currency}`} rows=${(part.byExchange || []).filter(fits)} rowKey=${(s) => s.name} columns=${columns("exchange", (s) => s.name)} />
    <${Table} label=${`Exposure by instrument, ${part.currency}`} rows=${(part.byInstrument || []).filter(fits)} rowKey=${(s) => s.name} columns=${columns("instrument", (s) => html`<span title=${s.name}>${symbolOf(s.name)}</span>`)} />
  <//>`;
}
