// One bot: how it stands, why it quotes what it quotes, its orders and fills on the price, its limits.

import { get } from "./api.js";
import { ago, count, word } from "./format.js";
import { html, useMemo, useState } from "./html.js";
import { botsOf, change, Commands, currencyOf, exchangeOf, figure, limitFigure, money, Near, nearness, plain, rounded, State, stateOf, symbolOf, today, toneOf, total } from "./bots.js";
import { Chart } from "./chart.js";
import { BotSettings } from "./bot_form.js";
import { Choices } from "./gains.js";
import { LIMITS } from "./strategies.js";
import { Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "./ui.js";

const STALE_MS = 30_000, SHOWN = 200, NONE = [];
const tone = (value) => ({ up: "ok", down: "bad" })[toneOf(value)] || "";

export function Bot({ id, who }) {
  const bot = useLoaded(() => get(`/bots/${id}`), [id], 2);
  const orders = useLoaded(() => get(`/bots/${id}/orders`, { pageSize: SHOWN }), [id], 3);
  const fills = useLoaded(() => get(`/bots/${id}/fills`, { pageSize: SHOWN }), [id], 3);
  const may = who.rest?.scope === "manage";
  return html`
    <div class="top"><h1>Bot</h1><span class="quiet">${bot.data?.name || ""} <${Id} of=${id} /></span>
      <div class="aside">${bot.data && may && html`<${Commands} of=${bot.data} onDone=${bot.reload} />`} <a class="button" href="#/bots">All bots</a></div></div>
    <${Loaded} of=${bot}>${(data) => html`<div class="grid">
      <${Standing} of=${data} orders=${orders.data?.orders} />
      <${Panel} wide title="Why the present quotes"><${Slots} id=${id} /><//>
      <${Result} of=${data} />
      <${Panel} title="Limits" aside="how near they are"><${Limits} of=${data} orders=${orders.data?.orders} /><//>
      <${Panel} wide title="Orders and fills on the price"><${Trades} of=${data} orders=${orders.data?.orders || NONE} fills=${fills.data?.fills || NONE} /><//>
      <${Panel} wide title="Positions"><${Positions} id=${id} /><//>
      <${Panel} title="Orders"><${Orders} of=${orders} /><//>
      <${Panel} title="Fills"><${Fills} of=${fills} /><//>
      <${Panel} wide title="What happened"><${Events} id=${id} /><//>
      <${BotSettings} of=${data} may=${may} onSaved=${bot.reload} />
    </div>`}<//>`;
}

function Standing({ of: bot, orders }) {
  const currency = currencyOf(bot.instruments[0]), day = today(bot);
  const stale = stateOf(bot) === "running" && bot.writtenAt && Date.now() - Date.parse(bot.writtenAt) > STALE_MS;
  return html`<${Panel} wide title="How it stands" aside=${html`<${State} of=${bot} />`}>
    ${bot.reason && html`<p class="problem">${plain(bot.reason)}</p>`}
    ${stale && html`<p class="problem" role="status">Its engine has written nothing for ${ago(bot.writtenAt)}: what you see may be old.</p>`}
    <div class="figures">
      <${Figure} name="today" value=${change(day)} tone=${tone(day)} note=${`${currency}, since midnight UTC`} />
      <${Figure} name="result" value=${change(bot.equity?.result)} tone=${tone(bot.equity?.result)} note="since it began, after fees" />
      <${Figure} name="below its peak" value=${bot.equity ? money(Number(bot.equity.peak) - Number(bot.equity.result)) : "–"} />
      <${Figure} name="fees" value=${money(total(bot, "fees"))} note=${total(bot, "fees") < 0 ? "rebates are more" : ""} />
      <${Figure} name="volume" value=${money(total(bot, "volume"))} />
      <${Figure} name="open orders" value=${orders ? count(orders.filter((one) => !one.settled).length) : "–"} />
    </div>
    <dl class="facts"><dt>trades</dt><dd>${bot.instruments.map((one) => html`<span title=${one}>${exchangeOf(one)} ${symbolOf(one)}</span> `)}</dd>
      <dt>wallet</dt><dd><${Id} of=${bot.walletId} href=${botsOf(bot.walletId)} /></dd>
      <dt>engine</dt><dd>${bot.engine || "none so far"}</dd>
      ${bot.writtenAt && html`<dt>as of</dt><dd><${Time} at=${bot.writtenAt} /></dd>`}</dl>
  <//>`;
}

function Slots({ id }) {
  const why = useLoaded(() => get(`/bots/${id}/explain`), [id], 2);
  return html`<${Loaded} of=${why} empty=${{ when: (d) => !(d.reasons || []).length, title: "It quotes nothing", text: "It does not run, or its engine has not written so far." }}>
    ${({ reasons }) => html`<${Table} label="Quotes" rows=${reasons.filter((one, at) => one.orders?.length || reasons.findIndex((other) => other.explanation === one.explanation) === at)} rowKey=${(r) => r.slot} columns=${[
      { name: "slot", cell: (r) => r.slot },
      { name: "stands", cell: (r) => (r.orders || []).map((o) => html`<div class="num"><span class=${o.side === "SIDE_BUY" ? "up" : "down"}>${word(o.side, "SIDE_")}</span> ${figure(o.size)} at ${figure(o.price)}</div>`) },
      { name: "because", cell: (r) => rounded(r.explanation) },
    ]} />`}<//>`;
}

const STEPS = [["PNL_STEP_MINUTE", "minutes"], ["PNL_STEP_HOUR", "hours"], ["PNL_STEP_DAY", "days"]];

/** What it has made over time, and by source. */
function Result({ of: bot }) {
  const [step, choose] = useState("PNL_STEP_MINUTE");
  const series = useLoaded(() => get(`/bots/${bot.id}/pnl`, { step, pageSize: 1500 }), [bot.id, step], 20);
  const points = series.data?.points || NONE;
  const { times, lines } = useMemo(() => {
    const money = points[0]?.currency;
    const own = points.filter((one) => one.currency === money).reverse();
    const number = (text) => (text == null ? null : Number(text));
    return {
      times: own.map((one) => at(one.at)),
      lines: [
        { name: "result", values: own.map((one) => number(one.result)), fill: true },
        { name: "realised", values: own.map((one) => Number(one.realised) - Number(one.fees) + Number(one.funding)), tone: "quiet", dash: true },
      ],
    };
  }, [points]);
  return html`<${Panel} title="Profit over time" aside=${html`<${Choices} label="Step" of=${STEPS} chosen=${step} onChoose=${choose} />`}>
    <${Loaded} of=${series} empty=${{ when: (d) => (d.points || []).length < 2, title: "No line so far", text: "A point is written each minute." }}>
      ${() => html`<${Chart} times=${times} lines=${lines} value=${money} tick=${figure} label="Profit of the bot over time" />
        ${points[0].sources?.length > 0 && html`<${Table} label="Profit by source" rows=${points[0].sources} rowKey=${(one) => one.source} columns=${[
          { name: "source", cell: (one) => word(one.source) },
          { name: `made, ${points[0].currency}`, right: true, cell: (one) => html`<span class=${toneOf(one.amount)}>${change(one.amount)}</span>` },
        ]} />`}`}<//><//>`;
}

function Limits({ of: bot, orders }) {
  const rows = nearness(bot, orders);
  if (!rows.length) return html`<p class="quiet">It has no limits but those of its exchange.</p>`;
  const labels = new Map(LIMITS.map((one) => [one.name, one.label]));
  return html`<${Table} label="Limits" rows=${rows.sort((a, b) => (b.part ?? -1) - (a.part ?? -1))} rowKey=${(l) => l.name} columns=${[
    { name: "limit", cell: (l) => labels.get(l.name) || l.name },
    { name: "used", right: true, cell: (l) => limitFigure(l.name, l.used) },
    { name: "of", right: true, cell: (l) => figure(l.limit) },
    { name: "", cell: (l) => html`<${Near} part=${l.part} label=${`${labels.get(l.name) || l.name}: ${limitFigure(l.name, l.used)} of ${figure(l.limit)}`} />` },
  ]} />`;
}

const at = (instant) => Date.parse(instant) / 1000;

/** One instrument's fills and resting orders over time, beside the middle of its book. */
function priced(fills, orders) {
  const points = fills.filter((one) => !one.undone).map((one) => ({ ...one, at: at(one.tradedAt) })).sort((a, b) => a.at - b.at);
  const resting = orders.filter((one) => !one.settled).slice(0, 8).map((one) => ({ ...one, at: at(one.createdAt) }));
  const now = Math.max(...resting.map((one) => one.at + 1), points.at(-1)?.at || 0, Date.now() / 1000);
  const times = [...new Set([...points.map((one) => one.at), ...resting.map((one) => one.at), ...(resting.length ? [now] : [])])].sort((a, b) => a - b);
  const by = new Map(times.map((time) => [time, {}]));
  for (const one of points) {
    const of = by.get(one.at);
    of[one.side] = Number(one.price);
    if (one.midPrice != null) of.mid = Number(one.midPrice);
  }
  const values = (name) => times.map((time) => by.get(time)[name] ?? null);
  const lines = [
    { name: "middle of the book", values: values("mid"), tone: "quiet", through: true },
    { name: "bought", values: values("SIDE_BUY"), tone: "ok", dots: true },
    { name: "sold", values: values("SIDE_SELL"), tone: "bad", dots: true },
    ...resting.map((one) => ({
      name: `${one.slot} rests at ${figure(one.price)}`, tone: one.side === "SIDE_BUY" ? "ok" : "bad", dash: true, through: true,
      values: times.map((time) => (time === one.at || time === now ? Number(one.price) : null)),
    })),
  ];
  return { times, lines };
}

function Trades({ of: bot, orders, fills }) {
  const [instrument, choose] = useState(bot.instruments[0]);
  const own = (all) => all.filter((one) => one.instrumentId === instrument);
  const { times, lines } = useMemo(() => priced(own(fills), own(orders)), [orders, fills, instrument]);
  return html`${bot.instruments.length > 1 && html`<label class="inline">Instrument <select onChange=${(e) => choose(e.target.value)}>${bot.instruments.map((one) => html`<option value=${one} selected=${one === instrument}>${symbolOf(one)}</option>`)}</select></label>`}
    ${times.length > 1 ? html`<${Chart} times=${times} lines=${lines} height=${260} value=${figure} label="Fills and resting orders on the price" />`
      : html`<p class="quiet">Its first fills appear here, beside the middle of the book.</p>`}`;
}

function Positions({ id }) {
  const positions = useLoaded(() => get(`/bots/${id}/positions`), [id], 3);
  return html`<${Loaded} of=${positions} empty=${{ when: (d) => !(d.positions || []).length, title: "It holds nothing", text: "Positions appear with the first fill." }}>
    ${(data) => html`<${Table} label="Positions" rows=${data.positions} rowKey=${(p) => p.instrumentId} columns=${[
      { name: "instrument", cell: (p) => html`<span class="num" title=${p.instrumentId}>${symbolOf(p.instrumentId)}</span>` },
      { name: "size", right: true, cell: (p) => figure(p.size) },
      { name: "average", right: true, hide: "s", cell: (p) => figure(p.averagePrice) },
      { name: "mark", right: true, cell: (p) => figure(p.mark) },
      { name: "unrealised", right: true, cell: (p) => html`<span class=${toneOf(p.unrealised)}>${change(p.unrealised)}</span>` },
      { name: "realised", right: true, hide: "s", cell: (p) => html`<span class=${toneOf(p.realised)}>${change(p.realised)}</span>` },
      { name: "fees", right: true, hide: "m", cell: (p) => money(p.fees) },
      { name: "funding", right: true, hide: "m", cell: (p) => change(p.funding) },
      { name: "in", hide: "m", cell: (p) => p.currency },
    ]} />`}<//>`;
}

function Events({ id }) {
  const events = useLoaded(() => get(`/bots/${id}/events`, { pageSize: 20 }), [id], 5);
  const said = ({ command, actor, reason, code, side, price, size, fill }) => [
    command, side && `${word(side)} ${fill?.size ?? size ?? ""} at ${fill?.price ?? price ?? "?"}`, reason || code, actor && `by ${actor}`,
  ].filter(Boolean).join("; ");
  return html`<${Loaded} of=${events} empty=${{ when: (d) => !(d.events || []).length, title: "Nothing so far", text: "Commands, changes of state and orders' ends are told here." }}>
    ${(data) => html`<${Table} label="Events, newest first" rows=${data.events} rowKey=${(e) => e.sequence} columns=${[
      { name: "at", cell: (e) => html`<${Time} at=${e.time} />` },
      { name: "what", cell: (e) => e.type.replace("bot.", "").replaceAll("_", " ") },
      { name: "", cell: (e) => said(e.data || {}) },
    ]} />`}<//>`;
}

const side = (of) => html`<span class=${of.side === "SIDE_BUY" ? "up" : "down"}>${word(of.side, "SIDE_")}</span>`;

const Orders = ({ of: orders }) => html`<${Loaded} of=${orders} empty=${{ when: (d) => !(d.orders || []).length, title: "No orders so far", text: "They come with its first quotes." }}>
  ${(data) => html`<${Table} label="Orders, newest first" rows=${data.orders.slice(0, 20)} rowKey=${(o) => o.id} columns=${[
    { name: "at", cell: (o) => html`<${Time} at=${o.createdAt} />` }, { name: "slot", hide: "s", cell: (o) => o.slot }, { name: "side", cell: side },
    { name: "price", right: true, cell: (o) => figure(o.price) }, { name: "size", right: true, cell: (o) => figure(o.size) },
    { name: "filled", right: true, hide: "m", cell: (o) => figure(o.filled) },
    { name: "state", cell: (o) => html`${word(o.state)}${o.pending ? html` <span class="quiet small">${word(o.pending)}</span>` : ""}` },
  ]} />`}<//>`;

const Fills = ({ of: fills }) => html`<${Loaded} of=${fills} empty=${{ when: (d) => !(d.fills || []).length, title: "No fills so far", text: "They come when somebody takes a quote." }}>
  ${(data) => html`<${Table} label="Fills, newest first" rows=${data.fills.slice(0, 20)} rowKey=${(f) => f.orderId + f.tradeId + f.undone} columns=${[
    { name: "at", cell: (f) => html`<${Time} at=${f.tradedAt} />` }, { name: "side", cell: side },
    { name: "price", right: true, cell: (f) => figure(f.price) }, { name: "size", right: true, cell: (f) => figure(f.size) },
    { name: "fee", right: true, hide: "s", cell: (f) => `${money(f.fee)} ${f.feeCurrency}` },
    { name: "as", hide: "m", cell: (f) => (f.undone ? "undone" : f.maker ? "maker" : "taker") },
  ]} />`}<//>`;
