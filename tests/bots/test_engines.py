"""Three engines share wallets: by lease, over a drain, a pause and deaths, as the exchange saw it.

One of them can no exchange. The exchange's journal says under whose lease each order was placed and
changed.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest

from launcher.ports import free_port
from launcher.temporary import create_database
from tests.bots.fleet import Journal, late, now_ms, one_writer
from tests.bots.world import Bots, Engine, bots, until

ACCOUNTS = ("ann", "bob", "cyd")
BOTS = {account: f"mm000000000{number}" for number, account in enumerate(ACCOUNTS, 1)}


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bots]:
    url = create_database(postgres_server, template=migrated_template)
    with bots(url, tmp_path_factory.mktemp("engines"), ACCOUNTS) as made:
        yield made


def owners(world: Bots) -> dict[str, str]:
    """Return the engine of each wallet that has one, by account."""
    rows = world.rows(
        "select wallet_id, engine from trading_wallet_lease where until >= clock_timestamp()"
    )
    of = {wallet: account for account, wallet in world.wallets.items()}
    return {of[wallet]: engine for wallet, engine in rows}


def leases(world: Bots) -> dict[str, tuple[str, int]]:
    rows = world.rows("select wallet_id, engine, epoch from trading_wallet_lease")
    return {wallet: (engine, epoch) for wallet, engine, epoch in rows}


def quotes(world: Bots, account: str) -> set[str]:
    """Return the epochs of a bot's orders that rest, of the lease under which they were made."""
    rest = [one["clOrdId"].removeprefix(BOTS[account]) for one in world.resting(account)]
    return {one[1:].partition("n")[0] for one in rest if one.startswith("e")}


def quote(world: Bots, accounts: tuple[str, ...] = ACCOUNTS) -> None:
    """Wait until all bots quote under the leases of now."""

    def all_of_now() -> bool:
        epochs = {wallet: f"{epoch:x}" for wallet, (_, epoch) in leases(world).items()}
        return all(epochs[world.wallets[one]] in quotes(world, one) for one in accounts)

    until(all_of_now, "quotes of all bots")


def shown(engine: Engine, series: str) -> float:
    """Return what an engine shows of itself."""
    url = f"http://127.0.0.1:{engine.settings['TT_METRICS_PORT']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(one.rpartition(" ")[2]) for one in lines if one.startswith(f"{series} "))


def drain(world: Bots, name: str, *, draining: bool) -> None:
    world.rows("update bot_engine set draining = %s where name = %s", draining, name)


def test_wallets_move_by_drain_pause_and_death_and_nothing_is_lost(world: Bots) -> None:
    # Long enough for a machine on which much else runs; the pause waits for one of them to end.
    lease = {"TT_BOTS_LEASE_MS": "12000"}
    first = world.engine("engine-1", TT_METRICS_PORT=str(free_port()), **lease)
    second = world.engine("engine-2", **lease)
    third = world.engine("engine-3", **lease, TT_BOTS_VENUES="")
    try:
        third.start()
        with closing(Journal(world)) as journal:
            _walk(world, journal, first, second, lease)
        assert "wallet is ours" not in third.log.read_text(), "it can no exchange"
    finally:
        for one in (first, second, third):
            one.go_on()
            one.stop()
    assert "wallet failed" not in first.log.read_text()


def _walk(
    world: Bots, journal: Journal, first: Engine, second: Engine, lease: dict[str, str]
) -> None:
    for engine in (first, second):
        engine.start()
    registered = "select count(*) from bot_engine"
    until(lambda: world.rows(registered) == [(3,)], "all engines")
    for account, bot_id in BOTS.items():
        world.bot(bot_id, wallet=world.wallets[account])
    until(lambda: len(owners(world)) == 3, "an engine for each wallet")
    assert set(owners(world).values()) == {"engine-1", "engine-2"}
    quote(world)

    # A drain: everything goes to the other one, which need not wait for anything.
    drain(world, "engine-1", draining=True)
    until(lambda: owners(world) == dict.fromkeys(BOTS, "engine-2"), "the drain")
    quote(world)
    clean = "select bool_and(clean_epoch = epoch - 1) from trading_wallet_lease where epoch > 1"
    assert world.rows(clean) == [(True,)]
    drain(world, "engine-1", draining=False)

    # A pause: the other one takes over, and whoever wakes up changes nothing.
    second.pause()
    drain(world, "engine-2", draining=True)
    until(
        lambda: owners(world) == dict.fromkeys(BOTS, "engine-1"), "the takeover from a paused one"
    )
    quote(world)
    # Each was taken over after a lease that nobody gave away, and is measured from its end.
    until(lambda: shown(first, "bots_take_over_seconds_count") >= 1, "the takeover being measured")
    assert shown(first, 'bots_take_over_seconds_bucket{le="60.0"}') >= 1
    before, woken = leases(world), now_ms()
    second.go_on()
    bots_of = "select bots from bot_engine where name = 'engine-2' and until >= clock_timestamp()"
    until(lambda: world.rows(bots_of) == [(0,)], "the loss being noticed")
    assert leases(world) == before
    journal.read()
    owned = {account: before[wallet][1] for account, wallet in world.wallets.items()}
    assert late(journal.changes, owned, woken) == []

    # A twin under the name of one that lives has nothing; it goes on when that one has died.
    twin = world.engine("engine-1", TT_BOTS_LISTEN=second.settings["TT_BOTS_LISTEN"], **lease)
    second.stop()
    twin.log = twin.log.with_suffix(".twin")
    twin.start()
    try:
        until(lambda: "has this engine's name" in twin.log.read_text(), "the twin being told")
        assert leases(world) == before
        first.kill()
        until(lambda: leases(world) != before, "the twin's takeover")
        quote(world)
        _settle(world)
        journal.read()
        one_writer(journal.changes)
        assert {one.account for one in journal.changes} == set(ACCOUNTS)
    finally:
        twin.stop()


def _settle(world: Bots) -> None:
    """Stop all, and compare the books with the exchange's."""
    for bot_id in BOTS.values():
        world.command(bot_id, "STOPPED")
    stopped = "select bool_and(state = 'STOPPED') from bot"
    until(lambda: world.rows(stopped) == [(True,)], "the end of all bots")
    for account, bot_id in BOTS.items():
        assert world.resting(account) == []
        assert world.booked(bot_id) == world.position(account)
        placed = [one["clOrdId"] for one in world.history(account)]
        assert len(placed) == len(set(placed))
