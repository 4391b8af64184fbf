"""Books, prints, ticks and resolutions of Polymarket, over one socket of the market channel.

The channel can fall silent with its pings answered, so books are also compared with REST, one after
the other. Before: `market_session`, which decides. After: who trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from tradingtools import clock
from tradingtools.domain import errors
from tradingtools.domain.instrument import Instrument
from tradingtools.tasks import run_in_background, until_one_ends
from tradingtools.venues.mailbox import Mailbox
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.engine_watch import EngineWatch
from tradingtools.venues.polymarket.market_channel import MessageError
from tradingtools.venues.polymarket.market_session import MarketSession
from tradingtools.venues.polymarket.socket import CLOSED, open_socket
from tradingtools.venues.trading import MarketEvent

PING_SECONDS = 10.0
SILENT_SECONDS = 30.0
COMPARE_SECONDS = 10.0
"""From one book's comparison with REST to the next one's."""
_SETTLE_SECONDS = 1.0
"""A change that REST shows is told by the socket within this."""
_BIGGEST_FRAME = 16 * 1024 * 1024
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)

Tell = Callable[[MarketEvent], None]

_log = structlog.get_logger()


class _Doubt(Exception):
    """A book is in doubt: a new connection brings a whole one."""


@dataclass(slots=True)
class _Following:
    """The session of the connection that there is, or of the next one."""

    session: MarketSession


class PolymarketFeed:
    """The port of market data.

    Args:
        url: of the market channel.
        api: REST, which the books are compared with.
        ping_seconds: how often the venue is asked for a sign of life.
        silent_seconds: a socket that gives none for so long is given up.
        compare_seconds: how often a book is compared.
        engine: the matching engine, whose restarts are told; None: nobody tells of them.
        game_start: when the game of an asset's market starts, ms since the epoch; None: never.
    """

    def __init__(
        self,
        url: str,
        api: ClobApi,
        *,
        ping_seconds: float = PING_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
        compare_seconds: float = COMPARE_SECONDS,
        engine: EngineWatch | None = None,
        game_start: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self._url = url
        self._api = api
        self._ping_seconds = ping_seconds
        self._silent_seconds = silent_seconds
        self._compare_seconds = compare_seconds
        self._engine = engine or EngineWatch()
        self._game_start = game_start

    async def events(self, instruments: Sequence[Instrument]) -> AsyncIterator[MarketEvent]:
        """Tell each change, for ever; a book in doubt is told as STALE at once."""
        mail, following = Mailbox(), _Following(MarketSession(instruments))
        async with run_in_background(self._fill(following, mail)):
            async for event in mail.all():
                yield event

    async def _fill(self, following: _Following, mail: Mailbox) -> None:
        try:
            await until_one_ends(
                self._run(following, mail.put),
                self._follow_engine(following, mail.put),
                self._follow_games(following, mail.put),
            )
        finally:
            # Whoever waits for the next event has to hear of a defect.
            mail.close()

    async def _follow_engine(self, following: _Following, notify: Tell) -> None:
        async for phase in self._engine.phases():
            for event in following.session.engine(phase, clock.now_ms()):
                notify(event)

    async def _follow_games(self, following: _Following, notify: Tell) -> None:
        """Tell of each game that starts from now on."""
        symbols = [one.symbol for one in following.session.instruments()]
        started = clock.now_ms()
        starts = [(at, one) for one in symbols if (at := self._game_start(one) or 0) > started]
        for at, symbol in sorted(starts):
            await asyncio.sleep(max(at - clock.now_ms(), 0) / 1000)
            notify(following.session.started(symbol, at))
        await asyncio.Event().wait()

    async def _run(self, following: _Following, notify: Tell) -> None:
        failures = 0
        while True:
            session = following.session
            try:
                await self._connected(session, notify)
            except (*CLOSED, MessageError, _Doubt) as error:
                _log.info("market_channel_closed", error=f"{type(error).__name__}: {error}"[:200])
            reported = session.lost(clock.now_ns())
            for event in reported:
                notify(event)
            following.session = MarketSession(session.instruments())
            failures = 0 if reported else failures + 1
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])

    async def _connected(self, session: MarketSession, notify: Tell) -> None:
        async with open_socket(
            self._url,
            ping="PING",
            ping_seconds=self._ping_seconds,
            max_bytes=_BIGGEST_FRAME,
        ) as socket:
            desired = [one.symbol for one in session.instruments()]
            first = {"assets_ids": desired, "type": "market", "custom_feature_enabled": True}
            await socket.send(msgspec.json.encode(first).decode())
            await until_one_ends(
                self._listen(socket, session, notify), self._compare(session, desired, notify)
            )

    async def _listen(self, socket: ClientConnection, session: MarketSession, notify: Tell) -> None:
        while True:
            async with asyncio.timeout(self._silent_seconds):
                frame = await socket.recv(decode=False)
            if frame.lstrip()[:1] not in (b"{", b"["):
                continue
            for event in session.receive(frame, clock.now_ns()):
                notify(event)
            if session.doubtful:
                raise _Doubt("a book has other best prices than the venue says")

    async def _compare(self, session: MarketSession, symbols: Sequence[str], notify: Tell) -> None:
        while True:
            for symbol in symbols:
                await asyncio.sleep(self._compare_seconds)
                if await self._has_fallen_silent(session, symbol):
                    notify(session.doubt(symbol, clock.now_ns()))
                    raise _Doubt("a book is not what REST has, and nothing is told of it")

    async def _has_fallen_silent(self, session: MarketSession, symbol: str) -> bool:
        before = session.version(symbol)
        try:
            found = await self._api.book(symbol)
        except errors.Unavailable:
            return False
        if found is None or not session.differs(found):
            return False
        await asyncio.sleep(min(_SETTLE_SECONDS, self._compare_seconds))
        return session.version(symbol) == before
