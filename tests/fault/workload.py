"""A steady, seeded workload: leaders who buy and sell, followers with triggers, moving books.

It remembers every leader trade it made, so that the judge can ask for each one's decision.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import psycopg

from launcher.core.evidence import LeaderTrade
from launcher.core.invariants import Breach
from tests.fault import judge
from tests.fault.judge import Paused
from tests.fault.rig import Rig
from tests.fault.standing import standing
from tests.money_path.world import Scene, tx
from tradingtools.v1 import common_pb2 as common
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

_GOOD = ({"0.50": "1000000"}, {"0.49": "1000000"})
_LOW = ({"0.36": "1000000"}, {"0.35": "1000000"})
_HIGH = ({"0.68": "1000000"}, {"0.67": "1000000"})
_APART_SECONDS = 0.3
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
class _Leader:
    scene: Scene
    subscriptions: dict[int, str] = field(default_factory=dict)
    held: int = 0
    recent: list[ingest_pb.LeaderTradeEvent] = field(default_factory=list)


class Workload:
    """Leaders, followers and what happens to them.

    Args:
        rig: where.
        seed: of every choice.
        leaders: each with an asset of its own.
        followers: of each leader.
    """

    def __init__(self, rig: Rig, seed: int, *, leaders: int = 2, followers: int = 2) -> None:
        self._rig = rig
        self._rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        self._leaders = [_Leader(rig.world.scene()) for _ in range(leaders)]
        self._followers = followers
        self.trades: dict[tuple[str, str, str, str], LeaderTrade] = {}
        self.pauses: list[Paused] = []
        self.triggers = 0
        self.poison: set[str] = set()
        """The leader_tx of rows that nobody can handle."""
        self._decided_before = 0
        self._quarantined_before = 0

    @property
    def decisions(self) -> int:
        """How many there have to be in all: those before it, and its own."""
        return self._decided_before + self.own_decisions

    @property
    def own_decisions(self) -> int:
        """One for each leader trade and follower."""
        return len(self.trades) * self._followers

    async def prepare(self) -> None:
        """Books and subscriptions, as if they had stood for an hour."""
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        (row,) = self._rig.world.sql(
            "select (select count(*) from decision) as decisions,"
            " (select coalesce(max(id), 0) from poison) as quarantined"
        )
        self._decided_before, self._quarantined_before = row["decisions"], row["quarantined"]
        for leader in self._leaders:
            await leader.scene.set_book(*_GOOD)
            for number in range(self._followers):
                # Every second one by ratio: only its copies grow with later rows.
                ratio = {"sizing_mode": "RATIO", "sizing_micros": 100_000} if number % 2 else {}
                leader.subscriptions[number] = await leader.scene.subscribe(
                    number, created_at=long_ago, **ratio
                )

    async def run(self, per_second: float) -> None:
        """Go on until cancelled."""
        while True:
            await self.step()
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) / per_second)

    async def trade(self, times: int, pause: float = 0.05) -> None:
        """So many buys, one after the other."""
        for _ in range(times):
            self.buy(self._rng.choice(self._leaders))
            await asyncio.sleep(pause)

    async def step(self) -> None:
        """One thing that happens."""
        leader = self._rng.choice(self._leaders)
        draw = self._rng.random()
        if draw < 0.62:
            self.buy(leader)
        elif draw < 0.74:
            self._sell(leader)
        elif draw < 0.82:
            self._repeat(leader)
        elif draw < 0.84:
            self.send_poison(leader)
        elif draw < 0.92:
            await self._add_trigger(leader)
        else:
            await self._move_book(leader)

    def buy(self, leader: _Leader) -> None:
        """A buy; one in eight comes in two rows."""
        size = self._rng.randrange(50, 300)
        first = leader.scene.trade(leader_tx=tx(), size=str(size), price="0.5")
        rows = [first]
        leader.held += size
        if self._rng.random() < 0.125:
            rows.append(leader.scene.trade(leader_tx=first.leader_tx, size="77", price="0.49"))
            leader.held += 77
        self._put(leader, rows)

    def _sell(self, leader: _Leader) -> None:
        size = leader.held if self._rng.random() < 0.3 else leader.held // 3
        if size:
            row = leader.scene.trade("SELL", size=str(size), price="0.49", held=str(leader.held))
            leader.held -= size
            self._put(leader, [row])

    def _put(self, leader: _Leader, rows: list[ingest_pb.LeaderTradeEvent]) -> None:
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

    def _repeat(self, leader: _Leader) -> None:
        """The feed says again, in another order, what it has said before."""
        rows = list(leader.recent)
        self._rng.shuffle(rows)
        if rows:
            leader.scene.put(*rows)

    def send_poison(self, leader: _Leader | None = None) -> None:
        """A row that nobody can handle."""
        leader = leader or self._rng.choice(self._leaders)
        row = leader.scene.trade(size="10", price="0.5")
        row.side = common.SIDE_UNSPECIFIED
        leader.scene.put(row)
        self.poison.add(row.leader_tx)

    async def _add_trigger(self, leader: _Leader) -> None:
        if not self._rig.database_is_there:
            return
        number = self._rng.choice(list(leader.subscriptions))
        soon_ms = time.time_ns() // 1_000_000 + 1_500
        kinds: list[tuple[str, str | None, dict[str, Any]]] = [
            ("TAKE_PROFIT", "0.6", {}),
            ("STOP_LOSS", "0.4", {}),
            ("STOP_LOSS", "0.4", {}),
            ("TRAILING_STOP", "0.6", {"callback_micros": 50_000}),
            ("TIME_STOP", None, {"fire_at_ms": soon_ms}),
        ]
        kind, price, terms = self._rng.choice(kinds)
        subscription = leader.subscriptions[number]
        with suppress(psycopg.OperationalError):
            await leader.scene.add_trigger(number, subscription, kind, price, **terms)
            self.triggers += 1

    async def _move_book(self, leader: _Leader) -> None:
        try:
            await leader.scene.set_book(*self._rng.choice((_LOW, _HIGH, _THIN)))
            await asyncio.sleep(0.3)
            await leader.scene.set_book(*_GOOD)
        except (aiohttp.ClientError, TimeoutError):
            # insiders-api is down; the book moves another time.
            return

    async def calm(self) -> None:
        """Every book good again."""
        for leader in self._leaders:
            await leader.scene.set_book(*_GOOD)

    async def pause_for(self, seconds: float) -> None:
        """Pause one subscription for a while, see `pause_while`."""
        await self.pause_while(asyncio.sleep(seconds))

    async def pause_while(self, work: Awaitable[None]) -> None:
        """Pause one subscription as control does, trade on until something is done, resume it."""
        leader = self._rng.choice(self._leaders)
        subscription = self._rng.choice(list(leader.subscriptions.values()))
        leader.scene.pause(subscription)
        acknowledged_ns = self._database_ns()
        await self.trade(3)
        await work
        await self.trade(3)
        resumed_ns = self._database_ns()
        seq = leader.scene.change(subscription, state="ACTIVE")
        await self._rig.world.announce(seq)
        self.pauses.append(Paused(subscription, acknowledged_ns, resumed_ns))

    async def verdict(self, seconds: float) -> list[Breach]:
        """What is broken once all is at rest; empty is what is promised.

        Router and guard claim by themselves what an exit left unsold, pauses of up to half a minute
        apart, so a quiet moment proves nothing: they are stopped, what they claimed last ends, and
        then nothing changes any more while the evidence is read.

        Args:
            seconds: for coming to rest; twice.

        Raises:
            AssertionError: it did not come to rest.
        """
        await self._settled(seconds)
        async with self._rig.without("router", "guard"):
            await self._settled(seconds)
            found = await judge.judge(self._rig.world, self.trades.values(), self.pauses)
        # The router is back and takes what it had not acknowledged.
        return found + await self._quarantine(seconds)

    async def _settled(self, seconds: float) -> None:
        try:
            await self._rig.settled(self.decisions, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {await standing(self._rig)}") from None

    async def _quarantine(self, seconds: float) -> list[Breach]:
        """What is wrong with it once every row has been tried as often as it is."""
        deadline = time.monotonic() + seconds
        while True:
            found = judge.quarantine(self._rig.world, self.poison, self._quarantined_before)
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    def _database_ns(self) -> int:
        (row,) = self._rig.world.sql(
            "select (extract(epoch from clock_timestamp()) * 1000000)::bigint as us"
        )
        return int(row["us"]) * 1000

    async def probe(self, seconds: float) -> float:
        """Seconds until a fresh trade is decided for every follower and its orders are at rest."""
        leader = self._leaders[0]
        started = time.monotonic()
        self.buy(leader)
        leader_tx = leader.recent[-1].leader_tx
        while True:
            with suppress(psycopg.OperationalError):
                (row,) = self._rig.world.sql(
                    "select (select count(*) from decision where leader_tx = %s) as decided,"
                    " (select count(*) from orders where leader_tx = %s and state not in"
                    "  ('CONFIRMED', 'FAILED', 'LOST', 'DEAD')) as open",
                    leader_tx, leader_tx,
                )  # fmt: skip
                if row["decided"] >= self._followers and not row["open"]:
                    return time.monotonic() - started
            if time.monotonic() - started >= seconds:
                told = await standing(self._rig, leader_tx)
                raise AssertionError(
                    f"a fresh trade was not settled in {seconds:.0f} s, which takes"
                    f" {self._followers} decisions: {told}"
                )
            await asyncio.sleep(0.05)
