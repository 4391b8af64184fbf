"""Connections to OKX's private path over which nobody has logged in yet.

OKX lets three connections a second come from an address. Whoever is about to get a wallet has one
ready by then. Without a login it gives no right to anything, so it is any wallet's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tradingtools.venues.okx.connection import GONE, Connection, Endpoint, open_connection
from tradingtools.venues.okx.limits import Charge, Scope
from tradingtools.venues.okx.rate_gate import RateGate


class SpareConnections:
    """See the module.

    Args:
        endpoint: the private path.
        address: the limits of the process's address.
    """

    def __init__(self, endpoint: Endpoint, address: RateGate) -> None:
        self._endpoint = endpoint
        self._address = address
        self._spares: list[tuple[Connection, AsyncExitStack]] = []

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Have one more ready for the length of a block, or until it is taken.

        Raises:
            OSError, TimeoutError, WebSocketException: the connection could not be made.
        """
        async with AsyncExitStack() as works:
            spare = await self._opened_at_last(works), works
            self._spares.append(spare)
            try:
                yield
            finally:
                if spare in self._spares:
                    self._spares.remove(spare)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Connection]:
        """Open a connection for the length of a block, or take one that is ready.

        Raises:
            OSError, TimeoutError, WebSocketException: the connection could not be made.
        """
        async with AsyncExitStack() as works:
            while self._spares:
                connection, kept = self._spares.pop(0)
                if connection.is_open:
                    await works.enter_async_context(kept.pop_all())
                    break
            else:
                connection = await self._opened(works)
            yield connection

    async def _opened_at_last(self, works: AsyncExitStack) -> Connection:
        # Other processes at this address count for the same limit, and nobody knows of the other.
        for pause in self._endpoint.patience.pauses:
            try:
                return await self._opened(works)
            except GONE:
                await asyncio.sleep(pause)
        return await self._opened(works)

    async def _opened(self, works: AsyncExitStack) -> Connection:
        async with self._address.passing((Charge(Scope.CONNECT),)):
            return await works.enter_async_context(open_connection(self._endpoint))
