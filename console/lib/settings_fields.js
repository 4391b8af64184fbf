// The fields of a subscription's settings: what each does, and what it is where it is left empty.

const AMOUNT = "USDC", PART = "0.02 is 2 %", PRICE = "USDC a share";

/** By group: {name, label, unit, about, none: what an empty one means, whole, choices}. */
export const FIELDS = {
  sizing: [
    { name: "mode", label: "Size of a copy", about: "Before any limit.", choices: [["fixed", "the same amount"], ["ratio", "a ratio of the leader's"], ["proportional", "by the equity of both"], ["tiers", "in tiers"]] },
    { name: "amount", label: "Amount or ratio", unit: "USDC, or a factor", about: "USDC of each copy, or the factor on what the leader spends. Tiers are changed over REST.", none: "none" },
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
export const TITLES = { sizing: "Size", limits: "Limits", filters: "Filters", exits: "Exits", triggers: "Stops of new positions" };

const MODES = ["fixed", "ratio", "proportional", "tiers"];
const AMOUNTS = { fixed: "amount", ratio: "ratio" };
const modeOf = (sizing) => MODES.find((mode) => sizing?.[mode]) || "fixed";

/** The text of a field, as a subscription has it. */
export function stored(subscription, group, name) {
  if (group !== "sizing") return String(subscription[group]?.[name] ?? "");
  const sizing = subscription.sizing || {}, mode = modeOf(sizing);
  if (name === "mode") return mode;
  if (name === "amount") return sizing[mode]?.[AMOUNTS[mode]] ?? "";
  return String(sizing[name] ?? "");
}

/** Groups as a PATCH takes them: each whole, with what was changed: {"limits.maxPerTrade": "20"}. */
export function groupsOf(subscription, changed) {
  const groups = {};
  const text = (path) => changed[path] ?? stored(subscription, ...path.split("."));
  for (const path of Object.keys(changed)) {
    const [group, name] = path.split(".");
    if (group === "sizing") {
      const mode = text("sizing.mode");
      const { multiplier, belowMinimum, [mode]: before } = subscription.sizing || {};
      groups.sizing = { multiplier, belowMinimum, [mode]: AMOUNTS[mode] ? { [AMOUNTS[mode]]: text("sizing.amount") } : before || {} };
      for (const more of ["multiplier", "belowMinimum"]) {
        groups.sizing[more] = text(`sizing.${more}`) || undefined;
      }
      continue;
    }
    groups[group] ??= { ...(subscription[group] || {}) };
    const field = FIELDS[group].find((one) => one.name === name);
    if (changed[path] === "") delete groups[group][name];
    else groups[group][name] = field.whole && /^\d+$/.test(changed[path]) ? Number(changed[path]) : changed[path];
  }
  return groups;
}

/** What was changed, in words: [{label, before, after}]. */
export function changesOf(subscription, changed) {
  return Object.entries(changed).map(([path, after]) => {
    const [group, name] = path.split(".");
    const field = FIELDS[group].find((one) => one.name === name);
    const said = (text) =>
      field.choices ? field.choices.find(([value]) => value === text)?.[1] || text
        : text === "" ? field.none || "no limit" : text;
    return { label: field.label, unit: field.choices ? "" : field.unit, before: said(stored(subscription, group, name)), after: said(after) };
  });
}
