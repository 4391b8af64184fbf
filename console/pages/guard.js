// Guard: what watches the positions. Suspended and stuck ones first.

import { get, post, query as withQuery, remove } from "../lib/api.js";
import { exact, price, shares, word } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { Badge, Confirm, Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";

const LIVE = ["SUSPENDED", "STUCK", "TRIGGERED", "ARMED", "WAITING"];
const rank = (trigger) => {
  const at = LIVE.indexOf(trigger.status.replace("TRIGGER_STATUS_", ""));
  return at < 0 ? LIVE.length : at;
};

export default function Guard({ id, query, who }) {
  return id ? html`<${Trigger} id=${id} who=${who} />` : html`<${List} query=${query} />`;
}

async function loadAll(wallet, status) {
  const found = [];
  let pageToken = "";
  do {
    const page = await get("/triggers", { wallet, status, pageSize: 200, pageToken });
    found.push(...(page.triggers || []));
    pageToken = page.nextPageToken;
  } while (pageToken && found.length < 1000);
  return { triggers: found.sort((a, b) => rank(a) - rank(b)), more: !!pageToken };
}

function List({ query }) {
  const wallet = query.get("wallet") || "", status = query.get("status") || "";
  const triggers = useLoaded(() => loadAll(wallet, status && `TRIGGER_STATUS_${status}`), [wallet, status], 5);
  const counts = (triggers.data?.triggers || []).reduce((all, one) => {
    const name = one.status.replace("TRIGGER_STATUS_", "");
    return { ...all, [name]: (all[name] || 0) + 1 };
  }, {});
  return html`
    <div class="top"><h1>Guard</h1></div>
    <${Panel} wide>
      <form class="row" onSubmit=${(e) => {
        e.preventDefault();
        const form = new FormData(e.target);
        location.hash = withQuery("#/guard", { wallet: form.get("wallet").trim(), status: form.get("status") });
      }}>
        <label class="grow">Wallet <input name="wallet" type="search" key=${wallet} defaultValue=${wallet} pattern="0x[0-9a-fA-F]{40}" placeholder="0x and 40 hex digits; empty: all" /></label>
        <label>Status <select name="status">${["", ...LIVE, "DONE", "CANCELLED"].map((one) => html`<option value=${one} selected=${one === status}>${one ? word(one) : "any"}</option>`)}</select></label>
        <button type="submit" class="primary">Show</button>
      </form>
      <p>${Object.entries(counts).map(([name, number]) => html`<${Badge} text=${`${number} ${word(name)}`} /> `)}</p>
      <${Loaded} of=${triggers} empty=${{ when: (d) => !d.triggers.length, title: "No triggers",
        text: "Stops, targets and trailing stops of followers' positions appear here; a subscription may make them by itself." }}>
        ${(data) => html`<${Table} label="Triggers, those that need a look first" rows=${data.triggers} rowKey=${(t) => t.id}
            onRow=${(t) => { location.hash = `#/guard/${t.id}`; }} columns=${COLUMNS} />
          ${data.more && html`<p class="quiet">The oldest 1,000; narrow it by wallet or status.</p>`}`}
      <//>
    <//>`;
}

const COLUMNS = [
  { name: "status", cell: (t) => html`<${Badge} text=${word(t.status, "TRIGGER_STATUS_")} />` },
  { name: "kind", cell: (t) => html`<a href=${`#/guard/${t.id}`}>${word(t.triggerType, "TRIGGER_TYPE_")}</a>` },
  { name: "price", right: true, cell: (t) => terms(t) },
  { name: "shares", right: true, cell: (t) => shares(t.size) },
  { name: "outcome", hide: "m", cell: (t) => html`<${Id} of=${t.assetId} />` },
  { name: "wallet", hide: "m", cell: (t) => html`<${Id} of=${t.wallet} href=${`#/guard?wallet=${t.wallet}`} />` },
  { name: "changed", cell: (t) => html`<${Time} at=${t.updatedAt} />` },
];

const terms = (t) =>
  t.fireAtMs ? exact(Number(t.fireAtMs)).split(" (")[0]
    : t.callbackFraction ? `${(100 * Number(t.callbackFraction)).toFixed(1)} % below ${price(t.peakPrice || "")}`
    : t.callbackPrice ? `${price(t.callbackPrice)} below ${price(t.peakPrice || "")}`
    : t.rungs?.length ? t.rungs.map((rung) => price(rung.triggerPrice)).join(" / ")
    : price(t.triggerPrice);

function Trigger({ id, who }) {
  const trigger = useLoaded(() => get(`/triggers/${id}`), [id], 3);
  const history = useLoaded(() => get(`/triggers/${id}/history`, { pageSize: 200 }), [id], 5);
  const [asking, ask] = useState(false);
  return html`
    <div class="top"><h1>Trigger</h1><span class="quiet"><${Id} of=${id} /></span>
      <div class="aside">${who.rest?.scope === "manage" && trigger.data && rank(trigger.data) < LIVE.length
        && html`<button type="button" class="danger" onClick=${() => ask(true)}>Cancel it</button>`} <a class="button" href="#/guard">All triggers</a></div></div>
    <${Loaded} of=${trigger}>${(t) => html`<div class="grid">
      <${Panel} wide title=${word(t.triggerType, "TRIGGER_TYPE_")} aside=${html`<${Badge} text=${word(t.status, "TRIGGER_STATUS_")} />`}>
        <div class="figures"><${Figure} name="fires at" value=${terms(t)} /><${Figure} name="shares" value=${shares(t.size)} />
          ${t.peakPrice && html`<${Figure} name="peak seen" value=${price(t.peakPrice)} />`}</div>
        <dl class="facts"><dt>wallet</dt><dd><${Id} of=${t.wallet} href=${`#/guard?wallet=${t.wallet}`} /></dd>
          ${t.subscriptionId && html`<dt>subscription</dt><dd><${Id} of=${t.subscriptionId} href=${`#/subscriptions/${t.subscriptionId}`} /></dd>`}
          <dt>market</dt><dd><${Id} of=${t.conditionId} /></dd><dt>outcome</dt><dd><${Id} of=${t.assetId} /></dd></dl>
      <//>
      <${Panel} wide title="What it did"><${Loaded} of=${history} empty=${{ when: (d) => !(d.entries || []).length, title: "Nothing so far", text: "It watches." }}>
        ${(data) => html`<${Table} label="History" rows=${data.entries} rowKey=${(e) => e.occurredAt + e.toStatus} columns=${[
          { name: "at", cell: (e) => html`<${Time} at=${e.occurredAt} />` },
          { name: "to", cell: (e) => html`<${Badge} text=${word(e.toStatus, "TRIGGER_STATUS_")} />` },
          { name: "why", cell: (e) => e.detail },
          { name: "order", cell: (e) => e.orderId ? html`<${Id} of=${e.orderId} href=${`#/orders/${e.orderId}`} />` : "" },
        ]} />`}<//><//>
    </div>`}<//>
    ${asking && html`<${Confirm} title="Cancel this trigger?" action="Cancel the trigger" danger text="Its position is not guarded by it any more, from now on."
      onDo=${() => remove(`/triggers/${id}`)} onEnd=${() => { ask(false); trigger.reload(); }} />`}`;
}
