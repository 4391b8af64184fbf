"""One leased wallet as its parts share it: its lease, its way to the exchange, its bots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import psycopg
import structlog

from services.bots.core.bot import AnyBot
from services.bots.core.permit import number_of
from services.bots.store import Settings, Store, WalletLease
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.outcome_sets import OutcomeSets
from tradingtools.venues.trading import (
    Accounts,
    AccountState,
    Instruments,
    MarketFeed,
    OrderGateway,
    ReadError,
)

READ_AGAIN_SECONDS = 2.0
AWAY_SECONDS = 0.5
"""What waits for the database asks it again after so long."""
_log = structlog.get_logger("bots")
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


def _all_free() -> float:
    return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A wallet's way to its exchange."""

    gateway: OrderGateway
    accounts: Accounts
    instruments: Instruments
    feed: MarketFeed
    live: bool = False
    """Its orders are real."""
    sets: OutcomeSets | None = None
    """None: nothing merges or redeems sets of outcomes here."""
    free: Callable[[], float] = _all_free
    """Returns the part that is free of its limits of order requests, of the fullest one."""


@dataclass(slots=True, kw_only=True)
class Wallet:
    """See the module."""

    store: Store
    lease: WalletLease
    venue: Venue
    tenant: str = ""
    ran_out_ns: int | None = None
    """When the lease of the owner before ran out, by the monotonic clock; None: it did not."""
    rates: dict[str, int] = field(default_factory=dict)
    """Of currencies in USDC."""
    bots: dict[str, AnyBot] = field(default_factory=dict)
    settings: dict[str, Settings] = field(default_factory=dict)
    """Settings that the bot applied last, at its start or by a change."""
    instruments: dict[str, Instrument] = field(default_factory=dict)
    sound: asyncio.Event = field(default_factory=asyncio.Event)
    """Everything that happens to the account is told, and what its bots have has been read."""
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    """The account was sound once: what is read from then on misses nothing."""
    account: AccountState | None = None
    """As the exchange told it last; None: not yet."""
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    """Every bot is here that may hold something, and its orders and fills have been read."""
    unread_ms: dict[str, int] = field(default_factory=dict)
    """By bot, since when orders that left under permits of former owners may be unknown."""
    leaving: bool = False
    """It is about to be another engine's: nothing is placed any more."""
    trusted_ns: int = 0
    """When the account was read first, by the monotonic clock; 0: it is not yet."""
    booked_ms: int = 0
    """When the last fill that is in the database was traded; 0: there is none."""

    def owner(self, order_id: str) -> AnyBot | None:
        """Return the bot whose order it is; None: it is a stranger's."""
        return next(
            (bot for bot_id, bot in self.bots.items() if number_of(order_id, bot_id) is not None),
            None,
        )

    def opposed(self, bot: AnyBot) -> frozenset[str]:
        """Return the instruments in which other bots hold the other side of what a bot holds."""
        others = [one.left for one in self.bots.values() if one is not bot]
        return frozenset(
            key
            for key, size in bot.left.items()
            if any(one.get(key, 0) * size < 0 for one in others)
        )

    def renewed(self, lease: WalletLease) -> None:
        """Take the lease's new end."""
        self.lease = lease
        if self.sound.is_set() and not self.leaving:
            for bot in self.bots.values():
                bot.leased(lease.until_ms)

    def trust(self) -> None:
        """Let bots place orders: the account is known."""
        self.sound.set()
        self.connected.set()
        self.renewed(self.lease)

    def leave(self) -> None:
        """Let no bot place an order for good."""
        self.leaving = True
        self.withhold()

    def withhold(self) -> None:
        """Let no bot place an order: the account is not known."""
        self.sound.clear()
        for bot in self.bots.values():
            bot.leased(0)


async def outlast(work: Callable[[], Awaitable[Answer]], what: str) -> Answer:
    """Do something again and again, until the database answers."""
    while True:
        try:
            return await work()
        except psycopg.OperationalError as error:
            database_away(what, error)
            await asyncio.sleep(AWAY_SECONDS)


def database_away(what: str, error: psycopg.Error) -> None:
    """Log that something waits for the database; nothing new opens meanwhile, cancels go on."""
    _log.warning("the database does not answer", waits=what, why=str(error))


async def answered(
    read: Callable[Asked, Awaitable[Answer]], *arguments: Asked.args, **named: Asked.kwargs
) -> Answer:
    """Ask a venue until it answers."""
    while True:
        try:
            return await read(*arguments, **named)
        except ReadError as error:
            _log.warning("the venue was not read", what=read.__name__, why=str(error))
            await asyncio.sleep(READ_AGAIN_SECONDS)
