// Orders: search, and one order as a history.

import { get, operate, query as withQuery } from "../lib/api.js";
import { duration, exact, instant, micros, price, shares, usdc, word } from "../lib/format.js";
import { hops } from "../lib/hops.js";
import { html, useState } from "../lib/html.js";
import { Badge, Confirm, Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";
import { WhyOrder } from "../lib/why.js";

const STATES = ["CLAIMED", "SUBMITTING", "SUBMITTED", "CONFIRMED", "FAILED", "UNKNOWN", "LOST", "DEAD", "RESURRECTED"];
const WALLET = /^0x[0-9a-f]{40}$/i, SUBSCRIPTION = /^sub_[0-9a-f]{32}$/, ORDER = /^[0-9a-f]{64}$/;

export default function Orders({ id, query, who }) {
  return id ? html`<${Order} id=${id} who=${who} />` : html`<${List} query=${query} />`;
}

function List({ query }) {
  const [pages, turn] = useState([""]);
  const [wrong, say] = useState("");
  const text = query.get("q") || "", state = query.get("state") || "";
  const asked = {
    pageSize: 50, pageToken: pages.at(-1), state: state && `ORDER_STATE_${state}`,
    followerProxy: WALLET.test(text) ? text : "", subscription: SUBSCRIPTION.test(text) ? text : "",
  };
  const orders = useLoaded(() => get("/orders", asked), [asked], pages.length === 1 ? 5 : 0);
  const search = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const q = form.get("q").trim();
    if (ORDER.test(q)) return void (location.hash = `#/orders/${q}`);
    if (q && !WALLET.test(q) && !SUBSCRIPTION.test(q)) {
      return say("Expected an order's id, a wallet (0x and 40 hex digits) or a subscription (sub_...).");
    }
    say("");
    turn([""]);
    location.hash = withQuery("#/orders", { q, state: form.get("state") });
  };
  return html`
    <div class="top"><h1>Orders</h1></div>
    <${Panel} wide>
      <form class="row" onSubmit=${search}>
        <label class="grow">Search for <input name="q" type="search" key=${text} defaultValue=${text} placeholder="order, wallet or subscription"
          aria-describedby="q-note" /></label>
        <label>State <select name="state" key=${state}><option value="">any</option>
          ${STATES.map((one) => html`<option value=${one} selected=${one === state}>${word(one)}</option>`)}</select></label>
        <button class="primary" type="submit">Search</button>
      </form>
      <p id="q-note" class="field-note" role="status">${wrong}</p>
      <${Loaded} of=${orders} empty=${{ when: (d) => !(d.orders || []).length, title: "No such order",
        text: "Nothing was claimed that fits. A trade that was skipped has a decision and no order: look at its subscription." }}>
        ${(data) => html`<${Table} label="Orders, newest first" rows=${data.orders} rowKey=${(o) => o.id}
            onRow=${(o) => { location.hash = `#/orders/${o.id}`; }} columns=${COLUMNS} />
          <div class="pager">${pages.length > 1 && html`<button type="button" onClick=${() => turn(pages.slice(0, -1))}>Newer</button>`}
            ${data.nextPageToken && html`<button type="button" onClick=${() => turn([...pages, data.nextPageToken])}>Older</button>`}</div>`}
      <//>
    <//>`;
}

const COLUMNS = [
  { name: "claimed", hide: "s", cell: (o) => html`<${Time} at=${o.times?.claimedAt || o.times?.decidedAt} />` },
  { name: "order", cell: (o) => html`<${Id} of=${o.id} href=${`#/orders/${o.id}`} />` },
  { name: "state", cell: (o) => html`<${Badge} text=${word(o.state, "ORDER_STATE_")} />` },
  { name: "purpose", hide: "m", cell: (o) => word(o.purpose, "ORDER_PURPOSE_") },
  { name: "side", cell: (o) => html`<span class=${o.side === "SIDE_BUY" ? "up" : "down"}>${word(o.side, "SIDE_")}</span>` },
  { name: "shares", right: true, cell: (o) => shares(o.size) },
  { name: "limit", right: true, hide: "m", cell: (o) => price(o.limitPrice) },
  { name: "filled", right: true, cell: (o) => shares(o.filledSize) },
  { name: "own time", right: true, hide: "m", cell: (o) => duration(hops(o.times).own) },
  { name: "reason", hide: "m", cell: (o) => word(o.reason) },
];

function Order({ id, who }) {
  const order = useLoaded(() => get(`/orders/${id}`), [id], 3);
  const history = useLoaded(() => (who.operator ? operate("GetOrder", { orderKey: id }) : Promise.resolve(null)), [id], 5);
  return html`
    <div class="top"><h1>Order</h1><span class="quiet"><${Id} of=${id} /></span>
      <div class="aside"><a class="button" href="#/orders">All orders</a></div></div>
    <${Loaded} of=${order}>${(data) => html`<div class="grid">
      <${Panel} wide title=${word(data.purpose, "ORDER_PURPOSE_")} aside=${html`<${Badge} text=${word(data.state, "ORDER_STATE_")} />`}>
        <div class="figures">
          <${Figure} name="side" value=${word(data.side, "SIDE_")} />
          <${Figure} name="shares" value=${shares(data.size)} note=${`limit ${price(data.limitPrice)}`} />
          <${Figure} name="filled" value=${shares(data.filledSize)} note=${`for ${usdc(data.filledNotional)} USDC`} />
          <${Figure} name="fees" value=${usdc(data.fees)} />
          <${Figure} name="own time" value=${duration(hops(data.times).own)} note="from frame to first byte" />
        </div>
        <dl class="facts">
          <dt>follower</dt><dd><${Id} of=${data.follower?.followerProxy} href=${`#/orders?q=${data.follower?.followerProxy}`} /></dd>
          ${data.subscriptionId && html`<dt>subscription</dt><dd><${Id} of=${data.subscriptionId} href=${`#/subscriptions/${data.subscriptionId}`} /></dd>`}
          ${data.leader && html`<dt>leader</dt><dd><${Id} of=${data.leader} href=${`#/leaders/${data.leader}`} /></dd>`}
          ${data.leaderTx && html`<dt>leader's transaction</dt><dd><${Id} of=${data.leaderTx} />
            ${who.operator && html` <a href=${`#/why/${data.leaderTx}`}>all followers</a>`}</dd>`}
          ${data.triggerId && html`<dt>trigger</dt><dd><a href=${`#/guard/${data.triggerId}`}>${data.triggerId.slice(0, 10)}…</a></dd>`}
          <dt>market</dt><dd><${Id} of=${data.conditionId} /></dd><dt>outcome</dt><dd><${Id} of=${data.assetId} /></dd>
        </dl>
      <//>
      <${WhyOrder} order=${data} />
      <${Panel} wide title="Hops" aside="each bar is that hop's share of the time"><${Hops} times=${data.times} /><//>
      ${history.data && html`<${History} of=${history.data} who=${who} reload=${history.reload} />`}
      ${!who.operator && html`<${Panel} wide title="Transitions"><p class="quiet">An operator's token shows each transition, the exact body
        that was sent, and the proof of the audit.</p><//>`}
    </div>`}<//>`;
}

const hopTime = (ms) => (ms < 10 ? `${ms.toFixed(2)} ms` : duration(ms));

function Hops({ times }) {
  const { list } = hops(times);
  const most = Math.max(...list.map((hop) => hop.ms), 1);
  return html`<div class="hops">${list.map((hop) => html`<div class="hop">
    <div>${hop.name}<div class="quiet small">${hop.about}</div></div>
    <div class="bar"><meter min="0" max=${most} value=${Math.max(hop.ms, 0)} aria-label=${`${hop.name}: ${hopTime(hop.ms)}`}></meter></div>
    <div class="right num">${hopTime(hop.ms)}</div>
  </div>`)}</div>
  ${!list.length && html`<p class="quiet">No hop has both its instants so far.</p>`}`;
}

/** The bytes that were sent, which come as Base64, as a person reads them. */
function sent(base64) {
  const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  try {
    return text && JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function History({ of, who, reload }) {
  const [asking, ask] = useState(false);
  const ends = /DEAD|RESURRECTED/.test(of.state);
  const body = sent(of.order?.body || "");
  return html`
    <${Panel} wide title="Transitions" aside=${ends && who.operator?.scope === "operate" && html`<button type="button" class="danger" onClick=${() => ask(true)}>End it with evidence</button>`}>
      ${(of.transitions || []).length ? html`<${Table} label="Transitions" rows=${of.transitions || []} rowKey=${(t) => t.chainHash} columns=${[
        { name: "at", cell: (t) => html`<time title=${exact(t.occurredAt)}>${instant(t.occurredAt)}</time>` },
        { name: "from", cell: (t) => word(t.fromState, "ORDER_STATE_").replace("unspecified", "–") },
        { name: "to", cell: (t) => html`<${Badge} text=${word(t.toState, "ORDER_STATE_")} />` },
        { name: "reason", cell: (t) => word(t.reason) },
        { name: "proof", hide: "m", cell: (t) => html`<${Id} of=${t.chainHash} />` },
      ]} />` : html`<p class="quiet">No transition of it is kept.</p>`}
    <//>
    <${Panel} title="At the venue"><dl class="facts"><dt>venue's id</dt><dd><${Id} of=${of.venueOrderId} /></dd>
      <dt>filled</dt><dd>${micros(of.filledSizeMicros)} shares</dd><dt>for</dt><dd>${micros(of.filledNotionalMicros)} USDC</dd>
      <dt>fees</dt><dd>${micros(of.feeMicros)} USDC</dd></dl><//>
    <${Panel} title="The body that was sent">${body ? html`<pre class="body" tabindex="0">${body}</pre>` : html`<p class="quiet">Nothing was sent.</p>`}<//>
    ${asking && html`<${Confirm} title="End this order" action="End it" danger onEnd=${() => { ask(false); reload(); }}
      text="Find out at insiders-api what is true of it, by its key. This is audited and cannot be taken back."
      onDo=${(form) => operate("ResolveOrder", { orderKey: of.order.orderKey, toState: form.get("to"), evidence: form.get("evidence"), operator: who.operator.id })}>
      <label>It was <select name="to"><option value="ORDER_STATE_FAILED">never filled: nothing of it stands</option>
        <option value="ORDER_STATE_CONFIRMED">filled as it is booked</option></select></label>
      <label>Evidence <textarea name="evidence" required minlength="10" maxlength="4000" rows="3"></textarea></label>
    <//>`}`;
}
