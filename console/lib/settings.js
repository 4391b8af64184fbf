// The form of a subscription's settings, and the look at what a change would have done before it is saved.

import { patch, post } from "./api.js";
import { count, gain, usdc, word } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { changesOf, FIELDS, groupsOf, stored, TITLES } from "./settings_fields.js";
import { Confirm, Problem, Table } from "./ui.js";

export function Settings({ of: subscription, may, onSaved }) {
  const [changed, change] = useState({});
  const [error, fail] = useState(null);
  const [saved, say] = useState(false);
  const [reviewing, review] = useState(false);
  const set = (path, text) => {
    const { [path]: _, ...rest } = changed;
    say(false);
    change(text === stored(subscription, ...path.split(".")) ? rest : { ...rest, [path]: text });
  };
  const save = async () => {
    const groups = groupsOf(subscription, changed);
    try {
      await patch(`/subscriptions/${subscription.id}`, { ...groups, version: subscription.version });
    } catch (problem) {
      fail(problem);
      throw problem;
    }
    change({});
    fail(null);
    say(true);
    onSaved();
  };
  const dirty = Object.keys(changed).length > 0;
  return html`<form class="settings" onSubmit=${(event) => { event.preventDefault(); fail(null); review(dirty); }}>
    ${Object.entries(FIELDS).map(([group, fields]) => html`<fieldset disabled=${!may}><legend>${TITLES[group]}</legend>
      <div class="fields">${fields.map((field) => html`<${Field} key=${field.name} group=${group} field=${field}
        text=${changed[`${group}.${field.name}`] ?? stored(subscription, group, field.name)}
        wrong=${error?.field.startsWith(group) && error.field.endsWith(field.name)} onText=${set} />`)}</div></fieldset>`)}
    ${error && !reviewing && html`<${Problem} error=${error} />`}
    ${may ? html`<footer><span role="status" class="up">${saved ? "Saved. The next trade is decided by it." : ""}</span>
      <button type="button" disabled=${!dirty} onClick=${() => { change({}); fail(null); }}>Reset</button>
      <button type="submit" class="primary" disabled=${!dirty}>Review and save</button></footer>`
      : html`<p class="quiet">This session's token may read alone.</p>`}
  </form>
  ${reviewing && html`<${Review} subscription=${subscription} changed=${changed} onSave=${save} onWrong=${fail}
    onEnd=${() => review(false)} />`}`;
}

function Field({ group, field, text, wrong, onText }) {
  const path = `${group}.${field.name}`, note = `${group}-${field.name}-note`;
  const shared = { name: path, "aria-describedby": note, "aria-invalid": wrong || undefined };
  return html`<label><span>${field.label} ${field.unit && html`<span class="quiet small">${field.unit}</span>`}</span>
    ${field.choices
      ? html`<select ...${shared} onChange=${(e) => onText(path, e.target.value)}>${field.choices.map(([value, said]) => html`
          <option value=${value} selected=${value === text}>${said}</option>`)}</select>`
      : html`<input inputmode="decimal" ...${shared} value=${text} placeholder=${field.none || "no limit"}
          onInput=${(e) => onText(path, e.target.value.trim())} />`}
    <span class="field-note" id=${note}>${field.about}</span></label>`;
}

/** What is about to be saved, and what it would have made of yesterday's trades. */
function Review({ subscription, changed, onSave, onWrong, onEnd }) {
  return html`<${Confirm} title="Save these settings?" action="Save" onDo=${onSave} onEnd=${onEnd} large>
    <${Table} label="What changes" rows=${changesOf(subscription, changed)} rowKey=${(c) => c.label} columns=${[
      { name: "setting", cell: (c) => html`${c.label} <span class="quiet small">${c.unit}</span>` },
      { name: "now", right: true, cell: (c) => c.before },
      { name: "then", right: true, cell: (c) => html`<strong>${c.after}</strong>` },
    ]} />
    <${Preview} subscription=${subscription} changed=${changed} onWrong=${onWrong} />
  <//>`;
}

const TRIES = 6;

function Preview({ subscription, changed, onWrong }) {
  const [{ preview, error }, set] = useState({});
  const { triggers, ...groups } = groupsOf(subscription, changed);
  const asks = Object.keys(groups).length > 0;
  useEffect(() => {
    let over = false;
    const ask = async (tries) => {
      try {
        const preview = await post(`/subscriptions/${subscription.id}/settings-preview`, groups);
        if (!over) set({ preview });
      } catch (error) {
        // One question is computed at a time, for all people together.
        if (error.status === 429 && tries > 1 && !over) setTimeout(ask, 1500, tries - 1);
        else if (!over) {
          set({ error });
          if (error.field) onWrong(error);
        }
      }
    };
    if (asks) ask(TRIES);
    return () => { over = true; };
  }, []);
  return html`<section class="preview" aria-label="Effect on yesterday's trades" aria-busy=${asks && !preview && !error}>
    <h3>On the trades of the last 24 hours</h3>
    ${triggers && html`<p class="quiet">Stops of new positions are no part of this look back.</p>`}
    ${error && html`<${Problem} error=${error} />`}
    ${asks && !preview && !error && html`<div class="skeleton"></div>`}
    ${preview && html`<${Effect} of=${preview} />`}
  </section>`;
}

function Effect({ of: { trades, current, proposed, unknown = [], recordedFrom } }) {
  if (!trades) {
    return html`<p>${recordedFrom ? "The leader did not trade in that time." : "Nothing was recorded in that time."}
      <span class="quiet"> The next trade shows the change.</span></p>`;
  }
  const number = (outcome, name) => Number(outcome[name] || 0);
  const row = (name, field, write, better = 0) => {
    const change = number(proposed, field) - number(current, field);
    const known = current[field] != null && proposed[field] != null;
    return { name, now: write(current[field]), then: write(proposed[field]), change: known ? change : null, tone: better * change > 0 ? "up" : better * change < 0 ? "down" : "", write };
  };
  const counts = (value) => count(value || 0);
  const rows = [
    row(`copied, of ${count(trades)} trades`, "copied", counts), row("bought, USDC", "spent", usdc), row("sold, USDC", "received", usdc),
    row("fees, USDC", "fees", usdc, -1), row("profit, USDC", "profit", gain, 1),
    ...refusals(current, proposed).map(([reason, before, after]) => ({
      name: html`skipped: ${word(reason)}`, now: counts(before), then: counts(after), change: after - before, tone: "", write: counts,
    })),
  ];
  return html`<${Table} label="Effect" rows=${rows} rowKey=${(r) => String(r.name)} columns=${[
      { name: "", cell: (r) => r.name },
      { name: "as they are", right: true, cell: (r) => r.now },
      { name: "as they would be", right: true, cell: (r) => r.then },
      { name: "change", right: true, cell: (r) => html`<span class=${r.tone}>${r.change == null ? "–" : r.change === 0 ? "none" : `${r.change > 0 ? "+" : ""}${r.write(r.change)}`.replace("++", "+")}</span>` },
    ]} />
    ${unknown.length > 0 && html`<details><summary>What this assumes</summary><ul>${unknown.map((said) => html`<li>${said}</li>`)}</ul></details>`}`;
}

function refusals(current, proposed) {
  const counted = ({ refused = [] }) => new Map(refused.map((one) => [one.reason, one.count]));
  const before = counted(current), after = counted(proposed);
  return [...new Set([...before.keys(), ...after.keys()])].map((reason) => [reason, before.get(reason) || 0, after.get(reason) || 0]);
}
