"""The Data API's pages over real HTTP, walked by cursor, bounded, every failure named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from tradingtools.domain.errors import NotFound, Unavailable
from tradingtools.venues.polymarket import data_api, http
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.http import Http, open_client
from tradingtools.venues.ports import Position

WALLET = "0x" + "a1" * 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "proxy_wallet": WALLET, "transaction_hash": f"0x{number:064x}", "token_id": "7",
        "condition_id": "0x" + "cd" * 32, "side": "BUY", "price": 0.5, "size": 10,
        "timestamp": 1_790_000_000 + number, "title": "", "outcome": "", **changes,
    }  # fmt: skip


@asynccontextmanager
async def api(handler: Handler) -> AsyncIterator[DataApi]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with open_client(timeout_ms=2_000, connections=2) as client:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield DataApi(Http(client, url, name="data api"))
    finally:
        await runner.cleanup()


def page(rows: list[Any], following: str | None) -> web.Response:
    pagination = {"has_more": following is not None, "next_cursor": following}
    return web.json_response({"data": rows, "pagination": pagination})


async def test_pages_are_walked_by_cursor_with_the_makers_fills() -> None:
    requested: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        requested.append(dict(request.query))
        if request.query.get("cursor") == "two":
            return page([row(1)], None)
        return page([row(3), row(2), row(2)], "two")

    async with api(handler) as data:
        found = await data.trades(WALLET, 1_790_000_001_999)
    assert [one.tx[-1] for one in found.rows] == ["3", "2", "2", "1"]
    assert found.reached_ms is None
    assert requested[0]["taker_only"] == "false"
    # The second in which the walk begins is read whole: equal times must survive.
    assert requested[0]["start"] == "1790000001"
    assert all("offset" not in one for one in requested)


async def test_a_row_that_cannot_be_read_does_not_spoil_the_others() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return page([row(2), row(1, size=-1), "x"], None)

    async with api(handler) as data:
        found = await data.trades(WALLET, 0)
    assert len(found.rows) == 1
    assert [reason for reason, _ in found.rejected] == ["bad_number", "malformed"]


async def test_an_endless_walk_ends_and_says_that_it_is_not_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data_api, "PAGES_MAX", 3)

    async def handler(_: web.Request) -> web.StreamResponse:
        return page([row(1, current_size=1)], "again")

    async with api(handler) as data:
        assert (await data.trades(WALLET, 0)).reached_ms == 1_790_000_001_000
        with pytest.raises(Unavailable, match="pages"):
            await data.positions(WALLET)


async def test_a_walk_goes_on_where_another_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_api, "PAGES_MAX", 2)

    async def handler(request: web.Request) -> web.StreamResponse:
        newest = int(request.query.get("cursor") or request.query.get("end") or "1790000009")
        rows = [row(newest - 1_790_000_000)] * 2
        return page(rows, str(newest - 1) if newest > 1_790_000_005 else None)

    async with api(handler) as data:
        found, until_ms = [], None
        while True:
            piece = await data.trades(WALLET, 0, until_ms)
            found.append([int(one.tx[-1], 16) for one in piece.rows])
            until_ms = piece.reached_ms
            if until_ms is None:
                break
    assert found == [[9, 9, 8, 8], [8, 8, 7, 7], [7, 7, 6, 6], [6, 6, 5, 5]]


async def test_positions_are_all_of_them_or_none() -> None:
    good: list[Any] = [{"token_id": "7", "current_size": 1.5, "condition_id": "0x" + "CD" * 32}]

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.query.get("cursor"):
            return page([{"token_id": "8", "current_size": "2"}], None)
        return page(good, "more")

    async with api(handler) as data:
        assert await data.positions(WALLET) == {
            "7": Position(1_500_000, "0x" + "cd" * 32),
            "8": Position(2_000_000, ""),
        }
        good.append({"token_id": "9"})
        with pytest.raises(Unavailable):
            await data.positions(WALLET)


async def test_each_failure_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_LIMIT", 1_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        match request.query["user"]:
            case "gone":
                return web.json_response({"error": "no"}, status=404)
            case "busy":
                return web.Response(status=429, headers={"Retry-After": "7"})
            case "endless":
                return web.Response(status=429, headers={"Retry-After": "9" * 5_000})
            case "moved":
                raise web.HTTPFound("http://127.0.0.1:1/")
            case "big":
                return web.Response(body=b"x" * 2_000)
            case _:
                return web.Response(body=b"<html>")

    async with api(handler) as data:
        with pytest.raises(NotFound):
            await data.trades("gone", 0)
        with pytest.raises(Unavailable) as caught:
            await data.trades("busy", 0)
        assert caught.value.metadata["retry_after_ms"] == "7000"
        with pytest.raises(Unavailable) as caught:
            await data.trades("endless", 0)
        assert caught.value.metadata["retry_after_ms"] == "1000"
        for user in ("moved", "big", "html"):
            with pytest.raises(Unavailable):
                await data.trades(user, 0)


async def test_an_answer_that_drips_is_none() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        # A byte within each wait, and good in the end.
        with suppress(ConnectionError):
            for _ in range(60):
                await answer.write(b" ")
                await asyncio.sleep(0.05)
            await answer.write(b'{"data": [], "pagination": {}}')
        return answer

    async with api(handler) as data:
        with pytest.raises(Unavailable, match="TimeoutError"):
            await data.trades(WALLET, 0)


async def test_nobody_at_the_other_end_is_unavailable() -> None:
    async with open_client(timeout_ms=500, connections=1) as client:
        with pytest.raises(Unavailable):
            await Http(client, "http://127.0.0.1:1", name="data api").get("/x")
