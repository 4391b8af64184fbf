"""What people, programs and the exchange do while an engine of bots is killed, by chance of a seed.

Each disturbance has its end: `calm` comes to all of them, so that what is judged has settled.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from tests.bots.clob_world import ClobBots
from tests.bots.order_audit import log_leases, wrongs
from tests.bots.world import SWAP, Bots, BotWorld, Engine, until
from tests.paper_clob.harness import CONDITION
from tests.paper_okx.raw import Rest

OTHER = "ETH-USDT-SWAP"
MAKER, TURNER = "mm0000000001", "sg0000000001"
_LIMITS = {"max_position": "6"}
_RESTED = ("RISK_STOPPED", "ERROR")
_CALM_SECONDS = 900.0
"""What a death kept back at a CLOB stays reserved until its end and a horizon, for minutes."""
_LOST_TO = "thief"
Act = Callable[[], object]


class People(ABC):
    """See the module.

    Args:
        world: with its bots, which it makes.
        engines: that are killed.
        seed: of the chances.
    """

    exchange: str
    bots: tuple[str, ...]

    def __init__(self, world: BotWorld, engines: Sequence[Engine], seed: int) -> None:
        self.world = world
        self._engines = engines
        self.rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        self._due = 0.0
        self._ends: list[tuple[float, Act]] = []
        self._configs: dict[str, object] = {}

    def act(self) -> None:
        """Do what is due, and the next thing when its time has come."""
        now = time.monotonic()
        for one in [one for one in self._ends if one[0] <= now]:
            self._ends.remove(one)
            one[1]()
        if now < self._due:
            return
        self._due = now + self.rng.choice([0.2, 0.5, 1.5])
        self.trade()
        acts, weights = zip(*self.acts(), strict=True)
        self.rng.choices(acts, weights)[0]()

    def acts(self) -> list[tuple[Act, int]]:
        """Return what may happen, each with its weight."""
        return [
            (self._nothing, 20),
            (self._size, 12),
            (self._rest, 6),
            (self._resume, 16),
            (self._fault, 16),
            (self._misfit, 2),
            (self._loss, 2),
            (self._cannot_begin, 1),
            (self._kill_switch, 1),
            (self._market_limit, 1),
            (self._connections, 2),
            (self._signer, 1),
            (self._thief, 1),
            (self._ending, 1),
            (self._drain, 2),
        ]

    @abstractmethod
    def trade(self) -> None:
        """Let strangers and programs do what bots trade by."""

    @abstractmethod
    def _fault(self) -> None:
        """Let the exchange do something wrong to the next requests."""

    @abstractmethod
    def heal(self) -> None:
        """Let the exchange do nothing wrong any more."""

    @abstractmethod
    def finish(self) -> None:
        """Let all bots trade once more."""

    @abstractmethod
    def wrongs(self) -> list[str]:
        """Return what is wrong once all bots have stopped."""

    def calm(self) -> None:
        """Come to the end of everything; an engine runs that nobody kills."""
        while self._ends:
            self._ends.pop()[1]()
        self.heal()
        self._bring_signer_back()
        self._clear_kill_switch()
        self.world.rows("update bot_engine set draining = false")

    def led(self, state: str) -> None:
        """Let all bots come to a state that people want."""
        until(lambda: self._are(state), state, _CALM_SECONDS)

    def reported(self) -> list[str]:
        """Return how bots, orders and limits stand, for whoever has to find out what is wrong."""
        return [
            f"{table}: {json.dumps(row)}"
            for table, where in (
                ("bot", "true"),
                ("bot_standing", "true"),
                ("bot_order", "not settled"),
                ("risk_limit", "true"),
                ("kill_switch", "cleared_at is null"),
                ("trading_wallet_lease", "true"),
            )
            for (row,) in self.world.rows(f"select row_to_json(one) from {table} one where {where}")
        ]

    def _are(self, state: str) -> bool:
        for bot_id in self.bots:
            self.world.command(bot_id, state)
        if state == "RUNNING":
            self._resume()
        return {self.world.state(one)[0] for one in self.bots} == {state}

    def _later(self, end: Act, *, seconds: float | None = None) -> None:
        wait = self.rng.choice([1.0, 3.0, 8.0]) if seconds is None else seconds
        self._ends.append((time.monotonic() + wait, end))

    # ------------------------------------------------------------------------------------- people

    def _nothing(self) -> None:
        """Let bots trade for a while."""
        self._due += 1.0

    def _some(self) -> str:
        return self.rng.choice(self.bots)

    def _size(self) -> None:
        size = self.rng.choice(self.sizes)
        self.world.rows(
            "update bot set config = config || %s, version = version + 1 where id = %s",
            json.dumps({"order_size": size}), MAKER,
        )  # fmt: skip

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the market maker's quotes."""

    def _rest(self) -> None:
        bot_id = self._some()
        self.world.command(bot_id, self.rng.choice(["PAUSED", "STOPPED"]))
        self._later(lambda: self.world.command(bot_id, "RUNNING"))

    def _resume(self) -> None:
        self.world.rows(
            "update bot set from_state = state, state = 'STARTING', reason = ''"
            " where state = any(%s)"
            " and not exists (select from kill_switch where cleared_at is null)",
            list(_RESTED),
        )

    def _limits(self, bot_id: str, **more: str) -> None:
        self.world.rows(
            "update bot set limits = %s, version = version + 1 where id = %s",
            json.dumps({**self.limits, **more}), bot_id,
        )  # fmt: skip

    @property
    @abstractmethod
    def limits(self) -> Mapping[str, str]:
        """Limits of all bots."""

    def _misfit(self) -> None:
        bot_id = self._some()
        self._limits(bot_id, max_position="much")
        self._later(lambda: self._limits(bot_id))

    def _loss(self) -> None:
        """Stop a bot by its loss, which closes what it holds."""
        bot_id = self._some()
        self._limits(bot_id, max_daily_loss="0.00000001")
        self._later(lambda: self._limits(bot_id), seconds=8.0)

    def _cannot_begin(self) -> None:
        """Have a bot begin with settings that are none, while its orders rest."""
        bot_id = self._some()
        ((config,),) = self.world.rows("select config from bot where id = %s", bot_id)
        # Of two at once the second one would keep what the first has broken.
        config = self._configs.setdefault(bot_id, config)
        change = "update bot set config = %s, version = version + 1 where id = %s"
        self.world.rows(change, json.dumps({"order_size": "none"}), bot_id)
        self._end_one()
        self._later(lambda: self.world.rows(change, json.dumps(config), bot_id), seconds=8.0)

    def _kill_switch(self) -> None:
        self.world.rows(
            "insert into kill_switch (id, tenant, exchange, reason, actor)"
            " values (%s, 'default', %s, 'prices are wrong', 'me') on conflict do nothing",
            f"kil_{self.rng.getrandbits(128):032x}", self.rng.choice(["", self.exchange]),
        )  # fmt: skip
        self._later(self._clear_kill_switch, seconds=20.0)

    def _clear_kill_switch(self) -> None:
        self.world.rows(
            "update kill_switch set cleared_at = clock_timestamp(), cleared_by = 'me'"
            " where cleared_at is null"
        )

    def _market_limit(self) -> None:
        """Let a limit of many bots be reached."""
        limits = self.rng.choice([{"max_gross": 1}, {"max_daily_loss": 1}, {"max_net": 1}])
        self.world.rows(
            "insert into risk_limit (tenant, scope, subject, limits, changed_by)"
            " values ('default', 'PORTFOLIO', '', %s, 'me') on conflict do nothing",
            json.dumps(limits),
        )
        self._later(lambda: self.world.rows("delete from risk_limit"))

    # ---------------------------------------------------------------------------------- processes

    def _connections(self) -> None:
        """Break the engines' connections to the database."""
        self.world.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and usename like '%%bots'"
        )

    def _signer(self) -> None:
        if self.world.signer.ended():
            return
        self.world.signer.kill()
        self._later(self._bring_signer_back)

    def _bring_signer_back(self) -> None:
        if self.world.signer.ended():
            self.world.signer.start()

    def _thief(self) -> None:
        """Give the wallet to another engine, which does nothing and dies."""
        self.world.rows(
            "update trading_wallet_lease set engine = %s, incarnation = %s, epoch = epoch + 1,"
            " until = clock_timestamp() + interval '1 second'",
            _LOST_TO, _LOST_TO,
        )  # fmt: skip

    def _ending(self) -> None:
        """Tell an engine to end, as whoever runs it does."""
        self._end_one(signal.SIGTERM)

    def _end_one(self, how: signal.Signals = signal.SIGKILL) -> None:
        engine = self.rng.choice(self._engines)
        if engine.ended or engine.process is None:
            return
        parent = engine.process.pid
        with suppress(OSError):
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            # What lives is a child of what has imported it.
            for child in children:
                os.kill(int(child), how)

    def _drain(self) -> None:
        if len(self._engines) < 2:
            return
        name = self.rng.choice(self._engines).name
        drain = "update bot_engine set draining = %s where name = %s"
        self.world.rows(drain, True, name)
        self._later(lambda: self.world.rows(drain, False, name))


class AtOkx(People):
    """At a paper OKX: a market maker, and a bot that turns its position by signals."""

    exchange = "okx"
    bots = (MAKER, TURNER)
    sizes = (50_000_000, 100_000_000)
    limits = _LIMITS
    world: Bots

    def __init__(self, world: Bots, engines: Sequence[Engine], seed: int) -> None:
        super().__init__(world, engines, seed)
        log_leases(world)
        world.bot(MAKER)
        world.bot(TURNER, strategy="signal", config=turner())
        self._signals = 0
        rest = Rest(world.okx, "ann")
        with rest.http:
            answer = rest.order(clOrdId="stranger1", px="10000")
        assert answer["code"] == "0", answer

    def acts(self) -> list[tuple[Act, int]]:
        """Return what may happen, each with its weight."""
        more: list[tuple[Act, int]] = [
            (self._sockets, 2), (self._frames, 2), (self._suspended, 1), (self._funding, 1),
        ]  # fmt: skip
        return [*super().acts(), *more]

    def trade(self) -> None:
        """Send a signal now and then; the exchange's market moves by itself."""
        if self.rng.random() < 0.6:
            self._signals += 1
            signalled(self.world, f"signal {self._signals}", self.rng.choice([-1, 0, 1]))

    def _fault(self) -> None:
        ops = ["order", "amend-order", "cancel-order", "any"]
        kinds = ["delay", "drop", "lose", "late", "reject", "status", "limit", "disconnect"]
        self.world.okx.notify(
            "/faults", kind=self.rng.choice(kinds), op=self.rng.choice(ops),
            ms=self.rng.choice([200, 1_500]), skip=self.rng.choice([0, 1]),
        )  # fmt: skip

    def _sockets(self) -> None:
        self.world.okx.notify("/drop", account=self.rng.choice(["ann", ""]))

    def _frames(self) -> None:
        kind = self.rng.choice([{"hold_ms": 800}, {"repeat": 5}, {"lose": 3}])
        self.world.okx.notify("/pushes", account="ann", **kind)
        self._later(lambda: self.world.okx.notify("/pushes", account="ann"))

    def _suspended(self) -> None:
        name = self.rng.choice([SWAP, OTHER])
        self.world.okx.notify("/states", instId=name, state="suspend")
        self._later(lambda: self.world.okx.notify("/states", instId=name, state="live"))

    def _funding(self) -> None:
        self.world.okx.notify("/funding", instId=SWAP, rate="0.0001", due=True)

    def heal(self) -> None:
        """Let the exchange do nothing wrong any more."""
        self.world.okx.control.delete("/faults")

    def finish(self) -> None:
        """Turn the one to a position it can be known by, and wait for a fill of the other."""
        signalled(self.world, "the last one", 1)
        until(lambda: self.world.booked(TURNER) == MAX[OTHER], "the turn", _CALM_SECONDS)
        made = "select count(*) from bot_fill where bot_id = %s"
        before = self.world.rows(made, MAKER)
        until(lambda: self.world.rows(made, MAKER) != before, "a fill", _CALM_SECONDS)

    def wrongs(self) -> list[str]:
        """Return what is wrong once all bots have stopped."""
        strangers = [one["clOrdId"] for one in self.world.resting()]
        return [
            *wrongs(self.world, MAX),
            *([] if strangers == ["stranger1"] else [f"strangers' orders: {strangers}"]),
        ]


MAX = {SWAP: 6, OTHER: 2}
"""Contracts that a position never passes."""


def turner() -> dict[str, object]:
    """Return the settings of a bot that turns its position by signals."""
    return {
        "instrument_id": f"okx:{OTHER}",
        "position": 2 * 10**8,
        "max_slippage": 10_000,
        "max_age_ms": 300_000,
        # Else a signal against the one before only closes.
        "reverse": True,
    }


def signalled(world: BotWorld, name: str, direction: int) -> None:
    """Send a signal."""
    world.rows(
        "insert into bot_signal (tenant, id, instrument_id, direction, confidence, made_at,"
        " expires_at, actor) values ('default', %s, %s, %s, 800000, clock_timestamp(),"
        " clock_timestamp() + interval '1 hour', 'x')",
        name, f"okx:{OTHER}", direction,
    )  # fmt: skip


class AtClob(People):
    """At a paper CLOB: a market maker on both outcomes, while strangers take its quotes."""

    exchange = "polymarket"
    bots = (MAKER,)
    sizes = (10_000_000, 6_000_000)
    limits: Mapping[str, str] = {"max_position": "60"}
    world: ClobBots

    def __init__(self, world: ClobBots, engines: Sequence[Engine], seed: int) -> None:
        super().__init__(world, engines, seed)
        world.bot(MAKER)
        self._stranger = world.stranger()

    def acts(self) -> list[tuple[Act, int]]:
        """Return what may happen, each with its weight."""
        more: list[tuple[Act, int]] = [
            (self._sockets, 2), (self._switched, 2), (self._undone, 3), (self._restart, 1),
            (self._wipe, 1), (self._tick, 1),
        ]  # fmt: skip
        return [*super().acts(), *more]

    def trade(self) -> None:
        """Let strangers take what rests, while they get an answer."""
        with suppress(AssertionError, httpx.HTTPError):
            self.world.prints()

    def _fault(self) -> None:
        requested = [
            ("POST", "/order"), ("POST", "/order"), ("DELETE", "/order"), ("GET", "/data/orders"),
            ("GET", "/data/trades"), ("GET", "/balance-allowance"),
        ]  # fmt: skip
        method, path = self.rng.choice(requested)
        kinds = ["drop", "hold", "late", "lose", "slow", "status", "twice"]
        kind = self.rng.choice(kinds)
        self.world.notify(
            "/faults", kind=kind, path=path, method=method, ms=self.rng.choice([200, 1_500])
        )
        self._later(lambda: self.world.notify("/release"))

    def _sockets(self) -> None:
        self.world.notify("/drop")

    def _switched(self) -> None:
        name = self.rng.choice(["silent", "frozen", "disabled"])
        self.world.notify("/switches", **{name: True})
        self._later(lambda: self.world.notify("/switches", **{name: False}))

    def _undone(self) -> None:
        self.world.notify("/switches", fail_trades=1)

    def _restart(self) -> None:
        self.world.notify("/restart", ms=500, post_only_ms=1_000)

    def _wipe(self) -> None:
        """End what rests, strangers' too: one of them places again."""
        self.world.notify("/wipe", condition=CONDITION)
        self._later(self._levels, seconds=0.5)

    def _levels(self) -> None:
        for side, price in (("BUY", "0.49"), ("SELL", "0.51")):
            self.world.notify("/levels", condition=CONDITION, side=side, price=price, size="100")
        if self._stranger not in self.world.far()["resting"]:
            with suppress(Exception):
                self._stranger = self.world.stranger()

    def _tick(self) -> None:
        tick = "/tick"
        self.world.notify(tick, condition=CONDITION, tick="0.001")
        self._later(lambda: self.world.notify(tick, condition=CONDITION, tick="0.01"))

    def heal(self) -> None:
        """Let the exchange do nothing wrong any more."""
        self.world.control.delete("/faults")
        self.world.notify("/release")
        self.world.notify("/switches", silent=False, frozen=False, disabled=False, fail_trades=0)
        self._levels()

    def finish(self) -> None:
        """Wait for a fill."""
        made = "select count(*) from bot_fill where not undone"
        before = self.world.rows(made)

        def filled() -> bool:
            self.trade()
            return self.world.rows(made) != before

        until(filled, "a fill", _CALM_SECONDS)

    def wrongs(self) -> list[str]:
        """Return what is wrong once all bots have stopped."""
        with suppress(AssertionError):
            until(lambda: self.world.held() == self.world.booked(), "the books")
        return clob_wrongs(self.world, self._stranger)


def clob_wrongs(world: ClobBots, stranger: str) -> list[str]:
    """Return what is wrong with the orders that the paper CLOB took, once all bots have stopped.

    Args:
        world: after the end of its bots.
        stranger: id of the order of somebody else that rests.
    """
    far = world.far()
    placed = world.placed()
    rows = world.rows("select venue_order_id, order_id, state, settled, filled from bot_order")
    known = {venue: (order, filled) for venue, order, _, _, filled in rows}
    filled: dict[str, int] = {}
    for one in far["fills"]:
        size = round(float(one["size"]) * 10**6)
        filled[one["order"]] = filled.get(one["order"], 0) + size
    return [
        *([] if placed else ["nothing was accepted"]),
        *(f"{one} was accepted twice" for one in set(placed) if placed.count(one) > 1),
        *(f"{one} rests" for one in far["resting"] if one in known),
        *([] if stranger in far["resting"] else ["a stranger's order is gone"]),
        *(f"{order} is {state}" for _, order, state, settled, _ in rows if not settled),
        *(f"{order} is {state}" for _, order, state, _, _ in rows if state == "RESURRECTED"),
        *(
            f"{order} has filled {filled.get(venue, 0)}, its row has {mine}"
            for venue, (order, mine) in known.items()
            if venue and filled.get(venue, 0) != mine
        ),
        *(
            f"the exchange holds {size} of {asset[:6]}, the bots' fills make {mine[asset]}"
            for mine in [world.booked()]
            for asset, size in world.held().items()
            if size != mine[asset]
        ),
        *(f"{one} was accepted and is forgotten" for one in _forgotten(world, known, stranger)),
    ]


def _forgotten(world: ClobBots, known: Mapping[str, object], stranger: str) -> list[str]:
    """Return orders that were accepted and that no row knows; strangers' are not ours."""
    hashes = {
        hash_
        for (hash_,) in world.rows(
            "select digest from wallet_signature where wallet_id = %s", world.wallet
        )
    }
    return [
        one
        for one in world.placed()
        if one not in known and one != stranger and bytes.fromhex(one[2:]) in hashes
    ]
