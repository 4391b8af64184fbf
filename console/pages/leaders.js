// Leaders: the ranking, and one leader.

import { get, query as withQuery } from "../lib/api.js";
import { amount, count, gain, percent, usdc, word } from "../lib/format.js";
import { html, useMemo, useState } from "../lib/html.js";
import { Follow, Simulation } from "../lib/follow.js";
import { Badge, Figure, Id, Loaded, Panel, Table, Time, useLoaded } from "../lib/ui.js";
import { Chart, Spark } from "../lib/chart.js";

const SORTS = ["copyability", "edge", "profit", "roi", "winRate", "sharpe", "volume", "trades"];
const WINDOWS = ["1d", "7d", "30d", "90d", "all"];

export default function Leaders({ id, query, who }) {
  const [wallet, follow] = id.split("/");
  if (follow) return html`<${Follow} leader=${wallet} who=${who} />`;
  return id ? html`<${Leader} wallet=${id} who=${who} />` : html`<${Ranking} query=${query} />`;
}

const spanOf = (window) => (window === "all" ? "all time" : window === "1d" ? "1 day" : window.replace("d", " days"));
const of = (leader, window) => (leader.performance || []).find((one) => one.window === window) || {};

function Ranking({ query }) {
  const [pages, turn] = useState([""]);
  const sort = query.get("sort") || "copyability", window = query.get("window") || "30d", category = query.get("category") || "";
  const asked = { sort, window, category, minTrades: query.get("minTrades") || "", pageSize: 50, pageToken: pages.at(-1) };
  const leaders = useLoaded(() => get("/leaders", asked), [asked], 15);
  const choose = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    turn([""]);
    location.hash = withQuery("#/leaders", Object.fromEntries(form));
  };
  return html`
    <div class="top"><h1>Leaders</h1>
      <div class="aside quiet">${leaders.data?.asOf && html`as of <${Time} at=${leaders.data.asOf} />`}</div></div>
    <${Panel} wide>
      <form class="row" onSubmit=${choose}>
        <label>Best by <select name="sort">${SORTS.map((one) => html`<option value=${one} selected=${one === sort}>${word(one.replace("winRate", "win rate"))}</option>`)}</select></label>
        <label>Over <select name="window">${WINDOWS.map((one) => html`<option value=${one} selected=${one === window}>${spanOf(one)}</option>`)}</select></label>
        <label>At least <input name="minTrades" type="number" min="0" key=${asked.minTrades} defaultValue=${asked.minTrades} placeholder="trades" /></label>
        <label>Category <input name="category" key=${category} defaultValue=${category} placeholder="any" /></label>
        <button class="primary" type="submit">Show</button>
      </form>
      <p class="field-note">Leaders with enough evidence come first; the result of a small sample counts less.</p>
      <${Loaded} of=${leaders} empty=${{ when: (d) => !(d.leaders || []).length, title: "No leader fits",
        text: "Statistics are computed within a minute of the start, of the leaders that somebody follows. Ask for fewer trades." }}>
        ${(data) => html`<${Table} label="Leaders" rows=${data.leaders} rowKey=${(l) => l.wallet}
            onRow=${(l) => { location.hash = `#/leaders/${l.wallet}`; }} columns=${columns(window)} />
          <div class="pager">${pages.length > 1 && html`<button type="button" onClick=${() => turn(pages.slice(0, -1))}>Better</button>`}
            ${data.nextPageToken && html`<button type="button" onClick=${() => turn([...pages, data.nextPageToken])}>More</button>`}</div>`}
      <//>
    <//>`;
}

const columns = (window) => [
  { name: "leader", cell: (l) => html`<${Id} of=${l.wallet} href=${`#/leaders/${l.wallet}`} />` },
  { name: "evidence", cell: (l) => (l.gaps || []).length ? html`<${Badge} tone="warn" text=${word(l.gaps[0], "EVIDENCE_GAP_")} />` : html`<${Badge} tone="ok" text="enough" />` },
  { name: "realised", right: true, cell: (l) => gain(of(l, window).realised) },
  { name: "marked", right: true, hide: "m", cell: (l) => gain(of(l, window).marked) },
  { name: "ROI", right: true, cell: (l) => percent(of(l, window).roi) },
  { name: "win rate", right: true, cell: (l) => { const p = of(l, window); return p.winRate == null ? "–" : html`${percent(p.winRate)}<div class="quiet small">${percent(p.winRateLow)} to ${percent(p.winRateHigh)}</div>`; } },
  { name: "trades", right: true, cell: (l) => count(of(l, window).trades || 0) },
  { name: "markets", right: true, hide: "m", cell: (l) => count(of(l, window).markets || 0) },
  { name: "drawdown", right: true, hide: "m", cell: (l) => usdc(of(l, window).largestDrawdown) },
  { name: "", hide: "m", cell: (l) => html`<${Spark} values=${(l.days || []).map((d) => Number(d.cumulative))} label="realised profit by day" />` },
];

function Leader({ wallet, who }) {
  const leader = useLoaded(() => get(`/leaders/${wallet}`), [wallet], 15);
  return html`
    <div class="top"><h1>Leader</h1><span class="quiet"><${Id} of=${wallet} /></span>
      <div class="aside">${who.rest?.scope === "manage" && html`<a class="button primary" href=${`#/leaders/${wallet}/follow`}>Follow</a>`} <a class="button" href="#/leaders">All leaders</a></div></div>
    <${Loaded} of=${leader}>${(data) => html`<${Profile} of=${data} />`}<//>
    <div class="below"><${Simulation} wallet=${wallet} /></div>`;
}

function Profile({ of: leader }) {
  const days = leader.days || [];
  const [times, lines] = useMemo(() => {
    const at = days.map((day) => Date.parse(day.day) / 1000);
    const lines = [{ name: "realised", values: days.map((day) => Number(day.cumulative)), fill: true }];
    if (days.some((day) => day.equity)) lines.push({ name: "with what is held", values: days.map((day) => (day.equity ? Number(day.equity) : null)), tone: "ok" });
    return [at, lines];
  }, [leader]);
  const all = of(leader, "all");
  return html`<div class="grid">
    <${Panel} wide title="In short" aside=${html`as of <${Time} at=${leader.asOf} />`}>
      <div class="figures">
        <${Figure} name="realised" value=${gain(all.realised)} note="USDC, all time" tone=${Number(all.realised) < 0 ? "bad" : Number(all.realised) > 0 ? "ok" : ""} />
        <${Figure} name="marked" value=${gain(all.marked)} />
        <${Figure} name="win rate" value=${percent(all.winRate)} note=${all.winRate == null ? "nothing has resolved" : `95 %: ${percent(all.winRateLow)} to ${percent(all.winRateHigh)}`} />
        <${Figure} name="profit factor" value=${all.profitFactor == null ? "–" : all.profitFactor.toFixed(2)} />
        <${Figure} name="Sharpe" value=${all.sharpe == null ? "–" : all.sharpe.toFixed(2)} note="of daily results" />
        <${Figure} name="drawdown" value=${usdc(all.largestDrawdown)} note="USDC, the largest" />
        <${Figure} name="median trade" value=${usdc(leader.medianSize)} note="USDC" />
        <${Figure} name="quickness" value=${word(leader.latencyClass, "LATENCY_CLASS_").replace("unspecified", "–") || "–"} />
      </div>
      ${(leader.gaps || []).length > 0 && html`<p>Not enough evidence: ${leader.gaps.map((gap) => html`<${Badge} tone="warn" text=${word(gap, "EVIDENCE_GAP_")} /> `)}</p>`}
    <//>
    <${Panel} wide title="Profit by day" aside="USDC, cumulated">${days.length > 1 ? html`<${Chart} times=${times} lines=${lines} value=${(v) => usdc(v)} tick=${amount} label="Realised profit, cumulated by day, USDC" />` : html`<p class="quiet">Less than two days are known.</p>`}<//>
    <${Panel} title="By window"><${Table} label="By window" rows=${leader.performance || []} rowKey=${(p) => p.window} columns=${[
      { name: "window", cell: (p) => spanOf(p.window) },
      { name: "realised", right: true, cell: (p) => gain(p.realised) },
      { name: "ROI", right: true, cell: (p) => percent(p.roi) },
      { name: "trades", right: true, cell: (p) => count(p.trades || 0) },
      { name: "won", right: true, cell: (p) => `${count(p.won || 0)} of ${count(p.resolved || 0)}` },
    ]} /><//>
    <${Panel} title="By category"><${Table} label="By category" rows=${leader.categories || []} rowKey=${(c) => c.category} columns=${[
      { name: "category", cell: (c) => c.category || "unknown" },
      { name: "realised", right: true, cell: (c) => gain(c.realised) },
      { name: "bought", right: true, cell: (c) => usdc(c.bought) },
      { name: "trades", right: true, cell: (c) => count(c.trades) },
    ]} /><//>
    <${Panel} wide title="Copyability" aside="what a follower would have got at the book after him">
      ${(leader.copyability || []).length ? html`<${Table} label="Copyability" rows=${leader.copyability} rowKey=${(c) => `${c.delaySeconds}:${c.amount}`} columns=${[
        { name: "after", cell: (c) => `${c.delaySeconds} s` },
        { name: "with, USDC", right: true, cell: (c) => amount(c.amount) },
        { name: "slippage", right: true, cell: (c) => percent(c.slippage) },
        { name: "filled", right: true, cell: (c) => percent(c.filled) },
        { name: "trades seen", right: true, cell: (c) => `${count(c.observed || 0)} of ${count(Number(c.observed || 0) + Number(c.unobserved || 0))}` },
      ]} />` : html`<p class="quiet">No book was recorded beside his trades so far.</p>`}
    <//>
  </div>`;
}
