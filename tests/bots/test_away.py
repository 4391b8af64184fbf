"""PostgreSQL standing still, leases locked, Redis failing over, an engine killed, books lost.

Each on real processes: nothing new opens, cancels leave, and all goes on by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis

from tests.bots.test_closed import far, placed, resting, stopped, switches, trading
from tests.bots.world import SWAP, Bots, Engine, bots, until
from tests.fault import stores
from tests.fault.stores import PRIMARY, Store

MAKER = "mm{:010}"
TAKER = "sg{:010}"
CANCEL_AFTER_SECONDS = 10


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Bots]]:
    """A world on a database that a test may freeze."""
    with (
        stores.own_postgres() as (database, url),
        bots(url, tmp_path_factory.mktemp("away"), step_ms="500") as world,
    ):
        yield database, world


def goes_on(world: Bots, engine: Engine, owner: list[tuple[str, int]]) -> None:
    """Check that the same owner trades on: the exit has left, both quote again, books agree."""
    until(lambda: world.position() == 0, "the exit")
    until(lambda: len(resting(world)) == 2, "both quotes again")
    assert world.rows("select engine, epoch from trading_wallet_lease") == owner
    stopped(world)
    assert "wallet failed" not in engine.log.read_text()


@contextmanager
def frozen(database: Store) -> Iterator[None]:
    database.freeze()
    try:
        yield
    finally:
        database.thaw()


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Hold the rows of all leases, as a stuck transaction does."""
    with psycopg.connect(url) as connection:
        connection.execute("select from trading_wallet_lease for update")
        yield
        connection.rollback()


@pytest.mark.long  # The short form is in test_closed.
@pytest.mark.parametrize("how", ["frozen", "locked"])
def test_while_the_database_stands_still_nothing_opens_and_cancels_leave(
    own: tuple[Store, Bots], how: str
) -> None:
    database, world = own
    number = 10 if how == "frozen" else 11
    engine = trading(world, MAKER.format(number), TAKER.format(number), hold_s=6)
    try:
        owner = world.rows("select engine, epoch from trading_wallet_lease")
        away = frozen(database) if how == "frozen" else locked(world.signer.database_url)
        with away:
            until(lambda: not resting(world), "the cancels")
            before, since = placed(world), switches(world)
            until(lambda: switches(world) >= since + 2, "the dead man's switch being set on")
            assert placed(world) == before
        goes_on(world, engine, owner)
    finally:
        engine.stop()


def test_orders_of_an_engine_that_is_killed_are_cancelled_by_its_exchange(
    own: tuple[Store, Bots],
) -> None:
    """Its dead man's switch: nobody has asked for the cancel."""
    _, world = own
    engine = trading(world, MAKER.format(12), TAKER.format(12))
    try:
        rested, since = resting(world), switches(world)
        until(lambda: switches(world) > since, "the switch being set while both rest")
        requested = cancels(world)
        engine.kill()
        until(lambda: not resting(world), "the switch", 3 * CANCEL_AFTER_SECONDS + 30)
        assert cancels(world) == requested
        ended = {one["clOrdId"]: one["state"] for one in world.history()}
        assert {ended[one] for one in rested} == {"canceled"}
        engine.start()
        until(lambda: len(resting(world)) == 2, "both quotes again")
        world.rows("update bot set desired = 'STOPPED'")
        until(lambda: not resting(world), "the end")
    finally:
        engine.stop()


def cancels(world: Bots) -> int:
    """Return how often the exchange was asked to cancel an order."""
    entries = world.okx.control.get("/journal?limit=10000").json()
    return sum("cancel-order" in one["what"] or "cancel-batch" in one["what"] for one in entries)


@pytest.mark.long
def test_books_that_are_lost_let_nothing_open_until_they_are_whole(own: tuple[Store, Bots]) -> None:
    _, world = own
    maker = MAKER.format(13)
    far(world, maker)
    world.rows('update bot set limits = limits || \'{"mark_age_ms": "100"}\' where id = %s', maker)
    engine = world.engine()
    engine.start()
    try:
        (before,) = until(lambda: len(resting(world)) == 2 and [placed(world)], "both quotes")

        def lost() -> bool:
            answer = world.okx.control.post("/books", json={"instId": SWAP, "sequence": "gap"})
            assert answer.status_code == 200
            time.sleep(0.1)
            return not resting(world) & before

        until(lost, "the end of what rested")
        until(lambda: len(resting(world)) == 2, "both quotes again")
        why = "select reason from bot_order_event where code <> '' and bot_id = %s"
        assert world.state(maker)[0] == "RUNNING", world.rows(why, maker)
        world.rows("update bot set desired = 'STOPPED'")
        until(lambda: not resting(world), "the end")
    finally:
        engine.stop()


@pytest.mark.long
def test_bots_quote_on_while_redis_dies_and_sentinel_promotes_another(
    own: tuple[Store, Bots],
) -> None:
    """They are given its address as the others are, and use it for nothing."""
    _, world = own
    maker = MAKER.format(14)
    with ExitStack() as stack:
        enter = stack.enter_context
        primary, url = enter(stores.own_valkey())
        _, replica_url = enter(stores.own_valkey())
        at = urlsplit(url)
        replica = stack.enter_context(redis.Redis.from_url(replica_url))
        replica.config_set("masterauth", at.password or "")
        replica.replicaof("127.0.0.1", str(at.port))
        up = lambda: replica.info("replication")["master_link_status"] == "up"  # noqa: E731
        until(up, "the replica")
        _, sentinel_url = enter(stores.own_sentinel(at.port or 0))
        sentinel = enter(redis.Redis.from_url(sentinel_url))
        knows = lambda: sentinel.sentinel_slaves(PRIMARY)  # noqa: E731
        until(knows, "what the Sentinel knows")
        # It quotes near the market, so that it moves its quotes with it.
        world.bot(maker)
        engine = world.engine(TT_REDIS_URL=url)
        engine.start()
        stack.callback(engine.stop)
        until(lambda: len(resting(world)) == 2, "both quotes")
        assert not to_port(engine, at.port or 0)
        primary.stop()
        before = placed(world)
        promoted = lambda: replica.info("replication")["role"] == "master"  # noqa: E731
        until(promoted, "the promotion")
        until(lambda: placed(world) - before, "the next quote")
        stopped(world)
        log = engine.log.read_text()
        assert "wallet failed" not in log
        assert "redis" not in log.lower()


def to_port(engine: Engine, port: int) -> list[int]:
    """Return the connections of an engine to a port of this machine."""
    assert engine.process is not None
    found = psutil.Process(engine.process.pid).net_connections()
    return [one.raddr.port for one in found if one.raddr and one.raddr.port == port]
