"""Whole sets of outcomes that bots hold: when they are merged, and what becomes of a change. Pure.

A set pays 1 however its market resolves, so merging it frees its money early and for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.bots.core import forced
from services.bots.core.holding import Holding
from services.bots.core.orders import BotOrder
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.outcome_sets import SetChange, SetsFound
from tradingtools.venues.trading import Fill

DEADLINE_MS = 600_000
"""A change is not sent any more so long after it was written down."""
GRACE_MS = 120_000
"""After that: what is not told of it by then was not made."""
_MERGE = "merge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Whole sets of a market: both outcomes, and how many of each."""

    first: Instrument
    second: Instrument
    size: int


class Step(StrEnum):
    """The next thing to do about a change that is written down."""

    SEND = "SEND"
    """Once, or once more: its nonce is used once."""
    WAIT = "WAIT"
    BOOK = "BOOK"
    """It is made."""
    GIVE_UP = "GIVE_UP"
    """It is not, and never will be."""


def mergeable(
    holdings: Mapping[str, Holding],
    instruments: Mapping[str, Instrument],
    orders: Iterable[BotOrder],
    held: Mapping[str, int],
) -> Sets | None:
    """Return the sets that a bot can do without; None: none of a size worth the request.

    Args:
        holdings: of the bot, by instrument.
        instruments: all that it knows, by id.
        orders: of the bot; what they may sell is kept.
        held: what its account holds, by instrument: shares that are not settled are not there yet.
    """
    selling: dict[str, int] = {}
    for one in orders:
        if one.order.side == "SELL" and not one.settled:
            name = one.order.instrument.id
            selling[name] = selling.get(name, 0) + max(one.largest_size - one.filled, 0)

    def free(instrument_id: str) -> int:
        mine = holdings.get(instrument_id, Holding()).size
        return min(mine, held.get(instrument_id, 0)) - selling.get(instrument_id, 0)

    outcomes: dict[str, list[Instrument]] = {}
    for one_id in sorted(holdings):
        outcome = instruments.get(one_id)
        if outcome is None or outcome.kind is not InstrumentKind.BINARY or not outcome.group:
            continue
        if outcome.payout is None:
            outcomes.setdefault(outcome.group, []).append(outcome)
    for pair in outcomes.values():
        if len(pair) == 2:
            first, second = pair
            size = first.size_in_lots(min(free(first.id), free(second.id)))
            if size >= max(first.minimum_size, 1):
                return Sets(first=first, second=second, size=size)
    return None


def next_step(change: SetChange, found: SetsFound, sent: int, now_ms: int) -> Step:
    """Return what to do about a change.

    Args:
        change: as it is written down.
        found: what its venue says of it.
        sent: how often it was sent.
        now_ms: milliseconds since the epoch.
    """
    if found.done:
        return Step.BOOK
    over = now_ms >= change.deadline_ms + GRACE_MS
    if found.pending:
        return Step.WAIT
    if found.nonce > change.nonce:
        # Another transaction has used it, or the list lags behind the chain.
        return Step.GIVE_UP if over else Step.WAIT
    if sent and found.failed >= sent:
        return Step.GIVE_UP
    if now_ms >= change.deadline_ms:
        return Step.GIVE_UP if over else Step.WAIT
    return Step.SEND


def merged(bot_id: str, change_id: str, sets: Sets, cost: Holding, now_ms: int) -> tuple[Fill, ...]:
    """Return the two trades that a merge is: each outcome is sold, together for 1.

    The first is sold for what it has cost, so that the gain of the set is told once, on the second.

    Args:
        bot_id: whose sets they were.
        change_id: of the merge.
        sets: that were merged.
        cost: of the first outcome, before.
        now_ms: milliseconds since the epoch.
    """
    whole: int = 10**sets.first.price_digits
    tick = sets.first.tick_size
    mean = cost.cost * 10**sets.first.size_digits // cost.size if cost.size > 0 else whole // 2
    price = min(max(mean // tick * tick, 0), whole)

    def sold(instrument: Instrument, at: int) -> Fill:
        return Fill(
            trade_id=trade_id(instrument, change_id),
            order_id=forced.order_id(_MERGE, bot_id),
            venue_order_id="",
            instrument_id=instrument.id,
            side="SELL",
            price=at,
            size=sets.size,
            fee=0,
            fee_currency=instrument.settle,
            maker=True,
            venue_ms=now_ms,
            forced=_MERGE,
        )

    return sold(sets.first, price), sold(sets.second, whole - price)


def trade_id(instrument: Instrument, change_id: str) -> str:
    """Return the id under which an outcome's part of a merge is booked, once."""
    return f"{instrument.symbol}:{change_id}"
