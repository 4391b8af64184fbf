"""An order is in one SUBMITTING record, whatever two lives or two tasks of an executor do."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

LEASE_MS = 15_000
Database = psycopg.Connection[DictRow]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A connection that commits each statement, and the executor's lease on partition 0."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute(
            "insert into partition_lease (role, partition, owner, epoch, expires_at)"
            " values ('executor', 0, 'test', 1, now() + interval '1 hour')"
        )
        yield connection


def claim(database: Database, count: int) -> list[str]:
    """A CLAIMED record of guard's exits that is no rows yet; returns the keys."""
    keys = [secrets.token_hex(32) for _ in range(count)]
    orders = [
        {
            "order_key": key, "copy_key": key, "ordinal": 0, "purpose": "GUARD_EXIT",
            "subscription_id": "", "subscription_version": 1, "trigger_id": "trg",
            "follower_user_id": "u", "follower_wallet_id": "w",
            "follower_proxy": "0x" + "1" * 40, "leader": "", "leader_tx": "",
            "condition_id": "c", "asset_id": "7", "side": "SELL", "size_micros": 1_000_000,
            "limit_micros": 500_000, "time_in_force": "FAK", "not_after_ms": 2_000_000_000_000,
            "body": "{}", "body_hash": "h", "reserved_money_micros": 0,
            "reserved_shares_micros": 1_000_000, "control_seq": 0, "traceparent": "",
            "received_ns": 0, "routed_ns": 0,
        }
        for key in keys
    ]  # fmt: skip
    payload = json.dumps({"orders": orders, "decisions": [], "rows": []}).encode()
    database.execute(
        "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
        " values ('CLAIMED', 'guard', %s, 0, 1, %s, %s)",
        [secrets.token_hex(8), payload, count],
    )
    return keys


def submit(database: Database, keys: list[str], *, epoch: int = 1) -> dict[str, Any]:
    """Return what the executor asks before it sends."""
    orders = [{"order_key": key, "body_hash": "h", "epoch": 1} for key in keys]
    gated = {
        "purpose": "GUARD_EXIT", "subscription_id": "", "version": 1, "wallet": "0x" + "1" * 40,
        "leader": "", "condition_id": "c", "not_after_ms": 2_000_000_000_000,
    }  # fmt: skip
    row = database.execute(
        "select submit_batch(%s, 0, %s, %s, 0, %s, 2000000000000, %s) as answer",
        [
            secrets.token_hex(8), epoch,
            json.dumps({"orders": orders, "lease_ms": LEASE_MS}).encode(), keys,
            json.dumps([{"order_key": key, **gated} for key in keys]),
        ],
    ).fetchone()  # fmt: skip
    assert row is not None
    answer: dict[str, Any] = row["answer"]
    return answer


def submitting_records(database: Database, key: str) -> int:
    rows = database.execute("select payload from journal where kind = 'SUBMITTING'").fetchall()
    return sum(key in bytes(row["payload"]).decode() for row in rows)


def test_batches_that_share_an_order_send_it_once(database: Database) -> None:
    first, shared, second = claim(database, 3)
    assert "seq" in submit(database, [first, shared])
    assert submit(database, [shared, second]) == {"denied": {shared: "HANDLED_BEFORE"}}
    assert "seq" in submit(database, [second])
    assert [submitting_records(database, key) for key in (first, shared, second)] == [1, 1, 1]


def test_what_is_refused_as_sent_before_cannot_fail_as_unsent(database: Database) -> None:
    """The refusing statement has made the earlier record a row, so CLAIMED is not true of it."""
    (key,) = claim(database, 1)
    submit(database, [key])
    submit(database, [key])
    row = database.execute("select state, epoch, attempt from orders").fetchone()
    assert row == {"state": "SUBMITTING", "epoch": 1, "attempt": 1}
    unsent = {
        "order_key": key, "from_state": "CLAIMED", "to_state": "FAILED", "expected_epoch": 0,
        "failed_kind": "UNSENT", "reason": "HANDLED_BEFORE",
    }  # fmt: skip
    changed = database.execute("select * from apply_transitions(%s)", [json.dumps([unsent])])
    assert changed.fetchall() == []


def test_later_process_does_not_send_an_earlier_ones_commit(database: Database) -> None:
    (key,) = claim(database, 1)
    assert "seq" in submit(database, [key])
    database.execute("update partition_lease set epoch = 2")
    assert submit(database, [key], epoch=2) == {"denied": {key: "HANDLED_BEFORE"}}
    assert submit(database, [key], epoch=1) == {"fenced": True}
    assert submitting_records(database, key) == 1


def test_two_at_the_same_time_cannot_both_commit(database: Database, database_url: str) -> None:
    """The second waits for the first, whose record it could not see yet."""
    (key,) = claim(database, 1)
    with (
        psycopg.connect(database_url, row_factory=dict_row) as first,
        ThreadPoolExecutor(1) as threads,
    ):
        assert "seq" in submit(first, [key])
        second = threads.submit(submit, database, [key])
        deadline = time.monotonic() + 10
        waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted"
        with psycopg.connect(database_url, autocommit=True) as watcher:
            while not second.done() and watcher.execute(waiting).fetchone() is None:
                assert time.monotonic() < deadline, "the second neither waited nor ended"
                time.sleep(0.01)
        first.commit()
        assert second.result(timeout=10) == {"denied": {key: "HANDLED_BEFORE"}}
    assert submitting_records(database, key) == 1
