"""The sixteen combinations of insiders-api's promises: what happens is what the table says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from services.confirm.core.unknown_order_policy import ATTEMPTS
from tests.fault import judge, table
from tests.fault.rig import Rig, promise, rig, sent_copy
from tests.money_path.world import Scene, eventually
from tradingtools.domain.order_states import OrderState

F = TypeVar("F", bound=Callable[..., Any])
pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "failure-modes.md"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    """A rig whose entries live so long, up for the rows that want it."""
    async with rig(
        tmp_path_factory.mktemp("rig"),
        TT_ROUTER_ENTRY_TTL_MS=request.param,
        TT_EXECUTOR_BREAKER_FAILURES="1000",
    ) as one:
        yield one


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


def _rows(*, idempotency: bool, entries_live_ms: int) -> Callable[[F], F]:
    """The half of the table with this promise, on one rig whose entries live so long."""
    rows = [row for row in table.rows() if row.capabilities.idempotency is idempotency]
    by_row = pytest.mark.parametrize("row", rows, ids=lambda row: row.name)
    lives = [pytest.param(str(entries_live_ms), id=pytest.HIDDEN_PARAM)]
    by_rig = pytest.mark.parametrize("made", lives, indirect=True)
    return lambda test: by_row(by_rig(test))


@_rows(idempotency=False, entries_live_ms=1200)
async def test_a_lost_answer_and_a_lost_request_end_as_the_table_says(
    made: Rig, row: table.Row
) -> None:
    await _both_end_as_told(made, row)


# What is sent again has to be in time for it, whatever pauses a busy machine makes.
@_rows(idempotency=True, entries_live_ms=60_000)
async def test_they_do_where_they_are_sent_again(made: Rig, row: table.Row) -> None:
    await _both_end_as_told(made, row)


async def _both_end_as_told(made: Rig, row: table.Row) -> None:
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
