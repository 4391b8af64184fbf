// Subscriptions: who follows whom and how it goes; one of them with all that it did.

import { get, patch, post, query as withQuery, remove } from "../lib/api.js";
import { brief, count, gain, millis, price, shares, toneOf, usdc, word } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { Equity, Quality } from "../lib/gains.js";
import { Settings } from "../lib/settings.js";
import { Badge, Confirm, Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";

export default function Subscriptions({ id, query, who }) {
  return id ? html`<${Detail} id=${id} who=${who} />` : html`<${List} query=${query} />`;
}

const state = (one) => word(one.state, "SUBSCRIPTION_STATE_");

function List({ query }) {
  const [pages, turn] = useState([""]);
  const wallet = query.get("wallet") || "";
  const asked = { followerProxy: wallet, pageSize: 50, pageToken: pages.at(-1) };
  const subscriptions = useLoaded(() => get("/subscriptions", asked), [asked], 5);
  return html`
    <div class="top"><h1>Subscriptions</h1></div>
    <${Panel} wide>
      <form class="row" onSubmit=${(e) => {
        e.preventDefault();
        turn([""]);
        location.hash = withQuery("#/subscriptions", { wallet: new FormData(e.target).get("wallet").trim() });
      }}>
        <label class="grow">Follower <input name="wallet" type="search" key=${wallet} defaultValue=${wallet} pattern="0x[0-9a-fA-F]{40}" placeholder="wallet; empty: all" /></label>
        <button type="submit" class="primary">Show</button>
      </form>
      <${Loaded} of=${subscriptions} empty=${{ when: (d) => !(d.subscriptions || []).length, title: "No subscriptions", text: "A follower follows a leader by POST /subscriptions, or tt subs create." }}>
        ${(data) => html`<${Table} label="Subscriptions, oldest first" rows=${data.subscriptions} rowKey=${(s) => s.id}
            onRow=${(s) => { location.hash = `#/subscriptions/${s.id}`; }} columns=${COLUMNS} />
          <div class="pager">${pages.length > 1 && html`<button type="button" onClick=${() => turn(pages.slice(0, -1))}>Older</button>`}
            ${data.nextPageToken && html`<button type="button" onClick=${() => turn([...pages, data.nextPageToken])}>Newer</button>`}</div>`}
      <//>
    <//>`;
}

const health = (s) => {
  const { ordersUnresolved = 0, ordersFailed = 0, ordersConfirmed = 0 } = s.statistics || {};
  if (Number(ordersUnresolved) > 0) return html`<${Badge} tone="bad" text=${`${ordersUnresolved} unresolved`} />`;
  if (Number(ordersFailed) > Number(ordersConfirmed)) return html`<${Badge} tone="warn" text=${`${ordersFailed} failed`} />`;
  return html`<${Badge} tone="ok" text="well" />`;
};

const COLUMNS = [
  { name: "subscription", cell: (s) => html`<${Id} of=${s.id} href=${`#/subscriptions/${s.id}`} />` },
  { name: "follower", hide: "m", cell: (s) => html`<${Id} of=${s.follower.followerProxy} href=${`#/subscriptions?wallet=${s.follower.followerProxy}`} />` },
  { name: "leader", hide: "s", cell: (s) => html`<${Id} of=${s.leader} href=${`#/leaders/${s.leader}`} />` },
  { name: "state", cell: (s) => html`<${Badge} text=${state(s)} />${s.shadow ? html` <${Badge} text="shadow" />` : ""}` },
  { name: "health", cell: health },
  { name: "profit", right: true, cell: (s) => (s.statistics?.profit == null && Number(s.statistics?.unmarkedPositions) > 0 ? html`<span class="quiet small">${count(s.statistics.unmarkedPositions)} without a price</span>`
    : html`<span class=${toneOf(s.statistics?.profit)}>${gain(s.statistics?.profit)}</span>`) },
  { name: "held", right: true, hide: "m", cell: (s) => usdc(s.statistics?.value ?? s.statistics?.openCost) },
  { name: "copied", right: true, hide: "m", cell: (s) => `${count(s.statistics?.copied || 0)} of ${count(s.statistics?.leaderTrades || 0)}` },
  { name: "delay p50", right: true, hide: "m", cell: (s) => millis(s.statistics?.copyDelayP50Us) },
];

function Detail({ id, who }) {
  const one = useLoaded(() => get(`/subscriptions/${id}`), [id], 5);
  const [asking, ask] = useState(null);
  const may = who.rest?.scope === "manage";
  const over = () => { ask(null); one.reload(); };
  return html`
    <div class="top"><h1>Subscription</h1><span class="quiet"><${Id} of=${id} /></span>
      <div class="aside">${one.data && may && state(one.data) !== "deleted" && html`
        ${state(one.data) === "active" ? html`<button type="button" onClick=${() => ask("pause")}>Pause</button>` : html`<button type="button" onClick=${() => ask("resume")}>Resume</button>`}
        <button type="button" onClick=${() => ask("delete")}>End</button>`} <a class="button" href="#/subscriptions">All subscriptions</a></div></div>
    <${Loaded} of=${one}>${(s) => html`<div class="grid">
      <${Panel} wide title="How it goes" aside=${html`<${Badge} text=${state(s)} /> ${health(s)}`}>
        <div class="figures">
          <${Figure} name="profit" value=${gain(s.statistics?.profit)} tone=${Number(s.statistics?.profit) < 0 ? "bad" : Number(s.statistics?.profit) > 0 ? "ok" : ""} note="realised and marked, after fees" />
          <${Figure} name="realised" value=${gain(s.statistics?.realised)} />
          <${Figure} name="marked" value=${gain(s.statistics?.unrealised)} note=${Number(s.statistics?.unmarkedPositions) > 0 ? `${s.statistics.unmarkedPositions} without a price` : ""} />
          <${Figure} name="bought" value=${usdc(s.statistics?.bought)} /><${Figure} name="sold" value=${usdc(s.statistics?.sold)} />
          <${Figure} name="fees" value=${usdc(s.statistics?.fees)} /><${Figure} name="slippage" value=${usdc(s.statistics?.slippage)} />
          <${Figure} name="delay, p50" value=${millis(s.statistics?.copyDelayP50Us)} note=${`p90: ${millis(s.statistics?.copyDelayP90Us)}`} />
        </div>
        <dl class="facts"><dt>follower</dt><dd><${Id} of=${s.follower.followerProxy} href=${`#/subscriptions?wallet=${s.follower.followerProxy}`} /></dd>
          <dt>leader</dt><dd><${Id} of=${s.leader} href=${`#/leaders/${s.leader}`} /></dd><dt>since</dt><dd><${Time} at=${s.createdAt} /></dd>
          <dt>orders</dt><dd><a href=${`#/orders?q=${id}`}>${count(s.statistics?.ordersConfirmed || 0)} confirmed, ${count(s.statistics?.ordersFailed || 0)} failed, ${count(s.statistics?.ordersUnresolved || 0)} unresolved</a></dd></dl>
      <//>
      <${Equity} id=${id} leader=${s.leader} />
      <${Panel} wide title="Why trades were copied or not"><${Decisions} id=${id} /><//>
      <${Panel} wide title="Positions"><${Positions} id=${id} /><//>
      <${Panel} title="Fills"><${Fills} id=${id} /><//>
      <${Panel} title="Drift" aside="from what the leader's trades would have made it hold"><${DriftTable} id=${id} /><//>
      <${Quality} id=${id} />
      <${Panel} wide title="Settings"><${Settings} of=${s} may=${may} onSaved=${one.reload} /><//>
    </div>`}<//>
    ${asking === "pause" && html`<${Confirm} title="Pause this subscription?" action="Pause" text="No entry is sent any more. What it holds goes on to follow the leader out, and its stops go on." onDo=${() => post(`/subscriptions/${id}/pause`)} onEnd=${over} />`}
    ${asking === "resume" && html`<${Confirm} title="Resume this subscription?" action="Resume" text="Entries are sent again from now on. Trades that came meanwhile are not caught up." onDo=${() => post(`/subscriptions/${id}/resume`)} onEnd=${over} />`}
    ${asking === "delete" && html`<${Confirm} title="End this subscription?" action="End it" danger text="It never buys again. What it holds follows the leader out; nothing is sold now." onDo=${() => remove(`/subscriptions/${id}`)} onEnd=${over} />`}`;
}

/** Decisions of the newest trades: a bar for each reason, which one can click. */
function Decisions({ id }) {
  const [reason, choose] = useState("");
  const all = useLoaded(() => get(`/subscriptions/${id}/decisions`, { pageSize: 200 }), [id], 5);
  const copiedOnly = reason === "copied";
  const some = useLoaded(
    () => get(`/subscriptions/${id}/decisions`, { pageSize: 50, reason: copiedOnly ? "" : reason, copied: copiedOnly ? "true" : "" }), [id, reason], 5,
  );
  return html`<${Loaded} of=${all} empty=${{ when: (d) => !(d.decisions || []).length, title: "No decision so far", text: "The leader has not traded since it began." }}>
    ${(data) => {
      const counted = Object.entries(data.decisions.reduce((sum, d) => {
        const name = d.copied ? "copied" : d.reason;
        return { ...sum, [name]: (sum[name] || 0) + 1 };
      }, {})).sort((a, b) => b[1] - a[1]);
      const most = counted[0][1];
      return html`<div class="bars" role="group" aria-label="Decisions by reason">${counted.map(([name, number]) => html`
        <button type="button" class="bar-row plain" aria-pressed=${reason === name} onClick=${() => choose(reason === name ? "" : name)}>
          <span>${word(name)}</span><meter min="0" max=${most} value=${number} aria-hidden="true"></meter><span class="num right">${count(number)}</span></button>`)}
      </div>
      <p class="quiet small">Of the newest ${count(data.decisions.length)}. ${reason && html`Shown: ${word(reason)}.`}</p>
      <${Loaded} of=${some}>${(page) => html`<${Table} label="Decisions" first=${15} rows=${page.decisions || []} rowKey=${(d) => d.leaderTx + d.assetId + d.side} columns=${[
        { name: "at", cell: (d) => html`<${Time} at=${d.decidedAt} />` },
        { name: "leader's trade", cell: (d) => html`<span class=${d.side === "SIDE_BUY" ? "up" : "down"}>${word(d.side, "SIDE_")}</span> <span class="num">${shares(d.leaderSize)}</span> <span class="num">for ${usdc(d.leaderNotional)}</span>` },
        { name: "became", cell: (d) => d.copied ? html`<${Badge} tone="ok" text="copied" />` : html`<${Badge} tone="warn" text=${word(d.reason)} />` },
        { name: "detail", hide: "s", cell: (d) => brief(d.detail) || html`${(d.orders || []).map((o) => html`<a href=${`#/orders/${o.id}`}>${word(o.state, "ORDER_STATE_")}${o.reason ? `: ${word(o.reason)}` : ""}</a> `)}` },
        { name: "transaction", hide: "m", cell: (d) => html`<${Id} of=${d.leaderTx} />` },
        { name: "", right: true, cell: (d) => html`<a href=${`#/why/${id}/${d.leaderTx}`}>why</a>` },
      ]} />`}<//>`;
    }}<//>`;
}

function Positions({ id }) {
  const positions = useLoaded(() => get(`/subscriptions/${id}/positions`, { pageSize: 200, open: "true" }), [id], 5);
  return html`<${Loaded} of=${positions} empty=${{ when: (d) => !(d.positions || []).length, title: "It holds nothing", text: "Positions appear with the first fill." }}>
    ${(data) => html`<${Table} label="Positions" first=${15} rows=${data.positions} rowKey=${(p) => p.assetId} columns=${[
      { name: "outcome", cell: (p) => html`<${Id} of=${p.assetId} />` },
      { name: "shares", right: true, cell: (p) => shares(p.size) },
      { name: "cost", right: true, cell: (p) => usdc(p.cost) },
      { name: "value", right: true, cell: (p) => usdc(p.value) },
      { name: "marked", right: true, cell: (p) => html`<span class=${toneOf(p.unrealised)}>${gain(p.unrealised)}</span>` },
      { name: "realised", right: true, hide: "m", cell: (p) => gain(p.realised) },
      { name: "slippage", right: true, hide: "m", cell: (p) => usdc(p.slippage) },
    ]} />`}<//>`;
}

function Fills({ id }) {
  const fills = useLoaded(() => get(`/subscriptions/${id}/fills`, { pageSize: 20 }), [id], 5);
  return html`<${Loaded} of=${fills} empty=${{ when: (d) => !(d.fills || []).length, title: "No fills so far", text: "They follow the first order." }}>
    ${(data) => html`<${Table} label="Fills, newest first" rows=${data.fills} rowKey=${(f) => f.orderId + f.tradeId} columns=${[
      { name: "at", cell: (f) => html`<${Time} at=${f.filledAt} />` },
      { name: "side", cell: (f) => html`<span class=${f.side === "SIDE_BUY" ? "up" : "down"}>${word(f.side, "SIDE_")}</span>` },
      { name: "shares", right: true, cell: (f) => shares(f.size) }, { name: "price", right: true, cell: (f) => price(f.price) },
      { name: "fee", right: true, hide: "s", cell: (f) => usdc(f.fee) },
      { name: "", right: true, cell: (f) => html`<a href=${`#/orders/${f.orderId}`}>why</a>` },
    ]} />`}<//>`;
}

function DriftTable({ id }) {
  const drift = useLoaded(() => get(`/subscriptions/${id}/drift`, { pageSize: 20 }), [id], 15);
  return html`<${Loaded} of=${drift} empty=${{ when: (d) => !(d.outcomes || []).length, title: "No drift", text: "It holds what it should." }}>
    ${(data) => html`<${Table} label="Drift" rows=${data.outcomes} rowKey=${(d) => d.assetId} columns=${[
      { name: "outcome", cell: (d) => html`<${Id} of=${d.assetId} />` },
      { name: "ideal", right: true, cell: (d) => shares(d.idealSize) }, { name: "held", right: true, cell: (d) => shares(d.size) },
      { name: "why", cell: (d) => [...new Set((d.reasons || []).map((r) => word(r.reason)))].join(", ") },
    ]} />`}<//>`;
}
