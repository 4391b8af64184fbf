"""Records that cannot become rows: what they name may have been sent, and is not sent again."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import psycopg
import pytest

from services.executor.core.pre_trade_limits import Limits, PreTradeLimits
from services.executor.recorder import Recorder
from services.executor.settings import Settings
from services.executor.worker import Executor
from tests.money_path.test_submitting_once import Database, claim, database, submit
from tests.money_path.world import eventually
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.lease import Lease
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.v1 import executor_service_pb2 as pb
from tradingtools.venues.insiders.order_gateway import open_client

__all__ = ["database"]
NUL = '{"orders":[],"decisions":[{"title":"\\u0000"}],"rows":[]}'


async def build_all(url: str) -> None:
    """Return what the executor does when it starts."""
    async with open_pool(url, name="aside", size=1) as pool:
        await journal.build_open_rows(pool, 0, older_than_seconds=None)


def records(database: Database) -> list[tuple[str, bool, bool]]:
    rows = database.execute(
        "select kind, rows_built_at is not null as built, set_aside is not null as aside"
        " from journal order by seq"
    ).fetchall()
    return [(row["kind"], row["built"], row["aside"]) for row in rows]


def order(database: Database, key: str) -> dict[str, Any]:
    row = database.execute(
        "select state, epoch, attempt from orders where order_key = %s", [key]
    ).fetchone()
    assert row is not None
    return dict(row)


async def test_what_was_sent_stays_sent_when_its_claim_is_repaired(
    database: Database, database_url: str
) -> None:
    (key,) = claim(database, 1)
    good = database.execute("select payload from journal").fetchone()
    assert good is not None
    database.execute("update journal set payload = %s", [NUL.encode()])
    assert "seq" in submit(database, [key])
    await build_all(database_url)
    assert records(database) == [("CLAIMED", False, True), ("SUBMITTING", False, True)]
    # A person repairs the claim; the next life finds it CLAIMED.
    database.execute(
        "update journal set payload = %s, set_aside = null where kind = 'CLAIMED'",
        [good["payload"]],
    )
    await build_all(database_url)
    database.execute("update partition_lease set epoch = 2")
    assert submit(database, [key], epoch=2) == {"denied": {key: "HANDLED_BEFORE"}}
    # And when the other record is taken up, too, the order is where it belongs.
    database.execute("update journal set set_aside = null")
    await build_all(database_url)
    assert order(database, key) == {"state": "SUBMITTING", "epoch": 1, "attempt": 1}


async def test_nothing_is_sent_of_a_claim_that_was_set_aside(
    database: Database, database_url: str
) -> None:
    (key,) = claim(database, 1)
    database.execute(
        "update journal set payload = convert_to(replace(convert_from(payload, 'UTF8'),"
        " '\"size_micros\": 1000000', '\"size_micros\": -1'), 'UTF8')"
    )
    await build_all(database_url)
    assert records(database) == [("CLAIMED", False, True)]
    assert submit(database, [key]) == {"denied": {key: "HANDLED_BEFORE"}}


async def test_orders_of_a_quarantined_submission_are_looked_up(
    database: Database, database_url: str
) -> None:
    first, second = claim(database, 2)
    await build_all(database_url)
    payload = {
        "orders": [{"order_key": key, "body_hash": "h", "epoch": 1} for key in (first, second)],
        "lease_ms": "soon",
    }
    database.execute(
        "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
        " values ('SUBMITTING', 'executor', %s, 0, 1, %s, 2)",
        [secrets.token_hex(8), json.dumps(payload).encode()],
    )
    await build_all(database_url)
    assert records(database)[-1] == ("SUBMITTING", False, True)
    for key in (first, second):
        assert order(database, key) == {"state": "SUBMITTING", "epoch": 1, "attempt": 1}
    unsent = {
        "order_key": first, "from_state": "CLAIMED", "to_state": "FAILED", "expected_epoch": 0,
        "failed_kind": "UNSENT", "reason": "HANDLED_BEFORE",
    }  # fmt: skip
    changed = database.execute("select * from apply_transitions(%s)", [json.dumps([unsent])])
    assert changed.fetchall() == []
    (fenced,) = database.execute(
        "select count(*) as n from orders where state = 'SUBMITTING'"
        " and lease_until < clock_timestamp() + interval '1 minute'"
    ).fetchall()
    assert fenced["n"] == 2, "confirm's fence finds them"


async def test_possibly_sent_order_is_never_called_unsent(
    database: Database, database_url: str
) -> None:
    maybe_sent, late = claim(database, 2)
    await build_all(database_url)
    database.execute("update orders set not_after_ms = 1 where order_key = %s", [late])
    database.execute(
        "insert into journal (kind, role, record_key, partition, epoch, payload, order_count,"
        " set_aside, aside_keys)"
        " values ('SUBMITTING', 'executor', 'x', 0, 1, '{}', 1, 'broken', %s)",
        [[maybe_sent]],
    )
    lease = Lease(role="executor", partition=0, epoch=1)
    tail: Tail[pb.OrderEvent] = Tail(0, _no_events)
    limits = Limits()
    async with (
        open_pool(database_url, name="aside", size=3) as pool,
        # Nothing listens there, and nothing is sent there.
        open_client("http://127.0.0.1:9") as client,
    ):
        settings = Settings(
            router_target="", guard_target="", bookfeed_target="", insiders_url="", poll_ms=20
        )
        executor = Executor(pool, lease, client, settings, PreTradeLimits(limits))
        executor.recorder = Recorder(pool, lease, tail, executor.queue.done, executor.queue.release)
        works = (executor.queue.poll(), executor.submit(), executor.recorder.run())
        running = [asyncio.create_task(work) for work in works]

        async def failed() -> bool:
            return bool(order(database, late)["state"] == "FAILED")

        await eventually(failed)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert order(database, maybe_sent) == {"state": "CLAIMED", "epoch": 0, "attempt": 0}


async def _no_events(after: int, limit: int) -> list[tuple[int, pb.OrderEvent]]:
    return []


def test_a_submission_without_rows_is_no_row(database: Database) -> None:
    (key,) = claim(database, 1)
    assert "seq" in submit(database, [key])
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="no row"):
        database.execute("select build_rows(seq) from journal where kind = 'SUBMITTING'")
    database.execute("select build_rows(seq) from journal order by seq")
    assert records(database) == [("CLAIMED", True, False), ("SUBMITTING", True, False)]
