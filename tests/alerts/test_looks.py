"""Alerts without an event: disks, the log's lag, the day's result, counters."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from services.alerts import rules_file
from tests.alerts.world import World, eventually, world

pytestmark = pytest.mark.asyncio


def shipped(name: str, **changes: object) -> dict[str, object]:
    """A rule that ships, with other bounds."""
    text = (Path(rules_file.__file__).parent / rules_file.SHIPPED).read_text()
    (rule,) = (rule for rule in yaml.safe_load(text)["rules"] if rule["name"] == name)
    return {**rule, **changes}


async def test_a_disk_that_fills_up_is_told_until_there_is_room(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        # No disk of a test's machine is so empty.
        made.write_rules(rules=[shipped("disk-nearly-full", percent=99)])
        made.start(TT_ALERTS_DISKS=str(tmp_path))
        words = f"The disk of {tmp_path} is nearly full"
        await made.reported(words)
        made.write_rules(rules=[shipped("disk-nearly-full", percent=1)])
        await made.reported(f"Over: {words}")


async def test_a_log_that_stands_still_is_told_until_it_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        made.write_rules(rules=[shipped("event-lag", seconds=1)])
        made.start()
        await made.reading()
        # Something has happened, and nobody makes events of it.
        made.sql("select nextval('log_number_seq')")
        await made.reported("The log of events stands still")
        made.sql("update event_log_position set log_number = (select last_value"
                 " from log_number_seq)")  # fmt: skip
        await made.reported("Over: The log of events stands still")


def book(made: World, fill: int, realised: int, ago: str) -> None:
    """Book a result, without the order that it would have."""
    made.sql("set session_replication_role = replica; insert into booking (fill_seq, kind,"
             " order_key, trade_id, size_micros, notional_micros, fee_micros, realised_micros,"
             " order_state, order_filled_micros, lot_shares_micros, lot_cost_micros, booked_at)"
             f" values ({fill}, 'MATCHED', 'key-{fill}', 't', 1, 1, 0, {realised}, 'SUBMITTED', 1,"
             f" 1, 1, now() - interval '{ago}')")  # fmt: skip
    made.sql(f"update event_log_position set log_number = {fill};"
             f" select setval('log_number_seq', {fill})")  # fmt: skip


async def test_the_days_loss_counts_all_of_today_and_nothing_else(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        made.write_rules(rules=[shipped("daily-loss", usdc=100)])
        book(made, 10, -5_000_000_000, "2 days")
        book(made, 11, -60_000_000, "0 seconds")
        made.start()
        await made.reading()
        await eventually(lambda: bool(made.sql("select 1 from consumer_cursor")))
        book(made, 12, -40_000_000, "0 seconds")
        # Exactly at the bound nobody is called.
        book(made, 13, -1, "0 seconds")
        await made.reported("All followers together have lost 100.000001 USDC today")
        book(made, 14, 1, "0 seconds")
        await made.reported("Over: All followers together have lost 100.000001 USDC today")


async def test_rising_counter_alerts_unless_it_has_a_rule(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        shown = {"exit_unjudged": 3, "order_lost": 5}
        made.slack.page = lambda: "".join(
            f'alerts_total{{otel_scope_name="tradingtools.logs",name="{name}"}} {value}.0\n'
            for name, value in shown.items()
        )
        made.start(TT_ALERTS_METRICS=f"router=127.0.0.1:{made.http_port}")
        await made.reading()
        await eventually(lambda: len(made.slack.others) >= 2, "two looks")
        assert made.slack.bodies == [], "what was there before is nobody's news"
        shown.update(exit_unjudged=4, order_lost=6)
        await made.reported("router calls for a person: exit_unjudged")
        assert len(made.slack.bodies) == 1
        assert "otel" not in made.slack.texts()[0]


async def test_bots_without_an_engine_are_told_until_one_has_them(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        wallet = f"wal_{1:032x}"
        made.sql("insert into trading_wallet (id, tenant, name, exchange, environment, account,"
                 f" permissions, max_order_micros) values ('{wallet}', 'default', 'w', 'okx',"
                 " 'live', 'w', '', 1)")  # fmt: skip
        made.sql("insert into bot (id, tenant, name, wallet_id, strategy, config, instruments,"
                 f" desired) values ('bot000000001', 'default', 'b', '{wallet}', 'grid', '{{}}',"
                 " '{okx:X}', 'RUNNING')")  # fmt: skip
        made.write_rules(rules=[shipped("bots-without-engine", for_seconds=1)])
        made.start()
        words = f"The bots of the wallet {wallet} at okx have had no engine"
        await made.reported(words)
        made.sql("insert into trading_wallet_lease (wallet_id, engine, epoch, until) values"
                 f" ('{wallet}', 'bots-1', 1, now() + interval '1 hour')")  # fmt: skip
        await made.reported(f"Over: {words}")
