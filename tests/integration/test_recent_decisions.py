"""Test what a router that catches up reads of what was decided: what is not done, and by indexes.

Nobody claims while it reads; in memory it is tested what becomes of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.router import store
from services.router.core.router_state import JUDGED_AGAIN
from services.router.store import RECENT_SECONDS
from tests.integration.test_plans import nodes
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(store.__file__).parent / "queries.sql")
_VALUES = {"seconds": RECENT_SECONDS, "partition": 0, "again": sorted(JUDGED_AGAIN)}
_LOOKED_UP = {"Index Cond", "Recheck Cond"}
_DECISION = """
insert into decision (leader_tx, leader, asset_id, side, subscription_id, condition_id,
    follower_proxy, copied, reason, detail, leader_size_micros, leader_notional_micros, frozen,
    order_keys, updated_at)
values ('tx', 'leader', '7', %(side)s, %(name)s, 'c', '0x1', true, %(reason)s, '', 1, 1,
    %(frozen)s::jsonb, array[%(name)s], now() - interval '9 days')
"""
_ORDER = """
insert into orders (order_key, copy_key, ordinal, purpose, subscription_id, subscription_version,
    follower_user_id, follower_wallet_id, follower_proxy, partition, leader, leader_tx,
    condition_id, asset_id, side, size_micros, filled_size_micros, limit_micros, time_in_force,
    not_after_ms, body, body_hash, journal_seq, control_seq, state, claimed_ns, chain_head)
values (md5(%(name)s) || md5(''), md5(%(name)s) || md5(''), 0, 'COPY_EXIT', %(name)s, 1, 'u', 'w',
    '0x1', 0, 'leader', 'tx', 'c', '7', 'SELL', 10, %(filled)s, 1, 'FAK', 0, '', '', 1, 1,
    'SUBMITTED', 0, '')
"""
_RESERVED = """
insert into reservation (order_key, follower_proxy, subscription_id, condition_id, asset_id,
    money_micros, shares_micros, released_at)
values (md5(%(name)s) || md5(''), '0x1', %(name)s, 'c', '7', 0, 10, now() - %(ended)s::interval)
"""


def _decided(
    connection: psycopg.Connection[Any], name: str, side: str = "SELL", reason: str = "",
    frozen: str = "{}",
) -> None:  # fmt: skip
    values = {"name": name, "side": side, "reason": reason, "frozen": frozen}
    connection.execute(_DECISION, values)


def put_slice(
    connection: psycopg.Connection[Any], name: str, ended: str | None, filled: int = 10
) -> None:
    _decided(connection, name)
    connection.execute(_ORDER, {"name": name, "filled": filled})
    connection.execute(_RESERVED, {"name": name, "ended": ended})


def test_what_is_not_done_is_read_however_old(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        _decided(connection, "done")
        _decided(connection, "young")
        connection.execute("update decision set updated_at = now() where subscription_id = 'young'")
        _decided(connection, "awaits", frozen='{"awaited": []}')
        _decided(connection, "waits", reason="ALREADY_SELLING")
        _decided(connection, "never bought", side="BUY", reason="MARKET_UNKNOWN")
        put_slice(connection, "open", None)
        put_slice(connection, "ended only now", "10 minutes")
        put_slice(connection, "sold whole", "3 hours")
        put_slice(connection, "has left something", "3 hours", filled=9)
        put_slice(connection, "has left something for ever", "8 days", filled=9)
        query = _QUERIES["recent_decisions"]
        read = connection.execute(query, _VALUES).fetchall()
    found = {row[4] for row in read}
    assert found == {"young", "awaits", "waits", "open", "ended only now", "has left something"}


@pytest.mark.parametrize("name", ["recent_decisions", "recent_entry_keys", "balances"])
def test_no_table_is_read_whole(database_url: str, name: str) -> None:
    query = _QUERIES[name]
    with psycopg.connect(database_url, autocommit=True) as connection:
        # Where there is an index to use, it is used; a volatile time is none.
        connection.execute("set enable_seqscan = off")
        reported = connection.execute(
            "explain (format json) " + query, {**_VALUES, "proxies": ["0x1"]}
        ).fetchone()
    assert reported is not None
    scans = [node for node in nodes(reported[0][0]["Plan"]) if "Relation Name" in node]
    assert scans
    by = [node.get("Index Name") for node in scans if not _LOOKED_UP & set(node)]
    # Such an index has nothing but what is asked for.
    assert set(by) <= {"decision_awaited"}
