// Values as people read them. Amounts come as decimal texts and stay texts until they are shown.

const number = (digits, sign) =>
  new Intl.NumberFormat("en-US", {
    minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: sign ? "exceptZero" : "auto",
  });
const amounts = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const one = number(1), two = number(2), signed = number(2, true), whole = number(0), three = number(3);

/** USDC of a decimal text; a dash where there is none. */
export const usdc = (text) => (text === "" || text == null ? "–" : two.format(Number(text)));
export const gain = (text) => (text === "" || text == null ? "–" : signed.format(Number(text)));
/** An amount on an axis: no cents where there are none. */
export const amount = (value) => amounts.format(value);
/** The class of a gain's colour: none of what is zero or unknown. */
export const toneOf = (value) => (Number(value) > 0 ? "up" : Number(value) < 0 ? "down" : "");
export const price = (text) => (text === "" || text == null ? "–" : three.format(Number(text)));
export const count = (value) => (value === "" || value == null ? "–" : whole.format(Number(value)));
export const shares = (text) =>
  text === "" || text == null ? "–" : two.format(Number(text));
/** USDC or shares of an integer of millionths. */
export const micros = (text) =>
  text === "" || text == null ? "–" : two.format(Number(BigInt(text)) / 1e6);
export const percent = (part) => (part == null || Number.isNaN(part) ? "–" : `${one.format(100 * part)} %`);
/** A length of time with three digits: 6.5 ms, 74 ms, 1.72 s. */
export const duration = (ms) => {
  if (ms == null || ms === "" || Number.isNaN(Number(ms))) return "–";
  const value = Number(ms), size = Math.abs(value);
  if (size >= 100_000) return `${whole.format(value / 1000)} s`;
  if (size >= 1000) return `${(value / 1000).toFixed(size >= 10_000 ? 1 : 2)} s`;
  return `${value.toFixed(size >= 10 ? 0 : 1)} ms`;
};
export const millis = (us) => (us == null || us === "" ? "–" : duration(Number(us) / 1000));

/** The beginning and the end of a hash or an address. */
export const short = (text) =>
  !text ? "–" : text.length <= 14 ? text : `${text.slice(0, 6)}…${text.slice(-4)}`;

/** A text of the engine with its hashes and token ids short. */
export const brief = (text) => (text || "").replace(/\b(0x[0-9a-fA-F]{20,}|\d{30,})\b/g, short);

/** The last part of an enumeration's name, as words: ORDER_STATE_SUBMITTED -> submitted. */
export const word = (name, prefix = "") =>
  (name || "").replace(prefix, "").replaceAll("_", " ").toLowerCase();

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const toTheMillisecond = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
export const instant = (time) => toTheMillisecond.format(new Date(time));
export const exact = (time) => {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? "" : `${day.format(at)} (${at.toISOString()})`;
};
/** The time of a day within the last twelve hours, else the day as well. */
export const time = (value, now = Date.now()) => {
  const at = new Date(value);
  if (!value || Number.isNaN(at.getTime())) return "–";
  return Math.abs(now - at) < 43_200_000 ? clock.format(at) : day.format(at);
};
export const ago = (value, now = Date.now()) => {
  const seconds = Math.max(0, (now - new Date(value)) / 1000);
  if (!value || Number.isNaN(seconds)) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
};
