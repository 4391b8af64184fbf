"""Composition of the console: the edge and control's internal port behind it, a web server out."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from services.console import files
from services.console.core.addresses import networks
from services.console.operators import Operators
from services.console.people import People
from services.console.rest import Rest
from services.console.sessions import Sessions
from services.console.settings import Settings
from services.console.web import Console
from tradingtools.domain.attempts import Attempts
from tradingtools.runtime import gc_policy
from tradingtools.runtime.composition import composed
from tradingtools.runtime.process import Startup


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the console until ``stop``."""
    seconds = settings.session_hours * 3600
    directory = Path(settings.state_dir) if settings.state_dir else None
    try:
        sessions = Sessions(directory, seconds, time.time())
    except (OSError, ValueError) as error:
        raise Startup(f"TT_CONSOLE_STATE_DIR: {settings.state_dir}: {error}") from None
    try:
        trusted = networks(settings.trusted_networks)
    except ValueError as error:
        raise Startup(f"TT_CONSOLE_TRUSTED_NETWORKS: {error}") from None
    host, _, port = settings.http_listen.rpartition(":")
    async with composed("console", settings) as parts:
        http = await parts.stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=256),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        )
        target = settings.operator_target
        # A halt waits behind nobody's other calls, nor behind refused ones.
        operators = (
            # Other options: gRPC would share one connection between equal channels.
            Operators(parts.channel(target), parts.channel(target, newest=True))
            if target
            else Operators(None, None)
        )
        rest = Rest(http, settings.rest_url)
        kept = directory / "people" if directory else None
        console = Console(
            files=files.load(),
            sessions=sessions,
            rest=rest,
            operators=operators,
            people=People(rest, sessions.fernet, kept, seconds),
            hosts=frozenset(name.lower() for name in settings.hosts),
            trusted=trusted,
            attempts=Attempts(settings.failed_logins),
            directory=directory,
            seconds=seconds,
        )
        runner = web.AppRunner(
            console.app(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
        )
        await runner.setup()
        parts.stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, host, int(port)).start()
        except (OSError, ValueError, OverflowError) as error:
            raise Startup(f"TT_CONSOLE_HTTP_LISTEN: {settings.http_listen}: {error}") from None
        await parts.serve(settings.listen, [], lambda _: None)
        await parts.run(stop, gc_policy.keep_away())
