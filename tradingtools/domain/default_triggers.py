"""Triggers for each new position of a subscription, from fractions of its entry price.

Before it come control's rules, which made these values of what a caller wrote; after it `confirm`,
which stores the triggers in the transaction that books the first fill. Pure: the same fill makes
the same triggers with the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from tradingtools.domain.money import MICROS
from tradingtools.domain.trigger_types import Rung, TriggerType

_HIGHEST = MICROS - 1


@dataclass(frozen=True, slots=True)
class Gain:
    """A rung as a subscription says it."""

    gain_ppm: int
    """How far above the entry price, millionths of it."""
    share_ppm: int
    """Of the position; the last one takes the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultTriggers:
    """Fractions of the entry price in millionths; None: no such trigger."""

    take_profit_ppm: int | None = None
    """Above the entry price."""
    stop_loss_ppm: int | None = None
    """Below it."""
    break_even: bool = False
    """The stop moves up to the entry price once a rung has sold."""
    trailing_from_ppm: int = 0
    """How far above the entry price a trailing stop becomes active."""
    trailing_ppm: int | None = None
    """How far below its peak it fires, of the peak."""
    ladder: tuple[Gain, ...] = ()
    """Rising."""
    time_stop_seconds: int | None = None
    """After the first fill."""


NONE = DefaultTriggers()


def to_json(defaults: DefaultTriggers) -> dict[str, Any]:
    """Return what differs from none at all, as JSON values."""
    found = {
        field.name: getattr(defaults, field.name)
        for field in fields(DefaultTriggers)
        if getattr(defaults, field.name) != getattr(NONE, field.name)
    }
    if defaults.ladder:
        found["ladder"] = [asdict(rung) for rung in defaults.ladder]
    return found


def from_json(values: Mapping[str, Any]) -> DefaultTriggers:
    """Default triggers of their JSON form.

    Raises:
        TypeError: a name that is none of ours.
    """
    ladder = tuple(Gain(**rung) for rung in values.get("ladder", ()))
    return DefaultTriggers(**{**values, "ladder": ladder})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrigger:
    """A trigger to be stored. Amounts in micros."""

    id: str
    trigger_type: TriggerType
    price_micros: int | None = None
    callback_ppm: int | None = None
    fire_at_ms: int | None = None
    rungs: tuple[Rung, ...] = ()
    break_even: bool = False


def triggers_for(
    defaults: DefaultTriggers, *, entry_micros: int, opened_ms: int, made_for: str
) -> Iterator[NewTrigger]:
    """Yield the triggers of a new position.

    A price that no market can reach makes no trigger. Prices are rounded down, those of stops up:
    they rather fire too early.

    Args:
        defaults: of the subscription.
        entry_micros: what a share cost in the first fill, USDC.
        opened_ms: when it was booked, milliseconds since 1970.
        made_for: the name of what opened it: the fill, by order and trade, or an adoption.
    """

    def named(kind: TriggerType) -> dict[str, Any]:
        return {"id": _id(made_for, kind), "trigger_type": kind}

    if defaults.stop_loss_ppm is not None:
        stop = -(-entry_micros * (MICROS - defaults.stop_loss_ppm) // MICROS)
        yield NewTrigger(
            **named(TriggerType.STOP_LOSS),
            price_micros=min(max(stop, 1), _HIGHEST),
            break_even=defaults.break_even,
        )
    if defaults.trailing_ppm is not None:
        active = _above(entry_micros, defaults.trailing_from_ppm)
        if active <= _HIGHEST:
            yield NewTrigger(
                **named(TriggerType.TRAILING_STOP),
                price_micros=active,
                callback_ppm=defaults.trailing_ppm,
            )
    if defaults.take_profit_ppm is not None:
        profit = _above(entry_micros, defaults.take_profit_ppm)
        if profit <= _HIGHEST:
            yield NewTrigger(**named(TriggerType.TAKE_PROFIT), price_micros=profit)
    rungs = _rungs(entry_micros, defaults.ladder)
    if rungs:
        yield NewTrigger(**named(TriggerType.LADDER), rungs=rungs)
    if defaults.time_stop_seconds is not None:
        at = opened_ms + defaults.time_stop_seconds * 1000
        yield NewTrigger(**named(TriggerType.TIME_STOP), fire_at_ms=at)


def exit_at_once(*, opened_ms: int, made_for: str) -> NewTrigger:
    """Return the trigger that sells a new position at once; the arguments as of `triggers_for`."""
    return NewTrigger(
        id=_id(made_for, "EXIT"),
        trigger_type=TriggerType.TIME_STOP,
        fire_at_ms=opened_ms,
    )


def _id(made_for: str, kind: str) -> str:
    digest = hashlib.sha256(f"{made_for}:{kind}".encode()).hexdigest()
    return f"trg_{digest[:32]}"


def _above(entry_micros: int, gain_ppm: int) -> int:
    return max(1, entry_micros * (MICROS + gain_ppm) // MICROS)


def _rungs(entry_micros: int, ladder: Sequence[Gain]) -> tuple[Rung, ...]:
    """Return those that can be reached; what the others would sell stays, for the market's end."""
    prices: dict[int, int] = {}
    for gain in ladder:
        # Rungs so close that they round to one price, and those out of reach, become one.
        price = min(_above(entry_micros, gain.gain_ppm), _HIGHEST)
        prices[price] = prices.get(price, 0) + gain.share_ppm
    if set(prices) == {_HIGHEST}:
        return ()
    return tuple(Rung(price, share) for price, share in prices.items())
