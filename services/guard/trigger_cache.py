"""Hold the live triggers of one partition and their lots in memory.

Holds what the database has committed and nothing else; the worker puts it here after each commit
and asks here what a book, a fill or an instant concerns.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from services.guard.core.index import NewPeak, TriggerIndex
from services.guard.core.trigger import LotKey, Tick, Trigger, lot_of
from tradingtools import clock
from tradingtools.domain import ids
from tradingtools.domain.book import Book
from tradingtools.domain.trigger_states import FINAL, UNDER_WAY
from tradingtools.domain.trigger_types import TriggerType

_TURN = {kind: turn for turn, kind in enumerate(TriggerType)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LotOwner:
    """Owner and market of a lot, as its exits name them."""

    user_id: str
    wallet_id: str
    leader: str
    """Empty for a lot that was bought by hand."""
    subscription_version: int
    condition_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimisticClaim:
    """The row that the database is expected to have of a trigger that stands alone."""

    trigger: Trigger
    whose: LotOwner
    shares_micros: int
    """Of its lot, all of them free."""


class TriggerCache:
    """Triggers by id, lot, instant and price.

    Args:
        partition: whose wallets' triggers are kept.
        partitions: into how many the wallets are divided.
    """

    def __init__(self, partition: int, partitions: int) -> None:
        self._partition = partition
        self._partitions = partitions
        self._triggers: dict[str, Trigger] = {}
        self._learned_ns: dict[str, int] = {}
        """When their versions became known, since the epoch."""
        self._by_lot: dict[LotKey, set[str]] = {}
        self._timed: list[tuple[int, str]] = []
        self._lots: dict[LotKey, int] = {}
        self._reading: dict[LotKey, object] = {}
        """Of lots whose size is being read, until one is put."""
        self._whose: dict[LotKey, LotOwner] = {}
        self._index = TriggerIndex()

    def owns(self, follower_proxy: str) -> bool:
        """Return whether this partition's guard, and nobody else, changes a wallet's triggers."""
        return ids.partition_of(follower_proxy, self._partitions) == self._partition

    def get(self, trigger_id: str) -> Trigger | None:
        """Return a live trigger; None: it has ended, or another partition's guard has it."""
        return self._triggers.get(trigger_id)

    def all(self) -> list[str]:
        """Return ids of all live triggers."""
        return list(self._triggers)

    def shares(self, key: LotKey) -> int:
        """Return what a lot holds, micros."""
        return self._lots.get(key, 0)

    def put(self, trigger: Trigger) -> None:
        """Take over what the database has; never before it is committed.

        What was read before memory learned of something newer changes nothing.
        """
        if not self.owns(trigger.follower_proxy):
            return
        if trigger.status in FINAL:
            self._forget(trigger)
            return
        before = self._triggers.get(trigger.id)
        if before is not None:
            if trigger.version < before.version:
                return
            # Its row may not have the last peaks yet, and no peak ever falls.
            trigger = with_peak(trigger, before.peak_micros)
            # Only memory has it, and it counts for these terms and this status.
            if trigger.version == before.version:
                trigger = structs.replace(trigger, tick=before.tick)
        if before is None or trigger.version != before.version:
            self._learned_ns[trigger.id] = clock.now_ns()
        self._keep(trigger)

    def learned_ns(self, trigger_id: str) -> int:
        """Return when a trigger became known as it is, since the epoch; 0: it is not known."""
        return self._learned_ns.get(trigger_id, 0)

    def note(self, trigger_id: str, tick: Tick | None) -> None:
        """Remember the book that was the first of two, or that there was none."""
        trigger = self._triggers.get(trigger_id)
        if trigger is not None:
            self._keep(structs.replace(trigger, tick=tick))

    def _keep(self, trigger: Trigger) -> None:
        self._unschedule(trigger.id)
        self._triggers[trigger.id] = trigger
        if trigger.fire_at_ms is not None:
            insort(self._timed, (trigger.fire_at_ms, trigger.id))
        key = lot_of(trigger)
        self._index.put(trigger, self.shares(key))
        self._by_lot.setdefault(key, set()).add(trigger.id)

    def _forget(self, trigger: Trigger) -> None:
        self._unschedule(trigger.id)
        self._triggers.pop(trigger.id, None)
        self._learned_ns.pop(trigger.id, None)
        self._index.remove(trigger.id)
        key = lot_of(trigger)
        of_lot = self._by_lot.get(key, set())
        of_lot.discard(trigger.id)
        if not of_lot:
            self._by_lot.pop(key, None)
            self._whose.pop(key, None)

    def _unschedule(self, trigger_id: str) -> None:
        before = self._triggers.get(trigger_id)
        if before is not None and before.fire_at_ms is not None:
            del self._timed[bisect_left(self._timed, (before.fire_at_ms, trigger_id))]

    def learn(self, row: Mapping[str, Any]) -> None:
        """Note the owner of a trigger's lot, from the trigger's row."""
        key = row["follower_proxy"], row["asset_id"], row["origin"]
        if key in self._by_lot:
            self._whose[key] = LotOwner(
                user_id=row["user_id"],
                wallet_id=row["wallet_id"],
                leader=row["leader"],
                subscription_version=row["subscription_version"],
                condition_id=row["condition_id"],
            )

    def optimistic_claim(self, trigger_id: str) -> OptimisticClaim | None:
        """Return what the database should have of a trigger; None: that cannot be said."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            return None
        key = lot_of(trigger)
        whose, shares = self._whose.get(key), self.shares(key)
        if whose is None or any(self._triggers[i].status in UNDER_WAY for i in self._by_lot[key]):
            return None
        return OptimisticClaim(trigger=trigger, whose=whose, shares_micros=shares)

    def put_lot(self, key: LotKey, shares_micros: int) -> None:
        """Set what a lot holds from now on, micros."""
        self._reading.pop(key, None)
        if shares_micros:
            self._lots[key] = shares_micros
        else:
            self._lots.pop(key, None)
        for trigger in self.of_lot(key):
            self._index.put(trigger, shares_micros)

    def reading(self, key: LotKey) -> object:
        """Call it before a lot's size is read; for `put_read`."""
        return self._reading.setdefault(key, object())

    def put_read(self, key: LotKey, shares_micros: int, reading: object) -> bool:
        """Put what was read of a lot; False: another size came meanwhile, which may be newer."""
        if self._reading.get(key) is not reading:
            return False
        self.put_lot(key, shares_micros)
        return True

    def of_lot(self, key: LotKey) -> list[Trigger]:
        """Return the live triggers that share a lot, in the order in which they are judged."""
        return self.in_turn(self._by_lot.get(key, ()))

    def lots_opened_anew(self) -> list[LotKey]:
        """Return lots whose triggers were made with positions, and not all with the same one."""
        return [
            key
            for key, ids_of_lot in self._by_lot.items()
            if len({self._triggers[i].made_for for i in ids_of_lot} - {""}) > 1
        ]

    def moved_by(self, book: Book) -> list[Trigger]:
        """Return the triggers that a book may move, in the order in which they are judged; of those
        that it only raises to new peaks `new_peaks` tells."""
        return self.in_turn(self._index.candidates(book))

    def new_peaks(self, book: Book) -> list[NewPeak]:
        """Return the new peaks that a book shows, without those that are no higher than were
        reported before of the same trigger, as it is."""
        return self._index.new_peaks(book)

    def rises(self, risen: NewPeak) -> bool:
        """Return whether what was found by `new_peaks` is a new peak still, of the same size."""
        return self._index.rises(risen)

    def peak(self, trigger_id: str) -> int | None:
        """Return the peak of a live trigger, which its row may not have yet; None: it has none."""
        trigger = self._triggers.get(trigger_id)
        return None if trigger is None else trigger.peak_micros

    def put_peaks(self, peaks: Mapping[str, int]) -> None:
        """Take over recorded peaks; lower ones than are known, and of unknown triggers, change
        nothing."""
        for trigger_id, peak in peaks.items():
            trigger = self._triggers.get(trigger_id)
            if trigger is not None and peak > (trigger.peak_micros or 0):
                self._triggers[trigger_id] = trigger = structs.replace(trigger, peak_micros=peak)
                self._index.put(trigger, self.shares(lot_of(trigger)))

    def beside_firing(self, book: Book) -> list[Trigger]:
        """Return all triggers of the lots of which one may fire on a book at once, in their
        order."""
        found = (self._triggers[trigger_id] for trigger_id in self._index.firing(book))
        return [trigger for key in sorted(set(map(lot_of, found))) for trigger in self.of_lot(key)]

    def fires_on(self, book: Book) -> bool:
        """Return whether one of them may fire on it at once."""
        return bool(self._index.firing(book))

    def in_turn(self, trigger_ids: Iterable[str]) -> list[Trigger]:
        """Return those of them that live, in the order in which they are judged: stop-losses
        first."""
        found = (self._triggers[i] for i in trigger_ids if i in self._triggers)
        return sorted(found, key=lambda trigger: (_TURN[trigger.type], trigger.id))

    def due(self, now_ms: int) -> set[str]:
        """Return time stops whose instant has come, and that have not fired."""
        return {i for _, i in self._timed[: bisect_left(self._timed, (now_ms + 1, ""))]}


def with_peak(trigger: Trigger, peak_micros: int | None) -> Trigger:
    """Return a trigger whose peak is at least so high."""
    if peak_micros is None or peak_micros <= (trigger.peak_micros or 0):
        return trigger
    return structs.replace(trigger, peak_micros=peak_micros)
