"""`tt replay` as a person calls it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.cli.world import call, fits
from tests.replay.test_day import RecordedLife


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recording")
    asyncio.run(RecordedLife(seed=1, often=0.0, directory=directory).live())
    return directory


def json(*arguments: str, **environ: str) -> Any:
    """Call a command for JSON, and see that it is as its schema says."""
    said = call(*arguments, "--json", environ=environ)
    assert said.status == 0, said
    fits(said.json, arguments[0])
    return said.json


def test_a_day_is_told_for_people_and_for_programs(recorded: Path) -> None:
    said = call("replay", "--recording", str(recorded), environ={})
    assert said.status == 0, said
    assert "\nevery decision is the same\n" in said.out
    assert "times real time" in said.out
    assert "not compared: no database is named" in said.out
    (day,) = [each.name for each in recorded.iterdir()]
    reported = json("replay", day, TT_RECORDING_DIR=str(recorded))
    assert (reported["day"], reported["same"]) == (day, True)


def test_a_damaged_recording_is_not_well(recorded: Path, tmp_path: Path) -> None:
    (day,) = recorded.iterdir()
    (tmp_path / day.name).mkdir()
    (tmp_path / day.name / "router-0-1.recording").write_bytes(b"\x00\x00\x00\x02nothing")
    said = call("replay", "--recording", str(tmp_path), environ={})
    assert (said.status, "is damaged" in said.out) == (1, True)


def test_a_day_that_is_not_there_and_a_wrong_one_are_refused(
    recorded: Path, tmp_path: Path
) -> None:
    absent = call("replay", "2020-01-01", "--recording", str(recorded), environ={})
    assert (absent.status, "2020-01-01 is not recorded" in absent.err) == (2, True)
    wrong = call("replay", "yesterday", "--recording", str(recorded), environ={})
    assert (wrong.status, "day: 'yesterday' is not YYYY-MM-DD" in wrong.err) == (2, True)
    empty = call("replay", "--recording", str(tmp_path), environ={})
    assert (empty.status, "no day is recorded there" in empty.err) == (2, True)
    silent = call(
        "replay", "--recording", str(recorded),
        environ={"TT_DATABASE_URL": "postgresql://127.0.0.1:1/x"},
    )  # fmt: skip
    assert (silent.status, "tt: database: " in silent.err) == (2, True)
