// The fields of a subscription's settings: what each does, and what it is where it is left empty.

import { CallError } from "./api.js";
import { fromUnits, toUnits } from "./units.js";

const AMOUNT = "USDC", PART = "0.02 is 2 %", PRICE = "USDC a share", LOSS = "USDC, or 10 %";
const CONDITIONS = "Conditions, 0x and 64 hex digits, one a line.", CATEGORIES = "As the venue names them, one a line: sports.";

/** By group: {name, label, unit, about, none: what an empty one means, whole, choices, list, tiers, loss}. */
const FIELDS = {
  sizing: [
    { name: "mode", label: "Size of a copy", about: "Before any limit.", choices: [["fixed", "the same amount"], ["ratio", "a ratio of the leader's"], ["proportional", "by the equity of both"], ["tiers", "in tiers"]] },
    { name: "amount", label: "Amount or ratio", unit: "USDC, or a factor", about: "USDC of each copy, or the factor on what the leader spends.", none: "none" },
    { name: "tiers", label: "Tiers", about: "One a line, rising: 0 fixed 5, then 100 ratio 0.05. From so many USDC of the leader's trade on; below the first nothing is copied.", none: "none", tiers: true },
    { name: "multiplier", label: "Multiplier", unit: "a factor", about: "On what the mode gives.", none: "1" },
    { name: "belowMinimum", label: "Below the market's minimum", about: "What becomes of a copy that is too small.", choices: [["", "it is skipped"], ["BELOW_MINIMUM_ROUND_UP", "the minimum is bought"], ["BELOW_MINIMUM_ACCUMULATE", "it is added to the next ones"]] },
  ],
  limits: [
    { name: "maxPerTrade", label: "Most for one trade", unit: AMOUNT, about: "A copy that would be larger is cut to it." },
    { name: "maxPerMarket", label: "Most in one market", unit: AMOUNT, about: "Entries stop there; exits make room again." },
    { name: "maxPerLeader", label: "Most with this leader", unit: AMOUNT, about: "At cost, in all markets of this subscription." },
    { name: "maxTotal", label: "Most of the wallet", unit: AMOUNT, about: "At cost, over all its subscriptions." },
    { name: "maxPerDay", label: "Most bought in a day", unit: AMOUNT, about: "Fees included; counted from midnight, UTC." },
    { name: "maxSlippage", label: "Worst price of an entry", unit: PART, about: "Above the leader's price; dearer is not bought.", none: "0.03" },
    { name: "maxSpread", label: "Widest spread", unit: PRICE, about: "A book that is wider is not traded in." },
    { name: "minDepthFraction", label: "Least depth", unit: PART, about: "Of the size, that the book holds within the limit.", none: "0.5" },
    { name: "maxOpenPositions", label: "Positions at once", unit: "number", about: "A further outcome is skipped.", whole: true },
    { name: "maxBuysPerOutcome", label: "Buys of one outcome", unit: "number", about: "Within 90 days.", whole: true },
    { name: "maxAgeMs", label: "Oldest trade", unit: "ms", about: "An entry that comes later is skipped.", none: "60000", whole: true },
    { name: "onDoubtfulBook", label: "Without a book to trust", about: "With a spread or depth asked for, nothing is ordered without one.", choices: [["", "order at the leader's limit"], ["DOUBTFUL_BOOK_WAIT", "wait for a good one"], ["DOUBTFUL_BOOK_SKIP", "skip"]] },
  ],
  filters: [
    { name: "sides", label: "Copied trades", about: "Of the leader's.", choices: [["", "buys and sells"], ["COPY_SIDES_BUYS", "buys alone"], ["COPY_SIDES_SELLS", "sells alone"]] },
    { name: "minPrice", label: "Lowest price", unit: PRICE, about: "Outcomes that are cheaper are skipped.", none: "any" },
    { name: "maxPrice", label: "Highest price", unit: PRICE, about: "Outcomes that are dearer are skipped.", none: "any" },
    { name: "minLeaderNotional", label: "Leader's least", unit: AMOUNT, about: "Smaller trades of the leader are skipped.", none: "any" },
    { name: "minSecondsToEnd", label: "Least time to the end", unit: "s", about: "Markets that end sooner, or nobody knows when, are skipped.", none: "any", whole: true },
    { name: "oppositeSide", label: "A leader on both sides", about: "Of one market.", choices: [["", "copy both"], ["OPPOSITE_SIDE_FIRST_ONLY", "the first outcome alone"], ["OPPOSITE_SIDE_SKIP", "no entry any more"]] },
    { name: "marketsAllowed", label: "Only these markets", about: CONDITIONS, none: "all", list: true },
    { name: "marketsDenied", label: "Not these markets", about: CONDITIONS, none: "none", list: true },
    { name: "categoriesAllowed", label: "Only these categories", about: CATEGORIES, none: "all", list: true },
    { name: "categoriesDenied", label: "Not these categories", about: CATEGORIES, none: "none", list: true },
  ],
  exits: [
    { name: "mode", label: "When the leader sells", about: "What is sold.", choices: [["", "as large a part as he"], ["EXIT_MODE_ALL", "everything"], ["EXIT_MODE_NONE", "nothing: stops alone sell"]] },
    { name: "maxSlippage", label: "Worst price of an exit", unit: PART, about: "Below the leader's price. Empty: any price at last, in widening steps.", none: "any price" },
    { name: "belowMinimum", label: "Exits below the minimum", about: "What becomes of one that is too small.", choices: [["", "added to the next ones"], ["EXIT_BELOW_MINIMUM_ROUND_UP", "the minimum is sold"], ["EXIT_BELOW_MINIMUM_WAIT", "its shares stay"]] },
  ],
  triggers: [
    { name: "takeProfit", label: "Take profit", unit: PART, about: "Each new position gets a target so far above its price.", none: "none" },
    { name: "stopLoss", label: "Stop loss", unit: PART, about: "Each new position gets a stop so far below its price.", none: "none" },
  ],
};
const LEADER = [
  { name: "leader.minTrades30d", label: "Least trades in 30 days", unit: "number", about: "A leader with fewer is not bought after.", none: "any", whole: true },
  { name: "leader.minWinRate", label: "Least win rate", unit: PART, about: "Of its lower bound (95 %), over 90 days.", none: "any" },
  { name: "leader.minProfitFactor", label: "Least profit factor", unit: "a factor", about: "Gains by losses, over 90 days.", none: "any" },
  { name: "leader.maxDrawdown", label: "Largest drawdown", unit: PART, about: "Fall from a peak, by what was at work.", none: "any" },
  { name: "leader.minCopyability", label: "Least copyability", unit: PART, about: "His edge, less what a copy three seconds later cost more.", none: "any" },
  { name: "leader.onMissing", label: "Without statistics", about: "Not known, or too old.", choices: [["", "his buys are skipped"], ["ON_MISSING_COPY", "his buys are copied"]] },
  { name: "leader.maxAgeSeconds", label: "Oldest statistics", unit: "s", about: "Older ones count as not known.", none: "900", whole: true },
];
const STOP = [
  { name: "lossStop.session", label: "Most lost since it was resumed", unit: LOSS, about: "Or made. A part is of the wallet's equity.", loss: true },
  { name: "lossStop.day", label: "Most lost in a day", unit: LOSS, about: "Since midnight of the engine's time zone.", loss: true },
  { name: "lossStop.fromPeak", label: "Most lost from the peak", unit: LOSS, about: "Since its best result.", loss: true },
  { name: "lossStop.total", label: "Most lost in all", unit: LOSS, about: "Since it was made, or resumed after a loss stop.", loss: true },
  { name: "lossStop.action", label: "Then", about: "What the loss stop does.", choices: [["", "it is paused"], ["LOSS_ACTION_PAUSE_AND_EXIT", "it is paused and sells all"], ["LOSS_ACTION_REDUCE_ONLY", "its whole wallet buys nothing"]] },
  { name: "lossStop.scope", label: "The result of", about: "What is judged.", choices: [["", "this subscription"], ["PERFORMANCE_SCOPE_WALLET", "all of its wallet"]] },
];
const SCALE = [
  { name: "profitScale.step", label: "Profit of a step", unit: AMOUNT, about: "So much more makes copies larger, so much less smaller. With the next three, or none of them.", none: "no steps" },
  { name: "profitScale.factor", label: "A step multiplies by", unit: "a factor", about: "More than 1.", none: "none" },
  { name: "profitScale.min", label: "Lowest scale", unit: "a factor", about: "At most 1.", none: "none" },
  { name: "profitScale.max", label: "Highest scale", unit: "a factor", about: "At least 1.", none: "none" },
  { name: "profitScale.cooldownSeconds", label: "Between steps up", unit: "s", about: "Down is never waited with.", none: "0", whole: true },
  { name: "profitScale.onLoss", label: "A step down", about: "What it does to the scale.", choices: [["", "divides it"], ["ON_LOSS_RESET", "makes it 1 again"]] },
];
/** As the form shows them: {group, title, fields}. */
export const SECTIONS = [
  { group: "sizing", title: "Size", fields: FIELDS.sizing }, { group: "limits", title: "Limits", fields: FIELDS.limits },
  { group: "filters", title: "Filters", fields: FIELDS.filters }, { group: "filters", title: "What the leader has to be", fields: LEADER },
  { group: "exits", title: "Exits", fields: FIELDS.exits }, { group: "triggers", title: "Stops of new positions", fields: FIELDS.triggers },
  { group: "performance", title: "Loss stop", fields: STOP }, { group: "performance", title: "Size by profit", fields: SCALE },
];
const FIELD = new Map(SECTIONS.flatMap(({ group, fields }) => fields.map((field) => [`${group}.${field.name}`, field])));
const PLACES = [...FIELD.keys()];

const MODES = ["fixed", "ratio", "proportional", "tiers"];
const AMOUNTS = { fixed: "amount", ratio: "ratio" };
const modeOf = (sizing) => MODES.find((mode) => sizing?.[mode]) || "fixed";
const split = (path) => [path.slice(0, path.indexOf(".")), path.slice(path.indexOf(".") + 1)];
const lines = (text) => text.split(/[\n,]+/).map((one) => one.trim()).filter(Boolean);
const wrong = (field, message) => new CallError(400, "INVALID_FIELD", message, field);

const tierText = ({ fromNotional, fixed, ratio }) => `${fromNotional} ${fixed ? `fixed ${fixed.amount}` : `ratio ${ratio?.ratio}`}`;

/** Tiers of lines as `0 fixed 5`. */
function tiersOf(text) {
  return lines(text).map((line) => {
    const found = /^(\S+)\s+(fixed|ratio)\s+(\S+)$/.exec(line);
    if (!found) throw wrong("sizing.tiers", `Tiers: expected lines as "0 fixed 5" or "100 ratio 0.05", not "${line}"`);
    const [, fromNotional, mode, value] = found;
    return { fromNotional, [mode]: { [AMOUNTS[mode]]: value } };
  });
}

const lossText = (limit) => (limit?.fraction ? `${fromUnits(toUnits(limit.fraction, 6), 4)} %` : limit?.amount || "");

/** A loss in USDC, or as a part of the wallet's equity. */
function lossOf(path, label, text) {
  const part = /^(.*?)\s*%$/.exec(text);
  if (!part) return { amount: text };
  try {
    return { fraction: fromUnits(toUnits(part[1], 4), 6) };
  } catch {
    throw wrong(path, `${label}: expected USDC, or a part as 10 %`);
  }
}

/** The text of a setting, as a subscription has it; `path` is "limits.maxPerTrade". */
export function stored(subscription, path) {
  const [group, name] = split(path), field = FIELD.get(path);
  if (group === "sizing") {
    const sizing = subscription.sizing || {}, mode = modeOf(sizing);
    if (name === "mode") return mode;
    if (name === "amount") return sizing[mode]?.[AMOUNTS[mode]] ?? "";
    if (name === "tiers") return (sizing.tiers?.tiers || []).map(tierText).join("\n");
    return String(sizing[name] ?? "");
  }
  const value = name.split(".").reduce((of, part) => of?.[part], subscription[group]);
  if (field.list) return (value || []).join("\n");
  if (field.loss) return lossText(value);
  // What a choice means that is not made is shown as such.
  if (path === "performance.lossStop.action" && value === "LOSS_ACTION_PAUSE") return "";
  return String(value ?? "");
}

function sizingOf(text) {
  const mode = text("sizing.mode");
  const size = { fixed: () => ({ amount: text("sizing.amount") }), ratio: () => ({ ratio: text("sizing.amount") }),
    proportional: () => ({}), tiers: () => ({ tiers: tiersOf(text("sizing.tiers")) }) }[mode]();
  return { [mode]: size, multiplier: text("sizing.multiplier") || undefined, belowMinimum: text("sizing.belowMinimum") || undefined };
}

/** A setting as REST takes it. */
function taken(path, text) {
  const { label, list, loss, whole } = FIELD.get(path);
  if (list) return lines(text);
  if (loss) return lossOf(path, label, text);
  return whole && /^\d+$/.test(text) ? Number(text) : text;
}

/** Parts that are optional, each with what it is nothing without. */
const PARTS = {
  leader: ["minTrades30d", "minWinRate", "minProfitFactor", "maxDrawdown", "minCopyability"],
  lossStop: ["session", "day", "fromPeak", "total"], profitScale: ["step", "factor", "min", "max"],
};

/** Parts of which nothing is left are left out, unless somebody has just set something in them. */
function pruned(group, made, changed) {
  for (const [part, needed] of Object.entries(PARTS)) {
    const typed = Object.entries(changed).some(([path, text]) => text !== "" && path.startsWith(`${group}.${part}.`));
    if (made[part] && !typed && !needed.some((name) => made[part][name] != null)) delete made[part];
  }
  if (made.lossStop) made.lossStop.action ??= "LOSS_ACTION_PAUSE";
  return made;
}

/** Groups as REST takes them, each whole, with what was changed: {"limits.maxPerTrade": "20"}. Throws CallError. */
export function groupsOf(subscription, changed) {
  const groups = {};
  for (const path of PLACES.filter((one) => one in changed)) {
    const [group, name] = split(path);
    if (group === "sizing") {
      groups.sizing = sizingOf((one) => changed[one] ?? stored(subscription, one));
      continue;
    }
    groups[group] ??= structuredClone(subscription[group] || {});
    const parts = name.split("."), last = parts.pop();
    const of = parts.reduce((at, part) => (at[part] ??= {}), groups[group]);
    if (changed[path] === "") delete of[last];
    else of[last] = taken(path, changed[path]);
  }
  for (const group of Object.keys(groups)) groups[group] = pruned(group, groups[group], changed);
  return groups;
}

/** Whether an error is about a setting: its name, or what is in it. */
export function isAbout(error, path) {
  const [group, name] = split(path), field = (error?.field || "").replace(/\[\d+\]/g, "");
  return field.startsWith(group) && (field.endsWith(`.${name.split(".").at(-1)}`) || field.startsWith(`${path}.`) || field === path);
}

/** What was changed, in words: [{label, unit, before, after}]. */
export function changesOf(subscription, changed) {
  return PLACES.filter((path) => path in changed).map((path) => {
    const field = FIELD.get(path);
    const said = (text) =>
      field.choices ? field.choices.find(([value]) => value === text)?.[1] || text
        : text === "" ? field.none || "no limit" : text;
    return { label: field.label, unit: field.choices ? "" : field.unit, before: said(stored(subscription, path)), after: said(changed[path]) };
  });
}
