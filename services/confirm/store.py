"""Write bookings and ends to PostgreSQL: a batch in one transaction, its orders locked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.confirm.core import booking
from services.confirm.core import contradiction as judging
from services.confirm.core.booking import FillStatus, Step
from services.confirm.core.contradiction import Booked, Finding, SentOrder
from services.confirm.ledger import Ledger, Smallest, unknown
from services.confirm.queries import QUERIES, as_json, every, pipelined_row, pipelined_rows
from tradingtools.domain.order_states import FailedKind, OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.domain.venue_order import VenueOrder
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pipeline import Pipeline, pipelined
from tradingtools.storage.postgres.pool import Pool

ACTOR = "confirm"
Answers = Mapping[str, VenueOrder]
"""What insiders-api says of orders, by key."""
_TAKES_FILLS = (OrderState.SUBMITTED, OrderState.RESURRECTED)
_REASONS = {OrderState.DEAD: Reason.CONTRADICTION, OrderState.RESURRECTED: Reason.APPEARED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedOrder:
    """The report on one order, to be booked."""

    order_key: str
    answer: VenueOrder | None
    """Of insiders-api, about this key; None: it has ended elsewhere, and only that is reported."""
    again_ms: int | None = None
    """When it is checked again if it stays SUBMITTED; None: when it was to be anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingResult:
    """The effect of one answer on an order."""

    before: OrderState
    state: OrderState
    problem: str = ""
    """Why the answer cannot be about this order; empty: it can."""


async def fetch(pool: Pool, name: str, **values: Any) -> list[dict[str, Any]]:
    """Return all rows of one named query."""
    async with pool.connection() as connection:
        return await every(connection, name, values)


async def execute(pool: Pool, name: str, **values: Any) -> None:
    """Run one named statement."""
    async with pool.connection() as connection:
        await connection.execute(QUERIES[name], values)


async def postpone(pool: Pool, *orders: dict[str, Any]) -> None:
    """Ask for orders again `later`, those that are still as they were read."""
    async with pool.connection() as connection:
        if orders:
            await connection.execute(QUERIES["postpone"], {"orders": as_json(orders)})


def later(order: Mapping[str, Any], milliseconds: int, not_found_count: int) -> dict[str, Any]:
    """Return when an order, as it was read, is to be asked for again."""
    return {
        **{name: order[name] for name in ("order_key", "state", "epoch", "next_check_at")},
        "milliseconds": milliseconds,
        "not_found_count": not_found_count,
    }


async def transition(pool: Pool, transitions: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Apply transitions; returns the keys that changed with their event numbers."""
    async with pool.connection() as connection, connection.transaction():
        return await journal.apply_transitions(connection, transitions)


async def take(
    pool: Pool,
    lease: Lease,
    batch: Sequence[ReportedOrder],
    now_ns: int,
    smallest: Smallest = unknown,
) -> list[BookingResult]:
    """Take answers under their orders' keys: move the orders, book what is new, end what has ended.

    A crash before the commit changes nothing; repeating changes nothing twice. When an order turns
    out RESURRECTED, its wallet is set to REDUCING in the same transaction.

    Args:
        pool: of the deciding database.
        lease: of the process that books.
        batch: of different orders.
        now_ns: for the orders' times of confirmation.
        smallest: of a market's orders: what is less counts as no position.

    Raises:
        Fenced: somebody else books now.
        LookupError: an order is not there.
    """
    reducing: frozenset[str] = frozenset()
    while True:
        try:
            return await _take(pool, lease, batch, now_ns, smallest, reducing)
        except _ControlLockNeeded as again:
            reducing = again.appeared


class _ControlLockNeeded(Exception):
    """The control lock comes before any row: for which orders it is needed was guessed wrong."""

    def __init__(self, appeared: frozenset[str]) -> None:
        super().__init__()
        self.appeared = appeared


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """The meaning of an answer for its order as it stands."""

    reported: ReportedOrder
    before: OrderState
    target: OrderState | None = None
    """None: it stays."""
    problem: str = ""
    steps: tuple[Step, ...] = ()
    ending: booking.End | None = None


async def _take(
    pool: Pool,
    lease: Lease,
    batch: Sequence[ReportedOrder],
    now_ns: int,
    smallest: Smallest,
    reducing: frozenset[str],
) -> list[BookingResult]:
    """Do it in one transaction; raises _BeginAgain, and has changed nothing."""
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        for order_key in sorted(reducing):
            await _reduce(pipeline, order_key)
        ledger = Ledger(pipeline, smallest)
        await ledger.lock(lease, (reported.order_key for reported in batch))
        verdicts = [_judge(ledger, reported) for reported in batch]
        appeared = frozenset(
            v.reported.order_key for v in verdicts if v.target is OrderState.RESURRECTED
        )
        if appeared != reducing:
            raise _ControlLockNeeded(appeared)
        for verdict in verdicts:
            _move(pipeline, ledger, verdict)
        taken = [await _book(pipeline, ledger, v, now_ns) for v in verdicts]
        for reported, each in zip(batch, taken, strict=True):
            if reported.again_ms is not None and each.state is OrderState.SUBMITTED:
                ledger.check_again(reported.order_key, reported.again_ms)
        await ledger.write()
        return taken


async def news(pool: Pool, ended: Mapping[str, Mapping[str, Any]], answers: Answers) -> Answers:
    """Return the answers that do not leave their orders as they are; read without a lock, nobody
    waits.

    Args:
        pool: of the deciding database.
        ended: rows of ``watched``, by key. A RESURRECTED one may always have fills to be booked.
        answers: of insiders-api, each about its key.
    """
    fills: dict[str, dict[str, Booked]] = defaultdict(dict)
    for row in await fetch(pool, "fills", keys=sorted(answers)):
        fills[row["order_key"]][row["trade_id"]] = booked(row)
    return {
        key: answer for key, answer in answers.items() if _is_news(ended[key], fills[key], answer)
    }


def _is_news(ended: Mapping[str, Any], known: Mapping[str, Booked], answer: VenueOrder) -> bool:
    if ended["state"] == OrderState.RESURRECTED:
        return True
    try:
        _, target = _follows(ended, known, answer)
    except Exception:  # noqa: BLE001 - whoever takes it, by itself, says what is wrong with it
        return True
    return target is not None


async def _reduce(pipeline: Pipeline, order_key: str) -> None:
    wallet = (await pipelined_row(pipeline, "wallet", {"order_key": order_key}))["follower_proxy"]
    pipeline.queue(
        QUERIES["reduce_wallet"],
        {"wallet": wallet, "actor": ACTOR, "reason": f"order {order_key} appeared after its end"},
    )


def _judge(ledger: Ledger, reported: ReportedOrder) -> _Verdict:
    order, rows = ledger.orders[reported.order_key], ledger.fills(reported.order_key)
    before = OrderState(order["state"])
    if reported.answer is None:
        return _Verdict(reported=reported, before=before)
    ours, known = _ours(order), {trade_id: booked(row) for trade_id, row in rows.items()}
    found, target = _follows(order, known, reported.answer)
    takes = (target or before) in _TAKES_FILLS and found is not Finding.CONTRADICTION
    statuses = {trade_id: fill.status for trade_id, fill in known.items()}
    steps = booking.steps(statuses, reported.answer) if takes else []
    return _Verdict(
        reported=reported,
        before=before,
        target=target,
        problem=judging.contradiction(ours, known, reported.answer)
        if found is Finding.CONTRADICTION
        else "",
        steps=tuple(steps),
        ending=booking.end(booking.after(statuses, steps), reported.answer) if takes else None,
    )


def _follows(
    order: Mapping[str, Any], known: Mapping[str, Booked], answer: VenueOrder
) -> tuple[Finding, OrderState | None]:
    found = judging.finding(_ours(order), known, answer)
    kind = FailedKind(order["failed_kind"]) if order["failed_kind"] else None
    return found, judging.follows(OrderState(order["state"]), kind, found)


def _ours(order: Mapping[str, Any]) -> SentOrder:
    return SentOrder(
        side=order["side"],
        asset_id=order["asset_id"],
        follower_proxy=order["follower_proxy"],
        size_micros=order["size_micros"],
        venue_order_id=order["venue_order_id"],
    )


def booked(row: Mapping[str, Any]) -> Booked:
    """Return a fill's row as the core knows it."""
    return Booked(
        status=FillStatus(row["status"]),
        size_micros=row["size_micros"],
        notional_micros=row["notional_micros"],
        fee_micros=row["fee_micros"],
    )


def _move(pipeline: Pipeline, ledger: Ledger, verdict: _Verdict) -> None:
    key, answer = verdict.reported.order_key, verdict.reported.answer
    if verdict.target is None or answer is None:
        return
    ledger.move(
        key,
        verdict.target,
        reason=_REASONS.get(verdict.target, Reason.NONE),
        venue_order_id=None if verdict.problem else answer.order_id or None,
        detail=verdict.problem or None,
    )
    if verdict.target is OrderState.RESURRECTED:
        # It may still fill: what it was to cost is set aside again until the venue gateway is done.
        ledger.apply()
        pipeline.queue(QUERIES["reserve_again"], {"order_key": key})


async def _book(
    pipeline: Pipeline, ledger: Ledger, verdict: _Verdict, now_ns: int
) -> BookingResult:
    """Book what is new in an answer, and end what has ended."""
    key, state, ending = (
        verdict.reported.order_key,
        verdict.target or verdict.before,
        verdict.ending,
    )
    for step in verdict.steps:
        ledger.book(key, step)
    if verdict.reported.answer is None:
        ledger.close(key)
    elif ending is not None and state is OrderState.RESURRECTED:
        # A person ends it; but nothing more can fill, so nothing more is set aside.
        if await pipelined_rows(pipeline, "release", {"order_key": key}):
            ledger.close(key, again=state)
    elif ending is not None:
        state = ending.state
        ledger.move(
            key, state, failed_kind=ending.failed_kind, reason=ending.reason, confirmed_ns=now_ns
        )
        ledger.close(key)
    return BookingResult(before=verdict.before, state=state, problem=verdict.problem)
