"""Composition of bookfeed: REST and sockets into the hub, the hub to the readers."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from functools import partial

import psycopg
import psycopg_pool
import redis.asyncio as redis
import structlog

from services.bookfeed import catalogue as catalogues
from services.bookfeed.catalogue import Catalogue
from services.bookfeed.core.watchlist import Interest
from services.bookfeed.fetcher import Fetcher
from services.bookfeed.hub import Hub
from services.bookfeed.publisher import publish, restore
from services.bookfeed.questions import RequestSlots
from services.bookfeed.server import BookfeedServicer
from services.bookfeed.settings import Settings
from services.bookfeed.sockets import Sockets
from services.bookfeed.store import Store
from tradingtools.runtime import health
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup
from tradingtools.storage.redis import control_feed
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.http import Http, open_client
from tradingtools.venues.polymarket.socket import check_url
from tradingtools.venues.polymarket.unreadable import Answers

_SERVICE = "tradingtools.v1.BookfeedService"
_POLL_MS = 1000
_PREFETCH_SECONDS = 10.0
_RETAINED = 4
"""Connections behind that are kept without work: as many as are busy while nothing is wrong."""
_log = structlog.get_logger("bookfeed")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop. Raises Startup when it cannot begin."""
    _check(settings)
    async with composed("bookfeed", settings) as parts:
        client = parts.redis(socket_timeout=5.0)
        pool = await parts.pool(size=2)
        answers = Answers()
        lanes = RequestSlots(
            behind=await _api(parts.stack, settings, answers, kept=_RETAINED),
            on_demand=await _api(parts.stack, settings, answers),
        )
        store = Store(pool)
        hub = Hub(stale_ms=settings.stale_ms, rest_ms=settings.quiet_ms, depth=settings.depth)
        catalogue = Catalogue(settings.catalogue_stands_ms)
        if settings.catalogue_file is not None:
            await asyncio.to_thread(catalogues.restore, catalogue, settings.catalogue_file)
        interest = Interest(settings.linger_ms)
        held = await store.watched()
        interest.hold(held)
        await restore(hub, client, held)
        fetcher = Fetcher(
            lanes,
            hub,
            interest,
            catalogue,
            market_ttl_ms=settings.market_ttl_ms,
            look_ms=settings.look_ms,
            quiet_ms=settings.quiet_ms,
            at_once=settings.api_connections,
        )
        sockets = Sockets(settings, hub, fetcher, interest, answers)
        servicer = BookfeedServicer(hub, fetcher, interest, sockets, store, secrets.token_hex(4))
        server = await parts.serve(
            settings.listen,
            [_SERVICE],
            partial(rpc.add_BookfeedServiceServicer_to_server, servicer),
        )
        _log.info("serving", port=server.port)
        await parts.run(
            stop,
            fetcher.run(),
            sockets.run(),
            catalogues.follow(catalogue, lanes.behind, settings),
            _follow_database(store, interest, sockets, client),
            _prefetch(store, interest, catalogue, settings),
            publish(
                hub,
                client,
                pause_ms=settings.board_pause_ms,
                stands_ms=settings.board_stands_ms,
            ),
            looks={
                health.VENUE: health.known(lambda: sockets.connected),
                health.VENUE_ANSWERS: health.known(answers.readable),
            },
        )


async def _api(
    stack: AsyncExitStack, settings: Settings, answers: Answers, *, kept: int | None = None
) -> ClobApi:
    """Open connections to the venue, of which so many are kept without work.

    Each host has its own: one that hangs takes none from the other.
    """
    clob, gamma = [
        await stack.enter_async_context(
            open_client(
                timeout_ms=settings.api_timeout_ms, connections=settings.api_connections, kept=kept
            )
        )
        for _ in range(2)
    ]
    return ClobApi(
        Http(clob, settings.clob_url, name="clob"),
        Http(gamma, settings.gamma_url, name="gamma"),
        answers,
    )


async def _follow_database(
    store: Store, interest: Interest, sockets: Sockets, client: redis.Redis
) -> None:
    async for _ in control_feed.wake_ups(client, poll_ms=_POLL_MS):
        try:
            interest.hold(await store.watched())
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            _log.warning("held assets not refreshed", error=str(error))
            continue
        sockets.wake()


async def _prefetch(
    store: Store, interest: Interest, catalogue: Catalogue, settings: Settings
) -> None:
    """Watch what leaders hold and what is traded most, for ever."""
    while True:
        interest.prefetch("traded", catalogue.max_traded(settings.watch_traded))
        try:
            interest.prefetch("leaders", await store.of_leaders(settings.watch_leaders))
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            _log.warning("what leaders hold is not refreshed", error=str(error))
        await asyncio.sleep(_PREFETCH_SECONDS)


def _check(settings: Settings) -> None:
    for name, value in (
        ("TT_DATABASE_URL", settings.shared.database_url),
        ("TT_REDIS_URL", settings.shared.redis_url),
    ):
        if not value:
            raise Startup(f"{name}: required and not set")
    try:
        check_url(settings.clob_ws_url)
    except ValueError as error:
        raise Startup(f"TT_BOOKFEED_CLOB_WS_URL: {error}") from None
    for name, url in (("CLOB_URL", settings.clob_url), ("GAMMA_URL", settings.gamma_url)):
        if not url.startswith(("http://", "https://")):
            raise Startup(f"TT_BOOKFEED_{name}: is not an http:// or https:// URL")
