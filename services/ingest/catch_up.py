"""Query the Data API what the feed may have missed, what it never shows, and what leaders hold.

Merges, redemptions and conversions are in the Data API alone. A leader's positions are asked for
between two answers about what moved them; only when both are equal do the three belong together,
and only then they are a baseline. What he holds and is worth is kept for whoever asks later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import psycopg
import psycopg_pool
import structlog

from services.ingest import metrics
from services.ingest.backfill import Backfill
from services.ingest.core.announcements import Announcements
from services.ingest.core.merge import Merger
from services.ingest.core.pacing import Agenda
from services.ingest.equity import Equity
from services.ingest.rejects import Rejects
from services.ingest.settings import Settings
from services.ingest.store import Store
from tradingtools import clock
from tradingtools.domain.errors import TradingError
from tradingtools.runtime import telemetry
from tradingtools.venues.polymarket.activity import spread
from tradingtools.venues.polymarket.data_api import DataApi, Trades, Unreadable
from tradingtools.venues.ports import Position, TradeRow

_ATTEMPTS = 3
_ATTEMPT_PAUSE_SECONDS = 0.1
_RETRY_SECONDS = 2.0
_GAP_SECONDS = 1.0
_LOOK_BACK_MS = 86_400_000
_GLANCE_MS = 60_000
"""How far back a leader is polled: what the Data API shows later than that, a survey finds."""
_log = structlog.get_logger("ingest")


class CatchUp:
    """Surveys leaders when they are due."""

    def __init__(
        self,
        settings: Settings,
        api: DataApi,
        store: Store,
        merger: Merger,
        behind: Backfill,
        announcements: Announcements,
        rejects: Rejects,
        equity: Equity,
    ) -> None:
        self._settings = settings
        self._api = api
        self._store = store
        self._merger = merger
        self._backfill = behind
        self._announcements = announcements
        self._rejects = rejects
        self._equity = equity
        self._agenda = Agenda(poll_s=settings.poll_ms / 1000, recheck_s=settings.recheck_ms / 1000)
        self._known_ms: dict[str, int] = {}
        self._read_ms: dict[str, int] = {}
        """Up to when each leader's rows have been read or are in `_unwalked`."""
        self._unread_ranges: dict[str, tuple[int, int]] = {}
        """Of leaders with more rows than one walk reads: from when to when they are yet to come."""
        self.surveyed = asyncio.Event()
        """Everyone who was followed at the start has been asked about once."""
        self._changed = asyncio.Event()
        self._polling = self._called = False
        self._gap_at = float("-inf")
        self._polls_at = float("-inf")
        self._glancing: set[str] = set()
        self._slots = asyncio.Semaphore(settings.api_connections)

    def follow(self, leader: str, known_ms: int | None) -> None:
        """Begin with a leader.

        Args:
            leader: the wallet.
            known_ms: until when his trades are known; None: nothing is known, and the look back
                is as short as the settings say.
        """
        self._known_ms[leader] = (
            clock.now_ms() - self._settings.catch_up_ms + self._settings.overlap_ms
            if known_ms is None
            else known_ms
        )
        self._agenda.add(leader, clock.monotonic())
        self._changed.set()

    def drop(self, leader: str) -> None:
        """Stop with a leader."""
        self._agenda.drop(leader)
        self._known_ms.pop(leader, None)
        self._read_ms.pop(leader, None)
        self._equity.forget(leader)
        self._backfill.drop(leader)
        self._walked(leader)

    def gap(self) -> None:
        """Note that the feed may have missed something. Calls in quick succession are one."""
        now = clock.monotonic()
        if self._polling:
            return  # Everybody is looked at in turn anyway, as often as the venue allows.
        if now - self._gap_at >= _GAP_SECONDS:
            self._gap_at = now
            self._agenda.gap(now)
            self._changed.set()

    def look_back(self, lost_since_ms: int) -> None:
        """Tell a reader again what it has lost since then, as far as a day back.

        What is remembered and was cut from the log is told from memory.
        """
        self._backfill.put(self._announcements.remembered())
        since_ms = max(lost_since_ms, clock.now_ms() - _LOOK_BACK_MS)
        for each in (self._known_ms, self._read_ms):
            each.update({leader: min(ms, since_ms) for leader, ms in each.items()})
        _log.error("a reader has lost leader trades; they are looked up", alert=True,
                   since_ms=since_ms)  # fmt: skip
        self._agenda.gap(clock.monotonic())
        self._changed.set()

    async def run(self) -> None:
        """Survey whoever is due, for ever."""
        while True:
            self._changed.clear()
            due = self._agenda.take(clock.monotonic())
            if due:
                await asyncio.gather(*(self._survey(leader) for leader in due))
                continue
            self.surveyed.set()
            try:
                wait = self._agenda.next_s(clock.monotonic())
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def poll(self, silent: Callable[[], bool]) -> None:
        """While the feed is silent look for each leader's trades in turn, for ever.

        Args:
            silent: whether no socket of the feed speaks.
        """
        turn: deque[str] = deque()
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(1 / self._settings.polls_per_second)
                self._switch(silent())
                if not self._polling or self._polls_at > clock.monotonic():
                    continue
                turn = turn or deque(self._known_ms)
                # One look at a leader at a time: a slow answer is not asked for twice.
                if turn and turn[0] not in self._glancing:
                    leader = turn.popleft()
                    self._glancing.add(leader)
                    group.create_task(self._glance(leader))
                elif turn:
                    turn.rotate(-1)

    def _switch(self, silent: bool) -> None:
        if silent == self._polling:
            return
        self._polling, self._called = silent, False
        metrics.POLLING.add(1 if silent else -1)
        if silent:
            _log.warning("no socket of the feed speaks; leaders are polled in turn")
        else:
            _log.info("the feed speaks again; leaders are not polled any more")
            self.gap()

    def _found_beside_silence(self, leader: str) -> None:
        if self._polling and not self._called:
            self._called = True
            _log.error("leaders trade and no socket of the feed speaks; copies come late",
                       alert=True, leader=leader)  # fmt: skip

    async def _glance(self, leader: str) -> None:
        """Look for what is new of a leader, and no more: his holdings follow from it."""
        try:
            async with self._slots:
                known_ms = self._known_ms.get(leader)
                if known_ms is None:
                    return
                since_ms = max(known_ms - self._settings.overlap_ms, clock.now_ms() - _GLANCE_MS)
                moved = await self._moved(leader, since_ms)
                rows = await self._spread(leader, moved.rows)
                if leader in self._agenda:
                    self._publish(leader, moved, rows, clock.now_ns(), None, since_ms)
        except TradingError as error:
            wait_s = int(error.metadata.get("retry_after_ms", "0")) / 1000
            self._polls_at = max(self._polls_at, clock.monotonic() + wait_s)
            _log.warning("leader not polled; again in turn", leader=leader, error=str(error))
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            _log.warning("leader not polled; again in turn", leader=leader, error=str(error))
        finally:
            self._glancing.discard(leader)

    async def _survey(self, leader: str) -> None:
        async with self._slots:
            try:
                await self._poll(leader)
            except TradingError as error:
                wait_s = max(int(error.metadata.get("retry_after_ms", "0")) / 1000, _RETRY_SECONDS)
                self._agenda.retry(leader, clock.monotonic(), wait_s)
                _log.warning("catch-up failed; trying again", leader=leader, error=str(error))
            except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
                self._agenda.retry(leader, clock.monotonic(), _RETRY_SECONDS)
                _log.warning("catch-up failed; trying again", leader=leader, error=str(error))

    async def _poll(self, leader: str) -> None:
        known_ms = self._known_ms.get(leader)
        if known_ms is None:
            return  # nobody follows him since he waited for his turn
        read_ms = self._read_ms.get(leader, 0)
        walks_on = leader in self._unread_ranges
        since_ms = known_ms - self._settings.overlap_ms
        moved, positions = await self._answers(leader, since_ms)
        rows = await self._spread(leader, moved.rows)
        equity = await self._equity.of(leader)
        received_ns = clock.now_ns()
        if leader not in self._agenda:
            return  # nobody follows him any more
        if equity is not None:
            self._merger.weigh(leader, equity, received_ns // 1_000_000)
        self._publish(leader, moved, rows, received_ns, positions, since_ms)
        if leader in self._known_ms:
            newest_ms = max((row.traded_ms for row in moved.rows), default=0)
            # A row of the future would hide whatever comes before it.
            reached_ms = min(newest_ms, received_ns // 1_000_000)
            if moved.reached_ms is not None and moved.reached_ms > read_ms:
                self._unwalk(leader, since_ms, moved.reached_ms)
            # Put back meanwhile, for a reader that has lost something: the next look begins there.
            if self._known_ms[leader] == known_ms:
                self._known_ms[leader] = max(known_ms, reached_ms)
            if self._read_ms.get(leader, 0) == read_ms:
                self._read_ms[leader] = max(read_ms, reached_ms)
        if walks_on:
            await self._walk_on(leader)
        if (
            positions is not None
            and leader not in self._unread_ranges
            and leader not in self._backfill
        ):
            # Behind the facts: nobody waits for it, and the next survey writes it again. The next
            # start begins here, so nothing older may be missing, or wait to be published.
            await self._store.keep_account(leader, equity, positions)

    def _publish(
        self,
        leader: str,
        moved: Trades,
        rows: list[TradeRow],
        received_ns: int,
        positions: dict[str, Position] | None,
        since_ms: int,
    ) -> None:
        for reason, body in moved.rejected:
            self._rejects.note("data_api", reason, body)
        facts = self._merger.catch_up(
            rows,
            received_ns // 1_000_000,
            leader=leader,
            positions=None if positions is None else _sizes(positions),
            since_ms=since_ms,
            traceparents=self._traces(leader, rows),
        )
        metrics.ROWS.add(len(rows), {"source": "CATCH_UP"})
        metrics.FOUND.add(sum(fact.found for fact in facts))
        news = self._announcements.to_announce(facts)
        for fact in facts:
            # One of a long answer may be forgotten by the end of it.
            if (leader, fact.row.tx) not in self._merger:
                self._announcements.forget(leader, fact.row.tx)
        metrics.KNOWN.add(len(facts) - len(news))
        if any(fact.found for fact in news):
            self._found_beside_silence(leader)
        self._backfill.put(news)

    async def _answers(
        self, leader: str, since_ms: int
    ) -> tuple[Trades, dict[str, Position] | None]:
        moved = await self._moved(leader, since_ms)
        for _ in range(_ATTEMPTS if moved.reached_ms is None else 0):
            try:
                positions = await self._api.positions(leader)
            except Unreadable as error:
                # What he traded is published all the same.
                _log.warning("holdings unknown", leader=leader, error=str(error))
                return moved, None
            again = await self._moved(leader, since_ms)
            belong = again.rows == moved.rows and again.reached_ms is None and not again.rejected
            moved = again
            if belong:
                return moved, positions
            await asyncio.sleep(_ATTEMPT_PAUSE_SECONDS)
        return moved, None

    async def _moved(self, leader: str, since_ms: int, until_ms: int | None = None) -> Trades:
        """Return everything that moved his shares, newest first."""
        trades = await self._api.trades(leader, since_ms, until_ms)
        others = await self._api.movements(leader, since_ms, until_ms)
        return Trades(
            tuple(sorted(trades.rows + others.rows, key=lambda row: -row.traded_ms)),
            trades.rejected + others.rejected,
            max(
                (one.reached_ms for one in (trades, others) if one.reached_ms is not None),
                default=None,
            ),
        )

    def _unwalk(self, leader: str, since_ms: int, until_ms: int) -> None:
        """Note that what is older than a walk's end is yet to be read: a piece with each look."""
        if leader not in self._unread_ranges:
            metrics.UNWALKED.add(1)
            _log.error("a leader has more trades than one walk reads; the older ones follow",
                       alert=True, leader=leader, since_ms=since_ms)  # fmt: skip
        earlier_ms, _ = self._unread_ranges.get(leader, (since_ms, 0))
        self._unread_ranges[leader] = (min(since_ms, earlier_ms), until_ms)
        self._agenda.retry(leader, clock.monotonic(), _RETRY_SECONDS)

    async def _walk_on(self, leader: str) -> None:
        since_ms, until_ms = self._unread_ranges[leader]
        try:
            moved = await self._moved(leader, since_ms, until_ms)
        except TradingError as error:
            _log.warning("older trades not walked; with the next look", error=str(error))
            return
        rows = await self._spread(leader, moved.rows)
        if leader not in self._unread_ranges:
            return  # nobody follows him any more
        self._publish(leader, moved, rows, clock.now_ns(), None, since_ms)
        # A second of more rows than one walk reads must not hold up the others for ever.
        next_ms = min(moved.reached_ms or 0, until_ms - 1000)
        if next_ms >= since_ms // 1000 * 1000:
            self._unwalk(leader, since_ms, next_ms)
        else:
            self._walked(leader)
            _log.info("older trades are walked", leader=leader)

    def _walked(self, leader: str) -> None:
        if self._unread_ranges.pop(leader, None) is not None:
            metrics.UNWALKED.add(-1)

    async def _spread(self, leader: str, rows: tuple[TradeRow, ...]) -> list[TradeRow]:
        """Turn rows of a whole condition into rows of the assets that matter to his followers."""
        conditions = {row.condition_id for row in rows if not row.asset_id}
        assets = await self._store.assets(leader, sorted(conditions)) if conditions else {}
        return [
            one for row in rows for one in spread(row, assets.get(row.condition_id, frozenset()))
        ]

    def _traces(self, leader: str, rows: list[TradeRow]) -> dict[str, str]:
        traces: dict[str, str] = {}
        for tx in {row.tx for row in rows}:
            if not self._merger.traceparent(leader, tx):
                with telemetry.span("ingest.catch_up", leader=leader, leader_tx=tx) as traceparent:
                    traces[tx] = traceparent
        return traces


def _sizes(positions: dict[str, Position]) -> dict[str, int]:
    return {asset: position.size_micros for asset, position in positions.items()}
