"""Carry out what operators have decided about DEAD and RESURRECTED orders.

Before it: control, which has recorded the decision with its audit. One transaction moves the order,
books or undoes its fills, releases its money and says what came of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import psycopg
import structlog

from services.confirm import store
from services.confirm.core import operator_resolution
from services.confirm.core.operator_resolution import OperatorDecision
from services.confirm.ledger import Ledger
from services.confirm.queries import QUERIES, pipelined_rows
from tradingtools import clock
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.reasons import Reason
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pipeline import Pipeline, pipelined
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("confirm.resolutions")
_PAUSE_SECONDS = 0.25
_BROKEN = "it cannot be carried out; the log of confirm says why"

Write = Callable[[Callable[[], Awaitable[str]]], Awaitable[str]]


async def run(pool: Pool, lease: Lease, write: Write) -> None:
    """Carry out what operators have decided, for ever; ``write`` books one thing at a time."""
    while True:
        try:
            await poll(pool, lease, write)
        except psycopg.OperationalError as error:
            _log.warning("operators' decisions wait", error=str(error))
        await asyncio.sleep(_PAUSE_SECONDS)


async def poll(pool: Pool, lease: Lease, write: Write) -> None:
    """Carry out what waits now; one that cannot be is refused and holds nobody up.

    Raises:
        Fenced: somebody else books now.
        psycopg.OperationalError: the database went away; nothing was concluded.
    """
    for row in await store.fetch(pool, "resolutions"):
        try:
            await write(partial(carry_out, pool, lease, row, clock.now_ns()))
        except (Fenced, psycopg.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - a contradiction about one order is its own
            _log.error("an operator's decision cannot be carried out; a person has to look",
                       order=row["order_key"], exc_info=error)  # fmt: skip
            await store.execute(pool, "end_resolution", id=row["id"], refused=_BROKEN)


async def carry_out(pool: Pool, lease: Lease, request: Mapping[str, Any], now_ns: int) -> str:
    """Carry out one decision; repeating changes nothing.

    Args:
        pool: of the deciding database.
        lease: of the process that books.
        request: a row of ``order_resolution``.
        now_ns: for the order's time of confirmation.

    Returns:
        Why it was refused; empty: it was done.

    Raises:
        Fenced: somebody else books now.
    """
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        ledger = Ledger(pipeline)
        await ledger.lock(lease, [request["order_key"]])
        refused = await _resolve(pipeline, ledger, request, now_ns)
        ended = {"id": request["id"], "refused": refused}
        if not await pipelined_rows(pipeline, "end_resolution", ended):
            raise LookupError(f"decision {request['id']} was carried out already")
    _log.warning("an operator's decision", order=request["order_key"], to_state=request["to_state"],
                 refused=refused, operator=request["operator"])  # fmt: skip
    return refused


async def _resolve(
    pipeline: Pipeline, ledger: Ledger, request: Mapping[str, Any], now_ns: int
) -> str:
    key = request["order_key"]
    order = ledger.orders[key]
    if (order["state"], order["epoch"]) != (request["from_state"], request["epoch"]):
        return f"it was {request['from_state']} when it was decided, and is {order['state']}"
    filled = (
        request["filled_size_micros"],
        request["filled_notional_micros"],
        request["fee_micros"],
    )
    decision = OperatorDecision(
        to_state=OrderState(request["to_state"]),
        filled=None if filled[0] is None else filled,
        trade_id=f"operator:{request['id']}",
    )
    booked = {trade_id: store.booked(row) for trade_id, row in ledger.fills(key).items()}
    what = operator_resolution.resolve(decision, order["size_micros"], booked)
    if what.refused:
        return what.refused
    for step in what.steps:
        ledger.book(key, step)
    ledger.move(
        key,
        decision.to_state,
        failed_kind=what.failed_kind,
        reason=Reason.OPERATOR,
        confirmed_ns=now_ns,
        detail=json.dumps(
            {name: request[name] for name in ("operator", "evidence", "control_seq")}
        ),
    )
    ledger.close(
        key, again=f"operator:{request['id']}" if order["state"] == OrderState.RESURRECTED else ""
    )
    await ledger.write()
    # A person has decided; what the venue gateway says now would only call him again.
    pipeline.queue(QUERIES["stop_watching"], ledger.orders[key])
    return ""
