"""Test whatever bytes insiders-api puts into a text: no process ends and no order is stuck by
them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from tests.money_path.world import World, world

ORDER_ID = re.compile(rb'"orderId":\s*"')
SPOILT: dict[str, bytes] = {
    "nul": rb'"orderId":"\\u0000',
    "half a pair": rb'"orderId":"\\ud800',
    "no UTF-8": b'"orderId":"\xff',
    "control": b'"orderId":"\x00\x1b',
}


class Between:
    """Hands everything on to insiders-api, and spoils the next answers about orders."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.ways: list[bytes] = []

    async def exchange(self, request: web.Request) -> web.Response:
        """One exchange."""
        headers = {k: v for k, v in request.headers.items() if k not in ("Host", "Content-Length")}
        async with (
            ClientSession() as session,
            session.request(
                request.method, self.to + request.path_qs, data=await request.read(),
                headers=headers,
            ) as answer,
        ):  # fmt: skip
            body = await answer.read()
        if self.ways and ORDER_ID.search(body):
            body = ORDER_ID.sub(self.ways.pop(0), body)
        return web.Response(status=answer.status, body=body)


@asynccontextmanager
async def between(made: World) -> AsyncIterator[Between]:
    """Stand between the engine and its insiders-api."""
    spoiler = Between(f"http://127.0.0.1:{made.insiders_port}")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", spoiler.exchange)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    url = f"http://127.0.0.1:{address[1]}"
    made.configure(TT_EXECUTOR_INSIDERS_URL=url, TT_CONFIRM_INSIDERS_URL=url)
    try:
        yield spoiler
    finally:
        await runner.cleanup()


@pytest.mark.timeout(180)
async def test_spoilt_text_of_insiders_api_blocks_no_order(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with world(database_url, redis_url, tmp_path) as made:
        await made.start_insiders()
        async with between(made) as spoiler:
            made.start_services()
            scene = made.scene()
            await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
            await scene.subscribe(1)
            for number, way in enumerate(SPOILT.values(), start=1):
                # The submission's answer, and the first one by key.
                spoiler.ways = [way, way]
                scene.put(scene.trade(size="100", price="0.5"))
                await scene.settled(number)
                assert spoiler.ways == []
            assert [order["state"] for order in scene.orders()] == ["CONFIRMED"] * len(SPOILT)
            assert len(await scene.posted()) == len(SPOILT)
            assert made.ended() == []
