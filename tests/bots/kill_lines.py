"""kill -9 at every line of an engine of bots: ``python -m tests.bots.kill_lines``.

An engine runs under `tests.fault.at_step`: it dies at each step of a piece once, the first time
that it comes there, and lives again at once; exchange, signer and database go on. Meanwhile people,
strangers and faults do all that leads to a line (`kill_people.py`). At the end of a piece the bots
trade once more, stop, and what the exchange took is judged. With ``--steps`` a run goes on where
the last one was; ``--report`` tells of all that is in that directory which steps were never
reached, and why (`unreached.py`). Pure modules have no steps of their own: nothing leaves and
nothing is written there, so a kill in one is a kill in the statement that called it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path

from tests.bots.clob_world import clob_bots
from tests.bots.kill_people import AtClob, AtOkx, People
from tests.bots.unreached import why
from tests.bots.world import Engine, bots
from tests.fault import at_line, stores
from tests.fault.steps import ROOT, Step, steps_in

_WALLET = "services/bots/wallet"
_SHARED: dict[str, tuple[str, ...]] = {
    "account": (f"{_WALLET}/account.py", f"{_WALLET}/making.py"),
    "engine": (
        "services/bots/engine.py", "services/bots/leases/store.py", "services/bots/wallet_run.py",
    ),
    "journal": (f"{_WALLET}/journal.py",),
    "limits": (
        f"{_WALLET}/oversight.py", f"{_WALLET}/positions.py", "services/bots/risk_store.py",
    ),
    "sending": (f"{_WALLET}/sending.py", f"{_WALLET}/shared.py"),
    "store": ("services/bots/store.py",),
    "wishes": (
        f"{_WALLET}/forced.py", f"{_WALLET}/killing.py", f"{_WALLET}/markets.py",
        f"{_WALLET}/resolutions.py", f"{_WALLET}/signals.py", f"{_WALLET}/commands.py",
    ),
}  # fmt: skip
_OKX, _CLOB = "tradingtools/venues/okx", "tradingtools/venues/polymarket"
PIECES: dict[str, tuple[str, ...]] = {
    **{f"okx.{name}": paths for name, paths in _SHARED.items()},
    "okx.exchange": (f"{_OKX}/accounts.py", f"{_OKX}/gateway.py", f"{_OKX}/wallet.py"),
    **{f"clob.{name}": paths for name, paths in _SHARED.items()},
    "clob.exchange": (
        f"{_CLOB}/order_index.py", f"{_CLOB}/order_transport.py",
        f"{_CLOB}/trading_accounts.py", f"{_CLOB}/trading_gateway.py",
        f"{_CLOB}/trading_wallet.py",
    ),
}  # fmt: skip
"""The modules of each piece, by exchange and part."""
_TWO = ("okx.engine", "clob.engine")
"""Pieces with two engines, between which wallets move."""
_PATIENCE_SECONDS = 240.0
_GRACE_MS = 700
"""What a dead engine has sent is taken by then, however busy the machine is."""
_LAST = 5
_TELL_EVERY = 10
_SHORTEN = f"""
with soon as (select clock_timestamp() + interval '{_GRACE_MS} milliseconds' as at),
dead as (
    update bot_engine set until = at from soon
    where seen_at < to_timestamp(%s) and until > at returning incarnation)
update trading_wallet_lease l set until = at
from dead, soon where l.incarnation = dead.incarnation and l.until > at
"""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a piece."""

    piece: str
    killed: list[Step]
    missed: list[Step]
    seconds: float
    broken: list[str]

    def text(self) -> str:
        """For people."""
        reasons = [(step, why(step)) for step in self.missed]
        reported = (
            f"{self.piece}: killed at {len(self.killed)} steps, {len(self.missed)} never reached,"
            f" {sum(bool(reason) for _, reason in reasons)} of them for a reason,"
            f" {self.seconds:.0f} s"
        )
        missed = [f"  {one.path}:{one.line}: {why or 'never reached'}" for one, why in reasons]
        return "\n".join([reported, *missed, *(f"BROKEN  {one}" for one in self.broken)])


def plan_of(piece: str) -> list[Step]:
    """Return every step of a piece."""
    paths = PIECES[piece]
    return [step for path in paths for step in steps_in((ROOT / path).read_text(), path)]


def run(
    piece: str,
    directory: Path,
    url: str,
    *,
    steps: Path | None = None,
    seconds: float = inf,
    looking: bool = False,
    seed: int = 1,
    say: Say = lambda _: None,
) -> Outcome:
    """Kill at the steps of a piece, let all settle, and judge.

    Args:
        piece: one of `PIECES`.
        directory: for servers and logs.
        url: of an empty database.
        steps: a directory that keeps what was reached, and goes on after it; None: a fresh one.
        seconds: of killing, at most.
        looking: note the steps, and kill nobody.
        seed: of what happens meanwhile.
        say: gets a line of progress now and then.
    """
    started = time.monotonic()
    lines = (steps or directory) / piece
    lines.mkdir(parents=True, exist_ok=True)
    plan = plan_of(piece)
    (lines / "plan").write_text("".join(f"{step.text}\n" for step in plan))
    if looking:
        (lines / "looking").touch()
    names = ("engine-1", "engine-2") if piece in _TWO else ("engine",)
    with _people(piece, directory, url, names, seed) as (people, engines):
        for one in engines:
            one.command = ("tests.fault.at_step", "bots", str(lines))
        _kill(people, engines, lines, seconds, say)
        broken = _settled(people, engines[0])
    reached = at_line.read(lines / "reached")
    met = {step.place for step in reached}
    if broken:
        broken.append(f"killed last at {', '.join(one.text for one in reached[-_LAST:])}")
    missed = [step for step in plan if step.place not in met]
    return Outcome(piece, reached, missed, time.monotonic() - started, broken)


@contextmanager
def _people(
    piece: str, directory: Path, url: str, names: Sequence[str], seed: int
) -> Iterator[tuple[People, list[Engine]]]:
    terms = {"TT_BOTS_POLL_MS": "50", "TT_BOTS_WRITE_MS": "50"}
    if piece.startswith("okx."):
        with bots(url, directory, step_ms="100") as world:
            engines = [world.engine(name, **terms) for name in names]
            yield AtOkx(world, engines, seed), engines
    else:
        with clob_bots(url, directory) as far:
            engines = [far.engine(name, **terms) for name in names]
            yield AtClob(far, engines, seed), engines


def _kill(people: People, engines: Sequence[Engine], lines: Path, seconds: float, say: Say) -> None:
    """Let engines die at one step after the other until no new one is reached."""
    reached = lines / "reached"
    whole = len(at_line.read(lines / "plan"))
    started = last = time.monotonic()
    count = len(at_line.read(reached))
    try:
        while time.monotonic() < min(started + seconds, last + _PATIENCE_SECONDS) and count < whole:
            for one in engines:
                if one.ended:
                    one.start()
            people.act()
            now = len(at_line.read(reached))
            if now > count:
                if len(engines) == 1:
                    # Whoever is dead renews nothing: the next life need not wait for it.
                    people.world.rows(_SHORTEN, reached.stat().st_mtime)
                last = time.monotonic()
                if now // _TELL_EVERY > count // _TELL_EVERY:
                    say(f"{last - started:6.0f} s  {lines.name}: {now} of {whole}")
                count = now
            time.sleep(0.05)
    finally:
        for one in engines:
            one.kill()


def _settled(people: People, engine: Engine) -> list[str]:
    """Let all bots trade once more and stop; return what is wrong."""
    engine.command = ("services.bots",)
    people.calm()
    engine.start()
    try:
        people.led("RUNNING")
        people.finish()
        people.led("STOPPED")
    except AssertionError as error:
        return [str(error), *people.reported()]
    finally:
        engine.stop()
    return people.wrongs()


def report(steps: Path) -> str:
    """Return which steps no piece of a directory has reached, by file and line, with reasons."""
    reached = {
        step.place
        for piece in PIECES
        for step in at_line.read(steps / piece / "reached")
    }  # fmt: skip
    every = sorted({step for piece in PIECES for step in plan_of(piece)})
    missed = [(step, why(step)) for step in every if step.place not in reached]
    lines = [f"{piece}: {len(at_line.read(steps / piece / 'reached'))} of {len(plan_of(piece))}"
             for piece in PIECES]  # fmt: skip
    lines.append(f"{len(every) - len(missed)} of {len(every)} steps were reached at an exchange")
    lines += [
        f"  {one.path}:{one.line}{' leave' if one.leaving else ''}: {reason or 'never reached'}"
        for one, reason in missed
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run pieces one after the other; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bots.kill_lines")
    parser.add_argument("--piece", action="append", choices=PIECES, help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=inf, help="of killing, for each piece")
    parser.add_argument("--steps", type=Path, help="a directory whose steps are done")
    parser.add_argument("--looking", action="store_true", help="note the steps; kill nobody")
    parser.add_argument("--report", action="store_true", help="only tell what --steps has not")
    given = parser.parse_args(arguments)
    if given.report:
        _say(report(given.steps))
        return 0
    broken = False
    for piece in given.piece or PIECES:
        directory = Path(tempfile.mkdtemp(prefix=f"tt-bots-{piece}-"))
        with stores.own_postgres() as (_, url):
            outcome = run(
                piece, directory, url, steps=given.steps, seconds=given.minutes * 60,
                looking=given.looking, seed=given.seed, say=_say,
            )  # fmt: skip
        _say(outcome.text())
        if outcome.broken:
            _say(f"its logs are in {directory}")
            broken = True
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
