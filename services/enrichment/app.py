"""Composition of enrichment: stores and venue in, recorder, sampler and builder out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import structlog

from services.enrichment import source as sources
from services.enrichment import store
from services.enrichment.builder import Builder, Inputs
from services.enrichment.core.recording import LeaderTradeRow
from services.enrichment.core.schedule import Schedule
from services.enrichment.fill import Filler
from services.enrichment.recorder import Recorder
from services.enrichment.sampler import Sampler
from services.enrichment.settings import Settings
from services.enrichment.source import Source, SourceError
from tradingtools.domain.errors import Unavailable
from tradingtools.runtime import gc_policy, health
from tradingtools.runtime.composition import Parts, composed
from tradingtools.runtime.process import Startup
from tradingtools.storage.analytics import clickhouse, embedded
from tradingtools.storage.analytics.embedded import Embedded
from tradingtools.storage.analytics.port import Reader, Store, T, Values, WrongTypes
from tradingtools.v1 import event_service_pb2_grpc as events_rpc
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.http import Http, open_client

ANALYTICS = "analytical-store"
"""Of health checks: whether documents are computed of it."""
_API_TIMEOUT_MS = 10_000
_PAUSE_SECONDS = 2.0
_log = structlog.get_logger("enrichment")


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run enrichment until ``stop``. Raises Startup: a setting is wrong."""
    selects, history = _selects(settings), _history(settings)
    async with composed("enrichment", settings) as parts:
        pool = await parts.pool(size=2, by_index=True)
        await parts.lease(pool)
        client = parts.redis()
        stores = await _stores(settings, parts)
        source = Source(stores.product, stores.own, selects)
        sampler = Sampler(stores.own, client, pool, settings.marks)
        filler = None
        if stores.filled is not None:
            filler = await _filler(settings, parts, stores.filled, source)
        inputs = Inputs(
            source=source,
            own=stores.own,
            followed=partial(store.followed, pool),
            books=sampler.books,
            fill=None if filler is None else filler.wallet,
            fill_markets=None if filler is None else filler.markets,
        )
        builder = Builder(
            inputs,
            client,
            Schedule(settings.interval_seconds * 1000, settings.settle_ms),
            candidates=settings.candidates,
            stands_ms=settings.stands_seconds * 1000,
            late_ms=settings.late_seconds * 1000,
        )

        def traded(trade: LeaderTradeRow) -> None:
            builder.touch(trade.leader)
            sampler.traded(trade)

        log = events_rpc.EventServiceStub(parts.channel(settings.events_target))
        recorder = Recorder(stores.own, log, pool, traded, sampler.moved)
        await parts.serve(settings.listen, [], lambda _: None)
        await parts.run(
            stop,
            gc_policy.keep_away(),
            _prepared(stores, recorder),
            sampler.run(),
            _documents(builder, filler, history),
            looks={ANALYTICS: health.known(builder.fresh)},
        )


def _selects(settings: Settings) -> dict[str, str]:
    path = Path(settings.source_file) if settings.source_file else sources.SOURCE
    try:
        return dict(sources.relations(path))
    except SourceError as error:
        raise Startup(f"TT_ENRICHMENT_SOURCE_FILE: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stores:
    """Where the product's tables are, and ours."""

    product: Reader
    own: Store
    filled: Embedded | None
    """The embedded store, where it stands for the product's tables."""


async def _stores(settings: Settings, parts: Parts) -> _Stores:
    shared, limit = settings.shared, float(settings.query_seconds)
    db: Embedded | None = None
    if not (shared.clickhouse_url and shared.clickhouse_own_url):
        if not shared.analytics_dir:
            raise Startup("TT_ANALYTICS_DIR: required unless TT_CLICKHOUSE_URL and"
                          " TT_CLICKHOUSE_OWN_URL are set")  # fmt: skip
        try:
            db = await parts.stack.enter_async_context(
                embedded.opened(Path(shared.analytics_dir), timeout_seconds=limit)
            )
            await db.prepare()
        except (OSError, Unavailable) as error:
            raise Startup(f"TT_ANALYTICS_DIR: {error}") from None
    product: Reader | None = db
    own: Store | None = db
    filled = db
    if shared.clickhouse_url:
        server = clickhouse.connected(shared.clickhouse_url, timeout_seconds=limit)
        product = ReadOnly(await parts.stack.enter_async_context(server))
        filled = None
    if shared.clickhouse_own_url:
        server = clickhouse.connected(shared.clickhouse_own_url, timeout_seconds=limit)
        own = await parts.stack.enter_async_context(server)
    assert product is not None  # noqa: S101 - the embedded one where no server is named
    assert own is not None  # noqa: S101
    return _Stores(product=product, own=own, filled=filled)


class _Readonly(msgspec.Struct, frozen=True):
    readonly: int


class ReadOnly:
    """A role of a server that is asked for nothing until the server has said that it only reads.

    Args:
        server: as that role.
    """

    def __init__(self, server: Reader) -> None:
        self._server = server
        self._trusted = False

    async def rows(self, sql: str, values: Values, kind: type[T]) -> list[T]:
        """Return the rows of a query. Raises Unavailable, WrongTypes."""
        if not self._trusted:
            (row,) = await self._server.rows(sources.QUERIES["may"], {}, _Readonly)
            if row.readonly != 1:
                _log.error("the role of TT_CLICKHOUSE_URL may write; it is not used", alert=True)
                raise WrongTypes("the role may write: give it the setting readonly = 1")
            self._trusted = True
        return await self._server.rows(sql, values, kind)


async def _filler(settings: Settings, parts: Parts, db: Embedded, source: Source) -> Filler:
    http = await parts.stack.enter_async_context(
        open_client(timeout_ms=_API_TIMEOUT_MS, connections=2)
    )
    return Filler(
        db,
        source,
        DataApi(Http(http, settings.data_api_url, name="data api")),
        ClobApi(
            Http(http, settings.clob_url, name="clob"), Http(http, settings.gamma_url, name="gamma")
        ),
    )


def _history(settings: Settings) -> Path | None:
    """Where recorded trades are. Raises Startup: there is no such file."""
    if not settings.history_file:
        return None
    path = Path(settings.history_file)
    if not path.is_file():
        raise Startup(f"TT_ENRICHMENT_HISTORY_FILE: no file {path}")
    return path


async def _documents(builder: Builder, filler: Filler | None, history: Path | None) -> None:
    """Compute documents for ever; before the first ones, take over what was recorded."""
    if filler is not None and history is not None:
        await filler.begin(history)
    await builder.run()


async def _prepared(stores: _Stores, recorder: Recorder) -> None:
    """Make our tables, then record."""
    while True:
        try:
            await stores.own.prepare()
            break
        except Unavailable as error:
            _log.warning("waiting for the analytical store", error=str(error)[:200])
            await asyncio.sleep(_PAUSE_SECONDS)
    await recorder.run()
