"""Claiming one slice of an exit, in the transaction that holds its trigger and its lot.

Trigger, reservation and journal record become durable together or not at all; whoever commits the
transaction streams the claim on afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from services.guard import store
from services.guard.core import halts as halting
from services.guard.core.exit_order import exit_order
from services.guard.core.exit_size import Exit, Floor, size_exit
from services.guard.core.trigger import Trigger
from services.guard.settings import Settings
from services.guard.store import Change
from tradingtools.adapters import clock
from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.journal import Claimed, Connection
from tradingtools.adapters.postgres.lease import Lease
from tradingtools.codec.claims import claim_payload, order_to_pb
from tradingtools.domain.book import Book
from tradingtools.domain.money import to_text
from tradingtools.domain.order import Order
from tradingtools.domain.reasons import Reason
from tradingtools.runtime import telemetry
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb

_log = structlog.get_logger("guard.claiming")
_SHOWN_LEVELS = 5


Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed slice, to be streamed once its transaction has committed."""

    record: Claimed
    order: Order
    traceparent: str
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Moved:
    """A trigger, and others of its lot that its transaction has changed."""

    trigger: Trigger
    others: tuple[Trigger, ...]


Outcome = Trigger | Claim | Moved
"""A trigger as its transaction leaves it, with what else became durable in it."""
Decide = Callable[[Connection, Row, Row | None], Awaitable[Outcome]]
"""Changes a locked trigger, given its row and its lot."""


class Claims:
    """Claims slices for one partition, and streams them once they are committed.

    Args:
        lease: of the guard's partition.
        tail: where claimed exits go.
        settings: of the process.
    """

    def __init__(self, lease: Lease, tail: Tail[pb.OrderBatch], settings: Settings) -> None:
        self._lease = lease
        self._tail = tail
        self._settings = settings
        self._floor = Floor(
            first_ppm=settings.floor_ppm,
            step_ppm=settings.widen_ppm,
            widest_ppm=settings.widest_ppm,
        )
        self.control_seq = 0
        """The last control change that is known."""
        self.halts: frozenset[halting.Halt] = frozenset()

    async def claim(
        self,
        connection: Connection,
        row: Row,
        lot: Row,
        book: Book,
        change: Change,
        *,
        wanted_micros: int,
        tried: int,
    ) -> Outcome:
        """Claim the slice that ``change`` announces; the trigger as it is when that cannot be.

        Args:
            connection: in the transaction that holds trigger and lot.
            row: of the trigger.
            lot: of the trigger, with what is free of other exits.
            book: fresh.
            change: status, slice number, rungs, and what was sold before.
            wanted_micros: shares that the exit still wants to sell.
            tried: slices that the venue has tried: each makes the next one sell lower.

        Raises:
            Fenced: the lease is not valid any more.
        """
        if self._held(row):
            return store.trigger(row)
        sized = size_exit(
            book,
            wanted_micros=wanted_micros,
            free_micros=lot["free_micros"],
            below_ppm=self._floor.below(tried),
        )
        if isinstance(sized, Reason):
            # Another exit has the shares, or they cannot be sold: judged again on the next mark.
            _log.debug("trigger cannot sell now", trigger=row["id"], reason=sized.value)
            return store.trigger(row)
        now_ns = clock.now_ns()
        order = exit_order(
            row,
            sized,
            rung=max(0, (change.rungs_fired or row["rungs_fired"]) - 1),
            slice_number=change.slice_number or 0,
            not_after_ms=now_ns // 1_000_000 + self._settings.exit_ttl_ms,
        )
        with telemetry.span("guard.claim", trigger=row["id"]) as traceparent:
            record = await self._write(connection, order, traceparent, now_ns)
            noted = replace(change, order_key=order.order_key, fired=_seen(book, sized))
            return Claim(record, order, traceparent, await store.move(connection, row, noted))

    async def _write(
        self, connection: Connection, order: Order, traceparent: str, now_ns: int
    ) -> Claimed:
        payload = claim_payload(
            [order],
            control_seq=self.control_seq,
            traceparent=traceparent,
            received_ns=now_ns,
            routed_ns=now_ns,
        )
        record = await journal.insert_claim(
            connection, self._lease, f"guard:{order.order_key}", payload, 1
        )
        await journal.build_rows(connection, record.seq)
        return record

    def _held(self, row: Row) -> bool:
        return halting.held(
            self.halts,
            wallet=row["follower_proxy"],
            leader=row["leader"],
            condition_id=row["condition_id"],
        )

    def stream(self, claim: Claim) -> None:
        """Hand a committed claim on, in the journal's order: call it under the writer's lock."""
        self._tail.append(
            claim.record.seq,
            pb.OrderBatch(
                journal_seq=claim.record.seq,
                orders=[order_to_pb(claim.order)],
                traceparent=claim.traceparent,
                claimed_ns=claim.record.claimed_ns,
                control_seq=self.control_seq,
            ),
        )


def _seen(book: Book, sized: Exit) -> dict[str, Any]:
    """The book that the guard saw when it claimed, for the trigger's history."""
    return {
        "bids": [[to_text(price), to_text(size)] for price, size in book.bids[:_SHOWN_LEVELS]],
        "book_ms": book.book_ms,
        "size": to_text(sized.size_micros),
        "limit": to_text(sized.limit_micros),
    }
