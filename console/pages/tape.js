// Live tape: leaders' trades, with what each follower did.

import { get } from "../lib/api.js";
import { brief, price, short, shares, usdc, word } from "../lib/format.js";
import { Component, html, useCallback, useEffect, useRef, useState } from "../lib/html.js";
import { live } from "../lib/live.js";
import { fold, MOST } from "../lib/tape.js";
import { Badge, Empty, Id, Problem, Time } from "../lib/ui.js";

const BEFORE = 2000, PAGE = 1000;

export default function Tape({ query, who }) {
  const [trades, set] = useState([]);
  const [held, hold] = useState(null);
  const [error, fail] = useState(null);
  const [filter, narrow] = useState({ text: query.get("text") || "", only: query.get("only") || "all" });
  const [turned, turn] = useState(0);
  const all = useRef([]);
  const titles = useRef(new Map());
  const place = useRef(null);
  const opened = useRef(new Set());
  const shownNow = useRef(trades);
  shownNow.current = trades;
  useEffect(() => {
    let over = false, due = null;
    const show = () => {
      due = null;
      if (!over) set(all.current);
    };
    const take = (events) => {
      all.current = fold(all.current, events, titles.current);
      due ??= setTimeout(show, 250);
    };
    const stop = live.follow(take);
    recent().then((events) => !over && take(events), (problem) => !over && fail(problem));
    return () => { over = true; clearTimeout(due); stop(); };
  }, []);
  // What is held stays as it was, but for a trade that is open: its follower's order goes on.
  const kept = held?.map((trade) => (opened.current.has(trade.key) && trades.find((one) => one.key === trade.key)) || trade);
  const shown = (kept || trades).filter((trade) => matches(trade, filter));
  const newer = held ? trades.filter((trade) => trade.number > (held[0]?.number || 0)).length : 0;
  // A reader who has scrolled down keeps his place: the tape waits until he is back at its top.
  const scrolled = () => {
    const down = place.current.scrollTop > 24;
    if (down && !held) hold(trades);
    if (!down && held && !opened.current.size) hold(null);
  };
  // So does one who has opened a trade.
  const opens = useCallback((key, open) => {
    if (open) opened.current.add(key);
    else opened.current.delete(key);
    hold((before) => (open ? before || shownNow.current : opened.current.size || place.current.scrollTop > 24 ? before : null));
  }, []);
  const release = () => {
    opened.current.clear();
    place.current.scrollTop = 0;
    hold(null);
    turn(turned + 1);
  };
  return html`
    <div class="top"><h1>Live tape</h1>
      <form class="row aside" onSubmit=${(e) => e.preventDefault()}>
        <input type="search" class="search" aria-label="Filter" placeholder="market, wallet or transaction" value=${filter.text}
          onInput=${(e) => narrow({ ...filter, text: e.target.value })} />
        <div class="choices" role="group" aria-label="Which">${["all", "copied", "skipped"].map((only) => html`
          <button type="button" aria-pressed=${filter.only === only} onClick=${() => narrow({ ...filter, only })}>${only}</button>`)}
        </div>
      </form></div>
    ${error && html`<${Problem} error=${error} />`}
    ${held && html`<button type="button" class="newer" onClick=${release}>
      ${newer ? `${newer} newer trade${newer > 1 ? "s" : ""}: back to the top` : "Held while you read: back to the top"}</button>`}
    <div class="tape panel" ref=${place} onScroll=${scrolled} tabindex="0" role=${shown.length ? "feed" : "region"} aria-label="Leaders' trades, newest first">
      ${shown.length ? shown.map((trade) => html`<${Trade} key=${trade.key + turned} trade=${trade} operator=${!!who.operator} onOpen=${opens} />`)
        : html`<${Empty} title=${trades.length ? "Nothing matches" : "No trades so far"}>
            ${trades.length ? "Change the filter." : "Leaders' trades appear within a second of the venue's word."}<//>`}
    </div>
    <p class="quiet small">The newest ${MOST} trades are kept here; all of them are in the decisions of each subscription.</p>`;
}

async function recent() {
  const newest = await live.position();
  const found = [];
  let page = [], after = Math.max(0, newest - BEFORE);
  do {
    page = (await get("/events", { after, types: "leader.*,copy.*,order.*", limit: PAGE })).events || [];
    found.push(...page);
    after = page.at(-1)?.sequence;
  } while (page.length === PAGE && found.length < 2 * BEFORE);
  return found;
}

/** At a hundred events a second most trades are as they were, and are not compared again. */
class Trade extends Component {
  shouldComponentUpdate({ trade, operator }, { open }) {
    return trade !== this.props.trade || operator !== this.props.operator || open !== this.state.open;
  }

  render({ trade, operator, onOpen }, { open = false }) {
    return row(trade, operator, open, () => {
      this.setState({ open: !open });
      onOpen(trade.key, !open);
    });
  }
}

function row(trade, operator, open, toggle) {
  const copied = trade.copies.filter((copy) => copy.order).length;
  const skipped = trade.copies.filter((copy) => copy.skipped).length;
  return html`<article class="trade">
    <button type="button" class="plain row-button" aria-expanded=${open} onClick=${toggle}>
      <${Time} at=${trade.time} />
      <span class=${trade.side === "BUY" ? "up" : "down"}>${word(trade.side)}</span>
      <span class="num size">${trade.size ? `${shares(trade.size)} × ${price(trade.price)}` : ""}</span>
      <span class="grow">${trade.market || html`<span class="quiet">outcome</span> <span class="mono">${short(trade.assetId)}</span>`}</span>
      <span class="counts">${copied > 0 && html`<${Badge} tone="ok" text=${`${copied} copied`} />`}
        ${skipped > 0 && html` <${Badge} tone="warn" text=${`${skipped} skipped`} />`}
        ${!copied && !skipped && html`<span class="quiet small">not decided yet</span>`}</span>
    </button>
    ${open && html`<div class="why">
      <p class="small quiet">Leader <${Id} of=${trade.leader} href=${`#/leaders/${trade.leader}`} />, transaction <${Id} of=${trade.tx} />${operator && html`, <a href=${`#/why/${trade.tx}`}>why, for all followers</a>`}</p>
      <ul>${trade.copies.map((copy) => html`<li key=${copy.key}>
        ${copy.order
          ? html`<a href=${`#/orders/${copy.order}`}>Order</a> <${Badge} text=${copy.state} />
              ${copy.filled && html`<span class="num">${shares(copy.filled)} shares for ${usdc(copy.notional)} USDC</span>`} ${copy.reason}`
          : html`Skipped: <strong>${word(copy.skipped)}</strong> <span class="quiet">${brief(copy.detail)}</span>`}
        ${copy.subscription && html` <a href=${`#/why/${copy.subscription}/${trade.tx}`}>why</a>
          <a href=${`#/subscriptions/${copy.subscription}`}>subscription</a>`}
      </li>`)}</ul>
      ${!trade.copies.length && html`<p class="quiet">No decision has come so far.</p>`}
    </div>`}
  </article>`;
}

function matches(trade, { text, only }) {
  if (only === "copied" && !trade.copies.some((copy) => copy.order)) return false;
  if (only === "skipped" && !trade.copies.some((copy) => copy.skipped)) return false;
  if (!text) return true;
  const words = [trade.market, trade.leader, trade.tx, trade.assetId, ...trade.copies.map((c) => `${c.wallet} ${c.order}`)];
  return words.join(" ").toLowerCase().includes(text.trim().toLowerCase());
}
