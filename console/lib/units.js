// Decimal texts and whole numbers of units, exactly: no amount is ever a float.

/** Digits of sizes, prices and money at an exchange (docs/api.md#bots). */
export const DIGITS = {
  okx: { size: 8, price: 10, money: 8 },
  polymarket: { size: 6, price: 6, money: 6 },
};

/** Units of a decimal text; throws what to say where it is none, or has too many decimals. */
export function toUnits(text, digits) {
  const found = /^(\d{1,12})(?:\.(\d+))?$/.exec(text);
  if (!found || (found[2] || "").length > digits) {
    throw new Error(`a number with at most ${digits} decimals`);
  }
  return BigInt(found[1] + (found[2] || "").padEnd(digits, "0")).toString();
}

/** The decimal text of units. */
export function fromUnits(units, digits) {
  const negative = String(units).startsWith("-");
  const whole = String(units).replace("-", "").padStart(digits + 1, "0");
  const text = `${whole.slice(0, -digits)}.${whole.slice(-digits)}`.replace(/\.?0+$/, "");
  return (negative ? "-" : "") + text;
}
