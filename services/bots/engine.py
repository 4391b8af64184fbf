"""An engine: leases wallets, runs the bots of each, and hands them over when it drains or ends.

All that it decides on is in the database: who lives, what each can, who has which wallet. Another
process of its name is not itself: while that one lives, this one has nothing.

A wallet is handed over in this order, each step durable before the next (ADR 78): its owner offers
it to an heir; the heir prepares, without any right to it, and says that it is ready; the owner's
bots decide nothing more, what is under way is waited for, and everything is written; the lease is
the heir's, under a higher epoch; it reads the account, and its bots go on. The quotes rest all the
while. A death between two steps leaves the wallet to its owner, until the lease runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
import psycopg_pool
import structlog

from services.bots import metrics
from services.bots.connectors import Connector
from services.bots.core import assignment
from services.bots.core.assignment import Fleet
from services.bots.leases.store import Leases
from services.bots.loop_lag import LoopLag
from services.bots.preparing import Preparing
from services.bots.store import LostError, Row, Store, WalletLease
from services.bots.wallet_run import WalletRun
from tradingtools import clock
from tradingtools.tasks import cancel_all, until_one_ends

LEAVE_SECONDS = 8.0
"""Whoever ends an engine waits for longer."""
LEAVE_PREPARE_SECONDS = 3.0
"""An heir that is not ready so long after its owner began to leave is handed the wallet anyway."""
PREPARE_SECONDS = 10.0
"""The same by who drains: its bots trade on meanwhile."""
FOLLOW_SECONDS = 5.0
"""A wallet whose bots do not run by then at its new owner keeps the next one no longer."""
KNOW_SECONDS = 3.0
"""So long after it began to leave, the quotes of a wallet that has just begun are waited for."""
HEIR_POLL_SECONDS = 0.1
COMING_POLL_SECONDS = 0.05
"""A wallet that is about to come is looked for so often."""
REBALANCE_MS = 10_000
LONGEST_TAKE_OVER_NS = 600_000_000_000
"""A wallet that was without an engine for longer was not needed, or an alert of its own told it."""
_log = structlog.get_logger("bots")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The parts of an engine that its settings say."""

    name: str
    venues: Sequence[str]
    """Exchanges that it can; empty: none."""
    capacity: int
    """The most bots."""
    version: str
    lease_ms: int
    poll_ms: int
    write_ms: int
    """How long a wallet's changes wait to be written together."""


@dataclass(slots=True)
class _Held:
    lease: WalletLease
    run: WalletRun
    task: asyncio.Task[None]
    exchange: str
    ended_ns: int | None = None
    """When the lease of its dead owner had ended, until it is told how long that took."""
    moving: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class _Given:
    lease: WalletLease
    at_ms: int
    """By the monotonic clock."""


class Engine:
    """See the module.

    Args:
        store: of bots.
        leases: of this process.
        ways: to exchanges, by name.
        terms: of the engine.
    """

    def __init__(
        self, store: Store, leases: Leases, ways: Mapping[str, Connector], terms: Terms
    ) -> None:
        self._store = store
        self._leases = leases
        self._ways = ways
        self._terms = terms
        self._preparing = Preparing(leases, ways)
        self._begins = asyncio.Lock()
        self._lag = LoopLag()
        self._held: dict[str, _Held] = {}
        self._ended: dict[str, int] = {}
        """The last epoch of wallets whose run ended here: its lease is left to run out."""
        self._given: _Given | None = None
        """The wallet that was handed over last, until its bots run at its new owner."""
        self._named: bool | None = None
        self._leaving = False
        self._left_ms = 0
        """When it began to leave, by the monotonic clock."""
        self._rebalanced_ms = clock.now_ms()

    @property
    def bots(self) -> int:
        """Return how many bots run here."""
        return sum(one.run.bots for one in self._held.values())

    async def keep(self) -> None:
        """Take, renew and hand over wallets for ever."""
        try:
            await until_one_ends(
                self._lag.watch(), self._renew(), self._keep_polling(), self._keep_receiving()
            )
        finally:
            await self._preparing.close()
            await self._abandon()

    async def leave(self) -> None:
        """Hand all wallets over; quotes of one that no other engine takes are cancelled."""
        self._leaving = True
        self._left_ms = clock.monotonic_ms()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                moves = await self._moves_at_end()
                for wallet_id, held in self._held.items():
                    self._move(wallet_id, held, withdraw=wallet_id not in moves)
                while moving := [one.moving for one in self._held.values() if one.moving]:
                    await asyncio.wait(moving)
                await self._leases.leave()
        except (TimeoutError, psycopg.Error, psycopg_pool.PoolTimeout) as error:
            # The leases run out, and whoever takes the wallets reconciles them.
            _log.warning("not every wallet was handed over", why=repr(error), left=len(self._held))

    async def _moves_at_end(self) -> Mapping[str, str]:
        """Return the wallets that others take; none when that is not known: all is withdrawn."""
        try:
            await self._leases.leaving()
            # One that came just now has quotes, too.
            await self._begin_owned()
            return assignment.moved(self._terms.name, await self._leases.fleet())
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            _log.warning("the registry of engines was not reached", why=repr(error))
            return {}

    # --------------------------------------------------------------------------------- what is due

    async def _keep_polling(self) -> None:
        while True:
            self._measure()
            try:
                await self._look()
            except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
                # Nothing is sent beyond the leases, which end by themselves.
                _log.warning("the registry of engines was not reached", why=str(error))
            await asyncio.sleep(self._terms.poll_ms / 1000)

    async def _look(self) -> None:
        terms = self._terms
        ended = await self._leases.end_standing()
        if ended:
            _log.warning("transactions of an engine that stood still were ended", count=ended)
        draining = await self._leases.register(
            venues=terms.venues,
            capacity=terms.capacity,
            version=terms.version,
            bots=self.bots,
            lag_ms=self._lag.worst_ms(),
        )
        await self._name(named=draining is not None)
        if draining is None or self._leaving:
            return
        for wallet_id, held in list(self._held.items()):
            if held.task.done() and held.moving is None:
                self._end(wallet_id, held)
        if any(one.lease.until_ms <= clock.now_ms() for one in self._held.values()):
            # The database was away. What nobody has taken meanwhile is still this engine's.
            await self._renew_held()
        fleet = await self._leases.fleet()
        metrics.reported(fleet, terms.name, bots=self.bots)
        if draining:
            await self._move_next(fleet)
            return
        if assignment.taken(terms.name, fleet):
            await self._leases.take()
        await self._preparing.look()
        await self._begin_owned()
        self._rebalance(fleet)

    def _measure(self) -> None:
        """Note how the wallets stand, and how long takeovers took."""
        looks: dict[str, list[metrics.WalletSnapshot]] = {}
        for held in self._held.values():
            look = held.run.look()
            if look is not None:
                looks.setdefault(held.exchange, []).append(look)
            if held.ended_ns is not None and held.run.trusted_ns:
                metrics.taken_over(held.run.trusted_ns - held.ended_ns)
                held.ended_ns = None
        metrics.looked(looks)

    async def _name(self, *, named: bool) -> None:
        """Notice who has this engine's name; without it this process has no wallet."""
        if named is self._named:
            return
        self._named = named
        if named:
            _log.info("the engine is registered", engine=self._terms.name)
        else:
            _log.error("another process has this engine's name", engine=self._terms.name)
            await self._abandon()

    async def _keep_receiving(self) -> None:
        """Begin wallets that are handed over as soon as they are."""
        while True:
            await self._preparing.awaits.wait()
            await asyncio.sleep(COMING_POLL_SECONDS)
            if not self._named or self._leaving:
                continue
            try:
                await self._begin_owned()
            except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
                _log.warning("the registry of engines was not reached", why=str(error))

    async def _begin_owned(self) -> None:
        async with self._begins:
            for wallet_id, lease in (await self._leases.owned()).items():
                if wallet_id not in self._held and self._ended.get(wallet_id) != lease.epoch:
                    await self._begin(lease)

    async def _begin(self, lease: WalletLease) -> None:
        row = await self._leases.wallet(lease.wallet_id)
        run = WalletRun(
            self._store,
            lease,
            self._terms.write_ms,
            ran_out_ns=self._leases.ran_out_ns.pop(lease.wallet_id, None),
        )
        started = clock.monotonic_ns()
        metrics.taken(clean=lease.clean)
        _log.info("wallet is ours", wallet=lease.wallet_id, epoch=lease.epoch, clean=lease.clean)
        task = asyncio.create_task(self._trade(run, row, lease))
        ended_ns = self._leases.ended_ns.pop(lease.wallet_id, None)
        held = _Held(lease, run, task, row["exchange"])
        if ended_ns is not None and not lease.clean and started - ended_ns < LONGEST_TAKE_OVER_NS:
            held.ended_ns = ended_ns
        self._held[lease.wallet_id] = held

    async def _trade(self, run: WalletRun, row: Row, lease: WalletLease) -> None:
        async with self._ways[row["exchange"]].opened(row, lease) as venue:
            await run.run(venue)

    def _end(self, wallet_id: str, held: _Held) -> None:
        self._held.pop(wallet_id, None)
        self._ended[wallet_id] = held.lease.epoch
        error = None if held.task.cancelled() else held.task.exception()
        if held.task.cancelled() or isinstance(error, LostError):
            metrics.lost()
            _log.warning("wallet is another engine's", wallet=wallet_id)
        elif error is not None:
            # The lease runs out, and whoever takes the wallet reconciles it.
            metrics.failed()
            _log.error("wallet failed", wallet=wallet_id, exc_info=error)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._terms.lease_ms / 3000)
            try:
                await self._renew_held()
            except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
                _log.warning("leases were not renewed", why=str(error))

    async def _renew_held(self) -> None:
        epochs = {one: held.lease.epoch for one, held in self._held.items() if not held.task.done()}
        kept = await self._leases.renew(list(epochs))
        for wallet_id, epoch in epochs.items():
            held, lease = self._held.get(wallet_id), kept.get(wallet_id)
            if held is None or held.lease.epoch != epoch:
                continue
            if lease is None or lease.epoch != epoch:
                self._lose(wallet_id, held)
            else:
                held.lease = lease
                held.run.renewed(lease)

    def _lose(self, wallet_id: str, held: _Held) -> None:
        if held.moving is None:
            held.moving = asyncio.create_task(self._lost(wallet_id, held))

    async def _lost(self, wallet_id: str, held: _Held) -> None:
        await cancel_all([held.task])
        self._end(wallet_id, held)

    # ------------------------------------------------------------------------------ handing over

    async def _move_next(self, fleet: Fleet) -> None:
        """Hand over one wallet at a time: of many that begin at once, each waits for all others."""
        if await self._waits_for_last():
            return
        for wallet_id in assignment.moved(self._terms.name, fleet):
            if wallet_id in self._held:
                self._move(wallet_id, self._held[wallet_id], withdraw=False)
                return

    async def _waits_for_last(self) -> bool:
        """Return whether bots of the wallet that was handed over last do not run yet."""
        given = self._given
        if given is None or await self._leases.followed(given.lease):
            self._given = None
            return False
        return clock.monotonic_ms() < given.at_ms + FOLLOW_SECONDS * 1000

    def _rebalance(self, fleet: Fleet) -> None:
        now = clock.now_ms()
        if now - self._rebalanced_ms < REBALANCE_MS:
            return
        self._rebalanced_ms = now
        found = assignment.rebalanced(self._terms.name, fleet)
        if found is not None and found[0] in self._held:
            self._move(found[0], self._held[found[0]], withdraw=False)

    def _move(self, wallet_id: str, held: _Held, *, withdraw: bool) -> None:
        if held.moving is None:
            held.moving = asyncio.create_task(self._hand_over(wallet_id, held, withdraw=withdraw))

    async def _hand_over(self, wallet_id: str, held: _Held, *, withdraw: bool) -> None:
        if not withdraw:
            await self._await_heir(held)
            withdraw = self._leaving and not await self._has_heir(wallet_id)
        if withdraw:
            await self._know(held)
        started = clock.monotonic_ns()
        held.run.leave(withdraw=withdraw)
        await asyncio.wait([held.task], timeout=LEAVE_SECONDS / 2)
        successor = ""
        try:
            await cancel_all([held.task])
            error = None if held.task.cancelled() else held.task.exception()
            if error is not None:
                _log.warning(
                    "a wallet failed before it was handed over", wallet=wallet_id, why=repr(error)
                )
            clean = await held.run.close()
            # Its heir may be gone by now, and who drains takes nothing that it has given back.
            successor = await self._leases.hand_over(
                held.lease, clean=clean, keeps=not self._leaving
            )
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            # Its lease runs out.
            _log.warning("a wallet was not handed over", wallet=wallet_id, why=str(error))
        finally:
            self._held.pop(wallet_id, None)
            self._ended[wallet_id] = held.lease.epoch
        if successor == self._terms.name:
            await self._keep_on(wallet_id)
            return
        self._given = _Given(held.lease, clock.monotonic_ms()) if successor else None
        metrics.handed_over(clock.monotonic_ns() - started, found=bool(successor))
        _log.info("wallet is handed over", wallet=wallet_id, to=successor or "nobody")

    async def _keep_on(self, wallet_id: str) -> None:
        """Go on with a wallet that no other engine took."""
        _log.warning("a wallet is kept: no other engine has room", wallet=wallet_id)
        try:
            await self._begin_owned()
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            _log.warning("the registry of engines was not reached", why=str(error))
        held = self._held.get(wallet_id)
        if held is not None and self._leaving:
            # It began to leave meanwhile, and did not find it among its wallets.
            self._move(wallet_id, held, withdraw=True)

    async def _await_heir(self, held: _Held) -> None:
        """Offer a wallet, and wait until its heir can go on at once; not for ever."""
        wallet, started = held.lease.wallet_id, clock.monotonic_ms()
        try:
            if not await self._leases.offer(held.lease):
                return
            # A run that has died meanwhile has nobody trade on: its heir takes it as it is.
            while not (held.task.done() or await self._leases.heir_ready(held.lease)):
                end = started + PREPARE_SECONDS * 1000
                if self._leaving:
                    end = min(end, self._left_ms + LEAVE_PREPARE_SECONDS * 1000)
                if clock.monotonic_ms() >= end:
                    _log.warning("the heir of a wallet is not ready", wallet=wallet)
                    return
                await asyncio.sleep(HEIR_POLL_SECONDS)
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            _log.warning("the heir of a wallet is not known", wallet=wallet, why=repr(error))

    async def _know(self, held: _Held) -> None:
        """Wait until a wallet knows its quotes, so that it can withdraw them; not for long."""
        # An heir was waited for in the same time.
        left = max(KNOW_SECONDS - (clock.monotonic_ms() - self._left_ms) / 1000, 0)
        known = asyncio.create_task(held.run.know())
        try:
            await asyncio.wait(
                [held.task, known], timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await cancel_all([known])

    async def _has_heir(self, wallet_id: str) -> bool:
        """Return whether another engine can take a wallet still: it may leave by now, too."""
        try:
            fleet = await self._leases.fleet()
        except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
            _log.warning("the registry of engines was not reached", why=str(error))
            return True
        return wallet_id in assignment.moved(self._terms.name, fleet)

    async def _abandon(self) -> None:
        """Let go of everything at once: its leases are another's, or run out."""
        # Under one lease no wallet is begun twice: ids of orders would be used again.
        self._ended.update((one, held.lease.epoch) for one, held in self._held.items())
        tasks = [one.task for one in self._held.values()]
        tasks += [one.moving for one in self._held.values() if one.moving is not None]
        self._held.clear()
        await cancel_all(tasks)
