"""No statement of the money path reads a table that grows from end to end.

A plan is kept while a table grows, and what is right for an empty one is not for a full one. So
each named statement is called as the contract calls it, on the pools' own terms, and PostgreSQL
says how it carried out each step, those of functions and triggers included.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.confirm import app as confirm
from services.executor import app as executor
from services.guard import app as guard
from services.perfmon import app as perfmon
from services.router import app as router
from tests.memory_database import cases
from tests.memory_database.cases import CASES, Draw
from tests.memory_database.test_contract import CALLS, both
from tradingtools.runtime import composition
from tradingtools.settings import SharedSettings
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.testing.memory_database.statements import loaded

FILLED = Path(__file__).with_name("filled.sql")
BOUNDED = frozenset(
    {
        "breaker", "consumer_cursor", "halt", "order_transition", "partition_lease",
        "store_identity",
        # Decisions of operators.
        "order_resolution",
        # Emptied all the time: of what failed, and of what is not folded yet.
        "dead_letter", "peak_record",
    }
)  # fmt: skip
"""Tables that do not grow with trades or followers."""
WHOLE = {
    (cases.CONFIRM, "wallets_to_poll"): "asks for all that follow or hold something",
    (cases.CONFIRM, "sealed_to"): "the newest seal but a day's, newest first",
    (cases.GUARD, "live_triggers"): "at a start, with all subscriptions",
    (cases.PERFMON, "changed"): "at a start, all that have rules",
    (cases.MONEY_PATH, "last_claimed"): "newest first; without one, see integration/test_plans.py",
}
"""Statements that want all rows of a table that grows, or the first that fits."""
INNER = {
    (cases.EXECUTOR, "submit_batch"): "insert into journal",
    (cases.MONEY_PATH, "build_rows"): "insert into orders",
    (cases.MONEY_PATH, "apply_transitions"): "update orders",
}
"""What functions do behind their questions."""
_MAIN = {(cases.MONEY_PATH, name) for name in ("last_claimed", "claimed_after", "open_records")}
_CLAIMS = {
    (cases.ROUTER, name)
    for name in ("leader_left", "lock_lots", "locked_lots", "standing_of", "ended_of")
}
_BOOKING = {
    (cases.CONFIRM, name)
    for name in (
        "may_book", "lock_orders", "fills", "add_lots", "lock_lots", "lot_entries", "add_entries",
        "set_entries", "move_lots", "default_triggers", "add_triggers", "add_fills", "set_fills",
        "move_orders", "add_bookings", "move_balances", "reserve_again", "release",
    )
}  # fmt: skip
_ONCE = {"planned_once": True, "joined_by_keys": True}
_BY_KEYS = {"by_index": True, "joined_by_keys": True}


@dataclass(frozen=True, slots=True)
class Way:
    """The plans of pools, and whether a statement is asked on one of them."""

    options: Mapping[str, bool]
    asks: Callable[[str, str], bool]


WAYS = {
    "executor, claims and bookings": Way(
        _ONCE,
        lambda file, name: (
            file == cases.EXECUTOR
            or (file == cases.MONEY_PATH and (file, name) not in _MAIN)
            or (file, name) in _CLAIMS | _BOOKING
        ),
    ),
    "confirm": Way(_BY_KEYS, lambda file, name: file in (cases.CONFIRM, cases.DEAD_LETTERS)),
    "router, guard and perfmon": Way(
        {"by_index": True},
        lambda file, name: (
            file in (cases.ROUTER, cases.RESYNC, cases.GUARD, cases.DEAD_LETTERS, cases.PERFMON)
            or (file, name) in _MAIN
        ),
    ),
    "exits": Way({"planned_once": True}, lambda file, name: file == cases.GUARD),
}
POOLS = {
    executor: {"executor": _ONCE, "executor-submitting": _ONCE},
    router: {"router": {"by_index": True}, "router-claims": _ONCE},
    confirm: {"confirm": _BY_KEYS, "confirm-booking": _ONCE},
    guard: {
        "guard": {"by_index": True},
        "guard-writing": {"planned_once": True},
        "guard-peaks": _ONCE,
    },
    perfmon: {"perfmon": {"by_index": True}},
}


class _Opened(Exception):
    pass


@pytest.mark.parametrize("app", POOLS, ids=lambda app: str(app.__name__).split(".")[1])
async def test_pools_of_the_money_path_plan_so(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, dict[str, bool]] = {}

    class Pool:
        def connection(self) -> Any:
            raise _Opened

    @asynccontextmanager
    async def opened(url: str, *, name: str, **options: Any) -> AsyncIterator[Pool]:
        planning = {"by_index", "planned_once", "joined_by_keys"}
        found[name] = {key: options[key] for key in options if key in planning}
        yield Pool()

    monkeypatch.setattr(composition, "open_pool", opened)
    shared = SharedSettings(redis_url="redis://127.0.0.1:1/0")
    given = {
        one.name: "http://127.0.0.1:1" if one.name.endswith("url") else "127.0.0.1:1"
        for one in fields(app.Settings)
        if one.default is MISSING and one.name != "shared"
    }
    with suppress(_Opened):
        await app.run(app.Settings(shared=shared, **given), asyncio.Event())
    assert found == POOLS[app]


def test_every_statement_is_asked_in_some_way() -> None:
    assert all(any(way.asks(*call) for way in WAYS.values()) for call in CALLS)


_SEEDS = {("confirm", "analysed"): 3}
"""Of the random calls, where the first one leaves corrections so few that reading all of them by
their index is the cheapest plan."""


@pytest.mark.parametrize("filled", ["empty", "filled", "analysed"])
@pytest.mark.parametrize("way", WAYS)
async def test_no_growing_table_is_read_from_end_to_end(
    database_url: str, way: str, filled: str
) -> None:
    requested = WAYS[way]
    plans: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    async with (
        both(database_url) as (pair, memory),
        open_pool(database_url, name="scans", size=1, prompt=True, **requested.options) as pool,
        pool.connection() as connection,
    ):
        if filled != "empty":
            await pair.real.execute(FILLED.read_bytes())
        if filled == "analysed":
            await pair.real.execute("analyze")
        partial = await _partial_indexes(connection)
        taken: list[dict[str, Any]] = []
        await _have_told(connection, taken.append)
        seed = _SEEDS.get((way, filled), 1)
        draw = Draw(random.Random(seed), memory)  # noqa: S311 - a seed makes it repeatable
        desired = {one for one in CALLS if requested.asks(*one)}
        for call in _calls(
            draw.rng, lambda: {one for one in desired if not _seen(one, plans[one])}
        ):
            file, name = call
            values = CASES[file][name](draw)
            for each in (connection, pair.connection):
                # What has no right to be, as in the contract, is refused by both.
                with suppress(psycopg.Error):
                    await each.execute(loaded(file)[name], values)
            plans[call] += taken
            taken.clear()
    assert [one for one in desired if not _seen(one, plans[one])] == []
    read = {
        (file, name, step["Relation Name"], step.get("Index Name"), plan["Query Text"][:200])
        for file, name in desired - set(WHOLE)
        for plan in plans[file, name]
        for step in _read_whole(plan["Plan"], partial)
    }
    assert read == set()


def _seen(call: tuple[str, str], plans: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a statement was carried out, and to its end where a function does the work."""
    inner = INNER.get(call, "")
    return any(inner in plan["Query Text"] for plan in plans)


def _calls(
    rng: random.Random, missing: Callable[[], set[tuple[str, str]]]
) -> Iterator[tuple[str, str]]:
    """All of them, and what makes rows for them, until none is missing."""
    weights = dict.fromkeys(CALLS, 1) | {(f, n): w for f, n, w in cases.LIKELY}
    yield from rng.choices(list(weights), list(weights.values()), k=200)
    yield from CALLS
    for _ in range(100):
        yield from sorted(missing())
        if not missing():
            return
        yield from rng.choices(list(weights), list(weights.values()), k=20)


async def _partial_indexes(connection: Any) -> frozenset[str]:
    """Indexes of some of a table's rows: what is open, or wanted."""
    answer = await connection.execute(
        "select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid"
        " where i.indpred is not null"
    )
    return frozenset(row["name"] for row in await answer.fetchall())


async def _have_told(connection: Any, take: Callable[[dict[str, Any]], None]) -> None:
    """Have PostgreSQL tell how each statement was carried out."""
    for text in (
        "load 'auto_explain'",
        "set auto_explain.log_min_duration = 0",
        "set auto_explain.log_nested_statements = on",
        "set auto_explain.log_format = json",
        "set auto_explain.log_level = notice",
        "set client_min_messages = notice",
    ):
        await connection.execute(text)

    def reported(said: psycopg.errors.Diagnostic) -> None:
        text = said.message_primary or ""
        if "plan:" in text:
            take(json.loads(text[text.index("{") :]))

    connection.add_notice_handler(reported)


def _read_whole(
    step: Mapping[str, Any], partial: frozenset[str], above: str = ""
) -> Iterator[Mapping[str, Any]]:
    table = step.get("Relation Name")
    first = above == "Limit" and step["Node Type"] != "Seq Scan" and "Filter" not in step
    if (
        table is not None
        and table not in BOUNDED
        and step["Node Type"] != "ModifyTable"
        and not {"Index Cond", "Recheck Cond"} & set(step)
        and step.get("Index Name") not in partial
        and not first
    ):
        yield step
    for below in step.get("Plans", ()):
        yield from _read_whole(below, partial, step["Node Type"])
