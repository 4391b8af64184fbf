// The forms of bots' strategies: the fields of their settings, and of the limits of any bot.

import { DIGITS, fromUnits, toUnits } from "./units.js";

/**
 * By the name that REST has: title, about, and fields {name, label, kind, about, none, choices}. Kinds size, price and
 * money are decimals that go over REST as whole numbers of units.
 */
export const STRATEGIES = {
  market_making: {
    title: "Market making", key: "marketMaking", about: "Quotes both sides of a book around a price that moves away from what it holds (Avellaneda and Stoikov).",
    fields: [
      { name: "orderSize", label: "Size of a quote", kind: "size", needed: true, about: "On each side." },
      { name: "maxPosition", label: "Largest holding", kind: "size", needed: true, about: "On either side." },
      { name: "maxHalfSpread", label: "Largest half spread", kind: "price", needed: true, about: "Quotes are no farther from the reservation price." },
      { name: "minHalfSpread", label: "Smallest half spread", kind: "price", none: "0", about: "Nor nearer." },
      { name: "riskAversion", label: "Risk aversion", kind: "decimal", none: "0.1", about: "How strongly a holding moves the quotes." },
      { name: "arrivalDecay", label: "Decay of arrivals", kind: "decimal", none: "100", about: "How fast takers fade with the distance, by a price of 1." },
      { name: "horizonS", label: "Horizon", kind: "decimal", none: "60", about: "Seconds that a holding is thought to last." },
      { name: "volatilityHalfLifeS", label: "Half-life of volatility", kind: "decimal", none: "60", about: "Seconds." },
      { name: "requoteTicks", label: "Requote after", kind: "whole", none: "1", about: "Ticks; a quote that is nearer stays." },
      { name: "toxicImbalance", label: "One-sided prints", kind: "decimal", none: "0.8", about: "Part of recent prints from which quotes back off." },
      { name: "backOffMs", label: "Back off for", kind: "whole", none: "5000", about: "Milliseconds." },
      { name: "complementId", label: "Other outcome", kind: "instrument", about: "Of a binary; traded as well." },
    ],
  },
  grid: {
    title: "Grid", key: "grid", about: "Rests orders at levels between two prices, and turns each fill around one level further.",
    fields: [
      { name: "lower", label: "Lowest level", kind: "price", needed: true, about: "" },
      { name: "upper", label: "Highest level", kind: "price", needed: true, about: "" },
      { name: "cells", label: "Steps between them", kind: "whole", needed: true, about: "Levels are one more." },
      { name: "orderSize", label: "Size of each level", kind: "size", needed: true, about: "" },
      { name: "openingSlippage", label: "Slippage of the opening", kind: "price", none: "0", about: "Above the best ask, for the first holding." },
      { name: "postOnly", label: "Makers alone", kind: "choice", choices: [["", "no"], ["true", "yes: what would trade at once is refused"]], about: "" },
    ],
  },
  dca: {
    title: "Buys at intervals", key: "dca", about: "Buys for the same money again and again (dollar-cost averaging).",
    fields: [
      { name: "amount", label: "Money of one buy", kind: "money", needed: true, about: "Before fees." },
      { name: "intervalS", label: "Every", kind: "whole", needed: true, about: "Seconds, at least 10." },
      { name: "maxSlippage", label: "Slippage", kind: "whole", none: "1000", about: "Above the best ask, parts of a million." },
      { name: "budget", label: "Budget", kind: "money", none: "no bound", about: "Largest cost of what is held." },
      { name: "takeProfit", label: "Take profit", kind: "whole", none: "it is kept", about: "Above the average cost, parts of a million." },
      { name: "finishWhen", label: "Ends", kind: "choice", choices: [["", "never"], ["SOLD", "when the take-profit has sold"], ["BUDGET", "when the budget is spent"]], about: "" },
    ],
  },
};
const OF_CONFIG = new Map(Object.entries(STRATEGIES).map(([name, one]) => [one.key, name]));

/** Limits of a bot; `used` says which figure of it comes near (lib/bots.js). */
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
  { name: "markAgeMs", label: "Oldest mark", about: "Milliseconds; nothing new opens on an older one.", whole: true },
];

const UNITS = new Set(["size", "price", "money"]);

/** The config that REST takes. Throws {field, message} for what is no number. */
export function configOf(strategy, exchange, instrument, text) {
  const { key, fields } = STRATEGIES[strategy];
  const settings = { instrumentId: instrument };
  for (const { name, kind } of fields) {
    const value = text(name);
    if (value === "") continue;
    try {
      settings[name] = UNITS.has(kind) ? toUnits(value, DIGITS[exchange][kind])
        : kind === "whole" && /^\d+$/.test(value) ? Number(value)
        : kind === "choice" && value === "true" ? true
        : kind === "instrument" && !value.includes(":") ? `${exchange}:${value}` : value;
    } catch (error) {
      throw Object.assign(new Error(`expected ${error.message}`), { field: name });
    }
  }
  return { [key]: settings };
}

/** The settings that a bot has, as [{label, value, about}]. */
export function settingsOf(bot, exchange) {
  const [key, settings] = Object.entries(bot.config || {})[0] || [];
  const known = STRATEGIES[OF_CONFIG.get(key)];
  if (!known) return Object.entries(settings || {}).map(([name, value]) => ({ label: name, value: String(value), about: "" }));
  return known.fields.filter(({ name }) => settings[name] != null && settings[name] !== "").map(({ name, label, kind, about, choices }) => ({
    label, about,
    value: UNITS.has(kind) ? fromUnits(settings[name], DIGITS[exchange][kind])
      : choices?.find(([value]) => value === String(settings[name]))?.[1] || (settings[name] === false ? "no" : String(settings[name])),
  }));
}
