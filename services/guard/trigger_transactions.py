"""Change triggers, one transaction at a time; cache and stream follow its commit.

Before it: `evaluation`, `exit_lifecycle` and `lot_sync`, which decide under the locks. After it:
memory, and the readers of `StreamExits`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import psycopg

from services.guard import locked_rows, store
from services.guard.claiming import Claims, Decide, Outcome
from services.guard.core.trigger import LotKey, lot_of
from services.guard.locked_rows import LockedRows
from services.guard.trigger_cache import TriggerCache
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.storage.postgres.pool import Pool

_REST_SECONDS = 0.1
DecideAll = Callable[[LockedRows], Awaitable[Outcome]]
"""Changes locked triggers."""


class Writer:
    """One partition's only writer.

    Args:
        pool: of the deciding database.
        known: what learns of each commit.
        claims: streams what was claimed.
    """

    def __init__(self, pool: Pool, known: TriggerCache, claims: Claims) -> None:
        self._pool = pool
        self._cache = known
        self._claims = claims
        self._writing = asyncio.Lock()
        self._eager: set[str] = set()

    async def change(self, trigger_id: str, decide: Decide) -> None:
        """Change one trigger under lock."""
        await self.change_all(
            [trigger_id],
            lambda held: decide(held.pipeline, held.rows[trigger_id], held.lot(trigger_id)),
        )

    async def change_all(
        self, trigger_ids: Sequence[str], decide: DecideAll, *, fires: bool = False
    ) -> Outcome:
        """Change triggers under lock; memory and stream learn of it once it is committed.

        Of a commit whose answer is lost memory learns here, too, before anybody else judges by it;
        the executor finds the claim.

        Args:
            trigger_ids: of those that change.
            decide: called under the lock; once more when the first time was in vain.
            fires: nothing is wanted but that they fire: one alone is decided on what memory has.

        Raises:
            Fenced: the lease is not valid any more, or it cannot be known what is committed.
            ClaimedBefore: the first of the orders was claimed before.
            psycopg.OperationalError: it may be committed; memory has what is.
            psycopg.Error: nothing has changed.
        """
        async with self._writing:
            try:
                outcome = await self._commit(trigger_ids, decide, fires=fires)
            except psycopg.OperationalError:
                await self._know_what_is_committed(trigger_ids)
                raise
            changed = await store.changed(outcome.answers)
            for trigger in (*changed, *outcome.triggers, *outcome.evened):
                self._cache.put(trigger)
            if outcome.claim is not None:
                # Still under the lock, so that the stream keeps the journal's order.
                await self._claims.stream(outcome.claim)
        self.schedule_soon(trigger.id for trigger in outcome.evened)
        return outcome

    async def _commit(
        self, trigger_ids: Sequence[str], decide: DecideAll, *, fires: bool
    ) -> Outcome:
        try:
            seen = (
                self._cache.optimistic_claim(trigger_ids[0])
                if fires and len(trigger_ids) == 1
                else None
            )
            if seen is not None:
                # It fails when memory is behind the rows: then they are read.
                with suppress(psycopg.errors.SerializationFailure):
                    async with locked_rows.optimistic_claim(self._pool, seen) as held:
                        return await decide(held)
            async with self._locked(trigger_ids) as held:
                outcome = await decide(held)
                if outcome.answers and outcome.claim is None:
                    self._claims.as_owner(held.pipeline)
        except psycopg.Error as error:
            journal.check_refusal(error)
            raise
        for row in held.rows.values():
            self._cache.learn(row)
        return outcome

    async def learn(self, trigger_ids: Sequence[str]) -> list[LotKey]:
        """Have memory know triggers and their lots as they are committed; which lots these are.

        Raises:
            LookupError: there is no such trigger.
            As :meth:`change_all`.
        """
        keys = {lot_of(one) for one in filter(None, map(self._cache.get, trigger_ids))}
        reading = {key: self._cache.reading(key) for key in keys}
        lots: dict[LotKey, int] = {}

        async def poll(held: LockedRows) -> Outcome:
            lots.update((key, lot["shares_micros"]) for key, lot in held.lots.items())
            return Outcome(triggers=tuple(held.triggers.values()))

        await self.change_all(trigger_ids, poll)
        for key in keys:
            self._cache.put_read(key, lots.get(key, 0), reading[key])
        return sorted(keys)

    async def at_rest(self) -> None:
        """Wait until nobody writes who asked before, but not for long: what can wait lets exits
        have the processor and the disk first, and a writer that is stuck keeps nobody from what is
        apart."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_REST_SECONDS), self._writing:
                pass

    async def _know_what_is_committed(self, trigger_ids: Sequence[str]) -> None:
        """Take over triggers, and all that share their lots, as soon as the database is there.

        Raises:
            Fenced: it cannot be known here; a start finds out.
        """
        known = filter(None, map(self._cache.get, trigger_ids))
        shared = {trigger.id for one in known for trigger in self._cache.of_lot(lot_of(one))}
        ids = sorted({*trigger_ids, *shared})
        try:
            held = await while_database_is_away(lambda: self._read(ids))
        except Exception as error:
            raise Fenced("it is not known what is committed") from error
        for trigger in held.triggers.values():
            self._cache.put(trigger)
        self.schedule_soon(ids)

    async def _read(self, trigger_ids: Sequence[str]) -> LockedRows:
        """Read rows under lock: the transaction in doubt has ended then."""
        async with self._locked(trigger_ids) as held:
            return held

    def _locked(self, trigger_ids: Sequence[str]) -> AbstractAsyncContextManager[LockedRows]:
        return locked_rows.locked(self._pool, trigger_ids, self._cache.peak)

    def schedule_soon(self, trigger_ids: Iterable[str]) -> None:
        """Have triggers judged soon: no mark may come in a quiet book."""
        self._eager.update(trigger_ids)

    def take_eager(self) -> set[str]:
        """Return those that are to be judged soon; they are not asked for again."""
        eager, self._eager = self._eager, set()
        return eager
