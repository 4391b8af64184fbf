"""One connection: its subscriptions are bounded as the venue bounds them."""

from __future__ import annotations

import pytest

from tests.unit.venues.okx.far_side import far_side
from tradingtools.venues.okx.connection import GONE, open_connection
from tradingtools.venues.okx.limits import LIMITS, Scope


async def test_a_connection_takes_so_many_subscriptions_and_no_more() -> None:
    async with far_side() as side, open_connection(side.venue.path("public")) as connection:
        for _ in range(LIMITS[Scope.SUBSCRIBE].count):
            await connection.subscribe('{"op":"subscribe","args":[]}')
        with pytest.raises(GONE, match="no more subscriptions"):
            await connection.subscribe('{"op":"subscribe","args":[]}')
