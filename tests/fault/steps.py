"""The steps of a service at which it can be killed: its statements, read from the source.

Before it: nothing; the source is the list. After it: `at_line.py` kills a process at a step, and
`kill_lines.py` takes one step after the other. A step is the instant before a statement, or the
instant before a `with` block is left, which is where a transaction commits.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[2]

_SHARED = (
    "tradingtools/storage/postgres/journal.py",
    "tradingtools/storage/postgres/lease.py",
    "tradingtools/runtime/claim_tail.py",
    "tradingtools/runtime/cursors.py",
    "tradingtools/runtime/consumer.py",
)
_CLIENT = ("tradingtools/venues/insiders/order_gateway.py",)
# Nothing durable, nothing sent: a kill there is a kill in the statement that called it.
_NO_STEPS = frozenset({"__init__.py", "__main__.py", "settings.py"})


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One place to be killed at.

    Args:
        path: of the module, from the root of the repository.
        line: of the statement, from 1.
        leaving: the end of this `with` block instead of its beginning.
        times: how often it is reached before the kill, from 1.
    """

    path: str
    line: int
    leaving: bool = False
    times: int = 1

    @property
    def text(self) -> str:
        """One line for a plan or a report."""
        return f"{self.path} {self.line} {'leave' if self.leaving else 'before'} {self.times}"

    @staticmethod
    def parse(text: str) -> Step:
        """Return what `text` wrote."""
        path, line, where, times = text.split()
        return Step(path, int(line), where == "leave", int(times))

    @property
    def place(self) -> tuple[str, int, bool]:
        """Where, whatever the count."""
        return self.path, self.line, self.leaving


def steps_of(service: str) -> list[Step]:
    """Every step of a service, in the order of its files and lines."""
    own = sorted((ROOT / "services" / service).glob("*.py"))
    names = [str(path.relative_to(ROOT)) for path in own if path.name not in _NO_STEPS]
    names += [*_SHARED, *(_CLIENT if service in ("executor", "confirm") else ())]
    return [step for name in names for step in steps_in((ROOT / name).read_text(), name)]


def steps_in(source: str, path: str) -> list[Step]:
    """Every step of one module; what the compiler leaves no trace of is no step."""
    traced = set(_lines(compile(source, path, "exec")))
    found = set()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {step for step in _within(function, path) if step.line in traced}
    return sorted(found)


def _within(function: ast.FunctionDef | ast.AsyncFunctionDef, path: str) -> Iterator[Step]:
    for node in ast.walk(function):
        if not isinstance(node, ast.stmt) or node is function or _silent(node):
            continue
        yield Step(path, node.lineno)
        if isinstance(node, ast.With | ast.AsyncWith):
            yield Step(path, node.lineno, leaving=True)


def _silent(node: ast.stmt) -> bool:
    """Statements that do nothing: a docstring, a bare annotation, a declaration of names."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, ast.Try | ast.Pass | ast.Global | ast.Nonlocal)


def bodies_of_blocks(source: str) -> dict[int, int]:
    """The first line of each `with` block's body, by the line of the `with`."""
    return {
        node.lineno: node.body[0].lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.With | ast.AsyncWith)
    }


def _lines(code: CodeType) -> Iterator[int]:
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _lines(constant)
