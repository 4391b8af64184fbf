"""A market maker from wish to fills, through a signer and a paper OKX, by processes that die."""

from __future__ import annotations

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
    """Stop a bot, and compare its books with the exchange's."""
    world.wish(bot_id, "STOPPED")
    until(lambda: world.state(bot_id)[0] == "STOPPED", "the end")
    assert world.asked("trade/orders-pending") == []
    assert world.booked(bot_id) == world.position()
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
