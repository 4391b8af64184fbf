"""A whole money path with proxies between its parts, stores of its own, and a supervisor.

Before it: `tests/money_path/world.py`, whose processes these are. The proxies are `insiders`,
`postgres`, `redis`, `router` and `executor`, each in front of the server of that name.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import psutil
import psycopg

from launcher import embedded
from tests.fault import jumping
from tests.fault.judge import CASH_USDC
from tests.fault.stores import Store, own_postgres, own_valkey
from tests.money_path.upstream import Upstream
from tests.money_path.upstream import serving as upstream_serving
from tests.money_path.world import SERVICES, Scene, World, eventually
from tests.support.proxy import Proxy, proxied
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.v1 import common_pb2 as common

PROXIED = ("insiders", "postgres", "redis", "router", "executor")
_POLL_SECONDS = 0.1
_QUIET_LOOKS = 7
TRIALS = 5
"""How often a test may ask for what a busy machine can be too slow for."""
_OPEN = "('CLAIMED', 'SUBMITTING', 'SUBMITTED', 'UNKNOWN')"


class Rig:
    """The targets of faults."""

    def __init__(
        self, world: World, stack: AsyncExitStack, postgres: Store, redis: Store, redis_url: str
    ) -> None:
        self.world = world
        self.stack = stack
        """What a fault starts and leaves behind ends with the rig."""
        self.postgres = postgres
        self.redis = redis
        self.redis_url = redis_url
        """Of the server itself; the engine goes through the proxy."""
        self.proxies: dict[str, Proxy] = {}
        self.restarts: Counter[str] = Counter()
        self._kept_down: set[str] = set()
        self.peak_rss: defaultdict[str, int] = defaultdict(int)
        self.neighbour: Any = None
        """A stranger with an edge of his own to attack, once there is one."""

    @property
    def behind_proxy(self) -> str:
        """Redis's URL as the engine has it."""
        return _behind(self.redis_url, self.proxies["redis"].port)

    @property
    def database_is_there(self) -> bool:
        """Return whether the test itself may ask the database; it would wait for a frozen one."""
        return not self.postgres.away

    async def supervise(self) -> None:
        """Start again what ends by itself, and watch memory, for ever."""
        while True:
            for name in self.world.ended():
                if name in (*SERVICES, "insiders", "events") and name not in self._kept_down:
                    self.restarts[name] += 1
                    self.world.start(name)
            for name, pid in self.world.pids().items():
                with suppress(psutil.NoSuchProcess):
                    rss = psutil.Process(pid).memory_info().rss
                    self.peak_rss[name] = max(self.peak_rss[name], rss)
            await asyncio.sleep(_POLL_SECONDS)

    async def end(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a process; the supervisor starts it again, unless it goes by an alias.

        Waits without holding up the proxies, which the process may need for its end. It may have
        ended by itself already, as whoever loses its lease does.
        """
        pid = self.world.pids().get(name)
        if pid is None:
            return
        os.kill(pid, number)

        async def gone() -> bool:
            return self.world.pids().get(name) != pid

        await eventually(gone)

    @asynccontextmanager
    async def without(self, *names: str) -> AsyncIterator[None]:
        """Have processes end in order, and start them again when the block ends."""

        async def all_run() -> bool:
            return set(names) <= set(self.world.pids())

        await eventually(all_run)
        self._kept_down.update(names)
        for name in names:
            await self.end(name, signal.SIGTERM)
        try:
            yield
        finally:
            self._kept_down.difference_update(names)
            for name in names:
                self.world.start(name)

    async def jump_clock(self, name: str, seconds: float) -> None:
        """Set a process's system clock off by so much, while it runs; it stays so.

        The first time it is started afresh, as a process whose clock can jump.
        """
        file = self.world.directory / f"clock_{name}"
        if not file.exists():
            jumping.jump(file, 0)
            self.world.run_as(name, "tests.fault.jumping", name, str(file))
            await self.end(name)
        jumping.jump(file, seconds)

    async def restart_insiders(self) -> None:
        """kill -9 and a fresh start on the same port and store."""
        await self.end("insiders")
        await eventually(self.insiders_answers)

    async def insiders_answers(self) -> bool:
        """Return whether insiders-api's control port can be asked."""
        try:
            await self.world.control("GET", "/health")
        except aiohttp.ClientError:
            return False
        return True

    async def fault(self, where: str, kind: str, **fields: Any) -> None:
        """Have insiders-api misbehave, by default with the next request of its kind."""
        await self.world.control(
            "POST", "/faults", {"where": where, "kind": kind, "seed": 1, "times": 1, **fields}
        )

    async def heal(self) -> None:
        """End every fault that lasts."""
        for proxy in self.proxies.values():
            await proxy.heal()
        await eventually(self.insiders_answers)
        await self.world.control("DELETE", "/faults")

    def bring_back(self) -> None:
        """Thaw every process and have both stores there again, whatever a fault left undone."""
        for name in self.world.pids():
            self.world.thaw(name)
        for store in (self.postgres, self.redis):
            store.bring_back()

    async def settled(self, decisions: int, seconds: float = 40) -> None:
        """Wait until so many decisions are made, nothing is open, and nothing is yet to be built.

        An exit may follow a booking, so it has to stay quiet for a moment: for so many looks, as a
        machine that stands still lets time pass in which nobody could do anything.
        """
        quiet_looks = 0
        started = time.monotonic()
        # How many were open, ten times on the way: a backlog shrinks, a stall does not.
        open_then: list[int] = []
        while quiet_looks < _QUIET_LOOKS:
            waited = time.monotonic() - started
            standing = self._standing()
            if waited >= len(open_then) * seconds / 10:
                open_then.append(standing["open"])
            quiet = (
                standing["decisions"] >= decisions
                and not standing["open"]
                and not standing["reserved"]
            )
            quiet_looks = quiet_looks + 1 if quiet else 0
            assert quiet or waited < seconds, (
                f"not settled: {standing}, open on the way: {open_then}"
            )
            await asyncio.sleep(_POLL_SECONDS)

    def _standing(self) -> dict[str, Any]:
        try:
            (row,) = self.world.sql(
                "select (select count(*) from decision) as decisions,"
                f" (select count(*) from orders where state in {_OPEN}) +"
                " (select count(*) from journal where rows_built_at is null) as open,"
                " (select count(*) from reservation r join orders o using (order_key)"
                "  where r.released_at is null and o.state in ('CONFIRMED', 'FAILED', 'LOST'))"
                " as reserved,"
                " (select jsonb_object_agg(state, n) from (select state, count(*) n from orders"
                "  group by state) s) as states"
            )
        except psycopg.OperationalError as error:
            return {"decisions": 0, "open": 1, "reserved": 0, "error": str(error)}
        return row


async def good_scene(made: Rig) -> Scene:
    """A leader with one follower and a good book."""
    scene = made.world.scene()
    await scene.set_book({"0.50": "1000"}, {"0.49": "1000"})
    await scene.subscribe(1)
    return scene


async def promise(made: Rig, promised: str) -> None:
    """Switch the far side, and wait until confirm has asked for its promises since.

    Args:
        made: where.
        promised: e.g. ``A-C-``: idempotency, not after, get by key, void.
    """
    switches = ("idempotency", "notAfter", "getByKey", "void")
    given = {name: letter != "-" for name, letter in zip(switches, promised, strict=True)}
    await made.world.control("PUT", "/capabilities", given)
    before = await _requested(made)

    async def known() -> bool:
        # The second question since the switch was certainly asked after it, and the first
        # answer is taken over before the second question is asked.
        return await _requested(made) >= before + 2

    await eventually(known)


async def _requested(made: Rig) -> int:
    entries = (await made.world.control("GET", "/journal?after=0&limit=10000"))["entries"]
    return sum(entry["path"] == "/api/capabilities" for entry in entries)


async def sent_copy(made: Rig, prepared: Scene | None = None, **fault: Any) -> Scene:
    """A copy that reached insiders-api once, and what it met there.

    One that a busy machine skipped or let expire is right and no subject here; another is made.

    Args:
        made: where.
        prepared: the first trial's leader and follower; None: fresh ones.
        fault: of the submission of this order and of no other; see `Rig.fault`.
    """
    for _ in range(TRIALS):
        scene = prepared or await good_scene(made)
        prepared = None
        if fault:
            await made.fault(**fault, path="buy", asset=scene.asset)
        scene.put(scene.trade(size="100", price="0.5"))

        async def left_or_failed(scene: Scene = scene) -> bool:
            failed = any(order["state"] == "FAILED" for order in scene.orders())
            skipped = any(not decision["copied"] for decision in scene.decisions())
            return failed or skipped or bool(await scene.posted())

        try:
            await eventually(left_or_failed)
        except AssertionError:
            upstream = made.world.upstream
            raise AssertionError(
                f"neither sent nor decided: orders {[o['state'] for o in scene.orders()]},"
                f" decisions {len(scene.decisions())}, trades put {upstream.trades.last},"
                f" acknowledged {upstream.acknowledged}"
            ) from None
        if await scene.posted():
            return scene
    reasons = [decision["reason"] for decision in scene.decisions()]
    raise AssertionError(f"no copy was sent in {TRIALS} trials: {reasons}")


def _behind(url: str, port: int) -> str:
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))


def _remember_cursors(pool: Pool, upstream: Upstream) -> None:
    """Have acknowledged cursors of leader trades kept in the database, as ingest does."""

    async def remember(request: common.AcknowledgeRequest) -> None:
        await journal.acknowledge(pool, "leader_trades", request.consumer, request.cursor)

    upstream.on_acknowledge = remember


@asynccontextmanager
async def rig(directory: Path, **settings: str) -> AsyncIterator[Rig]:
    """Everything on stores of its own, running, gone when the block ends.

    Args:
        directory: of logs and of insiders-api's store.
        settings: of the processes, by their names in the environment.
    """
    async with AsyncExitStack() as stack:
        postgres, database_url = stack.enter_context(own_postgres())
        redis, redis_url = stack.enter_context(own_valkey())
        upstream = await stack.enter_async_context(upstream_serving())
        world = World(database_url, redis_url, upstream, directory)
        stack.push_async_callback(world.close)
        made = Rig(world, stack, postgres, redis, redis_url)
        world.configure(
            TT_INSIDERS_DEFAULT_CASH_USDC=str(CASH_USDC),
            TT_EXECUTOR_SUBMIT_TIMEOUT_MS="1500",
            TT_CONFIRM_VENUE_TIMEOUT_MS="1000",
        )
        # Before insiders-api starts: some are its own.
        world.configure(**settings)
        await world.start_insiders()
        targets = {
            "insiders": world.insiders_port,
            "postgres": urlsplit(database_url).port or 0,
            "redis": urlsplit(redis_url).port or 0,
            "router": world.ports["router"],
            "executor": world.ports["executor"],
        }
        for name in PROXIED:
            made.proxies[name] = await stack.enter_async_context(proxied(targets[name]))
        ports = {name: proxy.port for name, proxy in made.proxies.items()}
        world.configure(
            **embedded.role_urls(_behind(database_url, ports["postgres"])),
            TT_REDIS_URL=_behind(redis_url, ports["redis"]),
            TT_EXECUTOR_INSIDERS_URL=f"http://127.0.0.1:{ports['insiders']}",
            TT_CONFIRM_INSIDERS_URL=f"http://127.0.0.1:{ports['insiders']}",
            TT_EXECUTOR_ROUTER_TARGET=f"127.0.0.1:{ports['router']}",
            TT_CONFIRM_EXECUTOR_TARGET=f"127.0.0.1:{ports['executor']}",
        )
        pool = await stack.enter_async_context(open_pool(database_url, name="test", size=1))
        _remember_cursors(pool, upstream)
        world.start_services()
        supervisor = asyncio.create_task(made.supervise())
        try:
            yield made
        finally:
            supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await supervisor
            # What is frozen, and proxies that stand still, would keep the processes from ending.
            made.postgres.thaw()
            made.redis.thaw()
            await asyncio.to_thread(_end_all, world)


def _end_all(world: World) -> None:
    for pid in world.pids().values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGTERM)
    for name in list(world.pids()):
        world.kill(name, signal.SIGTERM)
