"""Trades out of matches: one taker, its makers at one price, and what each gives and gets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby

from paper.clob.core.admission import taker_fee
from paper.clob.core.ledger import house_usdc
from paper.clob.core.markets import MarketState
from paper.clob.core.values import HOUSE, WHOLE, Leg, Order, Side, Trade
from paper.matching.values import Trade as Match

STRANGER = "00000000-0000-4000-8000-000000000000"
"""The API key of the market's own orders."""


class TradeMaker:
    """Numbers the trades of an exchange."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def trades(
        self,
        matches: Sequence[Match],
        orders: Mapping[int, Order],
        state: MarketState,
        now_ms: int,
    ) -> Iterator[Trade]:
        """Return the trades of one call of the book; the orders are booked."""
        for (taker, price, _), group in groupby(
            matches, lambda m: (m.taker, m.price, m.taker_side)
        ):
            yield self._trade(orders.get(taker or 0), price, list(group), orders, state, now_ms)

    def _trade(
        self,
        taker: Order | None,
        price: int,
        matches: list[Match],
        orders: Mapping[int, Order],
        state: MarketState,
        now_ms: int,
    ) -> Trade:
        total = sum(match.size for match in matches)
        # Whoever is met by several of the taker's parts is one maker of the trade.
        makers: dict[int, int] = {}
        for match in matches:
            if match.maker is not None:
                makers[match.maker] = makers.get(match.maker, 0) + match.size
        legs = [_leg(orders[maker], price, size) for maker, size in makers.items()]
        strangers = sum(match.size for match in matches if match.maker is None)
        number = self._next()
        buys: Side = "BUY" if matches[0].taker_side == "buy" else "SELL"
        sells: Side = "SELL" if buys == "BUY" else "BUY"
        if taker is None:
            first = _house(number, state, buys, price, total, tuple(legs))
        else:
            first = _leg(taker, price, total, fee=True)
            if strangers:
                house = _house(number, state, sells, price, strangers, (first, *legs))
                legs.append(house)
        return Trade(
            id=str(uuid.UUID(bytes=number[:16], version=4)),
            market=state.market,
            taker=first,
            makers=tuple(legs),
            matched_ms=now_ms,
            updated_ms=now_ms,
            tx="0x" + sha256(b"tx" + number).hexdigest(),
        )

    def _next(self) -> bytes:
        self._count += 1
        return sha256(f"{self._seed}|trade|{self._count}".encode()).digest()


def _leg(order: Order, book_price: int, size: int, *, fee: bool = False) -> Leg:
    price = order.own_price(book_price)
    return Leg(
        order_id=order.id,
        owner=order.owner,
        wallet=order.wallet,
        asset=order.asset,
        side=order.side,
        price=price,
        size=size,
        usdc=order.trade(price, size),
        fee=taker_fee(price, size, order.market) if fee else 0,
    )


def _house(
    number: bytes, state: MarketState, side: Side, price: int, size: int, legs: tuple[Leg, ...]
) -> Leg:
    bare = Leg(
        order_id="0x" + sha256(b"order" + number).hexdigest(),
        owner=STRANGER,
        wallet=HOUSE,
        asset=state.market.assets[0],
        side=side,
        price=price,
        size=size,
        usdc=size * price // WHOLE,
    )
    usdc = house_usdc(legs, bare)
    return Leg(
        order_id=bare.order_id,
        owner=bare.owner,
        wallet=bare.wallet,
        asset=bare.asset,
        side=bare.side,
        price=bare.price,
        size=bare.size,
        usdc=usdc,
    )
