// The form of a subscription's settings: each field with what it does; only what was changed is sent.

import { patch } from "./api.js";
import { html, useState } from "./html.js";
import { Problem } from "./ui.js";

const AMOUNT = "USDC", PART = "a part: 0.02 is 2 %";
/** Fields by group: name, label, unit, what it does. */
const FIELDS = {
  limits: [
    ["maxPerTrade", "Most for one trade", AMOUNT, "A copy that would be larger is cut to it."],
    ["maxPerMarket", "Most in one market", AMOUNT, "Entries stop there; exits make room again."],
    ["maxTotal", "Most in all", AMOUNT, "What is held at cost and under way."],
    ["maxPerDay", "Most bought in a day", AMOUNT, "Counted from midnight, UTC."],
    ["maxSlippage", "Worst price of an entry", PART, "Above the leader's price; dearer is not bought."],
    ["maxSpread", "Widest spread", PART, "A book that is wider is not traded in."],
    ["maxOpenPositions", "Positions at once", "number", "A further market is skipped."],
    ["maxAgeMs", "Oldest trade", "ms", "Who comes later skips: TOO_OLD."],
  ],
  filters: [
    ["minPrice", "Lowest price", "USDC a share", "Outcomes that are cheaper are skipped."],
    ["maxPrice", "Highest price", "USDC a share", "Outcomes that are dearer are skipped."],
    ["minLeaderNotional", "Leader's least", AMOUNT, "Smaller trades of the leader are skipped."],
    ["minSecondsToEnd", "Least time to the end", "s", "Markets that end sooner are skipped."],
  ],
  exits: [["maxSlippage", "Worst price of an exit", PART, "Empty: any price at last, in widening steps."]],
  triggers: [
    ["takeProfit", "Take profit", PART, "Each new position gets a target so far above its price."],
    ["stopLoss", "Stop loss", PART, "Each new position gets a stop so far below its price."],
  ],
};
const TITLES = { limits: "Limits", filters: "Filters", exits: "Exits", triggers: "Stops of new positions" };
const WHOLE = new Set(["maxOpenPositions", "maxAgeMs", "minSecondsToEnd"]);

export function Settings({ of: subscription, may, onSaved, preview: Preview }) {
  const [changed, change] = useState({});
  const [error, fail] = useState(null);
  const [saved, say] = useState(false);
  const sizing = Object.keys(subscription.sizing || {}).find((mode) => ["fixed", "ratio", "proportional", "tiers"].includes(mode));
  const value = (group, name) => changed[`${group}.${name}`] ?? subscription[group]?.[name] ?? "";
  const body = () => {
    const groups = {};
    for (const [path, text] of Object.entries(changed)) {
      const [group, name] = path.split(".");
      groups[group] ??= { ...(subscription[group] || {}) };
      if (text === "") delete groups[group][name];
      else groups[group][name] = WHOLE.has(name) ? Number(text) : text;
    }
    return { ...groups, version: subscription.version };
  };
  const save = async (event) => {
    event.preventDefault();
    try {
      await patch(`/subscriptions/${subscription.id}`, body());
      change({});
      fail(null);
      say(true);
      setTimeout(() => say(false), 3000);
      onSaved();
    } catch (problem) {
      fail(problem);
    }
  };
  const dirty = Object.keys(changed).length > 0;
  return html`<form onSubmit=${save} class="settings">
    <p>Sizing: <strong>${sizing}</strong>${subscription.sizing?.fixed ? ` of ${subscription.sizing.fixed.amount} USDC` : ""}${subscription.sizing?.ratio ? ` ${subscription.sizing.ratio.ratio} of the leader's` : ""}${subscription.sizing?.multiplier ? `, times ${subscription.sizing.multiplier}` : ""}</p>
    ${Object.entries(FIELDS).map(([group, fields]) => html`<fieldset disabled=${!may}><legend>${TITLES[group]}</legend>
      <div class="fields">${fields.map(([name, label, unit, about]) => html`<label>${label} <span class="quiet">(${unit})</span>
        <input inputmode="decimal" name=${`${group}.${name}`} value=${value(group, name)} placeholder="no limit"
          aria-invalid=${error?.field === `${group}.${name}`} aria-describedby=${`${group}-${name}-note`}
          onInput=${(e) => change({ ...changed, [`${group}.${name}`]: e.target.value.trim() })} />
        <span class="field-note" id=${`${group}-${name}-note`}>${about}</span></label>`)}</div></fieldset>`)}
    ${error && html`<${Problem} error=${error} />`}
    ${dirty && Preview && html`<${Preview} subscription=${subscription} settings=${body()} />`}
    ${may ? html`<footer><span role="status" class="up">${saved ? "Saved. The next trade is decided by it." : ""}</span>
      <button type="button" disabled=${!dirty} onClick=${() => { change({}); fail(null); }}>Reset</button>
      <button type="submit" class="primary" disabled=${!dirty}>Save</button></footer>`
      : html`<p class="quiet">This session's token may read alone.</p>`}
  </form>`;
}
