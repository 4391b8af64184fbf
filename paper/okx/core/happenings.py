"""The happenings of the exchange, in their order, for those who tell clients of them."""

from __future__ import annotations

from dataclasses import dataclass

from paper.matching.values import Side
from paper.okx.core.orders import Fill, Order


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order as it was then, and the fill that changed it."""

    order: Order
    fill: Fill | None


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Cash or what is bound of it changed."""

    account: str
    currency: str


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """A position changed."""

    account: str
    inst_id: str
    mode: str


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """A public trade."""

    inst_id: str
    trade_id: int
    side: Side
    price: int
    lots: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class MarkChanged:
    """The mark price of an instrument is another one."""

    inst_id: str


@dataclass(frozen=True, slots=True)
class InstrumentChanged:
    """An instrument's state is another one, or its funding was settled."""

    inst_id: str
    funded: bool = False


@dataclass(frozen=True, slots=True)
class LiquidationWarning:
    """A position came near its liquidation."""

    account: str
    inst_id: str
    mode: str


@dataclass(frozen=True, slots=True)
class Liquidated:
    """The exchange closed lots of somebody's position."""

    account: str
    inst_id: str
    side: Side
    lots: int
    price: int
    loss: int
    at_ms: int


Happening = (
    OrderChanged
    | AccountChanged
    | PositionChanged
    | PublicTrade
    | MarkChanged
    | InstrumentChanged
    | LiquidationWarning
    | Liquidated
)
