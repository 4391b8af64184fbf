"""A wallet changes hands between engines of one process: when, and with which reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from services.bots import engine as engines
from services.bots.core.requests import DEADLINE_MS
from services.bots.engine import Engine, Terms
from services.bots.leases.store import Leases
from services.bots.store import Gap, Row, Store, WalletLease
from services.bots.wallet import outcome_sets
from services.bots.wallet_run import Venue
from tests.bots.exchange import Desk, open_orders, quote, scripted, until
from tradingtools import clock
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.tasks import run_in_background


class Heir:
    """The way of an engine that is ready when a test says so."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.requested: list[Sequence[str]] = []
        self.ready = asyncio.Event()
        self.opens = asyncio.Event()
        self.opens.set()

    @asynccontextmanager
    async def opened(self, _wallet: Row, _lease: WalletLease) -> AsyncIterator[Venue]:
        await self.opens.wait()
        yield self._desk.exchange.venue

    @asynccontextmanager
    async def prepared(self, _environment: str, instruments: Sequence[str]) -> AsyncIterator[None]:
        self.requested.append(instruments)
        await self.ready.wait()
        yield


def terms(name: str) -> Terms:
    return Terms(
        name=name, venues=["okx"], capacity=9, version="1", lease_ms=60_000, poll_ms=20,
        write_ms=10,
    )  # fmt: skip


@asynccontextmanager
async def two(desk: Desk, heir: Heir) -> AsyncIterator[Engine]:
    """Run the engine that has the wallet, which is yielded, then the one that is to get it."""
    both = []
    desk.rows("update bot_engine set until = clock_timestamp(), draining = false")
    desk.rows("update trading_wallet_lease set until = clock_timestamp()")
    async with AsyncExitStack() as works:
        pool = await works.enter_async_context(open_pool(desk.url, name="test", size=6))
        for name, way in (("bots-1", desk.exchange), ("bots-2", heir)):
            leases = Leases(pool, name, f"{name}-{desk.number}", 60_000)
            made = Engine(Store(pool, name), leases, {"okx": way}, terms(name))
            both.append(made)
            await works.enter_async_context(run_in_background(made.keep()))
            await until(lambda: owner(desk) == ("bots-1", 1), "the first owner")
        yield both[0]


def owner(desk: Desk) -> tuple[str, int] | None:
    rows = desk.rows(
        "select engine, epoch from trading_wallet_lease where wallet_id = %s", desk.wallet
    )
    return tuple(rows[0]) if rows else None


def drain(desk: Desk) -> None:
    desk.rows("update bot_engine set draining = true where name = 'bots-1'")


async def drained(desk: Desk, heir: Heir) -> None:
    """Drain the engine whose wallet quotes, and wait until its heir prepares."""
    await until(lambda: open_orders(desk), "the quote")
    drain(desk)
    await until(lambda: heir.requested, "the heir that prepares")


async def test_an_owner_trades_on_until_its_heir_is_ready(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PREPARE_SECONDS", 600.0)
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    heir = Heir(desk)
    async with two(desk, heir):
        await drained(desk, heir)
        assert heir.requested == [[*desk.exchange.instruments]]
        first = open_orders(desk)[0]
        desk.exchange.fill(first, 10)
        second = (await until(lambda: open_orders(desk), "another quote"))[0]
        assert second.startswith(f"{desk.one}e1n"), "by its owner"
        assert owner(desk) == ("bots-1", 1)

        heir.ready.set()
        await until(lambda: owner(desk) == ("bots-2", 2), "the hand-over")
        assert open_orders(desk) == [second], "it rests"
        desk.exchange.fill(second, 10)
        third = (await until(lambda: open_orders(desk), "the quote of the heir"))[0]
        assert third.startswith(f"{desk.one}e2n")
        assert desk.exchange.cancelled == []


async def test_an_heir_that_does_not_get_ready_is_handed_the_wallet_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PREPARE_SECONDS", 0.5)
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    async with two(desk, Heir(desk)):
        await until(lambda: open_orders(desk), "the quote")
        drain(desk)
        await until(lambda: owner(desk) == ("bots-2", 2), "the hand-over")


async def test_a_run_that_dies_while_its_heir_is_awaited_is_handed_over_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PREPARE_SECONDS", 600.0)
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    heir = Heir(desk)
    nothing: Any = None
    async with two(desk, heir) as first:
        await drained(desk, heir)
        dies = first._held[desk.wallet].task
        # No feed tells it.
        desk.exchange.market.append(nothing)
        await until(dies.done, "the death")
        assert dies.exception() is not None
        # It does not run out meanwhile.
        long = "update trading_wallet_lease set until = until + interval '1 hour' where engine = %s"
        desk.rows(long, "bots-1")
        await until(lambda: owner(desk) == ("bots-2", 2), "the hand-over")


async def test_quotes_are_cancelled_when_the_heir_leaves_before_it_has_the_wallet(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "LEAVE_PREPARE_SECONDS", 600.0)
    monkeypatch.setattr(engines, "LEAVE_SECONDS", 240.0)
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    heir = Heir(desk)
    async with two(desk, heir) as first:
        (stands,) = await until(lambda: open_orders(desk), "the quote")
        leaving = asyncio.create_task(first.leave())
        await until(lambda: heir.requested, "the heir that prepares")
        desk.rows("update bot_engine set leaving = true where name = 'bots-2'")
        heir.ready.set()
        await leaving
        assert (open_orders(desk), desk.exchange.cancelled) == ([], [stands])
        assert owner(desk) == ("bots-1", 1)


async def test_who_drains_keeps_a_wallet_whose_heir_is_gone_before_it_has_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PREPARE_SECONDS", 600.0)
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    heir = Heir(desk)
    async with two(desk, heir):
        await drained(desk, heir)
        desk.rows("update bot_engine set leaving = true where name = 'bots-2'")
        heir.ready.set()
        await until(lambda: owner(desk) == ("bots-1", 2), "the next epoch")
        desk.exchange.fill(open_orders(desk)[0], 10)
        (next_,) = await until(lambda: open_orders(desk), "the next quote")
        assert next_.startswith(f"{desk.one}e2n")
        assert desk.exchange.cancelled == []

        desk.rows("update bot_engine set leaving = false where name = 'bots-2'")
        await until(lambda: owner(desk) == ("bots-2", 3), "the hand-over")


async def test_quotes_are_cancelled_when_the_registry_fails_whoever_leaves(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "LEAVE_SECONDS", 240.0)
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    async with two(desk, Heir(desk)) as first:
        (stands,) = await until(lambda: open_orders(desk), "the quote")

        async def fails() -> None:
            raise psycopg.OperationalError

        monkeypatch.setattr(first, "_begin_owned", fails)
        await first.leave()
        assert stands in desk.exchange.cancelled
        assert open_orders(desk) == []


def test_a_last_look_at_sets_leaves_time_to_withdraw_quotes() -> None:
    withdrawn_ms = outcome_sets.LEAVING_SECONDS * 1000 + DEADLINE_MS
    assert withdrawn_ms < engines.LEAVE_SECONDS / 2 * 1000
    before = max(engines.LEAVE_PREPARE_SECONDS, engines.KNOW_SECONDS)
    assert before + engines.LEAVE_SECONDS / 2 < engines.LEAVE_SECONDS


async def test_quotes_are_waited_for_in_the_time_in_which_an_heir_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "KNOW_SECONDS", 600.0)
    never: asyncio.Future[None] = asyncio.Future()
    nothing: Any = None
    engine = Engine(nothing, nothing, {}, terms("bots-1"))
    engine._left_ms = clock.monotonic_ms() - 600_000
    held: Any = SimpleNamespace(task=never, run=SimpleNamespace(know=lambda: asyncio.sleep(600)))
    async with asyncio.timeout(60):
        await engine._know(held)


async def test_a_bot_that_runs_goes_on_by_its_settings_when_those_of_now_do_not_fit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    reported = "select count(*) from bot_event where bot_id = %s and what = 'change_refused'"
    applied = "select epoch, version, limits from bot_standing where bot_id = %s"
    change = "update bot set limits = %s, version = version + 1 where id = %s"
    heir = Heir(desk)
    heir.ready.set()
    async with two(desk, heir):
        await until(lambda: desk.rows(applied, desk.one) == [(1, 1, {})], "the first version")
        (stands,) = await until(lambda: open_orders(desk), "the quote")
        desk.rows(change, '{"max_position": "much"}', desk.one)
        await until(lambda: desk.rows(reported, desk.one) == [(1,)], "the refusal")
        drain(desk)
        await until(lambda: desk.rows(applied, desk.one) == [(2, 1, {})], "the next owner")
        await until(lambda: desk.state(desk.one) == "RUNNING", "the bot")
        assert open_orders(desk) == [stands]
        desk.rows(change, '{"max_position": "6"}', desk.one)
        fits = (2, 3, {"max_position": "6"})
        await until(lambda: desk.rows(applied, desk.one) == [fits], "what fits")


async def test_what_bots_have_is_read_while_the_account_is_opened_and_that_once_for_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch).intents = (quote(10),)
    read: set[str] = set()
    gaps = Store.gaps

    async def noted(store: Store, wallet_id: str) -> dict[str, Gap]:
        found = await gaps(store, wallet_id)
        read.add(str(asyncio.current_task()))
        return found

    # The last that is read of a bot's rows.
    monkeypatch.setattr(Store, "gaps", noted)
    names = [f"ab{desk.number:08}{one:02}" for one in range(6)]
    for name in names:
        desk.bot(name)
    desk.exchange.connecting = asyncio.Event()
    async with desk.running():
        # Beside those of the bots, one task compares positions.
        await until(lambda: len(read) == 7, "the rows of all bots")
        assert desk.run is not None
        assert (desk.run.bots, desk.exchange.reads, open_orders(desk)) == (0, 0, [])
        desk.exchange.connecting.set()
        running = "select bool_and(state = 'RUNNING') from bot where id = any(%s)"
        await until(lambda: desk.rows(running, names) == [(True,)], "all that run")
        await until(lambda: len(open_orders(desk)) == 6, "all that quote")
    assert desk.exchange.reads == 1


async def test_a_drain_hands_over_one_wallet_after_the_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "FOLLOW_SECONDS", 600.0)
    scripted(monkeypatch).intents = (quote(10),)
    first, second = desk.wallet, f"wal_{desk.number + 10**9:032x}"
    desk.rows(
        "insert into trading_wallet (id, tenant, name, exchange, environment, account, permissions,"
        " max_order_micros) values (%s, 'default', %s, 'okx', 'live', %s, 'trade', 1)",
        second, second, second,
    )  # fmt: skip
    desk.bot(desk.one)
    desk.wallet = second
    desk.bot(desk.other, "market_making")
    desk.wallet = first
    heir = Heir(desk)
    heir.ready.set()
    heir.opens.clear()
    owners = "select engine from trading_wallet_lease where wallet_id = any(%s) order by 1"
    both = [first, second]
    async with two(desk, heir):
        await until(lambda: len(open_orders(desk)) == 2, "the quotes of both")
        drain(desk)
        split = [("bots-1",), ("bots-2",)]
        await until(lambda: desk.rows(owners, both) == split, "the first hand-over")
        # Its owner trades on with the other as long as the first one has no quotes of the heir.
        for _ in range(20):
            await asyncio.sleep(0.02)
            assert desk.rows(owners, both) == split
        heir.opens.set()
        await until(lambda: desk.rows(owners, both) == [("bots-2",)] * 2, "the second one")


async def test_quotes_of_a_wallet_that_came_just_before_its_engine_leaves_are_withdrawn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "KNOW_SECONDS", 600.0)
    monkeypatch.setattr(engines, "LEAVE_SECONDS", 240.0)
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    async with desk.running():
        (stands,) = await until(lambda: open_orders(desk), "the quote")
    async with open_pool(desk.url, name="test", size=6) as pool:
        for table in ("bot_engine", "trading_wallet_lease"):
            desk.rows(f"update {table} set until = clock_timestamp()")
        leases = Leases(pool, "bots-3", f"third-{desk.number}", 60_000)
        await leases.register(venues=["okx"], capacity=9, version="1", bots=0, lag_ms=0)
        assert await leases.take() == [desk.wallet]
        engine = Engine(Store(pool, "bots-3"), leases, {"okx": desk.exchange}, terms("bots-3"))
        # It has not looked for its wallets since then.
        await engine.leave()
        await engine._abandon()
    # If its bot runs by then, it has a quote of its own, which is withdrawn, too.
    assert open_orders(desk) == []
    assert stands in desk.exchange.cancelled
