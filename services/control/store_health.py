"""Tells health checks, by name, which of the stores answers.

Readiness says whether all is well; an operator wants to know what is not:
``grpc.health.v1.Health/Check`` with service ``postgresql`` or ``redis`` on the internal port.
"""

from __future__ import annotations

import asyncio

from services.control.store import Store
from tradingtools.domain.errors import Unavailable
from tradingtools.rpc.transport import Server

NAMES = ("postgresql", "redis")
_POLL_SECONDS = 1.0


async def unknown(server: Server) -> None:
    """Before the first look: none is known to answer."""
    for name in NAMES:
        await server.set_health(name, serving=False)


async def watch(store: Store, server: Server) -> None:
    """Look at each store again and again, and tell what was found; does not return."""
    while True:
        for name in NAMES:
            try:
                await store.check(name)
            except Unavailable:
                await server.set_health(name, serving=False)
            else:
                await server.set_health(name, serving=True)
        await asyncio.sleep(_POLL_SECONDS)
