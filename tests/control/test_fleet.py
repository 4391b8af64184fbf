"""Figures of all bots: metrics show what the tables say, every series from the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import psycopg
import pytest

from launcher.embedded import role_url
from services.control.bot_metrics import watch
from services.control.risk.store import Risk
from services.control.store import Store
from tradingtools.storage.postgres import fleet
from tradingtools.storage.postgres.pool import open_pool

WALLET, OTHER = f"wal_{1:032x}", f"wal_{2:032x}"
SWAP = "okx:BTC-USDT-SWAP"


@pytest.fixture
def sql(database_url: str) -> Callable[..., list[Any]]:
    def ask(query: str, *values: Any) -> list[Any]:
        with psycopg.connect(database_url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    for wallet in (WALLET, OTHER):
        ask(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros) values (%s, 'default', %s, 'okx', 'live', %s, '', 1)",
            wallet, wallet, wallet,
        )  # fmt: skip
    return ask


def bot(sql: Any, number: int, wallet: str, *states: str, desired: str = "RUNNING") -> str:
    bot_id = f"bot{number:09}"
    sql(
        "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments, desired)"
        " values (%s, 'default', %s, %s, 'grid', '{}', %s, %s)",
        bot_id, bot_id, wallet, [SWAP], desired,
    )  # fmt: skip
    for state in states:
        sql("update bot set from_state = state, state = %s where id = %s", state, bot_id)
    return bot_id


async def figures(url: str) -> dict[str, dict[tuple[str, ...], float]]:
    async with open_pool(role_url(url, "control"), name="test", size=2) as pool:
        store = Store(pool, cast("Any", None), changes=pool)
        await watch.poll(store, Risk(store))
    return {
        key: {
            tuple(str(one) for one in (seen.attributes or {}).values()): float(seen.value)
            for seen in watch._observed(key, cast("Any", None))
        }
        for key in watch.FIGURES
    }


async def test_without_bots_every_series_is_there_and_nought(database_url: str, sql: Any) -> None:
    shown = await figures(database_url)
    for key, figure in watch.FIGURES.items():
        assert shown[key] == dict.fromkeys(figure.series, 0.0), key
    # Neither a bot nor a wallet is a label.
    assert sum(map(len, shown.values())) < 150


async def test_bots_orders_and_engines_are_counted_as_they_stand(
    database_url: str, sql: Any
) -> None:
    running = bot(sql, 1, WALLET, "STARTING", "RUNNING")
    stopped = bot(sql, 2, WALLET, "STARTING", "RUNNING", "RISK_STOPPED")
    bot(sql, 3, OTHER, desired="IDLE")
    bot(sql, 4, OTHER, "STARTING", "RUNNING", "RISK_STOPPED", desired="STOPPED")
    sql("update bot set flattening = true where id = %s", stopped)
    sql("alter table bot disable trigger user")
    sql("update bot set changed_at = now() - interval '50 seconds' where id = %s", running)
    sql("alter table bot enable trigger user")
    for name, until, leaving in (("bots-1", "1 hour", False), ("bots-2", "-1 minute", False),
                                 ("bots-3", "-1 minute", True)):  # fmt: skip
        sql(
            "insert into bot_engine (name, incarnation, until, epoch, venues, capacity, version,"
            " leaving) values (%s, 'x', now() + %s::interval, 1, '{okx}', 9, '1', %s)",
            name, until, leaving,
        )  # fmt: skip
    order = (
        "insert into bot_order (order_id, bot_id, epoch, slot, instrument_id, side, price, size,"
        " state, settled, detail) values (%s, %s, 1, 'a', %s, 'BUY', 1, 1, %s, %s, '{}')"
    )
    for name, state, settled in (("a", "OPEN", False), ("b", "UNKNOWN", False),
                                 ("c", "FILLED", True)):  # fmt: skip
        sql(order, name, running, SWAP, state, settled)
    # It was written a moment ago, when it was not found again.
    sql(
        "insert into bot_order_event (order_id, bot_id, slot, instrument_id, side, from_state,"
        " to_state, code, price, size, filled, occurred_at) values ('b', %s, 'a', %s, 'BUY',"
        " 'SUBMITTING', 'UNKNOWN', '', '1', '1', '0', now() - interval '90 seconds')",
        running, SWAP,
    )  # fmt: skip
    sql(
        "insert into risk_share values (%s, %s, %s, 9000000, 0, -2500000,"
        " now() - interval '40 seconds')",
        running, SWAP, SWAP,
    )  # fmt: skip
    for bot_id, micros in ((running, 3_000_000), (stopped, -7_500_000)):
        sql("insert into risk_result values (%s, %s, now())", bot_id, micros)
    sql("insert into position_gap values (%s, %s, 5, 2, 3)", WALLET, SWAP)

    shown = await figures(database_url)

    bots = {state: count for (state,), count in shown["bots"].items() if count}
    assert bots == {"RUNNING": 1, "RISK_STOPPED": 2, "IDLE": 1}
    assert shown["unattended"] == {("RISK_STOPPED",): 1, ("ERROR",): 0}
    assert shown["flattening"] == {(): 1}
    assert 50 <= shown["unwritten"][()] < 600
    assert {state: n for (state,), n in shown["orders"].items() if n} == {"OPEN": 1, "UNKNOWN": 1}
    assert 90 <= shown["orders_oldest"]["UNKNOWN",] < 600
    assert shown["orders_oldest"]["OPEN",] < 60
    assert shown["wallets"] == {("true",): 0, ("false",): 1}
    assert shown["engines"] == {("live",): 1, ("draining",): 0, ("gone",): 1}
    assert shown["held"]["okx", "SHORT"] == 2.5
    assert 40 <= shown["mark_age"][()] < 600
    assert shown["result"]["okx", "grid"] == -4.5
    assert shown["lowest"]["okx", "grid"] == -7.5
    assert shown["missing"] == {(): 1}
    (unowned,) = sql(fleet.QUERIES["unowned"])
    assert unowned == (WALLET, "okx", 2, "")

    sql("insert into trading_wallet_lease values (%s, 'bots-1', 1, now() + interval '1 h')", WALLET)
    assert (await figures(database_url))["wallets"] == {("true",): 1, ("false",): 0}
    assert sql(fleet.QUERIES["unowned"]) == []


async def test_limits_are_shown_by_how_much_is_used(database_url: str, sql: Any) -> None:
    one = bot(sql, 1, WALLET, "STARTING", "RUNNING")
    sql("insert into risk_share values (%s, %s, %s, 9000000, 0, 0)", one, SWAP, SWAP)
    for tenant, scope, subject, most in (("default", "PORTFOLIO", "", 10_000_000),
                                         ("default", "EXCHANGE", "okx", 90_000_000),
                                         ("default", "WALLET", WALLET, 18_000_000),
                                         ("empty", "PORTFOLIO", "", 1)):  # fmt: skip
        sql(
            "insert into risk_limit (tenant, scope, subject, limits, changed_by, reached) values"
            " (%s, %s, %s, jsonb_build_object('max_gross', %s::bigint), 'me',"
            " '{\"max_gross\": \"x\"}')",
            tenant, scope, subject, most,
        )  # fmt: skip
    for kill, done in (("a", "now()"), ("b", "null")):
        sql(
            "insert into kill_switch (id, tenant, exchange, reason, actor, set_at, done_at) values"
            f" (%s, %s, '', 'r', 'me', now() - interval '70 seconds', {done})",
            f"kil_{kill * 32}", kill,
        )  # fmt: skip

    shown = await figures(database_url)

    used = {key: part for key, part in shown["used"].items() if part}
    # Of two tenants the fuller one.
    assert used == {
        ("PORTFOLIO", "max_gross"): 0.9,
        ("EXCHANGE", "max_gross"): 0.1,
        ("WALLET", "max_gross"): 0.5,
    }
    assert shown["reached"]["PORTFOLIO",] == 2
    assert shown["kills"] == {("true",): 1, ("false",): 1}
    assert 70 <= shown["kill_age"][()] < 600


async def test_figures_that_are_old_are_not_shown(
    database_url: str, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await figures(database_url)
    monkeypatch.setattr(watch, "RETENTION_MS", -1)
    assert watch._observed("bots", cast("Any", None)) == []
