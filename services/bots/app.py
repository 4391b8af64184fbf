"""Composition of an engine of bots: wishes and leases in, orders at exchanges out."""

from __future__ import annotations

import asyncio
import re
import secrets

import psycopg
import structlog

from services.bots.engine import Engine, Terms
from services.bots.leases.store import Leases
from services.bots.settings import Settings
from services.bots.store import Store
from services.bots.venues import OPENINGS
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup

VERSION = "0.1.0"
_NAME = re.compile(r"[a-z]+(-[0-9]{1,4})?")
FORGET_SECONDS = 3_600
_log = structlog.get_logger("bots")


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
    if not _NAME.fullmatch(settings.name):
        raise Startup(f"TT_BOTS_NAME: {settings.name!r} is not letters, then - and a number")
    signer = SignerClient(settings.signer_socket)
    openings = {name: OPENINGS[name](settings, signer) for name in settings.venues}
    async with composed("bots", settings) as parts:
        pool = await parts.pool(size=6)
        parts.stack.push_async_callback(signer.aclose)
        ways = {name: await parts.stack.enter_async_context(one) for name, one in openings.items()}
        store = Store(pool, settings.name, settings.par_currencies)
        engine = Engine(
            store,
            Leases(pool, settings.name, secrets.token_hex(16), settings.lease_ms),
            ways,
            Terms(
                name=settings.name,
                venues=settings.venues,
                capacity=settings.capacity,
                version=VERSION,
                lease_ms=settings.lease_ms,
                poll_ms=settings.poll_ms,
                write_ms=settings.write_ms,
            ),
        )
        await parts.serve(settings.listen, [], lambda _: None)
        left = asyncio.Event()
        await parts.run(
            left, engine.keep(), _leave(engine, stop, left), _forget(store, settings.pnl_days)
        )


async def _leave(engine: Engine, stop: asyncio.Event, left: asyncio.Event) -> None:
    """Hand the wallets over when the process is told to end, before it ends."""
    await stop.wait()
    await engine.leave()
    left.set()


async def _forget(store: Store, days: int) -> None:
    """Forget what is older than it is kept, for ever."""
    while True:
        try:
            await store.forget_pnl(days)
        except psycopg.OperationalError as error:
            _log.warning("old figures are kept for now", why=str(error))
        await asyncio.sleep(FORGET_SECONDS)
