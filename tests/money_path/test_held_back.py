"""A halt that was acknowledged holds back what was let out before it and has not left."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec import structs

from services.executor import store
from services.executor.core.breaker import may_probe
from tests.money_path.test_submitting_once import Database, database
from tests.money_path.test_submitting_together import Scene, entry, scene, sending, subscribe
from tests.money_path.world import eventually
from tradingtools import clock
from tradingtools.domain.leader_trade import Side
from tradingtools.domain.order import Order, Purpose
from tradingtools.tasks import cancel_all

__all__ = ["database"]

_HALT = "insert into halt (scope, subject, mode, reason) values ('GLOBAL', '', %s, 'test')"


async def test_refused_and_queued_orders_stay_back_after_a_halt(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.pre_send_check._FRESH_NS", 0)
    looping, behind = entry("looping"), entry("behind")
    leaving = exit_("exit")
    subscribe(database, version=1)
    async with scene(database, database_url) as here, sending(here):
        here.far.statuses[looping.order_key] = [429] * 100_000
        here.far.statuses[leaving.order_key] = [429] * 3
        here.claim([looping])
        here.claim([behind])

        async def tried() -> bool:
            return here.far.came.count(looping.order_key) > 3

        await eventually(tried)
        database.execute(_HALT, ["REDUCING"])
        await here.ended(2)
        rows = database.execute("select state, failed_kind, reason from orders").fetchall()
        assert rows == [{"state": "FAILED", "failed_kind": "UNSENT", "reason": "HALTED"}] * 2
        assert behind.order_key not in here.far.came
        here.claim([leaving])
        await here.ended(3)
        assert here.states() == {"FAILED": 2, "SUBMITTED": 1}, "an exit is not held back"


async def test_what_was_fenced_before_it_left_stays_as_it_was_left(
    database: Database, database_url: str
) -> None:
    looping = entry("looping")
    subscribe(database, version=1)
    async with scene(database, database_url) as here, sending(here):
        here.far.statuses[looping.order_key] = [429] * 100_000
        here.claim([looping])

        async def fenced() -> bool:
            step = {
                "order_key": looping.order_key, "from_state": "SUBMITTING", "to_state": "UNKNOWN",
                "expected_epoch": 1, "epoch": 2, "reason": "UNANSWERED",
            }  # fmt: skip
            reported = database.execute("select * from apply_transitions(%s)", [json.dumps([step])])
            return bool(reported.fetchall())

        async def over() -> bool:
            return not here.executor.queue.in_flight

        await eventually(fenced)
        await eventually(over)
        assert here.states() == {"UNKNOWN": 1}


def exit_(name: str) -> Order:
    made: Order = structs.replace(
        entry(name), purpose=Purpose.GUARD_EXIT, side=Side.SELL, trigger_id="trg"
    )
    return made


@asynccontextmanager
async def one_waits(here: Scene, waiting: Order) -> AsyncIterator[None]:
    """For the only connection, which an exit has until the end of this block."""
    first = exit_("first")
    answer = here.far.held[first.order_key] = asyncio.Event()
    room = here.client._connections._room
    here.claim([first])
    await eventually(lambda: _now(first.order_key in here.far.came))
    here.claim([waiting])
    await eventually(lambda: _now(bool(room._urgent or room._others)))
    yield
    answer.set()


async def _now(holds: bool) -> bool:
    return holds


async def test_who_waits_for_a_connection_stays_back_after_a_halt(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.pre_send_check._FRESH_NS", 0)
    waiting = entry("waiting")
    subscribe(database, version=1)
    async with scene(database, database_url, connections=1) as here, sending(here):
        async with one_waits(here, waiting):
            database.execute(_HALT, ["REDUCING"])
        await here.ended(2)
        assert here.states() == {"SUBMITTED": 1, "FAILED": 1}
        assert waiting.order_key not in here.far.came
        assert _failed(database) == ("UNSENT", "HALTED")


async def test_order_waiting_past_its_deadline_is_held_back(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody else is asked.
    monkeypatch.setattr("services.executor.pre_send_check._FRESH_NS", 10**15)
    subscribe(database, version=1)
    async with scene(database, database_url, connections=1) as here, sending(here):
        waiting = entry("waiting", not_after_ms=clock.now_ms() + 2_000)
        async with one_waits(here, waiting):
            await eventually(lambda: _now(clock.now_ms() > waiting.not_after_ms))
        await here.ended(2)
        assert here.states() == {"SUBMITTED": 1, "FAILED": 1}
        assert waiting.order_key not in here.far.came
        assert _failed(database) == ("UNSENT", "EXPIRED")


async def test_order_waiting_for_a_connection_waits_for_the_breaker(
    database: Database, database_url: str
) -> None:
    waiting = entry("waiting")
    subscribe(database, version=1)
    async with scene(database, database_url, connections=1, breaker=True) as here, sending(here):
        async with one_waits(here, waiting):
            await here.executor.breaker.read()
            await here.executor.breaker.report(503, probe=0)
            assert not here.executor.breaker.closed
        await eventually(lambda: _now(here.states()["SUBMITTED"] == 1))
        database.execute(_HALT, ["REDUCING"])
        await here.ended(2)
        assert waiting.order_key not in here.far.came


async def test_a_halt_ends_what_waits_for_a_breaker(database: Database, database_url: str) -> None:
    waiting = entry("waiting")
    subscribe(database, version=1)
    async with scene(database, database_url, breaker=True) as here, sending(here):
        await here.executor.breaker.read()
        here.far.statuses[waiting.order_key] = [429] * 100_000
        here.claim([waiting])
        await eventually(lambda: _now(not here.executor.breaker.closed))
        assert here.states()["FAILED"] == 0
        database.execute(_HALT, ["REDUCING"])
        await here.ended(1)
        assert _failed(database) == ("UNSENT", "HALTED")
        assert here.far.came == [waiting.order_key]


async def test_probe_does_not_wait_for_its_wallets_queue(
    database: Database, database_url: str
) -> None:
    waiting, probe = entry("waiting"), entry("probe")
    subscribe(database, version=1)
    async with scene(database, database_url, breaker=True) as here, sending(here):
        breaker = here.executor.breaker
        await breaker.read()
        here.far.statuses[waiting.order_key] = [429]
        here.claim([waiting])
        await eventually(lambda: _now(not breaker.closed))
        database.execute("update breaker set retry_at_ms = 0", [])
        await breaker.read()
        here.claim([probe])
        await here.ended(2)
        assert here.states() == {"SUBMITTED": 2}
        assert here.far.came == [waiting.order_key, probe.order_key, waiting.order_key]


async def test_lone_exit_waiting_for_the_breaker_is_its_probe(
    database: Database, database_url: str
) -> None:
    waiting = [exit_("waiting"), exit_("waiting, too")]
    subscribe(database, version=1)
    async with scene(database, database_url, breaker=True) as here, sending(here):
        await _not_taken(here, waiting)
        async with watched(here):
            await _time_for_a_probe(here)
            await here.ended(2)
        assert here.states() == {"SUBMITTED": 2}
        assert here.executor.breaker.closed
        assert Counter(here.far.came) == {each.order_key: 2 for each in waiting}


async def test_entry_waiting_for_the_breaker_leaves_the_probe(
    database: Database, database_url: str
) -> None:
    waiting = entry("waiting")
    subscribe(database, version=1)
    async with scene(database, database_url, breaker=True) as here, sending(here):
        await _not_taken(here, [waiting])
        async with watched(here):
            await _time_for_a_probe(here)
            await asyncio.sleep(1)
            assert here.far.came == [waiting.order_key]
            here.claim([exit_("new")])
            await here.ended(2)


async def test_a_halt_comes_before_the_probe_of_an_exit_that_waits(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.pre_send_check._FRESH_NS", 0)
    waiting = exit_("waiting")
    subscribe(database, version=1)
    async with scene(database, database_url, breaker=True) as here, sending(here):
        await _not_taken(here, [waiting])
        database.execute(_HALT, ["HALTED"])
        async with watched(here):
            await _time_for_a_probe(here)
            await here.ended(1)
        assert _failed(database) == ("UNSENT", "HALTED")
        assert here.far.came == [waiting.order_key]


async def test_a_probe_that_dies_is_given_back(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, other = exit_("dying"), exit_("other")
    subscribe(database, version=1)

    async def once(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(here.client, "submit", submit)
        raise ZeroDivisionError("nobody has thought of this")

    async with scene(database, database_url, breaker=True) as here, sending(here):
        await _not_taken(here, [dying])
        submit = here.client.submit
        monkeypatch.setattr(here.client, "submit", once)
        async with watched(here):
            await _time_for_a_probe(here)
            await eventually(lambda: _now(not here.executor.queue.in_flight))
            breaker = here.executor.breaker
            await eventually(lambda: _now(may_probe(breaker._row, clock.now_ms(), breaker._policy)))
            here.claim([other])
            await here.ended(1)
        assert here.executor.breaker.closed
        assert here.far.came == [dying.order_key, other.order_key]


@pytest.mark.parametrize("poll", [1, 2], ids=["before it has a connection", "with a connection"])
async def test_a_probe_that_another_has_followed_does_not_leave(
    poll: int, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.pre_send_check._FRESH_NS", 0)
    asking, answer, looks = asyncio.Event(), asyncio.Event(), 0
    held_back = store.held_back

    async def slow(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == poll:
            asking.set()
            await answer.wait()
        return await held_back(*arguments)

    monkeypatch.setattr(store, "held_back", slow)
    old = exit_("old")
    database.execute(
        "insert into partition_lease (role, partition, owner, epoch, expires_at)"
        " values ('executor', 1, 'another', 1, now() + interval '1 hour')"
    )
    async with scene(database, database_url, breaker=True) as here, sending(here):
        breaker = here.executor.breaker
        await breaker.read()
        await _moved(here, "state = 'OPEN'")
        here.claim([old])
        await asking.wait()
        assert breaker._row.prober
        retry_at_ms = clock.now_ms() + 600_000
        another = f"state = 'HALF_OPEN', prober = 'executor-1@1', retry_at_ms = {retry_at_ms}"
        await _moved(here, another)
        answer.set()
        await eventually(lambda: _now(not breaker._probes))
        assert here.far.came == []
        await _moved(here, "state = 'CLOSED', prober = ''")
        await here.ended(1)
        assert here.states() == {"SUBMITTED": 1}
        assert here.far.came == [old.order_key]


async def _moved(here: Scene, changes: str) -> None:
    """Another executor, or a person, has moved the breaker."""
    here.database.execute(f"update breaker set version = version + 1, {changes}".encode())
    await here.executor.breaker.read()


async def _not_taken(here: Scene, orders: Sequence[Order]) -> None:
    """They were refused for the moment, which opened the breaker; they wait for it."""
    breaker = here.executor.breaker
    await breaker.read()
    for each in orders:
        here.far.statuses[each.order_key] = [429]
    here.claim(orders)
    await eventually(lambda: _now(len(here.far.came) == len(orders) and not breaker.closed))


async def _time_for_a_probe(here: Scene) -> None:
    here.database.execute("update breaker set retry_at_ms = 0", [])
    await here.executor.breaker.read()


@asynccontextmanager
async def watched(here: Scene) -> AsyncIterator[None]:
    """The breaker is read now and then, as in the process."""
    watching = asyncio.create_task(here.executor.breaker.watch(0.05))
    try:
        yield
    finally:
        await cancel_all([watching])


async def test_a_halt_is_seen_by_who_heard_late_that_it_may_leave(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was stopped between the commit and its acknowledgement."""
    late = entry("late")
    submit = store.submit_batch

    async def stopped(*arguments: Any) -> store.Admission:
        admission = await submit(*arguments)
        database.execute(_HALT, ["REDUCING"])
        await asyncio.sleep(0.25)
        return admission

    monkeypatch.setattr(store, "submit_batch", stopped)
    subscribe(database, version=1)
    async with scene(database, database_url) as here, sending(here):
        here.claim([late])
        await here.ended(1)
        assert here.far.came == []
        assert _failed(database) == ("UNSENT", "HALTED")


def _failed(database: Database) -> tuple[str, str]:
    (row,) = database.execute(
        "select failed_kind, reason from orders where state = 'FAILED'"
    ).fetchall()
    return row["failed_kind"], row["reason"]
