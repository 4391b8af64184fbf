"""An order and what was asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from paper.matching.values import Kind as Matching
from paper.matching.values import SelfTrade, Side
from paper.okx.core.instruments import Instrument

OrderKind = Literal["limit", "market", "post_only", "fok", "ioc", "optimal_limit_ioc"]
OrderState = Literal["live", "partially_filled", "filled", "canceled"]
TradeMode = Literal["cash", "cross", "isolated"]

MATCHING: dict[OrderKind, Matching] = {
    "limit": "limit",
    "market": "market",
    "post_only": "post_only",
    "fok": "fok",
    "ioc": "ioc",
    "optimal_limit_ioc": "market",
}

SYSTEM, BY_USER, RISK, DELIVERY, TIMER = "0", "1", "3", "7", "20"
CANCEL_SOURCES = {
    "cancelled": BY_USER,
    "post_only": "31",
    "ioc": "14",
    "fok": "13",
    "market": "14",
    "self_trade": "32",
    "filled": "",
}
"""`cancelSource` of why an order left the book."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as it was asked for; numbers are the sender's text."""

    inst_id: str
    td_mode: str
    side: str
    ord_type: str
    sz: str
    px: str = ""
    cl_ord_id: str = ""
    tag: str = ""
    ccy: str = ""
    pos_side: str = ""
    reduce_only: bool = False
    tgt_ccy: str = ""
    stp_mode: str = "cancel_maker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One fill of an order; amounts in 10^-18, fee below zero: paid to the owner."""

    trade_id: int
    bill_id: int
    price: int
    lots: int
    maker: bool
    fee: int
    currency: str
    gain: int
    at_ms: int
    mark: int


@dataclass(slots=True, kw_only=True)
class Order:
    """An accepted order. Prices in ticks, sizes in lots; `size` of a market order that is given in
    the quote currency is what it has bought so far, and `budget` what it may spend."""

    number: int
    ord_id: str
    owner: str
    request: OrderRequest
    instrument: Instrument
    side: Side
    kind: OrderKind
    price: int | None
    size: int
    budget: int | None
    mode: TradeMode
    self_trade: SelfTrade
    leverage: int
    created_ms: int
    updated_ms: int
    state: OrderState = "live"
    filled: int = 0
    value: int = 0
    """Sum of price times lots of its fills."""
    coins: int = 0
    """Value of its fills in the settle currency; an inverse contract's mean price is by it."""
    fee: int = 0
    rebate: int = 0
    fee_currency: str = ""
    gain: int = 0
    last: Fill | None = None
    cancel_source: str = ""
    category: str = "normal"
    req_id: str = ""
    amend_result: str = ""
    leaving: str = field(default="")
    """The `cancelSource` that its next leaving has; empty: by its reason."""

    @property
    def left(self) -> int:
        """Lots that are not filled."""
        return self.size - self.filled

    @property
    def is_open(self) -> bool:
        """Return whether it may still be filled."""
        return self.state in ("live", "partially_filled")

    @property
    def signed(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self.side == "buy" else -1
