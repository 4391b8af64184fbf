"""QualityService: decode, read, compute, encode."""

from __future__ import annotations

from services.control import parsing
from services.control.messages import Fields
from services.control.quality import codec, series
from services.control.quality.series import HOUR_S
from services.control.quality.store import Quality
from services.control.statistics.performance import BookOf
from services.control.statistics.valuation import worth
from tradingtools import clock
from tradingtools.rpc.headers import Context
from tradingtools.v1 import quality_service_pb2 as pb
from tradingtools.v1 import quality_service_pb2_grpc as pb_grpc

_DAY_S = 24 * HOUR_S
_STEPS = {"1h": (HOUR_S, 7 * _DAY_S), "1d": (_DAY_S, 90 * _DAY_S)}
"""Seconds of a step, and of the range that an absent ``fromMs`` means."""
_MOST_POINTS = 2_200


class QualityServicer(pb_grpc.QualityServiceServicer):
    """How well leaders were copied.

    Args:
        quality: the ledger.
        book: the newest book of an asset.
    """

    def __init__(self, quality: Quality, book: BookOf) -> None:
        self._quality = quality
        self._book = book

    async def GetSubscriptionPerformance(
        self, request: pb.GetSubscriptionPerformanceRequest, context: Context
    ) -> pb.SubscriptionPerformance:
        """A series of what was gained."""
        step_s, default_s = _STEPS[request.interval or "1h"]
        to_s = request.to_ms // 1000 if request.HasField("to_ms") else clock.now_ms() // 1000 + 1
        from_s = request.from_ms // 1000 if request.HasField("from_ms") else to_s - default_s
        if (to_s - from_s) // step_s > _MOST_POINTS - 2:
            raise parsing.refuse("fromMs", f"at most {_MOST_POINTS} points up to toMs")
        row = await self._quality.series(request.id, from_s, to_s)
        now_s = row["now_s"]
        bids = {(asset, hour_s): bid for asset, hour_s, bid in row["marks"] or ()}
        hours = sorted(row["hours"] or (), key=lambda hour: (hour["hour_s"], hour["unkept"]))
        found = series.points(
            [codec.step(hour) for hour in hours],
            [codec.step(lot) for lot in row["lots"] or ()],
            row["created_s"],
            series.instants(max(from_s, row["created_s"] - HOUR_S), to_s, now_s, step_s),
            series.at_bids(bids, now_s, self._now),
        )
        falls = series.drawdowns(found)
        answer: Fields = {
            "points": [codec.point(*each) for each in zip(found, falls, strict=True)],
            "as_of": codec.instant(now_s),
        }
        return pb.SubscriptionPerformance(**answer)

    def _now(self, asset_id: str, shares_micros: int) -> int | None:
        of = worth(self._book(asset_id), shares_micros)
        return None if of is None else of.value_micros
