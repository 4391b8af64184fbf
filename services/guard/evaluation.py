"""Evaluate triggers on books, and commit the results in one transaction.

Before it: `worker`, which says what a book, a fill or an instant concerns. What comes while one
transaction is being committed is judged in the next one. The triggers of a lot are judged in their
order, and what one of them takes is not there for the next. Lots that fire come before those that
only note something, also when their book has come later: a connection that is lost suspends
hundreds at a time. Between them come those that fire once they are armed. New peaks go to
`high_water_marks`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import psycopg
import structlog
from msgspec import structs

from services.guard.claiming import Claims, Outcome, Row
from services.guard.core import history_text
from services.guard.core import trigger as trigger_rules
from services.guard.core.batches import Evaluation, batches, by_lot, fires
from services.guard.core.book_quality import is_bad
from services.guard.core.dust import DustLots, Size, size_of, too_small
from services.guard.core.trigger import Judgement, LotKey, Trigger, lot_of
from services.guard.locked_rows import LockedRows
from services.guard.store import TriggerChange
from services.guard.trigger_cache import TriggerCache
from services.guard.trigger_transactions import Writer
from tradingtools import clock
from tradingtools.domain.book import Book
from tradingtools.domain.order import Order
from tradingtools.domain.trigger_states import TriggerStatus
from tradingtools.domain.trigger_types import TriggerType
from tradingtools.runtime import instruments

_log = structlog.get_logger("guard.verdicts")
_fired = instruments.counter(
    "tradingtools.guard", "triggers_fired", "by type", instruments.each(type=TriggerType)
)
_transaction_size = instruments.Histogram(
    "judged_together", "triggers of one transaction", bounds=instruments.COUNTS
)
_exit = instruments.Histogram(
    "guard_exit_seconds",
    "From the book's receipt by bookfeed, or from when the trigger was known, to the exit's commit",
    label="type",
    values=TriggerType,
)
_ENDS_NO_TURN = (Judgement.ARM, Judgement.SUSPEND, Judgement.RESOLVE)
"""What may be done before another trigger of the lot, which was just armed, has been judged."""

Candidate = tuple[str, Book]
"""A trigger's id, and the book that it is to be judged on."""


@dataclass(slots=True)
class _Plan:
    """The plan of one transaction."""

    changes: list[tuple[Row, TriggerChange]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    fired: list[tuple[str, int]] = field(default_factory=list)
    """Their types, and since when they were to fire, nanoseconds since the epoch."""
    unmet: list[Trigger] = field(default_factory=list)
    """As they are; what was asked could not be done."""
    small: dict[str, Size] = field(default_factory=dict)
    """Those of them of whose lots nothing can be sold."""
    again: list[Candidate] = field(default_factory=list)
    """To be judged once more on the same book, when this is committed."""
    armed: set[LotKey] = field(default_factory=set)
    stale_lots: dict[LotKey, tuple[int, object]] = field(default_factory=dict)
    """What lots hold of which memory knew something else, as after a restart."""
    free: dict[LotKey, int] = field(default_factory=dict)
    """Shares of lots that no exit has reserved, those of this plan counted."""


class Evaluator:
    """Carries out what books ask of triggers.

    Args:
        known: the triggers as they are committed.
        claims: for the exits of those that fire.
        writer: commits.
        pending_books: books that have come and will be judged later.
        rises: takes books that show new peaks.
    """

    def __init__(
        self,
        known: TriggerCache,
        claims: Claims,
        writer: Writer,
        pending_books: Callable[[], Iterable[Book]],
        rises: Callable[[Book], None],
    ) -> None:
        self._cache = known
        self._claims = claims
        self._writer = writer
        self._pending_books = pending_books
        self._rises = rises
        self._isolated: set[LotKey] = set()
        """Lots that could not be judged the last time: they hold up nobody else."""
        self._dust = DustLots()

    async def judge(self, candidates: Iterable[Candidate]) -> None:
        """Judge triggers, those of a lot in the order given, until their books move nothing more.

        Raises:
            Fenced: the lease is not valid any more.
        """
        early, checked = set[str](), dict[str, Book]()
        waiting = deque(self._batches(self._evaluate(list(candidates))))
        while waiting:
            if not fires(waiting[0]):
                waiting.extendleft(reversed(self._batches(self._newer_that_fire(early, checked))))
            try:
                again = await self._apply(waiting[0])
                waiting.popleft()
                # At once: behind all others a stop that was just armed would wait for seconds.
                waiting.extendleft(reversed(self._batches(self._evaluate(self._newest(again)))))
            except psycopg.OperationalError as error:
                _log.warning("not judged; judged again soon", error=str(error).strip())
                # All of them: who comes later in a lot must not sell before who comes first.
                self._writer.schedule_soon(each.trigger.id for some in waiting for each in some)
                return
            except (psycopg.Error, LookupError, ValueError) as error:
                waiting.extendleft(reversed(self._divide(waiting.popleft(), error)))

    def rested(self) -> list[str]:
        """Return reached triggers whose lots were too small to be sold: judge them again."""
        return self._dust.rested(clock.monotonic_ms())

    def _batches(self, evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
        return batches(evaluations, self._cache.shares, self._isolated)

    def _newest(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the wishes on later books where there are: the price of before may be gone. Whom a
        bad one concerns waits for the good one after it."""
        later = {book.market.asset_id: book for book in self._pending_books()} if candidates else {}
        newest = [(who, later.get(book.market.asset_id, book)) for who, book in candidates]
        return [(who, book) for who, book in newest if not is_bad(book)]

    def _evaluate(self, candidates: Sequence[Candidate]) -> list[Evaluation]:
        """Return those that their book asks something of."""
        found, risen, now_ms = list[Evaluation](), dict[str, Book](), clock.now_ms()
        look_ms = clock.monotonic_ms()
        for trigger_id, book in candidates:
            trigger = self._cache.get(trigger_id)
            if trigger is None:
                continue
            shares = self._cache.shares(lot_of(trigger))
            verdict = trigger_rules.judge(trigger, shares, book, now_ms)
            if verdict is Judgement.FIRE and self._dust.rests(
                trigger_id, size_of(shares, book.market), look_ms
            ):
                continue
            if verdict is Judgement.RATCHET:
                risen[trigger.asset_id] = book
            if verdict is Judgement.NOTE:
                self._cache.note(trigger_id, trigger_rules.tick_of(book))
            elif verdict in (Judgement.UNNOTE, Judgement.RATCHET):
                # Above its last peak it is not at its price either.
                if trigger.tick is not None:
                    self._cache.note(trigger_id, None)
            elif verdict is not Judgement.NOTHING:
                found.append(Evaluation(trigger=trigger, book=book, verdict=verdict, now_ms=now_ms))
        for book in risen.values():
            self._rises(book)
        return found

    def _newer_that_fire(self, early: set[str], checked: dict[str, Book]) -> list[Evaluation]:
        """Return what later books ask of lots of which all that is asked fires; each of them once.

        Args:
            early: triggers that were found so before.
            checked: by asset, the books that were looked at; what is changed meanwhile is judged
                again on the newest.
        """
        books = [b for b in self._pending_books() if checked.get(b.market.asset_id) is not b]
        checked.update((book.market.asset_id, book) for book in books)
        candidates = [
            (trigger.id, book)
            for book in books
            if self._cache.fires_on(book)
            for trigger in self._cache.moved_by(book)
        ]
        found: list[Evaluation] = []
        for key, of_lot in by_lot(self._evaluate(candidates)).items():
            new = not any(each.trigger.id in early for each in of_lot)
            if new and key not in self._isolated and fires(of_lot):
                found += of_lot
        early.update(each.trigger.id for each in found)
        return found

    def _divide(self, portion: list[Evaluation], error: Exception) -> list[list[Evaluation]]:
        """Judge the lots of a portion that failed one by one; one that fails alone has to wait."""
        lots = by_lot(portion)
        if len(lots) > 1:
            return list(lots.values())
        (key,) = lots
        if key not in self._isolated:
            _log.error("the triggers of a lot cannot be judged", lot=key, exc_info=error)
        self._isolated.add(key)
        self._writer.schedule_soon(each.trigger.id for each in portion)
        return []

    async def _apply(self, evaluations: Sequence[Evaluation]) -> list[Candidate]:
        """Do what is asked; what is to be judged again."""
        again = await self._commit(evaluations)
        _transaction_size.observe(len(evaluations))
        self._isolated -= {lot_of(each.trigger) for each in evaluations}
        return again

    async def _commit(self, evaluations: Sequence[Evaluation]) -> list[Candidate]:
        """Do what is asked in one transaction that holds rows; what is to be judged again."""
        plan = _Plan()

        async def decide(held: LockedRows) -> Outcome:
            nonlocal plan
            plan = _Plan(free={key: lot["free_micros"] for key, lot in held.lots.items()})
            for each in evaluations:
                self._decide(plan, each, held)
            outcome = self._claims.write(
                held.pipeline, plan.changes, plan.orders, optimistic_claim=held.optimistic_claim
            )
            return replace(outcome, triggers=(*outcome.triggers, *plan.unmet))

        ids = [each.trigger.id for each in evaluations]
        await self._writer.change_all(ids, decide, fires=fires(evaluations))
        # They may be other than they were when they asked, and no mark may come in a quiet book.
        self._writer.schedule_soon(trigger.id for trigger in plan.unmet)
        if plan.small:
            self._dust.put(plan.small, clock.monotonic_ms())
        for key, (shares, reading) in plan.stale_lots.items():
            # By other sizes an earlier trigger of the lot may be reached, that asked for nothing.
            self._cache.put_read(key, shares, reading)
            books = {lot_of(each.trigger): each.book for each in evaluations}
            plan.again += [(trigger.id, books[key]) for trigger in self._cache.of_lot(key)]
        committed_ns = clock.now_ns()
        for kind, started_ns in plan.fired:
            _fired.add(1, {"type": kind})
            _exit.observe_ns(committed_ns - started_ns, kind)
        return plan.again

    def _decide(self, plan: _Plan, each: Evaluation, held: LockedRows) -> None:
        """Judge once more under lock: the caller may have changed price or size meanwhile."""
        row, lot = held.rows[each.trigger.id], held.lot(each.trigger.id)
        now = held.triggers[each.trigger.id]
        # The first of two ticks counts for the terms on which it was seen.
        tick = each.trigger.tick if now.version == each.trigger.version else None
        now = structs.replace(now, tick=tick)
        key, shares = lot_of(now), lot["shares_micros"] if lot is not None else 0
        if shares != self._cache.shares(key):
            plan.stale_lots[key] = shares, self._cache.reading(key)
            return
        if key in plan.armed and each.verdict not in _ENDS_NO_TURN:
            plan.again.append((now.id, each.book))
            return
        if trigger_rules.judge(now, shares, each.book, each.now_ms) is not each.verdict:
            plan.unmet.append(now)
            return
        if each.verdict is Judgement.FIRE and lot is not None:
            self._fire(plan, now, row, {**lot, "free_micros": plan.free[key]}, each.book)
            return
        change = _change(each.verdict, each.book)
        if change is None:
            plan.unmet.append(now)
            return
        plan.changes.append((row, change))
        if each.verdict is Judgement.ARM:
            plan.again.append((now.id, each.book))
            plan.armed.add(key)

    def _fire(self, plan: _Plan, now: Trigger, row: Row, lot: Row, book: Book) -> None:
        shares = lot["shares_micros"]
        through = trigger_rules.rungs_reached(now, shares, book)
        basis = trigger_rules.left(now, shares) if through else None
        change = TriggerChange(
            status=TriggerStatus.TRIGGERED,
            detail=history_text.fired(now, shares, book, through),
            slice_number=0,
            rungs_fired=through,
            basis_micros=basis if now.basis_micros is None else now.basis_micros,
        )
        desired = trigger_rules.next_size(now, shares, through)
        found = self._claims.slice(row, lot, book, change, desired_micros=desired, tried=0)
        if found is None:
            plan.unmet.append(now)
            size = size_of(shares, book.market)
            if too_small(size):
                plan.small[now.id] = size
            return
        order, noted = found
        plan.free[lot_of(now)] -= order.size_micros
        plan.orders.append(order)
        plan.changes.append((row, noted))
        could_ns = max(self._cache.learned_ns(now.id), (now.fire_at_ms or 0) * 1_000_000)
        plan.fired.append((now.type, max(book.received_ns, could_ns)))


def _change(verdict: Judgement, book: Book) -> TriggerChange | None:
    """Return what a verdict other than FIRE changes; None: nothing can be done."""
    match verdict:
        case Judgement.SUSPEND:
            return TriggerChange(
                status=TriggerStatus.SUSPENDED, detail=f"book is {book.status.value}"
            )
        case Judgement.ARM:
            return TriggerChange(status=TriggerStatus.ARMED, detail="the book is good again")
        case Judgement.RESOLVE:
            return TriggerChange(status=TriggerStatus.RESOLVED, detail=history_text.payout(book))
        case _:
            return None
