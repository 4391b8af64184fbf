"""Our orders by the hash under which the venue knows them.

A hash follows from the order alone, so after a crash the index is filled again from what was
durable, and what is at the venue is recognised.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tradingtools.venues.polymarket.contracts import Exchange, exchange_of
from tradingtools.venues.polymarket.eip712 import EncodingError
from tradingtools.venues.polymarket.order_amounts import (
    AmountsError,
    resting_amounts,
    taking_amounts,
)
from tradingtools.venues.polymarket.order_identity import order_identity
from tradingtools.venues.polymarket.order_signing import ClobOrder, SignatureType, order_hash
from tradingtools.venues.polymarket.trading_instruments import VENUE, MarketFacts
from tradingtools.venues.trading import NewOrder, RestingTime

TAKING = frozenset({RestingTime.IOC, RestingTime.FOK})
"""Orders that never rest."""
EARLIER_MS = 60_000
"""The venue ends a GTD order so long before the instant that it is told."""


class OrderError(ValueError):
    """The order is none that this venue takes; the code is one word for it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingWallet:
    """The wallet that trades: who holds the money, and whose key signs."""

    address: str
    """Holds the money: the proxy, the Safe, the deposit wallet, or the key's own address."""
    signer: str
    """The key's address."""
    signature_type: SignatureType


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedOrder:
    """An order with all that is signed, and the hash that is its id at the venue."""

    order: ClobOrder
    exchange: Exchange
    venue_order_id: str
    expiration_s: int
    """As the venue is told it; 0: none."""


def prepare(new: NewOrder, wallet: TradingWallet, facts: MarketFacts) -> PreparedOrder:
    """Return the order as it is signed: the same one whenever it is asked for.

    Raises:
        OrderError: it cannot be an order of this venue.
    """
    _check(new)
    taking = new.time_in_force in TAKING
    amounts_of = taking_amounts if taking else resting_amounts
    tick = new.instrument.tick_size
    try:
        identity = order_identity(new.order_id, new.created_ms)
    except ValueError as error:
        raise OrderError("BAD_ORDER_ID", str(error)) from None
    try:
        amounts = amounts_of(new.side, price=new.price, size=new.size, tick=tick)
        deposit = wallet.signature_type is SignatureType.DEPOSIT_WALLET
        order = ClobOrder(
            salt=identity.salt,
            maker=wallet.address,
            signer=wallet.address if deposit else wallet.signer,
            asset_id=facts.asset_id,
            maker_amount=amounts.maker,
            taker_amount=amounts.taker,
            side=new.side,
            signature_type=wallet.signature_type,
            timestamp_ms=identity.timestamp_ms,
        )
        exchange = exchange_of(facts.asset_id, neg_risk=facts.neg_risk)
        found = order_hash(order, exchange)
    except AmountsError as error:
        raise OrderError("BAD_AMOUNT", str(error)) from None
    except EncodingError as error:
        raise OrderError("BAD_ORDER", str(error)) from None
    expiration_s = 0
    if new.expires_ms is not None:
        expiration_s = (new.expires_ms + EARLIER_MS) // 1000
    return PreparedOrder(
        order=order, exchange=exchange, venue_order_id=found, expiration_s=expiration_s
    )


def _check(new: NewOrder) -> None:
    instrument = new.instrument
    if instrument.venue != VENUE:
        raise OrderError("OTHER_VENUE", f"{instrument.id} is not traded here")
    if new.reduce_only:
        raise OrderError("NO_REDUCE_ONLY", "the venue has no reduce-only orders")
    if new.post_only and new.time_in_force in TAKING:
        raise OrderError("POST_ONLY_TAKES", "an order that takes cannot be post-only")
    if (new.time_in_force is RestingTime.GTD) != (new.expires_ms is not None):
        raise OrderError("BAD_EXPIRY", "GTD orders have an end, the others have none")
    if new.size < instrument.minimum_size:
        raise OrderError("TOO_SMALL", f"size is below {instrument.minimum_size} micros")


class OrderIndex:
    """Our orders by hash, and hashes by our ids, as long as anything may be told of them."""

    def __init__(self) -> None:
        self._order_ids: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._until_ms: dict[str, int | None] = {}
        self._oldest: deque[str] = deque()
        """Our ids in the order in which they are looked at, those that have an end."""

    def note(self, order_id: str, venue_order_id: str, until_ms: int | None = None) -> None:
        """Remember an order, before it is sent, and again after a crash.

        Args:
            order_id: ours.
            venue_order_id: its hash.
            until_ms: it may be dropped from then on; None: never. Noted again, the later counts.
        """
        self._order_ids[venue_order_id] = order_id
        self._hashes[order_id] = venue_order_id
        if order_id not in self._until_ms:
            self._oldest.append(order_id)
        before = self._until_ms.get(order_id, until_ms)
        both = None if before is None or until_ms is None else max(before, until_ms)
        self._until_ms[order_id] = both

    def prune(self, now_ms: int) -> None:
        """Drop the oldest orders of which nothing more can be told."""
        while self._oldest:
            order_id = self._oldest[0]
            until_ms = self._until_ms[order_id]
            if until_ms is not None and until_ms >= now_ms:
                return
            self._oldest.popleft()
            if until_ms is not None:
                del self._until_ms[order_id]
                del self._order_ids[self._hashes.pop(order_id)]

    def order_id(self, venue_order_id: str) -> str:
        """Return our id of an order; empty: a stranger's."""
        return self._order_ids.get(venue_order_id, "")

    def venue_order_id(self, order_id: str) -> str:
        """Return the hash of one of our orders; empty: not known."""
        return self._hashes.get(order_id, "")
