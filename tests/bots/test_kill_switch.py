"""The kill switch on a wallet of an exchange that takes an order late."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.bots.core.permit import order_id
from services.bots.wallet import killing, positions
from tests.bots.exchange import GRID, SWAP, Desk, open_orders, quote, scripted, until
from tradingtools import clock
from tradingtools.venues.trading import NewOrder, RestingTime

KILL = f"kil_{7:032x}"


@pytest.fixture(autouse=True)
def exact(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(killing, "CLOCK_ERROR_MS", 0)
    yield
    clear(desk)


def kill(desk: Desk, exchange: str = "okx", kill_id: str = KILL) -> None:
    desk.rows(
        "insert into kill_switch (id, tenant, exchange, reason, actor)"
        " values (%s, 'default', %s, 'prices are wrong', 'me')",
        kill_id, exchange,
    )  # fmt: skip


def clear(desk: Desk) -> None:
    desk.rows("delete from kill_switch_wallet")
    desk.rows("delete from kill_switch")


def phase(desk: Desk) -> str:
    rows = desk.rows("select phase from kill_switch_wallet")
    return str(rows[0][0]) if rows else ""


def flattening(desk: Desk) -> list[NewOrder]:
    return [one for one in desk.exchange.placed if one.time_in_force is RestingTime.IOC]


async def test_a_killed_wallet_is_done_after_a_second_sweep_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.lease_ms = 4_000
    desk.bot(desk.one)
    desk.bot(desk.other, desired="IDLE")
    async with desk.running():
        script.intents = (quote(10), quote(20, "b", price=638_000))
        await until(lambda: len(open_orders(desk)) == 2, "the quotes")
        first = next(one.order_id for one in desk.exchange.placed if one.size == 10)
        script.intents = (quote(20, "b", price=638_000),)
        desk.exchange.fill(first, 10)
        await until(lambda: desk.booked(desk.one) == 10, "the fill")

        kill(desk)
        (exit_,) = await until(lambda: flattening(desk), "the exit")
        await until(lambda: phase(desk) == "CANCELLING", "the progress")
        assert (exit_.side, exit_.size, exit_.reduce_only) == ("SELL", 10, True)
        assert [one for one in open_orders(desk) if one != exit_.order_id] == []
        desk.exchange.fill(exit_.order_id, 10)
        await until(lambda: phase(desk) == "SECOND_SWEEP", "the second sweep")

        # It left before the kill switch was set, and nobody is told that it has arrived.
        desk.exchange.silent = True
        late = NewOrder(
            order_id=order_id(desk.one, 0xFF, 7), instrument=SWAP, side="BUY", price=639_000,
            size=10, not_after_ms=clock.now_ms(),
        )  # fmt: skip
        await desk.exchange.place(late)
        await until(lambda: late.order_id in desk.exchange.cancelled, "its end")
        desk.exchange.silent = False
        await until(lambda: phase(desk) == "DONE", "the end")

    assert open_orders(desk) == []
    assert desk.exchange.positions == {SWAP.id: 0}
    ((last_ms, done_ms),) = desk.rows(
        "select extract(epoch from p.last_arrival_at) * 1000, extract(epoch from k.done_at) * 1000"
        " from kill_switch k join kill_switch_wallet p on p.kill_id = k.id where k.id = %s",
        KILL,
    )
    ((permit_ms,),) = desk.rows(
        "select max(extract(epoch from expires_at) * 1000) from bot_permit where bot_id = %s",
        desk.one,
    )
    assert permit_ms <= last_ms <= done_ms
    assert desk.state(desk.one) == "RISK_STOPPED"
    assert desk.reason(desk.one) == "kill_switch: prices are wrong"
    assert desk.state(desk.other) == "IDLE"
    reported = "select action from risk_event where limit_name = 'kill_switch'"
    assert desk.rows(reported) == [("DONE",)]


async def test_a_stopped_bot_that_holds_something_is_flattened_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        script.intents = (quote(10),)
        (first,) = await until(lambda: open_orders(desk), "the quote")
        desk.exchange.fill(first, 10)
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        script.intents = ()
        desk.command(desk.one, "STOPPED")
        await until(lambda: desk.state(desk.one) == "STOPPED", "the stop")

    kill(desk, exchange="")
    async with desk.running("another"):
        (exit_,) = await until(lambda: flattening(desk), "the exit")
        desk.exchange.fill(exit_.order_id, 10)
        await until(lambda: phase(desk) == "SECOND_SWEEP", "the second sweep")
        assert desk.state(desk.one) == "RISK_STOPPED"


async def test_a_kill_switch_ends_where_a_person_has_closed_what_bots_held(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, its exits were refused, and it was FLATTENING, for ever."""
    monkeypatch.setattr(positions, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(positions, "POLL_AGAIN_SECONDS", 0.02)
    monkeypatch.setattr("services.bots.core.positions.SETTLES_MS", 60)
    monkeypatch.setattr("services.bots.core.positions.CLOSING_AFTER_MS", 60)
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        script.intents = (quote(10),)
        (first,) = await until(lambda: open_orders(desk), "the quote")
        desk.exchange.fill(first, 10)
        script.intents = ()
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        # What only reduces is refused where there is nothing.
        desk.exchange.positions[SWAP.id], desk.exchange.refusing = 0, True
        kill(desk)
        await until(lambda: phase(desk) == "SECOND_SWEEP", "the second sweep")
    assert desk.booked(desk.one) == 0
    reported = "select what from bot_event where bot_id = %s and what = 'position_corrected'"
    assert desk.rows(reported, desk.one) == [("position_corrected",)]


async def test_nothing_starts_under_a_kill_switch(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(10),)
    desk.bot(desk.one)
    desk.rows("update bot set from_state = 'IDLE', state = 'STARTING' where id = %s", desk.one)
    kill(desk)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RISK_STOPPED", "the stop")
    assert desk.exchange.placed == []


async def test_bots_on_opposite_sides_of_one_account_are_both_closed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange would cut reduce-only exits to the 6 that the account holds."""
    long, short = scripted(monkeypatch), scripted(monkeypatch, "grid")
    desk.bot(desk.one)
    desk.bot(desk.other, "grid", config=GRID)
    async with desk.running():
        long.intents, short.intents = (quote(10),), (quote(4, side="SELL", price=641_000),)
        for bot, size in ((desk.one, 10), (desk.other, 4)):
            quoted = await until(
                lambda b=bot: [o for o in open_orders(desk) if o.startswith(b)], bot
            )
            desk.exchange.fill(quoted[0], size)
        long.intents = short.intents = ()
        await until(lambda: (desk.booked(desk.one), desk.booked(desk.other)) == (10, -4), "fills")

        kill(desk)
        exits = await until(lambda: len(flattening(desk)) == 2 and flattening(desk), "the exits")
    reported = {(one.side, one.size, one.reduce_only) for one in exits}
    assert reported == {("SELL", 10, False), ("BUY", 4, False)}


async def test_an_operator_settles_an_order_under_a_kill_switch(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody can settle keeps it from its end, and an exit closes what was found."""
    script = scripted(monkeypatch)
    script.intents = (quote(10),)
    desk.bot(desk.one)
    async with desk.running():
        (name,) = await until(lambda: open_orders(desk), "the quote")
        script.intents = ()
        written = "select 1 from bot_order where order_id = %s and state = 'OPEN'"
        await until(lambda: desk.rows(written, name), "the row")
    del desk.exchange.orders[name]
    dead = "jsonb_set(jsonb_set(detail, '{state}', '\"DEAD\"'), '{pending}', '\"NONE\"')"
    desk.rows(f"update bot_order set state = 'DEAD', detail = {dead} where order_id = %s", name)
    kill(desk)
    async with desk.running("another"):
        await until(lambda: phase(desk) == "CANCELLING", "what nobody can settle")
        desk.rows(
            "insert into bot_order_settlement (order_id, bot_id, filled, actor, reason)"
            " values (%s, %s, 4, 'ann', 'a statement')",
            name, desk.one,
        )  # fmt: skip
        (exit_,) = await until(lambda: flattening(desk), "the exit")
        assert (exit_.side, exit_.size) == ("SELL", 4)
        desk.exchange.fill(exit_.order_id, 4)
        await until(lambda: phase(desk) == "SECOND_SWEEP", "the second sweep")


async def test_the_next_kill_switch_waits_for_what_left_since_the_last_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch)
    desk.lease_ms = 4_000
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
        kill(desk)
        await until(lambda: phase(desk) == "DONE", "the end")
        clear(desk)
        until_ = (
            "insert into bot_permit select id, 1, %s, 'BUY', 1, 2, 1, 1, now() + interval '1 h'"
        )
        desk.rows(f"{until_} from bot where id = %s", SWAP.id, desk.one)

        kill(desk, kill_id=f"kil_{8:032x}")
        await until(lambda: phase(desk), "the progress")
        assert phase(desk) == "SECOND_SWEEP"
    desk.rows("delete from bot_permit where bot_id = %s", desk.one)


async def test_what_is_held_of_an_instrument_that_the_exchange_has_no_more_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be sold, so the kill switch is not done before somebody books its end."""
    script = scripted(monkeypatch)
    script.intents = (quote(10),)
    desk.bot(desk.one)
    async with desk.running():
        (first,) = await until(lambda: open_orders(desk), "the quote")
        script.intents = ()
        desk.exchange.fill(first, 10)
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
    for name in open_orders(desk):
        desk.exchange.end(name)
    desk.rows("update bot_order set settled = true where bot_id = %s", desk.one)
    desk.exchange.instruments.clear()
    kill(desk)
    async with desk.running("another"):
        await until(lambda: phase(desk) == "FLATTENING", "what is held")
        reported = "select detail from kill_switch_wallet"
        assert desk.rows(reported) == [(f"still held: 0.1 {SWAP.id}",)]
        desk.exchange.trade("", "SELL", 640_000, 10, forced="delivery")
        await until(lambda: phase(desk) == "SECOND_SWEEP", "its delivery")
    assert desk.booked(desk.one) == 0
