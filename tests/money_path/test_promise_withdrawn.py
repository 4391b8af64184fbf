"""A promise that is withdrawn between confirm's wish and the first byte doubles nothing.

The far side is the paper insiders-api: without the promise the same bytes are a second order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from services.executor import store
from tests.money_path.test_submitting_once import Database, database
from tests.money_path.test_submitting_together import Scene, entry, scene, sending, subscribe
from tests.money_path.world import eventually
from tests.paper_insiders.harness import ASSET, CONDITION, Paper, book, served
from tradingtools.tasks import cancel_all
from tradingtools.venues.insiders.order_body import order_body

__all__ = ["database"]
_WITHDRAWN = {"idempotency": False}


@pytest.fixture
async def paper(tmp_path: Path) -> AsyncIterator[Paper]:
    async with served(tmp_path, settle_delay_ms=40, default_cash_usdc=1000) as made:
        await made.put_book(book(asks={"0.5": "1000"}, bids={"0.4": "1000"}))
        yield made


async def _unanswered(here: Scene, paper: Paper) -> None:
    """Have an order accepted whose answer is lost, and want it sent again."""
    made = entry("lost")
    body = order_body(
        follower=made.follower, condition_id=CONDITION, asset_id=ASSET,
        size_micros=made.size_micros, limit_micros=made.limit_micros,
        time_in_force=made.time_in_force, not_after_ms=made.not_after_ms,
    )  # fmt: skip
    made = structs.replace(made, condition_id=CONDITION, asset_id=ASSET, body=body)
    await paper.fault("reset", "after_accept", path="buy", times=1)
    subscribe(here.database, version=1)
    async with sending(here):
        here.claim([made])
        await eventually(lambda: _unknown(here))
    here.database.execute("update orders set send_again_epoch = epoch")


async def _unknown(here: Scene) -> bool:
    return here.states() == {"UNKNOWN": 1} and not here.executor.queue.in_flight


async def _accepted(paper: Paper) -> int:
    """Return the number of orders there."""
    return len((await paper.state())["orders"])


def _row(here: Scene) -> dict[str, Any]:
    row = here.database.execute("select state, attempt, send_again_epoch from orders").fetchone()
    assert row is not None
    return row


async def test_between_the_wish_and_the_commit(
    database: Database, database_url: str, paper: Paper
) -> None:
    url = f"http://127.0.0.1:{paper.port}"
    async with scene(database, database_url, insiders_url=url) as here:
        await _unanswered(here, paper)
        await paper.notify("PUT", "/capabilities", _WITHDRAWN)
        assert not await here.executor._resender._send_some()
        row = _row(here)
        assert row == {"state": "UNKNOWN", "attempt": 1, "send_again_epoch": None}, (
            "confirm's again"
        )
        assert await _accepted(paper) == 1


async def test_between_the_commit_and_the_first_byte(
    database: Database, database_url: str, paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_again = store.submit_again

    async def withdrawn_behind_it(*arguments: Any) -> Any:
        committed = await submit_again(*arguments)
        await paper.notify("PUT", "/capabilities", _WITHDRAWN)
        return committed

    monkeypatch.setattr(store, "submit_again", withdrawn_behind_it)
    url = f"http://127.0.0.1:{paper.port}"
    async with scene(database, database_url, insiders_url=url) as here:
        await _unanswered(here, paper)
        assert await here.executor._resender._send_some()
        await eventually(lambda: _unknown(here))
        assert _row(here)["attempt"] == 2, "it had been committed"
        assert await _accepted(paper) == 1


async def test_nothing_is_sent_again_while_nobody_tells(
    database: Database, database_url: str, paper: Paper
) -> None:
    url = f"http://127.0.0.1:{paper.port}"
    async with scene(database, database_url, insiders_url=url) as here:
        await _unanswered(here, paper)
        await paper.fault("status", status=503, path="capabilities", times=1)
        assert not await here.executor._resender._send_some()
        assert _row(here)["send_again_epoch"] is not None, "it is wanted still"
        resending = asyncio.create_task(here.executor._resender.run(0.01))
        try:
            await here.ended(1)
        finally:
            await cancel_all([resending])
        assert here.states() == {"SUBMITTED": 1}
        assert await _accepted(paper) == 1


@pytest.mark.parametrize("by_settings", [True, False])
async def test_where_insiders_api_never_says_the_settings_decide(
    database: Database, database_url: str, paper: Paper, by_settings: bool
) -> None:
    url = f"http://127.0.0.1:{paper.port}"
    async with scene(database, database_url, insiders_url=url) as here:
        await _unanswered(here, paper)
        database.execute("update orders set send_again_by_settings = %s", [by_settings])
        await paper.fault("status", status=404, path="capabilities", times=None)
        assert await here.executor._resender._send_some() == by_settings
        if by_settings:
            await here.ended(1)
        assert _row(here)["attempt"] == (2 if by_settings else 1)
