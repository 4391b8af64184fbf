"""Test what another process keeps in memory of a book that bookfeed does not watch any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from tests.bookfeed.world import ASSETS, bookfeed, pin, watched
from tests.ingest.harness import Process, until
from tradingtools.domain.book import BookStatus
from tradingtools.runtime.books import Books

ASSET = ASSETS[6]


@asynccontextmanager
async def memory(process: Process) -> AsyncIterator[Books]:
    async with grpc.aio.insecure_channel(process.target) as channel:
        books = Books(channel, timeout_ms=5_000)
        keeping = asyncio.create_task(books.keep())
        try:
            yield books
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])


async def requested(books: Books, bid: int) -> None:
    """Ask until the book is good and has this best bid."""

    async def poll() -> bool:
        book = await books.get(ASSET)
        return (
            book is not None
            and book.status is BookStatus.FRESH
            and bool(book.bids)
            and book.bids[0][0] == bid
        )

    await until(poll)


async def test_a_book_that_was_let_go_is_asked_for_again(
    environ: dict[str, str], tmp_path: Path
) -> None:
    async with (
        bookfeed(environ, tmp_path, linger_ms="300") as (_, replay, process),
        memory(process) as books,
    ):
        await pin(replay, ASSET, best_bid="0.31", best_ask="0.33")
        await requested(books, 310_000)
        await until(lambda: watched(replay, 0))
        await pin(replay, ASSET, best_bid="0.61", best_ask="0.63")
        await requested(books, 610_000)


async def test_book_unwatched_after_a_restart_is_fetched(
    environ: dict[str, str], tmp_path: Path
) -> None:
    async with bookfeed(environ, tmp_path) as (_, replay, process), memory(process) as books:
        await pin(replay, ASSET, best_bid="0.31", best_ask="0.33")
        await requested(books, 310_000)
        process.kill()
        await process.wait()
        await pin(replay, ASSET, best_bid="0.61", best_ask="0.63")
        await process.start()
        await process.serving()
        await requested(books, 610_000)
