"""kill -9 at a sample of lines; `make kill-lines` takes all of them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fault import at_line, entries, kill_lines, unreached
from tests.fault.rig import rig
from tests.fault.steps import ROOT, Step, steps_in, steps_of
from tests.money_path.world import SERVICES

_SOURCE = '''\
async def work(pool):
    """Nothing to stop at."""
    count: int
    async with pool.connection() as connection:
        await connection.execute("insert")
        await connection.execute("update")
    return 1
'''


def test_the_steps_are_the_statements_and_the_ends_of_blocks() -> None:
    found = steps_in(_SOURCE, "m.py")
    assert [(step.line, step.leaving) for step in found] == [
        (4, False), (4, True), (5, False), (6, False), (7, False),
    ]  # fmt: skip


def test_every_service_has_steps_and_each_reads_back() -> None:
    for service in SERVICES:
        every = steps_of(service)
        assert len(every) > 100
        assert [Step.parse(step.text) for step in every] == every


def test_reason_names_existing_and_unreached_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = [step for service in SERVICES for step in steps_of(service)]
    assert [entry for entry in unreached.UNREACHED if not entry.why] == []
    # What only a mistake raises needs no entry, and whoever lists a step that is met is told.
    assert any(unreached.why(step) == unreached.MISTAKE for step in every)
    met = every[0]
    never = entries.Entry(met.path, entries.functions(met.path)[met.line], "never")
    gone = replace(never, function="Gone.with_the_wind")
    monkeypatch.setattr(unreached, "UNREACHED", (never, gone, replace(never, chance=True)))
    assert unreached.why(met) == "never"
    assert unreached.untrue([met]) == [never]
    assert unreached.empty(every) == [gone]
    reported = kill_lines.Outcome({"router": [met]}, {"router": []}, 1, [])
    assert reported.untrue
    assert reported.untrue[0] in reported.text()


@pytest.mark.parametrize(("leaving", "printed"), [(False, "begin\n"), (True, "begin\nbody\n")])
def test_a_process_dies_before_a_block_or_before_its_end(
    tmp_path: Path, leaving: bool, printed: str
) -> None:
    # The block commits in its end: killed there, "committed" is never said.
    program = tmp_path / "program.py"
    program.write_text(
        "import contextlib\n"
        "@contextlib.contextmanager\n"
        "def transaction():\n"
        "    yield\n"
        "    print('committed', flush=True)\n"
        "def work():\n"
        "    print('begin', flush=True)\n"
        "    with transaction():\n"
        "        print('body', flush=True)\n"
        "    print('after', flush=True)\n"
    )
    harness = (
        "import sys\n"
        "from tests.fault import at_line\n"
        "from tests.fault.steps import Step\n"
        f"step = Step({str(program)!r}, 8, {leaving})\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import program\n"
        "sys.settrace(at_line.Killer([step], lambda step: None))\n"
        "program.work()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", harness, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, printed), done.stderr


def test_a_step_is_met_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(__file__)
    line = _counted.__code__.co_firstlineno + 1
    step = Step(str(source.relative_to(ROOT)), line, times=3)
    noted: list[tuple[Step, int]] = []
    passed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    before = sys.gettrace()
    sys.settrace(at_line.Killer([step], lambda step: noted.append((step, len(passed)))))
    try:
        for _ in range(3):
            _counted(passed)
    finally:
        sys.settrace(before)
    assert noted == [(step, 2)]


def _counted(passed: list[int]) -> None:
    passed.append(1)


class _Healthy:
    async def heal(self) -> None:
        """Nothing is ill."""


async def test_running_fault_completes_when_the_killing_ends() -> None:
    said: list[str] = []
    started = asyncio.Event()

    async def promises_withdrawn(*_: object) -> None:
        said.append("withdrawn")
        started.set()
        await asyncio.sleep(0.05)
        said.append("given")

    made: Any = _Healthy()
    workload: Any = None
    rng = random.Random(1)  # noqa: S311 - there is nothing to choose
    async with kill_lines.misbehaving(made, workload, [promises_withdrawn], rng):
        await started.wait()
    assert said == ["withdrawn", "given"]


@pytest.mark.timeout(240)
async def test_kill_at_sampled_lines_doubles_and_loses_nothing(
    tmp_path: Path,
) -> None:
    # The same sample each time, so that a failure is the change's; others: KILL_LINES_SEED, or all
    # of them with `make kill-lines`.
    seed = int(os.environ.get("KILL_LINES_SEED") or 1)
    async with rig(tmp_path, TT_INSIDERS_LONGEST_PROCESSING_MS="1000") as made:
        outcome = await kill_lines.run(made, seed, size=60, kills=2, patience=5)
    assert outcome.broken == [], f"KILL_LINES_SEED={seed}"
    for service in SERVICES:
        assert outcome.killed[service], f"no line of {service}; KILL_LINES_SEED={seed}"


@pytest.mark.long
def test_table_of_unreached_steps_names_existing_steps() -> None:
    # Not in the default run: a statement that somebody moves makes no reason wrong at once.
    assert unreached.empty([step for service in SERVICES for step in steps_of(service)]) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_kill_at_every_line_doubles_and_loses_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, **kill_lines.SETTINGS) as made:
        outcome = await kill_lines.run(made, 1, size=None, kills=sys.maxsize, patience=30)
    assert outcome.broken == [], outcome.text()
    assert outcome.untrue == []
