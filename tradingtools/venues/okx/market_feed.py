"""Books, prints, funding, mark and index prices of OKX, over one public socket.

Before: `market_session`, which decides. Who reads slowly gets the newest book of an instrument in
the place of those in between, and every print.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from tradingtools import clock
from tradingtools.domain.instrument import Instrument
from tradingtools.tasks import run_in_background, until_one_ends
from tradingtools.venues.mailbox import Mailbox
from tradingtools.venues.okx import questions
from tradingtools.venues.okx.book_frames import read_rest_book
from tradingtools.venues.okx.connection import GONE, Connection, Endpoint, open_connection
from tradingtools.venues.okx.instruments import Directory
from tradingtools.venues.okx.limits import Charge, Scope
from tradingtools.venues.okx.market_session import (
    EmitMarketEvent,
    MarketEffect,
    MarketSession,
    Warn,
)
from tradingtools.venues.okx.private_session import Renew, Send
from tradingtools.venues.okx.rate_gate import RateGate
from tradingtools.venues.okx.rest_client import OkxRest
from tradingtools.venues.okx.wire import WireError
from tradingtools.venues.trading import MarketEvent, ReadError

_POLL_SECONDS = 1.0
_log = structlog.get_logger("okx")


class _RenewConnection(Exception):
    """The connection has to be renewed."""


class OkxMarketFeed:
    """The port of market data.

    Args:
        endpoint: the public path.
        rest: public questions.
        address: the limits of our address, shared with ``rest``.
        directory: the instruments.
    """

    def __init__(
        self, endpoint: Endpoint, *, rest: OkxRest, address: RateGate, directory: Directory
    ) -> None:
        self._endpoint = endpoint
        self._rest = rest
        self._address = address
        self._directory = directory

    async def events(self, instruments: Sequence[Instrument]) -> AsyncIterator[MarketEvent]:
        """Tell each change, for ever; a book in doubt is told as STALE at once."""
        mail = Mailbox()
        async with run_in_background(self._fill(instruments, mail)):
            async for event in mail.all():
                yield event

    async def _fill(self, instruments: Sequence[Instrument], mail: Mailbox) -> None:
        try:
            await self._run(instruments, mail.put)
        finally:
            # Whoever waits for the next event has to hear of a defect.
            mail.close()

    async def _run(
        self, instruments: Sequence[Instrument], notify: Callable[[MarketEvent], None]
    ) -> None:
        failures = 0
        pauses = self._endpoint.patience.pauses
        while True:
            session = MarketSession(self._directory, instruments)
            try:
                await self._connected(session, notify)
            except (_RenewConnection, *GONE) as error:
                _log.info(
                    "okx public socket ended", detail=f"{type(error).__name__}: {error}"[:200]
                )
            reported = session.lost(clock.now_ns())
            for effect in reported:
                notify(effect.event)
            instruments = [session.instrument(one.symbol) for one in instruments]
            failures = 0 if reported else failures + 1
            await asyncio.sleep(pauses[min(failures, len(pauses) - 1)])

    async def _connected(
        self, session: MarketSession, notify: Callable[[MarketEvent], None]
    ) -> None:
        async with AsyncExitStack() as stack:
            async with self._address.passing((Charge(Scope.CONNECT),)):
                connection = await stack.enter_async_context(open_connection(self._endpoint))
            await _do(session.begin(clock.now_ns()), connection, notify)
            await until_one_ends(
                _listen(connection, session, notify), self._poll(connection, session, notify)
            )

    async def _poll(
        self,
        connection: Connection,
        session: MarketSession,
        notify: Callable[[MarketEvent], None],
    ) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            for symbol in session.overdue(clock.now_ns()):
                try:
                    answer = await self._rest.ask(questions.book(symbol))
                    snapshot = read_rest_book(answer.data, session.instrument(symbol))
                except (ReadError, WireError) as error:
                    _log.warning("no book over REST", symbol=symbol, error=str(error)[:200])
                    continue
                await _do(session.join(symbol, snapshot, clock.now_ns()), connection, notify)


async def _listen(
    connection: Connection, session: MarketSession, notify: Callable[[MarketEvent], None]
) -> None:
    while True:
        frame = await connection.receive()
        await _do(session.receive(frame, clock.now_ns()), connection, notify)


async def _do(
    effects: Sequence[MarketEffect], connection: Connection, notify: Callable[[MarketEvent], None]
) -> None:
    for effect in effects:
        match effect:
            case EmitMarketEvent(event):
                notify(event)
            case Send(frame):
                await connection.subscribe(frame)
            case Warn(detail):
                _log.error("okx refuses part of what is asked", alert=True, detail=detail)
            case Renew(detail):
                raise _RenewConnection(detail)
