"""kill -9 at every line: ``python -m tests.fault.kill_lines [--sample N] [--seed S] [--looking]``.

The four services run under `at_line.py`, all at the same time: each dies at one step after the
other and lives again at once, while the others do the same and the workload and insiders-api's
misbehaviour go on. When no further step is reached for a while, everything settles and the judge
says what is broken. What was never reached is part of the report; ``--looking`` tells it without a
kill, within minutes, for whoever extends the workload or `unreached.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

from tests.fault import at_line, faults
from tests.fault.rig import Rig, rig
from tests.fault.standing import keep
from tests.fault.steps import Step, steps_of
from tests.fault.trading import ended
from tests.fault.unreached import untrue, why
from tests.fault.workload import Workload
from tests.money_path.world import SERVICES

SETTINGS = {
    "TT_INSIDERS_LONGEST_PROCESSING_MS": "1000",
    "TT_CONFIRM_BALANCE_MS": "2000",
    "TT_ROUTER_ENTRY_TTL_MS": "15000",
}
"""Of every line: horizons are near, wallets' balances are asked for, and an entry outlives the
several lives that its executor needs."""
_PATIENT = {"max_age_ms": 600_000}
"""Nothing is too old to be copied, however long a router needs that dies every second."""
_AHEAD = 20
_PER_SECOND = 8.0
_RECOVERY_SECONDS = 90.0
_RESOLVING = 6
_TIMES = (1, 1, 2, 3)
_LAST_KILLS = 5
_FIRST_SECONDS = 40.0
_TELL_EVERY = 25
ANSWERS = (faults.error_before, faults.error_after, faults.silence, faults.misshapen)
"""What insiders-api does meanwhile, so that the steps after a bad answer are reached."""
EVERYTHING = (
    *ANSWERS, faults.late_accept, faults.rate_limit, faults.settlement, faults.pause,
    faults.connections_reset, faults.network, faults.postgres_restarted, faults.redis_killed,
    faults.lease_stolen, faults.promises_withdrawn, faults.oversized, faults.refusal,
    faults.unavailable, faults.refused,
)  # fmt: skip
"""For all steps: also the handling of stores and neighbours that fail."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The extent of a run: a long run can be had in pieces, each judged at its end.

    Args:
        looking: note the steps, and kill nobody.
        steps: a directory that keeps what was reached, and goes on after it; None: a fresh one.
        seconds: of killing, at most.
    """

    looking: bool = False
    steps: Path | None = None
    seconds: float = inf


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run."""

    killed: dict[str, list[Step]]
    missed: dict[str, list[Step]]
    seconds: float
    broken: list[str]

    @property
    def untrue(self) -> list[str]:
        """Reasons for never being reached, of steps that were."""
        every = [step for steps in self.killed.values() for step in steps]
        return [
            f"reached after all: {entry.path} {entry.function}: {entry.why}"
            for entry in untrue(every)
        ]

    def text(self) -> str:
        """For people."""
        lines = []
        met = {step.place for steps in self.killed.values() for step in steps}
        for service, steps in self.killed.items():
            # What services share counts as reached when it was in any of them.
            missed = [step for step in self.missed[service] if step.place not in met]
            reported = [step for step in missed if why(step)]
            lines.append(
                f"{service}: killed at {len(steps)} steps, {len(missed)} never reached,"
                f" {len(reported)} of them for a reason"
            )
            lines += [f"  {step.path}:{step.line}: {why(step)}" for step in reported]
            lines += [
                f"  never reached: {step.path}:{step.line}"
                for step in missed
                if step not in reported
            ]
        lines += self.untrue
        total = sum(len(steps) for steps in self.killed.values())
        return "\n".join([*lines, f"{total} kills in {self.seconds:.0f} s"])


def sample(service: str, size: int, rng: random.Random) -> list[Step]:
    """Some steps of a service, to be met at the first, second or third time.

    The statements of `app.py` and every `with` that is left come with each start or commit; all
    others need the workload to get there, so more are planned than are waited for.
    """
    every = steps_of(service)
    chosen = rng.sample(every, min(size, len(every)))
    return [Step(s.path, s.line, s.leaving, rng.choice(_TIMES)) for s in chosen]


async def take(
    made: Rig, plans: Mapping[str, list[Step]], *, kills: int, patience: float,
    say: Callable[[str], None], piece: Piece,
) -> dict[str, list[Step]]:  # fmt: skip
    """Kill services at the steps of their plans; returns where they were.

    Args:
        made: where they run, supervised.
        plans: the steps, by service.
        kills: enough is enough: when each service has had so many, or its whole plan.
        patience: seconds without a kill after which the rest counts as never reached; while a
            service had none at all it is as long as a busy machine needs to start one.
        say: gets a line of progress now and then.
        piece: how much of it.
    """
    place = piece.steps or made.world.directory
    directories = {name: place / f"at_line_{name}" for name in plans}
    for name, plan in plans.items():
        directories[name].mkdir(parents=True, exist_ok=True)
        if piece.looking:
            (directories[name] / "looking").touch()
        (directories[name] / "plan").write_text("".join(f"{step.text}\n" for step in plan))
        made.world.run_as(name, "tests.fault.at_line", name, str(directories[name]))
        await made.end(name)

    def reached(name: str) -> list[Step]:
        return at_line.read(directories[name] / "reached")

    started = last = time.monotonic()
    counts = {name: len(reached(name)) for name in plans}
    total = sum(counts.values())
    while time.monotonic() - last < (
        patience if all(counts.values()) else max(patience, _FIRST_SECONDS)
    ):
        await asyncio.sleep(0.1)
        counts = {name: len(reached(name)) for name in plans}
        if all(counts[name] >= min(kills, len(plan)) for name, plan in plans.items()):
            break
        if time.monotonic() - started > piece.seconds:
            break
        if sum(counts.values()) > total:
            last = time.monotonic()
            if sum(counts.values()) // _TELL_EVERY > total // _TELL_EVERY:
                reported = ", ".join(
                    f"{name} {counts[name]} of {len(plans[name])}" for name in plans
                )
                say(f"{last - started:6.0f} s  steps: {reported}")
            total = sum(counts.values())
    for name in plans:
        made.world.run_as(name)
    async with made.without(*plans):
        pass
    return {name: reached(name) for name in plans}


async def run(
    made: Rig, seed: int, *, size: int | None, kills: int, patience: float,
    services: Collection[str] = SERVICES, say: Callable[[str], None] = lambda _: None,
    piece: Piece = Piece(),
) -> Outcome:  # fmt: skip
    """Kill services under a workload, and judge.

    Args:
        made: a running rig.
        seed: of the sample and the workload.
        size: how many steps of each service are planned; None: all, each at its first time.
        kills: see `take`.
        patience: see `take`.
        services: which.
        say: gets lines of progress.
        piece: see `take`.
    """
    rng = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    started = time.monotonic()
    resolving = _RESOLVING if size is None else 1
    workload = Workload(made, seed, resolving=resolving, terms=_PATIENT)
    await workload.prepare()
    await workload.probe(_RECOVERY_SECONDS)
    plans = {n: steps_of(n) if size is None else sample(n, size, rng) for n in services}
    kinds = EVERYTHING if size is None else ANSWERS
    traffic = asyncio.create_task(workload.run(_PER_SECOND, ahead=_AHEAD))
    try:
        async with misbehaving(made, workload, kinds, rng):
            killed = await take(made, plans, kills=kills, patience=patience, say=say, piece=piece)
    finally:
        await ended(traffic)
    met = {name: {step.place for step in steps} for name, steps in killed.items()}
    missed = {n: [step for step in plan if step.place not in met[n]] for n, plan in plans.items()}
    outcome = Outcome(killed, missed, time.monotonic() - started, await _broken(made, workload))
    if outcome.broken:
        outcome.broken.append(f"seed {seed}")
        for name, steps in killed.items():
            last = ", ".join(step.text for step in steps[-_LAST_KILLS:])
            outcome.broken.append(f"{name}, killed last at: {last}")
    return outcome


@asynccontextmanager
async def misbehaving(
    made: Rig, workload: Workload, kinds: Sequence[faults.Fault], rng: random.Random
) -> AsyncIterator[None]:
    """One fault after the other during the block; the last one comes to its end as well.

    A fault that is cancelled stays: a store stopped, promises withdrawn, a subscription paused.
    """
    over = asyncio.Event()

    async def go_on() -> None:
        while not over.is_set():
            await rng.choice(kinds)(made, workload, rng)
            await made.heal()
            with suppress(TimeoutError):
                async with asyncio.timeout(rng.uniform(0.5, 3)):
                    await over.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(go_on())
        try:
            yield
        finally:
            over.set()


async def _broken(made: Rig, workload: Workload) -> list[str]:
    await asyncio.to_thread(made.bring_back)
    await made.heal()
    await workload.calm()
    try:
        await workload.probe(_RECOVERY_SECONDS)
        found = await workload.verdict(_RECOVERY_SECONDS)
    except AssertionError as error:
        return [str(error)]
    return [f"{breach.invariant}: {breach.detail}" for breach in found]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _main(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="tt-lines-", ignore_cleanup_errors=True) as name:
        async with rig(Path(name), **SETTINGS) as made:
            outcome = await run(
                made, given.seed, size=given.sample, kills=sys.maxsize, patience=given.patience,
                services=given.service or SERVICES, say=_say,
                piece=Piece(given.looking, given.steps, given.minutes * 60),
            )  # fmt: skip
            if outcome.broken and given.keep is not None:
                await asyncio.to_thread(keep, made, given.keep)
    _say(outcome.text())
    for line in outcome.broken:
        _say(f"BROKEN  {line}")
    return 1 if outcome.broken or outcome.untrue else 0


def main(arguments: list[str]) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.kill_lines")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, help="steps of each service; without it: all")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds without a kill")
    parser.add_argument("--keep", type=Path, help="where to put logs and database of a failure")
    parser.add_argument("--minutes", type=float, default=inf, help="of killing")
    parser.add_argument("--steps", type=Path, help="a directory whose steps are done")
    parser.add_argument("--looking", action="store_true", help="note the steps; kill nobody")
    parser.add_argument("--service", action="append", choices=SERVICES, help="only this one")
    return asyncio.run(_main(parser.parse_args(arguments)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
