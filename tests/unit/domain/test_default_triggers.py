"""Default triggers: fractions of the entry price become prices that a market can reach."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradingtools.domain.default_triggers import (
    NONE,
    DefaultTriggers,
    Gain,
    NewTrigger,
    from_json,
    to_json,
    triggers_for,
)
from tradingtools.domain.money import MICROS
from tradingtools.domain.trigger_types import Rung, TriggerType

ALL = DefaultTriggers(
    take_profit_ppm=200_000,
    stop_loss_ppm=100_000,
    break_even=True,
    trailing_from_ppm=100_000,
    trailing_ppm=50_000,
    ladder=(Gain(100_000, 500_000), Gain(200_000, 0)),
    time_stop_seconds=60,
)
fractions = st.integers(1, MICROS - 1)


def made(defaults: DefaultTriggers, entry: int, trade: str = "t") -> dict[TriggerType, NewTrigger]:
    new = triggers_for(
        defaults, entry_micros=entry, opened_ms=5_000, made_for=f"{'a' * 64}:{trade}"
    )
    return {trigger.trigger_type: trigger for trigger in new}


def test_fractions_of_the_entry_price_become_prices() -> None:
    triggers = made(ALL, 500_001)
    assert triggers[TriggerType.STOP_LOSS].price_micros == 450_001, "rounded up"
    assert triggers[TriggerType.STOP_LOSS].break_even
    assert triggers[TriggerType.TAKE_PROFIT].price_micros == 600_001, "rounded down"
    trail = triggers[TriggerType.TRAILING_STOP]
    assert (trail.price_micros, trail.callback_ppm) == (550_001, 50_000)
    assert triggers[TriggerType.LADDER].rungs == (Rung(550_001, 500_000), Rung(600_001, 0))
    assert triggers[TriggerType.TIME_STOP].fire_at_ms == 65_000
    assert made(NONE, 500_000) == {}


def test_the_same_fill_makes_the_same_ids_and_another_one_others() -> None:
    first, again, other = made(ALL, 500_000), made(ALL, 500_000), made(ALL, 500_000, "u")
    assert first == again
    found = {trigger.id for made_of in (first, other) for trigger in made_of.values()}
    assert len(found) == 10


def test_what_no_market_can_reach_makes_no_trigger() -> None:
    triggers = made(ALL, 900_000)
    assert TriggerType.TAKE_PROFIT not in triggers
    # The first rung sells its half; the rest is kept, as if the second one never came.
    assert triggers[TriggerType.LADDER].rungs == (Rung(990_000, 500_000), Rung(999_999, 0))
    assert made(ALL, 990_000).keys() == {TriggerType.STOP_LOSS, TriggerType.TIME_STOP}


@given(
    st.integers(1, MICROS - 1),
    st.builds(
        DefaultTriggers,
        take_profit_ppm=st.none() | st.integers(1, 90 * MICROS),
        stop_loss_ppm=st.none() | fractions,
        break_even=st.booleans(),
        trailing_from_ppm=st.integers(0, MICROS),
        trailing_ppm=st.none() | fractions,
        ladder=st.lists(st.integers(1, 3 * MICROS), unique=True, max_size=5).map(
            lambda gains: tuple(Gain(gain, 100_000) for gain in sorted(gains))
        ),
        time_stop_seconds=st.none() | st.integers(1, 10**6),
    ),
)
def test_every_trigger_is_one_that_may_be_stored(entry: int, defaults: DefaultTriggers) -> None:
    assert from_json(to_json(defaults)) == defaults
    for kind, trigger in made(defaults, entry).items():
        prices = [rung.price_micros for rung in trigger.rungs]
        assert prices == sorted(set(prices))
        assert all(0 < price < MICROS for price in prices)
        assert bool(prices) is (kind is TriggerType.LADDER)
        assert (trigger.price_micros is None) is (
            kind in (TriggerType.LADDER, TriggerType.TIME_STOP)
        )
        if trigger.price_micros is not None:
            assert 0 < trigger.price_micros < MICROS
        assert sum(rung.share_ppm for rung in trigger.rungs) <= MICROS
