"""Marks and bookings in, performance actions out.

Mark or booking -> result -> bounds -> two looks that show the same for a while -> what PostgreSQL
says is read once more -> control, which does it once. A crash before control's commit does nothing,
and the looks begin anew; after it, what is read says that it is done. One writer keeps where
subscriptions stand: a lease with an epoch, which control checks, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import psycopg
import structlog

from services.perfmon import store
from services.perfmon.acting import Actor, Wanted
from services.perfmon.core import judge
from services.perfmon.core import standing as standings
from services.perfmon.core.judge import Point
from services.perfmon.core.position import Patience, Valuation
from services.perfmon.core.results import worth
from services.perfmon.followed import MonitoredSubscription
from services.perfmon.ledger import Ledger
from services.perfmon.metrics import acted, doubted, followed_level
from services.perfmon.settings import Settings
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.performance_states import next_state
from tradingtools.runtime.books import Books
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.tasks import cancel_all
from tradingtools.v1 import confirm_service_pb2 as confirm_pb

_log = structlog.get_logger("perfmon")
_POLL_SECONDS = 0.1
"""Between looks at what waits to be sure, or for a good book."""
_SHORTEST_POLL_SECONDS = 0.02
"""The same where somebody is sure at the next one."""
_KEEP_SECONDS = 0.25
_AGAIN_SECONDS = 1.0
_AT_ONCE = 25
"""Actions that are asked for together: control keeps orders waiting while it does them."""


class Monitor:
    """One partition's performance rules.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        books: newest books.
        actor: asks for actions.
        settings: of the process.
    """

    def __init__(
        self, pool: Pool, lease: Lease, books: Books, actor: Actor, settings: Settings
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._books = books
        self._actor = actor
        self._settings = settings
        self._zone = ZoneInfo(settings.time_zone)
        patience = Patience(settings.confirm_ms, settings.doubt_seconds * 1000)
        self._ledger = Ledger(
            pool, self._worth, (settings.partition, settings.partitions), patience
        )
        self._control_seq = 0
        self._booked: set[str] = set()
        """Subscriptions and wallets with bookings that are not taken over."""
        self._due = asyncio.Event()
        self._restless: set[str] = set()
        """Who is looked at again without a mark."""
        self._unkept: set[str] = set()
        self._sure: list[MonitoredSubscription] = []
        """Whose looks have shown it for long enough."""
        self._some_sure = asyncio.Event()
        self._sure_ms: int | None = None
        """When the next one may be sure, milliseconds since 1970."""
        self._stirred = asyncio.Event()
        """Somebody begins to show something: the next look is not a second away."""
        self._working: set[asyncio.Task[None]] = set()
        self._in_doubt: set[str] = set()
        self._day = ""
        self.some = asyncio.Event()
        """Somebody is followed: marks are needed."""

    async def recover(self) -> str:
        """Read everything; returns the booking from which on news are wanted."""
        newest = (await store.fetch(self._pool, "newest"))[0]
        self._day = self._today()
        await self._ledger.load(0)
        self._control_seq = newest["control_seq"]
        self._restless = set(self._ledger.followed)
        self._counted()
        return str(newest["booked_to"])

    def _worth(self, asset_id: str, shares_micros: int) -> Valuation:
        return worth(self._books.known(asset_id), shares_micros)

    def _today(self) -> str:
        return datetime.fromtimestamp(clock.now_ms() / 1000, self._zone).date().isoformat()

    async def refresh(self) -> None:
        """Take over what the control surface has changed, and look at it at once."""
        seq = (await store.fetch(self._pool, "newest"))[0]["control_seq"]
        before = self._control_seq
        if seq == before:
            return
        kept, gone = await self._ledger.load(before)
        wallets = await self._ledger.funded_since(before)
        self._control_seq = seq
        if gone:
            self._restless -= set(gone)
            self._unkept -= set(gone)
            self._in_doubt -= set(gone)
            await store.drop(self._pool, self._lease, gone)
        self._counted()
        users = [one.id for wallet in wallets for one in self._ledger.users(wallet)]
        self._look_at(self._ledger.followed[name] for name in {*kept, *users})

    def _counted(self) -> None:
        followed_level.set(len(self._ledger.followed))
        if self._ledger.followed:
            self.some.set()

    async def on_fills(self, response: confirm_pb.StreamFillsResponse) -> None:
        """Have what bookings have changed read soon."""
        for fill in response.fills:
            self._booked |= {fill.subscription_id, fill.follower_proxy}
        if response.fills:
            self._due.set()

    async def follow_bookings(self) -> None:
        """Take over what bookings have changed, for ever, all of a moment together."""
        while True:
            await self._due.wait()
            self._due.clear()
            keys, self._booked = self._booked, set()
            try:
                await self._ledger.load_results(keys)
            except BaseException:
                self._booked |= keys
                self._due.set()
                raise
            self._look_at(one for key in keys for one in self._ledger.users(key))

    async def on_books(self, books: Sequence[Book]) -> None:
        """Judge everybody who holds what has another book."""
        for book in books:
            asset = book.market.asset_id
            sizes = self._ledger.sizes(asset)
            if sizes:
                worths = {size: worth(book, size) for size in sizes}
                self._look_at(
                    one for one in self._ledger.mark(asset, worths) if not one.needs_no_poll
                )
                await asyncio.sleep(0)

    async def recheck(self) -> None:
        """Look at who waits, and at everybody when a day begins."""
        self._sure_ms = None
        today = self._today()
        if today != self._day:
            self._day = today
            self._restless |= set(self._ledger.followed)
        for name in list(self._restless):
            one = self._ledger.followed.get(name)
            if one is not None:
                self._poll(one)
        self._log_doubts()

    async def keep_polling(self) -> None:
        """Do so for ever."""
        while True:
            try:
                async with asyncio.timeout(self._pause_seconds()):
                    await self._stirred.wait()
                self._stirred.clear()
                await asyncio.sleep(self._pause_seconds())
            except TimeoutError:
                pass
            await self.recheck()

    def _pause_seconds(self) -> float:
        if not self._restless:
            return 10 * _POLL_SECONDS
        due = self._sure_ms
        if due is None:
            return _POLL_SECONDS
        return min(_POLL_SECONDS, max(_SHORTEST_POLL_SECONDS, (due - clock.now_ms()) / 1000))

    def _look_at(self, some: Iterable[MonitoredSubscription]) -> None:
        for one in some:
            self._poll(one)

    def _poll(self, one: MonitoredSubscription) -> None:
        now_ms = clock.now_ms()
        if one.stopped:
            self._rest(one, now_ms)
            return
        one.account.age(now_ms)
        self._follow_standing(one)
        at = one.judged_from
        if at is not None:
            case = one.case(at, self._day, now_ms)
            within, low, high = one.judged_within(case), one.low_micros, one.high_micros
            move = None
            if not within.hold(low, high):
                move = judge.judge(case, within, low, high)
            point = Point(now_ms, low, high)
            one.pending = judge.seen(one.pending, move, point)
            if judge.sure(one.pending, self._settings.confirm_ms) and not one.acting:
                one.acting = True
                self._sure.append(one)
                self._some_sure.set()
            elif one.pending is not None and not one.acting:
                due = one.pending.points[0].at_ms + self._settings.confirm_ms
                self._sure_ms = min(due, self._sure_ms or due)
                if len(one.pending.points) == 1:
                    self._stirred.set()
        self._rest(one, now_ms)

    def _follow_standing(self, one: MonitoredSubscription) -> None:
        """Let windows begin and peaks rise, where no doubt about what is held is a passing one."""
        if one.follow_flows():
            one.bounds = None
            self._unkept.add(one.id)
        if one.account.doubtful:
            return
        facts = one.facts(self._day, self._ledger.money(one.proxy))
        moved = standings.follow(one.standing, facts)
        if moved != one.standing:
            one.standing, one.bounds = moved, None
            self._unkept.add(one.id)

    def _rest(self, one: MonitoredSubscription, now_ms: int) -> None:
        """Note the state that a look leaves, and whether another look is needed."""
        doubt = one.has_unjudged_rules and not one.stopped
        if not doubt:
            one.doubt_since_ms = None
        elif one.doubt_since_ms is None:
            one.doubt_since_ms = now_ms
        warned = (
            one.doubt_since_ms is not None
            and now_ms - one.doubt_since_ms >= self._settings.doubt_seconds * 1000
        )
        in_cooldown = one.in_cooldown(now_ms)
        desired = judge.state(
            stopped=one.stopped,
            warned=warned,
            in_cooldown=in_cooldown,
            scale_micros=one.scale_micros,
        )
        if one.standing is not None and one.kept is not (
            target := next_state(one.durable, desired)
        ):
            one.kept = target
            self._unkept.add(one.id)
        if warned:
            self._in_doubt.add(one.id)
        else:
            self._in_doubt.discard(one.id)
        settled = one.durable is desired or one.standing is None
        one.is_settled = not (doubt or in_cooldown or one.pending is not None or not settled)
        if one.is_settled:
            self._restless.discard(one.id)
        else:
            self._restless.add(one.id)

    def _log_doubts(self) -> None:
        before, now = doubted.value, len(self._in_doubt)
        doubted.set(now)
        if now and not before:
            _log.error(
                "performance rules do not see all: what is held has had no good book for too long",
                alert=True, subscriptions=now,
            )  # fmt: skip

    async def keep_acting(self) -> None:
        """Act for those who are sure, for ever, all of a moment together."""
        while True:
            await self._some_sure.wait()
            self._some_sure.clear()
            while self._sure:
                some, self._sure = self._sure[:_AT_ONCE], self._sure[_AT_ONCE:]
                await self._act(some)

    async def _act(self, some: Sequence[MonitoredSubscription]) -> None:
        left: set[str] = {one.id for one in some}
        try:
            left = await self._act_once(some)
        except Exception as error:  # noqa: BLE001 - what is in the way must not stop it for ever
            if len(some) > 1 and not isinstance(error, psycopg.OperationalError):
                # It may be about one of them.
                for one in some:
                    await self._act([one])
                return
            _log.warning("performance actions wait", actions=len(some), error=str(error))
        again = [one for one in some if one.id in left]
        for one in some:
            one.acting = one.id in left
        if again:
            # Whoever is sure meanwhile does not wait for them.
            task = asyncio.ensure_future(self._later(again))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    @staticmethod
    async def _later(some: Sequence[MonitoredSubscription]) -> None:
        await asyncio.sleep(_AGAIN_SECONDS)
        for one in some:
            one.acting = False

    async def _act_once(self, some: Sequence[MonitoredSubscription]) -> set[str]:
        """Read once more what is judged, and act where it still shows the same; returns for whom
        that was not done."""
        await self._ledger.load_some([one.id for one in some])
        desired = [found for one in some if (found := self._desired(one)) is not None]
        if not desired:
            return set()
        done = await self._actor.act(desired)
        for one, move, _ in desired:
            if one.id in done:
                acted.add(1, {"rule": str(move.rule)})
            one.pending = None
            self._restless.add(one.id)
        await self._ledger.load_some([one.id for one, _, _ in desired])
        return {one.id for one, _, _ in desired} - done

    def _desired(self, one: MonitoredSubscription) -> Wanted | None:
        """Return what looks show once more; None: nothing any more."""
        if one.stopped:
            return None
        now_ms = clock.now_ms()
        one.account.age(now_ms)
        self._follow_standing(one)
        at = one.judged_from
        if one.pending is None or at is None:
            return None
        case, low, high = one.case(at, self._day, now_ms), one.low_micros, one.high_micros
        move = judge.judge(case, one.judged_within(case), low, high)
        shown = one.pending = judge.seen(one.pending, move, Point(now_ms, low, high))
        if move is None or shown is None or not judge.sure(shown, self._settings.confirm_ms):
            return None
        return one, move, shown

    async def keep_standings(self) -> None:
        """Write where subscriptions stand, for ever.

        Raises:
            Fenced: another perfmon has taken over.
        """
        while True:
            await asyncio.sleep(_KEEP_SECONDS)
            await self.keep()

    async def keep(self) -> None:
        """Write it now."""
        names, self._unkept = self._unkept, set()
        kept = {
            one.id: (one.kept, one.standing)
            for one in map(self._ledger.followed.get, names)
            if one is not None and one.kept is not None and one.standing is not None
        }
        if not kept:
            return
        try:
            await store.put(self._pool, self._lease, kept)
        except BaseException:
            self._unkept |= names
            raise
        for name, (state, _) in kept.items():
            one = self._ledger.followed.get(name)
            if one is not None:
                one.durable = state

    async def close(self) -> None:
        """Give up what is being fetched: it is fetched again after the next start."""
        await cancel_all(list(self._working))
