"""Claiming one slice of an exit, in the transaction that holds its trigger and its lot.

Trigger, reservation and journal record become durable together or not at all; whoever commits the
transaction streams the claim on afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from services.guard import store
from services.guard.core import trigger as judging
from services.guard.core.exit_order import exit_order
from services.guard.core.trigger import Exit, Trigger
from services.guard.store import Change
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Claimed, Connection
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.codec.claims import claim_payload
from tradingtools.domain.book import Book
from tradingtools.domain.money import to_text
from tradingtools.domain.order import Order
from tradingtools.domain.reasons import Reason
from tradingtools.runtime import telemetry

_log = structlog.get_logger("guard.claiming")
_SHOWN_LEVELS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a slice is claimed under."""

    floor_ppm: int
    """How far below the lowest needed bid it may sell."""
    exit_ttl_ms: int
    control_seq: int
    """The last control change that was known."""
    now_ns: int
    tried: int
    """Slices that the venue has tried: each makes the next one sell lower."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed slice, to be streamed once its transaction has committed."""

    record: Claimed
    order: Order
    traceparent: str
    trigger: Trigger


async def claim_slice(
    connection: Connection,
    lease: Lease,
    row: Mapping[str, Any],
    lot: Mapping[str, Any],
    book: Book,
    change: Change,
    terms: Terms,
) -> Claim | None:
    """Claim the slice that ``change`` announces; None when nothing can be sold now.

    Args:
        connection: in the transaction that holds trigger and lot.
        lease: of the guard's partition.
        row: of the trigger.
        lot: of the trigger, with what is free of other exits.
        book: fresh.
        change: status, slice number and what was sold before.
        terms: see there.

    Raises:
        Fenced: the lease is not valid any more.
    """
    slice_number = change.slice_number or 0
    size = row["size_micros"]
    wanted = lot["shares_micros"] if size is None else size - (change.sold_micros or 0)
    sized = judging.size_exit(
        book,
        wanted_micros=max(0, wanted),
        free_micros=lot["free_micros"],
        floor_ppm=terms.floor_ppm,
        tried=terms.tried,
    )
    if isinstance(sized, Reason):
        # Another exit has the shares, or they cannot be sold: judged again on the next mark.
        _log.debug("trigger cannot sell now", trigger=row["id"], reason=sized.value)
        return None
    order = exit_order(
        row,
        sized,
        slice_number=slice_number,
        not_after_ms=terms.now_ns // 1_000_000 + terms.exit_ttl_ms,
    )
    with telemetry.span("guard.claim", trigger=row["id"]) as traceparent:
        payload = claim_payload(
            [order],
            control_seq=terms.control_seq,
            traceparent=traceparent,
            received_ns=terms.now_ns,
            routed_ns=terms.now_ns,
        )
        record = await journal.insert_claim(
            connection, lease, f"guard:{order.order_key}", payload, 1
        )
        await journal.build_rows(connection, record.seq)
        noted = replace(change, order_key=order.order_key, fired=_seen(book, sized))
        return Claim(record, order, traceparent, await store.move(connection, row, noted))


def _seen(book: Book, sized: Exit) -> dict[str, Any]:
    """The book that the guard saw when it claimed, for the trigger's history."""
    return {
        "bids": [[to_text(price), to_text(size)] for price, size in book.bids[:_SHOWN_LEVELS]],
        "book_ms": book.book_ms,
        "size": to_text(sized.size_micros),
        "limit": to_text(sized.limit_micros),
    }
