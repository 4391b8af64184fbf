"""Resyncs in PostgreSQL: asked for here, answered by the router in the same row.

The router is woken by the change; whoever asks waits a little for its answer and otherwise gets the
resync as it stands. Both steps are durable before anybody acts on them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.control.auth.tokens import Caller
from services.control.paging import Key
from services.control.preconditions import refuse_other_version
from services.control.resyncs.requests import insert_request
from services.control.store import SOURCE, RequestId, Row, Store, queries
from tradingtools import clock
from tradingtools.domain.errors import Conflict, NotFound, WrongState
from tradingtools.domain.resync import ResyncKind, ResyncState
from tradingtools.domain.subscription import SubscriptionState

RESYNC = "resync"
_KIND = "subscription"
_SQL = queries("resyncs/queries")
_OPEN = (ResyncState.REQUESTED, ResyncState.EXECUTING)
_FIRST_POLL_SECONDS = 0.01


class Resyncs:
    """The resyncs in a store.

    Args:
        store: of the rows.
        wait_ms: for how long an answer of the router is waited for.
    """

    def __init__(self, store: Store, *, wait_ms: int) -> None:
        self._store = store
        self._wait_seconds = wait_ms / 1000

    async def create(self, caller: Caller, idempotency: RequestId | None, subscription: Row) -> Row:
        """A preview; still REQUESTED when the router takes longer.

        Raises:
            WrongState: the subscription is deleted.
            RequestIdReused: the key came with another request.
        """
        if subscription["state"] == SubscriptionState.DELETED:
            raise WrongState(
                "the subscription is deleted",
                kind=_KIND,
                id=subscription["id"],
                state="DELETED",
            )
        async with self._store.change(caller, SOURCE) as change:
            known = await change.known_resource(idempotency)
            if known is None:
                known = await insert_request(change, subscription, ResyncKind.ASKED)
                await change.remember(idempotency, known)
                await change.record(
                    "preview resync",
                    _KIND,
                    subscription["id"],
                    before=None,
                    after={"resync": known},
                )
        return await self._answered(known)

    async def execute(self, caller: Caller, identifier: str, *, version: int | None) -> Row:
        """Have a preview done; repeating changes nothing. EXECUTING when the router takes longer.

        Raises:
            NotFound: it is not there.
            WrongState: it has no lines yet.
            Conflict: it is stale, or ``version`` is given and not the present one.
        """
        async with self._store.change(caller, SOURCE) as change:
            row = await change.row(_SQL["lock"], id=identifier)
            if row is None:
                raise _not_found(identifier)
            if row["state"] == ResyncState.REQUESTED:
                raise WrongState(
                    "the preview has no lines yet", kind=RESYNC, id=identifier, state=row["state"]
                )
            if row["state"] == ResyncState.PREVIEWED:
                refuse_other_version(RESYNC, row, version)
                await change.rows(_SQL["execute"], id=identifier)
                done = {"resync": identifier, "lines": row["lines"]}
                await change.record(
                    "execute resync", _KIND, row["subscription_id"], before=None, after=done
                )
        found = await self._answered(identifier)
        if found["state"] == ResyncState.STALE:
            raise Conflict(f"the preview is stale: {found['detail']}", kind=RESYNC, id=identifier)
        return found

    async def get(self, identifier: str) -> Row:
        """One resync; raises NotFound."""
        rows = await self._store.rows(_SQL["get"], id=identifier)
        if not rows:
            raise _not_found(identifier)
        return rows[0]

    async def list(self, subscription_id: str, after: Key | None, limit: int) -> Sequence[Row]:
        """A subscription's resyncs, newest first, after (instant, id)."""
        at, (identifier,) = after or (None, [""])
        return await self._store.rows(
            _SQL["list"], id=subscription_id, after_at=at, after_id=identifier, limit=limit
        )

    async def _answered(self, identifier: str) -> Row:
        deadline, pause = clock.monotonic() + self._wait_seconds, _FIRST_POLL_SECONDS
        while True:
            found = await self.get(identifier)
            left = deadline - clock.monotonic()
            if found["state"] not in _OPEN or left <= 0:
                return found
            await asyncio.sleep(min(pause, left))
            pause *= 2


def _not_found(identifier: str) -> NotFound:
    return NotFound(f"no resync {identifier}", kind=RESYNC, id=identifier)
