"""Puts the paper insiders-api together and runs it until it is told to stop.

`__main__` calls `run`; tests call it too, on ports that the system chooses.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import structlog
from aiohttp import web

from paper.insiders.bookfeed_source import BookfeedSource
from paper.insiders.books import Books
from paper.insiders.clockwork import Scheduler
from paper.insiders.control import Control
from paper.insiders.control_state import ControlState
from paper.insiders.core.admission import Capabilities
from paper.insiders.core.amounts import ONE
from paper.insiders.exchange import Exchange
from paper.insiders.filling import Rules
from paper.insiders.handlers import Handlers
from paper.insiders.probe import LedgerProbe
from paper.insiders.redemption import Redeemer
from paper.insiders.server import Server
from paper.insiders.settings import Settings
from paper.insiders.store import Store
from tradingtools.rpc import transport
from tradingtools.runtime.process import Startup, until_stopped

PORTS_FILE = "insiders.ports.json"
"""In the state directory, once both ports listen: `{"port": …, "control_port": …}`."""

_STOP_S = 1.0
_log = structlog.get_logger("insiders")


def wall_ms() -> int:
    """The wall clock in ms since the epoch."""
    return time.time_ns() // 1_000_000


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises Startup when a port or the store is not to be had."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(_store(settings.state_dir))
        books = Books(await _source(settings, stack))
        rules = _rules(settings)
        clockwork = Scheduler(store=store, books=books, rules=rules, now_ms=wall_ms)
        exchange = Exchange(
            store=store,
            books=books,
            rules=rules,
            capabilities=_capabilities(settings),
            now_ms=wall_ms,
            changed=clockwork.wake,
        )
        _forget_ports(settings.state_dir)
        reported = ControlState(store=store, exchange=exchange, books=books)
        await reported.restore()
        server = Server(store=store, reported=reported, probe=await _probe(settings, stack))
        await server.start()
        stack.push_async_callback(server.stop)
        redeemer = Redeemer(store=store, books=books, now_ms=wall_ms)
        handlers = Handlers(exchange=exchange, redeemer=redeemer, now_ms=wall_ms)
        control_app = Control(
            store=store,
            reported=reported,
            default_cash=settings.default_cash_usdc * ONE,
            now_ms=wall_ms,
        ).application()
        control_port = await _listen(
            stack, control_app, "127.0.0.1", settings.control_port, "TT_INSIDERS_CONTROL_PORT"
        )
        public_app = server.application(handlers.routes())
        port = await _listen(stack, public_app, settings.host, settings.port, "TT_INSIDERS_PORT")
        _write_ports(settings.state_dir, port, control_port)
        _log.info("listening", port=port, control_port=control_port)
        await until_stopped(stop, clockwork.run())


def _rules(settings: Settings) -> Rules:
    return Rules(
        default_cash=settings.default_cash_usdc * ONE,
        own_delay_ms=settings.own_delay_ms,
        settle_ms=settings.settle_delay_ms,
        longest_ms=settings.longest_processing_ms,
    )


def _capabilities(settings: Settings) -> Capabilities:
    return Capabilities(
        idempotency=settings.idempotency,
        not_after=settings.not_after,
        get_by_key=settings.get_by_key,
        void=settings.void,
    )


@asynccontextmanager
async def _store(state_dir: Path) -> AsyncIterator[Store]:
    store = Store(state_dir / "insiders.sqlite3")
    try:
        await store.open()
    except (OSError, sqlite3.Error) as error:
        raise Startup(
            f"TT_INSIDERS_STATE_DIR: cannot keep state in {state_dir}: {error}"
        ) from error
    try:
        yield store
    finally:
        await store.close()


async def _source(settings: Settings, stack: AsyncExitStack) -> BookfeedSource | None:
    if not settings.bookfeed_target:
        return None
    channel = await stack.enter_async_context(transport.channel(settings.bookfeed_target))
    return BookfeedSource(channel, timeout_s=settings.longest_processing_ms / 2000)


async def _probe(settings: Settings, stack: AsyncExitStack) -> LedgerProbe | None:
    if not settings.probe_database_url:
        return None
    probe = LedgerProbe(settings.probe_database_url)
    await probe.open()
    stack.push_async_callback(probe.close)
    return probe


async def _listen(
    stack: AsyncExitStack, app: web.Application, host: str, port: int, name: str
) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, host, port, backlog=2048)
    try:
        await site.start()
    except OSError as error:
        raise Startup(f"{name}: cannot listen on {host}:{port}: {error.strerror}") from error
    return int(runner.addresses[0][1])


def _forget_ports(state_dir: Path) -> None:
    # Who waits for the file must not read the ports of an earlier life.
    (state_dir / PORTS_FILE).unlink(missing_ok=True)


def _write_ports(state_dir: Path, port: int, control_port: int) -> None:
    ports = state_dir / PORTS_FILE
    draft = ports.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode({"port": port, "control_port": control_port}))
    os.replace(draft, ports)
