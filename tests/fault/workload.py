"""A steady, seeded workload and its verdict: what leaders do, and what has to come of it.

Before it: `trading.py`, what happens there. It waits until everything is at rest, asks for each
leader trade's decision and has the judge compare the books.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psycopg

from launcher.core.invariants import Breach
from tests.fault import judge
from tests.fault.judge import Paused
from tests.fault.rig import Rig
from tests.fault.standing import standing
from tests.fault.trading import DEFAULTS, GOOD, Trading
from tests.money_path.world import eventually


class Workload(Trading):
    """Leaders, followers, what happens to them and whether it is right; see `Trading`."""

    def __init__(
        self,
        rig: Rig,
        seed: int,
        *,
        leaders: int = 2,
        followers: int = 2,
        resolving: int = 0,
        terms: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(rig, seed, leaders=leaders + resolving, staying=leaders)
        self._followers = followers
        self._terms = terms or {}
        """Further columns of every subscription."""
        self.pauses: list[Paused] = []
        self._decided_before = 0
        self._quarantined_before = 0

    @property
    def decisions(self) -> int:
        """Return how many there have to be in all: those before it, and its own."""
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
            " (select coalesce(max(id), 0) from dead_letter) as quarantined"
        )
        self._decided_before, self._quarantined_before = row["decisions"], row["quarantined"]
        for at, leader in enumerate(self._leaders):
            # Positions that will be paid out are guarded from their first fill to their end.
            guarded = {"triggers": DEFAULTS} if at >= self._staying else {}
            await leader.scene.set_book(*GOOD)
            for number in range(self._followers):
                # Every second one by ratio: only its copies grow with later rows.
                ratio = {"sizing_mode": "RATIO", "sizing_micros": 100_000} if number % 2 else {}
                leader.subscriptions[number] = await leader.scene.subscribe(
                    number, created_at=long_ago, **ratio, **guarded, **self._terms
                )

    async def pause_for(self, seconds: float) -> None:
        """Pause one subscription for a while, see `pause_while`."""
        await self.pause_while(asyncio.sleep(seconds))

    async def pause_while(self, work: Awaitable[None]) -> None:
        """Pause one subscription as control does, trade on until something is done, resume it."""
        leader = self._rng.choice(self._leaders)
        subscription = self._rng.choice(list(leader.subscriptions.values()))
        leader.scene.pause(subscription)
        acknowledged_ns = self.database_ns()
        await self.trade(3)
        await work
        await self.trade(3)
        resumed_ns = self.database_ns()
        seq = leader.scene.change(subscription, state="ACTIVE")
        await self._rig.world.announce(seq)
        self.pauses.append(Paused(subscription, acknowledged_ns, resumed_ns))

    async def verdict(self, seconds: float) -> list[Breach]:
        """Return what is broken once all is at rest; empty is what is promised.

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
            await eventually(self._paid_out, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {await standing(self._rig)}") from None

    async def _paid_out(self) -> bool:
        """Return whether nothing is left of what has resolved, but for what waits for a person."""
        (row,) = self._rig.world.sql(
            "select (select count(*) from lot l where condition_id = any(%s) and shares_micros > 0"
            "  and not exists (select 1 from reservation r where r.released_at is null"
            "   and r.follower_proxy = l.follower_proxy and r.condition_id = l.condition_id))"
            " + (select count(*) from redemption where state <> 'CONFIRMED') as left",
            self._resolved,
        )
        return not row["left"]

    async def _quarantine(self, seconds: float) -> list[Breach]:
        """Return what is wrong with it once every row has been tried as often as it is."""
        deadline = time.monotonic() + seconds
        while True:
            found = judge.quarantine(self._rig.world, self.unreadable, self._quarantined_before)
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    def database_ns(self) -> int:
        """What PostgreSQL's clock says, as orders are stamped by it."""
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
                reported = await standing(self._rig, leader_tx)
                raise AssertionError(
                    f"a fresh trade was not settled in {seconds:.0f} s, which takes"
                    f" {self._followers} decisions: {reported}"
                )
            await asyncio.sleep(0.05)
