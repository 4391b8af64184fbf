"""The real process beside the venue replay, and a reader of its marks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from paper.venue import tape
from tests.ingest.harness import Process, Venue, running, until, venue
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1.bookfeed_service_pb2_grpc import BookfeedServiceStub

if TYPE_CHECKING:
    from tradingtools.v1.bookfeed_service_pb2_grpc import BookfeedServiceAsyncStub


ROWS = tape.load(None)[0]
ASSETS = list(dict.fromkeys(row.trade.asset for row in ROWS))


@asynccontextmanager
async def bookfeed(
    environ: dict[str, str], tmp_path: Path, **settings: str
) -> AsyncIterator[tuple[BookfeedServiceAsyncStub, Venue, Process]]:
    rest_ms = settings.pop("rest_ms", "0")
    stalled = settings.pop("stalled_s", "0")
    # The file of an earlier venue would be taken for this one's ports.
    async with venue(tmp_path / f"venue-{secrets.token_hex(4)}", rest_ms=rest_ms) as replay:
        await replay.notify("/stall", {"feed": "rest", "seconds": float(stalled)})
        at = {
            **environ,
            "TT_BOOKFEED_CLOB_WS_URL": f"{replay.ws_url}/clob/ws/market",
            "TT_BOOKFEED_CLOB_URL": f"{replay.http_url}/clob",
            "TT_BOOKFEED_GAMMA_URL": f"{replay.http_url}/gamma",
            # Only what a test asks for is watched.
            "TT_BOOKFEED_WATCH_LEADERS": "0",
            "TT_BOOKFEED_WATCH_TRADED": "0",
            **{f"TT_BOOKFEED_{name.upper()}": value for name, value in settings.items()},
        }
        async with (
            running("bookfeed", at, tmp_path) as process,
            grpc.aio.insecure_channel(process.target) as channel,
        ):
            yield BookfeedServiceStub(channel), replay, process


async def pin(replay: Venue, asset: str, **wish: Any) -> None:
    await replay.notify(f"/books/{asset}", wish, "PUT")


async def watched(replay: Venue, markets: int) -> bool:
    """Return whether the venue tells of so many markets: a book may be fresh before, from REST
    alone."""
    return bool((await replay.ask("/state"))["clob_markets_watched"] == markets)


async def get(stub: BookfeedServiceAsyncStub, asset: str) -> pb.Mark:
    return (await stub.GetBook(pb.GetBookRequest(asset_id=asset))).mark


class Marks:
    """The newest mark of each asset, and how many came."""

    def __init__(self) -> None:
        self.newest: dict[str, pb.Mark] = {}
        self.seen: set[int] = set()
        self.count = 0
        self.cursor = ""

    @asynccontextmanager
    async def reading(self, stub: BookfeedServiceAsyncStub, *assets: str) -> AsyncIterator[None]:
        async def read() -> None:
            async for response in stub.StreamMarks(pb.StreamMarksRequest(asset_ids=assets)):
                self.cursor = response.cursor
                for mark in response.marks:
                    self.newest[mark.asset_id] = mark
                    self.seen.add(mark.status)
                    self.count += 1

        task = asyncio.create_task(read())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def where(self, asset: str, **values: Any) -> pb.Mark:
        """The mark, once it has these values; best_bid and best_ask are those of the levels."""

        async def poll() -> pb.Mark | None:
            mark = self.newest.get(asset)
            return mark if mark is not None and matches(mark, values) else None

        found = await until(poll)
        assert found is not None
        return found


def matches(mark: pb.Mark, values: dict[str, Any]) -> bool:
    best = {
        "best_bid": next(iter(mark.bid_prices_micros), None),
        "best_ask": next(iter(mark.ask_prices_micros), None),
    }
    return all(
        (best[name] if name in best else getattr(mark, name)) == value
        for name, value in values.items()
    )
