"""Claim slices of exits, in the transaction that locks their triggers and lots.

Triggers, reservations and journal record become durable together or not at all; whoever commits
the transaction streams the claim on afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from services.guard import store
from services.guard.core.exit_order import exit_order
from services.guard.core.exit_size import Exit, size_exit
from services.guard.core.trigger import Trigger
from services.guard.settings import Settings
from services.guard.store import TriggerChange
from services.guard.trigger_cache import OptimisticClaim
from tradingtools import clock
from tradingtools.codec.claims import claim_payload, order_to_pb
from tradingtools.domain import halts as halting
from tradingtools.domain.book import Book
from tradingtools.domain.exit_price import Widening
from tradingtools.domain.money import to_text
from tradingtools.domain.order import Order
from tradingtools.domain.reasons import Reason
from tradingtools.rpc.streams import Tail
from tradingtools.runtime import telemetry
from tradingtools.storage.postgres.direct import Value
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pipeline import Answer, Pipeline
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.ports import OrderBody

_log = structlog.get_logger("guard.claiming")
_SHOWN_LEVELS = 5

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClaimedSlices:
    """Slices of exits that one record claims, to be streamed once its transaction has committed."""

    answer: Answer
    """For the record's number and instant."""
    orders: tuple[Order, ...]
    traceparent: str
    control_seq: int
    """The last control change that they reflect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The results of a transaction, to be known once it has committed."""

    triggers: tuple[Trigger, ...] = ()
    """That are as they were."""
    answers: tuple[Answer, ...] = ()
    """For those that it has changed."""
    claim: ClaimedSlices | None = None
    evened: tuple[Trigger, ...] = ()
    """Stops of the same lot that were moved; they are judged soon."""


def as_it_is(row: Row) -> Outcome:
    """Leave a trigger as it is."""
    return Outcome(triggers=(store.trigger(row),))


Decide = Callable[[Pipeline, Row, Row | None], Awaitable[Outcome]]
"""Changes a locked trigger, given its row and its lot."""


class Claims:
    """Claims slices for one partition, and streams them once they are committed.

    Args:
        lease: of the guard's partition.
        tail: where claimed exits go.
        settings: of the process.
        body_of: writes the bodies of orders.
    """

    def __init__(
        self, lease: Lease, tail: Tail[pb.OrderBatch], settings: Settings, body_of: OrderBody
    ) -> None:
        self._lease = lease
        self._body_of = body_of
        self._tail = tail
        self._settings = settings
        self._widening = Widening(settings.shared.exit_floor_ppm)
        self.control_seq = 0
        """The last control change that is known."""
        self.halts: frozenset[halting.Halt] = frozenset()

    def slice(
        self,
        row: Row,
        lot: Row,
        book: Book,
        change: TriggerChange,
        *,
        desired_micros: int,
        tried: int,
    ) -> tuple[Order, TriggerChange] | None:
        """Return the order of the slice that ``change`` announces, and the change with its key.

        Args:
            row: of the trigger, locked.
            lot: of the trigger, locked, with what is free of other exits.
            book: fresh.
            change: status, slice number, rungs, and what was sold before.
            desired_micros: shares that the exit still wants to sell.
            tried: slices that the venue has tried: each makes the next one sell lower.

        Returns:
            None: a halt holds it back, another exit has the shares, or they cannot be sold. It is
            judged again on the next mark.
        """
        if self._held(row):
            return None
        sized = size_exit(
            book,
            desired_micros=desired_micros,
            free_micros=lot["free_micros"],
            below_ppm=self._widening.below_ppm(tried),
        )
        if isinstance(sized, Reason):
            _log.debug("trigger cannot sell now", trigger=row["id"], reason=sized.value)
            return None
        order = exit_order(
            row,
            sized,
            rung=max(0, (change.rungs_fired or row["rungs_fired"]) - 1),
            slice_number=change.slice_number or 0,
            not_after_ms=clock.now_ms() + self._settings.exit_ttl_ms,
            body_of=self._body_of,
        )
        return order, replace(change, order_key=order.order_key, fired=_seen(book, sized))

    def write(
        self,
        pipeline: Pipeline,
        changes: Sequence[tuple[Row, TriggerChange]],
        orders: Sequence[Order] = (),
        *,
        optimistic_claim: OptimisticClaim | None = None,
    ) -> Outcome:
        """Change locked triggers, and claim the slices of those that sell, as one record.

        Waits for no answer: all of it travels with the transaction's COMMIT, and what must not be
        committed fails there; `journal.check_refusal` tells why.

        Args:
            pipeline: in the transaction that holds them.
            changes: rows and what happens to them.
            orders: of those that fire.
            optimistic_claim: the only trigger; it is not locked yet, and changes only if it fires.
        """
        if not orders:
            if optimistic_claim is not None and changes:
                raise ValueError("what is not locked yet changes only if it fires")
            return Outcome(answers=store.change_all(pipeline, changes))
        with telemetry.span("guard.claim", exits=len(orders)) as traceparent:
            record = self._record(orders, traceparent)
            if optimistic_claim is None:
                answer = store.queue(pipeline, "claim_exits", order_count=len(orders), **record)
                outcome = Outcome(answers=store.change_all(pipeline, changes))
            else:
                ((_, change),) = changes
                answer = store.fire_foreseen(pipeline, optimistic_claim, change, **record)
                outcome = Outcome(triggers=(store.fired(optimistic_claim.trigger, change),))
            claim = ClaimedSlices(answer, tuple(orders), traceparent, self.control_seq)
            return replace(outcome, claim=claim)

    def _record(self, orders: Sequence[Order], traceparent: str) -> dict[str, Value]:
        now_ns = clock.now_ns()
        payload = claim_payload(
            orders,
            control_seq=self.control_seq,
            traceparent=traceparent,
            received_ns=now_ns,
            routed_ns=now_ns,
        )
        return {
            "record_key": _record_key(orders),
            "partition": self._lease.partition,
            "epoch": self._lease.epoch,
            "payload": payload,
        }

    def _held(self, row: Row) -> bool:
        return halting.held(
            self.halts,
            wallet=row["follower_proxy"],
            leader=row["leader"],
            condition_id=row["condition_id"],
        )

    def as_owner(self, pipeline: Pipeline) -> None:
        """Have a transaction that claims nothing fail without the lease: whoever has taken the
        partition over has read its rows, and would not learn of the change."""
        store.queue(pipeline, "as_owner", partition=self._lease.partition, epoch=self._lease.epoch)

    async def stream(self, claim: ClaimedSlices) -> None:
        """Hand a committed claim on, in the journal's order: call it under the writer's lock."""
        (record,) = await claim.answer.rows()
        self._tail.append(
            record["seq"],
            pb.OrderBatch(
                journal_seq=record["seq"],
                orders=[order_to_pb(order) for order in claim.orders],
                traceparent=claim.traceparent,
                claimed_ns=record["claimed_ns"],
                control_seq=claim.control_seq,
            ),
        )


def _record_key(orders: Sequence[Order]) -> str:
    return f"guard:{orders[0].order_key}"


def _seen(book: Book, sized: Exit) -> dict[str, Any]:
    """Return the book that the guard saw when it claimed, for the trigger's history."""
    return {
        "bids": [[to_text(price), to_text(size)] for price, size in book.bids[:_SHOWN_LEVELS]],
        "book_ms": book.book_ms,
        "size": to_text(sized.size_micros),
        "limit": to_text(sized.limit_micros),
    }
