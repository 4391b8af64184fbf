"""May this order be accepted? Every refusal of the contract, in its order.

The exchange calls these inside the transaction that accepts the order, so that a key, a balance
or the clock cannot change between the question and the deed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from paper.insiders.core.amounts import ONE, format_amount
from paper.insiders.core.model import KeyedRequest, MarketBook, OrderRequest, Rejection

WalletMode = Literal["open", "closed_only", "forbidden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The four switches of the contract; the field names are those of the wire."""

    idempotency: bool
    not_after: bool
    get_by_key: bool
    void: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """The first use of a key: the hash of the bytes and the purpose that first used it."""

    body_sha256: str
    purpose: str


def check_key(known: KeyUse | None, requested: KeyUse, *, voided: bool, idempotency: bool) -> bool:
    """True when the request is a replay; raises when its key forbids it."""
    if voided:
        raise Rejection(400, "VOIDED", "the key was voided")
    if known is None or not idempotency:
        return False
    if known != requested:
        raise Rejection(422, "KEY_REUSED", "the key was used with another body")
    return True


def check_time(request: OrderRequest, *, now_ms: int) -> None:
    """Refuse what comes after its `notAfter` (None when B is off or the field was not given)."""
    if request.not_after_ms is not None and now_ms > request.not_after_ms:
        raise Rejection(400, "TOO_LATE", "notAfter has passed", field="notAfter")


def check_age(asking: KeyedRequest, *, now_ms: int) -> None:
    """Give up a request that was under way for longer than the service promises."""
    if asking.give_up_ms is not None and now_ms > asking.give_up_ms:
        raise Rejection(504, "UPSTREAM", "the request took longer than it may and was given up")


def check_wallet(request: OrderRequest, mode: WalletMode) -> None:
    """Refuse a wallet that may not do this."""
    if mode == "forbidden":
        raise Rejection(403, "FORBIDDEN", "the wallet may not trade")
    if mode == "closed_only" and request.side == "BUY":
        raise Rejection(400, "CLOSED_ONLY", "the wallet may only sell")


def check_market(request: OrderRequest, book: MarketBook | None) -> MarketBook:
    """The book, unless the market refuses the order for its state, price or size."""
    if book is None:
        raise Rejection(
            400, "MARKET_UNKNOWN", "no order book exists for this asset", field="assetId"
        )
    if book.condition_id not in (None, request.condition_id):
        reason = "conditionId is not the condition of assetId"
        raise Rejection(400, "INVALID_REQUEST", reason, field="conditionId")
    if book.closed or book.payout is not None:
        raise Rejection(400, "MARKET_CLOSED", "the market takes no orders")
    if not book.tick <= request.limit_price <= ONE - book.tick:
        low, high = format_amount(book.tick), format_amount(ONE - book.tick)
        reason = f"the price must lie between {low} and {high}"
        raise Rejection(400, "PRICE_RANGE", reason, field="limitPrice")
    if request.limit_price % book.tick:
        reason = f"the price must be a multiple of {format_amount(book.tick)}"
        raise Rejection(400, "TICK_SIZE", reason, field="limitPrice")
    if request.size < book.min_size:
        reason = f"the smallest size is {format_amount(book.min_size)}"
        raise Rejection(400, "MIN_SIZE", reason, field="size")
    return book


def check_funds(request: OrderRequest, *, needed: int, available: int) -> None:
    """Refuse an order that the wallet cannot cover; micros of USDC for a buy, shares for a sell."""
    if needed <= available:
        return
    if request.side == "BUY":
        reason = "not enough cash for the notional at the limit and the highest fee"
    else:
        reason = "not enough shares that are not reserved"
    raise Rejection(400, "INSUFFICIENT_BALANCE", reason)
