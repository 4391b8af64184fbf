"""The sixteen combinations of insiders-api's promises: what happens is what the table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fault import judge, table
from tests.fault.rig import Rig, sent_copy
from tests.money_path.world import Scene, eventually
from tradingtools.domain.order_states import OrderState

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "failure-modes.md"


async def _promise(rig: Rig, row: table.Row) -> None:
    """Switch the far side, and wait until confirm has asked for its promises since."""
    promised = row.capabilities
    await rig.world.control(
        "PUT",
        "/capabilities",
        {
            "idempotency": promised.idempotency,
            "notAfter": promised.not_after,
            "getByKey": promised.get_by_key,
            "void": promised.void,
        },
    )
    before = await _asked(rig)

    async def known() -> bool:
        # The second question since the switch was certainly asked after it, and the first
        # answer is taken over before the second question is asked.
        return await _asked(rig) >= before + 2

    await eventually(known)


async def _asked(rig: Rig) -> int:
    entries = (await rig.world.control("GET", "/journal?after=0&limit=10000"))["entries"]
    return sum(entry["path"] == "/api/capabilities" for entry in entries)


async def _lose(rig: Rig, where: str) -> Scene:
    """One copy whose submission is cut before or after insiders-api accepted it."""
    await rig.fault(where, "reset", path="buy")
    return await sent_copy(rig)


async def _end(scene: Scene) -> dict[str, Any]:
    await scene.settled(1)
    (order,) = scene.orders()
    assert len(await scene.posted()) == 1, "sent again"
    return order


@pytest.mark.parametrize("row", table.rows(), ids=lambda row: row.name)
async def test_a_lost_answer_and_a_lost_request_end_as_the_table_says(
    shared: Rig, row: table.Row
) -> None:
    await _promise(shared, row)
    answer_lost = await _lose(shared, "after_accept")
    request_lost = await _lose(shared, "before_accept")
    found = (await _end(answer_lost))["state"], (await _end(request_lost))["state"]
    expected = {OrderState.SUBMITTED: OrderState.CONFIRMED}.get(row.answer_lost, row.answer_lost)
    assert found == (expected, row.request_lost)
    for scene, end in ((answer_lost, expected), (request_lost, row.request_lost)):
        assert bool(scene.open_reservations()) == (end is OrderState.DEAD)
    assert await judge.judge(shared.world, ()) == []


async def test_the_page_shows_this_table() -> None:
    assert table.markdown() in PAGE.read_text()
