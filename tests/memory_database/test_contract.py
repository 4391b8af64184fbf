"""The memory database answers like PostgreSQL: the same calls on both, the same answers and rows.

Random sequences of all named statements, with control's changes between them, in and out of
transactions. Instants and hashes cannot be equal; that the chains are whole is judged on both.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from launcher.core.evidence import EventRow, OrderRow
from launcher.core.history import breaks
from tests.memory_database import cases
from tests.memory_database.cases import CASES, Draw
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool
from tradingtools.testing.memory_database.confirm import WATCH_IS_OVER
from tradingtools.testing.memory_database.schema import LOG, REQUIRED, TABLES
from tradingtools.testing.memory_database.statements import TWINS, loaded
from tradingtools.testing.memory_database.transactions import Transaction

CALLS = [(file, name) for file, names in CASES.items() for name in names]
_OF_THE_CLOCK = {
    "claimed_ns", "occurred_ns", "seen_ns", "booked_ns", "created_ms", "submitting_ns",
    "since_ms", "oldest_ms", "now_ns", "waits_ms",
}  # fmt: skip
_HASHES = {"chain_head", "hash", "previous_hash", "key_hashes", "set_at"}
_IN_ORDER = {
    "lots_at_rest", "lock_asset", "asset_entries", "lot_requests",
    "claimed_after", "open_records", "events_after", "bookings_after", "lot_entries", "to_replay",
    "list", "payable", "lock_market", "wallets_to_poll", "open_resyncs", "resync_outcomes",
}  # fmt: skip


def test_every_statement_has_a_twin_and_a_case() -> None:
    for file, twins in TWINS.items():
        assert set(loaded(file)) == set(twins) == set(CASES[file]), file


def test_a_statement_without_a_twin_is_refused() -> None:
    with pytest.raises(LookupError, match="without a twin: select 7"):
        MemoryDatabase().statement("select 7")


def test_the_tables_are_those_of_the_migrations(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select table_name, column_name, is_nullable = 'NO' and column_default is null"
            " and is_identity = 'NO' from information_schema.columns"
            " where table_schema = 'public'"
        ).fetchall()
    columns: dict[str, dict[str, bool]] = {}
    for table, column, required in rows:
        columns.setdefault(table, {})[column] = required

    for name, table in TABLES.items():
        assert set(table.columns) == set(columns[name]), name
        for column, default in table.columns.items():
            assert (default is REQUIRED) == columns[name][column], (name, column)


class Both:
    """The same calls on PostgreSQL and in memory."""

    def __init__(self, real: Any, beside: Any, memory: MemoryDatabase, connection: Any) -> None:
        self.real = real
        self._beside = beside
        """Another connection to the same database."""
        self._memory = memory
        self.connection = connection

    async def call(self, file: str, name: str, values: Mapping[str, Any]) -> None:
        """Call a statement on both; the answers or the errors are equal."""
        text = loaded(file)[name]
        real = await _answer(self.real, text, values)
        memory = await _answer(self.connection, text, values)
        assert _shown(memory, name) == _shown(real, name), f"{file} {name} {values}"
        await self._align()

    async def _align(self) -> None:
        """Have both go on with the same number: a statement that fails may have taken some, which
        means nothing."""
        cursor = await self._beside.execute("select last_value, is_called from log_number_seq")
        row = await cursor.fetchone()
        self._memory.align(LOG, row["last_value"] if row["is_called"] else 0)

    async def insert(self, table: str, **values: Any) -> None:
        """A row that control wrote, on both."""
        holes = ", ".join(["%s"] * len(values))
        await self.real.execute(
            f"insert into {table} ({', '.join(values)}) values ({holes})",
            [Jsonb(v) if isinstance(v, dict | list) else v for v in values.values()],
        )

        def insert(tx: Transaction) -> None:
            tx.insert(table, values)

        self._memory.write(insert)

    async def compare_tables(self) -> None:
        """Every row of every table is equal."""
        for name in TABLES:
            real = await _answer(self.real, f"select * from {name}", {})
            memory = list(self._memory.table(name).values())
            assert _shown(memory, name) == _shown(real, name), name
        for orders, events in (
            (self._memory.table("orders").values(), self._memory.table("order_event").values()),
            (
                await _answer(self.real, "select * from orders", {}),
                await _answer(self.real, "select * from order_event order by event_seq", {}),
            ),
        ):
            _judge_chains(orders, events)


async def _answer(connection: Any, text: str, values: Mapping[str, Any]) -> Any:
    try:
        cursor = await connection.execute(text, values)
        has_rows = getattr(cursor, "description", True) is not None
        return await cursor.fetchall() if has_rows else []
    except psycopg.Error as error:
        return type(error).__name__


def _shown(answer: Any, name: str) -> Any:
    if isinstance(answer, str):
        return answer
    rows = [{name: _value(name, row[name]) for name in sorted(row)} for row in answer]
    return rows if name in _IN_ORDER else sorted(rows, key=repr)


def _value(column: str, value: Any) -> Any:
    if isinstance(value, datetime) or column in _HASHES:
        return "set"
    if column in _OF_THE_CLOCK:
        return "set" if value else value
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return sorted((key, _value(key, inner)) for key, inner in value.items())
    return value


def _judge_chains(orders: Any, events: Any) -> None:
    for order in orders:
        row = _row(OrderRow, order, chain_head=order["chain_head"].hex())
        history = [
            _row(
                EventRow,
                event,
                hash=event["hash"].hex(),
                occurred_us=round(event["occurred_at"].timestamp() * 1_000_000),
            )
            for event in events
            if event["order_key"] == order["order_key"]
        ]
        assert not list(breaks(row, history))


def _row(kind: Any, row: Mapping[str, Any], **more: Any) -> Any:
    fields = kind.__dataclass_fields__
    values = {
        name: row[name] if row.get(name) is not None else "" for name in fields if name in row
    }
    return kind(**{**values, **more})


@asynccontextmanager
async def both(url: str) -> AsyncIterator[tuple[Both, MemoryDatabase]]:
    """Both databases with two subscriptions and two triggers."""
    memory = MemoryDatabase()
    async with (
        open_pool(url, name="contract", size=2, silence_seconds=10) as pool,
        pool.connection() as real,
        pool.connection() as beside,
        MemoryPool(memory).connection() as connection,
    ):
        pair = Both(real, beside, memory, connection)
        for number, subscription in enumerate(cases.SUBSCRIPTIONS):
            await pair.insert(
                "subscription", id=subscription, follower_user_id="u",
                follower_wallet_id="w", follower_proxy=cases.WALLETS[number],
                leader=cases.LEADER, state="ACTIVE", version=1, sizing_mode="FIXED",
                sizing_micros=10, changed_seq=number + 1,
                triggers={"stop_loss_ppm": 100_000} if number else {},
            )  # fmt: skip
        rungs = [{"price_micros": price, "share_ppm": 500_000} for price in (500_000, 600_000)]
        terms: tuple[dict[str, Any], ...] = (
            {"trigger_type": "STOP_LOSS", "price_micros": 400_000, "break_even": True},
            {"trigger_type": "TRAILING_STOP", "price_micros": 400_000, "callback_micros": 10_000},
            {"trigger_type": "LADDER", "rungs": rungs},
            {
                "trigger_type": "STOP_LOSS",
                "price_micros": 300_000,
                "origin": "manual",
                "follower_user_id": "u",
                "follower_wallet_id": "w",
            },
        )
        await pair.insert(
            "funding", follower_proxy=cases.WALLETS[0], funded_micros=50, before_micros=-7,
            changed_seq=2,
        )  # fmt: skip
        reported = datetime(2026, 1, 1, tzinfo=UTC)
        await pair.insert("leader_account", leader=cases.LEADER, equity_micros=5, asked_at=reported)
        for number, asset in enumerate(("7", "8", "9")):
            await pair.insert(
                "leader_holding", leader=cases.LEADER, asset_id=asset,
                condition_id=cases.CONDITION if number else "", shares_micros=5 + number // 2,
            )  # fmt: skip
        for number, resync in enumerate(cases.RESYNCS):
            await pair.insert(
                "resync", id=resync, subscription_id=cases.SUBSCRIPTIONS[number % 2],
                follower_proxy=cases.WALLETS[number % 2], kind="ASKED", state="REQUESTED",
                requested_at=reported,
            )  # fmt: skip
        for number, trigger in enumerate(cases.TRIGGERS):
            await pair.insert(
                "trigger", id=trigger, follower_proxy=cases.WALLETS[number % 2],
                condition_id=cases.CONDITION, asset_id="7",
                **{"origin": cases.SUBSCRIPTIONS[number % 2], "status": "ARMED"} | terms[number],
            )  # fmt: skip
        yield pair, memory


async def _control(pair: Both, draw: Draw) -> None:
    """Something that the control surface does, committed at once."""
    subject = draw.rng.choice([*cases.SUBSCRIPTIONS, *cases.TRIGGERS])
    kind = "subscription" if subject.startswith("sub") else "trigger"
    await pair.insert(
        "control_change", actor="a", source="s", action="x", subject_kind=kind,
        subject_id=subject, previous_hash=b"", hash=b"",
    )  # fmt: skip
    scope, held = draw.rng.choice(
        [("GLOBAL", ""), ("WALLET", cases.WALLETS[0]), ("MARKET", cases.CONDITION)]
    )
    if draw.rng.random() < 0.3 and not any(r["scope"] == scope for r in draw.rows("halt")):
        mode = draw.rng.choice(["HALTED", "REDUCING"])
        await pair.insert("halt", scope=scope, subject=held, mode=mode, reason="r")


async def _resolve(pair: Both, draw: Draw) -> None:
    """An operator decides about an order; one decision of an order is open at a time."""
    order = draw.row("orders")
    open_ones = [r["order_key"] for r in draw.rows("order_resolution") if r["done_at"] is None]
    if order is not None and order["order_key"] not in open_ones:
        await pair.insert(
            "order_resolution", order_key=order["order_key"], from_state="DEAD", epoch=1,
            to_state="FAILED", evidence="e", operator="o", control_seq=1,
        )  # fmt: skip


class _Undone(Exception):
    pass


@pytest.mark.parametrize("seed", range(4))
async def test_random_calls_have_equal_answers(database_url: str, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    weights = dict.fromkeys(CALLS, 1) | {(f, n): w for f, n, w in cases.LIKELY}
    async with both(database_url) as (pair, memory):
        draw = Draw(rng, memory)
        for _ in range(45):
            if rng.random() < 0.12:
                await _control(pair, draw)
                await _resolve(pair, draw)
            calls = rng.choices(list(weights), list(weights.values()), k=rng.randrange(1, 5))
            with suppress(_Undone):
                async with AsyncExitStack() as stack:
                    if rng.random() < 0.4:
                        # Values are drawn from what is committed, also inside a transaction.
                        await stack.enter_async_context(pair.real.transaction())
                        await stack.enter_async_context(pair.connection.transaction())
                    for file, name in calls:
                        await pair.call(file, name, CASES[file][name](draw))
                    if rng.random() < 0.2:
                        raise _Undone
        for file, name in CALLS:
            await pair.call(file, name, CASES[file][name](draw))
        await pair.compare_tables()


async def test_another_attempt_is_admitted_alike(database_url: str) -> None:
    async with both(database_url) as (pair, memory):
        draw = Draw(random.Random(1), memory)  # noqa: S311 - a seed makes it repeatable
        owner: dict[str, Any] = {"partition": 0, "epoch": 1}
        for role in ("router", "executor"):
            await pair.call(
                cases.MONEY_PATH, "acquire_lease",
                {"role": role, "partition": 0, "owner": "a", "ttl_seconds": 60.0},
            )  # fmt: skip
        keys = [key for key, (copy, _) in cases.ORDERS.items() if copy != cases.COPIES[2]]
        payload = {"orders": [draw.order(key) for key in keys], "decisions": [], "rows": []}
        await pair.call(
            cases.MONEY_PATH, "claim",
            {**owner, "role": "router", "record_key": "r", "order_count": len(keys),
             "payload": json.dumps(payload).encode()},
        )  # fmt: skip
        await pair.call(cases.MONEY_PATH, "build_rows", {"seq": 1})
        for steps in (("CLAIMED", "SUBMITTING", 0, 1), ("SUBMITTING", "UNKNOWN", 1, 2)):
            names = ("from_state", "to_state", "expected_epoch", "epoch")
            moved = [{"order_key": key, **dict(zip(names, steps, strict=True))} for key in keys]
            await pair.call(
                cases.MONEY_PATH, "apply_transitions", {"transitions": json.dumps(moved)}
            )
        await pair.insert(
            "halt", scope="WALLET", subject=cases.WALLETS[1], mode="HALTED", reason="r"
        )
        for key in keys[1:]:
            await pair.call(
                cases.CONFIRM, "send_again",
                {"order_key": key, "epoch": 2, "next_check_at": None, "milliseconds": 0,
                 "by_settings": True},
            )  # fmt: skip
        await pair.call(cases.EXECUTOR, "to_send_again", {"partition": 0})
        for key in keys:
            again = {**owner, "order_key": key, "expected_epoch": 2, "lease_ms": 60_000}
            for values in ({**again, "epoch": 9}, again, again):
                await pair.call(cases.EXECUTOR, "submit_again", values)
        await pair.call(cases.EXECUTOR, "to_send_again", {"partition": 0})
        # Wanted again, accepted late, and wanted again by what was read before that.
        late = next(o["order_key"] for o in memory.table("orders").values() if not o["attempt"])
        seen = {"order_key": late, "epoch": 2}
        wish = {**seen, "next_check_at": WATCH_IS_OVER, "milliseconds": 60_000}
        wish["by_settings"] = False
        reported = {"order_key": late, "venue_order_id": "v", "answered_ns": 6, "detail": "{}"}
        for file, name, values, desired in (
            (cases.CONFIRM, "stop_watching", {**seen, "state": "UNKNOWN"}, None),
            (cases.CONFIRM, "send_again", wish, 2),
            (cases.EXECUTOR, "drop_send_again", {**seen, "epoch": 9}, 2),
            (cases.EXECUTOR, "note_late_acceptances", {"accepted": json.dumps([reported])}, None),
            (cases.CONFIRM, "send_again", wish, None),
        ):
            await pair.call(file, name, values)
            await pair.compare_tables()
            assert memory.table("orders")[(late,)]["send_again_epoch"] == desired
    assert sorted(o["attempt"] for o in memory.table("orders").values()) == [0, 0, 0, 1]
