"""Three engines, twenty wallets, two hundred bots: drained, killed and stopped.

What rests is read from the exchange's own record of each order: from when it was made to its end.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator

import pytest

from launcher.temporary import create_database
from tests.bots.world import Bots, Engine, bots, until

_log = logging.getLogger(__name__)
pytestmark = [pytest.mark.long, pytest.mark.timeout(1_500)]
ACCOUNTS = tuple(f"acc{number:02}" for number in range(20))
BOTS_EACH = 10
NAMES = ("engine-1", "engine-2", "engine-3")
BOUND_MS = 20_000
"""Generous: two cores run all of it. What is measured is logged."""
Span = tuple[int, int]


@pytest.fixture(scope="module")
def world(
    postgres_server: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bots]:
    url = create_database(postgres_server, template=migrated_template)
    with bots(url, tmp_path_factory.mktemp("many"), ACCOUNTS, step_ms="3000") as made:
        yield made


def owners(world: Bots) -> dict[str, str]:
    rows = world.rows(
        "select wallet_id, engine from trading_wallet_lease where until >= clock_timestamp()"
    )
    return dict(rows)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def quoting(world: Bots) -> int:
    """Return how many bots have both quotes at the exchange, under the leases of now."""
    epochs = dict(world.rows("select wallet_id, epoch from trading_wallet_lease"))
    sides: dict[str, set[str]] = defaultdict(set)
    for account in ACCOUNTS:
        epoch = f"e{epochs[world.wallets[account]]:x}n"
        for one in world.resting(account):
            name = one["clOrdId"]
            if name[12:].startswith(epoch):
                sides[name[:12]].add(one["side"])
    return sum(len(found) == 2 for found in sides.values())


def spans(world: Bots) -> dict[tuple[str, str], list[Span]]:
    """Return when an order of a bot and side rested, in milliseconds."""
    found: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for account in ACCOUNTS:
        for one in world.history(account):
            key = one["clOrdId"][:12], one["side"]
            found[key].append((int(one["cTime"]), int(one["uTime"])))
        for one in world.resting(account):
            found[one["clOrdId"][:12], one["side"]].append((int(one["cTime"]), now_ms()))
    return found


def longest_gap(found: dict[tuple[str, str], list[Span]], within: Span) -> int:
    """Return for how long a bot had no order on a side, at most, within a time."""
    worst = 0
    for one in found.values():
        clock = within[0]
        for start, end in sorted(one):
            if start > within[1]:
                break
            worst = max(worst, start - clock)
            clock = max(clock, end)
        worst = max(worst, within[1] - clock)
    return worst


def test_two_hundred_bots_quote_on_over_a_drain_a_death_and_a_stop(world: Bots) -> None:
    engines = {
        name: world.engine(name, TT_BOTS_LEASE_MS="8000", TT_BOTS_WRITE_MS="500") for name in NAMES
    }
    elsewhere = world.engine("engine-9", TT_BOTS_VENUES="")
    all_of_them = [*engines.values(), elsewhere]
    for engine in all_of_them:
        engine.start()
    try:
        _walk(world, engines)
    finally:
        for engine in all_of_them:
            engine.go_on()
        for engine in all_of_them:
            engine.stop()


def _walk(world: Bots, engines: dict[str, Engine]) -> None:
    until(lambda: world.rows("select count(*) from bot_engine") == [(4,)], "four engines")
    for number in range(len(ACCOUNTS) * BOTS_EACH):
        world.bot(
            f"mm{number:010}",
            wallet=world.wallets[ACCOUNTS[number % len(ACCOUNTS)]],
            # Inventory takes no side away: each gap is a gap of engines.
            config={"order_size": 10**7, "max_position": 500 * 10**8, "toxic_imbalance": 1.0},
            limits={"max_position": "500"},
        )
    everyone = len(ACCOUNTS) * BOTS_EACH
    until(lambda: len(owners(world)) == len(ACCOUNTS), "an engine for each wallet")
    counts = sorted(list(owners(world).values()).count(name) for name in NAMES)
    assert counts == [6, 7, 7]
    until(lambda: quoting(world) == everyone, "all bots quoting", 240)

    began = now_ms()
    world.rows("update bot_engine set draining = true where name = 'engine-1'")
    until(lambda: set(owners(world).values()) == {*NAMES[1:]}, "the drain", 240)
    moved = now_ms()
    until(lambda: quoting(world) == everyone, "all bots quoting after the drain", 240)
    gap = longest_gap(spans(world), (began, now_ms()))
    _log.info("drain: all moved after %d ms, longest without a quote %d ms", moved - began, gap)
    assert gap < BOUND_MS
    world.rows("update bot_engine set draining = false where name = 'engine-1'")

    began = now_ms()
    engines["engine-2"].kill()
    until(lambda: "engine-2" not in owners(world).values(), "the leases' end", 240)
    until(lambda: len(owners(world)) == len(ACCOUNTS), "the takeover from the dead", 240)
    _log.info("kill -9: all taken after %d ms", now_ms() - began)
    until(lambda: quoting(world) == everyone, "all bots quoting after the death", 240)
    _log.info("kill -9: all quote again after %d ms", now_ms() - began)

    began = now_ms()
    engines["engine-3"].pause()
    until(lambda: set(owners(world).values()) == {"engine-1"}, "the takeover from the stopped", 240)
    _log.info("SIGSTOP: all taken after %d ms", now_ms() - began)
    until(lambda: quoting(world) == everyone, "all bots quoting after the stop", 240)
    world.rows("update bot_engine set draining = true where name = 'engine-3'")
    before = world.rows("select wallet_id, engine, epoch from trading_wallet_lease order by 1")
    engines["engine-3"].go_on()
    none = "select bots from bot_engine where name = 'engine-3' and until >= clock_timestamp()"
    until(lambda: world.rows(none) == [(0,)], "the loss being noticed", 240)
    after = world.rows("select wallet_id, engine, epoch from trading_wallet_lease order by 1")
    assert after == before

    world.rows("update bot set desired = 'STOPPED'")
    stopped = "select bool_and(state = 'STOPPED') from bot"
    until(lambda: world.rows(stopped) == [(True,)], "the end of all bots", 240)
    for number, account in enumerate(ACCOUNTS):
        assert world.resting(account) == []
        mine = range(number, everyone, len(ACCOUNTS))
        booked = sum(world.booked(f"mm{one:010}") for one in mine)
        assert booked == world.position(account), account
