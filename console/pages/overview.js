// Overview: does it work, how fast, what is open, what is halted.

import { get, operate } from "../lib/api.js";
import { count, duration, gain, usdc, word } from "../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { live } from "../lib/live.js";
import { Halts } from "../lib/halts.js";
import { Badge, Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";
import { Chart } from "../lib/chart.js";
import { wrongOf } from "../lib/health.js";
import { hops } from "../lib/hops.js";
import { Portfolio } from "../lib/portfolio.js";

const OPEN = ["CLAIMED", "SUBMITTING", "SUBMITTED", "UNKNOWN"];
const MINUTES = 15;
const PIPELINE = ["ingest", "bookfeed", "router", "executor", "confirm", "guard"];

export default function Overview({ who }) {
  const health = useLoaded(() => get("/health/engine"), [], 3);
  const orders = useLoaded(() => get("/orders", { pageSize: 200 }), [], 5);
  const subscriptions = useLoaded(() => get("/subscriptions", { pageSize: 200 }), [], 10);
  return html`
    <div class="top"><h1>Overview</h1>
      <div class="aside">${health.data && html`<${Badge} text=${health.data.status} />`}</div></div>
    <div class="grid">
      <${Panel} wide title="Halts"><${Halts} who=${who} /><//>
      <${Panel} wide title="Pipeline">
        <${Loaded} of=${health}>${(data) => html`<${Pipeline} parts=${data.parts || []} />`}<//>
      <//>
      <${Panel} title="Money" aside="USDC"><${Loaded} of=${subscriptions}
        empty=${{ when: (d) => !(d.subscriptions || []).length, title: "Nobody follows anybody", text: "Create a subscription over REST, or with tt subs create." }}>
        ${(data) => html`<${Money} subscriptions=${data.subscriptions} more=${!!data.nextPageToken} />`}<//><//>
      <${Panel} title="Orders" aside=${html`<a href="#/orders">all orders</a>`}>
        <${Loaded} of=${orders}
          empty=${{ when: (d) => !(d.orders || []).length, title: "No orders so far", text: "They appear with the leaders' next trades." }}>
          ${(data) => html`<${States} orders=${data.orders} />`}<//>
      <//>
      ${who.rest && html`<${Portfolio} subscriptions=${subscriptions.data?.subscriptions} />`}
      <${Panel} title="Own time of copies" aside="from the leader's frame to the order's first byte">
        <${Loaded} of=${orders}
          empty=${{ when: (d) => !(d.orders || []).length, title: "No orders so far", text: "The first copy shows its time here." }}>
          ${(data) => html`<${OwnTime} orders=${data.orders} />`}<//>
      <//>
      <${Panel} title="Rates" aside=${`the last ${MINUTES} minutes`}><${Rates} /><//>
      ${who.operator && html`<${Panel} wide title="Circuit breakers"><${Breakers} who=${who} /><//>`}
    </div>`;
}

function Pipeline({ parts }) {
  const known = new Map(parts.map((part) => [part.name, part]));
  const rest = parts.filter((part) => !PIPELINE.includes(part.name));
  const box = (part) => html`<div class="part">
    <div class="name"><span class=${`dot ${part.serving ? (part.away || []).length ? "warn" : "ok" : "bad"}`}></span> <strong>${part.name}</strong></div>
    <div class="quiet small">${part.serving ? html`for <${Time} at=${part.since} since />` : html`<span class="down">does not answer</span>`}</div>
    ${(part.away || []).length > 0 && html`<div class="small down">${part.away.map(wrongOf).join("; ")}</div>`}
    ${part.backlogMs && Number(part.backlogMs) > 0 && html`<div class="small">oldest waits ${duration(part.backlogMs)}</div>`}
  </div>`;
  return html`<div class="pipeline">${PIPELINE.filter((name) => known.has(name)).map((name) => box(known.get(name)))}</div>
    <div class="parts">${rest.map(box)}</div>`;
}

function OwnTime({ orders }) {
  const copies = useMemo(
    () => orders.map((o) => ({ at: Date.parse(o.times?.sentAt) / 1000, ms: hops(o.times).own }))
      .filter((o) => o.at && o.ms != null).sort((a, b) => a.at - b.at),
    [orders],
  );
  const sorted = copies.map((c) => c.ms).sort((a, b) => a - b);
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  const [times, lines] = useMemo(
    () => [copies.map((c) => c.at), [{ name: "ms", values: copies.map((c) => c.ms), fill: true }]],
    [copies],
  );
  if (copies.length < 2) return html`<p class="quiet">Less than two of the newest orders copy a trade.</p>`;
  return html`<div class="figures">
      <${Figure} name="p50" value=${duration(at(0.5))} />
      <${Figure} name="p99" value=${duration(at(0.99))} />
      <${Figure} name="copies shown" value=${count(copies.length)} />
    </div>
    <${Chart} times=${times} lines=${lines} value=${duration} label="Own time of the newest copies in milliseconds" />`;
}

/** Events a minute, of kinds that a person watches. */
function Rates() {
  const [buckets, set] = useState(() => new Map());
  const keep = useRef(buckets);
  useEffect(() => {
    let due = null;
    const stop = live.follow((events) => {
      for (const event of events) {
        const kind = event.type === "leader.traded" ? "trades" : event.type === "order.placed" ? "orders"
          : event.type === "copy.skipped" ? "skipped" : null;
        if (!kind) continue;
        const minute = Math.floor(Date.parse(event.time) / 10_000) * 10;
        const bucket = keep.current.get(minute) || { trades: 0, orders: 0, skipped: 0 };
        bucket[kind] += 1;
        keep.current.set(minute, bucket);
      }
      due ??= setTimeout(() => {
        due = null;
        const oldest = Date.now() / 1000 - MINUTES * 60;
        keep.current = new Map([...keep.current].filter(([at]) => at >= oldest));
        set(keep.current);
      }, 1000);
    });
    return () => { clearTimeout(due); stop(); };
  }, []);
  const [times, lines] = useMemo(() => {
    const at = [...buckets.keys()].sort((a, b) => a - b);
    const of = (kind) => at.map((time) => buckets.get(time)[kind] * 6);
    return [at, [
      { name: "leaders' trades", values: of("trades") },
      { name: "orders placed", values: of("orders"), tone: "ok" },
      { name: "skipped", values: of("skipped"), tone: "warn" },
    ]];
  }, [buckets]);
  if (times.length < 2) return html`<p class="quiet">Counted from now on; a line appears within half a minute.</p>`;
  return html`<${Chart} times=${times} lines=${lines} height=${230} value=${(v) => `${count(v)}/min`}
    label="Events a minute: leaders' trades, orders placed, copies skipped" />`;
}

function Money({ subscriptions, more }) {
  const sum = (name) => subscriptions.reduce((total, one) => total + Number(one.statistics?.[name] || 0), 0).toFixed(6);
  const profit = sum("profit");
  const states = subscriptions.reduce((all, one) => {
    const name = word(one.state, "SUBSCRIPTION_STATE_");
    return { ...all, [name]: (all[name] || 0) + 1 };
  }, {});
  return html`<div class="figures">
      <${Figure} name="profit" value=${gain(profit)} tone=${Number(profit) < 0 ? "bad" : Number(profit) > 0 ? "ok" : ""} note="realised and marked" />
      <${Figure} name="bought" value=${usdc(sum("bought"))} />
      <${Figure} name="sold" value=${usdc(sum("sold"))} />
      <${Figure} name="value held" value=${usdc(sum("value"))} />
      <${Figure} name="fees" value=${usdc(sum("fees"))} />
    </div>
    <p class="quiet">Of ${count(subscriptions.length)}${more ? " (the oldest; there are more)" : ""} subscriptions:
      ${Object.entries(states).map(([name, number]) => html` <${Badge} text=${`${number} ${name}`} />`)}</p>`;
}

function States({ orders }) {
  const counted = orders.reduce((all, order) => {
    const name = order.state.replace("ORDER_STATE_", "");
    return { ...all, [name]: (all[name] || 0) + 1 };
  }, {});
  const open = OPEN.reduce((total, name) => total + (counted[name] || 0), 0);
  const troubled = orders.filter((o) => /UNKNOWN|LOST|DEAD|RESURRECTED/.test(o.state));
  return html`<div class="figures">
      <${Figure} name="open" value=${count(open)} />
      ${Object.entries(counted).sort().map(([name, number]) => html`<${Figure} name=${word(name)} value=${count(number)}
        tone=${/LOST|DEAD|RESURRECTED|UNKNOWN/.test(name) ? "bad" : ""} />`)}
    </div>
    <p class="quiet small">Of the newest ${count(orders.length)}.</p>
    ${troubled.length > 0 && html`<${Table} label="Orders that need a look" rowKey=${(o) => o.id} rows=${troubled} columns=${[
      { name: "order", cell: (o) => html`<${Id} of=${o.id} href=${`#/orders/${o.id}`} />` },
      { name: "state", cell: (o) => html`<${Badge} text=${word(o.state, "ORDER_STATE_")} />` },
      { name: "reason", cell: (o) => word(o.reason) || "–" },
    ]} />`}`;
}

function Breakers() {
  const breakers = useLoaded(() => operate("ListBreakers"), [], 5);
  return html`<${Loaded} of=${breakers}
    empty=${{ when: (d) => !d.breakers.length, title: "No breaker has ever opened", text: "Each server that the executors depend on has one." }}>
    ${(data) => html`<${Table} label="Circuit breakers" rowKey=${(b) => b.dependency} rows=${data.breakers} columns=${[
      { name: "of", cell: (b) => b.dependency },
      { name: "state", cell: (b) => html`<${Badge} text=${word(b.state, "BREAKER_STATE_")} />` },
      { name: "why", cell: (b) => b.reason || "–" },
      { name: "since", cell: (b) => html`<${Time} at=${b.changedAt} />` },
    ]} />`}<//>`;
}
