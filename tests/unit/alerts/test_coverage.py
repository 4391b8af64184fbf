"""Test that whatever calls a person in the code has a name, a rule, and a place that says what to
do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.alerts import rules_file
from tradingtools.runtime.alert_lines import ANY, LINES, OTHER, Counter

ROOT = Path(__file__).resolve().parents[3]
RUNBOOK = (ROOT / "docs" / "alerts.md").read_text()
SHIPPED = rules_file.load(None).rules
NAMES = {name for lines in LINES.values() for name in lines.values()} | {OTHER}
ELSEWHERE = {
    "tradingtools/runtime/backlog.py": ("router", "executor"),
    "tradingtools/venues/polymarket/unreadable.py": ("ingest", "bookfeed"),
}
"""Shared code that not every process runs."""


def _sites() -> Iterator[tuple[Path, str]]:
    """Each line of the code that calls a person: where it is, and what it says."""
    for folder in ("services", "tradingtools", "launcher"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and any(
                    word.arg == "alert"
                    and isinstance(word.value, ast.Constant)
                    and word.value.value is True
                    for word in node.keywords
                ):
                    yield from ((path, text) for text in _texts(tree, node.args[0]))


def _texts(tree: ast.Module, statuses: ast.expr) -> list[str]:
    """Return a line's possible texts: its own, or all of the table that it is looked up in."""
    if isinstance(statuses, ast.Constant):
        return [str(statuses.value)]
    assert isinstance(statuses, ast.Subscript), ast.dump(statuses)
    assert isinstance(statuses.value, ast.Name)
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == statuses.value.id
    )
    assert isinstance(table, ast.Dict)
    return [str(ast.literal_eval(value)) for value in table.values]


SITES = list(_sites())


def _processes(path: Path) -> tuple[str, ...]:
    relative = path.relative_to(ROOT)
    if relative.parts[0] == "services":
        return (relative.parts[1],)
    return ELSEWHERE.get(str(relative), (ANY,))


@pytest.mark.parametrize(("path", "text"), SITES, ids=[text for _, text in SITES])
def test_a_line_that_calls_a_person_is_counted_by_name(path: Path, text: str) -> None:
    for process in _processes(path):
        assert text in {**LINES[ANY], **LINES.get(process, {})}, f"{process}: {text}"


def test_no_line_is_named_that_nobody_says() -> None:
    statuses = {text for _, text in SITES}
    assert {text for lines in LINES.values() for text in lines} == statuses
    assert len(SITES) > 30


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_has_a_rule_and_says_what_to_do(name: str) -> None:
    rule = SHIPPED["code-alert"]
    excepted = name in rule.unless["name"]
    own = {"backlog": "backlog", "breaker_opened": "breaker-open", "gate_halted": "halt",
           "lot_corrected": "position-corrected"}  # fmt: skip
    if excepted:
        assert own.get(name, name.replace("_", "-")) in SHIPPED
    assert re.search(rf"^\|[^|]*`{name}`[^|]*\|[^|]+\|[^|]{{15,}}\|$", RUNBOOK, re.MULTILINE), name


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_rule_has_its_place_in_the_runbook(name: str) -> None:
    assert re.search(rf"^### {name}\n.{{30,}}", RUNBOOK, re.MULTILINE)


def test_links_within_the_runbook_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", RUNBOOK)) <= anchors


def test_a_line_is_counted_and_goes_on() -> None:
    line = {"event": "books stay in doubt; REST alone tells them", "alert": True}
    counter = Counter("bookfeed")
    counter.begin()
    assert counter(None, "error", line) is line
    assert counter(None, "error", {"event": "unheard of", "alert": True})
