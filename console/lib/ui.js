// What all pages are made of.

import { CallError } from "./api.js";
import { ago, count, exact, short, time } from "./format.js";
import { html, useCallback, useEffect, useRef, useState } from "./html.js";

/** Load something, again each `seconds`. What was loaded stays while it cannot be loaded again. */
export function useLoaded(load, inputs, seconds = 0) {
  const [state, set] = useState({ data: null, error: null, at: null });
  const [turn, again] = useState(0);
  const key = JSON.stringify(inputs);
  useEffect(() => {
    let over = false, timer;
    const once = async () => {
      try {
        const data = await load();
        if (!over) set({ data, error: null, at: Date.now() });
      } catch (error) {
        if (!over) set((before) => ({ ...before, error }));
      }
      if (!over && seconds) timer = setTimeout(once, document.hidden ? seconds * 4000 : seconds * 1000);
    };
    once();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key, turn, seconds]);
  useEffect(() => set({ data: null, error: null, at: null }), [key]);
  return { ...state, reload: useCallback(() => again((n) => n + 1), []) };
}

/** Show what was loaded, or why there is nothing. */
export function Loaded({ of, empty, children }) {
  if (of.error && !of.data) return html`<${Problem} error=${of.error} again=${of.reload} />`;
  if (!of.data) return html`<div class="skeleton" aria-busy="true" aria-label="loading"></div>`;
  const nothing = empty && empty.when(of.data);
  return html`
    ${of.error && html`<${Problem} error=${of.error} again=${of.reload} stale=${of.at} />`}
    ${nothing ? html`<${Empty} title=${empty.title}>${empty.text}<//>` : children(of.data)}`;
}

export function Problem({ error, again, stale }) {
  const known = error instanceof CallError;
  // What is only old is told without a shout, again with each look.
  return html`<div class="problem" role=${stale ? "status" : "alert"}>
    <strong>${known ? error.message : "This page has a fault."}</strong>
    <span class="quiet">${known ? error.reason : String(error)}${stale ? `; shown: ${ago(stale)} old` : ""}</span>
    ${again && html`<button type="button" onClick=${again}>Try again</button>`}
  </div>`;
}

export const Empty = ({ title, children }) =>
  html`<div class="empty"><strong>${title}</strong><p class="quiet">${children}</p></div>`;

export function Panel({ title, aside, children, wide }) {
  return html`<section class=${wide ? "panel wide" : "panel"}>
    ${title && html`<header><h2>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</header>`}
    ${children}
  </section>`;
}

/** A figure with its name. */
export const Figure = ({ name, value, note, tone }) => html`<div class="figure">
  <div class="quiet">${name}</div>
  <div class=${`value ${tone || ""}`}>${value}</div>
  ${note && html`<div class="quiet small">${note}</div>`}
</div>`;

const TONES = {
  ok: "active confirmed filled settled up running serving armed closed live resumed cleared done".split(" "),
  bad: "lost dead failed down open halted suspended stuck resurrected disabled away".split(" "),
  warn: "paused unknown submitting half reducing degraded skipped waiting fired".split(" "),
};
export const toneOf = (text) =>
  Object.keys(TONES).find((tone) => TONES[tone].some((one) => (text || "").toLowerCase().includes(one))) || "";
export const Badge = ({ text, tone }) => html`<span class=${`badge ${tone ?? toneOf(text)}`}>${text}</span>`;

/** An instant in the reader's zone; the exact one on hover. */
export const Time = ({ at, since }) =>
  html`<time datetime=${at} title=${exact(at)}>${since ? ago(at) : time(at)}</time>`;

/** A hash or an address, short; the whole one on hover, and copied by a click. */
export function Id({ of, href }) {
  const [copied, set] = useState(false);
  if (!of) return html`<span class="quiet">–</span>`;
  if (href) return html`<a class="id" href=${href} title=${of}>${short(of)}</a>`;
  const copy = async () => {
    await navigator.clipboard?.writeText(of);
    set(true);
    setTimeout(() => set(false), 1200);
  };
  return html`<button type="button" class="id plain" title=${`${of} (copy)`} onClick=${copy}>
    ${copied ? "copied" : short(of)}
  </button>`;
}

/** A table. Columns: {name, cell, right, hide}: hide says below which width it goes. first: so many rows until all are asked for. */
export function Table({ columns, rows: all, rowKey, label, onRow, first = Infinity }) {
  const [whole, show] = useState(false);
  const rows = whole ? all : all.slice(0, first);
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr>${columns.map((c) => (c.name ? html`<th scope="col" class=${cls(c)}>${c.name}</th>` : html`<td class=${cls(c)}></td>`))}</tr></thead>
      <tbody>${rows.map((row) => html`
        <tr key=${rowKey(row)} class=${onRow ? "link" : ""} onClick=${onRow && ((e) => {
          if (!e.target.closest("a,button")) onRow(row);
        })}>
          ${columns.map((c) => html`<td class=${cls(c)} data-name=${c.name}>${c.cell(row)}</td>`)}
        </tr>`)}
      </tbody>
    </table>
  </div>
  ${all.length > rows.length && html`<div class="pager"><button type="button" onClick=${() => show(true)}>Show all ${count(all.length)}</button></div>`}`;
}
const cls = (column) => [column.right && "right", column.hide && `hide-${column.hide}`].filter(Boolean).join(" ");

/** Ask before something that cannot be taken back. */
export function Confirm({ title, text, action, danger, large, onDo, onEnd, children }) {
  const dialog = useRef(null);
  const [error, fail] = useState(null);
  const [busy, set] = useState(false);
  useEffect(() => dialog.current.showModal(), []);
  const go = async (event) => {
    event.preventDefault();
    set(true);
    try {
      await onDo(new FormData(event.target));
      onEnd(true);
    } catch (problem) {
      fail(problem);
      set(false);
    }
  };
  return html`<dialog ref=${dialog} class=${large ? "large" : ""} onClose=${() => onEnd(false)} aria-label=${title}>
    <form onSubmit=${go}>
      <h2>${title}</h2>
      ${text && html`<p>${text}</p>`}
      ${children}
      ${error && html`<${Problem} error=${error} />`}
      <footer>
        <button type="button" onClick=${() => onEnd(false)}>Cancel</button>
        <button type="submit" class=${danger ? "danger" : "primary"} disabled=${busy}>${action}</button>
      </footer>
    </form>
  </dialog>`;
}
