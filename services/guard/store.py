"""Read and write the guard's rows; a change of a trigger and its history are one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs
from psycopg.rows import DictRow

from services.guard.core import history_text
from services.guard.core.trigger import LotKey, Trigger
from services.guard.trigger_cache import OptimisticClaim
from tradingtools.domain.trigger_states import TRANSITIONS, TriggerStatus
from tradingtools.domain.trigger_types import TriggerType, rungs_from_fields
from tradingtools.storage.postgres.direct import Connection, Value
from tradingtools.storage.postgres.pipeline import Answer, Pipeline
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")


async def fetch(pool: Pool, name: str, **values: Any) -> list[DictRow]:
    """Return all rows of one named query.

    Planned each time: what is asked now and then, without parameters, would keep for hours the plan
    of a table that was empty then, and scan it for each row of another one.
    """
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES[name], values, prepare=False)
        return await cursor.fetchall()


async def triggers_of_lots(pool: Pool, keys: Sequence[LotKey]) -> list[DictRow]:
    """Return the live triggers of lots, each given once; oldest first."""
    names = ("proxies", "assets", "origins")
    columns = {name: [key[n] for key in keys] for n, name in enumerate(names)}
    return await fetch(pool, "triggers_of_lots", **columns)


async def fetch_alone(pool: Pool, name: str, **values: Value) -> list[DictRow]:
    """Return all rows of one named query that is a transaction of its own."""
    async with pool.connection() as connection:
        return await fetch_on(connection, name, **values)


async def fetch_on(connection: Connection, name: str, **values: Value) -> list[DictRow]:
    """Return the same on a connection that is kept for what comes after it."""
    (rows,) = await connection.fetch_pipelined([(_QUERIES[name], values)])
    return rows


def queue(pipeline: Pipeline, name: str, **values: Value) -> Answer:
    """Ask one named query; it leaves when an answer is read."""
    return pipeline.queue(_QUERIES[name], values)


async def one(pipeline: Pipeline, name: str, **values: Value) -> DictRow | None:
    """Return the row of one named query, or None."""
    rows = await queue(pipeline, name, **values).rows()
    return rows[0] if rows else None


def trigger(row: Mapping[str, Any]) -> Trigger:
    """Return a trigger from its row."""
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
        generation=row["generation"],
        callback_micros=row["callback_micros"],
        callback_ppm=row["callback_ppm"],
        peak_micros=row["peak_micros"],
        fire_at_ms=row["fire_at_ms"],
        sold_micros=row["sold_micros"],
        rungs=rungs_from_fields(row["rungs"]),
        rungs_done=row["rungs_done"],
        rungs_fired=row["rungs_fired"],
        basis_micros=row["basis_micros"],
        two_ticks=row["two_ticks"],
        made_for=row["made_for"],
    )


def lot_key(key: LotKey) -> dict[str, str]:
    """Return a lot's key as statements take it."""
    return dict(zip(("follower_proxy", "asset_id", "origin"), key, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerChange:
    """A change of a trigger; None leaves a column as it is."""

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


def change_all(
    pipeline: Pipeline, changes: Sequence[tuple[Mapping[str, Any], TriggerChange]]
) -> tuple[Answer, ...]:
    """Change triggers, each once, and note it in their histories.

    Args:
        pipeline: in the transaction that holds them.
        changes: rows and what happens to them, in the order of the history.

    Returns:
        What brings the triggers as they are then, for `changed`. A row that is not as it was locked
        is an error that nothing is committed with.

    Raises:
        ValueError: a transition is not in the table, or a trigger is changed twice.
    """
    if len({row["id"] for row, _ in changes}) != len(changes):
        raise ValueError("a trigger is changed twice")
    if not changes:
        return ()
    moves = [(row, change, _key_after(row, change)) for row, change in changes]
    answer = _put(pipeline, "move_triggers", "moves", map(_move, moves))
    _note(pipeline, [_event(row, c.status, c.detail, key) for row, c, key in moves])
    return (answer,)


def fire_foreseen(
    pipeline: Pipeline, seen: OptimisticClaim, change: TriggerChange, **claim: Value
) -> Answer:
    """Have a trigger fire that is as foreseen, and claim its exit, all in one statement.

    Args:
        pipeline: for this alone.
        seen: the trigger and its lot.
        change: what firing changes.
        claim: the record, with the order.
    """
    trigger = seen.trigger
    return queue(
        pipeline,
        "fire_foreseen",
        status=trigger.status,
        version=trigger.version,
        peak_micros=trigger.peak_micros,
        shares_micros=seen.shares_micros,
        rungs_fired=change.rungs_fired,
        basis_micros=change.basis_micros,
        fired=json.dumps(change.fired),
        detail=change.detail,
        **claim,
    )


def fired(trigger: Trigger, change: TriggerChange) -> Trigger:
    """Return a trigger as `fire_foreseen` leaves it. Raises ValueError: it may not fire."""
    _check_transition(trigger.status, change.status)
    return structs.replace(
        trigger,
        status=change.status,
        version=trigger.version + 1,
        rungs_fired=change.rungs_fired or 0,
        basis_micros=change.basis_micros,
        tick=None,
    )


async def unsettled(pipeline: Pipeline, row: Mapping[str, Any], *, besides: str = "") -> bool:
    """Return whether a sale of a trigger's lot may still be undone.

    Args:
        pipeline: in the transaction that holds it.
        row: of the trigger.
        besides: a trigger whose own sales do not count.
    """
    key = lot_key((row["follower_proxy"], row["asset_id"], row["origin"]))
    found = await one(pipeline, "unsettled", **key, besides=besides)
    return found is not None and bool(found["unsettled"])


async def incoming(pipeline: Pipeline, row: Mapping[str, Any]) -> bool:
    """Return whether a purchase of a trigger's wallet and asset may still bring shares.

    Args:
        pipeline: in the transaction that holds it.
        row: of the trigger.
    """
    key = {"follower_proxy": row["follower_proxy"], "asset_id": row["asset_id"]}
    found = await one(pipeline, "incoming", **key)
    return found is not None and bool(found["incoming"])


async def begun_anew(pipeline: Pipeline, row: Mapping[str, Any]) -> bool:
    """Return whether a new position has begun in the lot of a default trigger, with triggers of its
    own.

    Args:
        pipeline: in the transaction that holds it.
        row: of the trigger.
    """
    if not row["made_for"]:
        return False
    found = await one(pipeline, "begun_anew", id=row["id"])
    return found is not None and bool(found["begun"])


async def changed(answers: Iterable[Answer]) -> list[Trigger]:
    """Return the triggers that `change_all` has changed, read once that is committed."""
    return [trigger(row) for answer in answers for row in await answer.rows()]


def _key_after(row: Mapping[str, Any], change: TriggerChange) -> str:
    if change.order_key is not None:
        return change.order_key
    return "" if change.rearmed else str(row["order_key"])


def _move(desired: tuple[Mapping[str, Any], TriggerChange, str]) -> dict[str, Any]:
    row, change, order_key = desired
    _check_transition(TriggerStatus(row["status"]), change.status)
    return {
        "id": row["id"],
        "version": row["version"],
        "status": change.status,
        "generations": 1 if change.rearmed else 0,
        "slice": 0 if change.rearmed else _given(change.slice_number, row, "slice"),
        "sold_micros": _given(change.sold_micros, row, "sold_micros"),
        "rungs_done": _given(change.rungs_done, row, "rungs_done"),
        "rungs_fired": _given(change.rungs_fired, row, "rungs_fired"),
        "basis_micros": _given(change.basis_micros, row, "basis_micros"),
        "order_key": order_key,
        "fired": change.fired,
        "next_slice_ms": change.next_slice_ms,
    }


def _check_transition(source: TriggerStatus, target: TriggerStatus) -> None:
    if source is not target and (source, target) not in TRANSITIONS:
        raise ValueError(f"{source} -> {target} is no transition of a trigger")


def _given(value: int | None, row: Mapping[str, Any], name: str) -> int | None:
    return row[name] if value is None else value


async def break_even(
    pipeline: Pipeline, ladder: Mapping[str, Any], price_micros: int
) -> list[Trigger]:
    """Move the stops of a ladder's lot that want it up to the entry price; returns those moved.

    Args:
        pipeline: in the transaction that holds the ladder and its lot.
        ladder: its row.
        price_micros: what the lot's shares have cost.
    """
    key = {name: ladder[name] for name in ("follower_proxy", "asset_id", "origin")}
    rows = await queue(pipeline, "break_even", **key, price=price_micros).rows()
    detail = history_text.broke_even(price_micros, ladder["id"])
    _note(pipeline, [_event(row, row["status"], detail, "") for row in rows])
    return [trigger(row) for row in rows]


def _event(row: Mapping[str, Any], to: str, detail: str, order_key: str) -> dict[str, Any]:
    return {
        "trigger_id": row["id"],
        "from_status": row["status"],
        "to_status": to,
        "detail": detail,
        "order_key": order_key,
    }


def _note(pipeline: Pipeline, events: Sequence[dict[str, Any]]) -> None:
    if events:
        _put(pipeline, "add_events", "events", events)


def _put(pipeline: Pipeline, name: str, parameter: str, rows: Iterable[dict[str, Any]]) -> Answer:
    """Ask a statement that takes many rows at once, in their order."""
    given = [{**row, "place": place} for place, row in enumerate(rows)]
    return queue(pipeline, name, **{parameter: json.dumps(given)})
