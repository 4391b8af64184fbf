"""The write-ahead journal of the money path, as router, guard and executor use it.

A record is durable when its insert has been acknowledged; only then may what it says be acted on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import structlog

from tradingtools.storage.postgres.direct import Connection, Value
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pipeline import Answer, Pipeline
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "money_path.sql")
_log = structlog.get_logger("journal")
_encode = msgspec.json.Encoder().encode


class AlreadyClaimed(Exception):
    """The record is there already: memory is behind the journal and has to catch up with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A record that is to be committed."""

    record_key: str
    payload: bytes
    order_count: int
    routed_ns: int = 0
    """When it was decided; 0: nobody asks."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A committed claim: its place in the journal and its instants."""

    seq: int
    claimed_ns: int
    routed_ns: int = 0


def check_refusal(error: psycopg.Error) -> None:
    """Say what an error of `claim_and_build` means; returns when it is none of its own.

    Raises:
        Fenced: the lease is not valid any more.
        ClaimedBefore: this record is there already.
    """
    if isinstance(error, psycopg.errors.NoDataFound):
        raise Fenced(str(error)) from error
    # A constraint's own violation names it.
    raised = error.diag.constraint_name is None
    if isinstance(error, psycopg.errors.UniqueViolation) and raised:
        raise AlreadyClaimed(str(error)) from error


async def insert_claim(connection: Connection, lease: Lease, claim: Claim) -> Claimed:
    """Insert a CLAIMED record.

    Raises:
        Fenced: the lease is not valid any more.
        ClaimedBefore: this record is there already, e.g. because its commit was not acknowledged.
    """
    row = await connection.fetch_row(_QUERIES["claim"], _claim_values(lease, claim))
    if row is not None:
        return Claimed(row["seq"], row["claimed_ns"], claim.routed_ns)
    if not await there(connection, [claim.record_key]):
        raise Fenced(f"the lease of {lease.role} {lease.partition} has run out")
    raise AlreadyClaimed(claim.record_key)


async def insert_claims(
    connection: Connection, lease: Lease, claims: Sequence[Claim]
) -> list[Claimed]:
    """Insert CLAIMED records in their order, with one commit.

    Args:
        connection: not in a transaction; all of them are one.
        lease: of their writer.
        claims: the records.

    Raises:
        Fenced: the lease is not valid any more.
        psycopg.errors.UniqueViolation: one of them is there already; none was inserted.
    """
    answers = await connection.fetch_pipelined(
        [(_QUERIES["claim_new"], _claim_values(lease, claim)) for claim in claims]
    )
    if not all(answers):
        raise Fenced(f"the lease of {lease.role} {lease.partition} has run out")
    return [
        Claimed(row["seq"], row["claimed_ns"], claim.routed_ns)
        for (row,), claim in zip(answers, claims, strict=True)
    ]


def _claim_values(lease: Lease, claim: Claim) -> dict[str, Value]:
    return {
        "role": lease.role,
        "record_key": claim.record_key,
        "partition": lease.partition,
        "epoch": lease.epoch,
        "payload": claim.payload,
        "order_count": claim.order_count,
    }


async def check_lease(connection: Connection, lease: Lease) -> None:
    """Make sure that a transaction's writer is still the owner, until the transaction ends.

    Raises:
        Fenced: it is not.
    """
    cursor = await connection.execute(
        _QUERIES["holds_lease"],
        {"role": lease.role, "partition": lease.partition, "epoch": lease.epoch},
    )
    row = await cursor.fetchone()
    if row is None or not row["held"]:
        raise Fenced(f"the lease of {lease.role} {lease.partition} has run out")


async def build_rows(connection: Connection, seq: int) -> None:
    """Turn a record into rows; nothing happens when it was done already."""
    await connection.execute(_QUERIES["build_rows"], {"seq": seq})


async def build_rows_together(connection: Connection, records: Sequence[int]) -> None:
    """Do the same for several records, with one commit."""
    if records:
        await connection.fetch_pipelined(
            [(_QUERIES["build_rows"], {"seq": seq}) for seq in records]
        )


async def there(connection: Connection, record_keys: Sequence[str]) -> frozenset[str]:
    """Return those of the names that have a record."""
    answers = await connection.fetch_pipelined(
        [(_QUERIES["record_exists"], {"record_key": key}) for key in record_keys]
    )
    return frozenset(key for key, rows in zip(record_keys, answers, strict=True) if rows)


async def build_rows_or_quarantine(connection: Connection, seq: int) -> None:
    """Do the same for a record that nobody waits for; one that fails must not stop others.

    Raises:
        psycopg.OperationalError: the database went away; nothing was concluded.
    """
    try:
        async with connection.transaction():
            await build_rows(connection, seq)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        _log.error(
            "a journal record cannot become rows; a person has to look", seq=seq, exc_info=error
        )
        await connection.execute(_QUERIES["set_aside"], {"seq": seq, "reason": str(error)[:500]})


async def build_open_rows(pool: Pool, partition: int, *, older_than_seconds: float | None) -> int:
    """Build what a process left behind when it died; returns how many records.

    Args:
        pool: of the deciding database.
        partition: of follower wallets.
        older_than_seconds: younger records are somebody's work in progress; None: all of them,
            whatever the clock says.
    """
    async with pool.connection() as connection:
        cursor = await connection.execute(
            _QUERIES["open_records"],
            {"partition": partition, "older_than_seconds": older_than_seconds},
        )
        records = await cursor.fetchall()
        for record in records:
            await build_rows_or_quarantine(connection, record["seq"])
    return len(records)


async def last_claimed(pool: Pool, role: str, partition: int) -> int:
    """Return the newest claimed record of a writer; 0 when there is none."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            _QUERIES["last_claimed"], {"role": role, "partition": partition}
        )
        row = await cursor.fetchone()
    return 0 if row is None else int(row["seq"])


async def claimed_after(
    pool: Pool, role: str, partition: int, after: int, limit: int
) -> list[tuple[int, int, dict[str, Any]]]:
    """Claimed records with orders, as (seq, claimed_ns, payload), oldest first."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            _QUERIES["claimed_after"],
            {"role": role, "partition": partition, "after": after, "limit": limit},
        )
        rows = await cursor.fetchall()
    return [(row["seq"], row["claimed_ns"], json.loads(row["payload"])) for row in rows]


def queue_transitions(pipeline: Pipeline, transitions: Sequence[Mapping[str, Any]]) -> Answer:
    """As `apply_transitions`, of a transaction whose statements travel together: the answer has a
    row for each key that changed."""
    return pipeline.queue(
        _QUERIES["apply_transitions"], {"transitions": _encode(transitions).decode()}
    )


async def apply_transitions(
    connection: Connection, transitions: Sequence[dict[str, Any]]
) -> dict[str, int]:
    """Compare-and-set each order; returns the event number of each key that changed.

    A key that is missing in the answer is not the caller's any more: drop it.
    """
    if not transitions:
        return {}
    cursor = await connection.execute(
        _QUERIES["apply_transitions"], {"transitions": json.dumps(list(transitions))}
    )
    return {row["order_key"]: row["event_seq"] for row in await cursor.fetchall()}


async def acknowledge(pool: Pool, stream: str, consumer: str, cursor: str) -> None:
    """Remember that a named reader has committed everything up to a cursor; only forward."""
    async with pool.connection() as connection:
        await connection.execute(
            _QUERIES["acknowledge"], {"stream": stream, "consumer": consumer, "cursor": cursor}
        )


async def acknowledged(pool: Pool, stream: str, consumer: str) -> str:
    """Return where a named reader has to go on; empty when it never acknowledged."""
    async with pool.connection() as connection:
        cursor = await connection.execute(
            _QUERIES["cursor"], {"stream": stream, "consumer": consumer}
        )
        row = await cursor.fetchone()
    return "" if row is None else str(row["cursor"])


async def begin_again(pool: Pool, stream: str, consumer: str) -> None:
    """Forget what a named reader has acknowledged."""
    async with pool.connection() as connection:
        await connection.execute(_QUERIES["begin_again"], {"stream": stream, "consumer": consumer})


async def newest(pool: Pool) -> int:
    """Return the number of the newest record, whoever wrote it; 0 when there is none."""
    async with pool.connection() as connection:
        cursor = await connection.execute(_QUERIES["newest_record"])
        row = await cursor.fetchone()
    return 0 if row is None else int(row["seq"])
