"""The audit of control changes: whole after real changes, broken by any tampering."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest

from services.control.operators.verification import Part, Progress, verified
from tests.control.edge import ROOT, RunningEdge
from tests.control.requests import Database, create_subscription, create_trigger

Wallet = Callable[[], str]


def _verify(database_url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.verify_audit"],
        cwd=ROOT, env={**os.environ, "TT_DATABASE_URL": database_url},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def _change_much(edge: RunningEdge, proxy: str) -> None:
    subscription = create_subscription(edge, proxy)["id"]
    trigger = create_trigger(edge, proxy, subscription)["id"]
    edge.call("PATCH", f"/subscriptions/{subscription}", json={"limits": {"maxPerTrade": "1"}})
    edge.call("POST", f"/subscriptions/{subscription}/pause")
    edge.call("DELETE", f"/triggers/{trigger}")


def _changes(database_url: str) -> Progress:
    """Return how the verification of the changes ended; other tests put orders there past the
    engine."""
    (end,) = (e for e in asyncio.run(verified(database_url)) if e.part is Part.CHANGES)
    return end


def test_the_chain_is_whole_after_real_changes(edge: RunningEdge, wallet: Wallet) -> None:
    _change_much(edge, wallet())
    end = _changes(edge.database_url)
    assert (end.checked >= 5, end.broken) == (True, None)


def test_an_entry_holds_what_was_and_what_is(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    subscription = create_subscription(edge, wallet())["id"]
    edge.call("POST", f"/subscriptions/{subscription}/pause")
    rows = database.execute(
        "select before, after from control_change where subject_id = %s order by seq",
        [subscription],
    ).fetchall()
    assert rows[0]["before"] is None
    assert rows[1]["before"] == rows[0]["after"]
    assert [row["after"]["state"] for row in rows] == ["ACTIVE", "PAUSED"]
    assert [row["after"]["version"] for row in rows] == [1, 2]


def test_an_entry_names_the_program_of_its_caller(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    subscription = create_subscription(edge, wallet())["id"]
    pause = f"/subscriptions/{subscription}/pause"
    for name in ("x" * 65, "b\u00fc".encode()):
        refused = edge.call("POST", pause, headers={"Client-Name": name})
        assert refused.json()["details"][0]["metadata"]["field"] == "Client-Name"
    edge.call("POST", pause, headers={"Client-Name": "a tool 1.2"})
    rows = database.execute(
        "select action, actor, source from control_change where subject_id = %s order by seq",
        [subscription],
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("create", "backend", "rest"), ("pause", "backend", "rest: a tool 1.2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "update control_change set actor = 'x'",
        "delete from control_change",
        "truncate control_change",
    ],
)
def test_the_audit_cannot_be_changed(
    edge: RunningEdge, database: Database, wallet: Wallet, statement: str
) -> None:
    create_subscription(edge, wallet())
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        database.execute(statement.encode())


def test_tampering_past_the_database_is_found(
    edge: RunningEdge, database: Database, wallet: Wallet
) -> None:
    """Somebody who owns the database can switch its guard off, but not the arithmetic."""
    _change_much(edge, wallet())
    row = database.execute(
        "select seq from control_change order by seq desc offset 1 limit 1"
    ).fetchone()
    assert row is not None
    with psycopg.connect(edge.database_url) as owner:
        owner.execute("alter table control_change disable trigger control_change_append_only")
        owner.execute("update control_change set actor = 'nobody' where seq = %s", [row["seq"]])
        owner.execute("alter table control_change enable trigger control_change_append_only")
        owner.commit()
        try:
            done = _verify(edge.database_url)
        finally:
            owner.execute("alter table control_change disable trigger control_change_append_only")
            owner.execute(
                "update control_change set actor = 'backend' where seq = %s", [row["seq"]]
            )
            owner.execute("alter table control_change enable trigger control_change_append_only")
            owner.commit()
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first == f"the audit is broken at change {row['seq']}: was changed"
    assert _changes(edge.database_url).broken is None


def test_a_change_wakes_the_readers(edge: RunningEdge, database: Database, wallet: Wallet) -> None:
    """The wake-up carries the number of the change that was just committed."""
    import redis

    with redis.Redis.from_url(edge.redis_url) as client:
        subscription = create_subscription(edge, wallet())["id"]
        newest = client.xrevrange("tt:control", count=1)
    row = database.execute(
        "select changed_seq from subscription where id = %s", [subscription]
    ).fetchone()
    assert row is not None
    assert int(newest[0][1][b"seq"]) == row["changed_seq"]
