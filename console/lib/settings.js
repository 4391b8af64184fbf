// The form of a subscription's settings, and the look at what a change would have done before it is saved.

import { patch, post } from "./api.js";
import { count, gain, usdc, word } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { changesOf, groupsOf, isAbout, SECTIONS, stored } from "./settings_fields.js";
import { Confirm, Problem, Table } from "./ui.js";

/** Settings of a subscription that there is. */
export function Settings({ of: loaded, may, onSaved }) {
  const [answered, keep] = useState(loaded);
  // What a save has answered, until it is loaded again: the next change begins from it.
  const subscription = Number(answered.version) > Number(loaded.version) ? answered : loaded;
  const save = async (groups) => {
    keep(await patch(`/subscriptions/${subscription.id}`, { ...groups, version: subscription.version }));
    onSaved();
  };
  return html`<${Form} of=${subscription} may=${may} title="Save these settings?" action="Save" onSave=${save} said="Saved. The next trade is decided by it."
    preview=${(groups) => post(`/subscriptions/${subscription.id}/settings-preview`, groups)} />`;
}

/**
 * The form. of: settings as they are; onSave takes groups as REST does; preview what it shows before, the
 * answer of a preview or a backtest. fresh: nothing is there so far, so all of it is saved.
 */
export function Form({ of: subscription, may, fresh, title, action, said, onSave, preview, children }) {
  const [changed, change] = useState({});
  const [error, fail] = useState(null);
  const [saved, say] = useState(false);
  const [reviewing, review] = useState(null);
  const set = (path, text) => {
    const { [path]: _, ...rest } = changed;
    say(false);
    change(text === stored(subscription, path) ? rest : { ...rest, [path]: text });
  };
  const dirty = fresh || Object.keys(changed).length > 0;
  const begin = (event) => {
    event.preventDefault();
    fail(null);
    try {
      const groups = groupsOf(subscription, changed);
      if (dirty) review({ form: new FormData(event.target), groups: fresh ? { sizing: subscription.sizing, ...groups } : groups });
    } catch (problem) {
      fail(problem);
    }
  };
  const save = async () => {
    try {
      await onSave(reviewing.groups, reviewing.form);
    } catch (problem) {
      fail(problem);
      throw problem;
    }
    change({});
    fail(null);
    say(true);
  };
  return html`<form class="settings" onSubmit=${begin}>
    ${children}
    ${SECTIONS.filter(({ group }) => !(group === "performance" && subscription.shadow)).map((section) => html`<fieldset key=${section.title} disabled=${!may}><legend>${section.title}</legend>
      <div class="fields">${section.fields.map((field) => html`<${Field} key=${field.name} group=${section.group} field=${field}
        text=${changed[`${section.group}.${field.name}`] ?? stored(subscription, `${section.group}.${field.name}`)}
        wrong=${isAbout(error, `${section.group}.${field.name}`)} onText=${set} />`)}</div></fieldset>`)}
    ${error && !reviewing && html`<${Problem} error=${error} />`}
    ${may ? html`<footer><span role="status" class="up">${saved ? said : ""}</span>
      <button type="button" disabled=${!Object.keys(changed).length} onClick=${() => { change({}); fail(null); }}>Reset</button>
      <button type="submit" class="primary" disabled=${!dirty}>Review and ${action.toLowerCase()}</button></footer>`
      : html`<p class="quiet">This session's token may read alone.</p>`}
  </form>
  ${reviewing && html`<${Confirm} title=${title} action=${action} onDo=${save} onEnd=${() => review(null)} large>
    <${Changes} of=${changesOf(subscription, changed)} fresh=${fresh} />
    <${Preview} groups=${reviewing.groups} ask=${preview} onWrong=${fail} />
  <//>`}`;
}

function Field({ group, field, text, wrong, onText }) {
  const path = `${group}.${field.name}`, note = `${path.replaceAll(".", "-")}-note`;
  const shared = { name: path, "aria-describedby": note, "aria-invalid": wrong || undefined };
  return html`<label><span>${field.label} ${field.unit && html`<span class="quiet small">${field.unit}</span>`}</span>
    ${field.choices
      ? html`<select ...${shared} onChange=${(e) => onText(path, e.target.value)}>${field.choices.map(([value, said]) => html`
          <option value=${value} selected=${value === text}>${said}</option>`)}</select>`
      : field.list || field.tiers
        ? html`<textarea rows="2" spellcheck=${false} ...${shared} value=${text} placeholder=${field.none} onInput=${(e) => onText(path, e.target.value)}></textarea>`
        : html`<input inputmode=${field.loss ? "text" : "decimal"} ...${shared} value=${text} placeholder=${field.none || "no limit"}
            onInput=${(e) => onText(path, e.target.value.trim())} />`}
    <span class="field-note" id=${note}>${field.about}</span></label>`;
}

/** What is about to be saved. */
const Changes = ({ of: changes, fresh }) => (changes.length ? html`<${Table} label="What changes" rows=${changes} rowKey=${(c) => c.label} columns=${[
  { name: "setting", cell: (c) => html`${c.label} <span class="quiet small">${c.unit}</span>` },
  ...(fresh ? [] : [{ name: "now", right: true, cell: (c) => c.before }]),
  { name: fresh ? "" : "then", right: true, cell: (c) => html`<strong class="lines">${c.after}</strong>` },
]} />` : html`<p>All settings are as they came.</p>`);

const TRIES = 6;

/** What it would have made of yesterday's trades. */
function Preview({ groups: asked, ask, onWrong }) {
  const [{ preview, error }, set] = useState({});
  const { triggers, performance, ...groups } = asked;
  const asks = Object.keys(groups).length > 0;
  useEffect(() => {
    let over = false;
    const once = async (tries) => {
      try {
        const preview = await ask(groups);
        if (!over) set({ preview });
      } catch (error) {
        // One question is computed at a time, for all people together.
        if (error.status === 429 && tries > 1 && !over) setTimeout(once, 1500, tries - 1);
        else if (!over) {
          set({ error });
          if (error.field) onWrong(error);
        }
      }
    };
    if (asks) once(TRIES);
    return () => { over = true; };
  }, []);
  return html`<section class="preview" aria-label="Effect on yesterday's trades" aria-busy=${asks && !preview && !error}>
    <h3>On the trades of the last 24 hours</h3>
    ${(triggers || performance) && html`<p class="quiet">Stops of new positions and rules on performance are no part of this look back.</p>`}
    ${error && html`<${Problem} error=${error} />`}
    ${asks && !preview && !error && html`<div class="skeleton"></div>`}
    ${preview && (preview.outcome ? html`<${Outcome} of=${preview} />` : html`<${Effect} of=${preview} />`)}
  </section>`;
}

const Nothing = ({ recordedFrom }) => html`<p>${recordedFrom ? "The leader did not trade in that time." : "Nothing was recorded in that time."}
  <span class="quiet"> His next trade shows what comes of it.</span></p>`;
const Assumed = ({ of: unknown = [] }) => unknown.length > 0 && html`<details><summary>What this assumes</summary><ul>${unknown.map((said) => html`<li>${said}</li>`)}</ul></details>`;

/** What came of following, of a backtest or a simulation. */
export function Outcome({ of: { trades, outcome, unknown, recordedFrom = true } }) {
  if (!trades) return html`<${Nothing} recordedFrom=${recordedFrom} /><${Assumed} of=${unknown} />`;
  const rows = [
    [`copied, of ${count(trades)} trades`, count(outcome.copied || 0)], ["bought, USDC", usdc(outcome.spent)], ["sold, USDC", usdc(outcome.received)],
    ["fees, USDC", usdc(outcome.fees)], ["held at the end, USDC", outcome.heldOutcomes ? usdc(outcome.heldValue) : "nothing"],
    ["profit, USDC", html`<span class=${Number(outcome.profit) < 0 ? "down" : Number(outcome.profit) > 0 ? "up" : ""}>${gain(outcome.profit)}</span>`],
    ...(outcome.refused || []).map((one) => [`skipped: ${word(one.reason)}`, count(one.count)]),
  ];
  return html`<${Table} label="Outcome" rows=${rows} rowKey=${([name]) => name} columns=${[{ name: "", cell: ([name]) => name }, { name: "it would have", right: true, cell: ([, value]) => value }]} />
    <${Assumed} of=${unknown} />`;
}

function Effect({ of: { trades, current, proposed, unknown, recordedFrom } }) {
  if (!trades) return html`<${Nothing} recordedFrom=${recordedFrom} />`;
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
    <${Assumed} of=${unknown} />`;
}

function refusals(current, proposed) {
  const counted = ({ refused = [] }) => new Map(refused.map((one) => [one.reason, one.count]));
  const before = counted(current), after = counted(proposed);
  return [...new Set([...before.keys(), ...after.keys()])].map((reason) => [reason, before.get(reason) || 0, after.get(reason) || 0]);
}
