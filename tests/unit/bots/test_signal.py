"""Positions by signals, against sizes, prices and instants computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from services.bots.core.holding import Holding
from services.bots.core.strategy import (
    EndEvent,
    Quote,
    SignalEvent,
    TimerEvent,
    View,
    Wake,
    WorkingOrder,
)
from services.bots.strategies.registry import snapshot, state
from services.bots.strategies.signal import MAX_RECEIVED, RETRY_MS, SLOT, Signal, SignalState
from tests.unit.bots.samples import book, outcome, swap
from tradingtools.domain.strategies import ConfigError, SignalConfig, config
from tradingtools.venues.trading import RestingTime

ONE, YES = swap(), outcome("yes")
SWAP = SignalConfig(
    instrument_id=ONE.id,
    position=100,
    min_confidence=600_000,
    max_age_ms=5_000,
    hold_s=60,
    max_slippage=1_000,
)
SIGNAL = Signal()
NOW = 1_000_000


def view(held: int = 0, **changes: Any) -> View:
    one = View(
        now_ms=NOW,
        instruments={ONE.id: ONE, YES.id: YES},
        books={
            ONE.id: book(ONE, [(640_000, 500)], [(640_020, 500)]),
            YES.id: book(YES, [(480_000, 90_000_000)], [(500_000, 90_000_000)]),
        },
        holdings={ONE.id: Holding(size=held), YES.id: Holding(size=held)},
    )
    return replace(one, **changes)


def said(
    direction: int = 1, confidence: str = "0.8", *, name: str = "s1", made: int = NOW - 1_000
) -> SignalEvent:
    return SignalEvent(name, ONE.id, direction, Decimal(confidence), made)


def orders(intents: tuple[Any, ...]) -> list[Quote]:
    return [one for one in intents if isinstance(one, Quote)]


LONG, _ = SIGNAL.on(SWAP, SignalState(), said(), view())


def test_a_signal_buys_the_target_within_the_slippage() -> None:
    after, intents = SIGNAL.on(SWAP, SignalState(), said(), view())

    # 0.1 % of 64002.0 is 64.002: 64066.0 on a tick of 0.1.
    (order,) = orders(intents)
    assert (order.side, order.price, order.size) == ("BUY", 640_660, 100)
    assert (order.time_in_force, order.reduce_only) == (RestingTime.IOC, False)
    assert (after.grow_until_ms, after.hold_until_ms) == (NOW + 4_000, NOW + 60_000)
    assert Wake(at_ms=NOW + 60_000) in intents
    why = SIGNAL.explain(SWAP, after, view(30))[SLOT]
    assert why == "target 1, held 0.3, for 60 s more; signal s1 says +1 with confidence 0.8"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (said(confidence="0.599999"), "signal s1 has confidence 0.599999, below 0.6"),
        (said(made=NOW - 5_001), "signal s1 is 5001 ms old, and 5000 is the limit"),
        (said(made=NOW + 5_001), "signal s1 is -5001 ms old, and 5000 is the limit"),
    ],
    ids=["unsure", "old", "from the future"],
)
def test_what_is_unsure_or_old_changes_nothing(event: SignalEvent, why: str) -> None:
    after, intents = SIGNAL.on(SWAP, SignalState(), event, view())

    assert (after.direction, orders(intents), after.last) == (0, [], why)


def test_a_confidence_at_the_threshold_is_enough() -> None:
    after, _ = SIGNAL.on(SWAP, SignalState(), said(confidence="0.6"), view())

    assert after.direction == 1


def test_a_signal_is_heard_once() -> None:
    flat, _ = SIGNAL.on(SWAP, LONG, said(-1, name="s2"), view(100))
    again, intents = SIGNAL.on(SWAP, flat, said(), view())

    assert (again.direction, orders(intents)) == (0, [])
    assert again.last == "signal s1 was heard before"


def test_ids_are_kept_no_longer_than_their_age_lets_them_in() -> None:
    later = view(now_ms=NOW + 4_001)
    after, _ = SIGNAL.on(SWAP, LONG, said(name="s2", made=NOW + 4_001), later)

    assert after.received == (("s2", NOW + 4_001),)
    repeated, _ = SIGNAL.on(SWAP, after, said(-1), later)
    assert repeated.direction == 1


def test_more_signals_than_can_be_told_apart_are_not_heard() -> None:
    full = replace(LONG, received=tuple((str(one), NOW) for one in range(MAX_RECEIVED)))

    after, _ = SIGNAL.on(SWAP, full, said(-1, name="s2"), view(100))

    assert after.direction == 1


# Held 100: an opposite signal closes it, and with reverse turns it; a neutral one closes it.
@pytest.mark.parametrize(
    ("direction", "reverse", "size", "reduces"),
    [(-1, False, 100, True), (-1, True, 200, False), (0, False, 100, True)],
)
def test_an_opposite_signal_ends_the_position(
    direction: int, reverse: bool, size: int, reduces: bool
) -> None:
    settings = replace(SWAP, reverse=reverse)

    _, intents = SIGNAL.on(settings, LONG, said(direction, name="s2"), view(100))

    # 0.1 % of 64000 is 64.
    (order,) = orders(intents)
    assert (order.side, order.price, order.size) == ("SELL", 639_360, size)
    assert order.reduce_only is reduces


def test_a_timeout_ends_the_position() -> None:
    almost = view(100, now_ms=NOW + 59_999)
    kept, intents = SIGNAL.on(SWAP, LONG, TimerEvent(), almost)
    assert (kept.direction, orders(intents)) == (1, [])

    after, intents = SIGNAL.on(SWAP, LONG, TimerEvent(), view(100, now_ms=NOW + 60_000))

    (order,) = orders(intents)
    assert (after.direction, order.side, order.size) == (0, "SELL", 100)


@pytest.mark.parametrize(
    ("held", "expected"), [(0, []), (40, []), (130, [("SELL", 30)]), (-20, [("BUY", 20)])]
)
def test_an_old_signal_adds_nothing(held: int, expected: list[tuple[str, int]]) -> None:
    _, intents = SIGNAL.on(SWAP, LONG, TimerEvent(), view(held, now_ms=NOW + 4_000))

    assert [(one.side, one.size) for one in orders(intents)] == expected


def test_an_order_is_not_repeated_while_it_may_fill() -> None:
    flying = WorkingOrder(
        slot=SLOT, order_id="a", instrument_id=ONE.id, side="BUY", price=640_660, size=100,
        filled=0, certain=False,
    )  # fmt: skip
    _, intents = SIGNAL.on(SWAP, LONG, TimerEvent(), view(standing={SLOT: flying}))
    assert orders(intents) == []

    ended, intents = SIGNAL.on(SWAP, LONG, EndEvent(SLOT, "a", 40, ""), view(40))
    assert orders(intents) == []
    _, intents = SIGNAL.on(SWAP, ended, TimerEvent(), view(40, now_ms=NOW + RETRY_MS))
    assert [one.size for one in orders(intents)] == [60]


def test_what_cannot_be_sold_short_is_only_closed() -> None:
    settings = replace(SWAP, instrument_id=YES.id, position=10_000_000, reverse=True)
    down = replace_instrument(said(-1), YES.id)

    _, intents = SIGNAL.on(settings, SignalState(), down, view())
    assert orders(intents) == []
    _, intents = SIGNAL.on(settings, SignalState(direction=1), down, view(10_000_000))
    (order,) = orders(intents)
    assert (order.side, order.size, order.reduce_only) == ("SELL", 10_000_000, False)


def replace_instrument(event: SignalEvent, instrument_id: str) -> SignalEvent:
    return msgspec.structs.replace(event, instrument_id=instrument_id)


def test_settings_are_checked_and_a_snapshot_is_the_state() -> None:
    with pytest.raises(ConfigError, match="min_confidence"):
        config("signal", {"instrument_id": ONE.id, "position": 1, "min_confidence": 1_000_001})
    assert state("signal", msgspec.json.decode(snapshot(LONG))) == LONG
