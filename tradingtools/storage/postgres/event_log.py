"""Reads the log of events, which `services/events` alone writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg.rows import DictRow

from tradingtools.domain.event import (
    COPIES_EXCHANGE,
    NAMES_EXCHANGE,
    OF_COPIES,
    Event,
    Selection,
)
from tradingtools.storage.postgres.pool import Pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(__file__).parent / "event_log.sql")
_STRETCH = 20_000
"""Numbers that one page looks at."""
_BYTES = 1024 * 1024
"""Of data in one page, or one event: the edge bounds an answer at 4 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events that a reader wants, oldest first, by number."""

    events: Sequence[tuple[int, Event]]
    next_after: int | None
    """After which to ask for more; None: there is no more yet."""


async def newest(pool: Pool) -> int:
    """Return the number of the newest event; 0: there is none."""
    async with pool.connection() as connection:
        row = await connection.fetch_row(_QUERIES["newest"], {})
    assert row is not None  # noqa: S101 - the migration has put it there
    return int(row["number"])


async def after(pool: Pool, number: int, limit: int) -> list[tuple[int, Event]]:
    """Return events after a number, oldest first."""
    async with pool.connection() as connection:
        (rows,) = await connection.fetch_pipelined(
            [(_QUERIES["after"], {"after": number, "limit": limit})]
        )
    return [_numbered(row) for row in rows]


async def before(pool: Pool, at: datetime) -> int:
    """Return the number of the last event written down before an instant; 0: there is none.

    Found by halves, for the log is nearly in the order of time.
    """
    low, high = 0, await newest(pool)
    async with pool.connection() as connection:
        while low < high:
            middle = (low + high + 1) // 2
            row = await connection.fetch_row(_QUERIES["instant"], {"number": middle})
            if row is not None and row["occurred_at"] < at:
                low = middle
            else:
                high = middle - 1
    return low


async def page(pool: Pool, desired: Selection, number: int, limit: int) -> Page:
    """Return a page of what a reader wants after a number.

    A page may be empty and have a next one: it looks at a bounded stretch of the log.
    """
    end = await newest(pool)
    to = min(end, number + _STRETCH)
    async with pool.connection() as connection:
        cursor = await connection.execute(
            _QUERIES["selected"],
            {
                "after": number,
                "to": to,
                "types": sorted(desired.types) or None,
                "follower_proxy": desired.follower_proxy,
                "subscription_id": desired.subscription_id,
                "exchanges": None if desired.exchanges is None else sorted(desired.exchanges),
                "copies": sorted(OF_COPIES),
                "copies_exchange": COPIES_EXCHANGE,
                "named": sorted(NAMES_EXCHANGE),
                "limit": limit + 1,
            },
        )
        found = [_numbered(row) for row in await cursor.fetchall()]
    fits = _fitting(found[:limit])
    if fits < len(found):
        return Page(events=found[:fits], next_after=found[fits - 1][0])
    return Page(events=found, next_after=to if to < end else None)


def _fitting(events: Sequence[tuple[int, Event]]) -> int:
    """Return how many of the events make a page; at least one."""
    size = 0
    for place, (_, event) in enumerate(events):
        size += len(event.data)
        if place and size > _BYTES:
            return place
    return len(events)


def _numbered(row: DictRow) -> tuple[int, Event]:
    return row["number"], Event(
        log_number=row["log_number"],
        part=row["part"],
        type=row["type"],
        subject=row["subject"],
        at=row["occurred_at"],
        follower_proxy=row["follower_proxy"],
        subscription_id=row["subscription_id"],
        traceparent=row["traceparent"],
        data=row["data"],
    )
