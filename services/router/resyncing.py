"""Previews and executions of resyncs: read, judge, commit, hand on.

Control writes the request; this answers in the same row. The orders of an execution are
claimed in the transaction that ends the resync: whoever repeats it finds it ended. A crash before
that commit leaves it open, and it is done from the start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
import structlog

from services.router import store
from services.router.claim_records import order_batch
from services.router.core import resync
from services.router.core.ledger import DAY_MS
from services.router.core.order_factory import OrderSubject, make_order
from services.router.core.router_state import RouterState
from services.router.core.sizing import Sized
from services.router.core.state_updates import open_entry
from services.router.outcomes import QUERIES, Outcomes, Row, every, fetch
from services.router.settings import Settings
from tradingtools import clock
from tradingtools.codec.claims import claim_payload
from tradingtools.domain import ids
from tradingtools.domain.exit_price import Widening
from tradingtools.domain.leader_trade import Side, TradeKey
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.reasons import Reason
from tradingtools.domain.resync import Line, ResyncKind, ResyncState, line_from_json, line_json
from tradingtools.domain.subscription import Subscription, SubscriptionState
from tradingtools.rpc.streams import Tail
from tradingtools.runtime.books import Books
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.journal import Claim, Claimed
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as pb
from tradingtools.venues.ports import OrderBody

_log = structlog.get_logger("router.resyncing")
_POLL_SECONDS = 1.0
_AGAIN_SECONDS = 5.0
_MAY_COME = frozenset(
    {
        Reason.HOLDING_UNKNOWN,
        Reason.WAITING_FOR_ENTRY,
        Reason.BOOK_STALE,
        Reason.MARKET_UNKNOWN,
    }
)
"""What a start waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Parts that resyncs share with the copies of the partition."""

    state: RouterState
    claim_lock: asyncio.Lock
    """Held by whoever claims."""
    refresh: Callable[[], Awaitable[None]]
    """Loads what has changed in the control surface."""
    catch_up: Callable[[], Awaitable[object]]
    """Takes over what is durable, or ends the process."""
    body_of: OrderBody


class Resyncs:
    """The resyncs of one partition.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        books: newest books.
        tail: where committed claims go.
        settings: of the process.
        shared: with the router.
    """

    def __init__(
        self,
        pool: Pool,
        lease: Lease,
        books: Books,
        tail: Tail[pb.OrderBatch],
        settings: Settings,
        shared: Shared,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._books = books
        self._tail = tail
        self._settings = settings
        self._state = shared.state
        self._claim_lock = shared.claim_lock
        self._refresh = shared.refresh
        self._catch_up = shared.catch_up
        self._body_of = shared.body_of
        self._outcomes = Outcomes(pool, lease, books, settings, shared.state, shared.claim_lock)
        self._woken = asyncio.Event()
        self._later: dict[str, float] = {}
        """When a start that waits is looked at again, monotonic seconds."""

    def wake(self) -> None:
        """Look for requests soon: the control surface has changed."""
        self._woken.set()

    async def run(self) -> None:
        """Answer requests of resyncs, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.poll()
            except psycopg.OperationalError as error:
                _log.warning("resyncs wait", error=str(error).strip())

    async def poll(self) -> None:
        """Answer the requests of resyncs that wait now."""
        now = clock.monotonic()
        self._later = {name: due for name, due in self._later.items() if due > now}
        for row in await fetch(self._pool, "open_resyncs"):
            owner = ids.partition_of(row["follower_proxy"], self._settings.partitions)
            if owner != self._lease.partition or row["id"] in self._later:
                continue
            # The request knew the subscription as it is: so does the answer.
            await self._refresh()
            try:
                await self._answer(row)
            except (psycopg.OperationalError, Fenced):
                raise
            except Exception as error:  # noqa: BLE001 - one of them must not stop all copying
                _log.error("resync failed", resync=row["id"], exc_info=error)
                await self._end(row["id"], "it could not be judged; the log of the router has why")

    async def _answer(self, row: Row) -> None:
        if row["state"] == ResyncState.REQUESTED:
            await self._preview(row)
        if row["state"] == ResyncState.EXECUTING or row["kind"] == ResyncKind.START:
            await self._execute(row)

    async def _preview(self, row: Row) -> None:
        subscription = self._state.index.subscription(row["subscription_id"])
        if subscription is None:
            return
        start = row["kind"] == ResyncKind.START
        impatient = row["waits_ms"] >= self._settings.start_patience_ms
        if start and subscription.state is SubscriptionState.DELETED:
            await self._end(row["id"], "the subscription is deleted")
            return
        holdings = await self._outcomes.leader_holdings(subscription, row["id"])
        known = holdings is not None and holdings["lately"] and (not start or holdings["since"])
        if start and not known:
            if impatient:
                await self._end(row["id"], "what the leader holds was not told in time")
            self._later[row["id"]] = clock.monotonic() + _AGAIN_SECONDS
            return
        outcomes, omitted = await self._outcomes.shown(subscription, known=known)
        lines = resync.plan(
            row["id"],
            subscription,
            outcomes,
            leader_equity_micros=holdings["equity_micros"]
            if holdings is not None and known
            else None,
            now_ms=clock.now_ms(),
            widening=Widening(self._settings.shared.exit_floor_ppm),
        )
        if start and not impatient and any(line.reason in _MAY_COME for line in lines):
            self._later[row["id"]] = clock.monotonic() + _AGAIN_SECONDS
            return
        preview = {
            "id": row["id"],
            # A start needs no confirmation.
            "state": ResyncState.EXECUTING if start else ResyncState.PREVIEWED,
            "subscription_version": subscription.version,
            "lines": json.dumps([line_json(line) for line in lines]),
            "omitted": omitted,
            "told_at": holdings["asked_at"] if holdings is not None else None,
        }
        async with self._pool.connection() as connection:
            await connection.execute(QUERIES["put_preview"], preview)

    async def _execute(self, row: Row) -> None:
        # Taken together: a pause that comes while this waits is seen by the executor's gate.
        subscription = self._state.index.subscription(row["subscription_id"])
        control_seq = self._state.control_seq
        if subscription is None:
            return
        holdings = await self._outcomes.leader_holdings(subscription, row["id"])
        known = holdings is not None and bool(holdings["lately"])
        async with self._claim_lock:
            await self._outcomes.build_rows()
            try:
                # A crash from here to the commit leaves nothing: record, rows and end are one.
                async with store.exiting(self._pool) as connection:
                    claimed = await self._claim(
                        connection, row["id"], subscription, control_seq, known=known
                    )
            except psycopg.OperationalError:
                # The commit may have happened: nobody claims before memory knows.
                await self._catch_up()
                raise
            if claimed is not None:
                self._hand_on(*claimed, control_seq)

    async def _claim(
        self,
        connection: Connection,
        resync_id: str,
        subscription: Subscription,
        control_seq: int,
        *,
        known: bool,
    ) -> tuple[Claimed, list[Order]] | None:
        """Claim the orders of a preview that still holds, and end the resync; None: no orders."""
        ttl_ms = self._settings.resync_ttl_ms
        found = await every(connection, "lock_resync", id=resync_id, ttl_ms=ttl_ms)
        if not found or found[0]["state"] != ResyncState.EXECUTING:
            return None
        lines = [line_from_json(values) for values in found[0]["lines"]]
        outcomes = await self._outcomes.locked(connection, subscription, lines, known=known)
        objection = "the preview is too old" if found[0]["expired"] else ""
        objection = objection or resync.objection(
            subscription, found[0]["subscription_version"], lines, outcomes
        )
        await _end(connection, resync_id, objection)
        orders = [
            self._order(resync_id, subscription, line, line.side)
            for line in lines
            if line.side is not None and not objection
        ]
        if not orders:
            _log.info("resync has ended without orders", resync=resync_id, why=objection)
            return None
        payload = claim_payload(
            orders,
            control_seq=control_seq,
            traceparent="",
            # No leader's trade was received: what a copy's delay is counted from.
            received_ns=0,
            routed_ns=clock.now_ns(),
        )
        claimed = await journal.insert_claim(
            connection,
            self._lease,
            Claim(record_key=f"resync:{resync_id}", payload=payload, order_count=len(orders)),
        )
        await journal.build_rows(connection, claimed.seq)
        return claimed, orders

    def _order(self, resync_id: str, subscription: Subscription, line: Line, side: Side) -> Order:
        buying = side is Side.BUY
        ttl = self._settings.entry_ttl_ms if buying else self._settings.exit_ttl_ms
        book = self._books.known(line.asset_id)
        return make_order(
            OrderSubject(
                TradeKey(
                    leader_tx="", leader=subscription.leader, asset_id=line.asset_id, side=side
                ),
                line.condition_id,
            ),
            subscription,
            ids.resync_copy_key(resync_id, line.asset_id),
            0,
            Purpose.ENTRY if buying else Purpose.COPY_EXIT,
            Sized(line.size_micros, line.limit_micros),
            clock.now_ms() + ttl,
            book.market.fee_rate_micros if book is not None else 0,
            body_of=self._body_of,
        )

    def _hand_on(self, claimed: Claimed, orders: Sequence[Order], control_seq: int) -> None:
        day = clock.now_ms() // DAY_MS
        for order in orders:
            if order.purpose is Purpose.ENTRY:
                self._state.ledger.reserve(order.order_key, open_entry(order, day))
        batch = order_batch(claimed, orders, control_seq=control_seq, traceparent="", received_ns=0)
        self._tail.append(claimed.seq, batch)

    async def _end(self, resync_id: str, detail: str) -> None:
        async with self._pool.connection() as connection:
            await _end(connection, resync_id, detail)


async def _end(connection: Connection, resync_id: str, detail: str) -> None:
    state = ResyncState.STALE if detail else ResyncState.EXECUTED
    values = {"id": resync_id, "state": state, "detail": detail}
    await connection.execute(QUERIES["end_resync"], values)
