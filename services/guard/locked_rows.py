"""Lock triggers and their lots until a transaction ends.

There are two ways to it. Either it locks and reads the rows, and what is decided on them is sent
with the COMMIT: two round trips. Or all of it is decided on what memory has, and leaves as one
statement that locks the rows first, and fails unless they are as memory has them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from psycopg.rows import DictRow

from services.guard import store
from services.guard.core.trigger import LotKey, Trigger, lot_of
from services.guard.trigger_cache import OptimisticClaim
from tradingtools.storage.postgres.pipeline import Pipeline, pipelined
from tradingtools.storage.postgres.pool import Pool

_NAMES: Final = (
    "id", "follower_proxy", "asset_id", "origin", "status", "version", "generation", "sold_micros",
    "rungs_done", "rungs_fired", "basis_micros",
)  # fmt: skip
"""What an exit's order and its trigger's change are made of; all of it has a trigger's version."""
_values = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class LockedRows:
    """Rows of a transaction: triggers and their lots, locked until it ends."""

    pipeline: Pipeline
    rows: Mapping[str, DictRow]
    """Triggers by id, with whose they are."""
    triggers: Mapping[str, Trigger]
    """The same."""
    lots: Mapping[LotKey, DictRow]
    """With what is free of other exits; absent where nothing was ever bought."""
    optimistic_claim: OptimisticClaim | None = None
    """What they are made of, if they are not locked yet."""

    def lot(self, trigger_id: str) -> DictRow | None:
        """Return the lot of a trigger that is held."""
        return self.lots.get(lot_of(self.triggers[trigger_id]))


@asynccontextmanager
async def locked(
    pool: Pool, trigger_ids: Sequence[str], peak: Callable[[str], int | None]
) -> AsyncIterator[LockedRows]:
    """Open a transaction that locks triggers and then their lots.

    Args:
        pool: with a connection for it.
        trigger_ids: of those that it holds.
        peak: the recorded peak of a trigger, which its row may not have yet.

    Raises:
        LookupError: there is no such trigger.
    """
    ids = list(trigger_ids)
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        rows = store.queue(pipeline, "lock_triggers", ids=ids)
        store.queue(pipeline, "lock_lots", ids=ids)
        lots = store.queue(pipeline, "locked_lots", ids=ids)
        found = {row["id"]: _with_peak(row, peak(row["id"])) for row in await rows.rows()}
        if missing := set(trigger_ids) - set(found):
            raise LookupError(f"trigger {min(missing)} has no row")
        yield LockedRows(
            pipeline,
            found,
            {trigger_id: store.trigger(row) for trigger_id, row in found.items()},
            {_lot_of(row): row for row in await lots.rows()},
        )


@asynccontextmanager
async def optimistic_claim(pool: Pool, seen: OptimisticClaim) -> AsyncIterator[LockedRows]:
    """Open a transaction that will lock a trigger and its lot, if they are as cached.

    It has one statement, which leaves when the block ends: the exit that was asked in it, or else
    the question whether they are so. Its rows have what an exit needs, and no more.

    Raises:
        SerializationFailure: they are not, or another exit has reserved shares of the lot. Nothing
            has happened.
    """
    trigger, whose = seen.trigger, seen.whose
    owner: dict[str, Any] = {
        "condition_id": whose.condition_id,
        "user_id": whose.user_id,
        "wallet_id": whose.wallet_id,
        "leader": whose.leader,
        "subscription_version": whose.subscription_version,
    }
    lot = {"shares_micros": seen.shares_micros, "free_micros": seen.shares_micros}
    async with pool.connection() as connection:
        pipeline = Pipeline(connection)
        yield LockedRows(
            pipeline,
            {trigger.id: {**dict(zip(_NAMES, _values(trigger), strict=True)), **owner}},
            {trigger.id: trigger},
            {lot_of(trigger): lot},
            seen,
        )
        if not pipeline.waits:
            store.queue(
                pipeline,
                "hold_foreseen",
                id=trigger.id,
                version=trigger.version,
                peak_micros=trigger.peak_micros,
                shares_micros=seen.shares_micros,
                **owner,
            )
        await pipeline.send()


def _with_peak(row: DictRow, peak_micros: int | None) -> DictRow:
    if peak_micros is None or peak_micros <= (row["peak_micros"] or 0):
        return row
    return {**row, "peak_micros": peak_micros}


def _lot_of(row: Mapping[str, Any]) -> LotKey:
    return row["follower_proxy"], row["asset_id"], row["origin"]
