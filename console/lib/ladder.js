// A position between its stops and its targets: where each fires, the price of now, and how far it is.

import { get } from "./api.js";
import { percent, price } from "./format.js";
import { html } from "./html.js";

const WATCHES = /SUSPENDED|NEEDS_CONFIRM|TRIGGERED|CLOSING|ARMED|WAITING/;
const POSITIONS = 20;
export const watches = (trigger) => WATCHES.test(trigger.status);

/** Prices at which a trigger fires; none of one that waits for a time, or for its first peak. */
export function firesAt(t) {
  if (t.fireAtMs) return [];
  const peak = Number(t.peakPrice || 0);
  if (t.callbackFraction) return peak ? [peak * (1 - Number(t.callbackFraction))] : [];
  if (t.callbackPrice) return peak ? [peak - Number(t.callbackPrice)] : [];
  if (t.rungs?.length) return t.rungs.slice(t.rungsSold || 0).map((rung) => Number(rung.triggerPrice));
  return t.triggerPrice ? [Number(t.triggerPrice)] : [];
}

const above = (t) => /TAKE_PROFIT|LADDER/.test(t.triggerType);

/** How far the price has to go until a trigger fires, as a part of it; null: nobody knows. */
export function distance(t, now) {
  const [next] = firesAt(t);
  if (next == null || !now) return null;
  return Math.max(0, above(t) ? next - now : now - next) / now;
}

export function Distance({ of: t, now }) {
  if (!watches(t)) return "";
  const part = distance(t, now);
  if (part == null) return html`<span class="quiet">–</span>`;
  return part === 0 ? html`<span class="down">reached</span>` : html`<span title=${`${price(now)} now`}>${percent(part)}</span>`;
}

const keyOf = ({ subscriptionId, assetId }) => `${subscriptionId}/${assetId}`;

/** Positions that triggers watch, by `keyOf`: {entry, now}, USDC a share. Those of at most 20 subscriptions. */
export async function watchedPositions(triggers) {
  const of = [...new Set(triggers.filter(watches).map((one) => one.subscriptionId).filter(Boolean))].slice(0, POSITIONS);
  const found = await Promise.all(of.map(async (subscriptionId) => {
    const { positions = [] } = await get(`/subscriptions/${subscriptionId}/positions`, { pageSize: 200, open: "true" });
    return positions.map((one) => [keyOf({ subscriptionId, assetId: one.assetId }), one]);
  }));
  return new Map(found.flat().map(([key, one]) => {
    const size = Number(one.size), sellable = Number(one.sellableSize ?? one.size);
    return [key, { entry: size ? Number(one.cost) / size : null, now: one.value != null && sellable ? Number(one.value) / sellable : null }];
  }));
}

export const positionOf = (positions, trigger) => positions?.get(keyOf(trigger)) || {};

const name = (t) => t.triggerType.replace("TRIGGER_TYPE_", "").replaceAll("_", " ").toLowerCase();

/** One position on a line of prices. triggers: those that watch it. */
export function Ladder({ triggers, entry, now }) {
  const marks = [
    ...triggers.filter(watches).flatMap((t) => firesAt(t).map((at) => ({ at, tone: above(t) ? "ok" : "bad", said: name(t), part: distance(t, now) }))),
    ...(entry ? [{ at: entry, tone: "quiet", said: "entry" }] : []),
    ...(now ? [{ at: now, tone: "accent", said: "now", dot: true }] : []),
  ].sort((a, b) => a.at - b.at);
  if (marks.length < 2) return html`<p class="quiet">No price of it is known now.</p>`;
  const low = marks[0].at, range = marks.at(-1).at - low || 1;
  const x = (at) => 12 + (976 * (at - low)) / range;
  const text = ({ said, at, part }) => `${said} ${price(at)}${part == null ? "" : part ? `, ${percent(part)} away` : ", reached"}`;
  return html`<figure class="ladder">
    <svg viewBox="0 0 1000 36" preserveAspectRatio="none" height="36" width="100%" role="img" aria-label=${marks.map(text).join("; ")}>
      <line class="axis" x1="12" x2="988" y1="18" y2="18" />
      ${marks.map(({ at, tone, dot }) => html`<line class=${tone} x1=${x(at)} x2=${x(at)} y1=${dot ? 2 : 8} y2=${dot ? 34 : 28} />`)}
    </svg>
    <figcaption>${marks.map((mark) => html`<span><span class=${`key ${mark.tone}`}></span>${mark.said} <strong class="num">${price(mark.at)}</strong>
      ${mark.part != null && html` <span class="quiet">${mark.part ? `${percent(mark.part)} away` : "reached"}</span>`}</span>`)}</figcaption>
  </figure>`;
}
