// Why: what each follower did about one trade of a leader.

import { get, operate } from "../lib/api.js";
import { count } from "../lib/format.js";
import { html } from "../lib/html.js";
import { Empty, Id, Loaded, useLoaded } from "../lib/ui.js";
import { Decision } from "../lib/why.js";

const TX = /^0x[0-9a-fA-F]{64}$/, ONE = /^(sub_[0-9a-f]{32})\/(0x[0-9a-fA-F]{64})$/;

/** Everybody's decisions on a transaction: [{decision, subscriptionId, followerProxy, leader}]. */
async function decisionsOn(tx) {
  const found = [];
  let pageToken = "";
  do {
    const page = await operate("ListDecisions", { leaderTx: tx, pageSize: 100, pageToken });
    found.push(...page.decisions);
    pageToken = page.nextPageToken;
  } while (pageToken && found.length < 200);
  return { found, more: !!pageToken };
}

/** Those of one subscription. */
async function decisionsOf(subscriptionId, tx) {
  const [of, page] = await Promise.all([
    get(`/subscriptions/${subscriptionId}`), get(`/subscriptions/${subscriptionId}/decisions`, { leaderTx: tx, pageSize: 200 }),
  ]);
  const same = { subscriptionId, followerProxy: of.follower.followerProxy, leader: of.leader };
  return { found: (page.decisions || []).map((decision) => ({ ...same, decision })), more: false };
}

export default function Why({ id, who }) {
  const one = id.match(ONE);
  const tx = one ? one[2] : id;
  const asked = one ? () => decisionsOf(one[1], tx) : () => decisionsOn(tx);
  const allowed = one || who.operator;
  const decisions = useLoaded(() => (TX.test(tx) && allowed ? asked() : Promise.resolve({ found: [] })), [id], 5);
  return html`
    <div class="top"><h1>Why</h1><span class="quiet">transaction <${Id} of=${tx} /></span>
      <div class="aside">${one && who.operator && html`<a class="button" href=${`#/why/${tx}`}>All followers</a>`}</div></div>
    ${!TX.test(tx) ? html`<${Empty} title="No such trade">Expected a leader's transaction: 0x and 64 hex digits.<//>`
      : !allowed ? html`<${Empty} title="Whose copy?">Without an operator's token one follower's decisions are shown: go by a subscription or an order.<//>`
      : html`<${Loaded} of=${decisions} empty=${{ when: (d) => !d.found.length, title: "Nothing was decided about it",
          text: "Nobody follows that leader, or the trade was not seen so far." }}>
        ${({ found, more }) => html`<p class="quiet">${found.length > 1 ? `${count(found.length)} decisions, ${count(found.filter((one) => one.decision.copied).length)} to copy.` : ""} ${more ? "There are more." : ""}</p>
          <div class="grid">${found.map((one) => html`<${Decision} key=${one.subscriptionId + one.decision.assetId + one.decision.side} of=${one} />`)}</div>`}<//>`}`;
}
