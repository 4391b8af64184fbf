"""Claim several buys with one commit, each planned as if those before it were durable.

`claim_writer` holds the lock. The records are those of buys that are claimed one by one. State
changes that do not become durable are reverted ([decision](../../docs/adr/0023-batches.md)).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import psycopg
import structlog

from services.router.claim_records import BatchableBuy, ClaimRequest, received_ns, record_key
from services.router.claim_scheduler import CHUNK, MIN_PART
from services.router.claimer import Claimer
from services.router.core.entry_plan import plan_entries
from services.router.core.records import Plan
from services.router.core.router_state import RouterState
from services.router.core.state_updates import AppliedPlan, apply, revert
from tradingtools import clock
from tradingtools.domain.subscription import SubscriptionState
from tradingtools.runtime import telemetry
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.direct import Connection
from tradingtools.storage.postgres.journal import Claim
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("router.batch_claimer")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A judgement that is noted and not durable yet."""

    request: ClaimRequest
    plan: Plan
    claim: Claim
    applied: AppliedPlan


class BatchClaimer:
    """Makes the plans of several buys durable at once and hands their orders on.

    Args:
        pool: of the deciding database.
        lease: the right to write for the partition.
        state: what the router knows.
        claimer: of single trades; what plans are made of and where they go is the same.
    """

    def __init__(self, pool: Pool, lease: Lease, state: RouterState, claimer: Claimer) -> None:
        self._pool = pool
        self._lease = lease
        self._state = state
        self._claimer = claimer

    async def claim(self, buys: Sequence[BatchableBuy], should_yield: Callable[[], bool]) -> int:
        """Judge buys that have come together, each as if those before were durable, and commit.

        Args:
            buys: of distinct leader trades, in their order.
            should_yield: whether a small claim waits; then some are left for the next time.

        Returns:
            How many are claimed, from the first.

        Raises:
            Fenced: the partition is another's.
            psycopg.OperationalError: none is committed as far as is known; memory is as before.
            psycopg.errors.UniqueViolation: one was claimed before, and none now.
        """
        drafts: list[_Draft] = []
        with ExitStack() as under_way:
            async with self._pool.connection() as connection:
                try:
                    async for draft in self._drafts(buys, should_yield):
                        drafts.append(draft)
                        under_way.enter_context(self._state.under_way(draft.request.trade))
                    claims = [draft.claim for draft in drafts]
                    claimed = await journal.insert_claims(connection, self._lease, claims)
                except BaseException:
                    for draft in reversed(drafts):
                        revert(self._state, draft.applied)
                    raise
                # Committed: from here on a crash loses nothing, the executor finds the records.
                for draft, record in zip(drafts, claimed, strict=True):
                    self._state.know(draft.request.trade)
                    self._claimer.hand_on(draft.request, draft.plan, record)
                done = zip(drafts, claimed, strict=True)
                empty = [record.seq for draft, record in done if not draft.plan.orders]
                await self._build_rows(connection, empty)
        return len(drafts)

    async def _drafts(
        self, buys: Sequence[BatchableBuy], should_yield: Callable[[], bool]
    ) -> AsyncIterator[_Draft]:
        copies = seen = 0
        for entries in buys:
            if copies - seen >= CHUNK:
                seen = copies
                await asyncio.sleep(0)
            if copies >= MIN_PART and should_yield():
                return
            yield self._draft(entries)
            copies += len(entries.part.ids)

    def _draft(self, entries: BatchableBuy) -> _Draft:
        """Judge a buy and note what comes of it, for the next one to see."""
        trade = self._state.with_known_rows(entries.trade)
        with telemetry.span("router.claim", trade.traceparent, cause=entries.cause) as traceparent:
            request = ClaimRequest(
                trade=trade,
                book=entries.newest_book(),
                cause=entries.cause,
                followers=self._claimer.subscriptions(entries.part),
                control_seq=self._state.control_seq,
                traceparent=traceparent,
                received_ns=received_ns(trade, entries.cause),
                part=entries.part,
            )
            inputs = self._claimer.inputs(request)
            # Noting the plan changes the state's own.
            known = dict(self._state.copies.get(trade.key, {}))
            inputs.judging((), known)
            plan = plan_entries(
                trade,
                [s for s in request.followers if s.state is not SubscriptionState.DELETED],
                known,
                inputs.context,
            )
            inputs.plan = plan
            request = replace(request, inputs=inputs)
        claim = self._claimer.claim_of(request, plan)
        self._claimer.record(request, claim)
        applied = apply(self._state, trade, plan, clock.now_ms())
        return _Draft(request=request, plan=plan, claim=claim, applied=applied)

    async def durable(self, buys: Sequence[BatchableBuy]) -> list[BatchableBuy]:
        """Return the buys whose record is in the journal, whoever claimed them.

        Raises:
            psycopg.OperationalError: the database does not say.
        """
        keys = [
            record_key(one.trade.key, one.cause, one.part, self._lease.partition) for one in buys
        ]
        async with self._pool.connection() as connection:
            there = await journal.there(connection, keys)
        return [one for one, key in zip(buys, keys, strict=True) if key in there]

    async def _build_rows(self, connection: Connection, records: Sequence[int]) -> None:
        """Build the rows of records without orders; if it fails, the executor builds them."""
        try:
            await journal.build_rows_together(connection, records)
        except psycopg.Error as error:
            _log.warning("rows not built", error=str(error).strip())
