"""Test that what lives as long as a block is gone after it, and lies in memory only where there is
room."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import psycopg
import pytest

from launcher import temporary


def test_a_database_goes_with_its_block_whoever_is_connected(postgres_server: str) -> None:
    with temporary.temporary_database(postgres_server) as url:
        connection = psycopg.connect(url)
        assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


@pytest.mark.parametrize(("free_gib", "taken"), [(3, False), (4, True)])
def test_memory_is_taken_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: int, taken: bool
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda place: usage(0, 0, free_gib << 30))
    assert temporary.in_memory(tmp_path) == (tmp_path if taken else None)


def test_memory_is_not_taken_where_there_is_none(tmp_path: Path) -> None:
    assert temporary.in_memory(tmp_path / "none") is None
