"""A base backup on real PostgreSQL: taken beside writes, tried, damaged, put back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backup.errors import Refused
from backup.restoring import restore
from backup.taking import take
from backup.trying import examine, started
from launcher.state import open_state
from launcher.temporary import in_memory, temporary_postgres
from tests.cli.world import call, fits
from tradingtools.storage.postgres.migrate import migrate

_HALT = "select halt_by_engine('WALLET', %s, 'REDUCING', 'test', 'for a test')"
_WALLET = "0x" + "aa" * 20


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server of ours alone, with one change in its audit."""
    with temporary_postgres(durable=False) as url:
        migrate(url)
        _write(url, _HALT, _WALLET)
        yield url


@pytest.fixture(scope="module")
def backup(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("backup") / "taken"
    assert take(server, directory) == "postgres"
    return directory


def _write(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode(), values)


def as_json(*arguments: str) -> Any:
    """Return what a command answers, as its schema says it."""
    said = call(*arguments, "--json", environ={})
    assert said.status == 0, said.err
    fits(said.json, *arguments[:2])
    return said.json


def test_tt_takes_a_backup_and_checks_it(server: str, tmp_path: Path) -> None:
    one = str(tmp_path / "one")
    taken = as_json("backup", "take", one, "--database", server)
    assert taken["audited"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert as_json("backup", "check", one) == taken
    again = call("backup", "take", one, "--database", server, environ={})
    assert (again.status, "is there already" in again.err) == (5, True)


def test_a_wrong_password_is_refused_and_leaves_nothing(server: str, tmp_path: Path) -> None:
    wrong = server.replace("postgres:", "postgres:ff", 1)
    with pytest.raises(Refused, match="password authentication failed"):
        take(wrong, tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_found(backup: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(backup, damaged)
    file = max((damaged / "base").rglob("*"), key=lambda path: path.stat().st_size)
    with file.open("r+b") as held:
        held.seek(file.stat().st_size // 2)
        before = held.read(1)
        held.seek(-1, 1)
        held.write(bytes([before[0] ^ 1]))
    with pytest.raises(Refused, match="checksum mismatch"):
        examine(damaged, "postgres")


def test_a_backup_with_a_cut_audit_is_no_good(server: str, tmp_path: Path) -> None:
    _write(server, _HALT, "0x" + "bb" * 20)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "delete from control_change where seq = (select min(seq) from control_change)"
        )
    take(server, tmp_path / "cut")
    with pytest.raises(Refused, match="the audit is broken"):
        examine(tmp_path / "cut", "postgres")


def test_a_restored_run_is_halted_and_its_old_database_kept(backup: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix="tt-restore-", dir=in_memory()))
    try:
        _restored_twice(backup, place / "state")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _restored_twice(backup: Path, state: Path) -> None:
    state.parent.chmod(0o755)
    held = open_state(str(state))
    with pytest.raises(Refused, match="in use"):
        restore(backup, state)
    held.close()

    first = as_json("backup", "restore", str(backup), "--state", str(state), "--yes")
    assert first["replaced"] == ""
    assert _halts(Path(first["data"]), state) == [("GLOBAL", "HALTED"), ("WALLET", "REDUCING")]

    second = restore(backup, state)
    assert (Path(second["replaced"]) / "PG_VERSION").exists()
    shutil.rmtree(second["replaced"])
    shutil.rmtree(second["data"])


def _halts(data: Path, state: Path) -> list[tuple[str, str]]:
    with started(data, state / "logs" / "looked") as url, psycopg.connect(url) as connection:
        return connection.execute("select scope, mode from halt order by scope").fetchall()
