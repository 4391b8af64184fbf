"""The dead man's switch of a wallet's orders: when its owner falls silent, OKX cancels them.

It is set for orders of our tag alone, again and again while the connections are open. It is
never disarmed: an owner that hands a wallet over falls silent for less than the switch waits.

OKX takes it once a second. A new owner waits that long: the one before may just have set it.
"""

from __future__ import annotations

import asyncio

import structlog

from tradingtools.venues.okx.gateway import OkxGateway
from tradingtools.venues.ports import Meaning

FIRST_SECONDS = 1.5
_log = structlog.get_logger()


async def keep_armed(orders: OkxGateway, seconds: int) -> None:
    """Set the switch again and again, for ever.

    Args:
        orders: of the wallet.
        seconds: that OKX waits, 10 to 120; it is set anew three times as often.
    """
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        receipt = await orders.cancel_all_after(seconds)
        if receipt.meaning is not Meaning.ACCEPTED:
            _log.warning("dead_man_switch_not_set", code=receipt.code, why=receipt.detail)
        await asyncio.sleep(seconds / 3)
