"""A venue's client has loaded all that its first question needs before anybody trades by it."""

from __future__ import annotations

import subprocess
import sys

_ASKS = """
import asyncio, sys
from aiohttp import web
from tradingtools.venues.polymarket.http import Http, open_client

async def main():
    app = web.Application()
    app.router.add_get("/book", lambda _: asyncio.sleep(0, web.json_response({"bids": []})))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with open_client(timeout_ms=5000, connections=2) as client:
        # The server's own are no client's.
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"GET /book HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n")
        await reader.read()
        writer.close()
        before = set(sys.modules)
        assert await Http(client, url, name="venue").get("/book")
        print(sorted(set(sys.modules) - before))
    await runner.cleanup()

asyncio.run(main())
"""


def test_the_first_question_loads_no_module() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASKS], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
