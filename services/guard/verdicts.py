"""Judging triggers on books, and doing what the verdicts say: one transaction for all of them.

Before it: `worker`, which says what a book, a fill or an instant concerns. What comes while one
transaction is being committed is judged in the next one. The triggers of a lot are judged in their
order, and what one of them takes is not there for the next. Lots that fire come before those that
only note something, also when their book has come later: a market that moves raises peaks, and a
connection that is lost suspends, hundreds at a time. Between them come those that fire once they
are armed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import psycopg
import structlog
from opentelemetry import metrics

from services.guard.claiming import Claims, Outcome, Row
from services.guard.core import telling
from services.guard.core import trigger as judging
from services.guard.core.bad_books import is_bad
from services.guard.core.trigger import Judgement, Trigger
from services.guard.holding import Held
from services.guard.known import Known, LotKey, lot_of
from services.guard.store import Change, Peak
from services.guard.writing import Writer
from tradingtools.adapters import clock
from tradingtools.domain.book import Book
from tradingtools.domain.order import Order
from tradingtools.domain.trigger_states import TriggerStatus

_log = structlog.get_logger("guard.verdicts")
_meter = metrics.get_meter("tradingtools.guard")
_fired = _meter.create_counter("triggers_fired", description="by type")
_together = _meter.create_histogram("judged_together", description="triggers of one transaction")
MOST = 200
"""Triggers that fire in one transaction; a lot's are never divided."""
PATIENT = 10
"""Triggers of one in which none fires: who fires meanwhile waits for it."""
PEAKS = 20
"""The same, where there is nothing but new peaks: nothing is read before they are stored."""
_ENDS_NO_TURN = (Judgement.ARM, Judgement.SUSPEND, Judgement.RESOLVE)
"""What may be done before another trigger of the lot, which was just armed, has been judged."""

Wish = tuple[str, Book]
"""A trigger's id, and the book that it is to be judged on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a book asks of a trigger, as memory has it."""

    trigger: Trigger
    book: Book
    verdict: Judgement
    now_ms: int


@dataclass(slots=True)
class _Plan:
    """What one transaction is going to do."""

    changes: list[tuple[Row, Change | Peak]] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    fired: list[str] = field(default_factory=list)
    """Their types."""
    unmet: list[Trigger] = field(default_factory=list)
    """As they are; what was asked could not be done."""
    again: list[Wish] = field(default_factory=list)
    """To be judged once more on the same book, when this is committed."""
    armed: set[LotKey] = field(default_factory=set)
    behind: dict[LotKey, tuple[int, object]] = field(default_factory=dict)
    """What lots hold of which memory knew something else, as after a restart."""
    free: dict[LotKey, int] = field(default_factory=dict)
    """Shares of lots that no exit has reserved, those of this plan counted."""


class Verdicts:
    """Carries out what books ask of triggers.

    Args:
        known: the triggers as they are committed.
        claims: for the exits of those that fire.
        writer: commits.
        untold: books that have come and will be judged later.
    """

    def __init__(
        self,
        known: Known,
        claims: Claims,
        writer: Writer,
        untold: Callable[[], Iterable[Book]],
    ) -> None:
        self._known = known
        self._claims = claims
        self._writer = writer
        self._untold = untold
        self._apart: set[LotKey] = set()
        """Lots that could not be judged the last time: they hold up nobody else."""

    async def judge(self, wishes: Iterable[Wish]) -> None:
        """Judge triggers, those of a lot in the order given, until their books move nothing more.

        Raises:
            Fenced: the lease is not valid any more.
        """
        early, looked = set[str](), dict[str, Book]()
        portions = deque(self._portions(self._asked(list(wishes))))
        while portions:
            if not _fires(portions[0]):
                portions.extendleft(reversed(self._portions(self._newer_that_fire(early, looked))))
            try:
                again = await self._obey(portions[0])
                portions.popleft()
                # At once: behind all others a stop that was just armed would wait for seconds.
                portions.extendleft(reversed(self._portions(self._asked(self._newest(again)))))
            except psycopg.OperationalError as error:
                _log.warning("not judged; judged again soon", error=str(error).strip())
                # All of them: who comes later in a lot must not sell before who comes first.
                self._writer.hurry(each.trigger.id for some in portions for each in some)
                return
            except (psycopg.Error, LookupError, ValueError) as error:
                portions.extendleft(reversed(self._divide(portions.popleft(), error)))

    def _newest(self, wishes: Sequence[Wish]) -> list[Wish]:
        """The same on later books where there are: the price of before may be gone. Whom a bad one
        concerns waits for the good one after it."""
        later = {book.market.asset_id: book for book in self._untold()} if wishes else {}
        newest = [(who, later.get(book.market.asset_id, book)) for who, book in wishes]
        return [(who, book) for who, book in newest if not is_bad(book)]

    def _asked(self, wishes: Sequence[Wish]) -> list[_Asked]:
        """Those that their book asks something of."""
        found, now_ms = [], clock.now_ms()
        for trigger_id, book in wishes:
            trigger = self._known.get(trigger_id)
            if trigger is None:
                continue
            verdict = judging.judge(trigger, self._known.shares(lot_of(trigger)), book, now_ms)
            if verdict in (Judgement.NOTE, Judgement.UNNOTE):
                tick = judging.tick_of(book) if verdict is Judgement.NOTE else None
                self._known.note(trigger_id, tick)
            elif verdict is not Judgement.NOTHING:
                found.append(_Asked(trigger=trigger, book=book, verdict=verdict, now_ms=now_ms))
        return found

    def _newer_that_fire(self, early: set[str], looked: dict[str, Book]) -> list[_Asked]:
        """What later books ask of lots of which all that is asked fires; each of them once.

        Args:
            early: triggers that were found so before.
            looked: by asset, the books that were looked at; what is changed meanwhile is judged
                again on the newest.
        """
        books = [b for b in self._untold() if looked.get(b.market.asset_id) is not b]
        looked.update((book.market.asset_id, book) for book in books)
        wishes = [
            (trigger.id, book)
            for book in books
            if self._known.fires_on(book)
            for trigger in self._known.moved_by(book)
        ]
        found: list[_Asked] = []
        for key, of_lot in _by_lot(self._asked(wishes)).items():
            new = not any(each.trigger.id in early for each in of_lot)
            if new and key not in self._apart and _fires(of_lot):
                found += of_lot
        early.update(each.trigger.id for each in found)
        return found

    def _portions(self, asked: Sequence[_Asked]) -> list[list[_Asked]]:
        """What goes into one transaction each: whole lots, up to so many triggers, those that fire
        before the others, and last of all those that could not be judged the last time."""
        firing: list[list[_Asked]] = []
        pressing: list[list[_Asked]] = []
        patient: list[list[_Asked]] = []
        peaks: list[list[_Asked]] = []
        apart: list[list[_Asked]] = []
        for key, of_lot in _by_lot(asked).items():
            if key in self._apart:
                apart.append(of_lot)
            elif any(each.verdict is Judgement.FIRE for each in of_lot):
                firing.append(of_lot)
            elif any(map(self._fires_once_armed, of_lot)):
                pressing.append(of_lot)
            elif _climbs(of_lot):
                peaks.append(of_lot)
            else:
                patient.append(of_lot)
        return [
            *_together_up_to(MOST, firing),
            *_together_up_to(PATIENT, pressing),
            *_together_up_to(PATIENT, patient),
            *_together_up_to(PEAKS, peaks),
            *apart,
        ]

    def _fires_once_armed(self, each: _Asked) -> bool:
        """Whether a suspended trigger waits for nothing but to be armed."""
        if each.verdict is not Judgement.ARM:
            return False
        armed = replace(each.trigger, status=TriggerStatus.ARMED)
        shares = self._known.shares(lot_of(armed))
        return judging.judge(armed, shares, each.book, each.now_ms) is Judgement.FIRE

    def _divide(self, portion: list[_Asked], error: Exception) -> list[list[_Asked]]:
        """Judge the lots of a portion that failed one by one; one that fails alone has to wait."""
        lots = _by_lot(portion)
        if len(lots) > 1:
            return list(lots.values())
        (key,) = lots
        if key not in self._apart:
            _log.error("the triggers of a lot cannot be judged", lot=key, exc_info=error)
        self._apart.add(key)
        self._writer.hurry(each.trigger.id for each in portion)
        return []

    async def _obey(self, asked: Sequence[_Asked]) -> list[Wish]:
        """Do what is asked; what is to be judged again."""
        stored = await self._ratchet(asked) if _climbs(asked) else set[str]()
        again = [(each.trigger.id, each.book) for each in asked if each.trigger.id in stored]
        if rest := [each for each in asked if each.trigger.id not in stored]:
            again += await self._hold(rest)
        _together.record(len(asked))
        self._apart -= {lot_of(each.trigger) for each in asked}
        return again

    async def _ratchet(self, asked: Sequence[_Asked]) -> set[str]:
        """Store new peaks on what memory had; ids of those whose rows are still so."""
        peaks = []
        for each in asked:
            shares = self._known.shares(lot_of(each.trigger))
            peak = _change(each.verdict, each.trigger, shares, each.book)
            if isinstance(peak, Peak):
                peaks.append((each.trigger, peak))
        return await self._writer.ratchet(peaks) if peaks else set()

    async def _hold(self, asked: Sequence[_Asked]) -> list[Wish]:
        """Do what is asked in one transaction that holds rows; what is to be judged again."""
        plan = _Plan()

        async def decide(held: Held) -> Outcome:
            nonlocal plan
            plan = _Plan(free={key: lot["free_micros"] for key, lot in held.lots.items()})
            for each in asked:
                self._decide(plan, each, held)
            outcome = self._claims.write(held.asked, plan.changes, plan.orders)
            return replace(outcome, triggers=(*outcome.triggers, *plan.unmet))

        ids = [each.trigger.id for each in asked]
        await self._writer.change_all(ids, decide, fires=_fires(asked))
        # They may be other than they were when they asked, and no mark may come in a quiet book.
        self._writer.hurry(trigger.id for trigger in plan.unmet)
        for key, (shares, reading) in plan.behind.items():
            # By other sizes an earlier trigger of the lot may be reached, that asked for nothing.
            self._known.put_read(key, shares, reading)
            books = {lot_of(each.trigger): each.book for each in asked}
            plan.again += [(trigger.id, books[key]) for trigger in self._known.of_lot(key)]
        for kind in plan.fired:
            _fired.add(1, {"type": kind})
        return plan.again

    def _decide(self, plan: _Plan, each: _Asked, held: Held) -> None:
        """Judge once more under lock: the caller may have changed price or size meanwhile."""
        row, lot = held.rows[each.trigger.id], held.lot(each.trigger.id)
        now = replace(held.triggers[each.trigger.id], tick=each.trigger.tick)
        key, shares = lot_of(now), lot["shares_micros"] if lot is not None else 0
        if shares != self._known.shares(key):
            plan.behind[key] = shares, self._known.reading(key)
            return
        if key in plan.armed and each.verdict not in _ENDS_NO_TURN:
            plan.again.append((now.id, each.book))
            return
        if judging.judge(now, shares, each.book, each.now_ms) is not each.verdict:
            plan.unmet.append(now)
            return
        if each.verdict is Judgement.FIRE and lot is not None:
            self._fire(plan, now, row, {**lot, "free_micros": plan.free[key]}, each.book)
            return
        change = _change(each.verdict, now, shares, each.book)
        if change is None:
            plan.unmet.append(now)
            return
        plan.changes.append((row, change))
        if each.verdict in (Judgement.ARM, Judgement.RATCHET):
            plan.again.append((now.id, each.book))
        if each.verdict is Judgement.ARM:
            plan.armed.add(key)

    def _fire(self, plan: _Plan, now: Trigger, row: Row, lot: Row, book: Book) -> None:
        shares = lot["shares_micros"]
        through = judging.rungs_reached(now, shares, book)
        basis = judging.left(now, shares) if through else None
        change = Change(
            status=TriggerStatus.TRIGGERED,
            detail=telling.fired(now, shares, book, through),
            slice_number=0,
            rungs_fired=through,
            basis_micros=basis if now.basis_micros is None else now.basis_micros,
        )
        wanted = judging.next_size(now, shares, through)
        found = self._claims.slice(row, lot, book, change, wanted_micros=wanted, tried=0)
        if found is None:
            plan.unmet.append(now)
            return
        order, noted = found
        plan.free[lot_of(now)] -= order.size_micros
        plan.orders.append(order)
        plan.changes.append((row, noted))
        plan.fired.append(now.type)


def _fires(asked: Iterable[_Asked]) -> bool:
    return all(each.verdict is Judgement.FIRE for each in asked)


def _climbs(asked: Iterable[_Asked]) -> bool:
    return all(each.verdict is Judgement.RATCHET for each in asked)


def _together_up_to(most: int, lots: Iterable[list[_Asked]]) -> list[list[_Asked]]:
    portions: list[list[_Asked]] = []
    for of_lot in lots:
        if portions and len(portions[-1]) + len(of_lot) <= most:
            portions[-1] += of_lot
        else:
            portions.append(of_lot)
    return portions


def _by_lot(asked: Iterable[_Asked]) -> dict[LotKey, list[_Asked]]:
    lots: dict[LotKey, list[_Asked]] = {}
    for each in asked:
        lots.setdefault(lot_of(each.trigger), []).append(each)
    return lots


def _change(verdict: Judgement, now: Trigger, shares: int, book: Book) -> Change | Peak | None:
    """What a verdict other than FIRE changes; None: nothing can be done."""
    match verdict:
        case Judgement.SUSPEND:
            return Change(status=TriggerStatus.SUSPENDED, detail=f"book is {book.status.value}")
        case Judgement.ARM:
            return Change(status=TriggerStatus.ARMED, detail="the book is good again")
        case Judgement.RESOLVE:
            return Change(status=TriggerStatus.RESOLVED, detail=telling.payout(book))
        case Judgement.RATCHET:
            sale = judging.sale_of(now, shares, book)
            peak = judging.new_peak(now, sale) if sale is not None else None
            if peak is None:
                return None
            told = telling.ratcheted(now, peak) if judging.worth_telling(now, peak) else None
            return Peak(peak, shares, told)
        case _:
            return None
