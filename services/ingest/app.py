"""Composition of ingest: stores, then the server, then the feed."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx
import structlog
from redis.exceptions import RedisError

from services.ingest.backfill import Backfill
from services.ingest.catch_up import CatchUp
from services.ingest.core.announcements import Announcements
from services.ingest.core.merge import Merger
from services.ingest.core.sequence import Incarnation
from services.ingest.equity import Equity
from services.ingest.feed import Feed
from services.ingest.leaders import Leaders
from services.ingest.publisher import Publisher, newest
from services.ingest.rejects import Rejects
from services.ingest.server import IngestServicer
from services.ingest.settings import Settings
from services.ingest.store import Store
from tradingtools.runtime import health
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup
from tradingtools.storage.redis.leader_log import LeaderLog
from tradingtools.v1 import ingest_service_pb2_grpc as rpc
from tradingtools.venues.polymarket.collateral import Collateral, tokens
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.http import Http, open_client
from tradingtools.venues.polymarket.socket import check_url
from tradingtools.venues.polymarket.unreadable import Answers

_SERVICE = "tradingtools.v1.IngestService"
_REDIS_RETRY_SECONDS = 0.5
# Longer than a catch-up looks back, so that no row of its overlap was forgotten meanwhile.
_KEEP_MARGIN_MS = 300_000
_log = structlog.get_logger("ingest")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop. Raises Startup when it cannot begin."""
    _check(settings)
    async with composed("ingest", settings) as parts:
        client = parts.redis(socket_timeout=5.0)
        pool = await parts.pool()
        http = await parts.stack.enter_async_context(
            open_client(timeout_ms=settings.api_timeout_ms, connections=settings.api_connections)
        )
        store = Store(pool)
        log = LeaderLog(client, length=settings.log_length, key=await store.log_key())
        found = await _present_log(log, stop)
        if found is None:
            return
        name, last = found
        await store.identify(name)
        publisher = Publisher(log, name, last)
        announcements = Announcements()
        merger = Merger(
            keep_ms=settings.overlap_ms + settings.poll_ms + _KEEP_MARGIN_MS,
            forgotten=announcements.forget,
        )
        behind = Backfill(publisher)
        rejects = Rejects(store)
        answers = Answers()
        api = DataApi(Http(http, settings.data_api_url, name="data api"), answers)
        equity = Equity(api, _collateral(settings, http, answers))
        catch_up = CatchUp(settings, api, store, merger, behind, announcements, rejects, equity)
        publisher.lost = catch_up.look_back
        leaders = Leaders(store, merger)
        await leaders.refresh(catch_up)
        feed = Feed(settings, leaders, merger, publisher, rejects, catch_up, answers, announcements)
        servicer = IngestServicer(publisher, catch_up, Incarnation(name), store)
        server = await parts.serve(
            settings.listen, [_SERVICE], partial(rpc.add_IngestServiceServicer_to_server, servicer)
        )
        _log.info("serving", port=server.port, leaders=len(leaders.wallets), incarnation=name)
        await parts.run(
            stop,
            publisher.write_log(),
            publisher.watch_incarnation(),
            rejects.run(),
            leaders.run(catch_up, client),
            catch_up.run(),
            catch_up.poll(feed.silent),
            behind.run(),
            feed.run(),
            looks={
                health.VENUE: health.known(lambda: feed.connected),
                health.VENUE_ANSWERS: health.known(answers.readable),
            },
        )


def _collateral(settings: Settings, http: httpx.AsyncClient, answers: Answers) -> Collateral | None:
    if not settings.rpc_url:
        _log.warning("leaders' cash is not known: TT_INGEST_RPC_URL is not set")
        return None
    node = Http(http, settings.rpc_url, name="polygon node")
    return Collateral(node, tokens(settings.collateral_tokens), answers)


def _check(settings: Settings) -> None:
    for name, value in (
        ("TT_DATABASE_URL", settings.shared.database_url),
        ("TT_REDIS_URL", settings.shared.redis_url),
    ):
        if not value:
            raise Startup(f"{name}: required and not set")
    try:
        check_url(settings.rtds_url)
    except ValueError as error:
        raise Startup(f"TT_INGEST_RTDS_URL: {error}") from None
    if settings.rpc_url and not settings.rpc_url.startswith(("http://", "https://")):
        raise Startup("TT_INGEST_RPC_URL: is not an http:// or https:// URL")
    try:
        tokens(settings.collateral_tokens)
    except ValueError as error:
        raise Startup(f"TT_INGEST_COLLATERAL_TOKENS: {error}") from None
    if not settings.data_api_url.startswith(("http://", "https://")):
        raise Startup("TT_INGEST_DATA_API_URL: is not an http:// or https:// URL")


async def _present_log(log: LeaderLog, stop: asyncio.Event) -> tuple[str, int] | None:
    """Return the log's incarnation and its newest cursor; None when told to stop while Redis is
    away."""
    while not stop.is_set():
        try:
            return await log.incarnation(), await newest(log)
        except RedisError as error:
            _log.warning("waiting for Redis", error=str(error))
            await asyncio.sleep(_REDIS_RETRY_SECONDS)
    return None
