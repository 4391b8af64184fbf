"""Composition of the paper CLOB: a world, two listeners, the passing of time, and a market."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from paper.clob.control import Control, NewMarket, Wallet, fund, open_market
from paper.clob.core.auth import Keys
from paper.clob.core.exchange import Exchange
from paper.clob.core.relayed import Relayer
from paper.clob.core.set_calls import SetCalls
from paper.clob.core.values import Refusal
from paper.clob.feed.drivers import Feeding
from paper.clob.feed.generator import Generator, seeded_markets
from paper.clob.journal import Journal
from paper.clob.rest_markets import MarketRest
from paper.clob.rest_orders import OrderRest
from paper.clob.rest_relayer import RelayerRest
from paper.clob.server import refused, wire
from paper.clob.settings import Settings
from paper.clob.venue import Venue
from tradingtools.runtime.process import Startup, until_stopped

PORTS = "paper_clob.ports.json"
JOURNAL = "paper_clob.journal.jsonl"

_T = TypeVar("_T")


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where the exchange listens, written to PORTS in the state directory once it does."""

    port: int
    control_port: int


def venue_of(settings: Settings, journal: Journal) -> Venue:
    """Return an exchange without markets and money."""
    exchange = Exchange(settings.seed, settings.settles_ms)
    seed = sha256(f"paper clob keys {settings.seed}".encode()).digest()
    relayer = Relayer(settings.chain_id, SetCalls(exchange).make, settings.seed)
    venue = Venue(exchange, Keys(seed, settings.chain_id), journal, relayer)
    venue.limits.enforced = settings.limits
    return venue


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop. Raises Startup when it cannot begin."""
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        journal = Journal(settings.state_dir / JOURNAL)
    except OSError as error:
        raise Startup(f"TT_PAPER_CLOB_STATE_DIR: {error}") from None
    venue = venue_of(settings, journal)
    try:
        _furnish(settings, venue)
        public = web.Application(middlewares=[wire(venue)])
        public.add_routes(
            [
                web.get("/ws/user", venue.user.handle),
                web.get("/ws/market", venue.market.handle),
                *OrderRest(venue, settings.chain_id).routes(),
                *MarketRest(venue).routes(),
                *RelayerRest(venue).routes(),
            ]
        )
        control = web.Application(middlewares=[_refusals])
        control.add_routes(Control(venue).routes())
        async with (
            _listening(public, settings.host, settings.port, "TT_PAPER_CLOB_PORT") as port,
            _listening(
                control, "127.0.0.1", settings.control_port, "TT_PAPER_CLOB_CONTROL_PORT"
            ) as control_port,
        ):
            _write(settings.state_dir / PORTS, Ports(port=port, control_port=control_port))
            await until_stopped(stop, venue.run(), _fed(settings, venue))
    finally:
        journal.close()


def _furnish(settings: Settings, venue: Venue) -> None:
    """Open the markets and fund the wallets that the settings name. Raises Startup."""
    for command in _lines("MARKETS", settings.markets, NewMarket):
        try:
            open_market(venue, command)
        except Refusal as refusal:
            raise Startup(f"TT_PAPER_CLOB_MARKETS: {refusal.text}") from None
    if settings.feed == "seeded" and not settings.markets:
        for market in seeded_markets(settings.seed):
            venue.list_market(market)
    for wallet in _lines("WALLETS", settings.wallets, Wallet):
        try:
            fund(venue, wallet)
        except Refusal as refusal:
            raise Startup(f"TT_PAPER_CLOB_WALLETS: {refusal.text}") from None
    if settings.feed == "recording" and not Path(settings.recording).is_file():
        raise Startup("TT_PAPER_CLOB_RECORDING: there is no such file")


def _lines(name: str, file: str, kind: type[_T]) -> list[_T]:
    if not file:
        return []
    try:
        lines = Path(file).read_bytes().splitlines()
        return [msgspec.json.decode(line, type=kind) for line in lines if line.strip()]
    except (OSError, msgspec.DecodeError) as error:
        raise Startup(f"TT_PAPER_CLOB_{name}: {error}") from None


async def _fed(settings: Settings, venue: Venue) -> None:
    """Feed the market, for ever."""
    listed = [state.market for state in venue.exchange.markets()]
    by_asset = {asset: market for market in listed for asset in market.assets}
    feeding = Feeding(venue)
    match settings.feed:
        case "seeded":
            await feeding.seeded(Generator(listed, seed=settings.seed), settings.step_ms)
        case "recording":
            await feeding.recorded(Path(settings.recording), by_asset)
        case "live":
            await feeding.live(settings.live_url, by_asset)
        case _:
            await asyncio.Event().wait()


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return refused(refusal)


def _write(path: Path, ports: Ports) -> None:
    """Write a file whole: who reads it finds all of it or none."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(ports))
    partial.replace(path)


@asynccontextmanager
async def _listening(app: web.Application, host: str, port: int, name: str) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise Startup(f"{name}: cannot listen on {host}:{port}: {reason}") from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
