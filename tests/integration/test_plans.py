"""Test what is planned when: a plan must not outlive the table that it was made for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.control.store import queries
from services.guard import store
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.storage.postgres.sql import load_queries

_QUERIES = load_queries(Path(store.__file__).parent / "queries.sql")
_CLAIMS = """
insert into journal (kind, role, record_key, partition, epoch, payload, order_count, rows_built_at)
select 'CLAIMED', 'router', n::text, 0, 1, '', 1, clock_timestamp()
from generate_series(1, %(records)s) n
"""
_ASK = "select 1 from lot where origin = %(origin)s"


async def test_what_the_guard_asks_now_and_then_keeps_no_plan(database_url: str) -> None:
    async with open_pool(database_url, name="plans", size=1) as pool:
        for _ in range(3):
            await store.fetch(pool, "moved_on")
        async with pool.connection() as connection:
            kept = await connection.execute("select count(*) as n from pg_prepared_statements")
            assert await kept.fetchone() == {"n": 0}


async def test_a_statement_of_a_pool_that_plans_once_is_planned_once(database_url: str) -> None:
    async with (
        open_pool(database_url, name="plans", size=1, planned_once=True) as pool,
        pool.connection() as connection,
    ):
        for origin in ("a", "b", "c", "d"):
            await connection.execute(_ASK, {"origin": origin})
        kept = await connection.execute(
            "select generic_plans > 0 as generic, custom_plans from pg_prepared_statements"
            " where statement like 'select 1 from lot%%'", {}
        )  # fmt: skip
        assert await kept.fetchone() == {"generic": True, "custom_plans": 0}


@pytest.mark.parametrize(
    ("name", "kind", "given"),
    [
        ("lock_triggers", "text[]", "array['a']"),
        ("lock_lots", "text[]", "array['a']"),
        ("locked_lots", "text[]", "array['a']"),
        ("move_triggers", "jsonb", "'[]'"),
    ],
)
async def test_exit_queries_use_indexes_planned_on_empty_tables(
    database_url: str, name: str, kind: str, given: str
) -> None:
    text = re.sub(r"%\(\w+\)s", "$1", str(_QUERIES[name]))
    async with (
        open_pool(database_url, name="plans", size=1, planned_once=True) as pool,
        pool.connection() as connection,
    ):
        await connection.execute(f"prepare asked({kind}) as {text}".encode())
        reported = await connection.execute(
            f"explain (format json) execute asked({given})".encode()
        )
        row = await reported.fetchone()
    assert row is not None
    scans = [node for node in nodes(row["QUERY PLAN"][0]["Plan"]) if "Relation Name" in node]
    looked_up = {"Index Cond", "Recheck Cond"}
    assert scans
    read_whole = [
        node for node in scans if node["Node Type"] != "ModifyTable" and not looked_up & set(node)
    ]
    assert read_whole == []


@pytest.mark.parametrize("records", [0, 5_000])
@pytest.mark.parametrize("name", ["last_claimed", "claimed_after"])
def test_writer_without_claims_reads_no_claims_of_others(
    database_url: str, name: str, records: int
) -> None:
    query = load_queries(Path(journal.__file__).parent / "money_path.sql")[name]
    requested = {"role": "guard", "partition": 0, "after": 0, "limit": 500}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_CLAIMS, {"records": records})
        reported = connection.execute("explain (format json) " + query, requested).fetchone()
    assert reported is not None
    scans = [node for node in nodes(reported[0][0]["Plan"]) if "Relation Name" in node]
    assert [node["Index Name"] for node in scans] == ["journal_claimed"]
    assert all("role" in node["Index Cond"] for node in scans)


async def test_a_subscription_is_shown_without_a_look_at_orders(database_url: str) -> None:
    named = queries("subscriptions/queries")
    text = f"{named['shown']} {named['shown_by_id']}".replace("%(id)s", "$1")
    async with (
        open_pool(database_url, name="plans", size=1, planned_once=True) as pool,
        pool.connection() as connection,
    ):
        await connection.execute(f"prepare asked(text) as {text}".encode())
        reported = await connection.execute(b"explain (format json) execute asked('a')")
        row = await reported.fetchone()
    assert row is not None
    read = {node.get("Relation Name") for node in nodes(row["QUERY PLAN"][0]["Plan"])} - {None}
    # And none of what few reads need: to begin a step costs, whether it is taken or not.
    assert read == {"subscription", "statistics_sum", "statistics_delta", "slippage_due", "lot"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a plan, as PostgreSQL explains it in JSON."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


_HOURS = """
insert into subscription (id, follower_user_id, follower_wallet_id, follower_proxy, leader, state,
                          version, sizing_mode, sizing_micros, changed_seq)
values ('sub_' || repeat('0', 32), 'u', 'w', '0x' || repeat('1', 40), '0x' || repeat('2', 40),
        'ACTIVE', 1, 'FIXED', 1, 0);
insert into orders (order_key, copy_key, ordinal, purpose, subscription_id, subscription_version,
                    follower_user_id, follower_wallet_id, follower_proxy, partition, condition_id,
                    asset_id, side, size_micros, limit_micros, time_in_force, not_after_ms, body,
                    body_hash, journal_seq, control_seq, state, chain_head)
select lpad(n::text, 64, '0'), n::text, 0, 'ENTRY', 'sub' || n % 50, 1, 'u', 'w', 'p', 0, 'c',
       (n % 20)::text, 'BUY', 1, 1, 'FAK', 0, '', '', 0, 0, 'CONFIRMED', ''
from generate_series(1, 20000) n;
insert into booking (kind, order_key, trade_id, size_micros, notional_micros, fee_micros,
                     realised_micros, order_state, order_filled_micros, lot_shares_micros,
                     lot_cost_micros)
select 'MATCHED', lpad(n::text, 64, '0'), '', 1, 1, 0, 0, '', 1, 1, 1
from generate_series(1, 20000) n;
insert into decision (leader_tx, leader, asset_id, side, subscription_id, condition_id,
                      follower_proxy, copied, reason, detail, leader_size_micros,
                      leader_notional_micros)
select n::text, 'l', (n % 20)::text, 'BUY', 'sub' || n % 50, 'c', 'p', false, 'TOO_OLD', '', 1, 1
from generate_series(1, 20000) n;
insert into lot_hour
select 'sub' || n % 50, (n % 20)::text, to_timestamp(n * 3600), 0, 0, 0, 0, 0, 0, 0
from generate_series(1, 20000) n;
insert into mark_hour
select (n % 20)::text, to_timestamp(n * 3600), 1 from generate_series(1, 20000) n;
insert into lot_hour_cursor (fill_seq) select max(fill_seq) - 10 from booking;
analyze;
"""


@pytest.mark.parametrize("name", ["series", "copies", "skips"])
def test_what_is_told_of_quality_is_looked_up(database_url: str, name: str) -> None:
    """Of fifty subscriptions with four hundred hours, orders and decisions each."""
    query = queries("quality/queries")[name]
    requested = {
        "id": "sub", "from_s": 0, "to_s": 3_600_000, "ids": ["sub1", "sub2"], "limit": 10_001,
        "from_ms": 0, "to_ms": 4_000_000_000_000,
    }  # fmt: skip
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_HOURS)
        reported = connection.execute(
            b"explain (format json) " + query.encode(), requested
        ).fetchone()
    assert reported is not None
    scans = [node for node in nodes(reported[0][0]["Plan"]) if "Relation Name" in node]
    growing = {
        "lot_hour", "mark_hour", "booking", "orders", "decision", "payout", "lot_correction",
    }  # fmt: skip
    read_whole = [
        node
        for node in scans
        if node["Relation Name"] in growing and not {"Index Cond", "Recheck Cond"} & set(node)
    ]
    # Both are empty here, and read whole within nothing.
    assert {node["Relation Name"] for node in read_whole} <= {"payout", "lot_correction"}
