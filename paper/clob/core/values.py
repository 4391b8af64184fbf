"""The things of the exchange: markets, orders, trades. Money and shares are micros (1e-6).

Prices are units of 1e-4, the finest tick there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ONE = 1_000_000
WHOLE = 10_000
"""A price of 1."""
HOUSE = "house"
"""The wallet of the market's own orders, which come from a feed."""

Side = Literal["BUY", "SELL"]
OrderType = Literal["GTC", "GTD", "FOK", "FAK"]
TradeStatus = Literal["MATCHED", "MINED", "CONFIRMED", "RETRYING", "FAILED"]
Happened = Literal["PLACEMENT", "UPDATE", "CANCELLATION"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One condition with its two outcomes."""

    condition: str
    assets: tuple[str, str]
    outcomes: tuple[str, str] = ("Yes", "No")
    question: str = "Does it?"
    tick: int = 100
    min_size: int = 5 * ONE
    neg_risk: bool = False
    fee_bps: int = 0
    """The taker's rate: shares x rate x p x (1 - p)."""
    seconds_delay: int = 0
    """Orders that would take are held so long, and cannot be cancelled meanwhile."""
    game_start_ms: int | None = None
    """When all resting orders are wiped."""


@dataclass(slots=True, kw_only=True)
class Order:
    """An order as the exchange keeps it; `number` is its id in the book."""

    id: str
    number: int
    wallet: str
    owner: str
    market: Market
    asset: str
    side: Side
    price: int
    size: int
    kind: OrderType
    post_only: bool
    expires_ms: int | None
    created_ms: int
    budget: int | None = None
    """USDC that a taking buy spends; the size alone bounds the others."""
    matched: int = 0
    paid: int = 0
    """USDC given or got so far, rounded against the order."""
    exact: int = 0
    """The same, in units of 1e-4 micros."""
    status: str = "LIVE"
    trades: list[str] = field(default_factory=list)

    @property
    def index(self) -> int:
        """Return which outcome it is about, 0 or 1."""
        return self.market.assets.index(self.asset)

    @property
    def left(self) -> int:
        """Return the shares that are not matched."""
        return max(0, self.size - self.matched)

    @property
    def resting(self) -> bool:
        """Return whether it is in the book, or held before it."""
        return self.status in ("LIVE", "DELAYED")

    def book_side(self) -> Literal["buy", "sell"]:
        """Return its side in the book of the first outcome."""
        buys = (self.side == "BUY") == (self.index == 0)
        return "buy" if buys else "sell"

    def book_price(self) -> int:
        """Return its price in the book of the first outcome."""
        return self.price if self.index == 0 else WHOLE - self.price

    def own_price(self, book_price: int) -> int:
        """Return a price of the first outcome as one of this order's outcome."""
        return book_price if self.index == 0 else WHOLE - book_price

    def trade(self, price: int, size: int) -> int:
        """Book a match at its own price; the USDC that it gives or gets for it."""
        self.matched += size
        self.exact += price * size
        up = self.side == "BUY"
        total = -(-self.exact // WHOLE) if up else self.exact // WHOLE
        moved, self.paid = total - self.paid, total
        return moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One side of a trade: what an order gives and gets once it is settled."""

    order_id: str
    owner: str
    wallet: str
    asset: str
    side: Side
    price: int
    size: int
    usdc: int
    """Given by a buy, got by a sell, before the fee."""
    fee: int = 0


@dataclass(slots=True, kw_only=True)
class Trade:
    """A match of one taker with makers at one price; `taker.price` is of the taker's outcome."""

    id: str
    market: Market
    taker: Leg
    makers: tuple[Leg, ...]
    matched_ms: int
    updated_ms: int
    tx: str
    fails: bool = False
    status: TradeStatus = "MATCHED"

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Return the taker's and the makers'."""
        return (self.taker, *self.makers)


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """Something became of an order."""

    order: Order
    what: Happened


@dataclass(frozen=True, slots=True)
class TradeUpdate:
    """A trade was matched, or went on."""

    trade: Trade


@dataclass(frozen=True, slots=True)
class TickChanged:
    """A market's tick changed from `old`."""

    market: Market
    old: int


@dataclass(frozen=True, slots=True)
class MarketResolved:
    """A market paid out, micros a share of each outcome."""

    market: Market
    payouts: tuple[int, int]


Happening = OrderUpdate | TradeUpdate | TickChanged | MarketResolved


class Refusal(Exception):
    """The exchange does not do it; `text` is its own sentence."""

    def __init__(self, text: str, status: int = 400, **more: object) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.more = more
