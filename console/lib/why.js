// Why a follower did, or did not, copy a leader's trade: sentences with the numbers in them.

import { get } from "./api.js";
import { brief, duration, price, shares, usdc, word } from "./format.js";
import { hops } from "./hops.js";
import { html } from "./html.js";
import { Badge, Id, Loaded, Panel, Time, useLoaded } from "./ui.js";

const ORDERS = 8;
const UNDER_WAY = /CLAIMED|SUBMITTING|SUBMITTED|UNKNOWN/, FOR_A_PERSON = /DEAD|RESURRECTED/;

let known = null;

/** Codes with their meaning and what a follower can do, as docs/reasons.md has them. */
async function reasons() {
  known ??= fetch("reasons.json").then((answer) => (answer.ok ? answer.json() : {}), () => {
    known = null;
    return {};
  });
  return known;
}

/** What a reason code means, and the numbers that were compared. */
export function Because({ code, detail }) {
  const all = useLoaded(reasons, []);
  if (!code) return null;
  const { meaning = "", advice = "" } = all.data?.[code] || {};
  return html`<p>Because: <strong>${meaning || word(code)}</strong> ${detail && html`<span class="num">(${brief(detail)})</span>`}
    <span class="quiet small"> ${code}</span></p>
    ${advice && advice !== "Nothing." && html`<p class="quiet">What the follower can do: ${advice}</p>`}`;
}

/** [what came of it, tone, the code that decided]. */
function outcomeOf(decision) {
  const orders = decision.orders || [];
  if (!decision.copied) return ["not copied", "warn", decision.reason];
  if (decision.paperSize != null) return ["on paper", "", decision.reason];
  const code = decision.reason || orders.find((one) => one.reason)?.reason || "";
  if (orders.some((one) => FOR_A_PERSON.test(one.state))) return ["a person has to look", "bad", code];
  if (!orders.length || orders.some((one) => UNDER_WAY.test(one.state))) return ["under way", "warn", code];
  if (!orders.some((one) => Number(one.filledSize) > 0)) return ["not copied", "warn", code];
  return code ? ["copied in part", "ok", code] : ["copied", "ok", ""];
}

const each = (notional, size) => (Number(size) > 0 ? `, ${price(String(Number(notional) / Number(size)))} each` : "");

/** One decision: whose, what came of it, and why. */
export function Decision({ of: { decision, subscriptionId, followerProxy, leader } }) {
  const orders = useLoaded(
    () => Promise.all((decision.orders || []).slice(0, ORDERS).map((one) => get(`/orders/${one.id}`))),
    [decision.leaderTx, subscriptionId, (decision.orders || []).map((one) => one.state + one.filledSize)],
  );
  const [outcome, tone, code] = outcomeOf(decision);
  const whole = new Map((orders.data || []).map((one) => [one.id, one]));
  return html`<${Panel} wide title=${html`Follower ${followerProxy ? html`<${Id} of=${followerProxy} href=${`#/subscriptions?wallet=${followerProxy}`} />` : ""}`}
      aside=${html`<${Badge} tone=${tone} text=${outcome} />`}>
    <p>The leader ${leader && html`<${Id} of=${leader} href=${`#/leaders/${leader}`} /> `}${decision.side === "SIDE_BUY" ? "bought" : "sold"}
      ${" "}<span class="num">${shares(decision.leaderSize)}</span> shares for <span class="num">${usdc(decision.leaderNotional)}</span> USDC${each(decision.leaderNotional, decision.leaderSize)},
      of the outcome <${Id} of=${decision.assetId} /> in the market <${Id} of=${decision.conditionId} />. Decided <${Time} at=${decision.decidedAt} />.</p>
    ${decision.paperSize != null && html`<p>A shadow sends nothing; on paper it is <span class="num">${shares(decision.paperSize)}</span> shares for ${usdc(decision.paperNotional)} USDC.</p>`}
    <${Because} code=${code} detail=${code === decision.reason ? decision.detail : ""} />
    ${(decision.orders || []).map((brief) => html`<${Placed} key=${brief.id} brief=${brief} order=${whole.get(brief.id)} />`)}
    ${decision.copied && !(decision.orders || []).length && decision.paperSize == null && html`<p class="quiet">Its order has not been written down so far.</p>`}
    <p><a href=${`#/subscriptions/${subscriptionId}`}>Its subscription</a></p>
  <//>`;
}

function Placed({ brief, order }) {
  const state = html`<${Badge} text=${word(brief.state, "ORDER_STATE_")} />`;
  if (!order) return html`<p><a href=${`#/orders/${brief.id}`}>Order</a> ${state} ${word(brief.reason)}</p>`;
  const own = hops(order.times).own;
  return html`<p><a href=${`#/orders/${brief.id}`}>Order</a> ${state}: ${word(order.side, "SIDE_")} <span class="num">${shares(order.size)}</span> shares
    for ${order.side === "SIDE_BUY" ? "at most" : "at least"} ${price(order.limitPrice)} each; <span class="num">${shares(order.filledSize)}</span> filled for
    ${" "}${usdc(order.filledNotional)} USDC, fees ${usdc(order.fees)}.${own == null ? "" : ` From frame to first byte ${duration(own)}.`} ${brief.reason && word(brief.reason)}</p>`;
}

/** The decision behind an order, or the trigger that it is the exit of. */
export function WhyOrder({ order }) {
  const { subscriptionId, leaderTx, follower, leader, id } = order;
  const found = useLoaded(
    () => (subscriptionId && leaderTx ? get(`/subscriptions/${subscriptionId}/decisions`, { leaderTx, pageSize: 50 }) : Promise.resolve({})),
    [subscriptionId, leaderTx],
  );
  if (order.triggerId) {
    return html`<${Panel} wide title="Why"><p>It follows no leader's trade: <a href=${`#/guard/${order.triggerId}`}>a trigger</a> has fired and sells.</p>
      <${Because} code=${order.reason} /><//>`;
  }
  return html`<${Loaded} of=${found}>${({ decisions = [] }) => {
    const mine = decisions.filter((one) => (one.orderIds || []).includes(id));
    if (!mine.length) return html`<${Panel} wide title="Why"><${Because} code=${order.reason} />${!order.reason && html`<p class="quiet">Nothing more is known than what stands here.</p>`}<//>`;
    return mine.map((decision) => html`<${Decision} key=${decision.assetId + decision.side} of=${{ decision, subscriptionId, followerProxy: follower?.followerProxy, leader }} />`);
  }}<//>`;
}
