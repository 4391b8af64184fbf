"""Computes documents and publishes them.

A source that is away, slow, empty or of other types changes nothing: what was published stands,
grows old, says so by its instant, and goes when it is too old to stand.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import redis.asyncio as redis
import structlog
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from redis.exceptions import RedisError

from services.enrichment.codec import document, market_document
from services.enrichment.core.leader_statistics import leader_statistics
from services.enrichment.core.schedule import Schedule
from services.enrichment.core.values import Market, Marks
from services.enrichment.source import MarketRow, Source, market_of, prices_of
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.errors import Unavailable
from tradingtools.runtime.instruments import counter, each
from tradingtools.storage.analytics.port import Store, WrongTypes, unavailable
from tradingtools.storage.redis import documents
from tradingtools.storage.redis.documents import Kind

_POLL_SECONDS = 0.5
_BATCH = 25
"""Leaders of one version at most: who waits for the others sees the first ones."""
_CANDIDATES_MS = 30 * 86_400_000
_FOLLOWED_MS = 5_000
_log = structlog.get_logger("enrichment")
_builds = counter(
    "tradingtools.enrichment",
    "enrichment_documents",
    "Leaders' documents, by what became of them",
    each(outcome=("computed", "no trades", "source away", "wrong types", "failed")),
)
_since_ms = 0
"""Up to when what documents say is known; 0: nobody computes yet."""


def _observe(_: CallbackOptions) -> list[Observation]:
    return [Observation((clock.now_ms() - _since_ms) / 1000 if _since_ms else 0)]


metrics.get_meter("tradingtools.enrichment").create_observable_gauge(
    "enrichment_age_seconds",
    [_observe],
    description="Since documents were last computed of what the source said then",
)


class LeaderDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A leader's document as it was published, for whoever replays decisions by it."""

    wallet: str
    version: str
    as_of_ms: int
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The things that documents are made of.

    Attributes:
        source: of trades and markets.
        own: our own tables.
        followed: asks whom somebody follows.
        books: asks for books on the board, by asset.
        fill: fills in what a wallet did, and up to when it is known; None: the source has it.
        fill_markets: the same of markets.
    """

    source: Source
    own: Store
    followed: Callable[[], Awaitable[list[str]]]
    books: Callable[[Iterable[str]], Awaitable[list[Book]]]
    fill: Callable[[str], Awaitable[int]] | None = None
    fill_markets: Callable[[Iterable[str], int], Awaitable[None]] | None = None


@dataclass(slots=True)
class _Built:
    """Documents of a version that is not published yet."""

    leaders: dict[str, bytes] = field(default_factory=dict)
    kept: list[LeaderDocument] = field(default_factory=list)
    markets: dict[str, bytes] = field(default_factory=dict)


class Builder:
    """Keeps the documents of all leaders.

    Args:
        inputs: what they are made of.
        client: Redis, decoding nothing.
        schedule: of the leaders.
        candidates: wallets that have documents although nobody follows them.
        stands_ms: after which documents go that nothing has replaced.
        late_ms: after which they count as late.
    """

    def __init__(
        self,
        inputs: Inputs,
        client: redis.Redis,
        schedule: Schedule,
        *,
        candidates: int,
        stands_ms: int,
        late_ms: int,
    ) -> None:
        self._in = inputs
        self._client = client
        self._schedule = schedule
        self._candidates = candidates
        self._stands_ms = stands_ms
        self._late_ms = late_ms
        self._started_ms = clock.now_ms()
        self._base: dict[Kind, str | None] = {}
        self._adopted = False
        self._empty = False
        self._last = 0
        self._refreshed_ms = 0

    def touch(self, wallet: str) -> None:
        """Note an event that changes what is known of a leader."""
        self._schedule.touch(wallet, clock.now_ms())

    def fresh(self) -> bool:
        """Return whether documents were computed lately."""
        return clock.now_ms() - max(_since_ms, self._started_ms) <= self._late_ms

    async def run(self) -> None:
        """Compute and publish for ever."""
        global _since_ms  # noqa: PLW0603
        _since_ms = max(_since_ms, self._started_ms)
        while True:
            try:
                await self._turn()
            except (Unavailable, WrongTypes) as error:
                _log.warning("the analytical store cannot be read", error=str(error)[:300])
                await asyncio.sleep(5 * _POLL_SECONDS)
            except documents.Superseded as error:
                _log.warning("documents are gone, or another's", version=str(error))
                self._adopted = False
            except RedisError as error:
                _log.warning("documents not published; Redis is away", error=str(error)[:200])
                await asyncio.sleep(5 * _POLL_SECONDS)
            await asyncio.sleep(_POLL_SECONDS)

    async def _turn(self) -> None:
        global _since_ms  # noqa: PLW0603
        now_ms = clock.now_ms()
        dropped = await self._who(now_ms) if now_ms - self._refreshed_ms >= _FOLLOWED_MS else []
        if not self._adopted:
            dropped += await self._adopt(now_ms)
        if not self._schedule.everybody():
            _since_ms = now_ms
        due = self._schedule.due(now_ms)[:_BATCH]
        if not due and not dropped:
            return
        built = _Built()
        version = str(max(now_ms, self._last + 1))
        for wallet in due:
            await self._leader(wallet, version, built)
        await self._publish("leaders", version, built.leaders, dropped)
        await self._publish("markets", version, built.markets, [])
        self._last = int(version)
        for wallet in due:
            self._schedule.done(wallet, clock.now_ms())
        await self._in.own.insert("leader_documents", built.kept)

    async def _adopt(self, now_ms: int) -> list[str]:
        """Build upon what counts now; return the leaders of it who have no documents any more."""
        left: list[str] = []
        for kind in ("leaders", "markets"):
            base = await documents.version(self._client, kind)
            found = [] if base is None else await documents.ids(self._client, kind, base)
            self._base[kind] = base if found else None
            if kind == "leaders" and self._empty:
                self._schedule.follow([*self._schedule.everybody(), *found], now_ms)
            elif kind == "leaders":
                left = [wallet for wallet in found if wallet not in self._schedule.everybody()]
        if self._base["leaders"] is None:
            self._schedule.again(now_ms)
        self._adopted = True
        return left

    async def _who(self, now_ms: int) -> list[str]:
        """Take over who has documents; return who has none any more."""
        wallets = await self._in.followed()
        try:
            found = await self._in.source.candidates(now_ms - _CANDIDATES_MS, self._candidates)
            # A source that is empty does not say that nobody trades: who has documents keeps them.
            self._empty = not found and not await self._in.source.candidates(0, 1)
        finally:
            self._refreshed_ms = now_ms
        wallets += self._schedule.everybody() if self._empty else found
        return self._schedule.follow(wallets, now_ms)

    async def _publish(
        self, kind: Kind, version: str, by_id: Mapping[str, bytes], dropped: list[str]
    ) -> None:
        base = self._base.get(kind)
        if not by_id and (not dropped or base is None):
            return
        await documents.publish(
            self._client, kind, version, by_id,
            stands_ms=self._stands_ms, base=base, dropped=dropped,
        )  # fmt: skip
        self._base[kind] = version

    async def _leader(self, wallet: str, version: str, built: _Built) -> None:
        """Compute one leader; what cannot be costs nobody else's document."""
        global _since_ms  # noqa: PLW0603
        try:
            as_of_ms = await self._as_of(wallet)
            found = await self._computed(wallet, version, as_of_ms, built)
            if not found and not await self._in.source.candidates(0, 1):
                # A source that is empty is no leader who has never traded.
                raise unavailable("it has no trades")
        except Unavailable as error:
            _builds.add(1, {"outcome": "source away"})
            _log.warning("a leader is not computed", wallet=wallet, error=str(error)[:300])
            return
        except WrongTypes as error:
            _builds.add(1, {"outcome": "wrong types"})
            _log.error("a leader is not computed: the source is another than we know",
                       wallet=wallet, error=str(error)[:300])  # fmt: skip
            return
        except Exception as error:  # noqa: BLE001 - a record that nobody thought of is one leader's
            _builds.add(1, {"outcome": "failed"})
            _log.error("a leader is not computed", wallet=wallet, exc_info=error)
            return
        _builds.add(1, {"outcome": "computed" if found else "no trades"})
        _since_ms = max(_since_ms, as_of_ms)

    async def _as_of(self, wallet: str) -> int:
        return clock.now_ms() if self._in.fill is None else await self._in.fill(wallet)

    async def _computed(self, wallet: str, version: str, as_of_ms: int, built: _Built) -> bool:
        source = self._in.source
        activity = await source.activity(wallet, as_of_ms)
        if not activity:
            return False
        traded = {row.condition_id for row in activity}
        if self._in.fill_markets is not None:
            await self._in.fill_markets(traded, as_of_ms)
        rows = {row.condition_id: row for row in await source.market_rows(traded)}
        markets = {name: market_of(row) for name, row in rows.items()}
        assets = {row.asset_id for row in activity if row.asset_id}
        books = await self._in.books(_open(assets, markets))
        marks = await self._marks(assets, rows, books, as_of_ms)
        statistics = await asyncio.to_thread(
            leader_statistics, wallet, activity, markets,
            as_of_ms=as_of_ms, marks=marks, books=await source.books(wallet),
        )  # fmt: skip
        body = document(statistics, version).SerializeToString()
        built.leaders[wallet] = body
        built.kept.append(
            LeaderDocument(
                wallet=wallet, version=version, as_of_ms=as_of_ms,
                document=base64.b64encode(body).decode(),
            )
        )  # fmt: skip
        by_asset = {book.market.asset_id: book for book in books}
        for name, row in rows.items():
            facts = market_document(markets[name], row, by_asset, as_of_ms, version)
            built.markets[name] = facts.SerializeToString()
        return True

    async def _marks(
        self,
        assets: set[str],
        rows: Mapping[str, MarketRow],
        books: Iterable[Book],
        as_of_ms: int,
    ) -> Marks:
        """Recorded marks, and the present ones behind them."""
        found = await self._in.source.marks(assets)
        for row in rows.values():
            for asset, mark in prices_of(row).items():
                found.setdefault(asset, []).append(mark)
        for book in books:
            if book.usable and book.bids and book.asks:
                worth = (book.bids[0][0] + book.asks[0][0]) // 2
                found.setdefault(book.market.asset_id, []).append((as_of_ms, worth))
        return Marks({asset: sorted(marks) for asset, marks in found.items()})


def _open(assets: Iterable[str], markets: Mapping[str, Market]) -> list[str]:
    """Assets that may still have a book."""
    resolved = {a for m in markets.values() if m.payout_micros for a in m.asset_ids}
    return [asset for asset in assets if asset not in resolved]
