"""Test what a leader's statistics say of hedges, merges, redemptions, luck and what is not
known."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.enrichment.codec import document
from services.enrichment.core.copyability import bought
from services.enrichment.core.formulas import shrunk_edge
from services.enrichment.core.leader_statistics import leader_statistics
from services.enrichment.core.values import (
    DAY_MS,
    Activity,
    EvidenceGap,
    Latency,
    LeaderStatistics,
    Market,
    Marks,
)
from tradingtools.v1 import enrichment_pb2 as pb
from tradingtools.venues.ports import Action, Side

WALLET = "0x" + "1" * 40
NOW = 40 * DAY_MS
USDC = 1_000_000


def _row(
    side: Side,
    size: int,
    price: int,
    at_ms: int,
    *,
    market: str = "m",
    asset: str = "yes",
    action: Action = "TRADE",
    maker: bool | None = None,
) -> Activity:
    return Activity(
        tx=f"{market}{asset}{side}{at_ms}",
        condition_id=market,
        asset_id=asset,
        side=side,
        size_micros=size * USDC,
        price_micros=price,
        at_ms=at_ms,
        action=action,
        maker=maker,
    )


def _market(name: str = "m", *, won: bool | None = True, at_ms: int = NOW - 1) -> Market:
    payout = () if won is None else (USDC, 0) if won else (0, USDC)
    resolved = None if won is None else at_ms
    return Market(
        condition_id=name,
        asset_ids=("yes", "no"),
        payout_micros=payout,
        resolved_ms=resolved,
    )


def _of(rows: list[Activity], *markets: Market, marks: Marks | None = None) -> LeaderStatistics:
    by_condition = {market.condition_id: market for market in markets}
    return leader_statistics(WALLET, rows, by_condition, as_of_ms=NOW, marks=marks or Marks({}))


def test_a_winner_counts_before_and_after_he_redeems() -> None:
    """A redemption takes shares away; the resolution has said what they were worth."""
    buy = _row("BUY", 10, 400_000, NOW - 5)
    redeem = _row("SELL", 10, 1_000_000, NOW, action="REDEEM")
    held, redeemed = _of([buy], _market()), _of([buy, redeem], _market())
    assert held.windows == redeemed.windows
    assert held.windows[0].realised_micros == 6 * USDC
    assert (held.windows[0].resolved, held.windows[0].won) == (1, 1)


def test_a_loser_whom_nobody_redeems_counts() -> None:
    """The shares of a lost market stay in the wallet for ever."""
    all_time = _of([_row("BUY", 10, 400_000, NOW - 5)], _market(won=False)).windows[-1]
    assert all_time.realised_micros == -4 * USDC
    assert (all_time.resolved, all_time.won, all_time.win_rate) == (1, 0, 0.0)


def test_without_its_resolution_a_redemption_is_no_outcome() -> None:
    """It would count winners alone."""
    rows = [_row("BUY", 10, 400_000, NOW - 5), _row("SELL", 10, 10**6, NOW, action="REDEEM")]
    got = _of(rows, _market(won=None))
    assert got.windows[-1].resolved == got.windows[-1].realised_micros == 0
    assert got.open_cost_micros == 4 * USDC
    assert (got.unmarked, got.open_value_micros, got.windows[-1].marked_micros) == (1, None, None)


def test_both_sides_of_a_market_are_one_result() -> None:
    """Yes at 0.40 and No at 0.55 win together, whichever of them pays."""
    rows = [
        _row("BUY", 10, 400_000, NOW - 5),
        _row("BUY", 10, 550_000, NOW - 4, asset="no"),
    ]
    for won in (True, False):
        all_time = _of(rows, _market(won=won)).windows[-1]
        assert all_time.realised_micros == 500_000
        assert (all_time.resolved, all_time.won) == (1, 1)


def test_a_merge_gets_a_dollar_for_each_pair() -> None:
    """The same two sides, merged before the resolution, gain the same."""
    rows = [
        _row("BUY", 10, 400_000, NOW - 5),
        _row("BUY", 10, 550_000, NOW - 4, asset="no"),
        _row("SELL", 10, 0, NOW - 3, asset="", action="MERGE"),
    ]
    got = _of(rows, _market())
    assert got.windows[-1].realised_micros == 500_000
    assert got.open_cost_micros == got.unknown_cost_micros == 0


def test_a_split_costs_a_dollar_for_each_pair() -> None:
    """Test that what is bought by a split and sold on one side is worth what the other pays."""
    rows = [
        _row("BUY", 10, 0, NOW - 5, asset="", action="SPLIT"),
        _row("SELL", 10, 300_000, NOW - 4, asset="no"),
    ]
    assert _of(rows, _market()).windows[-1].realised_micros == 3 * USDC
    assert _of(rows, _market(won=False)).windows[-1].realised_micros == -7 * USDC


def test_an_odd_pair_loses_no_micro() -> None:
    """Halves of an odd micro sum to it."""
    moves: list[tuple[Action, Side]] = [("SPLIT", "BUY"), ("MERGE", "SELL")]
    rows = [
        Activity(
            tx=action,
            condition_id="m",
            asset_id="",
            side=side,
            size_micros=7,
            price_micros=0,
            at_ms=at_ms,
            action=action,
        )
        for at_ms, (action, side) in enumerate(moves)
    ]
    got = _of(rows, _market(won=None))
    assert got.windows[-1].realised_micros == got.open_cost_micros == 0
    assert got.windows[-1].closed_cost_micros == 7


def test_a_conversion_is_neither_profit_nor_loss() -> None:
    """It has no price; the market's result is told to nobody."""
    rows = [
        _row("BUY", 10, 400_000, NOW - 5, asset="no"),
        _row("SELL", 10, 0, NOW - 4, asset="no", action="CONVERSION"),
    ]
    got = _of(rows, _market())
    assert got.windows[-1].realised_micros == got.windows[-1].resolved == 0


def test_shares_from_before_the_record_are_in_no_profit() -> None:
    """Four of ten were seen bought: six have no cost, and the market no result."""
    rows = [_row("BUY", 4, 500_000, NOW - 5), _row("SELL", 10, 600_000, NOW - 4)]
    got = _of(rows, _market())
    assert got.windows[-1].realised_micros == 400_000
    assert got.unknown_cost_micros == 3_600_000
    assert got.windows[-1].resolved == 0
    assert EvidenceGap.UNKNOWN_COST in got.gaps


def test_markets_that_can_be_converted_are_one_result() -> None:
    """A hedge over two outcomes of an event wins once."""
    pair = [
        Market(
            condition_id=name,
            asset_ids=(f"{name}yes", f"{name}no"),
            group="event",
            payout_micros=(0, USDC) if name == "a" else (USDC, 0),
            resolved_ms=NOW - 1,
        )
        for name in "ab"
    ]
    rows = [
        _row("BUY", 10, 300_000, NOW - 5, market="a", asset="ayes"),
        _row("BUY", 10, 300_000, NOW - 5, market="b", asset="byes"),
    ]
    all_time = _of(rows, *pair).windows[-1]
    assert (all_time.resolved, all_time.won, all_time.realised_micros) == (1, 1, 4 * USDC)
    open_still = _of(rows, pair[0], Market(condition_id="b", asset_ids=("byes",), group="event"))
    assert open_still.windows[-1].resolved == 0


def test_marked_counts_what_changed_within_the_window() -> None:
    """Test that what was gained before the window is not in it, though it is held still."""
    rows = [_row("BUY", 10, 200_000, 1)]
    marks = Marks({"yes": [(at_ms, 200_000 + at_ms // DAY_MS * 10_000) for at_ms in
                           range(0, NOW + 1, DAY_MS)]})  # fmt: skip
    got = {w.days: w for w in _of(rows, _market(won=None), marks=marks).windows}
    assert got[1].marked_micros == 100_000
    assert got[7].marked_micros == 700_000
    assert got[0].marked_micros == 4 * USDC
    assert got[90].marked_micros == got[0].marked_micros
    assert got[0].realised_micros == 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-500, 500), st.integers(100, 500), st.integers(1, 20)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 10**9),
    st.integers(1, 100),
)
def test_a_lucky_week_never_lifts_a_leader(
    weeks: list[tuple[int, int, int]], luck: int, number: int
) -> None:
    """However much one week gains: it is the one that does not count."""
    best = max(weeks)
    lucky = (best[0] + luck, best[1], number)
    others = list(weeks)
    others.remove(best)
    assert shrunk_edge([*others, lucky]) == shrunk_edge([*others, best])


def test_few_markets_count_less_than_many() -> None:
    """The same profit by cost with five markets a week and with fifty."""
    few = shrunk_edge([(10, 100, 5)] * 3)
    many = shrunk_edge([(10, 100, 50)] * 3)
    assert few is not None
    assert many is not None
    assert few == 0.1 * 10 / 40
    assert many == 0.1 * 100 / 130
    assert shrunk_edge([(1_000_000, 100, 80)]) is None


def test_gaps_of_evidence() -> None:
    """Thirty resolved markets of one who trades are evidence; a market maker's are not."""
    markets = [
        Market(
            condition_id=f"m{n}",
            asset_ids=(f"yes{n}", f"no{n}"),
            payout_micros=(USDC, 0),
            resolved_ms=NOW - 1,
        )
        for n in range(60)
    ]
    rows = [
        _row("BUY", 10, 400_000, NOW - DAY_MS + n, market=f"m{n}", asset=f"yes{n}")
        for n in range(60)
    ]
    assert _of(rows, *markets).gaps == ()
    assert _of(rows[:29], *markets).gaps == (EvidenceGap.FEW_RESOLVED,)
    hedges = [
        _row("BUY", 10, 500_000, NOW - DAY_MS + n, market=f"m{n}", asset=f"no{n}")
        for n in range(60)
    ]
    assert _of([*rows, *hedges], *markets).gaps == (EvidenceGap.MARKET_MAKER,)
    early = [
        _row("BUY", 1, 400_000, DAY_MS + n, market=f"m{n}", asset=f"yes{n}") for n in range(40)
    ]
    assert _of(early, *markets).gaps == (EvidenceGap.INACTIVE,)


def test_copyability_walks_the_book_within_the_limit() -> None:
    """100 USDC find 60 at 0.40 and the rest at 0.41; 0.45 is beyond 3 % and stays."""
    asks = ((400_000, 150 * USDC), (410_000, 20 * USDC), (450_000, 10**12))
    assert bought(asks, 100 * USDC, 412_000) == (170 * USDC, 68_200_000)
    assert bought(asks, 10 * USDC, 412_000) == (25 * USDC, 10 * USDC)
    assert bought((), 10 * USDC, 412_000) == (0, 0)
    buy = _row("BUY", 10, 400_000, NOW - 5)
    books = {(buy.tx, "yes"): {3: asks}}
    got = leader_statistics(WALLET, [buy], {}, as_of_ms=NOW, books=books)
    cells = {(c.delay_seconds, c.amount_micros): c for c in got.copyability}
    hundred = cells[3, 100 * USDC]
    assert (hundred.observed, hundred.unobserved) == (1, 0)
    assert (hundred.spent_micros, hundred.unfilled_micros) == (68_200_000, 31_800_000)
    assert hundred.slippage == 200_000 / 68_000_000
    assert hundred.filled == 0.682
    other = cells[1, 100 * USDC]
    assert (other.observed, other.unobserved, other.slippage, other.filled) == (0, 1, None, None)
    assert got.latency_class is Latency.UNSPECIFIED


def test_a_price_that_runs_away_is_news() -> None:
    """After ten seconds nothing is left within the limit."""
    rows = [_row("BUY", 10, 400_000, NOW - 100 + n) for n in range(10)]
    near, far = ((400_000, 10**12),), ((500_000, 10**12),)

    def latency(late: tuple[tuple[int, int], ...]) -> Latency:
        books = {(row.tx, "yes"): {1: near, 10: late} for row in rows}
        return leader_statistics(WALLET, rows, {}, as_of_ms=NOW, books=books).latency_class

    assert latency(far) is Latency.NEWS
    assert latency(near) is Latency.SLOW
    assert latency(((404_000, 10**12),)) is Latency.QUICK


def test_a_document_leaves_out_what_is_not_known() -> None:
    """A wallet that never traded has windows, and no ratio in them."""
    got = document(_of([]), "v1")
    assert got.version == "v1"
    assert [window.days for window in got.windows] == [1, 7, 30, 90, 0]
    assert not got.HasField("edge")
    assert not got.windows[0].HasField("roi")
    assert got.windows[0].marked_micros == 0
    assert not got.HasField("first_trade_ms")
    assert pb.EVIDENCE_GAP_FEW_RESOLVED in got.gaps
    whole = document(_of([_row("BUY", 10, 400_000, NOW - 5, maker=True)], _market()), "v2")
    assert whole.windows[0].realised_micros == 6 * USDC
    assert whole.maker_micros == 4 * USDC
    assert whole.latency_class == pb.LATENCY_CLASS_UNSPECIFIED
