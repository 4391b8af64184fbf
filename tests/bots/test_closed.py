"""Nothing opens without the database, cancels go on, and all goes on by itself once it is back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.bots.world import SWAP, Bots, Engine, bots, until
from tests.fault import stores
from tests.fault.stores import Store
from tradingtools import clock

MAKER, TAKER = "mm0000000001", "sg0000000001"
KILL = f"kil_{7:032x}"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Bots]]:
    """A world on a database that a test may end."""
    with (
        stores.own_postgres() as (database, url),
        bots(url, tmp_path_factory.mktemp("closed"), step_ms="500") as world,
    ):
        yield database, world


def resting(world: Bots) -> set[str]:
    return {one["clOrdId"] for one in world.resting()}


def placed(world: Bots) -> set[str]:
    return {one["clOrdId"] for one in (*world.history(), *world.resting())}


def stopped(world: Bots) -> None:
    """Stop the bots, and compare their books with the exchange's."""
    world.rows("update bot set desired = 'STOPPED'")
    ended = "select bool_and(state = 'STOPPED') from bot"
    until(lambda: world.rows(ended) == [(True,)], "the end")
    assert world.resting() == []
    assert booked(world) == world.position()
    assert len(world.rows("select distinct trade_id from bot_fill")) == len(world.fills())
    assert world.rows("select order_id, state from bot_order where not settled") == []
    known = {one for (one,) in world.rows("select order_id from bot_order")}
    assert placed(world) <= known


def booked(world: Bots) -> Decimal:
    return sum((world.booked(one) for (one,) in world.rows("select id from bot")), Decimal(0))


def signed(world: Bots, since_ms: int, until_ms: int) -> int:
    """Return how many signatures are written that were made at a time."""
    ((count,),) = world.rows(
        "select count(*) from wallet_signature where signed_at between to_timestamp(%s)"
        " and to_timestamp(%s)",
        since_ms / 1000, until_ms / 1000,
    )  # fmt: skip
    return int(count)


def switches(world: Bots) -> int:
    """Return how often the exchange was asked to cancel all after a silence."""
    entries: list[dict[str, Any]] = world.okx.control.get("/journal?limit=10000").json()
    return sum("cancel-all-after" in one["what"] and one["code"] == "0" for one in entries)


def far(world: Bots, bot_id: str) -> None:
    """Create a maker that quotes far from the market."""
    spread = 20_000 * 10**8
    world.bot(bot_id, config={"min_half_spread": spread, "max_half_spread": spread})


def trading(world: Bots, maker: str, taker: str, **more: int) -> Engine:
    """Have a maker quote far from the market, and a taker hold a position."""
    far(world, maker)
    config = {"instrument_id": f"okx:{SWAP}", "position": 2 * 10**8, "max_slippage": 10_000}
    world.bot(taker, strategy="signal", config={**config, "max_age_ms": 300_000, **more})
    engine = world.engine(TT_BOTS_OKX_CANCEL_AFTER_S="10")
    engine.start()
    until(lambda: len(resting(world)) == 2, "both quotes")
    world.rows(
        "insert into bot_signal (tenant, id, instrument_id, direction, confidence, made_at,"
        " expires_at, actor) values ('default', %s, %s, 1, 800000, clock_timestamp(),"
        " clock_timestamp() + interval '1 hour', 'x')",
        taker,
        f"okx:{SWAP}",
    )
    until(lambda: world.position() == 2, "the position")
    return engine


def test_without_its_database_nothing_opens_cancels_leave_and_exits_once_it_is_back(
    own: tuple[Store, Bots],
) -> None:
    database, world = own
    engine = trading(world, MAKER, TAKER, hold_s=6)
    try:
        lease = world.rows("select engine, epoch from trading_wallet_lease")
        database.stop(signal.SIGKILL)
        stopped_ms = clock.now_ms()
        until(lambda: not resting(world), "the cancels")
        before = placed(world)
        since = switches(world)
        until(lambda: switches(world) >= since + 2, "the dead man's switch being set on")
        assert placed(world) == before
        started_ms = clock.now_ms()
        database.start()
        until(lambda: world.position() == 0, "the exit")
        until(lambda: len(resting(world)) == 2, "both quotes again")
        assert world.rows("select engine, epoch from trading_wallet_lease") == lease
        until(lambda: signed(world, stopped_ms, started_ms), "the signatures of the cancels")
        stopped(world)
        assert "wallet failed" not in engine.log.read_text()
    finally:
        engine.stop()


def test_a_kill_switch_ends_flat_over_a_death_and_lets_nobody_begin(
    own: tuple[Store, Bots],
) -> None:
    _, world = own
    maker, taker, late = "mm0000000002", "sg0000000002", "mm0000000003"
    engine = trading(world, maker, taker)
    try:
        world.rows(
            "insert into kill_switch (id, tenant, exchange, reason, actor)"
            " values (%s, 'default', '', 'prices are wrong', 'me')",
            KILL,
        )
        engine.kill()
        before = placed(world)
        far(world, late)
        engine.start()
        until(lambda: world.state(maker)[0] == "RISK_STOPPED", "the stop")
        # A person resumes it too early.
        world.rows("update bot set from_state = state, state = 'STARTING' where id = %s", maker)
        until(lambda: world.rows("select 1 from kill_switch where done_at is not null"), "DONE")
        assert world.resting() == []
        assert world.position() == 0
        closing = {one["clOrdId"] for one in world.history() if one["ordType"] == "ioc"}
        assert placed(world) - before <= closing
        assert not any(one.startswith(late) for one in placed(world))
        assert booked(world) == 0
        swept = "select phase, last_arrival_at < changed_at from kill_switch_wallet"
        assert world.rows(swept) == [("DONE", True)]
        assert world.state(maker)[0] == "RISK_STOPPED"
        assert "wallet failed" not in engine.log.read_text()
    finally:
        engine.stop()
