"""The grid, against levels and sizes computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from services.bots.core.holding import Holding
from services.bots.core.strategy import (
    BookEvent,
    Intent,
    Quote,
    TimerEvent,
    View,
    Withdraw,
    WorkingOrder,
)
from services.bots.strategies.grid import Grid, GridState, levels
from services.bots.strategies.registry import snapshot, state
from tests.unit.bots.samples import book, outcome, swap
from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import TradingPhase
from tradingtools.domain.strategies import ConfigError, GridConfig, config
from tradingtools.venues.trading import RestingTime

ONE, YES = swap(), outcome("yes")
# 63900, 63950, 64000, 64050, 64100.
SWAP = GridConfig(instrument_id=ONE.id, lower=639_000, upper=641_000, cells=4, order_size=100)
# 0.40, 0.45, 0.50, 0.55, 0.60.
BINARY = GridConfig(
    instrument_id=YES.id,
    lower=400_000,
    upper=600_000,
    cells=4,
    order_size=10_000_000,
    opening_slippage=10_000,
)
GRID = Grid()


def view(**changes: Any) -> View:
    one = View(
        now_ms=1_000,
        instruments={ONE.id: ONE, YES.id: YES},
        books={
            ONE.id: book(ONE, [(640_000, 500)], [(640_020, 500)]),
            YES.id: book(YES, [(490_000, 90_000_000)], [(510_000, 90_000_000)]),
        },
    )
    return replace(one, **changes)


def held(size: int, of: str = ONE.id) -> View:
    return view(holdings={of: Holding(size=size)})


def stand(settings: GridConfig, seen: View, before: GridState | None = None) -> dict[str, Intent]:
    _, intents = GRID.on(settings, before or GRID.begin(settings), TimerEvent(), seen)
    return {one.slot: one for one in intents if isinstance(one, Quote | Withdraw)}


def orders(desired: dict[str, Intent]) -> dict[int, tuple[str, int, int]]:
    """Return side, price and size by level."""
    return {
        int(slot.removeprefix("level:")): (one.side, one.price, one.size)
        for slot, one in desired.items()
        if isinstance(one, Quote)
    }


# The mid is 64001: level 2 is next to it. A cell sells one level above where it has bought.
@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (0, {0: ("BUY", 100), 1: ("BUY", 100), 3: ("SELL", 100), 4: ("SELL", 100)}),
        (100, {0: ("BUY", 100), 2: ("SELL", 100), 3: ("SELL", 100), 4: ("SELL", 100)}),
        (
            40,
            {
                0: ("BUY", 100),
                1: ("BUY", 60),
                2: ("SELL", 40),
                3: ("SELL", 100),
                4: ("SELL", 100),
            },
        ),
        (-100, {0: ("BUY", 100), 1: ("BUY", 100), 2: ("BUY", 100), 4: ("SELL", 100)}),
        (
            -30,
            {
                0: ("BUY", 100),
                1: ("BUY", 100),
                2: ("BUY", 30),
                3: ("SELL", 70),
                4: ("SELL", 100),
            },
        ),
        (200, {1: ("SELL", 100), 2: ("SELL", 100), 3: ("SELL", 100), 4: ("SELL", 100)}),
        # More than the grid is for, as when an amend and a fill cross: no level is doubled.
        (230, {1: ("SELL", 100), 2: ("SELL", 100), 3: ("SELL", 100), 4: ("SELL", 100)}),
    ],
)
def test_orders_follow_from_the_position(
    position: int, expected: dict[int, tuple[str, int]]
) -> None:
    found = orders(stand(SWAP, held(position)))

    assert {level: (side, size) for level, (side, _, size) in found.items()} == expected
    prices = (639_000, 639_500, 640_000, 640_500, 641_000)
    assert all(price == prices[level] for level, (_, price, _) in found.items())


def test_the_start_stays_when_the_price_moves() -> None:
    started, _ = GRID.on(SWAP, GRID.begin(SWAP), TimerEvent(), view())
    fallen = view(books={ONE.id: book(ONE, [(639_000, 5)], [(639_020, 5)])})

    again, intents = GRID.on(SWAP, started, BookEvent(ONE.id), fallen)

    assert (again, intents, started.start) == (started, (), 2)


@pytest.mark.parametrize("bid", [638_000, 642_000])
def test_outside_the_bounds_it_waits(bid: int) -> None:
    seen = view(books={ONE.id: book(ONE, [(bid, 5)], [(bid + 20, 5)])})

    assert stand(SWAP, seen) == {}
    why = GRID.explain(SWAP, GRID.begin(SWAP), seen)
    assert why == {"opening": "waits for a fresh book with its mid between 63900 and 64100"}


def test_in_doubt_about_the_book_it_does_not_begin() -> None:
    doubtful = book(ONE, [(640_000, 5)], [(640_020, 5)], status=BookStatus.STALE)

    assert stand(SWAP, view(books={ONE.id: doubtful})) == {}


def test_levels_are_on_ticks_within_the_bounds() -> None:
    odd = replace(BINARY, lower=405_000, upper=596_000)

    # 0.405, 0.45275, 0.5005, 0.54825, 0.596.
    assert levels(odd, YES) == (410_000, 450_000, 500_000, 540_000, 590_000)


def test_what_cannot_be_sold_short_is_bought_first() -> None:
    # Level 2 is next to the mid of 0.50: two cells above sell 10 shares each.
    desired = stand(BINARY, view())

    assert desired == {
        "opening": Quote(
            slot="opening",
            instrument_id=YES.id,
            side="BUY",
            price=520_000,
            size=20_000_000,
            time_in_force=RestingTime.IOC,
            why="what the levels above sell",
        )
    }
    part = stand(BINARY, held(12_000_000, YES.id))["opening"]
    assert isinstance(part, Quote)
    assert part.size == 8_000_000
    found = orders(stand(BINARY, held(20_000_000, YES.id)))
    assert {level: side for level, (side, _, _) in found.items()} == {
        0: "BUY",
        1: "BUY",
        3: "SELL",
        4: "SELL",
    }


def test_the_first_inventory_is_not_asked_for_twice() -> None:
    flying = WorkingOrder(
        slot="opening",
        order_id="a",
        instrument_id=YES.id,
        side="BUY",
        price=520_000,
        size=20_000_000,
        filled=0,
        certain=False,
    )

    assert stand(BINARY, view(standing={"opening": flying})) == {}


def test_a_rest_below_the_minimum_keeps_its_order_and_gets_no_new_one() -> None:
    # 7 of 10 shares were bought at 0.45: 3 are left to buy, and the venue's minimum is 5.
    seen, started = held(27_000_000, YES.id), GridState(start=2, opened=True)
    rests = WorkingOrder(
        slot="level:1",
        order_id="a",
        instrument_id=YES.id,
        side="BUY",
        price=450_000,
        size=10_000_000,
        filled=7_000_000,
        certain=True,
    )

    kept = stand(BINARY, replace(seen, standing={"level:1": rests}), started)["level:1"]
    assert isinstance(kept, Quote)
    assert kept.size == 3_000_000
    assert isinstance(stand(BINARY, seen, started)["level:1"], Withdraw)


@pytest.mark.parametrize("phase", [TradingPhase.SUSPENDED, TradingPhase.ENDED])
def test_when_trading_rests_nothing_stands(phase: TradingPhase) -> None:
    started, _ = GRID.on(SWAP, GRID.begin(SWAP), TimerEvent(), view())
    seen = view(instruments={ONE.id: replace(ONE, phase=phase)})

    _, intents = GRID.on(SWAP, started, BookEvent(ONE.id), seen)

    assert len(intents) == 6
    assert {type(one) for one in intents} == {Withdraw}


def test_levels_that_a_new_tick_brings_together_are_withdrawn() -> None:
    seen = view(instruments={ONE.id: replace(ONE, tick_size=1_000)})

    assert orders(stand(SWAP, seen, GridState(start=2, opened=True))) == {}


def test_each_level_says_why() -> None:
    started, _ = GRID.on(SWAP, GRID.begin(SWAP), TimerEvent(), view())

    why = GRID.explain(SWAP, started, held(40))

    assert why["level:1"] == "level 1 of 4 buys 0.6 at 63950; position 0.4"
    assert why["level:2"] == "level 2 of 4 sells 0.4 at 64000; position 0.4"


def test_settings_are_checked_and_a_snapshot_is_the_state() -> None:
    values = {"instrument_id": ONE.id, "lower": 5, "upper": 5, "cells": 4, "order_size": 1}
    with pytest.raises(ConfigError, match="expected a price above lower"):
        config("grid", values)
    started, _ = GRID.on(SWAP, GRID.begin(SWAP), TimerEvent(), held(40))
    assert state("grid", msgspec.json.decode(snapshot(started))) == started
