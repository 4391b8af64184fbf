"""Positions compared with the exchange's, and a flattening that a death does not stop."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from services.bots.core.permit import order_id
from services.bots.wallet import positions as room
from tests.bots.exchange import GRID, SWAP, Desk, Script, open_orders, quote, scripted, until
from tests.unit.bots.samples import spot
from tradingtools import clock
from tradingtools.venues.trading import Balance, NewOrder

GAPS = "select believed, held, missing, explained from position_gap where wallet_id = %s"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(room, "POLL_AGAIN_SECONDS", 0.02)
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
        reported = "select count(*) from bot_event where bot_id = %s and what = 'position_missing'"
        assert desk.rows(reported, desk.one) == [(1,)]

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
        received = len(script.received)
        await until(lambda: len(script.received) > received + 5, "some time")
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


@pytest.mark.parametrize("state", ["STOPPED", "RISK_STOPPED", "ERROR", "UNREADABLE"])
async def test_what_a_stopped_bot_holds_is_closed_at_its_limit_and_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    exchange = desk.exchange
    async with desk.running():
        script.intents = (quote(10, price=650_000),)
        await until(lambda: open_orders(desk), "the quote")
        exchange.fill(open_orders(desk)[0], 10)
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        script.intents = ()
        if state in ("ERROR", "UNREADABLE"):
            script.fails = ZeroDivisionError()
        else:
            desk.command(desk.one, "STOPPED")
        await until(lambda: desk.state(desk.one) in ("STOPPED", "ERROR"), "the end")
    if state == "RISK_STOPPED":
        desk.rows("update bot set from_state = state, state = %s where id = %s", state, desk.one)
    limits = {"max_unrealised_loss": "0.00000001"}
    if state == "UNREADABLE":
        # Nor can another of its limits be read.
        limits["max_position"] = "much"
        unreadable = "update bot_standing set strategy = '\"no number\"' where bot_id = %s"
        desk.rows(unreadable, desk.one)
    desk.rows(
        "update bot set limits = %s, version = version + 1 where id = %s",
        json.dumps(limits), desk.one,
    )  # fmt: skip

    async with desk.running():
        await until(lambda: open_sells(desk), "the order that closes it")
        (last,) = open_sells(desk)
        told = "select limit_name, action from risk_event where subject = %s"
        await until(lambda: desk.rows(told, desk.one), "the event")
        assert desk.rows(told, desk.one) == [("max_unrealised_loss", "FLATTEN_AND_STOP")]
        exchange.fill(last, exchange.orders[last].size)
        flattening = "select flattening from bot where id = %s"
        await until(lambda: desk.booked(desk.one) == 0, "what closes it")
        await until(lambda: desk.rows(flattening, desk.one) == [(False,)], "the end")
        assert desk.state(desk.one) == ("RISK_STOPPED" if "STOPPED" in state else "ERROR")


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


# --------------------------------------------------------------------------- traded elsewhere

SIZE = "select (holdings -> %s ->> 'size')::bigint from bot_standing where bot_id = %s"
CORRECTED = "select count(*) from bot_event where bot_id = %s and what = 'position_corrected'"


async def holding(desk: Desk, script: Script, size: int = 10, bot_id: str = "") -> None:
    """Let a bot buy, and quote no more."""
    bot_id = bot_id or desk.one
    script.intents = (quote(size),)
    mine = await until(lambda: [o for o in open_orders(desk) if o.startswith(bot_id)], "a quote")
    desk.exchange.fill(mine[0], size)
    script.intents = ()
    await until(lambda: desk.booked(bot_id) == size, "the fill")


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.bots.core.positions.CORRECTED_AFTER_MS", 100)
    monkeypatch.setattr("services.bots.core.positions.CLOSING_AFTER_MS", 100)


@pytest.mark.usefixtures("_soon")
async def test_what_a_person_has_sold_is_gone_from_the_bots_each_by_its_part(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = scripted(monkeypatch), scripted(monkeypatch, "grid")
    desk.bot(desk.one)
    desk.bot(desk.other, "grid", config=GRID)
    both = [desk.one, desk.other]
    async with desk.running():
        await holding(desk, one, 6)
        await holding(desk, other, 3, desk.other)
        ((before,),) = desk.rows(
            "select result_micros from risk_result where bot_id = %s", desk.one
        )
        desk.exchange.positions[SWAP.id] = 3
        await until(lambda: [desk.booked(bot) for bot in both] == [2, 1], "what is left")
        assert [desk.rows(CORRECTED, bot) for bot in both] == [[(1,)], [(1,)]]
        kept = "select corrected, explained from position_gap where wallet_id = %s"
        assert desk.rows(kept, desk.wallet) == [(True, False)]
        # What it has made stays: the part that is gone was sold at the mark.
        await until(lambda: desk.rows(SIZE, SWAP.id, desk.one) == [(2,)], "the standing")
        assert desk.rows("select result_micros from risk_result where bot_id = %s", desk.one) == [
            (before,)
        ]

        # Nothing opens until a person has said where it went, not after a death either.
        one.intents = (quote(10), quote(2, slot="b", side="SELL", price=641_000))
        await until(lambda: standing(desk) == [("SELL", False)], "an exit, and nothing that opens")
        placed = len(desk.exchange.placed)
    one.intents = (quote(10),)
    async with desk.running("another"):
        await until(lambda: desk.state(desk.one) == "RUNNING", "the next life")
        received = len(one.received)
        await until(lambda: len(one.received) > received + 5, "some time")
        assert not [o for o in desk.exchange.placed[placed:] if o.side == "BUY"]
        desk.rows("update position_gap set explained = true where wallet_id = %s", desk.wallet)
        await until(lambda: open_orders(desk), "the quote")
        assert desk.rows("select 1 from position_gap where wallet_id = %s", desk.wallet) == []
    assert [desk.booked(bot) for bot in both] == [2, 1]


@pytest.mark.usefixtures("_soon")
async def test_nothing_is_corrected_while_an_order_may_explain_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        await holding(desk, script)
        # Its exit has filled, and neither the order nor the fill is told by anybody.
        exchange = desk.exchange
        exchange.silent = exchange.unanswered = True
        script.intents = (quote(4, slot="b", side="SELL", price=641_000),)
        (exit_,) = await until(lambda: sells(desk), "the exit")
        exchange.positions[SWAP.id] = 6
        await until(lambda: desk.rows(GAPS, desk.wallet), "the gap")
        looked = exchange.read
        await until(lambda: exchange.read > looked + 20, "many comparisons")
        assert desk.rows(CORRECTED, desk.one) == [(0,)]
        assert desk.booked(desk.one) == 10

        exchange.silent = exchange.unanswered = False
        exchange.positions[SWAP.id] = 10
        exchange.fill(exit_, 4)
        await until(lambda: desk.booked(desk.one) == 6, "the fill")
        await until(lambda: not desk.rows(GAPS, desk.wallet), "the end of the gap")
    assert desk.rows(CORRECTED, desk.one) == [(0,)]


@pytest.mark.usefixtures("_soon")
async def test_nothing_is_corrected_while_a_change_of_sets_may_explain_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge that is made, and that nobody has booked: a correction would sell it once more."""
    desk.bot(desk.one)
    script = scripted(monkeypatch)
    change = "update outcome_set_change set state = 'DONE' where wallet_id = %s"
    async with desk.running():
        await holding(desk, script)
        desk.rows(
            "insert into outcome_set_change (id, wallet_id, bot_id, action, instrument_id,"
            " complement_id, size, nonce, deadline)"
            " values (%s, %s, %s, 'merge', 'okx:OTHER', %s, 4, 1, clock_timestamp())",
            desk.wallet, desk.wallet, desk.one, SWAP.id,
        )  # fmt: skip
        desk.exchange.positions[SWAP.id] = 6
        await until(lambda: desk.rows(GAPS, desk.wallet), "the gap")
        looked = desk.exchange.read
        await until(lambda: desk.exchange.read > looked + 20, "many comparisons")
        assert (desk.rows(CORRECTED, desk.one), desk.booked(desk.one)) == ([(0,)], 10)
        desk.rows(change, desk.wallet)
        await until(lambda: desk.booked(desk.one) == 6, "what a person has sold")


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("death", [False, True])
async def test_a_fill_that_is_told_after_its_loss_was_corrected_is_booked_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, death: bool
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        await holding(desk, script)
        desk.exchange.positions[SWAP.id] = 6
        await until(lambda: desk.booked(desk.one) == 6, "the correction")
        await until(lambda: desk.rows(SIZE, SWAP.id, desk.one) == [(6,)], "the standing")
        if not death:
            await sold_late(desk)
            await until(lambda: desk.rows(UNDONE, desk.one), "what is back")
            await until(lambda: desk.booked(desk.one) == 6, "the fill")
            await until(lambda: not desk.rows(GAPS, desk.wallet), "the end of the gap")
    if death:
        await sold_late(desk)
        async with desk.running("another"):
            await until(lambda: desk.rows(UNDONE, desk.one), "what is back")
            await until(lambda: not desk.rows(GAPS, desk.wallet), "the end of the gap")
    assert desk.rows(UNDONE, desk.one) == [(4,)]
    assert desk.booked(desk.one) == 6
    assert desk.exchange.positions[SWAP.id] == 6
    assert desk.rows("select 1 from position_gap where wallet_id = %s", desk.wallet) == []


UNDONE = "select size from bot_fill where undone and bot_id = %s"


async def sold_late(desk: Desk) -> None:
    """Let an order of the bot that nobody knew of turn out to have sold 4."""
    sold = NewOrder(
        order_id=order_id(desk.one, 1, 70_000), instrument=SWAP, side="SELL", price=639_000,
        size=4, not_after_ms=clock.now_ms(),
    )  # fmt: skip
    await desk.exchange.place(sold)
    desk.exchange.positions[SWAP.id] = 10
    desk.exchange.fill(sold.order_id, 4)


@pytest.mark.usefixtures("_soon")
async def test_a_position_that_was_not_told_for_a_while_is_held_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange that tells no positions for minutes takes none from a bot for good."""
    one, other = scripted(monkeypatch), scripted(monkeypatch, "grid")
    desk.bot(desk.one)
    desk.bot(desk.other, "grid", config=GRID)
    both = [desk.one, desk.other]
    async with desk.running():
        await holding(desk, one, 6)
        await holding(desk, other, 3, desk.other)
        desk.exchange.positions[SWAP.id] = 6
        await until(lambda: [desk.booked(bot) for bot in both] == [4, 2], "the first correction")
        desk.exchange.positions[SWAP.id] = 0
        await until(lambda: [desk.booked(bot) for bot in both] == [0, 0], "the second one")
        # A part of it may be anybody's.
        desk.exchange.positions[SWAP.id] = 8
        read = desk.exchange.read
        await until(lambda: desk.exchange.read > read + 20, "many comparisons")
        assert [desk.booked(bot) for bot in both] == [0, 0]
        desk.exchange.positions[SWAP.id] = 9
        await until(lambda: [desk.booked(bot) for bot in both] == [6, 3], "what is back")
        one.intents = (quote(10),)
        await until(lambda: open_orders(desk), "a quote that opens")
    assert [desk.rows(CORRECTED, bot) for bot in both] == [[(4,)], [(4,)]]


@pytest.mark.parametrize("reported", ["before", "after"])
async def test_a_persons_word_corrects_the_holding_without_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, reported: str
) -> None:
    """It is heard by the next engine as well."""
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    explain = "update position_gap set explained = true where wallet_id = %s"
    async with desk.running():
        await holding(desk, script)
        desk.exchange.positions[SWAP.id] = 4
        await until(lambda: desk.rows(GAPS, desk.wallet) == [(10, 4, 6, False)], "the gap")
        if reported == "before":
            desk.rows(explain, desk.wallet)
            await until(lambda: desk.booked(desk.one) == 4, "the correction")
    if reported == "after":
        desk.rows(explain, desk.wallet)
    async with desk.running("another"):
        await until(lambda: desk.booked(desk.one) == 4, "the correction")
        await until(lambda: not desk.rows(GAPS, desk.wallet), "the end of the gap")
    assert desk.rows(CORRECTED, desk.one) == [(1,)]


@pytest.mark.usefixtures("_soon")
async def test_coins_that_a_person_has_sold_keep_no_flattening_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spot exchange refuses to sell more than there is: before, the exit was refused for ever."""
    monkeypatch.setattr("services.bots.core.positions.CORRECTED_AFTER_MS", 10**9)
    coins = spot()
    exchange = desk.exchange
    exchange.instruments[coins.id] = coins
    script = scripted(monkeypatch)
    desk.bot(desk.one, instruments=[coins.id])
    flattening = "select flattening from bot where id = %s"
    async with desk.running():
        exchange.balances["BTC"] = Balance(
            currency="BTC", total=Decimal("0.0001"), available=Decimal("0.0001")
        )
        script.intents = (quote(10_000, instrument_id=coins.id, price=650_000),)
        (mine,) = await until(lambda: open_orders(desk), "the quote")
        exchange.fill(mine, 10_000, instrument_id=coins.id)
        script.intents = ()
        await until(lambda: desk.booked(desk.one) == 10_000, "the fill")
        exchange.most_sold = 4_000
        exchange.balances["BTC"] = Balance(
            currency="BTC", total=Decimal("0.00004"), available=Decimal("0.00004")
        )
        desk.rows("update bot set limits = %s, version = version + 1 where id = %s",
                  '{"max_unrealised_loss": "0"}', desk.one)  # fmt: skip
        await until(lambda: desk.rows(flattening, desk.one) == [(True,)], "the stop")
        (exit_,) = await until(lambda: open_sells(desk), "an exit of what is there")
        assert exchange.orders[exit_].size == 4_000
        exchange.fill(exit_, 4_000, instrument_id=coins.id)
        await until(lambda: desk.rows(flattening, desk.one) == [(False,)], "the end")
    assert desk.booked(desk.one) == 0
