"""The last gate counts what leaves: what is held back anyway does not run away."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from tests.money_path.test_submitting_once import Database, database
from tests.money_path.test_submitting_together import LIMITS, entry, scene, sending, subscribe
from tradingtools.domain.order import Order

__all__ = ["database"]

_WILD = "0x" + "7" * 40
_THREE_A_MINUTE = replace(LIMITS, orders_per_minute=3)


def wild(name: str) -> Order:
    """An entry that copies a leader who is about to be halted."""
    made: Order = structs.replace(entry(name), leader=_WILD)
    return made


def halt(database: Database, scope: str, subject: str, mode: str) -> None:
    database.execute(
        "insert into halt (scope, subject, mode, reason) values (%s, %s, %s, 'ann')",
        [scope, subject, mode],
    )


def halts(database: Database) -> list[tuple[str, str, str]]:
    rows = database.execute("select scope, mode, reason from halt").fetchall()
    return [(row["scope"], row["mode"], row["reason"]) for row in rows]


def reasons(database: Database) -> set[str]:
    return {row["reason"] for row in database.execute("select reason from orders").fetchall()}


async def test_entries_denied_by_a_halt_use_no_limit(database: Database, database_url: str) -> None:
    subscribe(database, version=1)
    halt(database, "GLOBAL", "", "REDUCING")
    async with scene(database, database_url, limits=_THREE_A_MINUTE) as here, sending(here):
        for number in range(6):
            here.claim([entry(f"denied-{number}")])
            await here.ended(number + 1)
        assert halts(database) == [("GLOBAL", "REDUCING", "ann")]
        assert reasons(database) == {"HALTED"}
        database.execute("delete from halt")
        for number in range(3):
            here.claim([entry(f"goes-{number}")])
            await here.ended(number + 7)
        assert here.states() == {"FAILED": 6, "SUBMITTED": 3}
        assert halts(database) == []


async def test_a_crowd_of_a_halted_leader_stops_nobody_else(
    database: Database, database_url: str
) -> None:
    subscribe(database, version=1)
    halt(database, "LEADER", _WILD, "HALTED")
    async with scene(database, database_url, limits=_THREE_A_MINUTE) as here:
        crowd = [wild(f"wild-{number}") for number in range(10)]
        sound = [entry(f"sound-{number}") for number in range(3)]
        here.claim(crowd[:5])
        here.claim([*sound, *crowd[5:]])
        async with sending(here):
            await here.ended(13)
        assert here.far.came == [order.order_key for order in sound]
        assert halts(database) == [("LEADER", "HALTED", "ann")]
        assert reasons(database) == {"HALTED", ""}


async def test_what_left_counts_on_after_the_operator_lets_go_on(
    database: Database, database_url: str
) -> None:
    subscribe(database, version=1)
    async with scene(database, database_url, limits=_THREE_A_MINUTE) as here, sending(here):
        for number in range(4):
            here.claim([entry(f"first-{number}")])
            await here.ended(number + 1)
        assert here.states() == {"SUBMITTED": 3, "FAILED": 1}
        ((scope, mode, reason),) = halts(database)
        assert (scope, mode) == ("GLOBAL", "REDUCING")
        assert reason == "last gate: more than 3 entries within a minute"
        database.execute("delete from halt")
        here.claim([entry("again")])
        await here.ended(5)
        assert here.states() == {"SUBMITTED": 3, "FAILED": 2}
        assert len(halts(database)) == 1
