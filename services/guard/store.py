"""The guard's rows: each change of a trigger is one transaction with its history entry."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow

from services.guard.core import telling
from services.guard.core.trigger import Trigger
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.adapters.postgres.sql import load_queries
from tradingtools.domain.trigger_states import TRANSITIONS, TriggerStatus
from tradingtools.domain.trigger_types import TriggerType, rungs_from_fields

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
Connection = psycopg.AsyncConnection[DictRow]


async def fetch(pool: Pool, name: str, **values: Any) -> list[DictRow]:
    """All rows of one named query."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES[name], values)
        return await cursor.fetchall()


async def one(connection: Connection, name: str, **values: Any) -> DictRow | None:
    """The row of one named query, or None."""
    cursor = await connection.execute(_QUERIES[name], values)
    return await cursor.fetchone()


def trigger(row: Mapping[str, Any]) -> Trigger:
    """A trigger from its row."""
    return Trigger(
        id=row["id"],
        follower_proxy=row["follower_proxy"],
        asset_id=row["asset_id"],
        origin=row["origin"],
        type=TriggerType(row["trigger_type"]),
        price_micros=row["price_micros"],
        size_micros=row["size_micros"],
        status=TriggerStatus(row["status"]),
        version=row["version"],
        callback_micros=row["callback_micros"],
        callback_ppm=row["callback_ppm"],
        peak_micros=row["peak_micros"],
        peak_noted_micros=row["peak_noted_micros"],
        fire_at_ms=row["fire_at_ms"],
        sold_micros=row["sold_micros"],
        rungs=rungs_from_fields(row["rungs"]),
        rungs_done=row["rungs_done"],
        rungs_fired=row["rungs_fired"],
        basis_micros=row["basis_micros"],
        two_ticks=row["two_ticks"],
        made_for=row["made_for"],
    )


def lot_key(key: tuple[str, str, str]) -> dict[str, str]:
    """A lot's key as statements take it."""
    return dict(zip(("follower_proxy", "asset_id", "origin"), key, strict=True))


@asynccontextmanager
async def locked(
    pool: Pool, trigger_id: str
) -> AsyncIterator[tuple[Connection, DictRow, DictRow | None]]:
    """A transaction that holds a trigger and then its lot (None: nothing was ever bought)."""
    async with pool.connection() as connection, connection.transaction():
        row = await one(connection, "lock_trigger", id=trigger_id)
        if row is None:
            raise LookupError(f"trigger {trigger_id} has no row")
        key = {name: row[name] for name in ("follower_proxy", "asset_id", "origin")}
        await one(connection, "lock_lot", **key)
        yield connection, row, await one(connection, "locked_lot", **key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to a trigger; None leaves a column as it is."""

    status: TriggerStatus
    detail: str
    """For its history."""
    rearmed: bool = False
    """A new arm generation begins: slice and order start afresh."""
    slice_number: int | None = None
    sold_micros: int | None = None
    """By all exits."""
    rungs_done: int | None = None
    rungs_fired: int | None = None
    basis_micros: int | None = None
    order_key: str | None = None
    fired: Mapping[str, Any] | None = None
    """The book that was seen."""
    next_slice_ms: int | None = None
    """Pause until the next slice; None: no slice is due."""


async def move(connection: Connection, row: Mapping[str, Any], change: Change) -> Trigger:
    """Change a locked trigger and note it in its history.

    Raises:
        ValueError: the transition is not in the table.
        LookupError: the row changed although it was locked.
    """
    source = TriggerStatus(row["status"])
    if source is not change.status and (source, change.status) not in TRANSITIONS:
        raise ValueError(f"{source} -> {change.status} is no transition of a trigger")
    kept = {**row, "slice": 0, "order_key": ""} if change.rearmed else row
    order_key = str(kept["order_key"]) if change.order_key is None else change.order_key
    moved = await one(
        connection,
        "move_trigger",
        id=row["id"],
        version=row["version"],
        status=change.status,
        generations=1 if change.rearmed else 0,
        slice=_given(change.slice_number, kept["slice"]),
        sold_micros=_given(change.sold_micros, kept["sold_micros"]),
        rungs_done=_given(change.rungs_done, kept["rungs_done"]),
        rungs_fired=_given(change.rungs_fired, kept["rungs_fired"]),
        basis_micros=_given(change.basis_micros, kept["basis_micros"]),
        order_key=order_key,
        fired=None if change.fired is None else json.dumps(change.fired),
        next_slice_ms=change.next_slice_ms,
    )
    if moved is None:
        raise LookupError(f"trigger {row['id']} changed under its lock")
    await _note(connection, row, change.status, change.detail, order_key)
    return trigger(moved)


def _given(value: int | None, present: int | None) -> int | None:
    return present if value is None else value


async def break_even(
    connection: Connection, ladder: Mapping[str, Any], price_micros: int
) -> list[Trigger]:
    """Move the stops of a ladder's lot that want it up to the entry price; returns those moved.

    Args:
        connection: in the transaction that holds the ladder and its lot.
        ladder: its row.
        price_micros: what the lot's shares have cost.
    """
    key = {name: ladder[name] for name in ("follower_proxy", "asset_id", "origin")}
    cursor = await connection.execute(_QUERIES["break_even"], {**key, "price": price_micros})
    rows = await cursor.fetchall()
    for row in rows:
        told = telling.broke_even(price_micros, ladder["id"])
        await _note(connection, row, TriggerStatus(row["status"]), told, "")
    return [trigger(row) for row in rows]


async def ratchet(
    connection: Connection, row: Mapping[str, Any], peak_micros: int, told: str | None
) -> Trigger:
    """Store a locked trailing stop's new peak; its version stays, since a caller sees no change.

    Args:
        connection: in the transaction that holds the trigger.
        row: of the trigger.
        peak_micros: above the present one; the database refuses a lower one.
        told: for its history; None: too small a move to tell.
    """
    noted = peak_micros if told is not None else row["peak_noted_micros"]
    moved = await one(connection, "ratchet", id=row["id"], peak=peak_micros, noted=noted)
    if moved is None:
        raise LookupError(f"trigger {row['id']} is gone under its lock")
    if told is not None:
        await _note(connection, row, TriggerStatus(row["status"]), told, row["order_key"])
    return trigger(moved)


async def _note(
    connection: Connection, row: Mapping[str, Any], to: TriggerStatus, detail: str, order_key: str
) -> None:
    await connection.execute(
        _QUERIES["add_event"],
        {
            "trigger_id": row["id"],
            "from_status": row["status"],
            "to_status": to,
            "detail": detail,
            "order_key": order_key,
        },
    )
