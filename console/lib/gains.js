// How a subscription gains: beside its leader over time, by the quality of its copies, and by what it missed.

import { get } from "./api.js";
import { amount, count, gain, millis, percent, toneOf, usdc, word } from "./format.js";
import { html, useMemo, useState } from "./html.js";
import { Chart } from "./chart.js";
import { Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "./ui.js";

const DAY_S = 86_400, NONE = [];
const seconds = (instant) => Date.parse(instant) / 1000;

/** Buttons of which one is pressed. */
export const Choices = ({ of, chosen, onChoose, label }) => html`<div class="choices" role="group" aria-label=${label}>
  ${of.map(([value, said]) => html`<button type="button" aria-pressed=${value === chosen} onClick=${() => onChoose(value)}>${said}</button>`)}
</div>`;

export function Equity({ id, leader }) {
  const [interval, choose] = useState("1h");
  const series = useLoaded(() => get(`/subscriptions/${id}/performance`, { interval }), [id, interval], 60);
  // A leader of whom no statistics are kept so far is no fault of this page.
  const his = useLoaded(() => get(`/leaders/${leader}`).catch((error) => {
    if (error.status === 404 || error.status === 503) return { days: NONE };
    throw error;
  }), [leader], 15);
  return html`<${Panel} wide title="Equity beside the leader's" aside=${html`<${Choices} label="Interval" chosen=${interval} onChoose=${choose}
      of=${[["1h", "a week by the hour"], ["1d", "90 days"]]} />`}>
    <${Loaded} of=${series} empty=${{ when: (d) => (d.points || []).length < 2, title: "No curve so far", text: "A point is added at the end of each hour." }}>
      ${(data) => html`<${Curves} points=${data.points} days=${his.data?.days || NONE} />`}<//>
  <//>`;
}

const last = (values) => values.findLast((value) => value != null);

function Curves({ points, days }) {
  const { times, lines, own, theirs } = useMemo(() => curves(points, days), [points, days]);
  const worst = Math.max(0, ...points.map((point) => Number(point.drawdown || 0)));
  return html`<div class="figures">
      <${Figure} name="this subscription" value=${gain(last(own))} tone=${last(own) < 0 ? "bad" : last(own) > 0 ? "ok" : ""} note="USDC, after fees, since it began" />
      <${Figure} name="the leader" value=${gain(last(theirs))} note=${theirs.length ? "USDC of his own money, in the time shown" : "no statistics of him so far"} />
      <${Figure} name="largest drawdown" value=${usdc(worst)} note="of the points shown" />
    </div>
    <${Chart} times=${times} lines=${lines} height=${240} value=${(v) => usdc(v)} tick=${amount} label="Equity of the subscription and of its leader over time, USDC" />
    <p class="field-note">The leader's line has its own scale, on the right: he trades with another amount of money. Hours in which something
      held had no price have no point.</p>`;
}

/** Both series on one axis of time; the leader's counts from the first point on. */
function curves(points, days) {
  const from = seconds(points[0].at), to = seconds(points.at(-1).at);
  const known = days.map((day) => [Math.min(seconds(day.day) + DAY_S, to), Number(day.equity ?? day.cumulative)]);
  const before = known.findLast(([at]) => at <= from)?.[1] ?? 0;
  const leader = new Map(known.filter(([at]) => at >= from).map(([at, value]) => [at, value - before]));
  if (leader.size && known.some(([at]) => at <= from)) leader.set(from, 0);
  const of = new Map(points.map((point) => [seconds(point.at), point]));
  const times = [...new Set([...of.keys(), ...leader.keys()])].sort((a, b) => a - b);
  const number = (text) => (text == null ? null : Number(text));
  const own = times.map((at) => number(of.get(at)?.equity));
  const realised = times.map((at) => (of.has(at) ? Number(of.get(at).realised) - Number(of.get(at).fees) : null));
  const theirs = leader.size ? times.map((at) => leader.get(at) ?? null) : [];
  const lines = [
    { name: "equity", values: own, fill: true },
    { name: "realised, after fees", values: realised, tone: "quiet", dash: true, through: true },
  ];
  if (leader.size) lines.push({ name: "the leader", values: theirs, tone: "warn", right: true, through: true });
  return { times, lines, own, theirs };
}

const SPANS = [[1, "a day"], [7, "a week"], [30, "30 days"]];

export function Quality({ id }) {
  const [days, choose] = useState(7);
  const [by, group] = useState("market");
  const from = () => ({ fromMs: Date.now() - days * DAY_S * 1000 });
  const quality = useLoaded(() => get(`/subscriptions/${id}/copy-quality`, { ...from(), by, pageSize: 20 }), [id, days, by], 30);
  const missed = useLoaded(() => get(`/subscriptions/${id}/missed-copies`, from()), [id, days], 30);
  const span = html`<${Choices} label="Time" chosen=${days} onChoose=${choose} of=${SPANS} />`;
  return html`
    <${Panel} wide title="Copy quality" aside=${span}>
      <${Loaded} of=${quality} empty=${{ when: (d) => !(d.groups || []).length, title: "No copies in this time", text: "They are measured against the leader's own price." }}>
        ${(data) => html`<${Total} of=${data.total} />
          <div class="by"><${Choices} label="Put together by" chosen=${by} onChoose=${group} of=${[["market", "by market"], ["hour", "by hour"], ["order", "by order"]]} /></div>
          <${Table} label=${`Copies by ${by}`} rows=${data.groups} rowKey=${(g) => g.key} columns=${columns(by)} />
          ${data.nextPageToken && html`<p class="quiet small">The first 20; the rest is in the totals.</p>`}`}<//>
    <//>
    <${Panel} wide title="What my filters cost">
      <${Loaded} of=${missed} empty=${{ when: (d) => !(d.reasons || []).length, title: "Nothing was missed", text: "Every trade of the leader in this time was copied in full." }}>
        ${(data) => html`<${Missed} of=${data} />`}<//>
    <//>`;
}

const ticks = (value) => (value == null ? "" : `${value.toFixed(1)} ticks a share`);

const Total = ({ of: total }) => html`<div class="figures">
  <${Figure} name="copies made" value=${gain(total.made)} tone=${Number(total.made) < 0 ? "bad" : Number(total.made) > 0 ? "ok" : ""} note=${total.made == null ? "some have no price" : "USDC since, after fees"} />
  <${Figure} name="the leader made" value=${gain(total.leaderMade)} note="with as many shares, at his price" />
  <${Figure} name="lost on the way" value=${usdc(total.trackingError)} note="slippage and fees" />
  <${Figure} name="slippage" value=${usdc(total.slippage)} note=${ticks(total.slippageTicks)} />
  <${Figure} name="filled" value=${percent(total.filledFraction)} note=${`${count(total.filledOrders)} of ${count(total.orders)} orders`} />
  <${Figure} name="delay, p50" value=${millis(total.delayP50Us)} note=${`p90: ${millis(total.delayP90Us)}`} />
</div>`;

const KEYS = {
  market: (g) => html`<${Id} of=${g.key} />`,
  hour: (g) => html`<${Time} at=${g.key} />`,
  order: (g) => html`<${Id} of=${g.key} href=${`#/orders/${g.key}`} />`,
};
const columns = (by) => [
  { name: by, cell: KEYS[by] },
  { name: "orders", right: true, hide: "s", cell: (g) => count(g.orders) },
  { name: "filled", right: true, hide: "m", cell: (g) => percent(g.filledFraction) },
  { name: "for", right: true, cell: (g) => usdc(g.notional) },
  { name: "slippage", right: true, cell: (g) => usdc(g.slippage) },
  { name: "fees", right: true, hide: "m", cell: (g) => usdc(g.fees) },
  { name: "delay p50", right: true, hide: "m", cell: (g) => millis(g.delayP50Us) },
  { name: "made", right: true, cell: (g) => html`<span class=${toneOf(g.made)}>${gain(g.made)}</span>` },
  { name: "leader made", right: true, hide: "s", cell: (g) => gain(g.leaderMade) },
];

function Missed({ of: { reasons, total } }) {
  const made = Number(total.made);
  const verdict = made > 0 ? `Together they have cost ${usdc(made)} USDC so far.` : made < 0 ? `Together they have saved ${usdc(-made)} USDC so far.` : "Together they have cost nothing so far.";
  return html`<p><strong>${verdict}</strong> <span class="quiet">What was not copied is worth that much more or less now than it would have cost.</span></p>
    <${Table} label="What each reason has cost" rows=${reasons} rowKey=${(r) => r.reason} columns=${[
      { name: "reason", cell: (r) => word(r.reason) },
      { name: "trades", right: true, cell: (r) => count(r.number) },
      { name: "would have cost", right: true, hide: "s", cell: (r) => usdc(r.cost) },
      { name: "has cost", right: true, cell: (r) => (Number(r.made) > 0 ? html`<span class="down">${usdc(r.made)}</span>` : "") },
      { name: "has saved", right: true, cell: (r) => (Number(r.made) < 0 ? html`<span class="up">${usdc(-Number(r.made))}</span>` : "") },
      { name: "not known", right: true, hide: "m", cell: (r) => (Number(r.unknown) ? count(r.unknown) : "") },
    ]} />`;
}
