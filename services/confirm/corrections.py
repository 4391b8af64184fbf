"""Correct lots: in one transaction takes shares that are not there, or gives some back.

Before it: `shortfalls`, which has proved that a wallet holds less than its lots, and control, which
has recorded what an operator decided. After it: the readers of bookings. A crash before the commit
changes nothing and whoever wanted it begins again; after it the booking is durable, and confirm
publishes it when it is back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import structlog

from services.confirm import adoptions, store
from services.confirm.adoptions import Holdings, ReportedHolding
from services.confirm.core import lot_shrinking, position_triggers
from services.confirm.core.lot_shrinking import Lot, lot
from services.confirm.core.lots import Entry, consume
from services.confirm.ledger import may_book
from services.confirm.queries import QUERIES, pipelined_row, pipelined_rows, put
from tradingtools import clock
from tradingtools.domain.reasons import Reason
from tradingtools.storage.postgres.lease import Fenced, Lease
from tradingtools.storage.postgres.pipeline import Pipeline, pipelined
from tradingtools.storage.postgres.pool import Pool

_log = structlog.get_logger("confirm.corrections")
_PAUSE_SECONDS = 0.25
_ADOPTED = "adopted:"
_BROKEN = "it cannot be carried out; the log of confirm says why"

Held = tuple[Lot, ...]
"""The lots of one wallet and asset that hold shares, by origin."""
Write = Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]
"""Books one thing at a time and publishes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A wallet holds less of an asset than its lots: reported twice, with nothing under way
    between."""

    proxy: str
    asset_id: str
    lots: Held
    """As they were before both questions."""
    held_micros: int
    """The greater of the two answers."""


async def shrink(pool: Pool, lease: Lease, proof: Proof) -> bool:
    """Make lots hold what is there; returns whether they did, repeating changes nothing.

    Nothing happens when anything of the asset is under way by now, or a lot is not as it was before
    the first question.

    Raises:
        Fenced: somebody else books now.
    """
    key = {"follower_proxy": proof.proxy, "asset_id": proof.asset_id}
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        # Before any row: the audit has one end.
        pipeline.queue(QUERIES["lock_control"], {})
        check = may_book(pipeline, lease)
        # After the locks: whoever claims a sale holds its lot.
        held, busy = (pipeline.queue(QUERIES[name], key) for name in ("lock_asset", "asset_busy"))
        await check()
        lots = _holding(await held.rows())
        if lots != proof.lots or (await busy.rows())[0]["busy"]:
            return False
        entries = await _entries(pipeline, key)
        left = lot_shrinking.shrunk(lots, proof.held_micros)
        for each in lots:
            if each.origin in left:
                number = await _correct(
                    pipeline, key, each, entries[each.origin], left[each.origin],
                    reason=Reason.SOLD_ELSEWHERE, held_micros=proof.held_micros, request=None,
                )  # fmt: skip
                pipeline.queue(QUERIES["audit_correction"], {"id": number})
    for each in lots:
        if each.origin in left:
            _log.error("a lot holds less: its shares were sold elsewhere", alert=True,
                       wallet=proof.proxy, asset=proof.asset_id, origin=each.origin,
                       held=proof.held_micros, before=each.shares_micros,
                       after=left[each.origin])  # fmt: skip
    return bool(left)


async def _entries(pipeline: Pipeline, key: Mapping[str, Any]) -> Mapping[str, list[Entry]]:
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for row in await pipelined_rows(pipeline, "asset_entries", key):
        found[row.pop("origin")].append(Entry(**row))
    return found


async def _correct(
    pipeline: Pipeline,
    key: Mapping[str, Any],
    held: Lot,
    entries: Sequence[Entry],
    shares_micros: int,
    *,
    reason: Reason,
    held_micros: int | None,
    request: int | None,
) -> int:
    """Make a locked lot hold so much, and book it; returns the correction's number."""
    named = {**key, "origin": held.origin}
    size = held.shares_micros - shares_micros
    if size > 0:
        taken = consume(entries, size)
        cost = taken.cost_micros
        put(pipeline, "set_entries", "entries", (
            {"entry_seq": e.entry_seq, "size_micros": e.size_micros, "cost_micros": e.cost_micros}
            for e in taken.entries
        ))  # fmt: skip
    else:
        cost = -lot_shrinking.cost_given_back(held, -size)
        put(pipeline, "add_entries", "entries", [
            {**named, "order_key": None, "trade_id": f"given back:{request}",
             "size_micros": -size, "cost_micros": -cost}
        ])  # fmt: skip
    pipeline.queue(QUERIES["correct_lot"], {**named, "size_micros": size, "cost_micros": cost})
    return await _book(
        pipeline, named, held, size=size, cost=cost, reason=reason, held_micros=held_micros,
        request=request,
    )  # fmt: skip


async def _adopt(
    pipeline: Pipeline,
    key: Mapping[str, Any],
    held: Lot,
    entries: Sequence[Entry],
    request: Mapping[str, Any],
    guard: Mapping[str, Any],
) -> None:
    """Take shares into a locked lot that no order of ours has bought, or let them leave it.

    Those that come in begin a position, with the triggers that guard one.
    """
    named = {**key, "origin": held.origin}
    size, cost = request["shares_micros"], request["cost_micros"]
    if size:
        put(pipeline, "add_entries", "entries", [
            {**named, "order_key": None, "trade_id": f"{_ADOPTED}{request['id']}",
             "size_micros": size, "cost_micros": cost}
        ])  # fmt: skip
        put(pipeline, "add_triggers", "triggers", position_triggers.of_adoption(
            {**named, "condition_id": held.condition_id}, f"{_ADOPTED}{request['id']}", guard,
            shares_micros=size, cost_micros=cost, now_ms=clock.now_ms(),
        ))  # fmt: skip
    else:
        leaving = [entry for entry in entries if entry.trade_id.startswith(_ADOPTED)]
        size = -sum(entry.size_micros for entry in leaving)
        cost = -sum(entry.cost_micros for entry in leaving)
        if not size:
            return
        put(pipeline, "set_entries", "entries", (
            {"entry_seq": e.entry_seq, "size_micros": 0, "cost_micros": 0} for e in leaving
        ))  # fmt: skip
    pipeline.queue(QUERIES["adopt_lot"], {**named, "size_micros": size, "cost_micros": cost})
    await _book(
        pipeline, named, held, size=-size, cost=-cost, reason=Reason.ADOPTED, held_micros=None,
        request=request["id"],
    )  # fmt: skip


async def _book(
    pipeline: Pipeline,
    named: Mapping[str, Any],
    held: Lot,
    *,
    size: int,
    cost: int,
    reason: Reason,
    held_micros: int | None,
    request: int | None,
) -> int:
    """Tell by how much a lot holds less, for its history and its readers; returns its number."""
    after = {"shares_micros": held.shares_micros - size, "left_micros": held.cost_micros - cost}
    row = await pipelined_row(
        pipeline,
        "add_correction",
        {
            **named, **after, "condition_id": held.condition_id, "reason": reason,
            "size_micros": size, "cost_micros": cost, "held_micros": held_micros,
            "lot_request_id": request,
        },
    )  # fmt: skip
    booked = {**after, "correction_id": row["id"], "size_micros": size, "reason": reason}
    pipeline.queue(QUERIES["add_correction_booking"], booked)
    return int(row["id"])


async def run(pool: Pool, lease: Lease, write: Write, holdings: Holdings) -> None:
    """Carry out what operators have decided about lots, for ever."""
    while True:
        try:
            await poll(pool, lease, write, holdings)
        except psycopg.OperationalError as error:
            _log.warning("operators' corrections wait", error=str(error))
        await asyncio.sleep(_PAUSE_SECONDS)


async def poll(pool: Pool, lease: Lease, write: Write, holdings: Holdings) -> None:
    """Carry out what waits now; one that cannot be is refused and holds nobody up.

    Args:
        pool: of the deciding database.
        lease: the right to book.
        write: books one thing at a time and publishes it.
        holdings: says what wallets hold; an adoption waits until that is reported.

    Raises:
        Fenced: somebody else books now.
        psycopg.OperationalError: the database went away; nothing was concluded.
    """
    for row in await store.fetch(pool, "lot_requests"):
        reported = None
        if (
            _adopts(row)
            and (reported := await adoptions.fetch_holding(pool, holdings, row)) is None
        ):
            continue
        try:
            await write(partial(carry_out, pool, lease, row, reported))
        except (Fenced, psycopg.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - a contradiction about one lot is its own
            _log.error("an operator's correction cannot be carried out; a person has to look",
                       request=row["request_id"], exc_info=error)  # fmt: skip
            await store.execute(pool, "end_lot_request", id=row["id"], refused=_BROKEN)


def _adopts(request: Mapping[str, Any]) -> bool:
    """Return whether shares are to come in."""
    return request["cost_micros"] is not None and request["shares_micros"] > 0


def _refusal(
    held: Lot, request: Mapping[str, Any], reported: ReportedHolding | None, *, at_rest: bool
) -> str:
    desired = request["shares_micros"]
    if request["cost_micros"] is not None:
        wallet = reported.wallet() if reported is not None else None
        return lot_shrinking.adoption_refusal(held, desired, wallet, at_rest=at_rest)
    return lot_shrinking.refusal(held, desired, at_rest=at_rest)


async def carry_out(
    pool: Pool, lease: Lease, request: Mapping[str, Any], reported: ReportedHolding | None
) -> bool:
    """Carry out one row of ``lot_request``; returns whether it was not refused.

    Args:
        pool: of the deciding database.
        lease: the right to book.
        request: the row.
        reported: what its wallet holds; None: no shares are to come in.

    Raises:
        Fenced: somebody else books now.
        LookupError: it was carried out already; nothing has changed.
    """
    key = {name: request[name] for name in ("follower_proxy", "asset_id")}
    async with pool.connection() as connection, pipelined(connection) as pipeline:
        check = may_book(pipeline, lease)
        held, busy = (pipeline.queue(QUERIES[name], key) for name in ("lock_asset", "asset_busy"))
        await check()
        rows = await held.rows()
        (row,) = (row for row in rows if row["origin"] == request["origin"])
        found, desired = lot(row), request["shares_micros"]
        at_rest = not (await busy.rows())[0]["busy"]
        if reported is not None and at_rest and _holding(rows) != reported.lots:
            # Something was booked meanwhile: the answer is too old. It is checked again.
            return False
        refused = _refusal(found, request, reported, at_rest=at_rest)
        if not refused:
            entries = (await _entries(pipeline, key)).get(found.origin, [])
            if request["cost_micros"] is not None:
                await _adopt(pipeline, key, found, entries, request, row)
            elif desired != found.shares_micros:
                await _correct(
                    pipeline, key, found, entries, desired,
                    reason=Reason.OPERATOR, held_micros=None,
                    request=request["id"],
                )  # fmt: skip
        ended = {"id": request["id"], "refused": refused}
        if not await pipelined_rows(pipeline, "end_lot_request", ended):
            raise LookupError(f"correction {request['request_id']} was carried out already")
    _log.warning("an operator's correction", wallet=key["follower_proxy"], asset=key["asset_id"],
                 origin=request["origin"], shares=desired, refused=refused,
                 operator=request["operator"])  # fmt: skip
    return not refused


def _holding(rows: Sequence[Mapping[str, Any]]) -> Held:
    return tuple(lot(row) for row in rows if row["shares_micros"])
