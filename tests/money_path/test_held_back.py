"""A halt that was acknowledged holds back what was let out before it and has not left."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from tests.money_path.test_submitting_once import Database, database
from tests.money_path.test_submitting_together import entry, scene, sending, subscribe
from tests.money_path.world import eventually
from tradingtools.domain.order import Purpose

__all__ = ["database"]

_HALT = "insert into halt (scope, subject, mode, reason) values ('GLOBAL', '', %s, 'test')"


async def test_what_is_not_taken_and_who_waits_behind_it_stay_back_after_a_halt(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.executor.sender._FRESH_MS", 0)
    looping, behind = entry("looping"), entry("behind")
    exit_ = structs.replace(entry("exit"), purpose=Purpose.GUARD_EXIT, trigger_id="trg")
    subscribe(database, version=1)
    async with scene(database, database_url) as here, sending(here):
        here.far.statuses[looping.order_key] = [429] * 100_000
        here.far.statuses[exit_.order_key] = [429] * 3
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
        here.claim([exit_])
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
            told = database.execute("select * from apply_transitions(%s)", [json.dumps([step])])
            return bool(told.fetchall())

        async def over() -> bool:
            return not here.executor.line.in_flight

        await eventually(fenced)
        await eventually(over)
        assert here.states() == {"UNKNOWN": 1}
