"""QualityService: decode, read, compute, encode."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TypeAlias

from services.control import paging, parsing
from services.control.messages import Fields
from services.control.quality import codec, copies, copies_codec, series
from services.control.quality.series import HOUR_S
from services.control.quality.store import Quality
from services.control.statistics.performance import BookOf
from services.control.statistics.valuation import worth
from services.control.store import Row
from tradingtools import clock
from tradingtools.domain.money import notional_floor
from tradingtools.rpc.headers import Context
from tradingtools.v1 import quality_service_pb2 as pb
from tradingtools.v1 import quality_service_pb2_grpc as pb_grpc

_DAY_S = 24 * HOUR_S
_STEPS = {"1h": (HOUR_S, 7 * _DAY_S), "1d": (_DAY_S, 90 * _DAY_S)}
"""Seconds of a step, and of the range that an absent ``fromMs`` means."""
_MAX_POINTS = 2_200
_WEEK_MS = 7 * _DAY_S * 1000
_NO_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
"""Groups are ordered by their keys."""

_Timed: TypeAlias = (
    pb.ListSubscriptionCopyQualityRequest
    | pb.ListCopyQualityRequest
    | pb.GetSubscriptionMissedCopiesRequest
    | pb.GetMissedCopiesRequest
)


class QualityServicer(pb_grpc.QualityServiceServicer):
    """Series, copies and what was missed.

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
        if (to_s - from_s) // step_s > _MAX_POINTS - 2:
            raise parsing.refuse("fromMs", f"at most {_MAX_POINTS} points up to toMs")
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

    async def ListSubscriptionCopyQuality(
        self, request: pb.ListSubscriptionCopyQualityRequest, context: Context
    ) -> pb.CopyQuality:
        """A page of one's copies."""
        of = await self._quality.subscriptions(identifier=request.id)
        return await self._copies(request, of, request.by or "market", request.id)

    async def ListCopyQuality(
        self, request: pb.ListCopyQualityRequest, context: Context
    ) -> pb.CopyQuality:
        """A page of a wallet's copies."""
        proxy = request.follower_proxy.lower()
        of = await self._quality.subscriptions(proxy=proxy)
        return await self._copies(request, of, request.by or "leader", proxy)

    async def _copies(
        self,
        request: pb.ListSubscriptionCopyQualityRequest | pb.ListCopyQualityRequest,
        of: list[Row],
        by: str,
        whose: str,
    ) -> pb.CopyQuality:
        names = [row["id"] for row in of]
        orders = await self._quality.copies(names, *_time(request))
        value, tick = await self._values(orders)
        made = [copies_codec.copy(row) for row in orders]
        groups = copies.grouped(made, by)
        keys = list(groups) if by == "order" else sorted(groups, reverse=by == "hour")
        scope = f"copy-quality:{whose}:{by}:{request.from_ms}:{request.to_ms}"
        page, token = _page(scope, keys, request.page_token, paging.size(request.page_size))
        desired = {"": made, **{key: groups[key] for key in page}}
        # Ten thousand copies take longer than other requests should wait.
        total, *found = await asyncio.to_thread(
            lambda: [copies.quality(key, of_key, value, tick) for key, of_key in desired.items()]
        )
        answer: Fields = {
            "groups": [copies_codec.group(each) for each in found],
            "total": copies_codec.group(total),
            "next_page_token": token,
        }
        return pb.CopyQuality(**answer)

    async def GetSubscriptionMissedCopies(
        self, request: pb.GetSubscriptionMissedCopiesRequest, context: Context
    ) -> pb.MissedCopiesReport:
        """One's missed copies by reason."""
        of = await self._quality.subscriptions(identifier=request.id)
        return await self._missed(request, of)

    async def GetMissedCopies(
        self, request: pb.GetMissedCopiesRequest, context: Context
    ) -> pb.MissedCopiesReport:
        """A wallet's missed copies by reason."""
        of = await self._quality.subscriptions(proxy=request.follower_proxy.lower())
        return await self._missed(request, of)

    async def _missed(
        self,
        request: pb.GetSubscriptionMissedCopiesRequest | pb.GetMissedCopiesRequest,
        of: list[Row],
    ) -> pb.MissedCopiesReport:
        names = [row["id"] for row in of]
        orders = await self._quality.copies(names, *_time(request))
        skips = await self._quality.skips(names, *_time(request))
        value, _ = await self._values([*orders, *skips])
        sizings = {row["id"]: copies_codec.sizing(row) for row in of}
        unfilled = (copies.of_copy(copies_codec.copy(row)) for row in orders)
        misses = [
            *(copies_codec.skip(row, sizings) for row in skips),
            *(miss for miss in unfilled if miss is not None),
        ]
        found = await asyncio.to_thread(copies.missed, misses, value)
        answer: Fields = {
            "reasons": [copies_codec.missed(part) for part in found],
            "total": copies_codec.missed(copies_codec.total(found)),
        }
        return pb.MissedCopiesReport(**answer)

    async def _values(self, rows: list[Row]) -> tuple[copies.Worth, copies.TickOf]:
        """The worth of shares of the outcomes of rows now, and their ticks."""
        books = await self._quality.books({row["asset_id"] for row in rows})
        payouts = await self._quality.payouts({row["condition_id"] for row in rows})

        def value(asset_id: str, shares_micros: int) -> int | None:
            payout = payouts.get(asset_id)
            if payout is not None:
                return notional_floor(shares_micros, payout)
            found = worth(books.get(asset_id), shares_micros)
            return None if found is None else found.value_micros

        def tick(asset_id: str) -> int | None:
            book = books.get(asset_id)
            return book.market.tick_micros if book else None

        return value, tick

    def _now(self, asset_id: str, shares_micros: int) -> int | None:
        of = worth(self._book(asset_id), shares_micros)
        return None if of is None else of.value_micros


def _time(request: _Timed) -> tuple[int, int]:
    """The time that a request asks about: at or after, and before, milliseconds."""
    to_ms = request.to_ms if request.HasField("to_ms") else clock.now_ms() + 1
    return request.from_ms if request.HasField("from_ms") else max(0, to_ms - _WEEK_MS), to_ms


def _page(scope: str, keys: list[str], token: str, size: int) -> tuple[list[str], str]:
    """The keys after the one that a token names, and the next token; raises InvalidField."""
    after = paging.decode(scope, token, 1)
    start = 0
    if after is not None:
        if after[1][0] not in keys:
            raise parsing.refuse("pageToken", "a token from the page before of the same list")
        start = keys.index(after[1][0]) + 1
    page = keys[start : start + size]
    more = start + size < len(keys)
    return page, paging.encode(scope, _NO_INSTANT, page[-1]) if more else ""
