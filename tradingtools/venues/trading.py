"""The port of bots to venues: books, prints, resting orders and accounts, as values.

A venue's package reads its own wire and returns these; strategies, risk and the states of orders
decide by them alone. Prices, sizes and money are integers of the instrument's digits
(:mod:`tradingtools.domain.instrument`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from tradingtools.domain.book import BookStatus
from tradingtools.domain.instrument import Instrument, TradingPhase
from tradingtools.venues.ports import Meaning, Side

# ---------------------------------------------------------------------------- what a market tells

Level = tuple[int, int]
"""Price and size, in the instrument's units."""


class TradingBook(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The book of one instrument, levels best first. Only a FRESH or EMPTY one may be trusted."""

    instrument_id: str
    status: BookStatus
    bids: Sequence[Level]
    asks: Sequence[Level]
    venue_ms: int
    received_ns: int = 0
    """When the last of it was received, nanoseconds since the epoch."""


class Print(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trade of strangers."""

    instrument_id: str
    trade_id: str
    side: Side
    """The taker's."""
    price: int
    size: int
    venue_ms: int


class Funding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The rate of a swap that longs pay to shorts at the next funding."""

    instrument_id: str
    rate: Decimal
    """Of the position's worth; below zero, shorts pay."""
    at_ms: int
    interval_ms: int
    """From one funding to the next."""


class MarkPrice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The price by which the venue judges margin."""

    instrument_id: str
    price: int
    venue_ms: int


class IndexPrice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The price, over several venues, of what an instrument is about."""

    instrument_id: str
    price: int
    venue_ms: int


class PhaseChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A new phase, or new rules, of an instrument.

    What rested may be gone by then, and its ends may come before or after this. ENDED is for ever;
    after any other phase another one may follow.
    """

    instrument: Instrument
    phase: TradingPhase
    cause: str
    """One word.

    tick_change: orders off the new tick were ended. game_start: all orders were ended, new ones are
    taken. restart: the matching engine is down (SUSPENDED), takes resting orders alone (POST_ONLY),
    or is back (OPEN). expiry, suspension, delisting: the venue's own. resolution: each share pays
    the instrument's ``payout``.
    """
    venue_ms: int


MarketEvent = TradingBook | Print | Funding | MarkPrice | IndexPrice | PhaseChange


# ------------------------------------------------------------------------------------------ orders


class RestingTime(StrEnum):
    """The time that an order may wait for a counterpart."""

    GTC = "GTC"
    GTD = "GTD"
    """Until ``expires_ms``."""
    IOC = "IOC"
    """What is not filled at once is cancelled (Polymarket: FAK)."""
    FOK = "FOK"


AT_ONCE = (RestingTime.IOC, RestingTime.FOK)
"""Orders that never rest: there is nothing to cancel or to change, their end is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """A limit order that is to be placed.

    ``order_id`` is ours: letters and digits, at most 32. It is never used for a second order.
    """

    order_id: str
    instrument: Instrument
    side: Side
    price: int
    size: int
    time_in_force: RestingTime = RestingTime.GTC
    post_only: bool = False
    reduce_only: bool = False
    expires_ms: int | None = None
    """When a GTD order ends; None for the others."""
    not_after_ms: int
    """The venue must not take it later (OKX: expTime); where it cannot, see ``Capabilities``."""
    created_ms: int = 0
    """When it was made, milliseconds since the epoch; what Polymarket's order is dated by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """A resting order that is to be ended."""

    order_id: str
    venue_order_id: str = ""
    """Empty: not known."""
    instrument: Instrument
    not_after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOrder:
    """A resting order that gets another price or size."""

    order_id: str
    request_id: str
    """Ours, of this change: letters and digits, at most 32."""
    venue_order_id: str = ""
    instrument: Instrument
    price: int | None = None
    size: int | None = None
    """The whole size with what is filled; None: as it is."""
    not_after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The venue's answer to one request.

    ACCEPTED of a cancel or an amend says that it was received: what became of it, an
    :class:`OrderReport` says. NOT_ACCEPTED: provably not taken, and may be sent again. UNKNOWN:
    anything that proves nothing; only reading resolves it.
    """

    meaning: Meaning
    code: str = ""
    detail: str = ""
    """For a person."""
    venue_order_id: str = ""
    retry_after_ms: int | None = None


class OrderStatus(StrEnum):
    """The state of an order as the venue tells it."""

    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order at the venue, as of one instant."""

    order_id: str
    """Empty: a stranger's, which was not placed by us."""
    venue_order_id: str
    instrument_id: str
    side: Side
    status: OrderStatus
    price: int
    size: int
    filled_size: int
    venue_ms: int
    """When the venue changed it last."""
    code: str = ""
    """Why it ended, as the venue names it; of an amend that failed, its code."""
    request_id: str = ""
    """Of the amend that this answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A trade of one of our orders. The same one may be told many times."""

    trade_id: str
    order_id: str
    venue_order_id: str
    instrument_id: str
    side: Side
    price: int
    size: int
    fee: int
    """Paid to the venue, in the instrument's units of money, rounded up; below zero: a rebate."""
    fee_currency: str
    maker: bool
    venue_ms: int
    undone: bool = False
    """Its settlement failed (Polymarket): it never was."""
    forced: str = ""
    """The venue's own closing of a position: liquidation, adl, delivery, resolution; or our own
    merge of sets; empty: an order's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayment:
    """Funding that an account was paid, or paid, for a position in a swap."""

    payment_id: str
    """Of the venue, one for each payment."""
    instrument_id: str
    amount: int
    """In the instrument's units of money, rounded down; below zero: paid."""
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """A warning or notice that the venue reduces a position by force."""

    instrument_id: str
    cause: str
    """liquidation_warning, liquidation, adl, delivery."""
    detail: str
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One currency of an account."""

    currency: str
    total: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPosition:
    """An account's holding of an instrument; below zero: short."""

    instrument_id: str
    size: int
    entry_price: Decimal | None
    """None where the venue does not say."""
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    margin_ratio: Decimal | None = None
    """Equity by maintenance margin; None: no margin is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Balances and positions as of one instant."""

    balances: tuple[Balance, ...]
    positions: tuple[AccountPosition, ...]
    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The private socket tells everything from now on; what was missed has to be read first."""

    venue_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """Nothing is told any more; orders may fill unseen."""

    detail: str


AccountEvent = OrderReport | Fill | Liquidation | AccountState | Connected | Disconnected


# ------------------------------------------------------------------------------------------- ports


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingCapabilities:
    """The abilities of a venue's gateway; what it cannot do, it refuses before a byte leaves."""

    resting: bool
    """Orders may wait in the book, and be cancelled."""
    amend: bool
    post_only: bool
    not_after: bool
    """The venue itself refuses a request after its deadline."""
    unique_order_id: bool
    """One order id is one order for ever; else it is unique among pending ones alone."""
    order_id_known_before: bool
    """The venue's own id is known before the order is sent."""
    found_for_ms: int | None
    """How long an ended order without fills can be looked up; None: for ever."""
    rests_for_ms: int | None = None
    """An order that rests is given an end so far away, since nothing else bounds what becomes of a
    lost request; None: it rests until it is cancelled."""
    taking_buys_spend: bool = False
    """A BUY that only takes names the money that it spends: at better prices it fills more than its
    size."""
    horizon_ms: int = 0
    """After the last instant at which an order could be taken or filled: what is not told of it by
    then never happened."""


class OrderGateway(Protocol):
    """Orders of one wallet at one venue. No method raises for what the venue or network does."""

    @property
    def capabilities(self) -> TradingCapabilities:
        """Return what this venue can do."""
        ...

    def register_order(self, order: NewOrder) -> str:
        """Return the venue's id of an order, and tell it by ours from now on.

        It needs no network, and is called before the order is sent, again after a crash, and before
        each question about it: a gateway may forget an order some time after it could trade last.
        Empty: the venue knows it by our own id.
        """
        ...

    async def place(self, order: NewOrder) -> Receipt:
        """Send an order, once."""
        ...

    async def cancel(self, order: CancelOrder) -> Receipt:
        """Ask for the end of a resting order; it may be repeated."""
        ...

    async def amend(self, change: AmendOrder) -> Receipt:
        """Ask for another price or size."""
        ...


class ReadError(Exception):
    """A question that was not answered, or not understood; nothing follows from it."""


class Accounts(Protocol):
    """The account of one wallet at a venue. Each raises :class:`ReadError`."""

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return all resting orders, strangers' too."""
        ...

    async def find(self, order: CancelOrder) -> OrderReport | None:
        """Return the order, resting or ended; None: the venue says that there is none."""
        ...

    async def fills(self, since_ms: int) -> Sequence[Fill]:
        """Return every fill from that instant of the venue's clock on, oldest first."""
        ...

    async def funding(self, since_ms: int) -> Sequence[FundingPayment]:
        """Return every funding payment from that instant of the venue's clock on, oldest first."""
        ...

    async def state(self) -> AccountState:
        """Return balances and positions."""
        ...

    def events(self) -> AsyncIterator[AccountEvent]:
        """Tell what happens to the wallet, beginning with Connected, for ever.

        What was before the first Connected is read by who listens. What happened between two of
        them is told.
        """
        ...


class Instruments(Protocol):
    """The instruments of a venue. Each raises :class:`ReadError`."""

    async def find(self, symbols: Sequence[str]) -> Sequence[Instrument]:
        """Return those that exist."""
        ...

    def restore(self, instruments: Iterable[Instrument]) -> None:
        """Know instruments that were traded once: the venue may list them no more, and still tell
        of them. Those that it lists are as it says."""
        ...


class MarketFeed(Protocol):
    """Books, prints, funding, marks, indexes and phases of the instruments that were asked for."""

    def events(self, instruments: Sequence[Instrument]) -> AsyncIterator[MarketEvent]:
        """Tell each change; a book in doubt is told as STALE at once."""
        ...
