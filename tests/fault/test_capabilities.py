"""The sixteen combinations of insiders-api's promises: what happens is what the table says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.confirm.core.fate import ATTEMPTS
from tests.fault import judge, table
from tests.fault.rig import Rig, promise, rig, sent_copy
from tests.money_path.world import Scene, eventually
from tradingtools.domain.order_states import OrderState

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "failure-modes.md"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A rig whose entries outlive every pause of a busy machine before they are sent again."""
    async with rig(
        tmp_path_factory.mktemp("patient"),
        TT_ROUTER_ENTRY_TTL_MS="60000",
        TT_EXECUTOR_BREAKER_FAILURES="1000",
    ) as made:
        yield made


async def _end(scene: Scene, row: table.Row, *, sent_again: bool) -> dict[str, Any]:
    async def ended() -> bool:
        rests = {"CONFIRMED", "FAILED", "LOST", "DEAD", *([] if row.settles else ["SUBMITTED"])}
        states = {order["state"] for order in scene.orders()}
        # A loss is concluded first, and what it had reserved is released then.
        released = states != {"LOST"} or not scene.open_reservations()
        return bool(states) and states <= rests and released

    await eventually(ended)
    (order,) = scene.orders()
    posts = len(await scene.posted())
    assert (2 if sent_again else 1) <= posts <= (ATTEMPTS if row.capabilities.idempotency else 1)
    return order


@pytest.mark.parametrize("row", table.rows(), ids=lambda row: row.name)
async def test_a_lost_answer_and_a_lost_request_end_as_the_table_says(
    shared: Rig, patient: Rig, row: table.Row
) -> None:
    # What is sent again has to be in time for it; without that the near horizon decides.
    made = patient if row.capabilities.idempotency else shared
    await promise(made, row.name)
    answer_lost = await sent_copy(made, where="after_accept", kind="reset")
    request_lost = await sent_copy(made, where="before_accept", kind="reset")
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
        await promise(made, "ABCD")
        for scene, _, _ in ends:
            await scene.settled(1)
    assert await judge.judge(made.world, ()) == []


async def test_the_page_shows_this_table() -> None:
    assert table.markdown() in PAGE.read_text()
