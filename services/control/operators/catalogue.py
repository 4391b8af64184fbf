"""Ask bookfeed, which knows the venue's markets, in which one an outcome is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from services.control.parsing import refuse
from services.control.store import RETRY_AFTER_MS
from tradingtools.domain.errors import Unavailable
from tradingtools.rpc.transport import channel
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.v1 import bookfeed_service_pb2_grpc as rpc

_SECONDS = 5.0


class Catalogue:
    """The markets of outcomes.

    Args:
        bookfeed: a channel to it; None: nobody can be asked.
    """

    def __init__(self, bookfeed: grpc.aio.Channel | None) -> None:
        self._stub: Any = None if bookfeed is None else rpc.BookfeedServiceStub(bookfeed)

    async def check(self, asset_id: str, condition_id: str) -> None:
        """Check that an outcome is of a market; without a bookfeed all are believed.

        Raises:
            InvalidField: the venue knows no such outcome, or it is of another market.
            Unavailable: bookfeed does not answer, or the venue does not answer it.
        """
        if self._stub is None:
            return
        request = pb.GetBookRequest(asset_id=asset_id, market_suffices=True)
        try:
            answer = await self._stub.GetBook(request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise refuse("assetId", "an outcome that the venue knows") from None
            raise Unavailable(
                "the market of the outcome cannot be looked up",
                dependency="bookfeed", retry_after_ms=RETRY_AFTER_MS,
            ) from error  # fmt: skip
        found: str = answer.mark.market.condition_id
        if found != condition_id:
            raise refuse("conditionId", f"{found}, the market of that outcome")


@asynccontextmanager
async def catalogue(target: str) -> AsyncIterator[Catalogue]:
    """Open the catalogue of a bookfeed at ``host:port``; empty: there is none."""
    if not target:
        yield Catalogue(None)
        return
    bookfeed = channel(target)
    try:
        yield Catalogue(bookfeed)
    finally:
        await bookfeed.close()
