"""`tt bots backtest` as a person calls it."""

from __future__ import annotations

import json as text
from pathlib import Path
from typing import Any

import pytest

from tests.backtest import bots
from tests.cli.world import call, fits


@pytest.fixture
def bot(tmp_path: Path) -> str:
    path = tmp_path / "bot.json"
    path.write_text(text.dumps(bots.file("market_making", bots.SWAP) | {"name": "me"}))
    return str(path)


def json(*arguments: str) -> Any:
    """Call a command for JSON, and see that it is as its schema says."""
    said = call(*arguments, "--json", environ={})
    assert said.status == 0, said
    fits(said.json, *arguments[:2])
    return said.json


def test_a_bot_is_tried_and_its_settings_are_swept(bot: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    requested = ("--file", bot, "--seconds", "20")
    said = call("bots", "backtest", *requested, "--report", str(page), environ={})
    assert said.status == 0, said
    assert "\nsources   spread " in said.out
    assert f"\nreport: {page}" in said.out
    assert "<svg" in page.read_text(encoding="utf-8")
    varied = json("bots", "backtest", *requested, "--vary", "seed=1,2", "--jobs", "1")
    assert [run["seed"] for run in varied["runs"]] == [1, 2]


def test_a_wrong_option_is_named(bot: str) -> None:
    requested = ("bots", "backtest", "--file", bot)
    for option, expected in (
        (("--vary", "orderSize"), "expected SETTING=VALUE,VALUE"),
        (("--set", "fee=1"), "expected one of latencyMs"),
        (("--set", "drift=up"), "expected a number"),
        (("--vary", "orderSize=0"), "config.marketMaking.orderSize: expected"),
    ):
        said = call(*requested, *option, environ={})
        assert (said.status, expected in said.err) == (2, True), said
