// The live tape as a pure function: the trades so far and some events in, the trades after them out.

export const MOST = 500;
const TITLES = 2000;

/**
 * Newest first: {key, number, time, leader, tx, side, assetId, market, size, price, copies}. A copy is
 * {key, wallet, subscription, order, state, reason, filled, notional} or {key, ..., skipped, detail}.
 * An event that was folded before changes nothing. titles: of markets, which events of skips alone tell; it is kept.
 */
export function fold(trades, events, titles = new Map()) {
  let all = trades;
  for (const event of events) {
    const { data } = event;
    if (!data?.leaderTx) continue;
    keep(titles, data);
    const key = [data.leaderTx, data.leader, data.assetId, data.side].join(":");
    const found = all.find((trade) => trade.key === key);
    const number = Number(event.sequence);
    if (found && found.last >= number) continue;
    const trade = next(found || begun(key, event, number), event, number, titles.get(data.conditionId) || "");
    all = found ? all.map((one) => (one === found ? trade : one)) : placed(all, trade);
  }
  return all;
}

function keep(titles, { title, conditionId }) {
  if (!title || titles.has(conditionId)) return;
  titles.set(conditionId, title);
  if (titles.size > TITLES) titles.delete(titles.keys().next().value);
}

function placed(all, trade) {
  const at = all.findIndex((one) => one.number < trade.number);
  const rest = at < 0 ? [...all, trade] : [...all.slice(0, at), trade, ...all.slice(at)];
  return rest.slice(0, MOST);
}

const begun = (key, event, number) => ({
  key, number, last: 0, time: event.time, leader: event.data.leader, tx: event.data.leaderTx, side: event.data.side,
  assetId: event.data.assetId, market: "", size: "", price: "", copies: [],
});

function next(trade, event, number, title) {
  const { data, type } = event;
  const known = { ...trade, last: number, market: title || trade.market };
  if (type === "leader.traded") {
    return { ...known, size: data.size, price: data.price, time: new Date(data.tradedMs).toISOString() };
  }
  const wallet = data.follower?.followerProxy || "";
  const of = { wallet, subscription: data.subscriptionId || "" };
  if (type === "copy.skipped") {
    const key = `skip:${of.subscription}`;
    const leader = { size: known.size || data.leaderSize, price: known.price || perShare(data) };
    return { ...known, ...leader, copies: put(known.copies, { ...of, key, skipped: data.reason, detail: data.detail }) };
  }
  const key = `order:${data.orderId}`;
  const before = known.copies.find((copy) => copy.key === key) || {};
  const copy = {
    ...before, ...of, key, order: data.orderId, state: type.split(".")[1].replaceAll("_", " "),
    reason: data.reason || "", filled: data.filledSize || before.filled || "", notional: before.notional || "",
  };
  if (data.fill?.notional) copy.notional = String(Number(before.notional || 0) + Number(data.fill.notional));
  // Who buys after all has no skip any more.
  const rest = known.copies.filter((one) => one.key !== `skip:${of.subscription}`);
  return { ...known, copies: put(rest, copy) };
}

const put = (copies, copy) => {
  const at = copies.findIndex((one) => one.key === copy.key);
  return at < 0 ? [...copies, copy] : copies.map((one, i) => (i === at ? copy : one));
};

const perShare = (data) =>
  Number(data.leaderSize) > 0 ? String(Number(data.leaderNotional) / Number(data.leaderSize)) : "";
