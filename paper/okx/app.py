"""Puts the paper OKX together and runs it until it is told to stop.

`__main__` calls `run`; tests call it too, on ports that the system chooses.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import msgspec
import structlog
from aiohttp import web

from paper.matching.values import Cancels
from paper.okx import listing, state
from paper.okx.commands import AccountCommand
from paper.okx.control import Control
from paper.okx.core.exchange import Exchange
from paper.okx.core.limits import Limits
from paper.okx.desk import Desk
from paper.okx.feed.drivers import Feeding
from paper.okx.feed.generator import Generator
from paper.okx.hub import Hub
from paper.okx.journal import Journal
from paper.okx.publisher import Publisher
from paper.okx.rest_account import AccountRest
from paper.okx.rest_public import PublicRest
from paper.okx.rest_trade import TradeRest
from paper.okx.server import Server
from paper.okx.settings import Settings
from paper.okx.sockets import Sockets
from tradingtools.runtime.process import Startup, until_stopped

PORTS_FILE = "paper_okx.ports.json"
"""In the state directory, once both ports listen: `{"port": ..., "control_port": ...}`."""

_STOP_S = 1.0
_log = structlog.get_logger("okx")


def wall_ms() -> int:
    """The wall clock in ms since the epoch."""
    return time.time_ns() // 1_000_000


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises Startup when it cannot begin."""
    start_ms = wall_ms()
    saved = _restored(settings, start_ms)
    exchange, generator, keys = saved.exchange, saved.generator, saved.keys
    async with AsyncExitStack() as stack:
        journal = _journal(settings.state_dir)
        stack.callback(journal.close)
        hub = Hub(journal)
        stack.callback(hub.stop)
        publisher = Publisher(exchange, hub, first_seq=start_ms, book_ms=settings.book_ms)
        feeding = Feeding(exchange, publisher, wall_ms)
        limits = Limits()
        desk = Desk(exchange, limits, limited=settings.limits)
        control = Control(
            exchange=exchange,
            desk=desk,
            keys=keys,
            hub=hub,
            publisher=publisher,
            journal=journal,
            feeding=feeding,
            now_ms=wall_ms,
        )
        _open_accounts(control, settings.accounts)
        # Without orders of others nothing trades before a recording or the real market speaks.
        feeding.take(generator.begin() if settings.feed == "seeded" else generator.prices())
        sockets = Sockets(
            hub=hub,
            desk=desk,
            publisher=publisher,
            journal=journal,
            keys=keys,
            faults=control.next_fault,
            now_ms=wall_ms,
        )
        stack.callback(sockets.stop)
        server = Server(
            keys=keys,
            desk=desk,
            limits=limits,
            journal=journal,
            publisher=publisher,
            hub=hub,
            faults=control.next_fault,
            now_ms=wall_ms,
        )
        stack.callback(server.stop)
        public = PublicRest(exchange, publisher, listing.tier_rows())
        routes = [
            *public.routes(),
            *AccountRest(exchange, public).routes(),
            *TradeRest(exchange, desk).routes(),
        ]
        path = settings.state_dir / PORTS_FILE
        # Who waits for the file must not read the ports of an earlier life.
        path.unlink(missing_ok=True)
        control_port = await _listen(
            stack,
            control.application(),
            "127.0.0.1",
            settings.control_port,
            "TT_PAPER_OKX_CONTROL_PORT",
        )
        port = await _listen(
            stack,
            server.application(routes, sockets.routes()),
            settings.host,
            settings.port,
            "TT_PAPER_OKX_PORT",
            tls=_tls(settings),
        )
        _write_ports(path, port, control_port)
        _log.info("listening", port=port, control_port=control_port)
        state_file = settings.state_dir / state.FILE
        stack.callback(state.save, state_file, saved)
        await until_stopped(
            stop,
            _feed(settings, feeding, exchange, generator),
            state.keep(state_file, saved, publisher),
            _push_books(settings, publisher),
        )


def _restored(settings: Settings, start_ms: int) -> state.State:
    """Return the exchange as the process before this one left it, or a new one."""
    listed = listing.instruments(start_ms)
    tiers = listing.tiers(listed)
    try:
        before = state.load(settings.state_dir / state.FILE)
    except state.StateError as error:
        raise Startup(f"TT_PAPER_OKX_STATE_DIR: {error}") from None
    if before is not None:
        before.exchange.world.add_instruments(listed, tiers)
        before.generator.add_instruments(listed)
        return before
    cancels = cast("Cancels", settings.cancels)
    return state.State(
        exchange=Exchange(listed, tiers, first_id=start_ms * 1_000_000, cancels=cancels),
        generator=Generator(listed, seed=settings.seed, start_ms=start_ms),
        keys={},
    )


async def _push_books(settings: Settings, publisher: Publisher) -> None:
    """Push the changes of books that nothing else has pushed since, for ever."""
    while True:
        await asyncio.sleep(max(settings.book_ms, 100) / 1000)
        if settings.book_ms:
            publisher.flush(wall_ms())


async def _feed(
    settings: Settings, feeding: Feeding, exchange: Exchange, generator: Generator
) -> None:
    instruments = exchange.world.instruments
    if settings.feed == "recording":
        await feeding.recorded(Path(settings.recording), instruments)
    elif settings.feed == "live":
        await asyncio.gather(feeding.live(settings.live_url, instruments), feeding.idle())
    elif settings.feed == "seeded":
        await feeding.seeded(generator, settings.step_ms)
    else:
        await feeding.idle()


def _journal(state_dir: Path) -> Journal:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        return Journal(state_dir / "journal.jsonl")
    except OSError as error:
        raise Startup(f"TT_PAPER_OKX_STATE_DIR: {error}") from None


def _open_accounts(control: Control, path: str) -> None:
    """Open the accounts of a file; one that there was before stays as it is."""
    if not path:
        return
    try:
        for line in Path(path).read_bytes().splitlines():
            command = msgspec.json.decode(line, type=AccountCommand)
            if not control.has_account(command.name):
                control.open_account(command)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise Startup(f"TT_PAPER_OKX_ACCOUNTS: {error}") from None


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, settings.private_key or None)
    except (OSError, ssl.SSLError) as error:
        raise Startup(f"TT_PAPER_OKX_CERTIFICATE: {error}") from None
    return context


async def _listen(
    stack: AsyncExitStack,
    app: web.Application,
    host: str,
    port: int,
    name: str,
    *,
    tls: ssl.SSLContext | None = None,
) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    stack.push_async_callback(_hang_up, runner)
    site = web.TCPSite(runner, host, port, ssl_context=tls)
    try:
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Startup(f"{name}: cannot listen on {host}:{port}: {reason}") from None
    return int(runner.addresses[0][1])


async def _hang_up(runner: web.AppRunner) -> None:
    """Stop listening and end all connections, those too whose clients answer no end of TLS."""
    server = runner.server
    transports = [] if server is None else [one.transport for one in server.connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()


def _write_ports(path: Path, port: int, control_port: int) -> None:
    ready = path.with_suffix(".tmp")
    ready.write_bytes(msgspec.json.encode({"port": port, "control_port": control_port}))
    ready.replace(path)
