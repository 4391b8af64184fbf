"""A market maker on both outcomes of a binary, through a signer and a paper CLOB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from launcher.temporary import create_database
from tests.bots.clob_world import ClobBots, clob_bots
from tests.bots.world import until

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
        world.tell("/switches", fail_trades=1)
        until(lambda: fills(world) and world.rows(undone), "a fill that is undone")
        until(lambda: quotes(world) > 1, "quotes, none of them on its way")
        engine.kill()
        ((before,),) = world.rows("select count(*) from bot_fill where not undone")
        engine.start()
        until(lambda: engine.log.read_text().count(STRANGER) >= 2, "the account to be read")
        until(lambda: fills(world) >= before + 3, "fills of the second life")
        world.wish(bot_id, "STOPPED")
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
