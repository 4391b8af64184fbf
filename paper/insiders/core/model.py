"""The nouns of the paper insiders-api: book, order request, order, trade, rejection.

Frozen values that the decisions take and return; the store writes them, the wire shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["BUY", "SELL"]
OrderType = Literal["FAK", "FOK"]
OrderStatus = Literal["ACCEPTED", "MATCHED", "KILLED"]
TradeStatus = Literal["MATCHED", "RETRYING", "MINED", "CONFIRMED", "FAILED"]
Settlement = Literal["normal", "retrying", "failing"]
"""How a trade is going to settle; faults choose another one than normal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One price level: micros of USDC a share, micros of shares."""

    price: int
    size: int
    changed_ms: int = 0
    """When the level last changed at the venue, ms since the epoch; 0: the source cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketBook:
    """An asset's book with what an order has to respect; levels best first, amounts in micros."""

    asset_id: str
    condition_id: str | None = None
    tick: int
    min_size: int
    fee_rate: int | None = None
    """Taker fee rate in micros; None: take the category's."""
    category: str = "other"
    closed: bool = False
    payout: int | None = None
    """What a share pays, in micros; None until the market has resolved."""
    delay_ms: int = 0
    """How long the venue holds a taker order before it matches."""
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """A valid buy or sell as it was asked for; amounts in micros, instants in ms."""

    side: Side
    user_id: str
    wallet_id: str
    proxy: str
    condition_id: str
    asset_id: str
    size: int
    limit_price: int
    order_type: OrderType
    not_after_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeemRequest:
    """A valid redemption as it was asked for."""

    user_id: str
    wallet_id: str
    proxy: str
    condition_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A fill at one level: shares, price, USDC and fee in micros."""

    size: int
    price: int
    notional: int
    fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A fill on its way through settlement."""

    trade_id: str
    fill: Fill
    status: TradeStatus
    settlement: Settlement
    matched_ms: int
    transaction_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An accepted order; `body_sha256` is over the bytes that asked for it."""

    seq: int
    order_id: str
    key: str
    body_sha256: str
    request: OrderRequest
    status: OrderStatus
    accepted_ms: int
    match_due_ms: int
    reserved: int
    """Micros set aside until it is matched: USDC for a buy, shares for a sell."""
    settlement: Settlement
    trades: tuple[Trade, ...] = ()

    @property
    def standing(self) -> tuple[Trade, ...]:
        """The trades that are not undone."""
        return tuple(trade for trade in self.trades if trade.status != "FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """Shares of a condition that were turned into cash; the payout is in micros."""

    key: str
    body_sha256: str
    proxy: str
    condition_id: str
    payout: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request with a key, as far as acceptance is concerned."""

    journal_id: int
    key: str
    body: bytes
    body_sha256: str
    give_up_ms: int | None
    """After this instant it is not accepted any more; None: it may come as late as it likes."""
    settlement: Settlement = "normal"
    balance_lag: bool = False


class Rejection(Exception):
    """An answer that is not a success: HTTP status, code of the contract, message, field."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_ms = retry_after_ms
