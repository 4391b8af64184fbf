"""insiders-api contradicts itself: it refuses definitively what it has accepted."""

from __future__ import annotations

import pytest

from tests.fault.rig import Rig, sent_copy
from tests.money_path.world import eventually


@pytest.mark.xfail(
    raises=AssertionError,
    strict=True,
    reason="orders given up are not watched afterwards, so nothing becomes RESURRECTED yet",
)
async def test_a_refused_order_that_appears_after_all_is_a_breach_and_is_seen(own: Rig) -> None:
    await own.fault("after_accept", "status", path="buy", status=400, code="MIN_SIZE")
    scene = await sent_copy(own)

    async def seen() -> bool:
        return [order["state"] for order in scene.orders()] == ["RESURRECTED"]

    await eventually(seen, 6)
