"""One seed's world: the real services on simulated stores, wires and clocks.

Each service runs its own `app.run`, so that recovery, leases, streams and loops are those of the
real process; only what touches the outside is replaced: pools, channels, servers, the client of
insiders-api and Redis.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock

from opentelemetry import metrics

from paper.insiders.core.admission import Capabilities
from services.confirm import app as confirm_app
from services.confirm import booking_batcher
from services.confirm.settings import Settings as ConfirmSettings
from services.executor import app as executor_app
from services.executor import promise_check
from services.executor.settings import Settings as ExecutorSettings
from services.guard import app as guard_app
from services.guard.settings import Settings as GuardSettings
from services.guard.worker import Guard
from services.perfmon import app as perfmon_app
from services.router import app as router_app
from services.router import outcomes
from services.router.settings import Settings as RouterSettings
from tests.simulation.bus import Bus
from tests.simulation.commits import CommitWatch
from tests.simulation.control import Control
from tests.simulation.exchange import Exchange
from tests.simulation.history import History, logs_into
from tests.simulation.insiders import PROMISE_MS, FarAway
from tests.simulation.loop import WALL_START_NS, VirtualLoop
from tests.simulation.machine import Machine
from tests.simulation.mistakes import Mistakes
from tests.simulation.network import Network
from tests.simulation.performance import Performance, draws
from tests.simulation.storm import Storm
from tests.simulation.upstream import Facts, Market, run_bookfeed, run_ingest
from tradingtools import clock
from tradingtools.domain.money import MICROS
from tradingtools.rpc import transport
from tradingtools.runtime import composition, gc_policy, health, telemetry
from tradingtools.storage.postgres.lease import Lease
from tradingtools.testing.memory_database import MemoryDatabase, MemoryPool
from tradingtools.testing.memory_database.functions import submitting_committed
from tradingtools.testing.memory_database.transactions import EPOCH, Change

SERVICES = ("router", "executor", "confirm", "guard")
_APPS = (router_app, executor_app, confirm_app, guard_app, perfmon_app)
LONGEST_PROCESSING_MS = 500
SETTLE_MS = 1500
HOLDING_LAG_MS = 300
SHORTFALL_APART_MS = 700
SELLING_BY_HAND = 0.2
"""Of all seeds."""
WITHDRAWING = 0.4
"""Of all seeds: what insiders-api promises of keys is withdrawn."""
_BEGINNING = EPOCH + timedelta(microseconds=WALL_START_NS // 1000)


class World:
    """Everything of one seed.

    Args:
        seed: decides everything.
        calm: nothing goes wrong.
    """

    def __init__(self, seed: int, *, calm: bool = False) -> None:
        self.seed = seed
        self._micros, self._instant = 0, _BEGINNING
        self.loop = VirtualLoop(self.rng("schedule"))
        self.history = History(self.loop)
        self.storm = Storm(self.rng("storm"), calm=calm)
        self.database = MemoryDatabase(self._now)
        self.database.watch(self._on_commit)
        self.commits = CommitWatch(self.database, self.history)
        self.network = Network(self.loop, self.storm)
        self.machine = Machine(self.loop, self.database, self.network, self.storm, self.history)
        self.bus = Bus()
        self.control = Control(self.database, self.bus, self.history)
        self.has_performance = draws(self)
        self.performance = Performance(self) if self.has_performance else None
        """perfmon, and the rules that it judges by; None: nobody has any."""
        self.mistakes = Mistakes(self.storm)
        self.facts = Facts()
        self.market = Market()
        self.sells_by_hand = not calm and self.rng("selling by hand").random() < SELLING_BY_HAND
        """Followers sell copied shares themselves, past the engine."""
        draw = self.rng("capabilities")
        self.capabilities = Capabilities(
            idempotency=calm or draw.random() < 0.7,
            not_after=calm or draw.random() < 0.7,
            get_by_key=calm or draw.random() < 0.7,
            void=calm or draw.random() < 0.7,
        )
        self.exchange = Exchange(
            capabilities=self.capabilities,
            lags=draw.random() < 0.5,
            cash_micros=draw.choice((10**6, 150)) * MICROS,
            longest_ms=LONGEST_PROCESSING_MS,
            settle_ms=SETTLE_MS,
            now_ms=lambda: self.loop.wall_ns() // 10**6,
            book=self.market.book,
            committed=self._committed,
        )
        self.guard: Guard | None = None
        """Of the present owner; for judges, who look into its memory."""
        self._guards_epoch = 0
        self.far = FarAway(self.exchange, self.loop, self.machine, self.storm, self.history)
        withdrawal = self.rng("withdrawal")
        withdraws = not calm and withdrawal.random() < WITHDRAWING
        self._wishes_left = withdrawal.choice((1, 1, 2, 4)) if withdraws else 0
        """Until what is promised of keys is withdrawn: that is worst just behind a wish."""

    def _now(self) -> datetime:
        # Statements of one instant are many.
        micros = self.loop.monotonic_ns() // 1000
        if micros != self._micros:
            self._micros, self._instant = micros, _BEGINNING + timedelta(0, 0, micros)
        return self._instant

    def rng(self, purpose: str) -> random.Random:
        """The seed's draws for one purpose: independent of how often others draw."""
        return random.Random(f"{self.seed}/{purpose}")  # noqa: S311 - a seed makes it repeatable

    def run(self, main: Callable[[World], Awaitable[Any]]) -> Any:
        """Run something in this world, from its beginning to its end."""

        async def whole() -> Any:
            try:
                return await main(self)
            finally:
                self.storm.end()
                await self.machine.stop()

        with self._replacing():
            return self.loop.run(whole())

    @contextmanager
    def _replacing(self) -> Iterator[None]:
        """Have the services use the simulated outside."""
        with ExitStack() as stack:
            stack.enter_context(clock.replaced(self.loop))
            stack.enter_context(logs_into(self.history))
            put = mock.patch.object
            # A process that dies here leaves its memory behind: nothing of it may be frozen.
            stack.enter_context(put(gc_policy, "_of_its_own", lambda: False))
            stack.enter_context(put(guard_app, "Guard", self._make_guard))
            stack.enter_context(put(transport, "channel", self.network.channel))
            stack.enter_context(put(transport, "serving", self.network.serving))
            # As without an exporter; and an id that is drawn would differ from run to run.
            stack.enter_context(put(telemetry, "_traced", False))
            stack.enter_context(put(telemetry, "_new_trace", str))
            # What asks for figures would keep the world of each seed for ever.
            stack.enter_context(put(metrics, "get_meter", metrics.NoOpMeter))
            # Nobody asks here, and the looks would only move the dice of what is.
            stack.enter_context(put(health, "report", _never))
            stack.enter_context(put(composition, "open_pool", self._open_pool))
            stack.enter_context(put(composition, "open_redis", self.bus.open))
            for app in _APPS:
                if hasattr(app, "open_client"):
                    stack.enter_context(put(app, "open_client", self.far.open_client))
                if hasattr(app, "Consumer"):
                    stack.enter_context(put(app, "Consumer", self.mistakes.consumer))
            most = self.rng("bookings").choice((1, 2, 3, booking_batcher.MAX))
            stack.enter_context(put(booking_batcher, "MAX", most))
            # In a second, most of what a seed wants sent again has left.
            stack.enter_context(put(promise_check, "ASK_MS", PROMISE_MS))
            # A storm is shorter than what the venue may take to tell of a trade.
            stack.enter_context(put(outcomes, "_LAG_MS", HOLDING_LAG_MS))
            # Seals come behind everything and nothing waits for them: not in the memory database.
            stack.enter_context(put(confirm_app, "Sealer", _NoSealer))
            yield

    def _make_guard(self, pool: Any, lease: Lease, *arguments: Any, **named: Any) -> Guard:
        made = Guard(pool, lease, *arguments, **named)
        # One that was frozen may be made after the one that took its place.
        if lease.epoch >= self._guards_epoch:
            self.guard, self._guards_epoch = made, lease.epoch
        return made

    @asynccontextmanager
    async def _open_pool(
        self, _url: str, *, size: int = 4, **_options: Any
    ) -> AsyncIterator[MemoryPool]:
        yield self.machine.pool(size)

    @property
    def wallet_minute_usdc(self) -> int:
        """Return what the last gate lets a wallet buy for within a minute."""
        return self.rng("gate").choice((25, 50_000, 50_000, 50_000))

    def start(self) -> None:
        """Start every process."""
        draw = self.rng("settings")
        programs: dict[str, Callable[[], Awaitable[None]]] = {
            "ingest": partial(run_ingest, self.facts, self.machine, "ingest"),
            "bookfeed": partial(run_bookfeed, self.market, "bookfeed"),
            "router": self._service(
                router_app.run,
                RouterSettings(
                    listen="router", ingest_target="ingest", bookfeed_target="bookfeed",
                    confirm_target="confirm", entry_ttl_ms=draw.choice((1000, 3000)),
                    exit_ttl_ms=draw.choice((1500, 4000)),
                    resync_ttl_ms=draw.choice((1500, 60_000)),
                    start_patience_ms=draw.choice((2000, 6000)),
                    claimed_together=self.rng("parts").choice((1, 2, 100)),
                    backlog_ms=self.rng("backlog").choice((100, 2000)),
                ),
            ),
            "executor": self._service(
                executor_app.run,
                ExecutorSettings(
                    listen="executor", router_target="router", guard_target="guard",
                    bookfeed_target="bookfeed",
                    collar_cents=self.rng("collar").choice((2, None, None, None)),
                    wallet_minute_usdc_max=self.wallet_minute_usdc,
                    insiders_url="insiders", poll_ms=draw.choice((300, 1000)),
                    submit_timeout_ms=draw.choice((500, 2000)),
                ),
            ),
            "confirm": self._service(
                confirm_app.run,
                ConfirmSettings(
                    listen="confirm", executor_target="executor", insiders_url="insiders",
                    bookfeed_target="bookfeed", venue_timeout_ms=1000,
                    poll_ms=draw.choice((300, 1000)), watch_first_ms=draw.choice((1000, 5000)),
                    balance_ms=draw.choice((0, 3000)) or 3000 * self.sells_by_hand,
                    redeem_spacing_ms=50, shortfall_apart_ms=SHORTFALL_APART_MS,
                ),
            ),
            "guard": self._service(
                guard_app.run,
                GuardSettings(
                    listen="guard", confirm_target="confirm", bookfeed_target="bookfeed",
                    exit_ttl_ms=draw.choice((1500, 4000)), poll_ms=1600,
                ),
            ),
        }  # fmt: skip
        for name, program in programs.items():
            self.machine.start(name, program)
        if self.performance is not None:
            self.performance.start()

    @staticmethod
    def _service(
        run: Callable[[Any, asyncio.Event], Awaitable[None]], settings: Any
    ) -> Callable[[], Awaitable[None]]:
        return lambda: run(settings, asyncio.Event())

    def _committed(self, key: str, body_hash: str) -> bool:
        """Invariant I5, looked up at the moment of the POST."""
        transaction = self.database.begin()
        try:
            return submitting_committed(transaction, key, body_hash)
        finally:
            self.database.rollback(transaction)

    def _on_commit(self, changes: list[Change]) -> None:
        for table, before, after in changes:
            text = _reported(table, before, after)
            if text:
                self.history.add(text)
            if table == "orders" and before is not None and after is not None:
                self._on_order(before["send_again_epoch"], after["send_again_epoch"])

    def _on_order(self, before: int | None, desired: int | None) -> None:
        if desired not in (None, before) and self._wishes_left:
            self._wishes_left -= 1
            if not self._wishes_left:
                self.far.withdraw()


_SHOWN = {
    "orders": ("order_key", "state", "reason", "epoch", "filled_size_micros"),
    "journal": ("seq", "kind", "role", "epoch", "order_count", "set_aside"),
    "decision": ("subscription_id", "leader_tx", "side", "copied", "reason"),
    "lot": ("origin", "shares_micros"),
    "trigger": ("id", "status", "generation", "slice"),
    "partition_lease": ("role", "epoch"),
    "fill": ("order_key", "trade_id", "status", "size_micros"),
    "reservation": ("order_key", "money_micros", "shares_micros", "released_at"),
}


def _reported(table: str, before: Any, after: Any) -> str:
    """A change in a few words; empty when it tells nothing."""
    names = _SHOWN.get(table)
    if names is None or after is None:
        return ""
    shown = [after[name] for name in names]
    if before is not None and shown == [before[name] for name in names]:
        return ""
    return f"{table}: " + " ".join(str(value)[:12] for value in shown)


class _NoSealer:
    """Takes the place of confirm's sealer."""

    def __init__(self, *_arguments: Any) -> None:
        pass

    async def run(self) -> None:
        """Seal nothing, for ever."""
        await asyncio.Event().wait()


async def _never(*_: object) -> None:
    await asyncio.Event().wait()
