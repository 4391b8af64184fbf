"""`make run BOTS=1`: one paper bot quotes and fills by itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.harness import running, until

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
_TRADES = re.compile(r"bot paper RUNNING: [12] quotes, [1-9]")


def test_a_run_shows_a_bot_that_quotes_and_fills(tmp_path: Path) -> None:
    with running(tmp_path / "run", TT_LAUNCHER_BOTS="1") as run:
        run.says("makes a market at the paper OKX")
        until(lambda: bool(_TRADES.search(run.output)), 240, "quotes and fills of the bot")
        run.interrupt()
        assert run.ends() == 0
