"""The right to write for a partition: a lease with an epoch that each journal insert checks.

An owner that slept through its lease stays the owner until another takes over, and then changes
nothing: its epoch is not the present one any more.
With the lease comes the time: its owner's clock agrees with PostgreSQL's before it decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import structlog

from tradingtools import clock
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "money_path.sql")
TTL_SECONDS = 5.0
_log = structlog.get_logger("lease")


class Fenced(Exception):
    """Somebody else owns the partition; this process must not write for it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to write for one partition in one role."""

    role: str
    partition: int
    epoch: int


async def acquire(pool: Pool, role: str, partition: int, owner: str) -> Lease:
    """Wait until the partition is ours.

    Args:
        pool: of the deciding database.
        role: ``router``, ``executor``, ``confirm`` or ``guard``.
        partition: from 0.
        owner: this process's stable name; its own earlier lease is taken over at once.
    """
    while True:
        async with pool.connection() as connection:
            requested_ns = clock.monotonic_ns()
            cursor = await connection.execute(
                _QUERIES["acquire_lease"],
                {
                    "role": role,
                    "partition": partition,
                    "owner": owner,
                    "ttl_seconds": TTL_SECONDS,
                },
            )
            row = await cursor.fetchone()
        if row is not None:
            agree(row["now_ns"], requested_ns)
            _log.info("partition is ours", role=role, partition=partition, epoch=row["epoch"])
            return Lease(role=role, partition=partition, epoch=row["epoch"])
        _log.info("partition is another's; waiting", role=role, partition=partition)
        await asyncio.sleep(TTL_SECONDS / 5)


async def keep(pool: Pool, lease: Lease, backlog_ms: Callable[[], int] = lambda: 0) -> None:
    """Renew for ever.

    Args:
        pool: of the deciding database.
        lease: ours.
        backlog_ms: milliseconds that the oldest of what waits here has waited; a run shows it.

    Raises:
        Fenced: another owner took over; the process has to end.
    """
    while True:
        await asyncio.sleep(TTL_SECONDS / 4)
        try:
            async with pool.connection() as connection:
                requested_ns = clock.monotonic_ns()
                cursor = await connection.execute(
                    _QUERIES["renew_lease"],
                    {
                        "role": lease.role,
                        "partition": lease.partition,
                        "epoch": lease.epoch,
                        "ttl_seconds": TTL_SECONDS,
                        "backlog_ms": backlog_ms(),
                    },
                )
                row = await cursor.fetchone()
        except psycopg.OperationalError as error:
            # Without the database nothing can be claimed either; the lease may be renewed late.
            _log.warning("lease not renewed", error=str(error))
            continue
        if row is None:
            raise Fenced(f"partition {lease.partition} of {lease.role} has another owner")
        agree(row["now_ns"], requested_ns)


def agree(server_ns: int, requested_ns: int) -> None:
    """Go by PostgreSQL's clock; see `tradingtools.clock.agree`."""
    off_ns = clock.agree(server_ns, requested_ns)
    if off_ns:
        _log.warning("clock was not PostgreSQL's; corrected", seconds=round(off_ns / 1e9, 3))
