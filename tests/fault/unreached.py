"""Why kill-lines never comes to some steps: a table that the tool and a test keep honest.

Before it: `steps.py`, every step there is. After it: `kill_lines.py`, which names what was never
reached and is not here, and what is here and was reached after all. A step that is not here and was
not reached in some run is one that the run was too short for.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tests.fault.steps import ROOT, Step

_ROUTER, _EXECUTOR = "services/router", "services/executor"
_CONFIRM, _GUARD = "services/confirm", "services/guard"
_CLIENT = "tradingtools/adapters/insiders/client.py"
_OURS = frozenset({"AssertionError", "LookupError", "RuntimeError", "ValueError"})
MISTAKE = "only a mistake of the engine's own raises it"
_METRICS = "metrics are read where an exporter is configured, which is not here; nothing is written"
_READS = "asked before the killing begins, by a new subscription; reads only"
_SINGLY = "the database refuses no record or outcome here: tests/money_path/test_set_aside.py"
_GATE = "the last gate has no limits here: tests/money_path/test_gate_halts.py"
_FULL = "a bound of memory that this workload is far from"
_PAPER = "nobody here copies on paper or saves up: tests/unit/router"


@dataclass(frozen=True, slots=True)
class Entry:
    """Steps that are not reached.

    Args:
        path: of the module.
        function: its qualified name.
        why: the reason.
        statement: how the lines begin; empty: all of the function.
    """

    path: str
    function: str
    why: str
    statement: str = ""

    def holds(self, step: Step) -> bool:
        """Whether a step is one of these."""
        return (
            step.path == self.path
            and _functions(step.path).get(step.line) == self.function
            and _lines(step.path)[step.line - 1].strip().startswith(self.statement)
        )


UNREACHED = (
    Entry(f"{_ROUTER}/app.py", "_follow_ingest", "ingest's log is never another one", "cursor"),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "ledger.accrue"),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "owner ="),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "moved ="),
    Entry(f"{_ROUTER}/recovery.py", "_recover_sums", _PAPER, "memory.move_paper"),
    Entry(f"{_ROUTER}/server.py", "RouterServicer.PreviewRoute", _READS),
    Entry(f"{_ROUTER}/store.py", "lots_now", _READS),
    Entry(f"{_ROUTER}/worker.py", "Router.preview", _READS),
    Entry(f"{_EXECUTOR}/breaker.py", "_observe", _METRICS),
    Entry(f"{_EXECUTOR}/recorder.py", "Recorder._store_singly", _SINGLY),
    Entry(f"{_EXECUTOR}/recorder.py", "Recorder._store", _SINGLY, "return await self"),
    Entry(f"{_EXECUTOR}/sender.py", "Sender._left_lane", MISTAKE, "_log.error"),
    Entry(f"{_EXECUTOR}/store.py", "build_or_set_aside", _SINGLY),
    Entry(f"{_EXECUTOR}/store.py", "halt", _GATE),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._forget", _FULL, "self._seen.popitem"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._halt", _GATE, "if await"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._halt", _GATE, "_halts.add"),
    Entry(f"{_EXECUTOR}/worker.py", "Executor._halt", _GATE, "_log.error"),
    Entry(_CLIENT, "InsidersClient.__init__", "insiders-api wants no token", "self._common +="),
    Entry(f"{_CONFIRM}/alerts.py", "_observe", _METRICS),
    Entry(f"{_CONFIRM}/alerts.py", "_orders", _METRICS),
    Entry(f"{_CONFIRM}/alerts.py", "_ages", _METRICS),
    Entry(f"{_CONFIRM}/payouts.py", "Payouts.on_books", _FULL, "self._payouts.popitem"),
    Entry(f"{_CONFIRM}/sealer.py", "Sealer._observe", _METRICS),
    Entry(f"{_GUARD}/known.py", "Known.put", "there is one partition", "return"),
    Entry("tradingtools/adapters/postgres/journal.py", "build_rows_or_set_aside", _SINGLY,
          "_log.error"),
    Entry("tradingtools/adapters/postgres/journal.py", "build_rows_or_set_aside", _SINGLY,
          "await connection.execute(_QUERIES[\"set_aside\"]"),
)  # fmt: skip


def why(step: Step) -> str:
    """Why a step is not reached; empty: there is no reason."""
    if step.line in _contradictions(step.path):
        return MISTAKE
    return next((entry.why for entry in UNREACHED if entry.holds(step)), "")


def untrue(reached: Iterable[Step]) -> list[Entry]:
    """Entries of the table that have a step which was reached."""
    steps = list(reached)
    return [entry for entry in UNREACHED if any(entry.holds(step) for step in steps)]


def empty(every: Collection[Step]) -> list[Entry]:
    """Entries that are about no step at all."""
    return [entry for entry in UNREACHED if not any(entry.holds(step) for step in every)]


@functools.cache
def _lines(path: str) -> list[str]:
    return (ROOT / path).read_text().splitlines()


@functools.cache
def _functions(path: str) -> dict[int, str]:
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

    visit(ast.parse("\n".join(_lines(path))), ())
    return found


@functools.cache
def _contradictions(path: str) -> frozenset[int]:
    """Lines that raise what the engine never means to."""
    return frozenset(
        node.lineno
        for node in ast.walk(ast.parse("\n".join(_lines(path))))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in _OURS
    )
