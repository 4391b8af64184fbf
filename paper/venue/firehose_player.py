"""Plays the firehose: the crowd's matches of each second, at their milliseconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from paper.venue.core.firehose import matches
from paper.venue.core.markets import Market, fee_micros
from paper.venue.rtds import Rtds


async def run(
    rtds: Rtds, markets: Sequence[Market], *, seed: int, salt: str, per_second: int, burst: int
) -> None:
    """Publish for ever. A second that could not be kept up with is skipped, not made up for."""
    by_condition = {market.condition: market for market in markets}
    second = int(time.time())
    while True:
        for match in matches(
            markets, seed=seed, salt=salt, second=second, per_second=per_second, burst=burst
        ):
            await asyncio.sleep(max(second + match.at_ms / 1000 - time.time(), 0))
            market = by_condition[match.rows[0].condition]
            for place, row in enumerate(match.rows):
                charged = place == 0 and market.fee_bps > 0
                fee = fee_micros(market, row.price, row.size) if charged else None
                rtds.mingle(row, market, fee, maker=place > 0)
        second = max(second + 1, int(time.time()))
        await asyncio.sleep(max(second - time.time(), 0))
