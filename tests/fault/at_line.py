"""A service that kills itself: ``python -m tests.fault.at_line SERVICE DIRECTORY``.

Runs the service as it is, under a trace function. The file ``plan`` of the directory has the steps
(`steps.py`), ``reached`` those at which an earlier life ended. The first step of the plan that is
not among them is noted and answered with SIGKILL, as if the machine had been switched off there;
the next life begins at once. With a file ``looking`` it is only noted. Each life is a child of a
process that has imported the service and never ran it: importing it again would take longer than
the life. Production code knows nothing.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fault.steps import ROOT, Step, bodies_of_blocks

_PR_SET_PDEATHSIG = 1

Trace = Callable[[FrameType, str, Any], Any]


class Killer:
    """The trace function of a plan.

    Args:
        plan: where to end, at whichever is reached first.
        note: gets the step, durably, before the end.
        looking: go on instead, and note each step once.
    """

    def __init__(
        self, plan: list[Step], note: Callable[[Step], None], *, looking: bool = False
    ) -> None:
        self._note = note
        self._looking = looking
        self._left = {step.place: step for step in plan}
        self._seen: dict[tuple[str, int, bool], int] = {}
        self._names = {str(ROOT / step.path): step.path for step in plan}
        self._bodies = {name: _bodies(name) for name in self._names.values()}
        self._first: dict[tuple[CodeType, int], int] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Trace | None:
        """Follow the modules of the plan and no others."""
        return self._line if frame.f_code.co_filename in self._names else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Trace:
        if event == "line":
            name = self._names[frame.f_code.co_filename]
            place = (name, frame.f_lineno, self._leaves(name, frame))
            step = self._left.get(place)
            if step is not None:
                self._seen[place] = self._seen.get(place, 0) + 1
                if self._seen[place] >= step.times:
                    self._note(step)
                    if not self._looking:
                        os.kill(os.getpid(), signal.SIGKILL)
                    del self._left[place]
        return self._line

    def _leaves(self, name: str, frame: FrameType) -> bool:
        """Return whether a `with` statement's line is passed again, after its body."""
        body = self._bodies[name].get(frame.f_lineno)
        return body is not None and frame.f_lasti > self._offset(frame.f_code, body)

    def _offset(self, code: CodeType, line: int) -> int:
        key = (code, line)
        if key not in self._first:
            starts = [start for start, _, at in code.co_lines() if at == line]
            # A block whose body leaves no instruction is never left in this sense.
            self._first[key] = min(starts, default=sys.maxsize)
        return self._first[key]


@functools.cache
def _bodies(name: str) -> dict[int, int]:
    return bodies_of_blocks((ROOT / name).read_text())


def read(path: Path) -> list[Step]:
    """The steps of a file; none when it is not there yet."""
    return [Step.parse(line) for line in path.read_text().splitlines()] if path.exists() else []


def noting(path: Path) -> Callable[[Step], None]:
    """Return what writes a step to a file, durable over a kill."""
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    return lambda step: (os.write(number, f"{step.text}\n".encode()), None)[1]


def main(service: str, directory: Path) -> None:
    """Live again after each kill, until a life ends in another way; the exit status is its."""
    # The service must see the command line that it has otherwise.
    sys.argv = [f"services.{service}"]
    importlib.import_module(f"services.{service}.app")
    note = noting(directory / "reached")
    while True:
        reached = {step.place for step in read(directory / "reached")}
        plan = [step for step in read(directory / "plan") if step.place not in reached]
        killer = Killer(plan, note, looking=(directory / "looking").exists())
        child = os.fork()
        if child == 0:
            _live(service, killer)
            return
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(os.waitstatus_to_exitcode(status))


def alone() -> None:
    """End with the parent: whoever kills it, or ends it, means the service."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _live(service: str, killer: Killer) -> None:
    alone()
    threading.settrace(killer)
    sys.settrace(killer)
    runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
