// Bots: all of them, one of them, and a new one.

import { get } from "../lib/api.js";
import { count } from "../lib/format.js";
import { html } from "../lib/html.js";
import { allBots, change, currencyOf, exchangeOf, ExchangeChoice, figure, plain, rounded, State, stateOf, symbolOf, today, toneOf, useExchange } from "../lib/bots.js";
import { Bot } from "../lib/bot.js";
import { NewBot } from "../lib/bot_form.js";
import { titleOf } from "../lib/strategies.js";
import { Badge, Id, Loaded, Panel, Table, useLoaded } from "../lib/ui.js";

export default function Bots({ id, query, who }) {
  if (id === "new") return html`<${NewBot} who=${who} />`;
  return id ? html`<${Bot} id=${id} who=${who} />` : html`<${List} query=${query} who=${who} />`;
}

const FIRST = ["risk stopped", "error"];
const rank = (bot) => (FIRST.includes(stateOf(bot)) ? 0 : stateOf(bot) === "running" ? 1 : 2);

async function load(walletId, exchange) {
  const bots = (await allBots({ walletId })).filter((bot) => !exchange || exchangeOf(bot.instruments[0]) === exchange);
  const open = new Map(await Promise.all(bots.filter((bot) => !["idle", "stopped"].includes(stateOf(bot))).slice(0, 50).map(
    async ({ id }) => [id, (await get(`/bots/${id}/orders`, { unsettled: "true", pageSize: 200 })).orders?.length || 0],
  )));
  return { bots: bots.sort((a, b) => rank(a) - rank(b)), open };
}

function List({ query, who }) {
  const wallet = query.get("wallet") || "";
  const [exchange, choose] = useExchange();
  const bots = useLoaded(() => load(wallet, exchange), [wallet, exchange], 5);
  const states = (bots.data?.bots || []).reduce((all, bot) => ({ ...all, [stateOf(bot)]: (all[stateOf(bot)] || 0) + 1 }), {});
  return html`
    <div class="top"><h1>Bots</h1><${ExchangeChoice} chosen=${exchange} onChoose=${choose} />
      <div class="aside">${who.rest?.scope === "manage" && html`<a class="button primary" href="#/bots/new">New bot</a>`}</div></div>
    <${Panel} wide>
      <p>${Object.entries(states).map(([name, number]) => html`<${Badge} tone=${FIRST.includes(name) ? "bad" : undefined} text=${`${number} ${name}`} /> `)}
        ${wallet && html`<span class="quiet">of the wallet <${Id} of=${wallet} href="#/wallets" />; <a href="#/bots">all</a></span>`}</p>
      <${Loaded} of=${bots} empty=${{ when: (d) => !d.bots.length, title: "No bots", text: "A bot trades by a strategy for a wallet. Add a wallet first, then a bot." }}>
        ${({ bots: rows, open }) => html`<${Table} label="Bots" rows=${rows} rowKey=${(b) => b.id} onRow=${(b) => { location.hash = `#/bots/${b.id}`; }} columns=${[
          { name: "bot", cell: (b) => html`<a href=${`#/bots/${b.id}`}>${b.name}</a><div class="quiet small">${titleOf(b.strategy)}</div>` },
          { name: "state", cell: (b) => html`<${State} of=${b} />${b.reason && html`<div class="small down">${plain(b.reason)}</div>`}` },
          { name: "trades", hide: "s", cell: (b) => html`<span class="num">${symbolOf(b.instruments[0])}</span>${b.instruments.length > 1 ? ` +${b.instruments.length - 1}` : ""}<div class="quiet small">${exchangeOf(b.instruments[0])}</div>` },
          { name: "today", right: true, cell: (b) => html`<span class=${toneOf(today(b))}>${change(today(b))}</span><div class="quiet small">${currencyOf(b.instruments[0])}</div>` },
          { name: "result", right: true, hide: "m", cell: (b) => html`<span class=${toneOf(b.equity?.result)}>${change(b.equity?.result)}</span>` },
          { name: "holds", right: true, hide: "m", cell: (b) => figure(b.holdings?.[0]?.size ?? 0) },
          { name: "open orders", right: true, hide: "m", cell: (b) => (open.has(b.id) ? count(open.get(b.id)) : "") },
          { name: "why the present quote", hide: "m", cell: (b) => html`<span class="clamp quiet small" title=${(b.slots || []).map((s) => `${s.slot}: ${rounded(s.explanation)}`).join("\n")}>${rounded(b.slots?.[0]?.explanation)}</span>` },
        ]} />`}
      <//>
    <//>`;
}
