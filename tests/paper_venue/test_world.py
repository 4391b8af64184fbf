"""Holdings, markets and the crowd, over the whole tape."""

from __future__ import annotations

from collections import defaultdict

from paper.venue import tape
from paper.venue.core import amounts
from paper.venue.core.firehose import Match, crowd_markets, matches
from paper.venue.core.ledger import PlayedRow, Query, holdings, listing
from paper.venue.core.markets import COARSE, Catalogue, fee_micros, from_tape
from paper.venue.core.positions import Holding, after, starting, topped_up
from paper.venue.core.schedule import Kind, Pace, timeline

ROWS, _ = tape.load(None)
STEPS = timeline(ROWS, Pace(mean_gap_ms=180, max_gap_ms=2_000))
TRADES = [ROWS[step.row].trade for step in STEPS if step.kind is Kind.ROW]
MARKETS = from_tape(ROWS, 1)


def test_no_recorded_sell_exceeds_what_is_held_even_over_laps() -> None:
    start = starting(TRADES, 1)
    held = dict(start)
    for _ in range(3):
        held = topped_up(held, start)
        for trade in TRADES:
            holder = (trade.wallet, trade.asset)
            if trade.side == "SELL":
                assert held[holder].size >= trade.size
            held[holder] = after(held[holder], trade)
            assert held[holder].cost >= 0
    assert sum(holding.size > 0 for holding in start.values()) > 100
    assert starting(TRADES, 1) == start != starting(TRADES, 2)


def test_buys_and_sells_move_cost_and_profit() -> None:
    trade = next(trade for trade in TRADES if trade.side == "SELL")
    held = after(Holding(size=2 * trade.size, cost=1_000_000), trade)
    assert (held.size, held.cost) == (trade.size, 500_000)
    assert held.realized == trade.size * trade.price // amounts.ONE - 500_000
    assert after(Holding(), trade).size == 0


def test_each_market_has_two_assets_and_prices_on_its_tick() -> None:
    catalogue = Catalogue.of(MARKETS)
    assert len(catalogue.by_condition) == 697
    assert len(catalogue.by_asset) == 2 * 697
    for index, row in enumerate(ROWS):
        market = catalogue.by_asset[row.trade.asset]
        assert market.condition == row.trade.condition
        assert market.outcomes[0] != market.outcomes[1]
        fine = market.fine_from is not None and market.fine_from <= index
        decimals = len(row.trade.price_text.partition(".")[2])
        if decimals == 3 or not 40_000 <= row.trade.price <= 960_000:
            assert fine
        if decimals <= 2 and not fine:
            assert row.trade.price % COARSE == 0
    assert any(market.fine_from for market in MARKETS)
    assert {market.fee_bps for market in MARKETS} == {0, 400, 500, 700}


def test_fees_are_those_of_the_venues_table() -> None:
    hundred = 100 * amounts.ONE
    expected = {"crypto": 1_750_000, "sports": 1_250_000, "politics": 1_000_000, "geopolitics": 0}
    for category, fee in expected.items():
        market = next(market for market in MARKETS if market.category == category)
        assert fee_micros(market, 500_000, hundred) == fee


def crowd(second: int) -> tuple[Match, ...]:
    return matches(OTHERS, seed=1, salt="s", second=second, per_second=52, burst=10)


OTHERS = crowd_markets(1, 50)


def test_the_crowd_has_the_asked_rate_and_bursts() -> None:
    rates = [sum(len(match.rows) for match in crowd(second)) for second in range(3_000)]
    assert 45 <= sum(rates) / len(rates) <= 60
    assert max(rates) >= 8 * sorted(rates)[len(rates) // 2]
    assert crowd(5) == crowd(5) != crowd(6)


def test_both_sides_of_a_match_are_told() -> None:
    leaders = {row.trade.wallet for row in ROWS}
    mints = 0
    for match in (match for second in range(20) for match in crowd(second)):
        taker, *makers = match.rows
        assert makers
        assert {row.tx for row in match.rows} == {taker.tx}
        assert sum(maker.size for maker in makers) <= taker.size
        for maker in makers:
            if maker.asset == taker.asset:
                assert (maker.side, maker.price) != (taker.side, 0)
                assert maker.side != taker.side
                assert maker.price == taker.price
            else:
                mints += 1
                assert maker.side == taker.side
                assert maker.price + taker.price == amounts.ONE
        assert leaders.isdisjoint(row.wallet for row in match.rows)
    assert mints


def test_the_indexer_shows_rows_late_and_cursors_do_not_shift() -> None:
    catalogue = Catalogue.of(MARKETS)
    rows = [
        PlayedRow(
            seq=seq,
            lap=0,
            trade=trade,
            market=catalogue.by_asset[trade.asset],
            wall_ms=seq,
            timestamp_s=seq // 10,
            visible_ms=seq + 100,
            taker=seq % 2 == 0,
            fee=None,
        )
        for seq, trade in enumerate(TRADES)
    ]
    assert listing(rows, Query(), 99) == []
    assert [row.seq for row in listing(rows, Query(), 102)] == [2, 1, 0]
    assert all(row.taker for row in listing(rows, Query(takers_only=True), 10_000))
    shown: list[int] = []
    before = None
    while page := listing(rows, Query(before=before), 10_000 + len(shown))[:100]:
        shown += [row.seq for row in page]
        before = (page[-1].timestamp_s, page[-1].seq)
    assert sorted(shown, reverse=True) == shown
    assert len(shown) == len(TRADES)

    start = starting(TRADES, 1)
    wallet = TRADES[0].wallet
    moved: dict[str, int] = defaultdict(int)
    for trade in TRADES:
        if trade.wallet == wallet:
            moved[trade.asset] += trade.size if trade.side == "BUY" else -trade.size
    end = holdings(start, rows, wallet, 10_000)
    assert {asset: held.size - start[wallet, asset].size for asset, held in end.items()} == moved
    assert holdings(start, rows, wallet, 0) == {a: h for (w, a), h in start.items() if w == wallet}
