"""Seals over the events of all orders: each kind of tampering is found, and the row is named."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, LiteralString

import psycopg
import pytest
import pytest_asyncio
from psycopg.rows import dict_row

from services.confirm.sealer import Sealer
from services.control.operators.verification import Part, Progress, verify
from tests.confirm.conftest import Orders
from tools.verify_audit import main
from tradingtools.domain.order_states import OrderState as S
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import open_pool

CHANGE = (
    "select append_control_change('ann', 'test', 'halt', 'halt', %s, null,"
    ' \'{"mode": "HALTED"}\'::jsonb)'
)


class Owner:
    """Somebody who owns the database and can switch its guards off; nothing of it is kept."""

    def __init__(self, connection: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        self._connection = connection

    async def sql(self, query: str, *values: object) -> list[dict[str, Any]]:
        cursor = await self._connection.execute(query.encode(), values)
        return await cursor.fetchall() if cursor.description else []

    async def found(self) -> dict[Part, str]:
        """Return what a verification says now of each part that is broken."""

        async def rows(query: LiteralString, **values: Any) -> Sequence[dict[str, Any]]:
            return await (await self._connection.execute(query, values)).fetchall()

        ends: list[Progress] = [step async for step in verify(rows) if step.done]
        assert [end.part for end in ends] == list(Part)
        return {end.part: str(end.broken) for end in ends if end.broken is not None}

    async def events(self, key: str) -> list[dict[str, Any]]:
        return await self.sql("select * from order_event where order_key = %s order by 1", key)


@pytest_asyncio.fixture
async def owner(shared_url: str) -> AsyncIterator[Owner]:
    async with await psycopg.AsyncConnection.connect(
        shared_url, row_factory=dict_row
    ) as connection:
        await connection.execute("set session_replication_role = replica")
        yield Owner(connection)
        await connection.rollback()


async def _seal(orders: Orders) -> Sealer:
    sealer = Sealer(orders.pool, orders.lease, 1.0)
    await sealer.poll()
    await sealer.poll()
    return sealer


async def _sealed_to(orders: Orders) -> object:
    return (await orders.sql("select coalesce(max(to_seq), 0) as s from seal"))[0]["s"]


async def _last_event(orders: Orders) -> object:
    return (await orders.sql("select max(event_seq) as s from order_event"))[0]["s"]


async def test_what_is_committed_is_sealed_and_whole(orders: Orders, owner: Owner) -> None:
    await orders.sql(CHANGE, "GLOBAL:")
    for path in ("LOST", "KILLED", "DEAD"):
        await orders.make(path)
    await _seal(orders)
    assert await _sealed_to(orders) == await _last_event(orders)
    await orders.make("UNKNOWN")
    await _seal(orders)
    assert await _sealed_to(orders) == await _last_event(orders)
    assert await owner.found() == {}


def test_the_command_says_that_it_is_whole(
    shared_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TT_DATABASE_URL", shared_url)
    assert main() == 0
    assert re.fullmatch(
        r"the audit is whole: 1 control changes, \d+ orders, 2 seals up to event \d+\n",
        capsys.readouterr().out,
    )


async def test_no_event_can_slip_behind_a_seal(orders: Orders, shared_url: str) -> None:
    key = await orders.make("CLAIMED")
    await _seal(orders)
    before = await _sealed_to(orders)
    async with open_pool(shared_url, name="slow", size=1) as slow, slow.connection() as connection:
        async with connection.transaction():
            # It has its number, and is not committed yet, when a later one is.
            await journal.apply_transitions(
                connection,
                [{"order_key": key, "from_state": S.CLAIMED, "to_state": S.FAILED,
                  "expected_epoch": 0, "failed_kind": "UNSENT"}],
            )  # fmt: skip
            await orders.make("LOST")
            sealer = await _seal(orders)
            await sealer.poll()
            assert await _sealed_to(orders) == before, "it waits for who may still be before it"
        await sealer.poll()
    assert await _sealed_to(orders) == await _last_event(orders)


async def test_seals_are_small_and_the_database_refuses_to_change_them(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.confirm.sealer._PAGE", 2)
    await orders.make("DEAD")
    await _seal(orders)
    sizes = await orders.sql("select cardinality(event_seqs) as n from seal order by seal_seq")
    assert [row["n"] for row in sizes][-2:] == [2, 2]
    for statement in (
        "update seal set root = ''", "delete from seal", "truncate seal",
        "update order_event set reason = 'x'", "delete from order_event",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            await orders.sql(statement)


async def _sealed_order(orders: Orders, path: str = "DEAD") -> str:
    await orders.sql(CHANGE, "GLOBAL:")
    key = await orders.make(path)
    await orders.make("LOST")
    await _seal(orders)
    return key


async def test_a_changed_event_is_named(orders: Orders, owner: Owner) -> None:
    key = await _sealed_order(orders)
    third = (await owner.events(key))[2]["event_seq"]
    await owner.sql("update order_event set reason = 'FORGED' where event_seq = %s", third)
    found = await owner.found()
    name = f"event {third} of order {key}"
    assert found[Part.ORDERS] == f"{name}: was changed, or the one before it was"
    assert found[Part.SEALS].startswith(f"{name}: was changed since seal ")


async def test_a_changed_detail_is_named_by_its_seal(orders: Orders, owner: Owner) -> None:
    key = await _sealed_order(orders)
    last = (await owner.events(key))[-1]["event_seq"]
    await owner.sql("update order_event set detail = 'no such answer' where event_seq = %s", last)
    found = await owner.found()
    assert list(found) == [Part.SEALS]
    assert found[Part.SEALS].startswith(f"event {last} of order {key}: was changed since seal ")


async def test_a_deleted_event_is_named(orders: Orders, owner: Owner) -> None:
    key = await _sealed_order(orders)
    gone, after = (row["event_seq"] for row in (await owner.events(key))[2:4])
    await owner.sql("delete from order_event where event_seq = %s", gone)
    found = await owner.found()
    assert found[Part.ORDERS].startswith(f"event {after} of order {key}: follows on SUBMITTING")
    assert found[Part.SEALS].startswith(f"event {gone}: was deleted since seal ")


async def test_events_that_changed_places_are_named(orders: Orders, owner: Owner) -> None:
    key = await _sealed_order(orders)
    second, third = (row["event_seq"] for row in (await owner.events(key))[1:3])
    both = "event_seq in (%s, %s)"
    swapped = f"create temp table swapped as select * from order_event where {both}"
    await owner.sql(swapped, second, third)
    await owner.sql(f"delete from order_event where {both}", second, third)
    await owner.sql(
        "insert into order_event overriding system value"
        " select %s - event_seq, order_key, from_state, to_state, reason, epoch, occurred_at,"
        " detail, hash from swapped",
        second + third,
    )  # fmt: skip
    found = await owner.found()
    assert found[Part.ORDERS].startswith(f"event {second} of order {key}: follows on CLAIMED")
    assert found[Part.SEALS].startswith(f"event {second} of order {key}: was changed")


async def test_a_row_that_says_more_than_its_history_is_named(orders: Orders, owner: Owner) -> None:
    key = await _sealed_order(orders)
    await owner.sql("update orders set state = 'LOST' where order_key = %s", key)
    found = await owner.found()
    assert list(found) == [Part.ORDERS]
    assert found[Part.ORDERS].startswith(f"order {key}: its row says LOST, its last event (event")


async def test_a_tail_that_was_cut_off_is_named_by_its_seal(orders: Orders, owner: Owner) -> None:
    """Done well: the order's chain is whole again, only the seal remembers."""
    key = await _sealed_order(orders)
    *_, before, last = await owner.events(key)
    await owner.sql("delete from order_event where event_seq = %s", last["event_seq"])
    await owner.sql(
        "update orders set state = %s, chain_head = %s where order_key = %s",
        before["to_state"], before["hash"], key,
    )  # fmt: skip
    found = await owner.found()
    assert list(found) == [Part.SEALS]
    assert found[Part.SEALS].startswith(f"event {last['event_seq']}: was deleted since seal ")


async def test_an_order_that_lost_its_history_is_named(orders: Orders, owner: Owner) -> None:
    key = await _sealed_order(orders, "CLAIMED")
    (only,) = await owner.events(key)
    await owner.sql("delete from order_event where order_key = %s", key)
    found = await owner.found()
    assert found[Part.ORDERS] == f"order {key}: has no history"
    assert found[Part.SEALS].startswith(f"event {only['event_seq']}: was deleted")


async def test_an_event_that_was_slipped_in_is_named(orders: Orders, owner: Owner) -> None:
    # A transaction that was rolled back leaves a number that nothing has.
    (free,) = await owner.sql("select nextval('log_number_seq') as seq")
    key = await _sealed_order(orders)
    (first, *_) = await owner.events(key)
    await owner.sql(
        "insert into order_event (event_seq, order_key, from_state, to_state, reason, epoch, hash)"
        " overriding system value select %s, order_key, from_state, to_state, reason, epoch, hash"
        " from order_event where order_key = %s order by event_seq limit 1",
        free["seq"], key,
    )  # fmt: skip
    found = await owner.found()
    assert found[Part.SEALS].startswith(f"event {free['seq']} of order {key}: was inserted since")
    assert found[Part.ORDERS].startswith(f"event {first['event_seq']} of order {key}: follows on")


@pytest.mark.parametrize("how", ["changed", "deleted", "cut"])
async def test_the_audit_of_control_is_sealed_too(orders: Orders, owner: Owner, how: str) -> None:
    await _sealed_order(orders)
    (row,) = await orders.sql("select max(seq) as seq from control_change")
    seq = row["seq"]
    if how == "changed":
        await owner.sql("update control_change set actor = 'bob' where seq = %s", seq)
        assert await owner.found() == {Part.CHANGES: f"change {seq}: was changed"}
        return
    if how == "deleted":
        await orders.sql(CHANGE, "GLOBAL:")
        (later,) = await orders.sql("select max(seq) as seq from control_change")
        await owner.sql("delete from control_change where seq = %s", seq)
        found = await owner.found()
        assert found[Part.CHANGES].startswith(f"change {later['seq']}: does not continue")
    else:
        await owner.sql("delete from control_change where seq = %s", seq)
        found = await owner.found()
        assert list(found) == [Part.SEALS]
    assert found[Part.SEALS].startswith(f"change {seq}: was deleted since seal ")


@pytest.mark.parametrize("how", ["changed", "missing", "forged"])
async def test_the_chain_of_seals_is_verified(orders: Orders, owner: Owner, how: str) -> None:
    await _sealed_order(orders)
    await _sealed_order(orders)
    if how == "missing":
        await owner.sql("delete from seal where seal_seq = 1")
        assert await owner.found() == {Part.SEALS: "seal 1: is missing"}
    elif how == "changed":
        await owner.sql("update seal set sealed_at = now() where seal_seq = 1")
        assert await owner.found() == {Part.SEALS: "seal 1: was changed"}
    else:
        await owner.sql("update seal set hash = sha256('x') where seal_seq = 1")
        assert await owner.found() == {Part.SEALS: "seal 1: was changed"}
