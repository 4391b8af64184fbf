"""A market maker on both outcomes of a binary, through a signer and a paper CLOB."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from launcher.temporary import create_database
from tests.bots.clob_world import ClobBots, clob_bots
from tests.bots.world import until
from tradingtools import clock

STRANGER = "a stranger's order rests"


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClobBots]:
    url = create_database(postgres_server, template=migrated_template)
    with clob_bots(url, tmp_path_factory.mktemp("clob_bots")) as made:
        yield made


def fills(world: ClobBots) -> int:
    """Let strangers trade; return how many fills of bots are booked."""
    world.prints()
    ((count,),) = world.rows("select count(*) from bot_fill where not undone")
    return int(count)


def quotes(world: ClobBots) -> int:
    """Return how many quotes rest; 0 while one is on its way, which is written before it leaves.

    One that a death kept back stays reserved until its end and a horizon, for minutes.
    """
    rows = world.rows("select state, pending from bot_order where not settled")
    resting = len(world.far()["resting"]) - 1
    calm = all(row in (("OPEN", "NONE"), ("PARTIALLY_FILLED", "NONE")) for row in rows)
    return resting if calm and resting == len(rows) else 0


def test_a_bot_quotes_and_fills_and_knows_all_of_it_after_a_kill(world: ClobBots) -> None:
    """Every order that was taken is a row, written before it left; a stranger's is let be."""
    bot_id = "mm0000000001"
    stranger = world.stranger()
    undone = "select trade_id from bot_fill where undone"
    world.bot(bot_id)
    engine = world.engine()
    engine.start()
    try:
        until(lambda: fills(world) >= 3, "fills")
        world.notify("/switches", fail_trades=1)
        until(lambda: fills(world) and world.rows(undone), "a fill that is undone")
        until(lambda: quotes(world) > 1, "quotes, none of them on its way")
        engine.kill()
        ((before,),) = world.rows("select count(*) from bot_fill where not undone")
        engine.start()
        until(lambda: engine.log.read_text().count(STRANGER) >= 2, "the account to be read")
        until(lambda: fills(world) >= before + 3, "fills of the second life")
        world.command(bot_id, "STOPPED")
        until(lambda: world.state(bot_id)[0] == "STOPPED", "the end")
        assert world.far()["resting"] == [stranger]
        until(lambda: world.held() == world.booked(), "the same books")
        assert world.rows("select order_id from bot_order where not settled") == []
        placed = world.placed()
        assert len(placed) == len(set(placed))
        rows = world.rows("select venue_order_id, detail->'order'->>'order_id' from bot_order")
        assert set(placed) - {hash_ for hash_, _ in rows} == {stranger}
        log = engine.log.read_text()
        assert log.count("wallet failed") == 0
        assert log.count(STRANGER) == 2  # once in each life, and none of its own
    finally:
        engine.stop()


def test_a_signer_that_dies_under_a_bot_is_waited_for_and_found_again(world: ClobBots) -> None:
    """Without signatures nothing leaves; no order is doubled or lost, whenever the death came."""
    bot_id = "mm0000000003"
    world.bot(bot_id)
    engine = world.engine()
    engine.start()
    booked = "select count(*) from bot_fill where bot_id = %s and not undone"

    def filled() -> int:
        world.prints()
        return int(world.rows(booked, bot_id)[0][0])

    def reached(count: int) -> bool:
        return filled() >= count

    try:
        until(lambda: reached(1), "a fill")
        for _ in range(2):
            world.signer.kill()
            desired = filled() + 2
            world.signer.start()
            until(partial(reached, desired), "fills with the next signer")
        world.command(bot_id, "STOPPED")
        until(lambda: world.state(bot_id)[0] == "STOPPED", "the end")
        until(lambda: world.held() == world.booked(), "the same books")
        placed = world.placed()
        assert len(placed) == len(set(placed))
        known = {hash_ for (hash_,) in world.rows("select venue_order_id from bot_order")}
        assert len(set(placed) - known) <= 1  # a stranger's of another test
        assert world.rows("select 1 from bot_order where not settled") == []
    finally:
        engine.stop()


LATER = "0x" + "1a7e" * 16
YES, NO = "7001", "7002"


def rests(world: ClobBots) -> dict[str, tuple[str, int]]:
    """Return what is written of the later market's quotes that rest: state and price, by id."""
    found = world.rows(
        "select venue_order_id, state, (detail->>'price')::int from bot_order"
        " where not settled and pending = 'NONE' and instrument_id in (%s, %s)",
        f"polymarket:{YES}", f"polymarket:{NO}",
    )  # fmt: skip
    there = world.far()["resting"]
    return {order: (state, price) for order, state, price in found if order in there}


def test_a_market_s_ends_meet_a_bot_and_what_it_pays_is_booked(world: ClobBots) -> None:
    """A game's start, another tick, a restart; then its resolution while the engine is dead."""
    bot_id = "mm0000000002"
    start = (clock.now_ms() // 1000 + 8) * 1000
    market = {"condition": LATER, "assets": (YES, NO), "tick": "0.001", "game_start_ms": start}
    world.notify("/markets", **market)
    for side, price in (("BUY", "0.491"), ("SELL", "0.512")):
        world.notify("/levels", condition=LATER, side=side, price=price, size="100")
    config = {"instrument_id": f"polymarket:{YES}", "complement_id": f"polymarket:{NO}"}
    # Nobody trades there but by the test.
    world.bot(bot_id, config=config, limits={"mark_age_ms": "60000"})
    engine = world.engine()
    engine.start()
    try:
        before = until(lambda: rests(world), "quotes")
        assert any(price % 10_000 for _, price in before.values())

        until(lambda: clock.now_ms() > start, "the game's start")
        after = until(lambda: not before.keys() & rests(world).keys() and rests(world), "a wipe")
        world.notify("/tick", condition=LATER, tick="0.01")
        until(lambda: not any(one[1] % 10_000 for one in rests(world).values()), "the tick")
        after = until(lambda: rests(world), "quotes on the tick")
        assert not any(price % 10_000 for _, price in after.values())

        world.notify("/restart", ms=200, post_only_ms=500)
        for side, price in (("SELL", "0.40"), ("BUY", "0.60")):
            world.notify("/prints", condition=LATER, side=side, price=price, size="6")
        traded = "select count(*) from bot_fill where bot_id = %s having count(*) > 0"
        until(lambda: world.rows(traded, bot_id), "fills")
        until(lambda: rests(world).keys() - after.keys(), "a quote after the restart")

        engine.kill()
        world.notify("/resolve", condition=LATER, payouts=["1", "0"])
        engine.start()
        ended = ("STOPPED", "its markets have ended")
        until(lambda: world.state(bot_id) == ended, "the end")
        paid = world.rows(
            "select instrument_id, side, price from bot_fill"
            " where order_id = 'resolution:' || bot_id"
        )
        assert paid
        assert set(paid) <= {
            (f"polymarket:{YES}", "SELL", 1_000_000),
            (f"polymarket:{NO}", "SELL", 0),
        }
        size = "sum(case side when 'BUY' then size else -size end)"
        held = f"select 1 from bot_fill where bot_id = %s group by instrument_id having {size} <> 0"
        assert world.rows(held, bot_id) == []
        # To the micro what the exchange has paid out.
        assert world.usdc() == world.cash()
        assert "a stranger's position" not in engine.log.read_text()
    finally:
        engine.stop()
