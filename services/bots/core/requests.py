"""The requests that a bot hands to its wallet, and the times that they take. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass

from services.bots.core.order_moves import Move
from services.bots.core.orders import BotOrder
from services.bots.core.permit import Permit
from services.bots.core.risk.shares import ShareRequest
from tradingtools.venues.trading import AmendOrder, CancelOrder, Fill, NewOrder

DEADLINE_MS = 2_000
"""A request that its venue has not taken by then is void."""
CANCEL_AGAIN_MS = 1_000
POLL_AGAIN_MS = 2_500
ANSWER_WITHIN_MS = 3_000
"""Longest time from a request's deadline to its answer."""
REFUSED_PAUSE_MS = 1_000
"""A slot whose order was refused rests for so long."""


@dataclass(frozen=True, slots=True)
class PermitRequest:
    """A permit is to be made durable; the bot is told by ``granted`` or ``denied``."""

    permit: Permit
    share: ShareRequest | None = None
    """Of the limits of wallet, exchange and tenant, in the same commit; None: it has enough."""
    closes: bool = False
    """For orders that only reduce a holding."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """An order is to be read at its venue; the bot is told by ``reported`` or ``not_found``."""

    order: CancelOrder


@dataclass(frozen=True, slots=True)
class Written:
    """Orders and fills that are to be written together, so that they agree after a crash."""

    orders: tuple[tuple[str, BotOrder], ...]
    """With their slots."""
    fills: tuple[Fill, ...]
    """Booked, or undone, oldest first."""
    moves: tuple[Move, ...] = ()
    """Of orders, that people are told of, oldest first."""


Request = NewOrder | AmendOrder | CancelOrder | PermitRequest | LookUp
