"""Test what a run's client asks for in one look."""

from __future__ import annotations

from typing import Any

from launcher.client import Client
from tests.client.test_session import TOKEN, surface

_LEADER = "0x" + "1" * 40


def _fill(asset: str, side: str = "SIDE_BUY") -> dict[str, str]:
    return {"side": side, "assetId": asset, "conditionId": "0x" + "2" * 64, "price": "0.5"}


def test_one_look_guards_one_lot_and_is_short() -> None:
    subscription: Any = {"id": "sub_1", "follower": {"followerProxy": "0x" + "3" * 40}}
    fills: Any = {"fills": [_fill("9", "SIDE_SELL"), _fill("1"), _fill("2"), _fill("1")]}
    made: Any = {"id": "trg_1"}
    poll: list[Any] = [(200, {}, fills), (201, {}, made), (201, {}, made)]
    with surface((201, {}, subscription), *poll, *poll, (200, {}, fills)) as found:
        client = Client(found.url, TOKEN, "run")
        client.subscribe((_LEADER,), 1)
        for _ in range(3):
            client.guard_new_lots(3)
        client.close()
    verbs = [verb for verb, _, _ in found.requested]
    # The third finds both lots guarded.
    assert verbs == ["POST", *("GET", "POST", "POST") * 2, "GET"]
    keys = [headers["idempotency-key"] for verb, _, headers in found.requested if verb == "POST"]
    assert len(set(keys)) == 5
