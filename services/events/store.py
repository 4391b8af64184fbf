"""Reads the rows that events are made of, and writes the log.

The sources are other processes' tables, read only. `event` and `event_log_position` are this
process's own: they move in one transaction, under its lease.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import DictRow

from services.events.core.horizon import HorizonReading
from services.events.core.sources import (
    Booked,
    BotFacts,
    BotFilled,
    BotMoved,
    BotOrderMoved,
    BreakerMoved,
    Claimed,
    ClaimPayload,
    ControlChanged,
    Corrected,
    CredentialsChanged,
    OrderFacts,
    OrderMoved,
    PaidOut,
    ProcessMoved,
    Quarantined,
    RiskMoved,
    Source,
    TriggerMoved,
    WebhookChanged,
)
from tradingtools.domain.event import Event
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).parent / "queries.sql")
_encode_events = msgspec.json.Encoder().encode
_decode_claim = msgspec.json.Decoder(ClaimPayload).decode
_FACTS = OrderFacts.__struct_fields__


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Up to where the log is made: the number of a source row, and of the newest event."""

    log_number: int
    number: int


class LogTakenOver(Exception):
    """Somebody else writes the log; this process has to end."""


async def newest_number(pool: Pool) -> int:
    """Return the newest number that was given out to a row."""
    async with pool.connection() as connection:
        row = await connection.fetch_row(QUERIES["newest_number"], {})
    assert row is not None  # noqa: S101 - a sequence always has a value
    return int(row["newest"])


async def poll(pool: Pool) -> HorizonReading:
    """Return the newest number, then which transactions run; the order matters.

    Takes a transaction id, so it is not asked while nothing happens.
    """
    async with pool.connection() as connection:
        (newest,), (own,), (oldest,) = await connection.fetch_pipelined(
            [(QUERIES[name], {}) for name in ("newest_number", "own_xid", "oldest_xid")]
        )
    return HorizonReading(newest=newest["newest"], xid=own["xid"], oldest_xid=oldest["xid"])


async def position(pool: Pool) -> Position:
    """Return up to where the log is made."""
    async with pool.connection() as connection:
        row = await connection.fetch_row(QUERIES["position"], {})
    assert row is not None  # noqa: S101 - the migration has put it there
    return Position(**row)


async def sources(pool: Pool, after: int, to: int) -> list[Source]:
    """Return all source rows with numbers in (after, to], in their order."""
    bounds = {"after": after, "to": to}
    async with pool.connection() as connection:
        answers = await connection.fetch_pipelined([(QUERIES[name], bounds) for name in _KINDS])
    rows = [
        make(row) for make, answer in zip(_KINDS.values(), answers, strict=True) for row in answer
    ]
    rows.sort(key=attrgetter("number"))
    return rows


def _ordered(row: DictRow) -> dict[str, Any]:
    facts = OrderFacts(**{name: row.pop(name) for name in _FACTS})
    return {**row, "order": facts}


def _booked(row: DictRow) -> Source:
    fill_size = row.pop("fill_size_micros")
    return Booked(**_ordered(row), size_micros=fill_size)


_BOT = BotFacts.__struct_fields__


def _of_bot(row: DictRow) -> dict[str, Any]:
    facts = BotFacts(**{name: row.pop(name) for name in _BOT})
    return {**row, "bot": facts}


def _claimed(row: DictRow) -> Source:
    return Claimed(number=row["number"], at=row["at"], payload=_decode_claim(row["payload"]))


_KINDS: dict[str, Callable[[DictRow], Source]] = {
    "orders_moved": lambda row: OrderMoved(**_ordered(row)),
    "booked": _booked,
    "paid_out": lambda row: PaidOut(**row),
    "corrected": lambda row: Corrected(**row),
    "triggers_moved": lambda row: TriggerMoved(**row),
    "control_changed": lambda row: ControlChanged(**row),
    "breakers_moved": lambda row: BreakerMoved(**row),
    "quarantined": lambda row: Quarantined(**row),
    "webhooks_changed": lambda row: WebhookChanged(**row),
    "credentials_changed": lambda row: CredentialsChanged(**row),
    "bots_moved": lambda row: BotMoved(**_of_bot(row)),
    "risk_moved": lambda row: RiskMoved(**row),
    "bot_orders_moved": lambda row: BotOrderMoved(**_of_bot(row)),
    "bots_filled": lambda row: BotFilled(**_of_bot(row)),
    "processes_moved": lambda row: ProcessMoved(**row),
    "claimed": _claimed,
}
"""By the name of the query, what its rows become."""


async def append(
    pool: Pool, lease: Lease, before: Position, to: int, events: Sequence[Event]
) -> Position:
    """Write events behind the log's end and move its position; all of it or nothing.

    One statement, for each one more is a wait for both ends. A kill -9 before its commit changes
    nothing, and one after it leaves the whole batch.

    Raises:
        Moved: the lease is another's, or the position is not where it was left.
    """
    after = Position(log_number=to, number=before.number + len(events))
    async with pool.connection() as connection:
        cursor = await connection.execute(
            QUERIES["append"],
            {
                "role": lease.role,
                "partition": lease.partition,
                "epoch": lease.epoch,
                "after": before.log_number,
                "number": before.number,
                "to": after.log_number,
                "last": after.number,
                # One text: nine lists would cost more than all else that is done for an event.
                "events": _encode_events(events).decode(),
            },
        )
        if await cursor.fetchone() is None:
            raise LogTakenOver("the log, or its position, is another's")
    return after


def forget(connection: psycopg.Connection[Any]) -> None:
    """Forget the log, so that it is made again from its sources; for the owner of the database."""
    with connection.transaction():
        connection.execute(QUERIES["forget"])
        connection.execute(QUERIES["forget_position"])
