"""Test engines of bots over REST and by `tt`: seen, drained, undrained."""

from __future__ import annotations

import itertools
import secrets
from typing import Any

from tests.cli.world import call, fits
from tests.control.edge import MANAGE, READ, RunningEdge
from tests.control.requests import Database, error_of

_numbers = itertools.count(1)


def engine(database: Database, *, seconds: int = 600, exchanges: str = "{okx}") -> str:
    """Register an engine as its process does."""
    name = f"engine-{next(_numbers)}"
    database.execute(
        "insert into bot_engine (name, incarnation, epoch, until, venues, capacity, version)"
        " values (%s, %s, 1, clock_timestamp() + make_interval(secs => %s), %s, 10, '1')",
        (name, secrets.token_hex(8), seconds, exchanges),
    )
    return name


def wallet(database: Database, of: str = "", seconds: int = 600) -> str:
    """Add a wallet as the signer does, with a bot that has to run; lease it to an engine."""
    found = f"wal_{secrets.token_hex(16)}"
    database.execute(
        "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
        " permissions, max_order_micros) values (%s, 'default', %s, 'okx', 'live', %s, 'trade', 1)",
        (found, found, found),
    )
    database.execute(
        "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments, desired)"
        " values (%s, 'default', %s, %s, 'grid', '{}', '{okx:X}', 'RUNNING')",
        (secrets.token_hex(6), found, found),
    )
    if of:
        database.execute(
            "insert into trading_wallet_lease (wallet_id, engine, epoch, until)"
            " values (%s, %s, 3, clock_timestamp() + make_interval(secs => %s))",
            (found, of, seconds),
        )
    return found


def listed(edge: RunningEdge, name: str) -> dict[str, Any]:
    answer = edge.call("GET", "/engines", READ)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = next(one for one in answer.json()["engines"] if one["name"] == name)
    return found


def test_engines_are_seen_with_the_wallets_that_they_have(
    edge: RunningEdge, database: Database
) -> None:
    mine, gone = engine(database), engine(database, seconds=-1, exchanges="{}")
    held, free, lapsed = wallet(database, mine), wallet(database), wallet(database, mine, -1)
    found = listed(edge, mine)
    assert found["wallets"] == [{"id": held, "exchange": "okx", "bots": 1, "epoch": "3"}]
    assert (found["state"], found["exchanges"]) == ("BOT_ENGINE_STATE_LIVE", ["okx"])
    assert (found["capacity"], "drainAt" in found) == (10, False)
    assert listed(edge, gone)["state"] == "BOT_ENGINE_STATE_GONE"
    assert listed(edge, gone)["exchanges"] == []
    waiting = edge.call("GET", "/engines", READ).json()["waitingWallets"]
    assert {free, lapsed} <= {*waiting}
    assert held not in waiting


def test_a_drain_is_wanted_until_it_is_taken_back(edge: RunningEdge, database: Database) -> None:
    mine = engine(database)
    held = wallet(database, mine)
    for _ in range(2):
        answer = edge.call("POST", f"/engines/{mine}/drain")
        assert answer.json()["state"] == "BOT_ENGINE_STATE_DRAINING", answer.text
        assert answer.json()["drainActor"] == "backend"
    database.execute(
        "update trading_wallet_lease set until = clock_timestamp() where wallet_id = %s", (held,)
    )
    assert listed(edge, mine)["state"] == "BOT_ENGINE_STATE_DRAINED"
    assert listed(edge, mine)["draining"] is True
    undrained = edge.call("POST", f"/engines/{mine}/undrain").json()
    assert (undrained["state"], undrained["draining"]) == ("BOT_ENGINE_STATE_LIVE", False)
    database.execute("update bot_engine set leaving = true where name = %s", (mine,))
    assert listed(edge, mine)["state"] == "BOT_ENGINE_STATE_LEAVING"


def test_who_may_not_and_what_is_not_there_are_refused(
    edge: RunningEdge, database: Database
) -> None:
    mine = engine(database)
    assert error_of(edge.call("POST", f"/engines/{mine}/drain", READ))[0] == 403
    assert error_of(edge.call("POST", "/engines/nobody-9/drain"))[:2] == (404, "NOT_FOUND")
    assert error_of(edge.call("POST", "/engines/No-1/drain"))[:2] == (400, "INVALID_FIELD")


def test_tt_lists_drains_and_undrains(edge: RunningEdge, database: Database) -> None:
    mine = engine(database)
    wallet(database, mine)
    environ = {"TT_URL": edge.url, "TT_TOKEN": MANAGE}

    def as_json(*arguments: str) -> Any:
        said = call(*arguments, "--json", environ=environ)
        assert said.status == 0, said
        fits(said.json, *arguments[:2])
        return said.json

    assert mine in [one["name"] for one in as_json("engines", "list")]
    assert as_json("engines", "drain", mine, "--yes")["state"] == "BOT_ENGINE_STATE_DRAINING"
    said = call("engines", "list", environ=environ)
    assert "draining, by backend" in said.out
    assert as_json("engines", "undrain", mine)["state"] == "BOT_ENGINE_STATE_LIVE"
