"""The bots of one wallet on a real database: defects and wishes of one leave the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from services.bots import metrics, wallet_run
from services.bots.core import forced
from services.bots.core.bot import Bot
from services.bots.core.permit import order_id, requested
from services.bots.core.requests import PermitRequest
from services.bots.core.strategy import FillEvent, Withdraw
from services.bots.store import BotRow, Store
from services.bots.wallet import account
from services.bots.wallet.commands import Commands
from tests.bots.exchange import GRID, SWAP, Desk, Script, open_orders, quote, scripted, until
from tests.unit.bots.samples import AMENDS
from tradingtools import clock
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.venues.trading import Fill, NewOrder


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
        received = len(good.received)
        await until(lambda: len(good.received) > received, "the life of the other")
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


async def test_a_change_that_does_not_fit_is_told_once_and_not_applied(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(),)
    desk.bot(desk.one)
    change = "update bot set limits = %s, version = version + 1 where id = %s"
    applied = "select version from bot_standing where bot_id = %s"
    reported = "select reason from bot_event where bot_id = %s and what = 'change_refused'"
    async with desk.running():
        await until(lambda: desk.rows(applied, desk.one) == [(1,)], "the first version")
        # A standing is written before the first permit, and so before the first quote.
        await until(lambda: open_orders(desk), "the quote")
        desk.rows(change, '{"max_position": "much"}', desk.one)
        await until(lambda: desk.rows(reported, desk.one), "the refusal")
        # It is written each second, and looked at fifty times in one.
        written = "select written_at from bot_standing where bot_id = %s"
        before = desk.rows(written, desk.one)
        await until(lambda: desk.rows(written, desk.one) != before, "another standing")
        assert desk.rows(applied, desk.one) == [(1,)]
        assert desk.rows(reported, desk.one) == [("limits.max_position: 'much' is no number",)]
        # After a stall of the machine its books are old, and it quotes again.
        await until(lambda: len(open_orders(desk)) == 1, "the quote still")
        desk.rows(change, '{"max_position": "6"}', desk.one)
        await until(lambda: desk.rows(applied, desk.one) == [(3,)], "what fits")


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
        desk.command(desk.one, "STOPPED")
        await until(lambda: desk.state(desk.one) == "STOPPED", "the stop")
        assert desk.state(desk.other) == "IDLE"


async def test_a_paused_bot_that_no_engine_has_is_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
        desk.command(desk.one, "PAUSED")
        await until(lambda: desk.state(desk.one) == "PAUSED", "the pause")
    desk.command(desk.one, "STOPPED")

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
        received = len(script.received)
        await until(lambda: len(script.received) > received + 3, "some time")
    assert desk.exchange.cancelled == []


async def settled(desk: Desk, script: Script, size: int = 10) -> str:
    """Let a quote be filled in part and cancelled; return its id once nobody keeps it any more."""
    script.intents = (quote(size),)
    await until(lambda: desk.exchange.placed, "the quote")
    order_id = desk.exchange.placed[-1].order_id
    script.intents = (Withdraw(slot="a"),)
    written = "select settled from bot_order where order_id = %s"
    await until(lambda: desk.rows(written, order_id) == [(True,)], "the end of the order")
    return order_id


@pytest.mark.parametrize("state", ["RUNNING", "STOPPED", "PAUSED"])
async def test_a_fill_of_an_order_that_was_let_go_of_is_booked_and_stops_its_bot(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        order_id = await settled(desk, script)
        desk.command(desk.one, state)
        await until(lambda: desk.state(desk.one) == state, "its state")
        desk.exchange.trade(order_id, "BUY", 639_000, 4)
        await until(lambda: desk.state(desk.one) == "RISK_STOPPED", "the stop")
        await until(lambda: desk.booked(desk.one) == 4, "the fill")
        assert "beyond what its end told" in desk.reason(desk.one)
        received = [one for one in script.received if isinstance(one, FillEvent)]
        assert [one.slot for one in received] == ["a"]
    moved = "select from_state, to_state from bot_order_event where order_id = %s"
    assert ("CANCELLED", "RESURRECTED") in desk.rows(moved, order_id)


async def test_a_late_fill_leaves_what_stands_in_its_slot_by_now(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is told once, however often it is heard."""
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        script.intents = (quote(10),)
        await until(lambda: open_orders(desk), "the quote")
        (order_id,) = open_orders(desk)
        fill = desk.exchange.fill(order_id, 10)
        await until(lambda: len(open_orders(desk)) == 1, "the next quote")
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        (standing,) = open_orders(desk)
        for _ in range(2):
            desk.exchange.reported.put_nowait(replace(fill, undone=True))
        await until(lambda: desk.booked(desk.one) == 0, "the fill taken back")
        received = len(script.received)
        await until(lambda: len(script.received) > received + 3, "some time")
        assert open_orders(desk) == [standing]
        assert desk.state(desk.one) == "RUNNING"
        reported = [
            one for one in script.received if isinstance(one, FillEvent) and one.fill.undone
        ]
        assert [one.slot for one in reported] == ["a"]


async def test_a_fill_of_an_order_that_nobody_wrote_is_found_however_long_ago_it_was(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine died between the send and the write; the order filled while nobody looked."""
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        script.intents = (quote(10),)
        await until(lambda: open_orders(desk), "the quote")
        (order_id,) = open_orders(desk)
    desk.exchange.silent = True
    script.intents = ()
    hours_ago = clock.now_ms() - 3 * 3_600_000
    desk.exchange.fill(order_id, 10, venue_ms=hours_ago)
    desk.rows("delete from bot_order where bot_id = %s", desk.one)
    desk.rows(
        "update bot_permit set given_at = to_timestamp(%s / 1000.0) - interval '1 minute',"
        " read_at = null where bot_id = %s",
        hours_ago, desk.one,
    )  # fmt: skip

    async with desk.running():
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        unread = "select count(*) from bot_permit where bot_id = %s and read_at is null"
        await until(lambda: desk.rows(unread, desk.one) == [(0,)], "the end of reading")
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")


async def test_an_engine_that_ends_while_it_reads_leaves_what_it_has_not_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permits of a former owner: an order under them may have filled unwritten."""
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        script.intents = (quote(10),)
        await until(lambda: open_orders(desk), "the quote")
    script.intents = ()
    desk.rows("update bot_permit set read_at = null where bot_id = %s", desk.one)
    monkeypatch.setattr(account.Account, "_now_known", _nothing)
    async with desk.running("another"):
        await until(lambda: desk.run is not None and desk.run.bots == 1, "the bot")
    unread = "select count(*) from bot_permit where bot_id = %s and read_at is null"
    assert desk.rows(unread, desk.one) != [(0,)]


async def _nothing(*_: object) -> None:
    """Find no end of the reading."""


async def test_a_bot_that_trades_while_it_is_replaced_is_replaced_with_that(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trade by its exchange comes during the last write before a person's resume."""
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    write, again, written = Store.write, Commands._again, Bot.written
    late: list[Fill] = []
    bots: list[Any] = []

    def noted(self: Any) -> Any:
        bots.append(self)
        return written(self)

    async def replacing(self: Commands, row: BotRow) -> None:
        late.append(
            replace(
                desk.exchange.traded[0], trade_id="forced", side="SELL", size=4, forced="merge",
                order_id=forced.order_id("merge", desk.one),
            )
        )  # fmt: skip
        await again(self, row)

    async def traded(self: Store, *more: Any, **named: Any) -> None:
        await write(self, *more, **named)
        if late:
            bots[-1].closed_by_exchange(late.pop(), clock.now_ms())

    monkeypatch.setattr(Bot, "written", noted)
    monkeypatch.setattr(Commands, "_again", replacing)
    monkeypatch.setattr(Store, "write", traded)
    async with desk.running():
        script.intents = (quote(10),)
        await until(lambda: open_orders(desk), "the quote")
        desk.exchange.fill(open_orders(desk)[0], 10)
        script.intents = ()
        await until(lambda: desk.booked(desk.one) == 10, "the fill")
        desk.command(desk.one, "PAUSED")
        await until(lambda: desk.state(desk.one) == "PAUSED", "the pause")
        desk.command(desk.one, "RUNNING")
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
        assert late == []
        assert desk.booked(desk.one) == 6


async def test_an_order_that_appears_after_the_reading_is_adopted_and_cancelled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
        late = NewOrder(
            order_id=order_id(desk.one, 0xFF, 7), instrument=SWAP, side="BUY", price=639_000,
            size=10, not_after_ms=clock.now_ms(),
        )  # fmt: skip
        await desk.exchange.place(late)
        await until(lambda: not open_orders(desk), "its end")
        assert desk.state(desk.one) == "RUNNING"
        assert script.received


async def test_the_wider_of_two_permits_under_one_number_counts(desk: Desk) -> None:
    desk.bot(desk.one)
    async with open_pool(desk.url, name="test", size=1) as pool:
        store, lease = Store(pool, "engine"), await desk.leased(pool)
        permit = requested(
            bot_id=desk.one, epoch=lease.epoch, instrument=SWAP, side="SELL", number=1,
            price=640_000, size=10, expires_ms=lease.until_ms,
        )  # fmt: skip
        for price, size in ((500, 10), (400, 30), (450, 20)):
            wider = replace(permit, worst_price=price, size=size)
            await store.permits(lease, "default", [PermitRequest(wider)])
    query = "select worst_price, size from bot_permit where bot_id = %s"
    assert desk.rows(query, desk.one) == [(400, 30)]


@pytest.mark.parametrize("filled", [0, 4, 10])
async def test_an_operator_settles_what_nobody_could_and_its_reservation_ends_then(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, filled: int
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(10),)
    desk.bot(desk.one)
    async with desk.running():
        await until(lambda: open_orders(desk), "the quote")
        script.intents = ()
        (name,) = open_orders(desk)
        written = "select 1 from bot_order where order_id = %s and state = 'OPEN'"
        await until(lambda: desk.rows(written, name), "the row")
    # Its exchange has forgotten it, and nobody knows what became of it.
    del desk.exchange.orders[name]
    dead = "jsonb_set(jsonb_set(detail, '{state}', '\"DEAD\"'), '{pending}', '\"NONE\"')"
    desk.rows(f"update bot_order set state = 'DEAD', detail = {dead} where order_id = %s", name)
    where = "select state, filled, settled from bot_order where order_id = %s"
    async with desk.running():
        received = len(script.received)
        await until(lambda: len(script.received) > received + 10, "some time")
        assert desk.rows(where, name) == [("DEAD", 0, False)]
        desk.rows(
            "insert into bot_order_settlement (order_id, bot_id, filled, actor, reason)"
            " values (%s, %s, %s, 'ann', 'a statement')",
            name, desk.one, filled,
        )  # fmt: skip
        ended = {0: "REJECTED", 4: "CANCELLED", 10: "FILLED"}[filled]
        await until(lambda: desk.rows(where, name) == [(ended, filled, True)], "the end")
        done = "select count(*) from bot_order_settlement where bot_id = %s and done_at is null"
        await until(lambda: desk.rows(done, desk.one) == [(0,)], "the word that it is done")
        assert desk.booked(desk.one) == filled
        reported = [one.fill.size for one in script.received if isinstance(one, FillEvent)]
        assert reported == ([filled] if filled else [])


async def test_no_order_leaves_that_a_failed_write_has_taken_along(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two orders wait to be written at once; the first one's write has both, and fails.

    That one does not leave, and what is wanted is ordered anew.
    """
    script = scripted(monkeypatch)
    desk.exchange.capabilities = replace(AMENDS, order_id_known_before=True)
    real = Store.write
    failed: list[Any] = []

    async def write(self: Store, lease: Any, written: Any, *more: Any, again: bool) -> None:
        if not failed and any(one.orders for _, one, _ in written):
            failed.append(list(written))
            await asyncio.sleep(0)
            raise psycopg.OperationalError("the connection broke")
        await real(self, lease, written, *more, again=again)

    monkeypatch.setattr(Store, "write", write)
    monkeypatch.setattr(wallet_run, "TICK_SECONDS", 0.25)
    script.intents = (quote(10), quote(10, "b"))
    desk.bot(desk.one)

    async with desk.running(write_ms=60_000):
        await until(lambda: len(open_orders(desk)) == 2, "both quotes")
        assert failed
        written = {name for (name,) in desk.rows("select order_id from bot_order")}
        assert {one.order_id for one in desk.exchange.placed} <= written
        held_back = {order.order.order_id for _, one, _ in failed[0] for _, order in one.orders}
        assert held_back - {one.order_id for one in desk.exchange.placed}


async def test_what_a_failed_write_left_is_written_with_the_state_that_made_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a death just then has the strategy want the same again."""
    script = scripted(monkeypatch)
    script.intents = (quote(),)
    desk.bot(desk.one)

    async def fails(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError("the connection broke")

    async with desk.running(write_ms=60_000):
        await until(lambda: open_orders(desk), "the quote")
        assert desk.run is not None
        journal = desk.run._journal
        assert journal is not None
        with monkeypatch.context() as broken:
            broken.setattr(Store, "write", fails)
            with pytest.raises(psycopg.OperationalError):
                await journal.flush()
        async with journal.settled():
            both = "select number from bot_order o join bot_standing s on s.bot_id = o.bot_id"
            assert desk.rows(f"{both} where o.bot_id = %s", desk.one) == [(2,)]


async def test_an_engine_sees_who_wants_orders_and_has_none_and_which_books_are_in_doubt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubts: list[dict[str, str]] = []
    monkeypatch.setattr(metrics.DOUBTS, "add", lambda _, labels: doubts.append(labels))
    script = scripted(monkeypatch)
    desk.bot(desk.one)

    def look() -> metrics.WalletSnapshot:
        assert desk.run is not None
        found = desk.run.look()
        assert found is not None
        return found

    async with desk.running():
        await until(lambda: desk.state(desk.one) == "RUNNING", "the start")
        # It wants nothing, and its account is known.
        assert look() == metrics.WalletSnapshot(known=True, unquoted_ms=0, doubted=0, free=1.0)
        desk.exchange.refusing = True
        script.intents = (quote(),)
        await until(lambda: look().unquoted_ms > 0, "a quote that does not stand")
        desk.exchange.refusing = False
        await until(lambda: open_orders(desk), "the quote")
        await until(lambda: look().unquoted_ms == 0, "its acknowledgement")
        desk.exchange.doubted = True
        await until(lambda: look().doubted == 1, "the doubt")
        await until(lambda: desk.exchange.stale_reported >= 3, "the doubt again")
        desk.exchange.doubted = False
        await until(lambda: look().doubted == 0, "its end")
    # Told again and again, it is one doubt.
    assert doubts == [{"exchange": "okx"}]


async def test_an_order_that_comes_back_stops_a_bot_that_is_stopped_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(monkeypatch)
    script.intents = (quote(10),)
    desk.bot(desk.one)
    desk.bot(desk.other, "grid", config=GRID)
    async with desk.running():
        quotes = await until(lambda: [o for o in open_orders(desk) if o.startswith(desk.one)], "it")
        name = quotes[0]
        written = "select 1 from bot_order where order_id = %s and state = 'OPEN'"
        await until(lambda: desk.rows(written, name), "the row")
    # Its engine was sure that it never arrived.
    lost = "jsonb_set(detail, '{state}', '\"LOST\"')"
    desk.rows(
        f"update bot_order set state = 'LOST', settled = true, detail = {lost}"
        " where order_id = %s",
        name,
    )  # fmt: skip
    for state in ("STOPPING", "STOPPED"):
        desk.rows(
            "update bot set from_state = state, state = %s, desired = 'STOPPED' where id = %s",
            state, desk.one,
        )  # fmt: skip

    async with desk.running():
        await until(lambda: name in desk.exchange.cancelled, "its end")
        await until(lambda: desk.state(desk.one) == "RISK_STOPPED", "the stop")
    assert "order_after_its_end" in desk.reason(desk.one)
