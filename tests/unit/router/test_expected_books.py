"""Books that the trades of a leader will wait for are asked for as soon as the trades come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from services.router.worker import Router
from tests.unit.router.test_restarts import SETTINGS
from tests.unit.samples import CONDITION, LEADER, TX, subscription
from tradingtools import clock
from tradingtools.domain.copy_settings import CopySettings
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres.lease import Lease
from tradingtools.v1 import common_pb2 as pb
from tradingtools.v1 import ingest_service_pb2 as ingest_pb
from tradingtools.venues.insiders.order_body import order_body

_PICKY = CopySettings(max_spread_micros=20_000)


class Shelf:
    """Books of which some are there."""

    def __init__(self) -> None:
        self.there = {"1"}
        self.started: list[tuple[str, str]] = []

    def wanting(self, asset_id: str, *, levels: bool) -> bool:
        return levels and asset_id not in self.there

    def begin(self, asset_id: str, condition_id: str) -> None:
        self.started.append((asset_id, condition_id))


def router(shelf: Shelf, settings: CopySettings) -> Router:
    nobody = cast(Any, None)
    lease = Lease(role="router", partition=0, epoch=1)
    made = Router(nobody, lease, cast(Any, shelf), Tail(0, nobody), SETTINGS, body_of=order_body)
    made.state.index.put(replace(subscription(), leader=LEADER, settings=settings))
    return made


def message(*assets: str, side: Any = pb.SIDE_BUY, **other: Any) -> Any:
    common = {"leader": LEADER, "leader_tx": TX, "condition_id": CONDITION, "side": side}
    events = [
        ingest_pb.LeaderTradeEvent(
            **{**common, "traded_ms": clock.now_ms(), **other}, asset_id=each
        )
        for each in assets
    ]
    return ingest_pb.StreamLeaderTradesResponse(trades=events)


def test_all_at_once_before_the_first_is_routed() -> None:
    shelf = Shelf()
    here = router(shelf, _PICKY)
    here.expect(message("1", "2", "3"))
    here.expect(message("4"))
    assert shelf.started == [(asset, CONDITION) for asset in ("2", "3", "4")]


@pytest.mark.parametrize(
    ("settings", "reported"),
    [
        (CopySettings(), {}),
        (_PICKY, {"leader": "0x" + "e" * 40}),
        (_PICKY, {"traded_ms": 1}),
        (_PICKY, {"side": pb.SIDE_SELL}),
    ],
    ids=["no levels are needed", "nobody follows", "too old", "nothing to sell"],
)
def test_nothing_is_asked_for_that_nobody_waits_for(settings: CopySettings, reported: Any) -> None:
    shelf = Shelf()
    router(shelf, settings).expect(message("2", **reported))
    assert shelf.started == []
