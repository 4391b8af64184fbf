"""Prometheus' rules and Grafana's boards: each rule is tried, each name is one that is exported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from launcher.core.programs import ALL
from launcher.ports import claim, free_port
from launcher.state import read_note
from tests.acceptance.harness import END_SECONDS, running, until
from tools import boards, scraping

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "observability"
RULES = ("alerts.yml", "bots.yml", "slo.yml")
TESTS = ("tests.yml", "bots_tests.yml")
"""Apart: each file's rules are judged by all of its tests."""
_UNPACKED = ROOT / "build" / "prometheus" / "usr" / "bin" / "promtool"
_PROCESS = """
import sys, urllib.request
from importlib import import_module
import_module(f"services.{sys.argv[1]}.app")
from tradingtools.runtime import telemetry
from tradingtools.settings import SharedSettings
port = int(sys.argv[2])
telemetry.configure(sys.argv[1], SharedSettings(metrics_port=port))
print(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
"""


def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / "rules" / name).read_text())


def _rules() -> Iterator[dict[str, Any]]:
    for name in RULES:
        for group in _read(name)["groups"]:
            yield from group["rules"]


ALERTS = [rule for rule in _rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in _rules() if "record" in rule}
EXPRESSIONS = sorted({*(rule["expr"] for rule in _rules()), *boards.expressions()})


def _promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool") or (str(_UNPACKED) if _UNPACKED.exists() else None)
    if found is None:
        missing = "promtool is not installed (apt-get install prometheus, or make promtool)"
        assert not os.environ.get("PROMTOOL_REQUIRED"), missing
        warnings.warn(f"the rules are NOT tried: {missing}", stacklevel=2)
        pytest.skip(missing)
    return subprocess.run(
        [found, *arguments], cwd=FOLDER / "rules", input=given, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    for arguments in (("check", "rules", *RULES), ("check", "config", "../prometheus.yml")):
        done = _promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_every_process() -> None:
    committed = scraping.DOCUMENT.read_text(encoding="utf-8")
    assert committed == scraping.document(), "run python -m tools.scraping"


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    done = _promtool("test", "rules", *TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_tried_both_ways_and_says_what_to_do(rule: dict[str, Any]) -> None:
    tried = [
        bool(one["exp_alerts"])
        for name in TESTS
        for test in _read(name)["tests"]
        for one in test["alert_rule_test"]
        if one["alertname"] == rule["alert"]
    ]
    assert {*tried} == {True, False}
    assert rule["labels"]["severity"] in ("critical", "warning")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^### (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}


def _names(expression: promql_parser.Expr) -> set[str]:
    """The names of all metrics that an expression reads."""
    return {
        str(node.name)
        for node in _nodes(expression)
        if isinstance(node, promql_parser.VectorSelector)
    }


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from _nodes(inner)
    for inner in getattr(node, "args", ()):
        yield from _nodes(inner)


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """Return what each process shows from the start, before anything happens."""
    found: dict[str, str] = {}
    for process in ALL:
        done = subprocess.run(
            [sys.executable, "-c", _PROCESS, process, str(free_port())],
            env={name: value for name, value in os.environ.items() if not name.startswith("TT_")},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[process] = done.stdout
    return found


@pytest.fixture(scope="module")
def exported(shown: dict[str, str]) -> set[str]:
    """The names of all series that the processes show from the start."""
    return {"up"}.union(*map(_series, shown.values()))


def test_prometheus_finds_no_fault_with_what_processes_show(shown: dict[str, str]) -> None:
    for process, text in shown.items():
        # A print ends with a line's end of its own.
        done = _promtool("check", "metrics", given=text.rstrip() + "\n")
        assert {*done.stderr.splitlines()} <= IN_MILLISECONDS, process
    assert _promtool("check", "metrics", given="# TYPE a_total gauge\na_total 1\n").returncode != 0


IN_MILLISECONDS = {
    f'{name} use base unit "seconds" instead of "milliseconds"'
    for name in ("backlog_age_milliseconds", "orders_unresolved_oldest_milliseconds")
}
"""What promtool would have otherwise; rules and boards read it as it is."""


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_reads_what_there_is_from_the_start(
    expression: str, exported: set[str]
) -> None:
    names = _names(promql_parser.parse(expression))
    assert names
    assert names - RECORDED - exported - MADE_LATER == set()


MADE_LATER = {
    "alerts_firing", "alerts_deliveries_total", "audit_unsealed", "backlog_age_milliseconds",
    "breaker", "quarantined_total", "triggers_stuck",
}  # fmt: skip
"""There when the process serves, not when it is imported: a run is asked for them."""


def test_the_boards_are_what_the_tables_make() -> None:
    committed = {path.name: path.read_text() for path in boards.FOLDER.glob("*.json")}
    assert committed == {f"{name}.json": boards.board(name) for name in boards.BOARDS}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_shows_all_that_rules_and_boards_read() -> None:
    desired = set().union(*(_names(promql_parser.parse(one)) for one in EXPRESSIONS))
    # PostgreSQL runs as another user, who may not enter pytest's own directories.
    parent = Path(tempfile.mkdtemp(prefix="tt-observability-"))
    parent.chmod(0o755)
    block = claim([str(number) for number in range(20)])
    try:
        with running(
            parent / "run", TT_METRICS_PORT=str(block.base), TT_LAUNCHER_BOTS="true"
        ) as run:
            until(lambda: read_note(run.directory), END_SECONDS, "the run has its ports")

            def missing() -> set[str]:
                ports = run.note.ports.items()
                shown = [_scraped(port) for name, port in ports if name.endswith("_metrics")]
                return desired - RECORDED - {"up"}.union(*shown)

            until(lambda: not missing(), END_SECONDS, "every series")
            run.interrupt()
            run.ends()
    finally:
        block.release()
        shutil.rmtree(parent, ignore_errors=True)


def _scraped(port: int) -> set[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return _series(answer.read().decode())
    except OSError:
        return set()


def _series(text: str) -> set[str]:
    """The names in what a process shows."""
    lines = text.splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if line and not line.startswith("#")}
