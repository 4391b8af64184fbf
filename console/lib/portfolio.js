// The portfolio: what copies and bots have made and hold. Paper and live, and currencies, are never summed.

import { get } from "./api.js";
import { count, gain, usdc } from "./format.js";
import { change, figure, toneOf } from "./bots.js";
import { html } from "./html.js";
import { Badge, Loaded, Panel, Table, useLoaded } from "./ui.js";

/** Cents of a dollar, and as many digits as another currency needs. */
const dollar = ({ currency }) => currency.startsWith("USD");
const made = (row, value) => (dollar(row) ? gain(value) : change(value));
const held = (row, value) => (dollar(row) ? usdc(value) : figure(value));

const sum = (all, name) => all.reduce((total, one) => total + Number(one.statistics?.[name] || 0), 0);

/** Copies of subscriptions as parts of the portfolio; shadows are on paper. */
function copies(subscriptions) {
  return [[true, (one) => !one.shadow], [false, (one) => one.shadow]].map(([live, fits]) => {
    const own = subscriptions.filter(fits);
    return { what: "subscriptions", live, currency: "USDC", number: own.length, result: sum(own, "profit"), gross: sum(own, "value"), net: sum(own, "value") };
  }).filter((part) => part.number);
}

export function Portfolio({ subscriptions }) {
  const portfolio = useLoaded(() => get("/portfolio"), [], 10);
  return html`<${Panel} wide title="Portfolio" aside="paper and live are never summed">
    <${Loaded} of=${portfolio}>${({ parts = [] }) => {
      const rows = [...copies(subscriptions || []), ...parts.map((part) => ({ ...part, what: "bots", number: part.bots }))]
        .sort((a, b) => Number(b.live) - Number(a.live));
      return rows.length ? html`<${Table} label="Portfolio" rows=${rows} rowKey=${(r) => r.what + r.live + r.currency} columns=${[
        { name: "", cell: (r) => html`<${Badge} tone=${r.live ? "ok" : "warn"} text=${r.live ? "live" : "paper"} />` },
        { name: "of", cell: (r) => html`<a href=${r.what === "bots" ? "#/bots" : "#/subscriptions"}>${count(r.number)} ${r.number === 1 ? r.what.slice(0, -1) : r.what}</a>` },
        { name: "in", cell: (r) => r.currency },
        { name: "today", right: true, hide: "s", cell: (r) => html`<span class=${toneOf(r.today)}>${made(r, r.today)}</span>` },
        { name: "result", right: true, cell: (r) => html`<span class=${toneOf(r.result)}>${made(r, r.result)}</span>` },
        { name: "held", right: true, cell: (r) => held(r, r.gross) },
        { name: "long less short", right: true, hide: "m", cell: (r) => held(r, r.net) },
      ]} />` : html`<p class="quiet">Nobody copies, and no bot has traded.</p>`;
    }}<//><//>`;
}
