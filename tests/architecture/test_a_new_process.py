"""A process that is a folder, a line of the launcher and a line of rights is found by all else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from launcher.ports import free_port
from launcher.startup import serving
from launcher.temporary import temporary_database
from tests.acceptance.harness import until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = {
    "__init__": '"""ticker: ticks, and nothing else."""\n',
    "__main__": """
from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from services.ticker.app import run
        from services.ticker.settings import Settings
        from tradingtools.runtime import process

    process.main("ticker", Settings, run)
""",
    "settings": '''
from dataclasses import dataclass, field
from tradingtools.settings import SharedSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the ticker is told at start."""

    listen: str = setting("127.0.0.1:0")
    """Where its gRPC server listens."""
    events_target: str = setting()
    """Where the log of events is served, ``host:port``."""
    shared: SharedSettings = field(default_factory=SharedSettings)
''',
    "app": """
from tradingtools.runtime.composition import composed


async def run(settings, stop):
    async with composed("ticker", settings) as parts:
        await parts.lease(await parts.pool(size=1))
        parts.channel(settings.events_target)
        await parts.serve(settings.listen, [], lambda _: None)
        await parts.run(stop)
""",
    "core/__init__": '"""Decisions."""\n',
}
LINES = {
    "launcher/core/programs.py": (
        '    Process(name="perfmon", calls="confirm bookfeed", redis=True, inside=True),\n',
        '    Process(name="ticker", calls="events"),\n',
    ),
    "tradingtools/storage/postgres/rights.py": (
        "RIGHTS: Mapping[str, _Rights] = {\n",
        '    "ticker": _LEASE,\n',
    ),
}
_FOUND = """
import json
from launcher.core import programs
from launcher.engine_tokens import CALLERS
from tests.support import prepared
from tools import scraping, settings_tables
from tradingtools import settings
ports = {name: port for port, name in enumerate(programs.PORTS, 20_000)}
layout = programs.Layout(
    python="python", directory="/x", ports=ports, embedded_postgres=True, embedded_redis=True,
    paper_insiders=True, paper_venue=True,
)
environ = programs.environment(layout, {}, token_digest="d", operator_digest="o")
run = programs.programs(
    layout, postgres=((), None), valkey=(), envoy=(), metrics_port=9400, environ=environ
)
(own,) = [program for program in run if program.name == "ticker"]
told, at = own.environment, f"127.0.0.1:{ports['ticker']}"
tables, scraped = settings_tables.document(), scraping.document()
print(json.dumps({
    "a process whose settings the others ignore": "TICKER" in settings.PROCESSES,
    "started": own.command == ("python", "-m", "services.ticker"),
    "told where to listen": told.get("TT_TICKER_LISTEN") == at,
    "told whom to call": told.get("TT_TICKER_EVENTS_TARGET") == environ["TT_EVENTS_LISTEN"],
    "told where the database is": "TT_DATABASE_URL" in told,
    "no Redis": "TT_REDIS_URL" not in told,
    "known to the others by a token": "ticker" in CALLERS,
    "asked for its health": "ticker=127.0.0.1" in environ["TT_ALERTS_PROCESSES"],
    "scraped": f':{told["TT_METRICS_PORT"]}"], labels: {{service: ticker}}' in scraped,
    "in the tables of settings": "## ticker\\n\\nTicks, and nothing else." in tables
        and "`TT_TICKER_EVENTS_TARGET`" in tables,
    "prepared for tests": "services.ticker" in prepared._PROCESSES,
}))
"""
WALKS = (
    "tests/unit/runtime/test_poller.py",
    "tests/unit/runtime/test_settings_tables.py",
    "tests/integration/test_rights.py",
    "tests/launcher/test_closed_stores.py",
    "tests/packaging/test_wheel.py",
)
"""Tests that have a case for each process."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with one process more."""
    made = tmp_path_factory.mktemp("copy")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made / name)
    for name, text in FOLDER.items():
        (made / "services" / "ticker" / "core").mkdir(parents=True, exist_ok=True)
        (made / "services" / "ticker" / f"{name}.py").write_text(text)
    for name, (before, line) in LINES.items():
        text = (made / name).read_text()
        assert text.count(before) == 1, name
        (made / name).write_text(text.replace(before, before + line))
    return made


def _environ(copy: Path, **settings: str) -> dict[str, str]:
    ours = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **ours, **settings}


def _run(copy: Path, *command: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=copy,
        env=_environ(copy, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_the_launcher_the_documents_and_the_tests_find_it(copy: Path) -> None:
    done = _run(copy, sys.executable, "-c", _FOUND)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [what for what, yes in found.items() if not yes] == []


@pytest.mark.slow
def test_each_test_with_a_case_for_each_process_has_one_for_it(copy: Path) -> None:
    done = _run(
        copy, sys.executable, "-m", "pytest", "--collect-only", "-q", "-k", "ticker",
        "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", *WALKS,
    )  # fmt: skip
    assert [name for name in WALKS if f"{name}::" not in done.stdout] == [], done.stdout


@pytest.mark.slow
def test_the_contracts_of_imports_hold_for_it(copy: Path) -> None:
    lint = (Path(sys.executable).with_name("lint-imports"), "--no-cache")
    core = copy / "services" / "ticker" / "core" / "rules.py"
    core.write_text("import time\nimport services.router.core\nimport tradingtools.storage\n")
    try:
        said = _run(copy, *lint).stdout
    finally:
        core.unlink()
    broken = [line.rpartition(" ")[0] for line in said.splitlines() if line.endswith(" BROKEN")]
    assert broken == [
        "Services import neither each other nor the world outside",
        "Cores and the domain decide; they do no I/O, know no clock and no framework",
        "Cores decide by values: no store, no gRPC, no far side's wire",
    ], said


@pytest.fixture
def migrated(copy: Path, postgres_server: str) -> Iterator[str]:
    """The URL of a database that the copy has migrated."""
    with temporary_database(postgres_server) as url:
        done = _run(copy, sys.executable, "-m", "tradingtools.runtime.migrate", TT_DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        yield url
    with psycopg.connect(postgres_server, autocommit=True) as owner:
        owner.execute("drop role tradingtools_ticker")


@pytest.mark.slow
def test_it_runs_with_its_rights_serves_and_ends(copy: Path, migrated: str) -> None:
    with psycopg.connect(migrated) as owner:
        rights = owner.execute(
            "select table_name from information_schema.role_table_grants"
            " where grantee = 'tradingtools_ticker' and privilege_type = 'INSERT' order by 1"
        ).fetchall()
    assert rights == [("partition_lease",), ("process_event",)]
    at = f"127.0.0.1:{free_port()}"
    settings = {
        "TT_DATABASE_URL": migrated, "TT_TICKER_LISTEN": at, "TT_TICKER_EVENTS_TARGET": at,
        "TT_ENGINE_OPEN": "true",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "services.ticker"], cwd=copy, env=_environ(copy, **settings)
    )
    try:
        until(lambda: process.poll() is not None or serving(at), 60, "serving")
        with psycopg.connect(migrated) as owner:
            held = owner.execute("select role, owner from partition_lease").fetchall()
        assert held == [("ticker", "ticker-0")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
