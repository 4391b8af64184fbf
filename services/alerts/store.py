"""Store the alerts: the cursor, alerts, groups and messages with their deliveries.

One transaction moves the cursor and everything that the events up to it have changed, messages
included: a kill -9 before it changes nothing, and after it nothing is judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from services.alerts.core.grouping import Counts, Kind
from services.alerts.core.open_alerts import Alert, Group, Key, OpenAlerts
from services.alerts.core.states import State
from services.alerts.core.texts import Message
from tradingtools.storage.postgres import fleet, journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "queries.sql")
_COUNTS = Counts.__struct_fields__


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The changes that one step of the judge has made."""

    alerts: Mapping[Key, Alert | None]
    groups: Mapping[Key, Group | None]
    messages: Sequence[tuple[Message, Sequence[str]]] = ()
    """With the names of the targets."""
    cursor: str = ""
    """Empty: it has not moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The oldest message that a target has not been notified."""

    message: Message
    attempts: int
    again: bool
    """It may have been notified before."""
    wait_seconds: float
    age_seconds: float


async def begin(pool: Pool) -> str:
    """Return after which event to go on; at the very first start, after the newest one."""
    await _execute(pool, "begin", {})
    (row,) = await _rows(pool, "cursor", {})
    return str(row["cursor"])


async def open_alerts(pool: Pool) -> OpenAlerts:
    """Return the alerts and groups as they were left."""
    alerts = [
        Alert(
            rule=row["rule"], key=row["key"], group=row["group_key"], state=State(row["state"]),
            since_ms=row["since_ms"], last_ms=row["last_ms"],
            facts=msgspec.json.decode(row["facts"], type=dict[str, str]),
        )
        for row in await _rows(pool, "alerts", {})
    ]  # fmt: skip
    groups = []
    for row in await _rows(pool, "groups", {}):
        counts = Counts(**{name: row.pop(name) for name in _COUNTS})
        groups.append(Group(counts=counts, **row))
    return OpenAlerts(alerts, groups)


async def commit(pool: Pool, lease: Lease, changes: Changes) -> None:
    """Write what a step has changed; all of it or nothing.

    Raises:
        Fenced: another process judges.
    """
    async with pool.connection() as connection, connection.transaction():
        await journal.check_lease(connection, lease)
        await _write_alerts(connection, changes.alerts)
        for at, group in changes.groups.items():
            await _write_group(connection, at, group)
        for message, targets in changes.messages:
            values = {name: getattr(message, name) for name in _MESSAGE}
            await connection.execute(_QUERIES["put_message"], values)
            desired = {"id": message.id, "targets": list(targets)}
            await connection.execute(_QUERIES["put_deliveries"], desired)
        if changes.cursor:
            await connection.execute(_QUERIES["move_cursor"], {"cursor": changes.cursor})


_MESSAGE = ("id", "thread", "rule", "kind", "severity", "title", "body", "at_ms")


async def _write_alerts(connection: Connection, alerts: Mapping[Key, Alert | None]) -> None:
    stand = [alert for alert in alerts.values() if alert is not None]
    gone = [key for key, alert in alerts.items() if alert is None]
    if stand:
        values = {
            "rules": [a.rule for a in stand],
            "keys": [a.key for a in stand],
            "groups": [a.group for a in stand],
            "states": [str(a.state) for a in stand],
            "since": [a.since_ms for a in stand],
            "last": [a.last_ms for a in stand],
            "facts": [msgspec.json.encode(a.facts).decode() for a in stand],
        }
        await connection.execute(_QUERIES["put_alerts"], values)
    if gone:
        named = {"rules": [rule for rule, _ in gone], "keys": [key for _, key in gone]}
        await connection.execute(_QUERIES["drop_alerts"], named)


async def _write_group(connection: Connection, at: Key, group: Group | None) -> None:
    named = {"rule": at[0], "key": at[1]}
    if group is None:
        await connection.execute(_QUERIES["drop_group"], named)
        return
    counts = {name: getattr(group.counts, name) for name in _COUNTS}
    rest = {"since_ms": group.since_ms, "total": group.total, "thread": group.thread}
    await connection.execute(_QUERIES["put_group"], {**named, **counts, **rest})


async def next_delivery(pool: Pool, target: str) -> Delivery | None:
    """Return the oldest message that a target has not been notified."""
    rows = await _rows(pool, "next_delivery", {"target": target})
    if not rows:
        return None
    (row,) = rows
    found = {name: row[name] for name in _MESSAGE if name != "kind"}
    return Delivery(
        message=Message(**found, kind=Kind(row["kind"])),
        attempts=row["attempts"],
        again=row["perhaps"] or row["state"] == "SENDING",
        wait_seconds=row["wait_seconds"],
        age_seconds=row["age_seconds"],
    )


async def begin_delivery(pool: Pool, message: str, target: str) -> None:
    """Note, durably, that a message is about to leave."""
    await _execute(pool, "begin_delivery", {"id": message, "target": target})


async def end_delivery(
    pool: Pool,
    message: str,
    target: str,
    *,
    state: str,
    perhaps: bool = False,
    error: str = "",
    wait_seconds: float = 0,
) -> None:
    """Note what became of an attempt."""
    values = {
        "id": message, "target": target, "state": state, "perhaps": perhaps, "error": error,
        "wait_seconds": wait_seconds,
    }  # fmt: skip
    await _execute(pool, "end_delivery", values)


async def drop_other_targets(pool: Pool, targets: Iterable[str]) -> None:
    """Give up what targets were to be notified that there are no more."""
    await _execute(pool, "drop_targets", {"targets": list(targets)})


async def without_engine(pool: Pool) -> list[dict[str, Any]]:
    """Return the wallets whose bots need an engine and have none, each with who had it last."""
    async with pool.connection() as connection:
        return await (await connection.execute(fleet.QUERIES["unowned"])).fetchall()


async def log_position(pool: Pool) -> tuple[int, int]:
    """Return up to which number the log of events is made, and the newest number there is."""
    (row,) = await _rows(pool, "log_position", {})
    return row["log_number"], row["newest"]


async def before_day(pool: Pool, day: datetime) -> int:
    """Return the number of the last booking of before a day."""
    (row,) = await _rows(pool, "before_day", {"day": day})
    return int(row["number"])


async def realised(pool: Pool, after: int, day: datetime) -> tuple[int, int]:
    """Return what was realised since a booking and on this day, and up to which number."""
    (row,) = await _rows(pool, "realised", {"after": after, "day": day})
    return row["micros"], row["number"]


async def _rows(pool: Pool, name: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES[name], values)
        return await cursor.fetchall()


async def _execute(pool: Pool, name: str, values: Mapping[str, object]) -> None:
    async with pool.connection() as connection:
        await connection.execute(_QUERIES[name], values)
