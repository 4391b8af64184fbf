"""A service that kills itself: ``python -m tests.fault.at_step SERVICE DIRECTORY``.

It is `at_line.py` for lives that are short of processor time: not every call of a process is
traced, but the modules of the plan are compiled with a call before each step, and no other. The
files of the directory are the same, and so are the lives.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from tests.fault.at_line import alone, noting, read
from tests.fault.steps import ROOT, Step

_AT = "__tests_fault_at_step__"


class Killer:
    """Ends the process at the first step of a plan that it comes to.

    Args:
        plan: where to end, at whichever is reached first.
        note: gets the step, durably, before the end.
        looking: go on instead, and note each step once.
    """

    def __init__(
        self, plan: Sequence[Step], note: Callable[[Step], None], *, looking: bool = False
    ) -> None:
        self._left = {step.place: step for step in plan}
        self._note = note
        self._looking = looking

    def __call__(self, path: str, line: int, leaving: bool) -> None:
        """Take that a step is reached."""
        step = self._left.pop((path, line, leaving), None)
        if step is not None:
            self._note(step)
            if not self._looking:
                os.kill(os.getpid(), signal.SIGKILL)


def instrumented(source: str, path: str, plan: Sequence[Step]) -> ast.Module:
    """Return a module that calls whoever kills before each of its steps of a plan."""
    tree = ast.parse(source)
    places = {(step.line, step.leaving) for step in plan if step.path == path}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            _Steps(path, places).within(function)
    return ast.fix_missing_locations(tree)


class _Steps(ast.NodeTransformer):
    def __init__(self, path: str, places: set[tuple[int, bool]]) -> None:
        self._path = path
        self._places = places

    def within(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for name in ("body", "orelse", "finalbody"):
            self._lists(function, name)

    def _lists(self, node: ast.AST, name: str) -> None:
        body = getattr(node, name, None)
        if not isinstance(body, list):
            return
        found: list[ast.stmt] = []
        for one in body:
            if not isinstance(one, ast.stmt):
                continue
            self._inner(one)
            if (one.lineno, False) in self._places:
                found.append(self._call(one, leaving=False))
            found.append(one)
        if found:
            setattr(node, name, found)

    def _inner(self, one: ast.stmt) -> None:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            # Each function is visited by itself.
            return
        for name in ("body", "orelse", "finalbody"):
            self._lists(one, name)
        for handler in getattr(one, "handlers", ()):
            self._lists(handler, "body")
        for case in getattr(one, "cases", ()):
            self._lists(case, "body")
        if isinstance(one, ast.With | ast.AsyncWith) and (one.lineno, True) in self._places:
            leaves = self._call(one, leaving=True)
            body = ast.Try(body=one.body, handlers=[], orelse=[], finalbody=[leaves])
            one.body = [ast.copy_location(body, one.body[0])]

    def _call(self, at: ast.stmt, *, leaving: bool) -> ast.stmt:
        values: list[ast.expr] = [ast.Constant(one) for one in (self._path, at.lineno, leaving)]
        call = ast.Call(func=ast.Name(_AT, ast.Load()), args=values, keywords=[])
        return ast.copy_location(ast.Expr(call), at)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, plan: Sequence[Step]) -> None:
        super().__init__(name, str(ROOT / path))
        self._step_path = path
        self._plan = plan

    def get_code(self, fullname: str) -> CodeType:
        source = (ROOT / self._step_path).read_text()
        tree = instrumented(source, self._step_path, self._plan)
        code: CodeType = compile(tree, str(ROOT / self._step_path), "exec")
        return code


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, plan: Sequence[Step]) -> None:
        self._plan = plan
        paths = {step.path for step in plan}
        self._paths = {one.removesuffix(".py").replace("/", "."): one for one in paths}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        of = self._paths.get(fullname)
        if of is None:
            return None
        return importlib.util.spec_from_loader(fullname, _Loader(fullname, of, self._plan))


def main(service: str, directory: Path) -> None:
    """Live again after each kill, until a life ends in another way; the exit status is its."""
    plan = read(directory / "plan")
    assert all(step.times == 1 for step in plan), "each step counts the first time here"
    for name in [one for one in sys.modules if one.split(".")[0] in ("services", "tradingtools")]:
        # Who was forked has them as they are.
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder(plan))
    setattr(builtins, _AT, lambda *_: None)
    # The service must see the command line that it has otherwise.
    sys.argv = [f"services.{service}"]
    importlib.import_module(f"services.{service}.app")
    note = noting(directory / "reached")
    while True:
        reached = {step.place for step in read(directory / "reached")}
        left = [step for step in plan if step.place not in reached]
        killer = Killer(left, note, looking=(directory / "looking").exists())
        child = os.fork()
        if child == 0:
            alone()
            setattr(builtins, _AT, killer)
            runpy.run_module(f"services.{service}", run_name="__main__", alter_sys=True)
            return
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
