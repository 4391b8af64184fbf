"""Order books of a console's engine, in the test's hands: the real stream, served beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.control.requests import CONDITION
from tests.money_path import upstream
from tradingtools.codec.marks import columns
from tradingtools.v1 import bookfeed_service_pb2 as pb

_DEEP = 10**12


class Books:
    """Serves marks by a loop of its own: a browser has that of the test's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, served: upstream.Upstream) -> None:
        self._loop = loop
        self._served = served
        self.target = f"127.0.0.1:{served.port}"

    def bid(self, asset: str, price_micros: int) -> None:
        """Let an outcome have one deep bid."""
        mark = pb.Mark(
            asset_id=asset, **columns([(price_micros, _DEEP)]), status=pb.BOOK_STATUS_FRESH,
            market=pb.MarketInfo(asset_id=asset, condition_id=CONDITION),
        )  # fmt: skip
        self._loop.call_soon_threadsafe(self._served.put_mark, mark)


@contextmanager
def serving() -> Iterator[Books]:
    """Books on a port of their own."""
    begun, over = threading.Event(), asyncio.Event()
    found: list[tuple[asyncio.AbstractEventLoop, Books]] = []

    async def serve() -> None:
        async with upstream.serving() as served:
            loop = asyncio.get_running_loop()
            found.append((loop, Books(loop, served)))
            begun.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert begun.wait(60)
    ((loop, books),) = found
    try:
        yield books
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
