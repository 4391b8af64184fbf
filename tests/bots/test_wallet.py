"""The bots of one wallet on a real database: defects and wishes of one leave the others."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.temporary import create_database
from services.bots import wallet_run
from services.bots.core.strategy import Quote
from services.bots.strategies import registry
from services.bots.strategies.registry import Kind
from services.bots.wallet import account, wishes
from tests.bots.exchange import SWAP, Desk, Script, until

GRID = {
    "instrument_id": SWAP.id,
    "lower": 600_000,
    "upper": 700_000,
    "cells": 2,
    "order_size": 10,
}


@pytest.fixture(scope="module")
def url(postgres_server: str, migrated_template: str) -> str:
    return create_database(postgres_server, template=migrated_template)


@pytest.fixture
def desk(url: str, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(wishes, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(wallet_run, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(account, "DEADLINE_MS", 0)
    monkeypatch.setattr(account, "CLOCK_ERROR_MS", 0)
    return Desk(url)


def scripted(monkeypatch: pytest.MonkeyPatch, name: str = "market_making") -> Script:
    """Let a test say what bots of a strategy do."""
    script = Script()
    kinds: Any = registry.KINDS
    make: Any = lambda: script  # noqa: E731
    monkeypatch.setitem(kinds, name, Kind(make=make, state=int))
    return script


def quote(size: int = 10, slot: str = "a", **more: Any) -> Quote:
    values = {"side": "BUY", "price": 639_000, "instrument_id": SWAP.id, **more}
    return Quote(slot=slot, size=size, **values)


def open_orders(desk: Desk) -> list[str]:
    return [one.order_id for one in desk.exchange.orders.values() if one.status == "OPEN"]


@pytest.mark.parametrize("defect", ["on", "explain", "intent", "snapshot"])
async def test_a_defect_of_one_bot_ends_it_and_leaves_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    bad, good = scripted(monkeypatch), scripted(monkeypatch, "grid")
    bad.intents, good.intents = (quote(),), (quote(),)
    desk.bot(desk.one)
    desk.bot(desk.other, "grid", config=GRID)
    async with desk.running():
        await until(lambda: len(open_orders(desk)) == 2, "both quotes")
        if defect == "on":
            bad.fails = ZeroDivisionError()
        elif defect == "explain":
            bad.cannot_explain = True
        elif defect == "intent":
            bad.intents = (quote(slot="b", instrument_id="okx:NONE-USDT-SWAP"),)
        else:
            bad.begin = lambda config: 0  # type: ignore[method-assign]
            monkeypatch.setattr(bad, "on", lambda *_: (object(), ()))
        await until(lambda: desk.state(desk.one) == "ERROR", "the error")
        await until(lambda: len(open_orders(desk)) == 1, "the end of its quote")
        assert open_orders(desk)[0].startswith(desk.other)
        heard = len(good.heard)
        await until(lambda: len(good.heard) > heard, "the life of the other")
        assert desk.state(desk.other) == "RUNNING"


async def test_a_state_that_cannot_be_read_ends_its_bot_and_its_orders(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(),)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: open_orders(desk), "the quote")
    desk.rows("update bot_standing set strategy = '\"no number\"' where bot_id = %s", desk.one)

    async with desk.running("engine"):
        await until(lambda: desk.state(desk.one) == "ERROR", "the error")
        await until(lambda: not open_orders(desk), "the end of its quote")
        assert "ValidationError" in desk.reason(desk.one)
    ((kept,),) = desk.rows("select strategy from bot_standing where bot_id = %s", desk.one)
    assert kept == "no number"


async def test_a_bot_that_cannot_begin_yet_keeps_no_other_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(),)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the first")
        desk.exchange.unknown_instruments = True
        desk.bot(desk.other, instruments=["okx:ETH-USDT-SWAP"])
        await until(lambda: desk.exchange.placed, "the quote")
        desk.wish(desk.one, "STOPPED")
        await until(lambda: desk.state(desk.one) == "STOPPED", "the stop")
        assert desk.state(desk.other) == "IDLE"


async def test_a_paused_bot_that_no_engine_has_is_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
        desk.wish(desk.one, "PAUSED")
        await until(lambda: desk.state(desk.one) == "PAUSED", "the pause")
    desk.wish(desk.one, "STOPPED")

    async with desk.running():
        await until(lambda: desk.state(desk.one) == "STOPPED", "the stop")


async def test_a_bot_that_was_pausing_when_its_engine_died_goes_on_when_it_is_wanted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
    desk.rows("update bot set from_state = state, state = 'PAUSING' where id = %s", desk.one)

    script.intents = (quote(),)
    async with desk.running():
        await until(lambda: open_orders(desk), "the quote")
        assert desk.state(desk.one) == "RUNNING"


async def test_an_order_for_now_is_not_cancelled_on_its_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(time_in_force="IOC"),)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.exchange.placed, "the order")
        heard = len(script.heard)
        await until(lambda: len(script.heard) > heard + 3, "some time")
    assert desk.exchange.cancelled == []
