// The hops of an order, from its instants.

const HOPS = [
  ["venue", "tradedAt", "receivedAt", "from the venue's second to our frame"],
  ["decide", "receivedAt", "decidedAt", "sizing, limits and filters"],
  ["claim", "decidedAt", "claimedAt", "the claim is durable"],
  ["submit", "claimedAt", "submittingAt", "last checks, and the commit before the byte"],
  ["send", "submittingAt", "sentAt", "until the first byte"],
  ["answer", "sentAt", "answeredAt", "insiders-api answers"],
  ["confirm", "answeredAt", "confirmedAt", "the fill is final"],
];

const between = (times, from, to) => {
  const a = Date.parse(times?.[from]), b = Date.parse(times?.[to]);
  if (Number.isNaN(a) || Number.isNaN(b)) return null;
  // Date.parse keeps milliseconds; the rest of the digits are added.
  return b - a + (fraction(times[to]) - fraction(times[from]));
};
const fraction = (text) => Number(`0.${(text.match(/\.\d{3}(\d+)/) || [, "0"])[1]}`);

/** Milliseconds of each hop that has both ends, and `own`: all that is ours. */
export function hops(times) {
  const list = HOPS.map(([name, from, to, about]) => ({ name, about, ms: between(times, from, to) })).filter((hop) => hop.ms != null);
  return { list, own: between(times, "receivedAt", "sentAt") };
}
