"""UNKNOWN -> SUBMITTING: what is wanted, once for each wish, under the gates of the first time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import structs

from services.executor import store
from services.executor.core.breaker import Breaker, BreakerState
from tests.money_path.test_submitting_once import LEASE_MS, Database, claim, database, submit
from tests.money_path.test_submitting_together import Scene, entry, scene, sending, subscribe
from tests.money_path.world import eventually
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Purpose
from tradingtools.storage.postgres.pool import Pool
from tradingtools.tasks import cancel_all

__all__ = ["database"]
WALLET, MARKET = "0x" + "1" * 40, "c"
_EXIT = {"purpose": Purpose.GUARD_EXIT, "side": Side.SELL, "trigger_id": "trg"}
ONLY_EXITS = "insert into halt values ('GLOBAL', '', 'REDUCING', 'r')"


@pytest.fixture
def unanswered(database: Database) -> str:
    """An order that was sent and fenced: UNKNOWN at epoch 2, one attempt."""
    (key,) = claim(database, 1)
    submit(database, [key])
    database.execute("select build_rows(seq) from journal order by seq")
    step = {
        "order_key": key, "from_state": "SUBMITTING", "to_state": "UNKNOWN", "expected_epoch": 1,
        "epoch": 2,
    }  # fmt: skip
    database.execute("select * from apply_transitions(%s)", [json.dumps([step])])
    return key


def want(database: Database, key: str) -> None:
    database.execute("update orders set send_again_epoch = epoch where order_key = %s", [key])


def again(database: Database, key: str, *, lease: int = 1, epoch: int = 2) -> dict[str, Any]:
    row = database.execute(
        "select submit_again(0, %s, %s, %s, %s) as answer", [lease, key, epoch, LEASE_MS]
    ).fetchone()
    assert row is not None
    answer: dict[str, Any] = row["answer"]
    return answer


def stands(database: Database) -> tuple[str, int, int, bool]:
    row = database.execute(
        "select state, epoch, attempt, lease_until > clock_timestamp() as leased from orders"
    ).fetchone()
    assert row is not None
    return row["state"], row["epoch"], row["attempt"], bool(row["leased"])


def test_one_attempt_for_each_wish(database: Database, unanswered: str) -> None:
    assert again(database, unanswered) == {}, "nobody wants it"
    want(database, unanswered)
    assert again(database, unanswered) == {"epoch": 3, "attempt": 2}
    assert stands(database) == ("SUBMITTING", 3, 2, True)
    assert again(database, unanswered) == {}, "it is under way"
    back = {
        "order_key": unanswered, "from_state": "SUBMITTING", "to_state": "UNKNOWN",
        "expected_epoch": 3,
    }  # fmt: skip
    database.execute("select * from apply_transitions(%s)", [json.dumps([back])])
    assert again(database, unanswered, epoch=3) == {}, "a wish does not outlive its attempt"
    events = database.execute("select from_state, to_state from order_event").fetchall()
    assert {"from_state": "UNKNOWN", "to_state": "SUBMITTING"} in events


def test_only_the_owner_of_the_partition_sends(database: Database, unanswered: str) -> None:
    want(database, unanswered)
    assert again(database, unanswered, lease=2) == {"fenced": True}
    database.execute("update partition_lease set epoch = 2")
    assert again(database, unanswered) == {"fenced": True}
    assert stands(database)[0] == "UNKNOWN"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update orders set not_after_ms = 1", "EXPIRED"),
        (f"insert into halt values ('WALLET', '{WALLET}', 'HALTED', 'r')", "HALTED"),
        (f"insert into halt values ('MARKET', '{MARKET}', 'HALTED', 'r')", "HALTED"),
        (ONLY_EXITS, None),
        (
            ONLY_EXITS + "; update orders set purpose = 'ENTRY'",
            "HALTED",
        ),
        ("update orders set purpose = 'ENTRY', subscription_id = 'gone'", "PAUSED"),
    ],
)
def test_the_gates_of_the_first_attempt_hold(
    database: Database, unanswered: str, change: str, reason: str | None
) -> None:
    want(database, unanswered)
    for statement in change.split(";"):
        database.execute(statement.encode())
    answer = again(database, unanswered)
    assert answer == ({"epoch": 3, "attempt": 2} if reason is None else {"denied": reason})
    assert stands(database)[0] == ("SUBMITTING" if reason is None else "UNKNOWN")
    if reason is not None:
        assert again(database, unanswered) == {}, "asked once"


async def test_order_accepted_while_requests_are_read_is_not_resent(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = entry("late")
    subscribe(database, version=1)
    fetch = store.fetch
    async with scene(database, database_url) as here, sending(here):
        answer = here.far.held[late.order_key] = asyncio.Event()
        here.claim([late])
        await eventually(lambda: fenced(here, late.order_key))
        want(database, late.order_key)
        resender = here.executor._resender
        assert not await resender._send_some(), "one sender an order"

        async def answered_meanwhile(pool: Pool, name: str, **values: Any) -> Any:
            rows = await fetch(pool, name, **values)
            if name == "to_send_again":
                answer.set()
                await eventually(lambda: nothing_under_way(here))
            return rows

        monkeypatch.setattr(store, "fetch", answered_meanwhile)
        for _ in range(2):
            await resender._send_some()
        await eventually(lambda: nothing_under_way(here))
        assert here.far.came == [late.order_key]
        assert database.execute("select order_key from late_acceptance").fetchall()


async def test_pending_resend_waits_unchanged_for_an_open_breaker(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that waits for the breaker may end with its lease, and there are few of them."""
    orders = [entry(name) for name in "abc"]
    subscribe(database, version=1)
    again_ = store.submit_again
    async with scene(database, database_url) as here, sending(here):
        breaker = here.executor.breaker
        for each in orders:
            here.far.statuses[each.order_key] = [500]
        here.claim(orders)
        await eventually(lambda: nothing_under_way(here, unknown=3))
        database.execute("update orders set send_again_epoch = epoch")

        async def opens(*arguments: Any) -> Any:
            breaker._take(Breaker(state=BreakerState.OPEN), breaker._row)
            return await again_(*arguments)

        monkeypatch.setattr(store, "submit_again", opens)
        assert await here.executor._resender._send_some()
        assert not await here.executor._resender._send_some()
        attempts = database.execute("select attempt from orders order by attempt").fetchall()
        assert [row["attempt"] for row in attempts] == [1, 1, 2]
        breaker._take(Breaker(), breaker._row)
        await here.ended(1)


async def test_lone_exit_to_be_resent_is_the_probe(database: Database, database_url: str) -> None:
    orders = {name: structs.replace(entry(name), **_EXIT) for name in ("first", "second")}
    orders["entry"] = entry("entry")
    subscribe(database, version=1)
    async with scene(database, database_url) as here, sending(here):
        breaker = here.executor.breaker
        for each in orders.values():
            here.far.statuses[each.order_key] = [500]
        here.claim(list(orders.values()))
        await eventually(lambda: nothing_under_way(here, unknown=3))
        database.execute("update orders set send_again_epoch = epoch where purpose = 'ENTRY'")
        await breaker.read()
        database.execute(
            "update breaker set state = 'OPEN', version = version + 1, retry_at_ms = 0"
        )
        await breaker.read()
        resending = asyncio.create_task(here.executor._resender.run(0.01))
        try:
            await asyncio.sleep(0.1)
            assert here.states() == {"UNKNOWN": 3}, "entries leave it to those that are new"
            database.execute("update orders set send_again_epoch = epoch where purpose <> 'ENTRY'")
            await here.ended(3)
            assert breaker.closed, "it has passed"
        finally:
            await cancel_all([resending])
        again_ = here.far.came[3:]
        assert sorted(again_) == sorted(each.order_key for each in orders.values())
        assert again_[0] != orders["entry"].order_key


async def test_a_probe_that_may_not_be_sent_again_is_given_back(
    database: Database, database_url: str
) -> None:
    late = structs.replace(entry("late"), **_EXIT)
    async with scene(database, database_url) as here, sending(here):
        breaker = here.executor.breaker
        here.far.statuses[late.order_key] = [500]
        here.claim([late])
        await eventually(lambda: nothing_under_way(here, unknown=1))
        await breaker.read()
        database.execute("update orders set send_again_epoch = epoch, not_after_ms = 1")
        database.execute(
            "update breaker set state = 'OPEN', version = version + 1, retry_at_ms = 0"
        )
        await breaker.read()
        await here.executor._resender._probe()
        assert database.execute("select state, prober from breaker").fetchall() == [
            {"state": "OPEN", "prober": ""}
        ]
        assert here.far.came == [late.order_key]


async def fenced(here: Scene, key: str) -> bool:
    """Its lease is over while its request is under way."""
    if key not in here.far.came:
        return False
    step = {
        "order_key": key, "from_state": "SUBMITTING", "to_state": "UNKNOWN", "expected_epoch": 1,
        "epoch": 2, "reason": "UNANSWERED",
    }  # fmt: skip
    reported = here.database.execute("select * from apply_transitions(%s)", [json.dumps([step])])
    return bool(reported.fetchall())


async def nothing_under_way(here: Scene, *, unknown: int = 0) -> bool:
    return not here.executor.queue.in_flight and here.states()["UNKNOWN"] >= unknown
