"""The far sides of the contract: paper exchanges on their real wire, with faults by switch.

Each is told to misbehave in the same words, and judged by what it did itself: its orders and
trades, never by what our adapter believes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from tradingtools import clock
from tradingtools.domain.instrument import Instrument
from tradingtools.tasks import run_in_background
from tradingtools.venues.trading import (
    AccountEvent,
    Accounts,
    CancelOrder,
    Connected,
    NewOrder,
    OrderGateway,
    RestingTime,
)


class Misbehaviour(StrEnum):
    """Things that a far side does to the next order."""

    LOST = "lost"
    """It is taken, and nobody answers."""
    NEVER = "never"
    """Nobody answers, and it is not taken."""
    LATE = "late"
    """Nobody answers in time; it is taken later, when let in by `FarSide.arrive`."""
    LIMITED = "limited"
    """429, in the venue's own form."""
    BROKEN = "broken"
    """A page of somebody in between."""


@dataclass
class Wallet:
    """Our adapter with one wallet, and all that it was told."""

    gateway: OrderGateway
    accounts: Accounts
    instrument: Instrument
    price: int
    """At which an order rests, or takes where none rest; five of its sizes are there to take."""
    size: int
    events: list[AccountEvent] = field(default_factory=list)
    made: int = 0

    def order(self, **changes: Any) -> NewOrder:
        """An order of this venue's kind that will not trade by itself, or takes at once."""
        able, now = self.gateway.capabilities, clock.now_ms()
        time = RestingTime.GTC if able.resting else RestingTime.IOC
        expires = None
        if able.resting and able.rests_for_ms is not None:
            time, expires = RestingTime.GTD, now + able.rests_for_ms
        self.made += 1
        known: dict[str, Any] = {
            "order_id": f"contract{now}n{self.made}",
            "instrument": self.instrument,
            "side": "BUY",
            "price": self.price,
            "size": self.size,
            "time_in_force": time,
            "expires_ms": expires,
            "not_after_ms": now + 20_000,
            "created_ms": now,
        }
        return NewOrder(**(known | changes))

    async def reported(self, kind: type[Any], after: int = 0) -> None:
        """Wait for an event of a kind, the first ones left out."""

        async def received() -> bool:
            return any(isinstance(one, kind) for one in self.events[after:])

        await until(received, f"{kind.__name__} after {self.events[-3:]}")

    def named(self, order: NewOrder) -> CancelOrder:
        return CancelOrder(
            order_id=order.order_id,
            instrument=order.instrument,
            not_after_ms=clock.now_ms() + 20_000,
        )


class FarSide(Protocol):
    """One venue, for the length of a module."""

    name: str

    def wallet(self, name: str) -> AbstractAsyncContextManager[Wallet]:
        """Open a new wallet with money."""
        ...

    async def misbehave(self, how: Misbehaviour) -> None:
        """Let the next order go wrong."""
        ...

    async def arrive(self, wallet: Wallet, orders: int) -> None:
        """Let what is late arrive; returns when the wallet has so many orders."""
        ...

    async def orders(self, wallet: Wallet) -> int:
        """Return how many orders the wallet ever had here."""
        ...

    async def trade(self, wallet: Wallet, order: NewOrder, size: int) -> None:
        """Let strangers take so much of an order that rests."""
        ...

    async def filled(self, wallet: Wallet, order: NewOrder) -> dict[str, int]:
        """Return size by trade of what an order has filled, in units of size."""
        ...

    async def drop(self, wallet: Wallet) -> None:
        """Cut the sockets of a wallet."""
        ...

    async def jumble(self, wallet: Wallet, *, holds: bool) -> None:
        """Hold back what a wallet is told; then tell it, the last first and each twice."""
        ...


@asynccontextmanager
async def listening(wallet: Wallet) -> AsyncIterator[Wallet]:
    """Keep what a wallet is told, once it is connected; end what rests of it afterwards."""

    async def listen() -> None:
        async for event in wallet.accounts.events():
            wallet.events.append(event)

    async with run_in_background(listen()):
        await wallet.reported(Connected)
        yield wallet
        # What strangers take next is for the next wallet.
        for one in await wallet.accounts.open_orders():
            named = CancelOrder(
                order_id=one.order_id,
                venue_order_id=one.venue_order_id,
                instrument=wallet.instrument,
                not_after_ms=clock.now_ms() + 20_000,
            )
            await wallet.gateway.cancel(named)


async def until(holds: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Return the first true answer; fails after a minute."""
    end = time.monotonic() + 60
    while True:
        found = await holds()
        if found:
            return found
        assert time.monotonic() < end, f"waited too long for {what}"
        await asyncio.sleep(0.01)
