"""A market maker from wish to fills, through a signer and a paper OKX, by processes that die."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from launcher.temporary import create_database
from tests.bots.world import Bots, bots, until


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bots]:
    url = create_database(postgres_server, template=migrated_template)
    with bots(url, tmp_path_factory.mktemp("bots")) as made:
        yield made


def fills(world: Bots, bot_id: str) -> int:
    ((count,),) = world.rows("select count(*) from bot_fill where bot_id = %s", bot_id)
    return int(count)


def stopped(world: Bots, bot_id: str) -> None:
    """Stop a bot, and compare the books of all bots with the exchange's."""
    world.command(bot_id, "STOPPED")
    until(lambda: world.state(bot_id)[0] == "STOPPED", "the end")
    assert world.requested("trade/orders-pending") == []
    all_booked = sum(world.booked(one) for (one,) in world.rows("select id from bot"))
    assert all_booked == world.position()
    unsettled = "select order_id, state from bot_order where bot_id = %s and not settled"
    assert world.rows(unsettled, bot_id) == []


def test_a_bot_quotes_and_fills_and_knows_all_of_it_after_a_kill(world: Bots) -> None:
    bot_id = "mm0000000001"
    world.bot(bot_id)
    engine = world.engine()
    engine.start()
    try:
        until(lambda: fills(world, bot_id) >= 3, "fills")
        engine.kill()
        before = len(world.fills())
        engine.start()
        until(lambda: fills(world, bot_id) >= before + 3, "fills of the second life")
        stopped(world, bot_id)
        trades = world.rows("select distinct trade_id from bot_fill where bot_id = %s", bot_id)
        assert len(trades) == len(world.fills())
        sides = world.rows("select distinct side from bot_fill where bot_id = %s", bot_id)
        assert len(sides) == 2
    finally:
        engine.stop()


def test_a_bot_that_is_resumed_uses_no_order_id_again(world: Bots) -> None:
    """After a pause, and after a stop by risk that a person resumes as control does."""
    bot_id = "mm0000000002"
    world.bot(bot_id)
    engine = world.engine()
    failed = engine.log.read_text().count("wallet failed") if engine.log.exists() else 0
    engine.start()
    try:
        until(lambda: fills(world, bot_id) >= 1, "a fill")
        retuned(world, bot_id)
        world.command(bot_id, "PAUSED")
        until(lambda: world.state(bot_id)[0] == "PAUSED", "the pause")
        before = fills(world, bot_id)
        limits(world, bot_id, max_daily_loss="0.00000001")
        world.command(bot_id, "RUNNING")
        until(lambda: world.state(bot_id)[0] == "RISK_STOPPED", "the loss")
        limits(world, bot_id)
        world.rows(
            "update bot set from_state = state, state = 'STARTING', reason = '' where id = %s",
            bot_id,
        )
        until(lambda: fills(world, bot_id) > before, "a fill of the third life")
        stopped(world, bot_id)
        assert engine.log.read_text().count("wallet failed") == failed
    finally:
        engine.stop()
    placed = world.placed(bot_id)
    assert len(placed) == len(set(placed))


@pytest.mark.long
def test_what_left_and_was_not_written_is_neither_doubled_nor_forgotten(world: Bots) -> None:
    """An engine that seldom writes dies again and again between a send and its write."""
    bot_id = "mm0000000003"
    world.bot(bot_id)
    engine = world.engine(TT_BOTS_WRITE_MS="5000")
    for _ in range(3):
        engine.start()
        try:
            until(lambda: unwritten(world, bot_id), "an order that is not written")
        finally:
            engine.kill()
    assert unwritten(world, bot_id)
    engine = world.engine()
    engine.start()
    try:
        until(lambda: fills(world, bot_id) >= 1, "a fill")
        stopped(world, bot_id)
        assert unwritten(world, bot_id) == set()
    finally:
        engine.stop()
    placed = world.placed(bot_id)
    assert len(placed) == len(set(placed))


def unwritten(world: Bots, bot_id: str) -> set[str]:
    """Return orders that rest, or have filled, and that no engine has written."""
    rows = [*world.requested("trade/orders-pending"), *world.requested("trade/fills?instType=SWAP")]
    known = {one for (one,) in world.rows("select order_id from bot_order")}
    return {one["clOrdId"] for one in rows if one["clOrdId"].startswith(bot_id)} - known


def retuned(world: Bots, bot_id: str) -> None:
    """Change a running bot's settings and limits, and see it go on by them with its memory."""
    world.rows(
        "update bot set config = config || '{\"order_size\": 50000000}', version = version + 1"
        " where id = %s",
        bot_id,
    )
    limits(world, bot_id, max_open_orders="2")

    def applied() -> bool:
        rows = world.rows(
            "select s.version = b.version and s.positions <> '{}' from bot b join bot_standing s"
            " on s.bot_id = b.id where b.id = %s", bot_id,
        )  # fmt: skip
        return bool(rows and rows[0][0])

    until(applied, "the change")
    before = fills(world, bot_id)
    half = "select max(size) from bot_order where bot_id = %s and size <= 50000000"
    until(lambda: world.rows(half, bot_id)[0][0], "an order of the new size")
    until(lambda: fills(world, bot_id) > before, "a fill by the new settings")
    ((realised, sources),) = world.rows(
        "select realised, sources from bot_pnl where bot_id = %s order by at desc limit 1", bot_id
    )
    assert realised is not None
    assert set(sources) == {"spread", "inventory", "fees", "funding", "markout"}


def limits(world: Bots, bot_id: str, **more: str) -> None:
    query = "update bot set limits = %s, version = version + 1 where id = %s"
    world.rows(query, json.dumps({"max_position": "6", **more}), bot_id)


def test_a_signal_sets_the_position_of_a_bot_that_hears_it_once(world: Bots) -> None:
    bot_id = "sg0000000001"
    swap = "okx:BTC-USDT-SWAP"
    world.bot(
        bot_id,
        strategy="signal",
        config={
            "instrument_id": swap,
            "position": 2 * 10**8,
            "max_slippage": 10_000,
            "max_age_ms": 300_000,
        },
    )
    engine = world.engine()
    engine.start()
    try:
        until(lambda: world.state(bot_id)[0] == "RUNNING", "the start")
        signal(world, "up", swap, 1, age_s=0)
        signal(world, "another market", "okx:ETH-USDT-SWAP", -1, age_s=0)
        signal(world, "old", swap, -1, age_s=600)
        until(lambda: world.booked(bot_id) == 2, "the position")
        engine.kill()
        engine.start()
        signal(world, "neither", swap, 0, age_s=0)
        until(lambda: world.booked(bot_id) == 0, "its end")
        # The second life reads "up" again, and has heard it.
        stopped(world, bot_id)
        assert world.booked(bot_id) == 0
    finally:
        engine.stop()


def signal(world: Bots, name: str, instrument: str, direction: int, *, age_s: int) -> None:
    world.rows(
        "insert into bot_signal (tenant, id, instrument_id, direction, confidence, made_at,"
        " expires_at, actor) values ('default', %s, %s, %s, 800000,"
        " clock_timestamp() - %s * interval '1 second', clock_timestamp() + interval '1 hour',"
        " 'x')",
        name, instrument, direction, age_s,
    )  # fmt: skip


ENDED = ("STOPPED", "its markets have ended")


def delivered(world: Bots, bot_id: str) -> int:
    """Return how many deliveries a bot has booked."""
    query = "select count(*) from bot_fill where order_id = 'delivery:' || %s"
    ((count,),) = world.rows(query, bot_id)
    return int(count)


def test_contracts_that_end_are_delivered_whether_their_engine_lives_or_not(world: Bots) -> None:
    """A future is suspended, goes on, and expires while the engine is dead; a swap is delisted."""
    (dated, *_) = world.requested("public/instruments?instType=FUTURES")
    future, swap = dated["instId"], "ETH-USDT-SWAP"
    holds_future, holds_swap = "sg0000000002", "sg0000000003"
    for bot_id, inst_id in ((holds_future, future), (holds_swap, swap)):
        config = {
            "instrument_id": f"okx:{inst_id}",
            "position": 2 * 10**8,
            "max_slippage": 10_000,
            "max_age_ms": 300_000,
        }
        world.bot(bot_id, strategy="signal", config=config)
    engine = world.engine()
    engine.start()
    try:
        until(lambda: world.state(holds_future)[0] == "RUNNING", "the start")
        turned(world, future, "suspend")
        signal(world, "the future", f"okx:{future}", 1, age_s=0)
        signal(world, "the swap", f"okx:{swap}", -1, age_s=0)
        until(lambda: world.booked(holds_swap) == -2, "a short of the swap")
        turned(world, swap, "expired")
        until(lambda: world.state(holds_swap) == ENDED, "the end of what traded the swap")
        assert world.booked(holds_swap) == 0
        assert delivered(world, holds_swap) == 1

        assert world.booked(holds_future) == 0
        turned(world, future, "live")
        until(lambda: world.booked(holds_future) == 2, "a long of the future")
        engine.kill()
        turned(world, future, "expired")
        engine.start()
        until(lambda: world.state(holds_future) == ENDED, "the end of what traded the future")
        assert world.booked(holds_future) == 0
        assert delivered(world, holds_future) == 1
        assert world.rows("select 1 from bot_order where not settled") == []
    finally:
        engine.stop()


def turned(world: Bots, inst_id: str, state: str) -> None:
    world.okx.notify("/states", instId=inst_id, state=state)
