// Guard: what watches the positions. Suspended and stuck ones first.

import { get, post, query as withQuery, remove } from "../lib/api.js";
import { brief, exact, percent, price, shares, word } from "../lib/format.js";
import { html, useState } from "../lib/html.js";
import { Distance, distance, Ladder, positionOf, watchedPositions, watches } from "../lib/ladder.js";
import { Badge, Confirm, Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";

const LIVE = ["SUSPENDED", "NEEDS_CONFIRM", "TRIGGERED", "CLOSING", "ARMED", "WAITING"];
const OVER = ["DONE", "CANCELLED", "RESOLVED"];
const SHOWN = 10;
const said = (status) => (status.endsWith("NEEDS_CONFIRM") ? "stuck" : word(status, "TRIGGER_STATUS_"));
const rank = (trigger) => {
  const at = LIVE.indexOf(trigger.status.replace("TRIGGER_STATUS_", ""));
  return at < 0 ? LIVE.length : at;
};

export default function Guard({ id, query, who }) {
  return id ? html`<${Trigger} id=${id} who=${who} />` : html`<${List} query=${query} />`;
}

async function pagesOf(wallet, status) {
  const found = [];
  let pageToken = "";
  do {
    const page = await get("/triggers", { wallet, status, pageSize: 200, pageToken });
    found.push(...(page.triggers || []));
    pageToken = page.nextPageToken;
  } while (pageToken && found.length < 1000);
  return { found, more: !!pageToken };
}

/** Triggers, those that need a look first. An empty status: all that are not over. */
async function loadAll(wallet, status) {
  const asked = status === "ANY" ? [""] : status ? [`TRIGGER_STATUS_${status}`] : LIVE.map((one) => `TRIGGER_STATUS_${one}`);
  const pages = await Promise.all(asked.map((one) => pagesOf(wallet, one)));
  const triggers = pages.flatMap((page) => page.found).sort((a, b) => rank(a) - rank(b));
  return { triggers, more: pages.some((page) => page.more), positions: await watchedPositions(triggers) };
}

function List({ query }) {
  const wallet = query.get("wallet") || "", status = query.get("status") || "";
  const triggers = useLoaded(() => loadAll(wallet, status), [wallet, status], 5);
  const counts = (triggers.data?.triggers || []).reduce((all, one) => ({ ...all, [said(one.status)]: (all[said(one.status)] || 0) + 1 }), {});
  return html`
    <div class="top"><h1>Guard</h1>
      <div class="aside">${Object.entries(counts).map(([name, number]) => html`<${Badge} text=${`${number} ${name}`} /> `)}</div></div>
    <div class="grid">
    ${triggers.data && html`<${Positions} of=${triggers.data} />`}
    <${Panel} wide title="Triggers">
      <form class="row" onSubmit=${(e) => {
        e.preventDefault();
        const form = new FormData(e.target);
        location.hash = withQuery("#/guard", { wallet: form.get("wallet").trim(), status: form.get("status") });
      }}>
        <label class="grow">Wallet <input name="wallet" type="search" key=${wallet} defaultValue=${wallet} pattern="0x[0-9a-fA-F]{40}" placeholder="0x and 40 hex digits; empty: all" /></label>
        <label>Status <select name="status">${["", "ANY", ...LIVE, ...OVER].map((one) => html`<option value=${one} selected=${one === status}>${one === "" ? "not over" : said(one)}</option>`)}</select></label>
        <button type="submit" class="primary">Show</button>
      </form>
      <${Loaded} of=${triggers} empty=${{ when: (d) => !d.triggers.length, title: "Nothing is watched",
        text: "Stops, targets and trailing stops of followers' positions appear here; a subscription may make them by itself. Those that are over: choose any status." }}>
        ${(data) => html`<${Table} label="Triggers, those that need a look first" rows=${data.triggers} rowKey=${(t) => t.id} first=${50}
            onRow=${(t) => { location.hash = `#/guard/${t.id}`; }} columns=${columns(data.positions)} />
          ${data.more && html`<p class="quiet">The oldest 1,000; narrow it by wallet or status.</p>`}`}
      <//>
    <//></div>`;
}

/** Watched positions as lines of prices, the one nearest to a trigger first. */
function Positions({ of: { triggers, positions } }) {
  const groups = new Map();
  for (const trigger of triggers.filter(watches)) {
    const { now } = positionOf(positions, trigger);
    if (now == null) continue;
    const key = `${trigger.subscriptionId}/${trigger.assetId}`, before = groups.get(key) || { trigger, triggers: [], nearest: Infinity };
    groups.set(key, { ...before, triggers: [...before.triggers, trigger], nearest: Math.min(before.nearest, distance(trigger, now) ?? Infinity) });
  }
  if (!groups.size) return null;
  const nearest = [...groups].sort(([, a], [, b]) => a.nearest - b.nearest).slice(0, SHOWN);
  return html`<${Panel} wide title="Watched positions" aside="the nearest to a stop or a target first"><div class="watched">${nearest.map(([key, { trigger, triggers: own }]) => html`
    <div key=${key}><span class="quiet">outcome</span> <${Id} of=${trigger.assetId} href=${`#/guard/${trigger.id}`} /> <span class="quiet">of</span> <${Id} of=${trigger.wallet} href=${`#/guard?wallet=${trigger.wallet}`} />
      <${Ladder} triggers=${own} ...${positionOf(positions, trigger)} /></div>`)}</div><//>`;
}

const columns = (positions) => [
  { name: "status", cell: (t) => html`<${Badge} text=${said(t.status)} />` },
  { name: "kind", cell: (t) => html`<a href=${`#/guard/${t.id}`}>${word(t.triggerType, "TRIGGER_TYPE_")}</a>` },
  { name: "fires at", right: true, cell: (t) => terms(t) },
  { name: "away", right: true, cell: (t) => html`<${Distance} of=${t} now=${positionOf(positions, t).now} />` },
  { name: "shares", right: true, hide: "s", cell: (t) => held(t.size) },
  { name: "outcome", hide: "m", cell: (t) => html`<${Id} of=${t.assetId} />` },
  { name: "wallet", hide: "m", cell: (t) => html`<${Id} of=${t.wallet} href=${`#/guard?wallet=${t.wallet}`} />` },
  { name: "changed", hide: "s", cell: (t) => html`<${Time} at=${t.updatedAt} />` },
];

const peak = (t) => (t.peakPrice ? price(t.peakPrice) : "its peak");
const terms = (t) =>
  t.fireAtMs ? exact(Number(t.fireAtMs)).split(" (")[0]
    : t.callbackFraction ? `${percent(Number(t.callbackFraction))} below ${peak(t)}`
    : t.callbackPrice ? `${price(t.callbackPrice)} below ${peak(t)}`
    : t.rungs?.length ? t.rungs.map((rung) => price(rung.triggerPrice)).join(" / ")
    : price(t.triggerPrice);

const held = (size) => (size == null ? "all" : shares(size));

/** The other triggers of its position, and the position. */
async function beside(t) {
  if (!watches(t)) return { triggers: [t], positions: new Map() };
  const { found } = await pagesOf(t.wallet, "");
  const triggers = found.filter((one) => one.assetId === t.assetId && one.subscriptionId === t.subscriptionId);
  return { triggers, positions: await watchedPositions([t]) };
}

function Trigger({ id, who }) {
  const trigger = useLoaded(() => get(`/triggers/${id}`), [id], 3);
  const history = useLoaded(() => get(`/triggers/${id}/history`, { pageSize: 200 }), [id], 5);
  const around = useLoaded(() => (trigger.data ? beside(trigger.data) : Promise.resolve(null)), [id, trigger.data?.version, trigger.data?.status], 5);
  const [asking, ask] = useState(false);
  return html`
    <div class="top"><h1>Trigger</h1><span class="quiet"><${Id} of=${id} /></span>
      <div class="aside">${who.rest?.scope === "manage" && trigger.data && rank(trigger.data) < LIVE.length
        && html`<button type="button" class="danger" onClick=${() => ask(true)}>Cancel it</button>`} <a class="button" href="#/guard">All triggers</a></div></div>
    <${Loaded} of=${trigger}>${(t) => html`<div class="grid">
      <${Panel} wide title=${word(t.triggerType, "TRIGGER_TYPE_")} aside=${html`<${Badge} text=${said(t.status)} />`}>
        <div class="figures"><${Figure} name="fires at" value=${terms(t)} /><${Figure} name="shares" value=${held(t.size)} note=${t.size == null ? "that it holds then" : ""} />
          ${t.peakPrice && html`<${Figure} name="peak seen" value=${price(t.peakPrice)} />`}</div>
        <dl class="facts"><dt>wallet</dt><dd><${Id} of=${t.wallet} href=${`#/guard?wallet=${t.wallet}`} /></dd>
          ${t.subscriptionId && html`<dt>subscription</dt><dd><${Id} of=${t.subscriptionId} href=${`#/subscriptions/${t.subscriptionId}`} /></dd>`}
          <dt>market</dt><dd><${Id} of=${t.conditionId} /></dd><dt>outcome</dt><dd><${Id} of=${t.assetId} /></dd></dl>
      <//>
      ${watches(t) && around.data && html`<${Panel} wide title="Its position" aside="USDC a share"><${Ladder} triggers=${around.data.triggers} ...${positionOf(around.data.positions, t)} /><//>`}
      <${Panel} wide title="What it did"><${Loaded} of=${history} empty=${{ when: (d) => !(d.entries || []).length, title: "Nothing so far", text: "It watches." }}>
        ${(data) => html`<${Table} label="History" rows=${data.entries} rowKey=${(e) => e.occurredAt + e.toStatus} columns=${[
          { name: "at", cell: (e) => html`<${Time} at=${e.occurredAt} />` },
          { name: "to", cell: (e) => html`<${Badge} text=${said(e.toStatus)} />` },
          { name: "why", cell: (e) => brief(e.detail) },
          { name: "order", cell: (e) => e.orderId ? html`<${Id} of=${e.orderId} href=${`#/orders/${e.orderId}`} />` : "" },
        ]} />`}<//><//>
    </div>`}<//>
    ${asking && html`<${Confirm} title="Cancel this trigger?" action="Cancel the trigger" danger text="Its position is not guarded by it any more, from now on."
      onDo=${() => remove(`/triggers/${id}`)} onEnd=${() => { ask(false); trigger.reload(); }} />`}`;
}
