"""Recorded leaders against a naive reference: money to the micro, ratios to 1e-9."""

from __future__ import annotations

from hashlib import sha256
from statistics import median_low

import pytest

from paper.venue.tape import load
from services.enrichment.core.leader_statistics import leader_statistics
from services.enrichment.core.values import Activity, LeaderStatistics, Market, Marks, Window
from tests.unit.enrichment import naive
from tests.unit.enrichment.naive import DAY, Row

TAPE = load(None)[0]
ROWS = {
    wallet: [
        Row(
            tx=row.trade.tx,
            market=row.trade.condition,
            asset=row.trade.asset,
            buys=row.trade.side == "BUY",
            price=row.trade.price,
            size=row.trade.size,
            at=row.recv_ms - row.lag_ms,
        )
        for row in TAPE
        if row.trade.wallet == wallet
    ]
    for wallet in sorted({row.trade.wallet for row in TAPE})
}
NOW = max(row.at for rows in ROWS.values() for row in rows) + DAY // 3
CATEGORIES = ("sports", "politics", "crypto")


def _rng(asset: str) -> int:
    return int.from_bytes(sha256(asset.encode()).digest()[:4])


def _market(row: Row) -> Market:
    """The tape has no resolutions: two in three markets get one, by a hash, within the tape."""
    rng = _rng(row.asset)
    resolves = rng % 3 != 0
    won = rng % 5 < 2
    return Market(
        condition_id=row.market,
        asset_ids=(row.asset, f"{row.asset}0"),
        category=CATEGORIES[rng % 7 % 3],
        payout_micros=((1_000_000, 0) if won else (0, 1_000_000)) if resolves else (),
        resolved_ms=NOW - rng % (6 * DAY) if resolves else None,
    )


MARKETS = {row.market: _market(row) for rows in ROWS.values() for row in rows}
OUTCOMES = {
    market.asset_ids[0]: (market.resolved_ms, market.payout_micros[0])
    for market in MARKETS.values()
    if market.resolved_ms is not None
}
_INSTANTS = range(NOW - 6 * DAY, NOW, DAY // 2)
MARKS = Marks(
    {
        asset: [(at, 10_000 + _rng(f"{asset}{at}") % 980_000) for at in _INSTANTS]
        for asset in {row.asset for rows in ROWS.values() for row in rows}
    }
)


def _statistics(wallet: str, now: int = NOW) -> LeaderStatistics:
    rows = [
        Activity(
            tx=row.tx,
            condition_id=row.market,
            asset_id=row.asset,
            side="BUY" if row.buys else "SELL",
            size_micros=row.size,
            price_micros=row.price,
            at_ms=row.at,
        )
        for row in ROWS[wallet]
    ]
    return leader_statistics(wallet, rows, MARKETS, as_of_ms=now, marks=MARKS)


def _held(rows: list[Row], now: int) -> dict[str, tuple[int, int]]:
    """Shares and cost of what is held at an instant, by asset, from what came and what left."""
    found = {}
    for asset in {row.asset for row in rows if row.at <= now}:
        own = [row for row in rows if row.asset == asset]
        parts, _, _ = naive.closed(own, OUTCOMES, now)
        bought = [row for row in own if row.buys and row.at <= now]
        shares = sum(row.size for row in bought) - sum(part.size for part in parts)
        cost = sum(r.size * r.price // 1_000_000 for r in bought) - sum(p.cost for p in parts)
        if shares:
            found[asset] = (shares, cost)
    return found


def _unrealised(rows: list[Row], at: int) -> int:
    total = 0
    for asset, (shares, cost) in _held(rows, at).items():
        price = [price for when, price in MARKS.by_asset[asset] if when <= at][-1]
        total += shares * price // 1_000_000 - cost
    return total


@pytest.mark.parametrize("wallet", ROWS)
def test_windows_of_the_tape(wallet: str) -> None:
    """Every figure of every window equals the naive one."""
    rows, got = ROWS[wallet], _statistics(wallet)
    parts, unknown, doubted = naive.closed(rows, OUTCOMES, NOW)
    assert got.unknown_cost_micros == unknown
    first = min(row.at for row in rows)
    for window in got.windows:
        since = NOW - window.days * DAY if window.days else first - 1
        within = [part for part in parts if part.at > since]
        realised = sum(part.got - part.cost for part in within)
        cost = sum(part.cost for part in within)
        assert window.realised_micros == realised
        assert window.closed_cost_micros == cost
        before = _unrealised(rows, since) if window.days else 0
        assert window.marked_micros == realised + _unrealised(rows, NOW) - before
        assert window.roi == (pytest.approx(realised / cost, rel=1e-9) if cost else None)
        made = {(row.tx, row.asset, row.buys) for row in rows if row.at > since}
        assert window.trades == len(made)
        assert window.markets == len({row.market for row in rows if row.at > since})
        _same_outcomes(window, rows, parts, doubted, since)
        days = naive.daily(parts, max(since, first - 1), NOW)
        assert window.sharpe == _about(naive.sharpe(days))
        assert window.sortino == _about(naive.sortino(days))


def _about(value: float | None) -> object:
    return None if value is None else pytest.approx(value, rel=1e-9)


def _same_outcomes(
    window: Window, rows: list[Row], parts: list[naive.Closed], doubted: set[str], since: int
) -> None:
    results = {}
    for market in {row.market for row in rows}:
        resolved = MARKETS[market].resolved_ms
        own = [part for part in parts if part.market == market]
        if resolved is not None and since < resolved <= NOW and own and market not in doubted:
            results[market] = sum(part.got - part.cost for part in own)
    won = sum(result > 0 for result in results.values())
    number = len(results)
    assert (window.resolved, window.won) == (number, won)
    gains = sum(result for result in results.values() if result > 0)
    losses = -sum(result for result in results.values() if result < 0)
    assert window.profit_factor == (_about(gains / losses) if losses else None)
    if not number:
        assert window.win_rate is window.win_rate_low is None
        return
    assert window.win_rate == pytest.approx(won / number, rel=1e-9)
    # The bounds solve (p - rate)^2 = z^2 p (1 - p) / n.
    z = 1.959963984540054
    for bound in (window.win_rate_low, window.win_rate_high):
        assert bound is not None
        assert (bound - won / number) ** 2 == pytest.approx(
            z * z * bound * (1 - bound) / number, rel=1e-9, abs=1e-12
        )


@pytest.mark.parametrize("wallet", ROWS)
def test_the_rest_of_the_tape(wallet: str) -> None:
    """Sizes, holding times, categories, concentration, drawdown and days equal the naive ones."""
    rows, got = ROWS[wallet], _statistics(wallet)
    parts, _, _ = naive.closed(rows, OUTCOMES, NOW)
    sizes: dict[tuple[str, str], int] = {}
    by_market: dict[str, int] = {}
    for row in rows:
        if row.buys:
            money = row.size * row.price // 1_000_000
            sizes[row.tx, row.asset] = sizes.get((row.tx, row.asset), 0) + money
            by_market[row.market] = by_market.get(row.market, 0) + money
    assert got.median_size_micros == (median_low(sizes.values()) if sizes else None)
    whole = sum(by_market.values())
    if whole:
        expected = sum((money / whole) ** 2 for money in by_market.values())
        assert got.concentration == pytest.approx(expected, rel=1e-9)
    if parts:
        held = sorted((part.held, part.size) for part in parts)
        half = sum(size for _, size in held) / 2
        below = [age for n, (age, _) in enumerate(held) if sum(s for _, s in held[: n + 1]) >= half]
        assert got.holding_ms == below[0]
    for category in got.categories:
        own = [p for p in parts if MARKETS[p.market].category == category.category]
        assert category.realised_micros == sum(part.got - part.cost for part in own)
    assert sum(c.bought_micros for c in got.categories) == whole
    assert sum(c.realised_micros for c in got.categories) == got.windows[-1].realised_micros
    total = 0
    for day in got.days:
        own = [part for part in parts if day.day_ms <= part.at < day.day_ms + DAY]
        total += sum(part.got - part.cost for part in own)
        assert day.cumulative_micros == total
        at = min(day.day_ms + DAY - 1, NOW)
        assert day.equity_micros == total + _unrealised(rows, at)
    assert got.days[-1].cumulative_micros == got.windows[-1].realised_micros
    _same_drawdown(got.windows[-1], parts)


def _same_drawdown(window: Window, parts: list[naive.Closed]) -> None:
    curve = [0]
    for at in sorted({part.at for part in parts}):
        curve.append(sum(part.got - part.cost for part in parts if part.at <= at))
    falls = [max(curve[: n + 1]) - value for n, value in enumerate(curve)]
    assert window.largest_drawdown_micros == max(falls)


def test_an_earlier_instant_knows_nothing_of_later() -> None:
    """Statistics as of an instant are the same whether later rows are there or not."""
    wallet = max(ROWS, key=lambda w: len(ROWS[w]))
    rows = ROWS[wallet]
    middle = sorted(row.at for row in rows)[len(rows) // 2]
    whole = _statistics(wallet, middle)
    kept = ROWS[wallet]
    try:
        ROWS[wallet] = [row for row in rows if row.at <= middle]
        assert _statistics(wallet, middle) == whole
    finally:
        ROWS[wallet] = kept
