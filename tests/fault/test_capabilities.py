"""The sixteen combinations of insiders-api's promises: what happens is what the table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.confirm.core.fate import ATTEMPTS
from tests.fault import judge, table
from tests.fault.rig import Rig, promise, sent_copy
from tests.money_path.world import Scene, eventually
from tradingtools.domain.order_states import OrderState

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "failure-modes.md"


async def _lose(rig: Rig, where: str) -> Scene:
    """One copy whose submission is cut before or after insiders-api accepted it."""
    await rig.fault(where, "reset", path="buy")
    return await sent_copy(rig)


async def _end(scene: Scene, row: table.Row, *, sent_again: bool) -> dict[str, Any]:
    async def ended() -> bool:
        rests = {"CONFIRMED", "FAILED", "LOST", "DEAD", *([] if row.settles else ["SUBMITTED"])}
        states = {order["state"] for order in scene.orders()}
        return bool(states) and states <= rests

    await eventually(ended)
    (order,) = scene.orders()
    posts = len(await scene.posted())
    assert (2 if sent_again else 1) <= posts <= (ATTEMPTS if row.capabilities.idempotency else 1)
    return order


@pytest.mark.parametrize("row", table.rows(), ids=lambda row: row.name)
async def test_a_lost_answer_and_a_lost_request_end_as_the_table_says(
    shared: Rig, row: table.Row
) -> None:
    await promise(shared, row.capabilities)
    answer_lost = await _lose(shared, "after_accept")
    request_lost = await _lose(shared, "before_accept")
    ends = (
        (answer_lost, row.shown(row.answer_lost), row.answer_sent_again),
        (request_lost, row.shown(row.request_lost), row.request_sent_again),
    )
    for scene, end, sent_again in ends:
        found = (await _end(scene, row, sent_again=sent_again))["state"]
        # An answer that comes late enough tells of the settlement, too.
        assert found in {end, OrderState.CONFIRMED if end is OrderState.SUBMITTED else end}
        if end is not OrderState.SUBMITTED:
            assert bool(scene.open_reservations()) == (end is OrderState.DEAD)
    if not row.settles:
        await promise(shared, table.rows()[-1].capabilities)
        for scene, _, _ in ends:
            await scene.settled(1)
    assert await judge.judge(shared.world, ()) == []


async def test_the_page_shows_this_table() -> None:
    assert table.markdown() in PAGE.read_text()
