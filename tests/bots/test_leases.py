"""Leases in a real database: two processes of one name, and one that stands still with a lock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg
import pytest

from launcher.embedded import role_url
from services.bots.core import assignment
from services.bots.engine import Engine, Terms
from services.bots.leases import store
from services.bots.leases.store import Leases
from services.bots.store import Store
from tests.bots.exchange import Desk, quote, scripted, until
from tradingtools import clock
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.tasks import run_in_background

WALLET = f"wal_{'0' * 32}"


@pytest.fixture(autouse=True)
def wallet(request: pytest.FixtureRequest) -> None:
    if "desk" in request.fixturenames:
        return
    database_url = request.getfixturevalue("database_url")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros)"
            " values (%s, 'default', 'a', 'okx', 'demo', 'a', '', 1)",
            (WALLET,),
        )
        connection.execute(
            "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments, desired)"
            " values ('bot000000001', 'default', 'a', %s, 'grid', '{}', '{okx:X}', 'RUNNING')",
            (WALLET,),
        )


def requested(database_url: str, query: str) -> list[tuple[int, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


@asynccontextmanager
async def leases(
    database_url: str, name: str, incarnation: str, lease_ms: int = 60_000
) -> AsyncIterator[Leases]:
    async with open_pool(role_url(database_url, "bots"), name=incarnation, size=2) as pool:
        made = Leases(pool, name, incarnation, lease_ms)
        yield made


async def registered(one: Leases, venues: tuple[str, ...] = ("okx",)) -> bool | None:
    return await one.register(venues=venues, capacity=10, version="1", bots=0, lag_ms=0)


async def test_a_second_process_of_a_name_has_nothing_while_the_first_one_lives(
    database_url: str,
) -> None:
    async with (
        leases(database_url, "bots-1", "first") as first,
        leases(database_url, "bots-1", "second") as second,
    ):
        assert await registered(first) is False
        assert await first.take() == [WALLET]
        assert first.ended_ns == {}, "nobody had it before"
        assert await registered(second) is None
        assert await second.owned() == {}
        assert await second.renew([WALLET]) == {}
        before = await first.owned()
        assert before[WALLET].epoch == 1
        # It has ended, and given its name back, but not its wallet: that is waited for.
        await first.leave()
        assert await registered(second) is False
        assert await second.take() == []
        assert await registered(first) is None
        assert await first.owned() == before


@pytest.mark.parametrize("behind_seconds", [-30, 30])
async def test_an_engine_goes_by_the_clock_that_its_leases_are_judged_by(
    database_url: str, monkeypatch: pytest.MonkeyPatch, behind_seconds: int
) -> None:
    """Else it would trade for a while after another one has taken its wallets, or never."""
    wrong = type(clock._system)()
    wrong._zero_ns = time.time_ns() - behind_seconds * 10**9 - time.monotonic_ns()
    for name in ("_system", "_clock"):
        monkeypatch.setattr(clock, name, wrong)
    async with leases(database_url, "bots-1", "first") as one:
        await registered(one)
        await one.take()
        before_ms = clock.now_ms()
        (lease,) = (await one.owned()).values()

    tolerated_ms = clock.TOLERATED_NS // 10**6
    assert lease.until_ms <= before_ms + 60_000 + tolerated_ms
    ((now_ms,),) = requested(database_url, "select extract(epoch from clock_timestamp()) * 1000")
    assert before_ms <= now_ms + tolerated_ms


async def test_a_wallet_is_handed_over_to_who_can_its_exchange(database_url: str) -> None:
    async with (
        leases(database_url, "bots-1", "first") as first,
        leases(database_url, "bots-2", "second") as second,
        leases(database_url, "bots-3", "third") as third,
    ):
        await registered(first)
        await first.take()
        await registered(third, ())
        lease = (await first.owned())[WALLET]
        await registered(second)
        assert await first.hand_over(lease, clean=True) == "bots-2"
        taken = (await second.owned())[WALLET]
        assert (taken.epoch, taken.clean) == (2, True)
        assert (await first.renew([WALLET]), await first.owned()) == ({}, {})
        # Nobody else can: it is free, and not clean for whoever comes.
        await first.leave()
        assert await second.hand_over(taken, clean=False) == ""
        assert await second.take() == [WALLET]
        assert (await second.owned())[WALLET].clean is False


async def test_an_engine_that_leaves_is_given_nothing_while_it_renews_its_name(
    database_url: str,
) -> None:
    async with (
        leases(database_url, "bots-1", "first") as first,
        leases(database_url, "bots-2", "second") as second,
        leases(database_url, "bots-2", "next") as after,
    ):
        await registered(first)
        await first.take()
        lease = (await first.owned())[WALLET]
        await registered(second)
        await second.leaving()
        await registered(second)
        assert await first.offer(lease) == ""
        await second.leave()
        await registered(after)
        assert await first.offer(lease) == "bots-2", "the next process of its name"


async def test_who_leaves_has_what_is_being_handed_over_to_it_by_then(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LEAVE_WAIT_MS", 600_000)
    async with leases(database_url, "bots-1", "first") as first:
        await registered(first)
        lock = "select pg_advisory_lock(7305004)"
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        with psycopg.connect(database_url, autocommit=True) as giver:
            giver.execute(lock)
            leaving = asyncio.create_task(first.leaving())
            await until(
                lambda: leaving.done() or requested(database_url, waits) == [(1,)], "either"
            )
            assert not leaving.done()
        await leaving
    assert requested(database_url, "select count(*) from bot_engine where leaving") == [(1,)]


async def test_who_leaves_does_not_wait_for_a_giver_that_stands_still(database_url: str) -> None:
    async with leases(database_url, "bots-1", "first") as first:
        await registered(first)
        with psycopg.connect(database_url, autocommit=True) as giver:
            giver.execute("select pg_advisory_lock(7305004)")
            async with asyncio.timeout(60):
                await first.leaving()
            assert requested(database_url, "select count(*) from bot_engine where leaving") == [
                (1,)
            ]


async def test_a_renewal_and_who_takes_several_wallets_wait_for_each_other_in_one_order(
    database_url: str,
) -> None:
    """A deadlock ends one of them: leases that were not renewed, on a busy machine."""
    later = f"wal_{'0' * 31}1"
    lock = "select from trading_wallet_lease where wallet_id = %s for update"
    waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    async with leases(database_url, "bots-1", "first") as first:
        await registered(first)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
                " permissions, max_order_micros)"
                " values (%s, 'default', 'b', 'okx', 'demo', 'b', '', 1)",
                (later,),
            )
            # It lies before the other one, which is taken now.
            connection.execute(
                "insert into trading_wallet_lease (wallet_id, engine, incarnation, epoch, until)"
                " values (%s, 'bots-1', 'first', 1, clock_timestamp() + interval '1 hour')",
                (later,),
            )
        assert await first.take() == [WALLET]
        with psycopg.connect(database_url) as other:
            other.execute(lock, (WALLET,))
            renewing = asyncio.create_task(first.renew([later, WALLET]))
            await until(lambda: requested(database_url, waits) == [(1,)], "the renewal that waits")
            await asyncio.to_thread(other.execute, lock, (later,))
            other.commit()
        assert set(await renewing) == {WALLET, later}


async def test_an_heir_has_no_right_to_a_wallet_before_it_is_handed_over(
    database_url: str,
) -> None:
    async with (
        leases(database_url, "bots-1", "first") as first,
        leases(database_url, "bots-2", "second") as second,
        leases(database_url, "bots-3", "third") as third,
    ):
        await registered(first)
        await first.take()
        lease = (await first.owned())[WALLET]
        assert await first.offer(lease) == "", "nobody else is there"
        await registered(third, ())
        await registered(second)
        assert await first.offer(lease) == "bots-2"
        (offer,) = await second.offered()
        assert (offer.wallet_id, offer.exchange, offer.epoch) == (WALLET, "okx", lease.epoch)
        assert (await third.offered(), await first.offered()) == ([], [])
        assert not await first.heir_ready(lease)
        await third.ready(offer)
        assert not await first.heir_ready(lease)
        await second.ready(offer)
        assert await first.heir_ready(lease)

        assert (await second.owned(), await second.renew([WALLET])) == ({}, {})
        assert await first.renew([WALLET]) != {}
        assert await first.hand_over(lease, clean=True) == "bots-2"
        assert (await second.owned())[WALLET].epoch == lease.epoch + 1
        assert await second.offered() == []


async def test_only_a_lease_that_ran_out_proves_that_nothing_is_under_way(
    database_url: str,
) -> None:
    """What its owner gave back before that, it may have sent requests for a moment ago."""
    async with (
        leases(database_url, "bots-1", "first", lease_ms=500) as first,
        leases(database_url, "bots-2", "second") as second,
    ):
        await registered(second)
        while not await first.take():
            await registered(first)
        async with asyncio.timeout(60):
            while not await second.take():  # noqa: ASYNC110 - it is a lease's end
                await asyncio.sleep(0.05)
        assert second.ran_out_ns == second.ended_ns
        lease = (await second.owned())[WALLET]
        second.ran_out_ns.clear()
        assert await second.hand_over(lease, clean=False) == "", "nobody else is there"
        assert await second.take() == [WALLET]
        assert second.ran_out_ns == {}


async def test_a_wallet_that_its_owner_keeps_leaves_no_end_of_a_lease_with_another_engine(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner renewed it after the other one had looked."""
    async with (
        leases(database_url, "bots-1", "first") as first,
        leases(database_url, "bots-2", "second") as second,
    ):
        await registered(first)
        assert await first.take() == [WALLET]
        await registered(second)
        monkeypatch.setattr(assignment, "taken", lambda *_: [WALLET])
        assert await second.take() == []
        assert (second.ended_ns, second.ran_out_ns) == ({}, {})


@contextmanager
def standing_still(url: str) -> Iterator[None]:
    """Hold a wallet's row as a process does that is stopped within a pipeline of statements."""
    connection = psycopg.connect(url, autocommit=True)
    raw = connection.pgconn
    raw.enter_pipeline_mode()
    lease = f"select from trading_wallet_lease where wallet_id = '{WALLET}' for share"
    for statement in ("begin", lease):
        raw.send_query_params(statement.encode(), None)
    raw.send_flush_request()
    raw.flush()
    try:
        yield
    finally:
        connection.close()


async def test_a_process_that_stands_still_keeps_no_wallet_from_its_next_owner(
    database_url: str,
) -> None:
    async with (
        leases(database_url, "bots-1", "first", lease_ms=500) as first,
        leases(database_url, "bots-2", "second") as second,
    ):
        await registered(first)
        while not await first.take():
            await registered(first)
        with standing_still(role_url(database_url, "bots")):
            async with asyncio.timeout(60):
                while not await second.end_standing():  # noqa: ASYNC110 - it is the test's subject
                    await asyncio.sleep(0.05)
            await registered(second)
            assert await second.take() == [WALLET]
            assert 0 < second.ended_ns[WALLET] < clock.monotonic_ns()


async def test_a_name_that_was_lost_and_is_back_uses_no_id_of_an_order_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease of the wallet has not run out meanwhile."""
    scripted(monkeypatch).intents = (quote(10),)
    desk.bot(desk.one)
    for table in ("bot_engine", "trading_wallet_lease"):
        desk.rows(f"update {table} set until = clock_timestamp()")

    terms = Terms(
        name="bots-1", venues=["okx"], capacity=9, version="1", lease_ms=60_000, poll_ms=20,
        write_ms=10,
    )  # fmt: skip
    async with open_pool(desk.url, name="test", size=4) as pool:
        leases = Leases(pool, "bots-1", "a", 60_000)
        engine = Engine(Store(pool, "bots-1"), leases, {"okx": desk.exchange}, terms)
        async with run_in_background(engine.keep()):
            await until(lambda: desk.exchange.placed, "the quote")
            desk.rows("update bot_engine set incarnation = 'b'")
            await until(lambda: engine.bots == 0, "the loss of the name")
            desk.exchange.fill(desk.exchange.placed[0].order_id, 10)
            desk.rows("update bot_engine set until = clock_timestamp()")
            looks: set[object] = set()

            def looked() -> bool:
                looks.update(desk.rows("select seen_at from bot_engine where incarnation = 'a'"))
                return len(looks) > 20

            await until(looked, "some looks")
    names = [one.order_id for one in desk.exchange.placed]
    assert len(set(names)) == len(names)
