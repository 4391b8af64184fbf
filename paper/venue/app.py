"""Composition of the replay: tape and seed into a world, two listeners, three tasks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from paper.venue import firehose_player, tape
from paper.venue.clob import Clob
from paper.venue.control import Control
from paper.venue.core.firehose import crowd_markets
from paper.venue.core.markets import Catalogue, from_tape
from paper.venue.core.positions import starting
from paper.venue.core.schedule import Kind, Pace, resolutions, timeline
from paper.venue.journal import Journal, Questions
from paper.venue.live_books import LiveBooks
from paper.venue.player import Player
from paper.venue.replies import errors, late, noted
from paper.venue.rest_clob import ClobRest
from paper.venue.rest_data import DataRest
from paper.venue.rest_gamma import GammaRest
from paper.venue.rpc import Rpc
from paper.venue.rtds import Rtds
from paper.venue.settings import Settings
from paper.venue.store import Store, StoreError, write_atomically
from paper.venue.venue import Faults, Venue
from tradingtools.runtime.process import Startup, until_stopped

PORTS = "venue.ports.json"


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where the venue listens, written to PORTS in the state directory once it does.

    A restart takes the same ports again if it may choose, so those who hold its URLs find it.
    """

    port: int
    control_port: int


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until told to stop. Raises Startup when it cannot begin."""
    if settings.resolve_markets and settings.loop:
        raise Startup("TT_VENUE_RESOLVE_MARKETS: not with TT_VENUE_LOOP, markets stay resolved")
    try:
        rows, digest = tape.load(settings.tape)
    except tape.TapeError as error:
        raise Startup(f"TT_VENUE_TAPE: {error}") from None
    try:
        store = Store.open(
            settings.state_dir,
            seed=settings.seed,
            tape=digest,
            repeat=settings.repeat,
            now_ms=time.time_ns() // 1_000_000,
        )
    except (StoreError, OSError) as error:
        raise Startup(f"TT_VENUE_STATE_DIR: {error}") from None
    try:
        await _serve(settings, stop, rows, store)
    finally:
        store.close()


async def _serve(
    settings: Settings, stop: asyncio.Event, rows: tuple[tape.TapeRow, ...], store: Store
) -> None:
    seed = settings.seed
    pace = Pace(mean_gap_ms=settings.mean_gap_ms, max_gap_ms=settings.max_gap_ms)
    steps = timeline(rows, pace, resolutions(rows, seed, settings.resolve_markets))
    others = crowd_markets(seed, settings.crowd_markets)
    live_books = LiveBooks(
        Catalogue.of([*from_tape(rows, seed), *others]), seed, store.run.epoch_ms
    )
    journal, questions = Journal(), Questions()
    rtds = Rtds(seed=seed, journal=journal, ping_grace_s=settings.ping_grace_s)
    clob = Clob(live_books)
    played = [rows[step.row].trade for step in steps if step.kind is Kind.ROW]
    venue = Venue(
        tape=rows,
        start=starting(played, seed),
        faults=Faults(late_permille=settings.late_permille, lone_permille=settings.lone_permille),
        live_books=live_books,
        store=store,
        rtds=rtds,
        clob=clob,
    )
    player = Player(
        venue=venue,
        timeline=steps,
        position=venue.restore(),
        seed=seed,
        loop=settings.loop,
        start_delay_ms=None if settings.start_when_told else settings.start_delay_ms,
    )
    public = web.Application(middlewares=[errors, noted(questions), late(settings.rest_ms)])
    public.add_routes(
        [
            web.get("/rtds", rtds.handle),
            web.get("/clob/ws/market", clob.handle),
            *ClobRest(live_books, clob).routes(),
            *DataRest(venue, seed).routes(),
            *GammaRest(live_books).routes(),
            *Rpc(seed).routes(),
        ]
    )
    control = web.Application(middlewares=[errors])
    control.add_routes(Control(venue, player, journal, questions).routes())
    last = _taken_down(settings.state_dir)
    host = settings.host
    async with (
        _listening(public, host, settings.port, last.port, "TT_VENUE_PORT") as port,
        _listening(
            control, host, settings.control_port, last.control_port, "TT_VENUE_CONTROL_PORT"
        ) as control_port,
    ):
        ports = Ports(port=port, control_port=control_port)
        write_atomically(settings.state_dir / PORTS, msgspec.json.encode(ports))
        await until_stopped(
            stop,
            player.run(),
            clob.run(),
            firehose_player.run(
                rtds,
                others,
                seed=seed,
                salt=store.run.salt,
                per_second=settings.firehose_per_second,
                burst=settings.firehose_burst,
            ),
        )


def _taken_down(directory: Path) -> Ports:
    """The ports of the process before this one; its file goes, because nobody listens there."""
    path = directory / PORTS
    try:
        last = msgspec.json.decode(path.read_bytes(), type=Ports)
    except (OSError, msgspec.DecodeError):
        return Ports(port=0, control_port=0)
    path.unlink()
    return last


@asynccontextmanager
async def _listening(
    app: web.Application, host: str, port: int, last: int, name: str
) -> AsyncIterator[int]:
    """Serve `app` on `port`; 0 takes the `last` one if it is free, else any. Yields the port.

    Raises Startup naming the setting when a port that was asked for is taken.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port or last).start()
        except OSError as error:
            if port:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise Startup(f"{name}: cannot listen on {host}:{port}: {reason}") from None
            await web.TCPSite(runner, host, 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
