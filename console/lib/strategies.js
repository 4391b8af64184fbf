// The forms of bots: settings of a strategy as REST describes them, and the limits of any bot.

import { get } from "./api.js";
import { word } from "./format.js";
import { DIGITS, fromUnits, toUnits } from "./units.js";

let known = null;

/** Strategies by name, with their settings. */
export function strategies() {
  known ??= get("/strategies").then(
    ({ strategies: all = [] }) => new Map(all.map((one) => [one.name, one])),
    (error) => { known = null; throw error; },
  );
  return known;
}

/** orderSize -> "order size", instrumentId -> "instrument", horizonS -> "horizon": the unit stands beside it. */
export const named = (name) => name.replace(/(S|Ms|Id)$/, "").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
/** A text of REST for the form, which takes decimals and shows what is left out as it would be. */
export const said = (text = "") => text.replace(/ ?Sizes(?: and prices)? are whole numbers of units.*?\.(?=\s|$)/s, "").replace("left out:", "default").replace("Left out:", "Default")
  .replace(/One of "instruments"\.?/, "").replace(/\b[a-z]+[A-Z]\w*/g, named);
export const titleOf = (strategy) => word(strategy);

/** Digits of a setting that is told in units of an instrument; null: it is a plain one. */
function digitsOf({ unit = "" }, exchange) {
  const kind = /^(price|size|money) units$/.exec(unit)?.[1];
  return kind ? DIGITS[exchange][kind] : null;
}

export const isInstrument = ({ name, type }) => type === "string" && /Id$/.test(name);

/** What may be chosen, where a pattern lists it. */
export function choicesOf({ type, pattern = "" }) {
  if (type === "boolean") return ["false", "true"];
  return /^\^\(([A-Z_]+(?:\|[A-Z_]+)+)\)\??\$$/.exec(pattern)?.[1].split("|") || null;
}

/** What a setting is where it is left out, as a person types it. */
export function defaultOf(setting, exchange) {
  const digits = digitsOf(setting, exchange);
  if (setting.default == null || setting.default === "") return "";
  return digits == null ? setting.default : fromUnits(setting.default, digits);
}

/** The unit as a person reads it: units of an instrument are typed as decimals. */
export const unitOf = ({ name, unit = "" }) => {
  const told = unit.replace(/^(price|size|money) units$/, "$1");
  return named(name).endsWith(told) ? "" : told;
};

/** A setting as REST takes it. Throws {field, message} for what is no number. */
function taken(setting, exchange, value) {
  const digits = digitsOf(setting, exchange);
  try {
    if (digits != null) return toUnits(value, digits);
  } catch (error) {
    throw Object.assign(new Error(`expected ${error.message}`), { field: setting.name });
  }
  if (setting.type === "integer" && /^\d{1,15}$/.test(value)) return Number(value);
  if (setting.type === "boolean") return value === "true";
  if (isInstrument(setting) && !value.includes(":")) return `${exchange}:${value}`;
  return value;
}

/** The config that REST takes, and the instruments in it. */
export function configOf(strategy, exchange, text) {
  const given = strategy.settings.map((setting) => [setting, text(setting.name)]).filter(([, value]) => value !== "");
  const settings = Object.fromEntries(given.map(([setting, value]) => [setting.name, taken(setting, exchange, value)]));
  const instruments = given.filter(([setting]) => isInstrument(setting)).map(([setting]) => settings[setting.name]);
  return { config: { [strategy.configKey]: settings }, instruments: [...new Set(instruments)] };
}

/** A setting of a bot, as a person types it. */
export function storedText(setting, exchange, config) {
  const value = config?.[setting.name];
  if (value == null) return "";
  const digits = digitsOf(setting, exchange);
  return digits == null ? String(value) : fromUnits(value, digits);
}

/** Limits of a bot: {name, label, about, whole}. */
export const LIMITS = [
  { name: "maxPosition", label: "Largest holding", about: "Size of one instrument, on either side." },
  { name: "maxNotional", label: "Most in all", about: "Worth of all that is held and could still fill." },
  { name: "maxOrderNotional", label: "Most of one order", about: "Worth." },
  { name: "maxExposure", label: "Largest exposure", about: "Longs less shorts, on either side." },
  { name: "maxDailyLoss", label: "Most lost in a day", about: "It stops the bot." },
  { name: "maxDrawdown", label: "Largest drawdown", about: "From the highest result; it stops the bot." },
  { name: "maxUnrealisedLoss", label: "Most lost unrealised", about: "It stops the bot and sells." },
  { name: "maxMarketLoss", label: "Most lost in one market", about: "Only what reduces goes on there." },
  { name: "maxOpenOrders", label: "Orders at once", about: "That may still fill.", whole: true },
  { name: "maxOrdersPerMinute", label: "Orders a minute", about: "And changes of them.", whole: true },
  { name: "maxLeverage", label: "Largest leverage", about: "Worth of futures and swaps by the account's money." },
  { name: "minLiquidationBuffer", label: "Least way to liquidation", about: "Part of the mark: 0.1. It stops the bot and sells." },
  { name: "maxFundingRate", label: "Most paid at a funding", about: "Part of the worth: 0.0005." },
  { name: "markAgeMs", label: "Oldest mark", about: "Milliseconds; nothing new opens on an older one.", whole: true, none: "5000" },
];

/** The limits that REST takes. */
export function limitsOf(text) {
  const given = LIMITS.map((limit) => [limit, text(`limits.${limit.name}`)]).filter(([, value]) => value !== "");
  return Object.fromEntries(given.map(([{ name, whole }, value]) => [name, whole && /^\d{1,15}$/.test(value) ? Number(value) : value]));
}
