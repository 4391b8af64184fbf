"""Positions and gains of a bot, computed by hand: by instrument, currency and source."""

from __future__ import annotations

from services.bots.core.holding import Holding
from services.bots.core.profit import pnl, positions
from services.bots.core.risk import MarkPoint
from tests.unit.bots.samples import outcome, swap

SWAP, INVERSE = swap(), swap(inverse=True, contract="100")
NOW = 1_000_000
UNIT = 10**8
# 2 contracts of 0.01 BTC, bought at 50,000: cost 1,000 USDT.
LONG = Holding(size=200, cost=1_000 * UNIT, realised=7 * UNIT, fees=UNIT, funding=-UNIT // 2)


def test_a_position_is_told_with_its_mark_and_its_age() -> None:
    marks = {SWAP.id: MarkPoint(price=510_000, at_ms=NOW - 30)}
    found = positions({SWAP.id: LONG}, {SWAP.id: SWAP}, marks)[SWAP.id]
    assert (found.size, found.cost, found.average_price) == ("2", "1000", "50000")
    assert (found.mark, found.mark_ms) == ("51000", NOW - 30)
    assert (found.notional, found.unrealised, found.currency) == ("1020", "20", "USDT")


def test_a_short_has_a_negative_worth_and_gains_when_it_falls() -> None:
    short = Holding(size=-200, cost=1_000 * UNIT)
    marks = {SWAP.id: MarkPoint(price=490_000, at_ms=NOW)}
    found = positions({SWAP.id: short}, {SWAP.id: SWAP}, marks)[SWAP.id]
    assert (found.notional, found.unrealised) == ("-980", "20")


def test_without_a_mark_there_is_no_gain_which_is_not_a_gain_of_zero() -> None:
    found = positions({SWAP.id: LONG}, {SWAP.id: SWAP}, {})[SWAP.id]
    assert (found.mark, found.notional, found.unrealised) == (None, None, None)
    (point,) = pnl({SWAP.id: LONG}, {SWAP.id: SWAP}, {}, {}, now_ms=NOW)
    assert (point.realised, point.unrealised, point.mark_age_ms) == ("7", None, None)


def test_sources_and_inventory_make_the_whole_result() -> None:
    marks = {SWAP.id: MarkPoint(price=510_000, at_ms=NOW - 30)}
    (point,) = pnl({SWAP.id: LONG}, {SWAP.id: SWAP}, marks, {"spread": 12 * UNIT}, now_ms=NOW)
    # 7 realised and 20 unrealised, 12 of them from the spread.
    assert point.sources == {"spread": "12", "inventory": "15", "fees": "-1", "funding": "-0.5"}
    assert (point.unrealised, point.fees, point.funding, point.mark_age_ms) == (
        "20", "1", "-0.5", 30,
    )  # fmt: skip


def test_different_currencies_are_never_summed() -> None:
    marks = {
        SWAP.id: MarkPoint(price=510_000, at_ms=NOW),
        INVERSE.id: MarkPoint(price=500_000, at_ms=NOW - 9_000),
    }
    # 10 contracts of 100 USD at 40,000: 0.025 BTC; at 50,000 they are worth 0.02.
    inverse = Holding(size=1_000, cost=2_500_000)
    found = pnl(
        {SWAP.id: LONG, INVERSE.id: inverse},
        {SWAP.id: SWAP, INVERSE.id: INVERSE},
        marks, {}, now_ms=NOW,
    )  # fmt: skip
    assert [(one.currency, one.unrealised, one.mark_age_ms) for one in found] == [
        ("USDT", "20", 0), ("BTC", "0.005", 9_000),
    ]  # fmt: skip


def test_an_outcome_is_told_in_its_own_digits() -> None:
    yes = outcome()
    held = Holding(size=10_000_000, cost=4_200_000)
    marks = {yes.id: MarkPoint(price=500_000, at_ms=NOW)}
    found = positions({yes.id: held}, {yes.id: yes}, marks)[yes.id]
    assert (found.size, found.average_price, found.unrealised) == ("10", "0.42", "0.8")
