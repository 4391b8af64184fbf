"""insiders-api does not say what it promises, or promises more than the settings allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault import judge
from tests.fault.rig import good_scene, rig, sent_copy
from tests.money_path.world import eventually


@pytest.mark.parametrize(
    ("promises", "tells", "end"),
    [
        pytest.param("", False, "DEAD", id="silent-and-unset"),
        pytest.param("--CD", False, "LOST", id="silent-and-set"),
        pytest.param("--CD", True, "LOST", id="promises-more"),
    ],
)
async def test_an_unanswered_order_is_decided(
    tmp_path: Path, promises: str, tells: bool, end: str
) -> None:
    async with rig(
        tmp_path,
        TT_CONFIRM_PROMISES=promises,
        TT_CONFIRM_PROMISES_WAIT_MS="1000",
        TT_ROUTER_ENTRY_TTL_MS="60000",
    ) as made:
        prepared = await good_scene(made)
        # Asked once and answered, it is known: so before confirm asks for the first time.
        async with made.without("confirm"):
            if not tells:
                await made.fault(
                    "before_accept", "status", status=404, path="capabilities", times=None
                )
        scene = await sent_copy(made, prepared, where="before_accept", kind="reset")

        async def decided() -> bool:
            states = [order["state"] for order in scene.orders()]
            released = end == "DEAD" or not scene.open_reservations()
            return states == [end] and released

        await eventually(decided)
        assert len(await scene.posted()) == 1, "sent again, which the settings do not allow"
        assert bool(scene.open_reservations()) == (end == "DEAD")
        assert await judge.judge(made.world, ()) == []
