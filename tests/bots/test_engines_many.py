"""Three engines, twenty wallets, two hundred bots: drained, killed and stopped.

The long form that measures: what rests is read from the exchange's own record of each order, who
changed it from its journal. Figures are logged; what is asserted is who wrote, and that all go on.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from launcher.temporary import create_database
from tests.bots.fleet import (
    Journal,
    epochs,
    figures,
    gaps,
    late,
    now_ms,
    one_writer,
    owners,
    quoting,
    spans,
)
from tests.bots.world import Bots, Engine, bots, until

_log = logging.getLogger(__name__)
pytestmark = [pytest.mark.long, pytest.mark.timeout(1_500)]
# Fewer of both for a machine on which much else runs: FLEET_WALLETS=6 FLEET_BOTS_EACH=3.
ACCOUNTS = tuple(f"acc{number:02}" for number in range(int(os.environ.get("FLEET_WALLETS", "20"))))
BOTS_EACH = int(os.environ.get("FLEET_BOTS_EACH", "10"))
EVERYONE = len(ACCOUNTS) * BOTS_EACH
NAMES = ("engine-1", "engine-2", "engine-3")
QUIET_SECONDS = 20
_TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bots]:
    url = create_database(postgres_server, template=migrated_template)
    with bots(
        url, tmp_path_factory.mktemp("many"), ACCOUNTS, step_ms="1000", book_ms="100"
    ) as made:
        yield made


def cpu_seconds(engine: Engine) -> float:
    """Return the processor time that an engine has used."""
    assert engine.process is not None
    fields = Path(f"/proc/{engine.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def bots_of(wallets: list[str], world: Bots) -> list[str]:
    rows = world.rows("select id from bot where wallet_id = any(%s) order by id", wallets)
    return [one for (one,) in rows]


def again_after(world: Bots, journal: Journal, started_ms: int, moved: dict[str, int]) -> list[int]:
    """Return how long after an instant each bot of moved wallets changed an order first."""
    first: dict[str, int] = {}
    of = {bot: wallet for wallet in moved for bot in bots_of([wallet], world)}
    journal.read()
    for one in journal.changes:
        if one.bot in of and one.epoch == moved[of[one.bot]]:
            first.setdefault(one.bot, one.at_ms)
    return sorted(first[bot] - started_ms if bot in first else -1 for bot in of)


def test_two_hundred_bots_quote_on_over_a_drain_a_death_and_a_stop(world: Bots) -> None:
    engines = {
        name: world.engine(name, TT_BOTS_LEASE_MS="8000", TT_BOTS_WRITE_MS="500") for name in NAMES
    }
    elsewhere = world.engine("engine-9", TT_BOTS_VENUES="")
    all_of_them = [*engines.values(), elsewhere]
    for engine in all_of_them:
        engine.start()
    try:
        with closing(Journal(world)) as journal:
            _walk(world, journal, engines)
    finally:
        for engine in all_of_them:
            engine.go_on()
        for engine in all_of_them:
            engine.stop()


def _walk(world: Bots, journal: Journal, engines: dict[str, Engine]) -> None:
    until(lambda: world.rows("select count(*) from bot_engine") == [(4,)], "four engines")
    for number in range(EVERYONE):
        world.bot(
            f"mm{number:010}",
            wallet=world.wallets[ACCOUNTS[number % len(ACCOUNTS)]],
            # Inventory takes no side away: each gap is a gap of engines.
            config={"order_size": 10**7, "max_position": 500 * 10**8, "toxic_imbalance": 1.0},
            limits={"max_position": "500"},
        )
    until(lambda: len(owners(world)) == len(ACCOUNTS), "an engine for each wallet")
    # An engine that came late gets its part from the others, a wallet each ten seconds.
    until(lambda: _unequal(world) <= 1, "equal parts")
    _all_quote(world, "at first")

    started, used = now_ms(), sum(map(cpu_seconds, engines.values()))
    _pass(QUIET_SECONDS)
    part = (sum(map(cpu_seconds, engines.values())) - used) / ((now_ms() - started) / 1000)
    quiet = gaps(
        spans(world, ACCOUNTS), bots_of([*world.wallets.values()], world), (started, now_ms())
    )
    _log.info("at rest: %.2f of a core, %.2f %% a bot", part, part / EVERYONE * 100)
    _log.info("at rest: longest without a quote %s", figures(quiet))

    before, started = epochs(world), now_ms()
    world.rows("update bot_engine set draining = true where name = 'engine-1'")
    until(lambda: set(owners(world).values()) == {*NAMES[1:]}, "the drain", 240)
    _log.info("drain: all moved after %d ms", now_ms() - started)
    _moved(world, journal, "drain", before, started)
    world.rows("update bot_engine set draining = false where name = 'engine-1'")

    before, started = epochs(world), now_ms()
    engines["engine-2"].kill()
    until(lambda: "engine-2" not in owners(world).values(), "the leases' end", 240)
    until(lambda: len(owners(world)) == len(ACCOUNTS), "the takeover from the dead", 240)
    _log.info("kill -9: all taken after %d ms", now_ms() - started)
    _moved(world, journal, "kill -9", before, started)

    before, started = epochs(world), now_ms()
    engines["engine-3"].pause()
    until(lambda: set(owners(world).values()) == {"engine-1"}, "the takeover from the stopped", 240)
    _log.info("SIGSTOP: all taken after %d ms", now_ms() - started)
    _moved(world, journal, "SIGSTOP", before, started)
    world.rows("update bot_engine set draining = true where name = 'engine-3'")
    taken, woken = epochs(world), now_ms()
    engines["engine-3"].go_on()
    none = "select bots from bot_engine where name = 'engine-3' and until >= clock_timestamp()"
    until(lambda: world.rows(none) == [(0,)], "the loss being noticed", 240)
    assert epochs(world) == taken

    world.rows("update bot set desired = 'STOPPED'")
    stopped = "select bool_and(state = 'STOPPED') from bot"
    until(lambda: world.rows(stopped) == [(True,)], "the end of all bots", 240)
    journal.read()
    one_writer(journal.changes)
    now = {account: taken[wallet][1] for account, wallet in world.wallets.items()}
    assert late(journal.changes, now, woken) == []
    _log.info("refused for their rate: %s", dict(journal.refused))
    for number, account in enumerate(ACCOUNTS):
        assert world.resting(account) == []
        mine = range(number, EVERYONE, len(ACCOUNTS))
        booked = sum(world.booked(f"mm{one:010}") for one in mine)
        assert booked == world.position(account), account


def _unequal(world: Bots) -> int:
    counts = [list(owners(world).values()).count(name) for name in NAMES]
    return max(counts) - min(counts)


def _all_quote(world: Bots, when: str) -> None:
    until(lambda: quoting(world) == EVERYONE, f"all bots quoting {when}", 240, every=0.5)


def _moved(
    world: Bots, journal: Journal, how: str, before: dict[str, tuple[str, int]], started: int
) -> None:
    """Log how long the bots of wallets that have moved were without quotes."""
    _all_quote(world, how)
    _pass(5)
    now = epochs(world)
    moved = {one: epoch for one, (_, epoch) in now.items() if epoch != before[one][1]}
    missing = gaps(spans(world, ACCOUNTS), bots_of([*moved], world), (started, now_ms()))
    _log.info("%s: %d wallets, longest without a quote %s", how, len(moved), figures(missing))
    again = figures(again_after(world, journal, started, moved))
    _log.info("%s: changed by the new owner first after %s", how, again)


def _pass(seconds: float) -> None:
    """Let the market go on."""
    time.sleep(seconds)
