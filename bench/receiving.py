"""When a guard's exits come: `python -m bench.receiving HOST:PORT`, beside what moves its books.

A process of its own, as the executor is: the loop that moves books is busy a third of the time, and
would see each exit when it has time for it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import uvloop

from launcher.state import ROOT
from tradingtools.rpc import streams, transport
from tradingtools.v1 import guard_service_pb2 as guard_pb
from tradingtools.v1 import guard_service_pb2_grpc as guard_rpc

Came = Callable[[Mapping[str, int]], None]
"""Told when the exits of assets came, monotonic nanoseconds."""


@asynccontextmanager
async def beside(listen: str, came: Came) -> AsyncIterator[None]:
    """Receive a guard's exits while the block lasts, from the first one that it ever claimed.

    Args:
        listen: where the guard is.
        came: told of them soon after.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.receiving", listen, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    telling = asyncio.ensure_future(_notify(cast(AsyncIterable[bytes], process.stdout), came))
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _notify(lines: AsyncIterable[bytes], came: Came) -> None:
    async for line in lines:
        came(json.loads(line))


async def _receive(listen: str) -> None:
    async with transport.channel(listen) as channel:
        stub: Any = guard_rpc.GuardServiceStub(channel)
        request = guard_pb.StreamExitsRequest(cursor=streams.BEGINNING)
        async for response in stub.StreamExits(request):
            now_ns = time.monotonic_ns()
            came = {o.asset_id: now_ns for batch in response.batches for o in batch.orders}
            if came:
                sys.stdout.write(json.dumps(came) + "\n")
                sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Tell the instants as lines of JSON until it is killed; the exit status."""
    (listen,) = arguments
    uvloop.run(_receive(listen))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
