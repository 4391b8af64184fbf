"""Reads the whole audit, page by page, and names what does not fit: changes, orders, seals.

Before it: the database, which only appends. After it: `OperatorService.VerifyAudit` and the command
`tools.verify_audit`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from services.control.store import Row, queries
from tradingtools.domain.audit import (
    GENESIS,
    Break,
    Change,
    Event,
    OrderHead,
    Seal,
    change_break,
    order_break,
    seal_break,
)

_SQL = queries("operators/audit")
_CHANGES = 1000
_ORDERS = 200

Rows = Callable[..., Awaitable[Sequence[Row]]]
"""Asks a query with named values; all its rows."""


class Part(StrEnum):
    """The parts that are verified, in this order."""

    CHANGES = "CHANGES"
    """The audit of control changes."""
    ORDERS = "ORDERS"
    """The chain of each order, and its row."""
    SEALS = "SEALS"
    """The seals over the events of all orders and over the audit of changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of one part's verification."""

    part: Part
    checked: int
    """Changes, orders or seals."""
    done: bool = False
    """Nothing more comes of this part: it was read to its end, or it is broken."""
    broken: Break | None = None
    sealed_to: int = 0
    """The last event that a seal covers; what comes after it can still be cut off unseen."""


async def verified(url: str) -> list[Progress]:
    """Return how each part of a database's audit ended. Raises psycopg.Error."""
    async with await psycopg.AsyncConnection.connect(
        url, autocommit=True, row_factory=dict_row
    ) as connection:

        async def rows(query: LiteralString, **values: Any) -> Sequence[dict[str, Any]]:
            return await (await connection.execute(query, values)).fetchall()

        return [progress async for progress in verify(rows) if progress.done]


async def verify(rows: Rows) -> AsyncIterator[Progress]:
    """Verify everything; each part to its end or to its first break.

    Memory is bounded by a page: 200 orders, or the events of one seal.

    Raises:
        What ``rows`` raises.
    """
    for part in (_changes, _orders, _seals):
        async for progress in part(rows):
            yield progress
            if progress.broken is not None:
                break


async def _changes(rows: Rows) -> AsyncIterator[Progress]:
    after, head, checked = 0, GENESIS, 0
    while page := await rows(_SQL["changes"], after=after, limit=_CHANGES):
        for row in page:
            found = Change(
                seq=row["seq"], text=row["text"], previous_hash=row["previous_hash"],
                hash=row["hash"],
            )  # fmt: skip
            if broken := change_break(found, head):
                yield Progress(part=Part.CHANGES, checked=checked, done=True, broken=broken)
                return
            after, head, checked = found.seq, found.hash, checked + 1
        yield Progress(part=Part.CHANGES, checked=checked)
    yield Progress(part=Part.CHANGES, checked=checked, done=True)


async def _orders(rows: Rows) -> AsyncIterator[Progress]:
    after, checked = "", 0
    while page := await rows(_SQL["histories"], after=after, limit=_ORDERS):
        for key, group in groupby(page, lambda row: str(row["order_key"])):
            history = list(group)
            events = [_event(row) for row in history if row["event_seq"] is not None]
            if broken := order_break(_head(history[0]), events):
                yield Progress(part=Part.ORDERS, checked=checked, done=True, broken=broken)
                return
            after, checked = key, checked + 1
        yield Progress(part=Part.ORDERS, checked=checked)
    yield Progress(part=Part.ORDERS, checked=checked, done=True)


async def _seals(rows: Rows) -> AsyncIterator[Progress]:
    last: Seal | None = None
    checked = 0
    while page := await rows(_SQL["seal"], after=last.seal_seq if last else 0):
        seal = _seal(page[0])
        found = await rows(_SQL["sealed_events"], after=seal.after_seq, to=seal.to_seq)
        events = [_event(row) for row in found]
        broken = seal_break(seal, last, events, page[0]["standing_hash"])
        if broken is None:
            last, checked = seal, checked + 1
        yield Progress(
            part=Part.SEALS, checked=checked, done=broken is not None, broken=broken,
            sealed_to=last.to_seq if last else 0,
        )  # fmt: skip
        if broken is not None:
            return
    yield Progress(
        part=Part.SEALS, checked=checked, done=True, sealed_to=last.to_seq if last else 0
    )


def _head(row: Mapping[str, Any]) -> OrderHead:
    return OrderHead(
        order_key=row["order_key"], body_hash=row["body_hash"], journal_seq=row["journal_seq"],
        state=row["state"], epoch=row["order_epoch"], chain_head=row["chain_head"],
    )  # fmt: skip


def _event(row: Mapping[str, Any]) -> Event:
    return Event(
        event_seq=row["event_seq"], order_key=row["order_key"], from_state=row["from_state"],
        to_state=row["to_state"], reason=row["reason"], epoch=row["epoch"],
        occurred_us=row["occurred_us"], detail=row["detail"], hash=row["hash"],
    )  # fmt: skip


def _seal(row: Mapping[str, Any]) -> Seal:
    return Seal(
        seal_seq=row["seal_seq"], after_seq=row["after_seq"], to_seq=row["to_seq"],
        event_seqs=tuple(row["event_seqs"]), digests=row["digests"], root=row["root"],
        control_seq=row["control_seq"], control_hash=row["control_hash"],
        sealed_us=row["sealed_us"], previous_hash=row["previous_hash"], hash=row["hash"],
    )  # fmt: skip
