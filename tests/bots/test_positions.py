"""Positions compared with the exchange's, and a flattening that a death does not stop."""

from __future__ import annotations

import pytest

from services.bots.wallet import positions as room
from tests.bots.exchange import SWAP, Desk, open_orders, quote, scripted, until

GAPS = "select believed, held, missing, explained from position_gap where wallet_id = %s"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(room, "LOOK_AGAIN_SECONDS", 0.02)
    monkeypatch.setattr("services.bots.core.positions.SETTLES_MS", 60)


def standing(desk: Desk) -> list[tuple[str, bool]]:
    """Return side of what rests, and whether it only reduces."""
    rests = open_orders(desk)
    return [(one.side, one.reduce_only) for one in desk.exchange.placed if one.order_id in rests]


async def test_what_is_missing_stops_openings_there_until_it_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    desk.bot(desk.other, desired="IDLE")
    exchange = desk.exchange
    async with desk.running():
        script.intents = (quote(10),)
        await until(lambda: open_orders(desk), "the quote")
        exchange.fill(open_orders(desk)[0], 10)
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        exchange.positions[SWAP.id] = 4

        await until(lambda: desk.rows(GAPS, desk.wallet) == [(10, 4, 6, False)], "the gap")
        script.intents = (quote(10), quote(5, slot="b", side="SELL", price=641_000))
        # What opens is gone, and an exit opens no other side.
        await until(lambda: standing(desk) == [("SELL", True)], "the end of what opens")
        told = "select count(*) from bot_event where bot_id = %s and what = 'position_missing'"
        assert desk.rows(told, desk.one) == [(1,)]

        exchange.positions[SWAP.id] = 10
        await until(lambda: desk.rows(GAPS, desk.wallet) == [], "the end of the gap")
        await until(lambda: len(open_orders(desk)) == 2, "the quote that opens")
        assert desk.state(desk.one) == "RUNNING"


async def test_a_gap_is_known_to_the_next_engine_and_ended_by_a_person(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        script.intents = (quote(10),)
        await until(lambda: open_orders(desk), "the quote")
        desk.exchange.fill(open_orders(desk)[0], 10)
        script.intents = ()
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        desk.exchange.positions[SWAP.id] = 4
        await until(lambda: desk.rows(GAPS, desk.wallet), "the gap")

    monkeypatch.setattr("services.bots.core.positions.SETTLES_MS", 10**9)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the next life")
        script.intents = (quote(10),)
        heard = len(script.heard)
        await until(lambda: len(script.heard) > heard + 5, "some time")
        await until(lambda: not open_orders(desk), "the end of what opens")
        desk.rows("update position_gap set explained = true where wallet_id = %s", desk.wallet)
        await until(lambda: open_orders(desk), "the quote")


async def test_a_strangers_position_is_left_alone_and_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(10),)
    desk.bot(desk.one)
    desk.exchange.positions[SWAP.id] = -7
    async with desk.running():
        await until(lambda: open_orders(desk), "the quote")
        desk.exchange.fill(open_orders(desk)[0], 10)
        desk.exchange.positions[SWAP.id] = 12
        await until(lambda: desk.rows(GAPS, desk.wallet) == [(10, 12, 0, False)], "the stranger")
        await until(lambda: open_orders(desk), "the next quote")


@pytest.mark.parametrize("death", ["before", "between"])
async def test_a_flattening_goes_on_after_a_death_and_is_done_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, death: str
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one, limits={"max_unrealised_loss": "0.00000001"})
    exchange = desk.exchange
    flattening = "select flattening from bot where id = %s"
    async with desk.running():
        script.intents = (quote(10, price=650_000),)
        await until(lambda: open_orders(desk), "the quote")
        exchange.refusing = death == "before"
        exchange.fill(open_orders(desk)[0], 10)
        await until(lambda: desk.state(desk.one) == "RISK_STOPPED", "the loss")
        assert desk.rows(flattening, desk.one) == [(True,)]
        if death == "between":
            await until(lambda: sells(desk), "the order that closes")
            exchange.fill(sells(desk)[0], 4)
            exchange.end(sells(desk)[0])
            exchange.refusing = True
    assert desk.rows(flattening, desk.one) == [(True,)]

    exchange.refusing = False
    async with desk.running():
        await until(lambda: open_sells(desk), "the order that closes the rest")
        (last,) = open_sells(desk)
        exchange.fill(last, exchange.orders[last].size)
        await until(lambda: desk.rows(flattening, desk.one) == [(False,)], "the end")
        assert exchange.positions[SWAP.id] == 0
        assert desk.booked(desk.one) == 0
        assert desk.state(desk.one) == "RISK_STOPPED"
        assert not open_sells(desk)


def sells(desk: Desk) -> list[str]:
    return [key for key, one in desk.exchange.orders.items() if one.side == "SELL"]


def open_sells(desk: Desk) -> list[str]:
    return [one for one in sells(desk) if one in open_orders(desk)]


async def test_a_bot_that_failed_is_flattened_on_after_a_death(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        script.intents = (quote(10),)
        (first,) = await until(lambda: open_orders(desk), "the quote")
        script.intents = ()
        desk.exchange.fill(first, 10)
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
    desk.rows(
        "update bot set from_state = state, state = 'ERROR', flattening = true where id = %s",
        desk.one,
    )

    async with desk.running("another"):
        sold = "the exit"
        (exit_,) = await until(lambda: [o for o in desk.exchange.placed if o.reduce_only], sold)
        assert (exit_.side, exit_.size) == ("SELL", 10)
        desk.exchange.fill(exit_.order_id, 10)
        done = "select not flattening from bot where id = %s"
        await until(lambda: desk.rows(done, desk.one) == [(True,)], "the end")
