"""CONTRIBUTING names files that are there, commands that run, and answers what people add."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADDED = TEXT.partition("## To add\n")[2].partition("\n## ")[0]
HEADS = re.split(r"^\*\*(.+?)\*\*", ADDED, flags=re.MULTILINE)[1:]
ANSWERS = dict(zip(HEADS[::2], HEADS[1::2], strict=True))
ASKED = (
    "A mode of sizing", "A REST route and its RPC", "A venue", "A consumer of events", "A process",
    "A setting", "A state",
)  # fmt: skip
FILES = re.compile(r"`([\w.<>*-]*/[\w./<>*-]*|[\w-]+\.(?:py|sql|md|yaml))`")


def _is_there(name: str) -> bool:
    """Return whether a file or folder has the name; ``<name>`` stands for some."""
    found = re.sub("<[a-z]+>", "*", name).rstrip("/")
    return bool(list(ROOT.glob(found))) if "/" in found else bool(list(ROOT.rglob(found)))


@pytest.mark.parametrize("what", ASKED)
def test_it_says_where_to_begin_with(what: str) -> None:
    named = FILES.findall(ANSWERS[what])
    assert len([name for name in named if "/" in name]) >= 3, named
    assert [name for name in named if not _is_there(name)] == []


def test_every_file_that_it_names_is_there() -> None:
    named = {name for name in FILES.findall(TEXT) if not name.startswith(".venv")}
    assert len(named) > 50
    assert [name for name in sorted(named) if not _is_there(name)] == []


def test_every_command_that_it_names_runs() -> None:
    modules = set(re.findall(r"`python -m ([\w.]+)", TEXT))
    assert len(modules) > 3
    assert [name for name in sorted(modules) if find_spec(name) is None] == []
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([\w-]+)", TEXT)) <= targets
