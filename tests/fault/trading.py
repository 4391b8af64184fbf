"""The events of a workload: leaders who buy and sell, triggers, moving books, people.

After it: `workload.py`, which says what has to come of it. It remembers every leader trade it made.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psycopg
from psycopg.types.json import Jsonb

from launcher.core.evidence import LeaderTrade
from tests.fault import people
from tests.fault.rig import Rig
from tests.money_path.world import Scene, eventually, tx
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

GOOD = ({"0.50": "1000000"}, {"0.49": "1000000"})
_LOW = ({"0.36": "1000000"}, {"0.35": "1000000"})
_HIGH = ({"0.68": "1000000"}, {"0.67": "1000000"})
DEFAULTS = Jsonb({"take_profit_ppm": 200_000, "stop_loss_ppm": 200_000})
_RUNGS = Jsonb([{"price_micros": 600_000, "share_ppm": 500_000}, {"price_micros": 660_000,
                "share_ppm": 0}])  # fmt: skip
_APART_SECONDS = 0.3
_MID = ({"0.63": "1000000"}, {"0.62": "1000000"})
"""A ladder's first rung is reached, and not its second."""
_THIN = ({"0.36": "1000000"}, {"0.35": "20"})
"""Stop-losses fire, and sell a slice only."""


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel, and raise what one of them died of.

    Once is not enough: a cancellation that meets a breaking connection to Redis comes out as the
    connection's error, which the workload survives.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.5)
    for task in tasks:
        if not task.cancelled():
            task.result()


@dataclass
class Leader:
    """One who is copied."""

    scene: Scene
    subscriptions: dict[int, str] = field(default_factory=dict)
    held: int = 0
    recent: list[ingest_pb.LeaderTradeEvent] = field(default_factory=list)


class Trading:
    """Leaders, followers and what happens to them.

    Args:
        rig: where.
        seed: of every choice.
        leaders: each with an asset of its own.
        staying: so many of them; the markets of the others' assets resolve on the way.
    """

    def __init__(self, rig: Rig, seed: int, *, leaders: int, staying: int) -> None:
        self._rig = rig
        self._rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        self._leaders = [Leader(rig.world.scene()) for _ in range(leaders)]
        self._staying = staying
        self._resolved: list[str] = []
        """Markets."""
        self.trades: dict[tuple[str, str, str, str], LeaderTrade] = {}
        self.triggers = 0
        self.unreadable: set[str] = set()
        """The leader_tx of rows that nobody can handle."""

    async def run(self, per_second: float, *, ahead: int | None = None) -> None:
        """Go on until cancelled.

        Args:
            per_second: what happens, on average.
            ahead: leaders wait while the router has so many of their rows to take; None: never.
        """
        while True:
            if ahead is None or self._untaken() < ahead:
                await self.step()
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) / per_second)

    def _untaken(self) -> int:
        upstream = self._rig.world.upstream
        return upstream.trades.last - max(map(int, upstream.acknowledged.values()), default=0)

    async def trade(self, times: int, pause: float = 0.05) -> None:
        """So many buys, one after the other."""
        for _ in range(times):
            self.buy(self._rng.choice(self._leaders))
            await asyncio.sleep(pause)

    async def step(self) -> None:
        """One thing that happens."""
        leader = self._rng.choice(self._leaders)
        draw = self._rng.random()
        if draw < 0.60:
            self.buy(leader)
        elif draw < 0.72:
            self._sell(leader)
        elif draw < 0.79:
            self._repeat(leader)
        elif draw < 0.805:
            self.send_unreadable(leader)
        elif draw < 0.89:
            await self._add_trigger(leader)
        elif draw < 0.95:
            await self._move_book(leader)
        elif draw < 0.96:
            await self._resolve()
        else:
            await self._let_people_act(leader)

    async def _resolve(self) -> None:
        """A market is over; nobody trades there any more, and what is held is paid out."""
        if len(self._leaders) == self._staying:
            return
        leader = self._leaders.pop()
        payout = self._rng.choice(("1", "0", "0.5"))
        with suppress(aiohttp.ClientError, TimeoutError):
            await leader.scene.set_book({}, {}, payout=payout)
            self._resolved.append(leader.scene.condition)

    async def _let_people_act(self, leader: Leader) -> None:
        if not self._rig.database_is_there:
            return
        act = self._rng.choice(people.ACTS)
        subscription = self._rng.choice(list(leader.subscriptions.values()))
        # Some orders are on their way meanwhile.
        self.buy(leader)
        with suppress(psycopg.OperationalError, aiohttp.ClientError, TimeoutError):
            await act(self._rig, leader.scene, subscription, self._rng)

    def buy(self, leader: Leader) -> None:
        """A buy; one in eight comes in two rows."""
        size = self._rng.randrange(50, 300)
        first = leader.scene.trade(leader_tx=tx(), size=str(size), price="0.5")
        rows = [first]
        leader.held += size
        if self._rng.random() < 0.125:
            rows.append(leader.scene.trade(leader_tx=first.leader_tx, size="77", price="0.49"))
            leader.held += 77
        self._put(leader, rows)

    def _sell(self, leader: Leader) -> None:
        size = leader.held if self._rng.random() < 0.3 else leader.held // 3
        if size:
            row = leader.scene.trade("SELL", size=str(size), price="0.49", held=str(leader.held))
            leader.held -= size
            self._put(leader, [row])

    def _put(self, leader: Leader, rows: list[ingest_pb.LeaderTradeEvent]) -> None:
        late = 0.0
        for row in rows:
            side = "BUY" if row.side == common.SIDE_BUY else "SELL"
            key = (row.leader_tx, row.leader, row.asset_id, side)
            self.trades[key] = LeaderTrade(
                leader_tx=row.leader_tx,
                leader=row.leader,
                asset_id=row.asset_id,
                side=side,
                traded_ms=row.traded_ms,
            )
            # Apart, as the feed brings them: what comes together is decided together.
            asyncio.get_running_loop().call_later(late, leader.scene.put, row)
            late += self._rng.uniform(0, _APART_SECONDS)
        leader.recent = [*leader.recent, *rows][-20:]

    def _repeat(self, leader: Leader) -> None:
        """The feed says again, in another order, what it has said before."""
        rows = list(leader.recent)
        self._rng.shuffle(rows)
        if rows:
            leader.scene.put(*rows)

    def send_unreadable(self, leader: Leader | None = None) -> None:
        """A row that nobody can handle."""
        leader = leader or self._rng.choice(self._leaders)
        row = leader.scene.trade(size="10", price="0.5")
        row.side = common.SIDE_UNSPECIFIED
        leader.scene.put(row)
        self.unreadable.add(row.leader_tx)

    async def _add_trigger(self, leader: Leader) -> None:
        if not self._rig.database_is_there:
            return
        number = self._rng.choice(list(leader.subscriptions))
        soon_ms = time.time_ns() // 1_000_000 + 1_500
        kinds: list[tuple[str, str | None, dict[str, Any]]] = [
            ("TAKE_PROFIT", "0.6", {}),
            ("STOP_LOSS", "0.4", {}),
            ("STOP_LOSS", "0.4", {"break_even": True}),
            ("TAKE_PROFIT", "0.6", {"two_ticks": True}),
            ("LADDER", None, {"rungs": _RUNGS}),
            ("TRAILING_STOP", "0.6", {"callback_micros": 50_000}),
            ("TIME_STOP", None, {"fire_at_ms": soon_ms}),
        ]
        kind, price, terms = self._rng.choice(kinds)
        subscription = leader.subscriptions[number]
        with suppress(psycopg.OperationalError):
            await leader.scene.add_trigger(number, subscription, kind, price, **terms)
            self.triggers += 1

    async def _move_book(self, leader: Leader) -> None:
        try:
            await leader.scene.set_book(*self._rng.choice((_LOW, _MID, _HIGH, _THIN)))
            await asyncio.sleep(0.3)
            await leader.scene.set_book(*GOOD)
        except (aiohttp.ClientError, TimeoutError):
            # insiders-api is down; the book moves another time.
            return

    def probed_wallet(self) -> str:
        """A follower of the leader whom `probe` has trade; not one of `stop_out`."""
        return self._leaders[0].scene.wallet(0)

    async def stop_out(self) -> None:
        """Have a position with a stop-loss whose price is reached; returns when an exit is claimed.

        Raises:
            AssertionError: none is.
        """
        leader = self._leaders[self._staying - 1]
        scene, subscription = leader.scene, leader.subscriptions[0]

        async def held() -> bool:
            self.buy(leader)
            return bool(
                self._rig.world.sql(
                    "select 1 from lot where follower_proxy = %s and asset_id = %s and origin = %s"
                    " and shares_micros > 0",
                    scene.wallet(0), scene.asset, subscription,
                )
            )  # fmt: skip

        async def sold() -> bool:
            await scene.set_book(*_LOW)
            orders = self._rig.world.sql("select 1 from orders where trigger_id = %s", trigger)
            return bool(orders)

        try:
            await eventually(held)
            trigger = await scene.add_trigger(0, subscription, "STOP_LOSS", "0.4")
            self.triggers += 1
            await eventually(sold)
        finally:
            await scene.set_book(*GOOD)

    async def calm(self) -> None:
        """Every book good again."""
        for leader in self._leaders:
            await leader.scene.set_book(*GOOD)
