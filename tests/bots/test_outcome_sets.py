"""Sets of outcomes that an engine merges and redeems for its bots, once, whenever it dies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from launcher.temporary import create_database
from tests.bots.clob_world import MICROS, ClobBots, clob_bots
from tests.bots.world import Engine, until
from tests.paper_clob.harness import CONDITION, NO, WALLETS, YES

SAFE = "0x" + "5afe" * 10
MERGES = (
    "select count(*), count(distinct trade_id) from bot_fill where order_id = 'merge:' || bot_id"
)


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClobBots]:
    url = create_database(postgres_server, template=migrated_template)
    directory = tmp_path_factory.mktemp("sets")
    with clob_bots(url, directory, SAFE) as made:
        key = made.control.post("/relayer-keys", json={"address": WALLETS[0]}).json()["key"]
        file = directory / "relayer-keys"
        file.touch(0o600)
        file.write_text(f"{WALLETS[0]} {key}\n")
        made.venue = {
            **made.venue,
            "TT_BOTS_POLYMARKET_RELAYER_URL": f"{made.url}/relayer",
            "TT_BOTS_POLYMARKET_RELAYER_KEYS_FILE": str(file),
        }
        yield made


def changes(world: ClobBots, state: str, action: str = "merge") -> list[Any]:
    return world.rows(
        "select size from outcome_set_change where state = %s and action = %s", state, action
    )


def printed(world: ClobBots, side: str, size: str) -> None:
    price = {"SELL": "0.45", "BUY": "0.55"}[side]
    world.notify("/prints", condition=CONDITION, side=side, price=price, size=size)


def hold_sets(world: ClobBots) -> None:
    """Let strangers sell the bot both outcomes, more of the first than it quotes."""

    def sold(side: str, asset: str, least: int) -> bool:
        printed(world, side, "6")
        return world.booked()[asset] >= least * MICROS

    until(lambda: sold("BUY", NO, 5), "shares of the second outcome")
    until(lambda: changes(world, "PENDING") or sold("SELL", YES, 25), "shares of the first one")


def made_and_booked(world: ClobBots) -> None:
    until(lambda: changes(world, "DONE"), "a merge")
    until(lambda: world.held() == world.booked(), "the same books")
    until(lambda: world.usdc() == world.cash(), "the same money")


def stopped(world: ClobBots, engine: Engine, bot_id: str) -> None:
    world.command(bot_id, "STOPPED")
    until(lambda: world.state(bot_id)[0] == "STOPPED", "the end")
    until(lambda: not changes(world, "PENDING"), "the end of what is under way")
    engine.stop()


def test_a_merge_that_the_chain_refuses_changes_no_book(world: ClobBots) -> None:
    bot_id = "mm0000000001"
    world.bot(bot_id)
    engine = world.engine()
    world.notify("/switches", fail_relayed=1)
    engine.start()
    try:
        hold_sets(world)
        until(lambda: changes(world, "FAILED"), "the failure")
        assert world.rows(MERGES) == [(0, 0)]
        ((detail,),) = world.rows("select detail from outcome_set_change")
        assert detail == "execution reverted"
        stopped(world, engine, bot_id)
        until(lambda: world.held() == world.booked(), "the same books")
    finally:
        engine.stop()


def test_sets_are_merged_once_whenever_an_engine_dies_and_redeemed_at_the_end(
    world: ClobBots,
) -> None:
    """What the first test's bot still holds is merged, although it is stopped."""
    bot_id = "mm0000000002"
    world.bot(bot_id)
    # What has failed is let be for a minute.
    world.rows("update outcome_set_change set ended_at = ended_at - interval '1 day'")
    engine = world.engine()
    world.notify("/faults", path="/relayer/submit", kind="lose")
    engine.start()
    try:
        # The relayer takes it and does not answer, and the engine dies before it asks again.
        until(lambda: len(world.far()["relayed"]) > 1, "a merge at the relayer")
        engine.kill()
        engine.start()
        made_and_booked(world)
        stopped(world, engine, bot_id)
        ((rows, trades),) = world.rows(MERGES)
        ((merges,),) = world.rows(
            "select count(*) from outcome_set_change where action = 'merge' and state = 'DONE'"
        )
        assert (rows, trades) == (2 * merges, 2 * merges)
        confirmed = [one for one in world.far()["relayed"] if one["state"] == "STATE_CONFIRMED"]
        assert len(confirmed) == merges
        assert {one["wallet"] for one in confirmed} == {SAFE}

        # As if it had died between the booking and its end.
        world.rows(
            "update outcome_set_change set state = 'PENDING' where id = (select id from"
            " outcome_set_change where action = 'merge' and state = 'DONE' limit 1)"
        )
        world.command(bot_id, "RUNNING")
        engine.start()
        until(lambda: not changes(world, "PENDING"), "the end of the merge that was booked")
        assert world.rows(MERGES) == [(rows, trades)]

        world.notify("/resolve", condition=CONDITION, payouts=["1", "0"], redeems=False)
        # The bots have nothing left to do, and the wallet is kept for its redemption.
        until(lambda: world.state(bot_id)[0] == "STOPPED", "the end of the market")
        until(lambda: world.held()[YES] == 0, "a redemption")
        until(lambda: changes(world, "DONE", "redeem"), "its end")
        until(lambda: world.usdc() == world.cash(), "the same money")
        engine.stop()
        assert "wallet failed" not in engine.log.read_text()
        assert world.rows("select 1 from position_gap") == []
    finally:
        engine.stop()
