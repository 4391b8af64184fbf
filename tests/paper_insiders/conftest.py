"""Fixtures of the tests of the paper insiders-api."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.paper_insiders.harness import Paper, book, served


@pytest.fixture
async def paper(tmp_path: Path) -> AsyncIterator[Paper]:
    """A fresh one that settles fast, with one deep book."""
    async with served(tmp_path, settle_delay_ms=40, default_cash_usdc=1000) as paper:
        await paper.put_book(book(asks={"0.5": "1000"}, bids={"0.4": "1000"}))
        yield paper
