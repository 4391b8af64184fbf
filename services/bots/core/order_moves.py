"""The transitions of a bot's orders that people are told of: no news of quotes that come and go."""

from __future__ import annotations

from dataclasses import dataclass

from services.bots.core.orders import BotOrder
from tradingtools.domain.bot_order_states import BotOrderState
from tradingtools.domain.event_types import BOT_ORDER_EVENTS

_STANDS = frozenset({BotOrderState.OPEN, BotOrderState.PARTIALLY_FILLED, BotOrderState.FILLED})


@dataclass(frozen=True, slots=True)
class Move:
    """One of them."""

    slot: str
    order: BotOrder
    """After it."""
    source: BotOrderState
    code: str
    """Of the venue, or ours; empty: there was none."""


class UnwrittenMoves:
    """The moves that are not written yet."""

    def __init__(self) -> None:
        self._moves: list[Move] = []
        self._refusals: dict[str, str] = {}

    def note(self, slot: str, before: BotOrder | None, after: BotOrder, code: str) -> None:
        """Keep a transition, if people are told of it; of equal refusals in a row the first."""
        if before is None or before.state is after.state:
            return
        if after.state in _STANDS:
            self._refusals.pop(slot, None)
        if BOT_ORDER_EVENTS.get((before.state, after.state)) is None:
            return
        if after.state is BotOrderState.REJECTED:
            if self._refusals.get(slot) == code:
                return
            self._refusals[slot] = code
        self._moves.append(Move(slot, after, before.state, code))

    def take(self) -> tuple[Move, ...]:
        """Return the moves since the last call, oldest first."""
        found, self._moves = tuple(self._moves), []
        return found
