"""The page "Write your first strategy", done as it says: files, lines, commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "first_strategy.md"
_COPIED = (
    "backtest",
    "buf",
    "cli",
    "docs",
    "paper",
    "services",
    "tradingtools",
    "tradingtools_client",
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"`([\w/]+\.(?:py|json))`")


def followed(text: str, into: Path) -> list[str]:
    """Do what the page says to the files; return its commands."""
    commands: list[str] = []
    path, read = "", 0
    for block in _BLOCK.finditer(text):
        named = _FILE.findall(text[read : block.start()])
        path, read = (named[-1] if named else path), block.end()
        kind, body = block.groups()
        if kind in ("python", "json"):
            (into / path).write_text(body, encoding="utf-8")
        elif kind == "diff":
            _add(into / path, body)
        elif not kind:
            commands += body.splitlines()
    return commands


def _add(path: Path, body: str) -> None:
    lines = body.splitlines()
    anchor = "\n".join(line[1:] for line in lines if line.startswith(" ")) + "\n"
    added = "\n".join(line[1:] for line in lines if line.startswith("+")) + "\n"
    text = path.read_text(encoding="utf-8")
    assert text.count(anchor) == 1, f"{path.name} has not the line {anchor!r} once"
    path.write_text(text.replace(anchor, anchor + added), encoding="utf-8")


def call(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the page; ``./tt`` is the copy's."""
    words = shlex.split(command)
    assert words[0] == "./tt"
    return subprocess.run(
        [sys.executable, "-m", "cli", *words[1:]], cwd=place, capture_output=True, text=True,
        timeout=300, check=False, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(place)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("checkout")
    skip = shutil.ignore_patterns("__pycache__", "*.png", "adr")
    for name in _COPIED:
        shutil.copytree(ROOT / name, into / name, ignore=skip)
    return into


@pytest.mark.timeout(1_200)
def test_a_newcomer_who_follows_the_page_has_a_strategy_that_trades(place: Path) -> None:
    tried, swept = followed(PAGE.read_text(encoding="utf-8"), place)

    once = call(tried, place)
    assert once.returncode == 0, once.stderr
    assert re.search(r"^momentum: \d+ events, \d+ orders, [1-9]\d* fills", once.stdout, re.M)
    assert "parts of a million above its mean" in once.stdout
    assert (place / "momentum.html").read_text(encoding="utf-8").count("<svg") == 5
    every = call(swept, place)
    assert every.returncode == 0, every.stderr
    assert "6 runs of momentum" in every.stdout
    # The idea alone gains on a trend; where there is none, its fees are lost.
    trend, flat = (
        call(f"{tried} --set {change}", place).stdout for change in ("takerFee=0", "drift=0")
    )
    gains = [float(re.findall(r"^result +(\S+) USDT", it, re.M)[0]) for it in (trend, flat)]
    assert gains[0] > 0 > gains[1]
    # A slip of the pen is told with its line, alone and in a sweep.
    written = place / "services" / "bots" / "strategies" / "momentum.py"
    written.write_text(written.read_text(encoding="utf-8").replace("(bid + ask)", "(bid + aks)"))
    for command in (tried, swept):
        slipped = call(command, place)
        assert slipped.returncode == 2
        assert re.search(r"NameError: name 'aks' is not defined \(.*momentum.py, line \d+\)",
                         slipped.stderr)  # fmt: skip
