"""The steps that a reason is about: lines of a function, as they stand in the source.

After it: `unreached.py`, the reasons.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass

from tests.fault.steps import ROOT, Step

_OURS = frozenset({"AssertionError", "LookupError", "RuntimeError", "ValueError"})


@dataclass(frozen=True, slots=True)
class Entry:
    """Steps that are not reached.

    Args:
        path: of the module.
        function: its qualified name.
        why: the reason.
        statement: how the lines begin; empty: all of the function.
        below: how the line before them begins, where others begin like them.
        chance: reached in some runs and not in others.
    """

    path: str
    function: str
    why: str
    statement: str = ""
    below: str = ""
    chance: bool = False

    def holds(self, step: Step) -> bool:
        """Return whether a step is one of these."""
        return (
            step.path == self.path
            and functions(step.path).get(step.line) == self.function
            and lines(step.path)[step.line - 1].strip().startswith(self.statement)
            and lines(step.path)[step.line - 2].strip().startswith(self.below)
        )


@functools.cache
def lines(path: str) -> list[str]:
    return (ROOT / path).read_text().splitlines()


@functools.cache
def functions(path: str) -> dict[int, str]:
    """The innermost function of each line."""
    found: dict[int, str] = {}

    def visit(node: ast.AST, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*names, child.name)
                lines = range(child.lineno, (child.end_lineno or child.lineno) + 1)
                found.update(dict.fromkeys(lines, ".".join(inner)))
            visit(child, inner)

    visit(ast.parse("\n".join(lines(path))), ())
    return found


@functools.cache
def contradictions(path: str) -> frozenset[int]:
    """Lines that raise what the engine never means to."""
    return frozenset(
        node.lineno
        for node in ast.walk(ast.parse("\n".join(lines(path))))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in _OURS
    )
