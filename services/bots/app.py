"""Composition of an engine of bots: wishes and leases in, orders at exchanges out."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from services.bots.engine import Engine
from services.bots.settings import Settings
from services.bots.store import Row, Store, WalletLease
from services.bots.venues import OPENINGS
from services.bots.wallet_run import Venue
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup

VERSION = "0.1.0"


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run bots until ``stop``.

    Raises:
        Startup: a setting is wrong.
    """
    unknown = sorted(set(settings.venues) - set(OPENINGS))
    if unknown:
        raise Startup(
            f"TT_BOTS_VENUES: there is no {unknown[0]!r}; there are {', '.join(OPENINGS)}"
        )
    signer = SignerClient(settings.signer_socket)
    ways = {name: OPENINGS[name](settings, signer) for name in settings.venues}

    def open_venue(wallet: Row, lease: WalletLease) -> AbstractAsyncContextManager[Venue]:
        return ways[wallet["exchange"]](wallet, lease)

    async with composed("bots", settings) as parts:
        pool = await parts.pool(size=6)
        parts.stack.push_async_callback(signer.aclose)
        engine = Engine(
            Store(pool, settings.name, settings.lease_ms, settings.par_currencies),
            open_venue,
            venues=settings.venues,
            capacity=settings.capacity,
            version=VERSION,
            lease_ms=settings.lease_ms,
            poll_ms=settings.poll_ms,
            write_ms=settings.write_ms,
        )
        await parts.serve(settings.listen, [], lambda _: None)
        await parts.run(stop, engine.keep())
