"""kill -9 at every line of an engine of bots, one after the other, while its bots trade.

It runs under `tests.fault.at_line`: it dies at each step once, the first time that it comes there,
and lives again at once. Meanwhile a market maker quotes, amends and fills, a signal turns the
position of another bot about, and people stop, pause, change and start both. What is judged is what
the exchange took. Pure modules have no steps of their own: nothing leaves and nothing is written
there, so a kill in one is a kill in the statement that called it.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.temporary import create_database
from tests.bots.order_audit import log_leases, wrongs
from tests.bots.world import SWAP, Bots, Engine, bots, until
from tests.fault import at_line
from tests.fault.steps import ROOT, Step, steps_in

pytestmark = pytest.mark.long
OTHER = "ETH-USDT-SWAP"
MAKER, TURNER = "mm0000000001", "sg0000000001"
MOST = {SWAP: 6, OTHER: 2}
PATIENCE_SECONDS = 40.0
"""Some lives of an engine: each waits for the lease before it and its last requests."""

_WALLET, _OKX = "services/bots/wallet", "tradingtools/venues/okx"
PARTS: dict[str, tuple[str, ...]] = {
    "account": (f"{_WALLET}/account.py", f"{_WALLET}/making.py", f"{_WALLET}/positions.py"),
    "engine": (
        "services/bots/engine.py", "services/bots/leases/store.py", "services/bots/wallet_run.py",
    ),
    "exchange": (f"{_OKX}/accounts.py", f"{_OKX}/gateway.py", f"{_OKX}/wallet.py"),
    "journal": (f"{_WALLET}/journal.py",),
    "sending": (f"{_WALLET}/sending.py",),
    "store": ("services/bots/risk_store.py", "services/bots/store.py"),
    "wishes": (f"{_WALLET}/markets.py", f"{_WALLET}/signals.py", f"{_WALLET}/wishes.py"),
}  # fmt: skip


@pytest.fixture
def world(postgres_server: str, migrated_template: str, tmp_path: Path) -> Iterator[Bots]:
    url = create_database(postgres_server, template=migrated_template)
    with bots(url, tmp_path) as made:
        log_leases(made)
        yield made


class People:
    """What people and senders of signals do meanwhile, by chance, the same with the same seed."""

    def __init__(self, world: Bots, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        self._signals = 0
        self._resting: set[str] = set()
        self._due = 0.0

    def act(self) -> None:
        """Do the next thing when its time has come."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._dice.choice([0.3, 1.0, 2.5])
        self._dice.choice([self._signal, self._signal, self._change, self._wish])()

    def _signal(self) -> None:
        self._signals += 1
        _signalled(self._world, f"signal {self._signals}", self._dice.choice([-1, 0, 1]))

    def _change(self) -> None:
        size = self._dice.choice([50_000_000, 100_000_000])
        self._world.rows(
            "update bot set config = config || %s, version = version + 1 where id = %s",
            json.dumps({"order_size": size}), MAKER,
        )  # fmt: skip

    def _wish(self) -> None:
        if self._resting:
            self._world.wish(self._resting.pop(), "RUNNING")
            return
        bot_id = self._dice.choice([MAKER, TURNER])
        self._resting.add(bot_id)
        self._world.wish(bot_id, self._dice.choice(["PAUSED", "STOPPED"]))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", PARTS)
def test_killed_at_every_line_no_order_is_doubled_forgotten_or_taken_after_its_lease(
    part: str, world: Bots, tmp_path: Path
) -> None:
    plan = [step for path in PARTS[part] for step in steps_in((ROOT / path).read_text(), path)]
    world.bot(MAKER)
    world.bot(TURNER, strategy="signal", config=_turner(), limits={"max_position": "100"})
    engine = world.engine(TT_BOTS_POLL_MS="50", TT_BOTS_WRITE_MS="50")
    lines = tmp_path / "lines"
    lines.mkdir()
    reached = _killed(world, engine, plan, lines)
    print(f"{part}: killed at {len(reached)} of {len(plan)} steps; not at:")  # noqa: T201
    print(*(one.text for one in plan if one.place not in reached), sep="\n")  # noqa: T201

    engine.command = ("services.bots",)
    engine.start()
    try:
        _led(world, "RUNNING")
        _signalled(world, "the last one", 1)
        until(lambda: world.booked(TURNER) == MOST[OTHER], "the turn")
        made = "select 1 from bot_fill where bot_id = %s"
        until(lambda: world.rows(made, MAKER), "a fill of the market maker")
        _led(world, "STOPPED")
    finally:
        engine.stop()

    assert wrongs(world, MOST) == []
    assert reached, "it never came to a line of these"


def test_what_is_missing_is_found(world: Bots) -> None:
    """An audit that finds nothing proves nothing; this shows that it can find."""
    world.bot(MAKER)
    engine = world.engine()
    engine.start()
    try:
        until(lambda: world.rows("select 1 from bot_fill"), "a fill")
        world.wish(MAKER, "STOPPED")
        until(lambda: world.state(MAKER)[0] == "STOPPED", "the end")
    finally:
        engine.stop()
    assert wrongs(world, MOST) == []

    for query, told in (
        ("update lease_log set until = at", "was accepted under the lease"),
        ("delete from bot_permit", "was accepted without a permit"),
        ("update bot_order set filled = filled + 1", "its row has"),
        ("update bot_order set settled = false", "is "),
        ("delete from bot_fill", "was filled and not booked"),
    ):
        world.rows(query)
        found = wrongs(world, MOST)
        assert any(told in one for one in found), query
    assert any("stood at" in one for one in wrongs(world, {SWAP: 0}))


def _turner() -> dict[str, object]:
    return {
        "instrument_id": f"okx:{OTHER}",
        "position": 2 * 10**8,
        "max_slippage": 10_000,
        "max_age_ms": 300_000,
    }


def _signalled(world: Bots, name: str, direction: int) -> None:
    world.rows(
        "insert into bot_signal (tenant, id, instrument_id, direction, confidence, made_at,"
        " expires_at, actor) values ('default', %s, %s, %s, 800000, clock_timestamp(),"
        " clock_timestamp() + interval '1 hour', 'x')",
        name, f"okx:{OTHER}", direction,
    )  # fmt: skip


def _led(world: Bots, state: str) -> None:
    """Let both bots come to a state that people want."""
    for bot_id in (MAKER, TURNER):
        world.wish(bot_id, state)
    until(lambda: {world.state(one)[0] for one in (MAKER, TURNER)} == {state}, state)


def _killed(
    world: Bots, engine: Engine, plan: list[Step], lines: Path
) -> set[tuple[str, int, bool]]:
    """Let the engine die at one step after the other until no new one is reached."""
    (lines / "plan").write_text("".join(f"{step.text}\n" for step in plan))
    engine.command = ("tests.fault.at_line", "bots", str(lines))
    people = People(world, 1)
    # All steps, unless one has less time.
    end = time.monotonic() + float(os.environ.get("KILL_LINES_SECONDS") or "3000")
    count, last = 0, time.monotonic()
    try:
        while time.monotonic() < min(end, last + PATIENCE_SECONDS) and count < len(plan):
            if engine.ended:
                engine.start()
            people.act()
            now = len(at_line.read(lines / "reached"))
            if now > count:
                count, last = now, time.monotonic()
            time.sleep(0.1)
    finally:
        engine.kill()
    return {step.place for step in at_line.read(lines / "reached")}
