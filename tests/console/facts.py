"""What the pages have to show: a follower who has just begun, and one with a day behind him."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, TypeVar

from tests.console.books import Books
from tests.console.bot_facts import put_bots
from tests.console.world import Served
from tests.control.a_day import Day
from tests.control.leader_documents import DAY_MS, leader, publish
from tests.control.marks import put_mark
from tests.control.requests import (
    ASSET,
    CONDITION,
    Database,
    put_decision,
    put_fill,
    put_lot,
    put_order,
    subscription_body,
    trigger_body,
)
from tests.replay import made
from tradingtools.domain.leader_trade import Side
from tradingtools.v1 import enrichment_pb2

WALLET, SEASONED = "0x" + "5c" * 20, "0x" + "5d" * 20
LEADER, ADMIRED = "0x" + "be" * 20, "0x" + "ad" * 20
_MICROS = 1_000_000
T = TypeVar("T")
_HOUR = 3_600


class Facts:
    """A follower with a subscription, an order, a position and a trigger, and a seasoned one."""

    def __init__(self, served: Served, database: Database, books: Books) -> None:
        self.database = database
        body = subscription_body(WALLET, leader=LEADER)
        self.subscription: str = served.world.call("POST", "/subscriptions", json=body).json()["id"]
        self.order = put_order(
            database, WALLET, self.subscription, "CONFIRMED", received_ns=1_770_000_000_000_000_000,
            routed_ns=1_770_000_000_002_000_000, claimed_ns=1_770_000_000_004_000_000,
            submitting_ns=1_770_000_000_005_000_000, first_byte_ns=1_770_000_000_006_500_000,
            answered_ns=1_770_000_000_030_000_000,
        )  # fmt: skip
        put_fill(database, self.order, "t-1")
        put_lot(database, WALLET, self.subscription)
        books.bid(ASSET, 600_000)
        self.transaction = put_decision(database, WALLET, self.subscription)
        body = trigger_body(WALLET, self.subscription)
        self.trigger: str = served.world.call("POST", "/triggers", json=body).json()["id"]
        body = subscription_body(SEASONED, leader=ADMIRED, sizing={"fixed": {"amount": "10"}})
        self.seasoned: str = served.world.call("POST", "/subscriptions", json=body).json()["id"]
        self._live_a_day()
        self.wallet, self.bot, self.stopped_bot = put_bots(database, served)
        self._copy_and_miss(served)
        aside(publish, served.redis_url, _known(ADMIRED))
        _record(served)

    def trade(self, *numbers: int, decided: bool = True) -> None:
        """Make a leader trade that a follower skips, as the router's record of a claim has both.

        Args:
            numbers: each is a trade's, told in its decision.
            decided: False: the trade alone, of which nobody has decided so far.
        """
        rows, decisions = [], []
        for number in numbers:
            same = {
                "leader_tx": "0x" + secrets.token_hex(32), "leader": LEADER, "asset_id": ASSET,
                "side": "BUY", "condition_id": CONDITION,
            }  # fmt: skip
            rows.append({
                **same, "price_micros": 500_000, "size_micros": 1_500_000, "count": 1,
                "source": "FEED", "traded_ms": 1_770_000_000_000,
            })  # fmt: skip
            decisions.append({
                **same, "subscription_id": self.subscription, "follower_proxy": WALLET,
                "copied": False, "reason": "TOO_OLD", "detail": f"number {number}",
                "leader_size_micros": 1_500_000, "leader_notional_micros": 750_000,
                "title": "Will it rain?",
            })  # fmt: skip
        payload = json.dumps({"rows": rows, "decisions": decisions if decided else []}).encode()
        self.database.execute(
            "insert into journal (kind, role, record_key, partition, epoch, payload, order_count,"
            " rows_built_at) values ('CLAIMED', 'router', %s, 0, 1, %s, 0, now())",
            [secrets.token_hex(8), payload],
        )

    def logged(self) -> int:
        """Return how many events the log has."""
        (row,) = self.database.execute("select number from event_log_position").fetchall()
        return int(row["number"])

    def _live_a_day(self) -> None:
        """A day of trades, with marks at the end of each hour."""
        end = int(time.time()) // _HOUR * _HOUR
        begin = end - 26 * _HOUR
        self.database.execute(
            "update subscription set created_at = to_timestamp(%s) where id = %s",
            [begin, self.seasoned],
        )
        day, chance = Day(self.database, SEASONED, self.seasoned, 7), Random(7)  # noqa: S311
        for at_s in sorted(chance.randrange(begin, end) for _ in range(60)):
            day.step(at_s)
        for asset in day.assets:
            bid = 500_000
            for at_s in range(begin, end, _HOUR):
                bid = min(max(bid + chance.randint(-30_000, 32_000), 50_000), 950_000)
                self.database.execute(
                    "insert into mark_hour values (%s, to_timestamp(%s), %s)", [asset, at_s, bid]
                )

    def _copy_and_miss(self, served: Served) -> None:
        """Copies with slippage in two markets, and trades that a filter kept out."""
        for number in range(4):
            asset, condition = str(10**40 + number % 2), f"0x{'c' * 63}{number % 2}"
            same = {"asset_id": asset, "condition_id": condition, "leader": ADMIRED}
            tx = put_decision(
                self.database, SEASONED, self.seasoned, copied=True, reason="", detail="",
                leader_size_micros=100 * _MICROS, leader_notional_micros=50 * _MICROS, **same,
            )  # fmt: skip
            order = put_order(
                self.database, SEASONED, self.seasoned, "CONFIRMED", leader_tx=tx,
                filled_size_micros=10 * _MICROS, filled_notional_micros=5_200_000 + number * 10_000,
                fee_micros=10_000, received_ns=1_000_000_000, answered_ns=1_040_000_000, **same,
            )  # fmt: skip
            self.database.execute(
                "update decision set order_keys = %s where leader_tx = %s", [[order], tx]
            )
            self.copy, self.copied = order, tx
        for reason, number, detail in (
            ("PRICE_BAND", 3, "0.97 > 0.95"),
            ("SPREAD_TOO_WIDE", 2, "0.06 > 0.03"),
            ("TOO_OLD", 1, "61000 ms > 60000 ms"),
        ):
            for _ in range(number):
                put_decision(
                    self.database, SEASONED, self.seasoned, leader=ADMIRED, reason=reason,
                    asset_id=str(10**40 + (reason == "PRICE_BAND")), detail=detail,
                    leader_size_micros=100 * _MICROS, leader_notional_micros=50 * _MICROS,
                )  # fmt: skip
        for number, bid_micros in ((0, 600_000), (1, 450_000)):
            aside(put_mark, served.redis_url, str(10**40 + number), bid_micros)


def aside(do: Callable[..., T], *values: Any) -> T:
    """Do it in another thread: this one's event loop may be the browser's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(do, *values).result()


def _known(wallet: str) -> enrichment_pb2.LeaderStatistics:
    """A leader with sixty days of record."""
    known, chance = leader(wallet, trades=412, resolved=80, won=47), Random(3)  # noqa: S311
    today = int(time.time() * 1000) // DAY_MS * DAY_MS
    known.as_of_ms = int(time.time() * 1000)
    cumulative = 0
    for number in range(60, -1, -1):
        realised = chance.randint(-900, 1_100) * _MICROS
        cumulative += realised
        known.days.add(
            day_ms=today - number * DAY_MS, realised_micros=realised,
            cumulative_micros=cumulative, trades=7, equity_micros=cumulative + 40 * _MICROS,
        )  # fmt: skip
    for window in known.windows:
        window.win_rate, window.win_rate_low, window.win_rate_high = 0.5875, 0.478, 0.689
        window.profit_factor, window.sharpe = 1.42, 1.1
    known.categories.add(category="sports", trades=300, realised_micros=900 * _MICROS)
    known.categories.add(category="politics", trades=112, realised_micros=-120 * _MICROS)
    for delay in (1, 3, 10):
        known.copyability.add(
            delay_seconds=delay, amount_micros=100 * _MICROS, observed=38, unobserved=2,
            slippage=0.004 * delay, filled=0.97,
        )  # fmt: skip
    return known


def traded_before() -> list[dict[str, Any]]:
    """Return trades of the admired leader of two days ago, as they are known for simulations."""
    then = int(time.time() * 1000) - 48 * 3_600_000
    return made.history(
        ADMIRED,
        [
            ("0x01", "71", "BUY", "100", then, "0.5"),
            ("0x02", "71", "SELL", "50", then + 3_600_000, "0.6"),
        ],
    )


def _record(served: Served) -> None:
    """What the router has recorded of the admired leader two hours ago."""
    at = int(time.time() * 1000) - 2 * 3_600_000
    made.record(
        served.recording,
        [
            made.traded(1, Side.BUY, 100, at_ms=at, leader=ADMIRED),
            made.traded(2, Side.BUY, 40, at_ms=at + 1000, leader=ADMIRED),
            made.traded(3, Side.SELL, 140, at_ms=at + 2000, leader=ADMIRED, held=140),
        ],
    )
