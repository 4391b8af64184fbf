// Bots as pages show them: where they stand, what they gain, how near their limits are.

import { get, post, query as withQuery } from "./api.js";
import { toneOf, word } from "./format.js";
import { html, useState } from "./html.js";
import { LIMITS } from "./strategies.js";
import { Badge, Confirm, useLoaded } from "./ui.js";

export const stateOf = (bot) => word(bot.state, "BOT_STATE_");
export const exchangeOf = (instrument) => (instrument || "").split(":")[0];
export const symbolOf = (instrument) => {
  const symbol = (instrument || "").split(":").slice(1).join(":");
  return symbol.length > 24 ? `${symbol.slice(0, 8)}…${symbol.slice(-4)}` : symbol;
};
/** The money that an instrument settles in. */
export function currencyOf(instrument) {
  if (exchangeOf(instrument) !== "okx") return "USDC";
  const [base, quote] = symbolOf(instrument).split("-");
  return quote === "USD" ? base : quote;
}

/** Amounts of any size: cents of a large one, as many digits as a small one needs. A price has more than what was made. */
const shown = (signDisplay, decimals = 0, digits = 6) => [{ minimumFractionDigits: decimals, maximumFractionDigits: 2 }, { maximumSignificantDigits: digits }].map((options) => new Intl.NumberFormat("en-US", { ...options, signDisplay }));
const unsigned = shown("auto"), cents = shown("auto", 2, 4), signed = shown("exceptZero", 2, 4);
const written = (formats, value, large) => {
  if (value == null || value === "") return "–";
  const round = Number(Number(value).toFixed(8));
  return formats[Math.abs(round) >= large ? 0 : 1].format(round);
};
export const figure = (value) => written(unsigned, value, 1000);
/** Money: cents, and as many digits as less than one needs. */
export const money = (value) => written(cents, value, 1);
export const change = (value) => written(signed, value, 1);

const OF_MONEY = /^max(Notional|OrderNotional|Exposure|DailyLoss|Drawdown|UnrealisedLoss|MarketLoss)$/;
/** What of a limit is used: money to the cent, sizes as they are. */
export const limitFigure = (name, value) => (value != null && OF_MONEY.test(name) ? figure(Number(value).toFixed(2)) : figure(value));
const labels = new Map(LIMITS.map(({ name, label }) => [name, label]));
/** Why a bot was stopped, which begins with a limit's name: with its name in the form. */
export const plain = (reason) => (reason || "").replace(/^[a-z]+(_[a-z]+)+(?=:)/, (name) =>
  labels.get(name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())) || word(name).replace(/^./, (letter) => letter.toUpperCase()));
/** A strategy's own explanation, with four digits of what has more than two decimals. */
export const rounded = (text) => (text || "").replace(/-?\d+\.\d{3,}/g, (digits) => String(Number(Number(digits).toPrecision(4))));
export { toneOf };

const TONES = { running: "ok", "risk stopped": "bad", error: "bad", paused: "warn", starting: "warn", pausing: "warn", stopping: "warn" };
export function State({ of: bot }) {
  const state = stateOf(bot), desired = word(bot.desired, "BOT_STATE_");
  const differs = desired !== state && !["risk stopped", "error"].includes(state) && !(state === "idle" && desired === "idle");
  return html`<${Badge} tone=${TONES[state] || ""} text=${state} />${differs ? html` <span class="quiet small">to be ${desired}</span>` : ""}`;
}

/** What a bot has made since midnight, UTC; null: nobody knows so far. */
export const today = (bot) => (bot.equity ? Number(bot.equity.result) - Number(bot.equity.dayStart) : null);
export const total = (bot, name) => (bot.holdings || []).reduce((sum, one) => sum + Number(one[name]), 0);

/** All bots that fit: pages put together. */
export async function allBots(asked = {}) {
  const bots = [];
  let pageToken = "";
  do {
    const page = await get("/bots", { ...asked, pageSize: 200, pageToken });
    bots.push(...(page.bots || []));
    pageToken = page.nextPageToken;
  } while (pageToken && bots.length < 1000);
  return bots;
}

/** All wallets: pages put together. */
export async function allWallets() {
  const wallets = [];
  let pageToken = "";
  do {
    const page = await get("/wallets", { pageSize: 200, pageToken });
    wallets.push(...(page.wallets || []));
    pageToken = page.nextPageToken;
  } while (pageToken && wallets.length < 1000);
  return wallets;
}

/** How near a bot is to each of its limits: [{name, used, limit, part}]; what cannot be told has no `used`. */
export function nearness(bot, openOrders) {
  const { result, peak, dayStart } = bot.equity || {};
  const held = (bot.holdings || []).map((one) => Math.abs(Number(one.size)));
  const booked = total(bot, "realised") - total(bot, "fees") + total(bot, "funding");
  const minute = Date.now() - 60_000;
  const used = {
    maxPosition: held.length ? Math.max(...held) : 0,
    maxDailyLoss: bot.equity && Math.max(0, Number(dayStart) - Number(result)),
    maxDrawdown: bot.equity && Math.max(0, Number(peak) - Number(result)),
    maxUnrealisedLoss: bot.equity && Math.max(0, booked - Number(result)),
    maxOpenOrders: openOrders?.filter((one) => !one.settled).length,
    maxOrdersPerMinute: openOrders?.filter((one) => Date.parse(one.createdAt) > minute).length,
  };
  return Object.entries(bot.limits || {}).map(([name, limit]) => ({
    name, limit, used: used[name], part: used[name] == null ? null : Number(limit) > 0 ? used[name] / Number(limit) : 1,
  }));
}

export const Near = ({ part, label }) => (part == null ? html`<span class="quiet">–</span>`
  : html`<meter class=${part >= 0.9 ? "bad" : part >= 0.7 ? "warn" : ""} min="0" max="1" value=${Math.min(part, 1)} aria-label=${label}></meter>`);

const STARTS = ["idle", "stopped", "error"], RUNS = ["running", "starting"];

/** What a person may want of a bot, as buttons that ask. */
export function Commands({ of: bot, onDone }) {
  const [asking, ask] = useState("");
  const state = stateOf(bot), wanted = word(bot.desired, "BOT_STATE_");
  const over = () => { ask(""); onDone(); };
  const tell = (command, body) => post(`/bots/${bot.id}/${command}`, body);
  return html`
    ${STARTS.includes(state) && wanted !== "running" && html`<button type="button" class="primary" onClick=${() => ask("start")}>Start</button>`}
    ${RUNS.includes(state) && wanted === "running" && html`<button type="button" onClick=${() => ask("pause")}>Pause</button>`}
    ${["paused", "risk stopped"].includes(state) && html`<button type="button" class="primary" onClick=${() => ask("resume")}>Resume</button>`}
    ${!["idle", "stopped"].includes(state) && wanted !== "stopped" && html`<button type="button" class="danger" onClick=${() => ask("stop")}>Stop</button>`}
    ${asking === "start" && html`<${Confirm} title=${`Start ${bot.name}?`} action="Start" text="It trades with the money of its wallet from now on." onDo=${() => tell("start")} onEnd=${over} />`}
    ${asking === "pause" && html`<${Confirm} title=${`Pause ${bot.name}?`} action="Pause" text="It cancels its orders and waits. What it holds stays." onDo=${() => tell("pause")} onEnd=${over} />`}
    ${asking === "stop" && html`<${Confirm} title=${`Stop ${bot.name}?`} action="Stop" danger text="It cancels its orders and ends. What it holds stays, and nobody watches it." onDo=${() => tell("stop")} onEnd=${over} />`}
    ${asking === "resume" && html`<${Confirm} title=${`Resume ${bot.name}?`} action="Resume" text=${state === "risk stopped" ? `Risk has stopped it: ${plain(bot.reason)}` : "It quotes again."}
      onDo=${(form) => tell("resume", state === "risk stopped" ? { reason: form.get("reason") } : {})} onEnd=${over}>
      ${state === "risk stopped" && html`<label>Why it may go on <input name="reason" required maxlength="500" /></label>`}<//>`}`;
}

const EXCHANGES = ["okx", "polymarket"];
/** Whether somebody may change what is about all exchanges: an operator of some may not. */
export const ofAll = ({ rest }) => rest?.role !== "operator" || EXCHANGES.every((one) => rest.exchanges.includes(one));

const CHOSEN = "console-exchange";

/** The exchange that the reader has chosen for all pages of bots; empty: all. */
export function useExchange() {
  const [exchange, set] = useState(() => sessionStorage.getItem(CHOSEN) || "");
  const choose = (name) => {
    sessionStorage.setItem(CHOSEN, name);
    set(name);
  };
  return [exchange, choose];
}

export function ExchangeChoice({ chosen, onChoose }) {
  const exchanges = useLoaded(() => get("/exchanges"), []);
  return html`<label class="inline">Exchange <select value=${chosen} onChange=${(e) => onChoose(e.target.value)}>
    <option value="">all</option>
    ${(exchanges.data?.exchanges || []).map(({ name }) => html`<option value=${name} selected=${name === chosen}>${name}</option>`)}
  </select></label>`;
}

export const botsOf = (wallet) => withQuery("#/bots", { wallet });
