"""Brings an order that was not answered for to an end. Before: a receipt that says UNKNOWN.

After a crash it is begun again from what was durable of the order.
"""

from __future__ import annotations

import asyncio

from tradingtools import clock
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.polymarket.unknown_orders import (
    Conclusion,
    Look,
    UnknownOrder,
    conclude,
    pause_ms,
)
from tradingtools.venues.trading import Accounts, CancelOrder, OrderGateway, OrderReport, ReadError

_CANCEL_LIVES_MS = 60_000


async def resolve(
    order: UnknownOrder, instrument: Instrument, gateway: OrderGateway, accounts: Accounts
) -> tuple[Conclusion, OrderReport | None]:
    """Cancel and look until something is proved; the order's last report is the proof of ENDED.

    Until it returns, the order counts as reserved in full.
    """
    looks, last = 0, None
    while True:
        conclusion = conclude(order, looks, last)
        if conclusion is not Conclusion.CANCEL_AND_LOOK:
            return conclusion, last.found if last else None
        if last is not None:
            await asyncio.sleep(pause_ms(order, looks, clock.now_ms()) / 1000)
        asked_ms = clock.now_ms()
        request = CancelOrder(
            order_id=order.order_id,
            venue_order_id=order.venue_order_id,
            instrument=instrument,
            not_after_ms=asked_ms + _CANCEL_LIVES_MS,
        )
        await gateway.cancel(request)  # what came of it, the look tells
        try:
            last = Look(asked_ms=asked_ms, found=await accounts.find(request))
            looks += 1
        except ReadError:
            await asyncio.sleep(pause_ms(order, looks, clock.now_ms()) / 1000)
