"""A replayed day of prices fires exactly what the reference says, once, whatever is killed.

The long form (`make test-long`) has hundreds of positions, a crowd of triggers on each, and more
steps.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow, dict_row
from psycopg.types.json import Jsonb

from launcher.core.evidence import LeaderTrade
from tests.fault import day, judge
from tests.fault.day import SHARE, Bids, Lot, Trigger
from tests.fault.rig import Rig, rig
from tests.money_path.world import Scene
from tradingtools.domain.money import to_text

STILL_SECONDS = 60.0
"""How long nothing may move while something is missing. A bound on a whole step would measure how
busy the machine is; only a failing test waits that long."""
AT_ONCE = 4
"""Assets that are bought at once: thousands of orders in one instant would open the breaker."""
DEFAULTS = {
    "stop_loss_ppm": 150_000,
    "break_even": True,
    "trailing_from_ppm": 200_000,
    "trailing_ppm": 100_000,
    "ladder": [
        {"gain_ppm": 50_000, "share_ppm": 300_000},
        {"gain_ppm": 150_000, "share_ppm": 300_000},
        {"gain_ppm": 300_000, "share_ppm": 0},
    ],
}


class Day:
    """Positions of some followers in some assets, and the prices of a day."""

    def __init__(
        self, made: Rig, *, assets: int, followers: int, steps: int, seed: int, crowd: int
    ) -> None:
        self.rig = made
        self.rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        self.scenes = [made.world.scene() for _ in range(assets)]
        self.paths = day.paths(assets, steps, seed)
        self.followers = followers
        self.crowd = crowd
        self.lots: dict[tuple[str, str], Lot] = {}
        self.trades: list[LeaderTrade] = []

    async def open(self) -> None:
        """Buy every position through the money path, and put triggers on it."""
        for scene, path in zip(self.scenes, self.paths, strict=True):
            await put(scene, path[0])
        subscriptions = self._subscribe()
        await self.rig.world.announce(1)
        for scene in self.scenes:
            await scene.subscribe(self.followers)
        for first in range(0, len(self.scenes), AT_ONCE):
            await self._buy(first)
        self._guard(subscriptions)
        await self.rig.world.announce(1)
        self.lots = day.load(self._rows())
        for scene, path in zip(self.scenes, self.paths, strict=True):
            self._judge(scene, path[0])
        await self._agrees("the beginning")

    async def _buy(self, first: int) -> None:
        """Have the leaders of a few assets buy, and every follower with them."""
        bought = min(first + AT_ONCE, len(self.scenes))
        for scene, path in zip(self.scenes[first:bought], self.paths[first:bought], strict=True):
            price = to_text(path[0][0][0] + 10_000)
            event = scene.trade(size="1000", price=price)
            self.trades.append(
                LeaderTrade(
                    leader_tx=event.leader_tx,
                    leader=scene.leader,
                    asset_id=scene.asset,
                    side="BUY",
                    traded_ms=event.traded_ms,
                )
            )
            scene.put(event)
        await self.rig.settled(bought * (self.followers + 1), seconds=180)

    @contextmanager
    def _as_control(self) -> Iterator[psycopg.Connection[TupleRow]]:
        """Changes as control makes them: under its lock, committed with their numbers."""
        with psycopg.connect(self.rig.world.database_url) as connection:
            connection.execute("select lock_control_exclusive()")
            yield connection

    def _subscribe(self) -> list[tuple[Scene, int, str]]:
        made = []
        with self._as_control() as connection:
            for scene in self.scenes:
                for number in range(self.followers):
                    identifier = f"sub_{self.rng.getrandbits(128):032x}"
                    seq = note(connection, "subscription", identifier)
                    connection.execute(
                        "insert into subscription (id, follower_user_id, follower_wallet_id,"
                        " follower_proxy, leader, state, version, sizing_mode, sizing_micros,"
                        " changed_seq, triggers) values (%s, 'user', 'wallet', %s, %s, 'ACTIVE',"
                        " 1, 'FIXED', %s, %s, %s)",
                        (
                            identifier, scene.wallet(number), scene.leader,
                            self.rng.randrange(30, 90) * SHARE, seq,
                            Jsonb(DEFAULTS if number % 7 == 6 else {}),
                        ),
                    )  # fmt: skip
                    made.append((scene, number, identifier))
        return made

    def _guard(self, subscriptions: list[tuple[Scene, int, str]]) -> None:
        """Triggers of every kind on the lots that have none by default."""
        with self._as_control() as connection:
            for scene, number, origin in subscriptions:
                entry = self.paths[self.scenes.index(scene)][0][0][0] + 10_000
                for terms in self._crowd(number, entry):
                    identifier = f"trg_{self.rng.getrandbits(128):032x}"
                    values = {
                        "id": identifier, "follower_proxy": scene.wallet(number),
                        "condition_id": scene.condition, "asset_id": scene.asset,
                        "origin": origin, "status": "ARMED", **terms,
                    }  # fmt: skip
                    holes = ", ".join(["%s"] * len(values))
                    connection.execute(
                        f"insert into trigger ({', '.join(values)}) values ({holes})".encode(),
                        list(values.values()),
                    )
                    note(connection, "trigger", identifier)

    def _crowd(self, number: int, entry: int) -> Iterator[dict[str, Any]]:
        """Yield what one lot's triggers are made of: those of its number, and others beside
        them."""
        yield from day.terms(self.rng, number, entry)
        # Time stops stay alone: their instant comes beside a book, before or after it.
        if number % 7 not in (3, 6):
            for _ in range(1, self.crowd):
                yield from day.terms(self.rng, self.rng.choice((0, 1, 2, 5)), entry)

    def _rows(self) -> list[dict[str, Any]]:
        with psycopg.connect(
            self.rig.world.database_url, row_factory=dict_row, connect_timeout=5
        ) as connection:
            return connection.execute(
                "select t.*, l.shares_micros, l.cost_micros, coalesce("
                " (select sum(filled_size_micros) from orders where trigger_id = t.id), 0"
                ")::bigint as fetched from trigger t"
                " join lot l using (follower_proxy, asset_id, origin)"
            ).fetchall()

    @property
    def triggers(self) -> list[Trigger]:
        """All of them, as the reference has them now."""
        return [trigger for lot in self.lots.values() for trigger in lot.triggers]

    async def step(self, number: int, end: str) -> None:
        """Put every asset's next book while something is being killed; wait for the reference."""
        # It fires on the book before or on this one: the end is the same where this one has bids.
        bid_for = {s.asset for s, path in zip(self.scenes, self.paths, strict=True) if path[number]}
        late = [
            trigger
            for (_, asset), lot in self.lots.items()
            for trigger in lot.triggers
            if trigger.kind == "TIME_STOP" and not trigger.due and asset in bid_for
        ]
        for trigger in self.rng.sample(late, min(len(late), 2)):
            trigger.due = True
            with self._as_control() as connection:
                connection.execute(
                    "update trigger set fire_at_ms = 1, version = version + 1 where id = %s",
                    (trigger.id,),
                )
                note(connection, "trigger", trigger.id)
        await self.rig.world.announce(1)
        killing = asyncio.create_task(self._kill(end))
        for scene, path in zip(self.scenes, self.paths, strict=True):
            await put(scene, path[number])
            self._judge(scene, path[number])
        await killing
        await self._agrees(f"step {number}, {end or 'nothing'} killed")

    def _judge(self, scene: Scene, bids: Bids) -> None:
        for (_, asset), lot in self.lots.items():
            if asset == scene.asset:
                lot.step(bids)

    async def _kill(self, end: str) -> None:
        await asyncio.sleep(self.rng.random() * 0.2)
        stores = {"postgres": self.rig.postgres, "redis": self.rig.redis}
        for name in end.split():
            if name in stores:
                await asyncio.to_thread(stores[name].stop, signal.SIGKILL)
                await asyncio.to_thread(stores[name].start)
            else:
                await self.rig.end(name)

    async def _agrees(self, when: str) -> None:
        expected = {trigger.id: trigger.state for trigger in self.triggers}
        before: dict[str, tuple[Any, ...]] = {}
        deadline = time.monotonic() + STILL_SECONDS
        while (found := self._found()) != expected:
            if found != before:
                before, deadline = found, time.monotonic() + STILL_SECONDS
            assert time.monotonic() < deadline, f"{when}: {_differences(expected, found)}"
            await asyncio.sleep(0.1)

    def _found(self) -> dict[str, tuple[Any, ...]]:
        try:
            rows = self._rows()
        except psycopg.OperationalError:
            return {}
        return {
            r["id"]: day.state_of(r["status"], r["fetched"], r["rungs_done"], r["peak_micros"])
            for r in rows
        }


def _differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [
        f"{name}: expected {state}, found {found.get(name)}"
        for name, state in expected.items()
        if found.get(name) != state
    ][:5]


def note(connection: psycopg.Connection[TupleRow], kind: str, subject: str) -> int:
    """The number of a change, for whoever keeps what was changed in memory."""
    row = connection.execute(
        "select append_control_change('test', 'test', 'change', %s, %s, null, null)",
        (kind, subject),
    ).fetchone()
    assert row is not None
    return int(row[0])


async def put(scene: Scene, bids: Bids) -> None:
    """Set a scene's book; the ask is a cent above the best bid."""
    ask = bids[0][0] + 10_000 if bids else 990_000
    await scene.set_book(
        {to_text(ask): "1000000"}, {to_text(price): to_text(size) for price, size in bids}
    )


async def play(
    directory: Path, ends: list[str], *, assets: int, followers: int, seed: int, crowd: int = 1
) -> Day:
    """A day of as many steps as there are things to kill."""
    async with rig(
        directory,
        TT_ROUTER_ENTRY_TTL_MS="60000",
        TT_ROUTER_BOOK_TIMEOUT_MS="30000",
        # How fast insiders-api answers a crowd is no subject here: what it is too slow for is not
        # bought, and then not guarded.
        TT_EXECUTOR_SUBMIT_TIMEOUT_MS="10000",
        TT_CONFIRM_VENUE_TIMEOUT_MS="10000",
        TT_INSIDERS_LONGEST_PROCESSING_MS="10000",
    ) as made:
        made_day = Day(
            made, assets=assets, followers=followers, steps=len(ends) + 1, seed=seed, crowd=crowd
        )
        await made_day.open()
        for number, end in enumerate(ends, start=1):
            await made_day.step(number, end)
        await made.settled(0)
        assert await judge.judge(made.world, made_day.trades) == []
        return made_day


def _fired(made: Day) -> set[str]:
    return {trigger.kind for trigger in made.triggers if trigger.sold}


@pytest.mark.timeout(300)
async def test_a_day_of_prices_over_kills(tmp_path: Path) -> None:
    ends = ["guard executor", "postgres redis", "", ""]
    made = await play(tmp_path, ends, assets=3, followers=7, seed=3)
    assert _fired(made) == set(day.ORDER)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_day_of_prices_with_thousands_of_triggers_over_kills(
    tmp_path: Path, seed: int
) -> None:
    kills = ["guard", "executor", "guard executor", "postgres", "redis", "confirm", "", ""]
    made = await play(tmp_path, kills, assets=12, followers=28, seed=seed, crowd=5)
    assert _fired(made) == set(day.ORDER)
    assert len(made.triggers) >= 2_000
