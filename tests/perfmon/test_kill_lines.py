"""kill -9 at every line of perfmon, one after the other, while everything it does goes on.

It runs under `tests.fault.at_line`: it dies at each step once, the first time that it comes there,
and lives again at once. Meanwhile followers buy, books fall, rise, go away and come back, shares
are adopted, people change rules and resume, and control is away now and then. What is judged is
what was committed: no action twice, none missing, none on a doubtful mark.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from tests.fault import at_line
from tests.fault.entries import Entry
from tests.fault.steps import steps_of
from tests.money_path.world import Scene, World, eventually
from tests.perfmon.test_perfmon import (
    HELD,
    SCALE,
    USDC,
    actions,
    adopted,
    amount,
    stands,
    stop,
    subscription,
)
from tradingtools.domain.performance import LossAction
from tradingtools.v1 import bookfeed_service_pb2 as books_pb

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]
GOOD, FALLEN, RISEN = ("0.50", "0.49"), ("0.31", "0.30"), ("0.66", "0.65")
LATE_SECONDS = 240.0
"""A stop may need several lives of perfmon."""
PATIENCE_SECONDS = 45.0

_ACTING, _APP, _FOLLOWED, _LEDGER, _METRICS, _MONITOR = (
    f"services/perfmon/{name}.py"
    for name in ("acting", "app", "followed", "ledger", "metrics", "monitor")
)
_TOKEN = "the token is right here: tests/unit/perfmon/test_acting.py"
_RACE = "only when something changes between a statement and the next: tests/unit/perfmon"
_AWAY = "only when the database goes away within this call"
_FIRST = "before the process serves, when it is imported"
UNREACHED = (
    Entry(_ACTING, "Actor.act", _TOKEN, '_log.error("a performance', chance=True),
    Entry(_ACTING, "Actor.act", _RACE, "return {name", chance=True),
    Entry(_ACTING, "Actor._notify", _RACE, chance=True),
    Entry(_APP, "run", "it ends by kill -9 alone", "async with composed", chance=True),
    Entry(_APP, "_check_zone", "the zone is right here", "raise Startup"),
    Entry(
        _FOLLOWED,
        "MonitoredSubscription.follow_flows",
        "nobody adopts twice here",
        "continue",
        chance=True,
    ),
    Entry(_LEDGER, "Ledger._complete", _RACE, "continue", chance=True),
    Entry(_LEDGER, "Ledger._put_result", _RACE, "return", chance=True),
    Entry(_METRICS, "Level.__init__", _FIRST),
    Entry(_MONITOR, "Monitor.follow_bookings", _AWAY, chance=True),
    Entry(_MONITOR, "Monitor.recheck", "no day begins here", chance=True),
    Entry(_MONITOR, "Monitor._act", _AWAY, "if len(some)", chance=True),
    Entry(_MONITOR, "Monitor._act", _AWAY, "for one in some", "# It may", chance=True),
    Entry(_MONITOR, "Monitor._act", _AWAY, "await self._act([one])", chance=True),
    Entry(_MONITOR, "Monitor._act", _AWAY, "return", chance=True),
    Entry(_MONITOR, "Monitor._act", _AWAY, "_log.warning", chance=True),
    Entry(_MONITOR, "Monitor._act_once", _RACE, "return set()", chance=True),
    Entry(_MONITOR, "Monitor._desired", _RACE, "return None", chance=True),
    Entry(_MONITOR, "Monitor.keep", _AWAY, chance=True),
    Entry(_MONITOR, "Monitor.close", "it ends by kill -9 alone", chance=True),
)
"""Steps that are not come to, and why."""


async def book(path: Scene, prices: tuple[str, str]) -> None:
    ask, bid = prices
    await path.set_book({ask: "1000"}, {bid: "1000"})


async def late(holds: Callable[[], Awaitable[bool]]) -> None:
    await eventually(holds, LATE_SECONDS)


async def followed(world: World, **columns: object) -> tuple[Scene, str]:
    """A subscription that has bought 19.13 shares at 0.50, and that perfmon follows."""
    path = world.scene()
    await book(path, GOOD)
    name = await path.subscribe(1, **columns)
    await path.put_when_copied(path.trade(size="20", price="0.5"))
    await path.settled(1)
    if columns.get("performance"):
        await late(lambda: stands(path, name, "WATCHING", "WARNED"))
    return path, name


async def stopped(path: Scene, name: str, number: int = 1) -> None:
    """It stops, and that is one action."""
    await late(lambda: stands(path, name, "STOPPED"))
    assert len(actions(path, name)) == number, actions(path, name)


async def pauses_and_resumes(world: World) -> None:
    path, name = await followed(world, performance=stop(total=amount(3), session=amount(9)))
    await book(path, FALLEN)
    await stopped(path, name)
    assert path.lot()["shares_micros"] == HELD
    seq = path.change(name, state="ACTIVE", paused_by=None, baseline=2, session=2)
    await path.world.announce(seq)
    await late(lambda: stands(path, name, "WATCHING"))
    await path.set_book({"0.02": "1000"}, {})
    await stopped(path, name, 2)
    assert [one["baseline"] for one in actions(path, name)] == [1, 2]


async def exits_once(world: World) -> None:
    rules = stop(LossAction.PAUSE_AND_EXIT, from_peak=amount(3))
    path, name = await followed(world, performance=rules)
    await book(path, FALLEN)
    await stopped(path, name)
    await path.settled(2)
    assert path.lot()["shares_micros"] == 0
    assert len(await path.posted()) == 2, "one buy and one sell"


async def holds_back_a_funded_wallet(world: World) -> None:
    path = world.scene()
    await book(path, GOOD)
    name = await path.subscribe(1)
    await world.announce(path.fund(name, 100))
    rules = stop(
        LossAction.REDUCE_ONLY, total={"fraction_micros": 30_000}, day=amount(50), scope="WALLET"
    )
    await world.announce(path.change(name, performance=rules))
    await path.put_when_copied(path.trade(size="20", price="0.5"))
    await path.settled(1)
    await late(lambda: stands(path, name, "WATCHING"))
    await world.announce(path.fund(name, 110))
    await book(path, FALLEN)
    await stopped(path, name)


async def scales(world: World) -> None:
    path, name = await followed(world, performance=SCALE)
    await book(path, RISEN)

    async def stepped(count: int) -> bool:
        return len(actions(path, name)) >= count

    await late(lambda: stepped(1))
    await book(path, GOOD)
    await late(lambda: stepped(2))
    assert [one["scale_micros"] for one in actions(path, name)][:2] == [2 * USDC, USDC]


async def doubts(world: World) -> None:
    path, name = await followed(world, performance=stop(total=amount(3)))
    stale = books_pb.Mark()
    stale.CopyFrom(world.upstream.marks[path.asset])
    stale.status = books_pb.BOOK_STATUS_STALE
    world.upstream.put_mark(stale)
    await late(lambda: stands(path, name, "WARNED"))
    await book(path, GOOD)
    await late(lambda: stands(path, name, "WATCHING"))
    await book(path, ("0.02", "0.01"))
    await book(path, GOOD)
    await world.announce(path.change(name, state="DELETED"))
    assert actions(path, name) == [], "one bad mark, and a doubtful one"


async def adopts(world: World) -> None:
    path, name = await followed(world, performance=stop(total=amount(3)))
    other = path.another_asset()
    await book(other, GOOD)
    await adopted(other, name, shares=20 * USDC, cost=19 * USDC)

    async def taken_over() -> bool:
        (row,) = world.sql(
            "select standing->'flows' as flows from performance where subscription_id = %s", name
        )
        return other.asset in row["flows"]

    # What they fetch now is what they came with; a later book is a loss.
    await late(taken_over)
    assert actions(path, name) == []
    await book(other, FALLEN)
    await stopped(path, name)


async def changes_meanwhile(world: World) -> None:
    path, name = await followed(world, performance=stop(total=amount(3)))
    await book(path, FALLEN)
    for limit in (4, 3, 5, 3):
        await asyncio.sleep(0.15)
        if subscription(path, name)["paused_by"] is None:
            await world.announce(path.change(name, performance=stop(total=amount(limit))))
    if subscription(path, name)["paused_by"] is None:
        await world.announce(path.change(name, performance=stop(total=amount(3))))
    await stopped(path, name)
    await world.announce(path.change(name, performance=Jsonb({"loss_stop": {"action": "NONE"}})))
    await asyncio.sleep(1)
    await world.announce(path.change(name, performance=Jsonb({})))


async def control_is_away(world: World) -> None:
    path, name = await followed(world, performance=stop(total=amount(3)))
    world.kill("control")
    await book(path, FALLEN)
    await asyncio.sleep(3)
    world.start("control")
    await stopped(path, name)


CYCLES = (
    pauses_and_resumes, exits_once, holds_back_a_funded_wallet, scales, doubts, adopts,
    changes_meanwhile,
)  # fmt: skip


async def _work(world: World, number: int, over: asyncio.Event) -> None:
    rng = random.Random(number)  # noqa: S311 - a seed makes it repeatable
    for cycle in itertools.count():
        if over.is_set():
            return
        await (control_is_away if number == 0 and cycle % 3 == 2 else rng.choice(CYCLES))(world)


async def _supervise(world: World) -> None:
    while True:
        await asyncio.sleep(0.1)
        if "perfmon" in world.ended():
            world.start("perfmon")


@pytest.mark.timeout(3600)
async def test_killed_at_every_line_it_acts_once_and_never_in_doubt(
    running: World, tmp_path: Path
) -> None:
    plan = [step for step in steps_of("perfmon") if step.path.startswith("services/perfmon/")]
    (tmp_path / "plan").write_text("".join(f"{step.text}\n" for step in plan))
    running.run_as("perfmon", "tests.fault.at_line", "perfmon", str(tmp_path))
    over = asyncio.Event()
    supervising = asyncio.create_task(_supervise(running))
    working = [asyncio.create_task(_work(running, number, over)) for number in range(3)]
    try:
        running.kill("perfmon")
        running.start("perfmon")
        reached, last = 0, time.monotonic()
        while time.monotonic() - last < PATIENCE_SECONDS and reached < len(plan):
            await asyncio.sleep(0.5)
            for task in working:
                if task.done():
                    task.result()
            now = len(at_line.read(tmp_path / "reached"))
            if now > reached:
                reached, last = now, time.monotonic()
    finally:
        over.set()
        ended = await asyncio.gather(*working, return_exceptions=True)
        supervising.cancel()
        running.run_as("perfmon")
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    met = {step.place for step in at_line.read(tmp_path / "reached")}
    reasons = {step.text: [e for e in UNREACHED if e.holds(step)] for step in plan}
    assert [s.text for s in plan if s.place not in met and not reasons[s.text]] == []
    assert [
        s.text for s in plan if s.place in met and any(not e.chance for e in reasons[s.text])
    ] == [], "reached after all"
    twice = running.sql(
        "select subscription_id, baseline from performance_action where kind = 'STOP'"
        " group by 1, 2 having count(*) > 1"
    )
    assert twice == []
    uncounted = running.sql(
        "select id from subscription s where performance_actions <>"
        " (select count(*) from performance_action where subscription_id = s.id)"
    )
    assert uncounted == []
