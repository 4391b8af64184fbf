"""The private socket of one wallet: connected, and connected again; orders over it, by setting.

Before: `private_session`, which decides. What was sent and not answered when a connection ends may
have been done: nothing is sent again, its order is looked up.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog

from tradingtools import clock
from tradingtools.tasks import until_one_ends
from tradingtools.venues.okx.balances import AccountBook
from tradingtools.venues.okx.catalogue import OkxInstruments
from tradingtools.venues.okx.connection import GONE, Connection, Endpoint
from tradingtools.venues.okx.error_codes import Action
from tradingtools.venues.okx.private_session import (
    Answered,
    Effect,
    EmitEvent,
    PrivateSession,
    ReadFills,
    ReadInstruments,
    Renew,
    Send,
    SessionState,
    StartCatchUp,
)
from tradingtools.venues.okx.rate_gate import RateGates
from tradingtools.venues.okx.requests import SocketOperation
from tradingtools.venues.okx.rest_client import NoAnswer, OkxRest
from tradingtools.venues.okx.signing import Credentials, SigningError
from tradingtools.venues.okx.spares import SpareConnections
from tradingtools.venues.okx.wire import OperationAnswer
from tradingtools.venues.trading import (
    AccountEvent,
    Disconnected,
    Fill,
    OrderReport,
    OrderStatus,
    ReadError,
)

MARGIN_MS = 60_000
"""Read again from so long before the connection was lost: pushes may have been under way."""
_CREDENTIALS_PAUSE = 30.0
_log = structlog.get_logger("okx")


class CatchUpReader(Protocol):
    """Reads by REST, raising ReadError."""

    async def missed(
        self, account: AccountBook, since_ms: int, resting: Collection[OrderReport]
    ) -> Sequence[AccountEvent]:
        """Return what may have been missed since, and load the account."""
        ...

    async def fills(self, since_ms: int) -> Sequence[Fill]:
        """Return the fills since."""
        ...

    async def load(self, account: AccountBook) -> None:
        """Read balances and positions into an account."""
        ...


Told = Callable[[AccountEvent], None]


class _RenewConnection(Exception):
    def __init__(self, renew: Renew) -> None:
        super().__init__(renew.detail)
        self.action = renew.action


class _Link:
    """One connection, and what belongs to it."""

    def __init__(
        self, connection: Connection, session: PrivateSession, account: AccountBook, notify: Told
    ) -> None:
        self.connection = connection
        self.session = session
        self.account = account
        self.notify = notify
        self.reported = False
        self.turn = asyncio.Lock()
        """Held while effects are carried out: they keep their order."""
        self.to_read = asyncio.Event()
        self.to_read_fills = asyncio.Event()


class PrivateSocket:
    """The socket of one wallet.

    Args:
        endpoint: the private path.
        spares: connections to it.
        rest: of the wallet; knows the venue's clock.
        gates: the limits, shared with ``rest``.
        credentials: of the wallet.
        instruments: read anew when something is about one that is not known.
        tag: that our orders carry.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        spares: SpareConnections,
        rest: OkxRest,
        gates: RateGates,
        credentials: Credentials,
        instruments: OkxInstruments,
        tag: str,
    ) -> None:
        self._endpoint = endpoint
        self._spares = spares
        self._rest = rest
        self._gates = gates
        self._credentials = credentials
        self._instruments = instruments
        self._tag = tag
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[OperationAnswer | NoAnswer]] = {}
        self._link: _Link | None = None
        self._seen_ms: int | None = None
        self._resting: dict[str, OrderReport] = {}
        """Orders that were told last as resting, by the venue's id."""

    @property
    def trusted(self) -> bool:
        """Return whether everything that was missed has been read."""
        return self._link is not None and self._link.session.state is SessionState.TRUSTED

    async def run(self, notify: Told, missed: CatchUpReader) -> None:
        """Tell each event, for ever.

        Args:
            notify: each event, at once.
            missed: reads the account after the first connection, and what was missed after others.
        """
        failures = 0
        while True:
            pauses = self._endpoint.patience.pauses
            pause = pauses[min(failures, len(pauses) - 1)]
            was_trusted = False
            try:
                await self._connected(notify, missed)
            except _RenewConnection as over:
                detail, was_trusted = str(over), self._lost()
                pause = max(pause, await self._learn(over.action))
            except (*GONE, SigningError, ReadError) as error:
                detail, was_trusted = f"{type(error).__name__}: {error}"[:200], self._lost()
            failures = 0 if was_trusted else failures + 1
            _log.info("okx private socket ended", detail=detail)
            if was_trusted:
                notify(Disconnected(detail=detail))
            await asyncio.sleep(pause)

    async def operate(
        self, operation: SocketOperation, *, not_after_ms: int, timeout_ms: int
    ) -> OperationAnswer | NoAnswer:
        """Send an operation once.

        Args:
            operation: what is sent.
            not_after_ms: by our wall clock; no byte of it leaves later.
            timeout_ms: for its answer.
        """
        async with self._gates.user.passing(operation.charges, not_after_ms) as admitted:
            if not admitted:
                return NoAnswer(left=False, detail="no room within the limits", late=True)
            link = self._link
            if link is None or not self.trusted:
                return NoAnswer(left=False, detail="the socket is not trusted")
            number = str(next(self._numbers))
            answer: asyncio.Future[OperationAnswer | NoAnswer] = asyncio.Future()
            self._waiting[number] = answer
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    await link.connection.send(operation.encode(number))
                    return await answer
            except GONE as error:
                return NoAnswer(left=True, detail=type(error).__name__)
            finally:
                self._waiting.pop(number, None)

    async def _connected(self, notify: Told, missed: CatchUpReader) -> None:
        if not self._rest.venue_clock.known:
            await self._rest.ensure_clock()
        async with self._spares.opened() as connection:
            account = AccountBook(self._instruments.directory)
            session = PrivateSession(self._instruments.directory, account, self._tag)
            self._link = link = _Link(connection, session, account, notify)
            await self._login(link)
            await until_one_ends(self._listen(link), self._catch_up(link, missed))

    async def _login(self, link: _Link) -> None:
        timestamp = self._rest.venue_clock.at(clock.now_ms()) // 1000
        signature = await self._credentials.signer.sign_login(timestamp=timestamp)
        frame = link.session.login(
            self._credentials.api_key, timestamp=timestamp, signature=signature
        )
        await link.connection.subscribe(frame)

    async def _listen(self, link: _Link) -> None:
        while True:
            frame = await link.connection.receive()
            async with link.turn:
                await self._do(link, link.session.receive(frame))

    async def _catch_up(self, link: _Link, missed: CatchUpReader) -> None:
        await link.to_read.wait()
        if self._seen_ms is None:
            # Nothing was told yet, so nothing was missed: who listens reads what there is.
            await missed.load(link.account)
            events: Sequence[AccountEvent] = [link.account.state]
        else:
            resting = tuple(self._resting.values())
            events = await missed.missed(link.account, self._seen_ms - MARGIN_MS, resting)
        async with link.turn:
            now_ms = self._rest.venue_clock.at(clock.now_ms())
            await self._do(link, link.session.caught_up(events, now_ms))
        while True:
            await link.to_read_fills.wait()
            link.to_read_fills.clear()
            now_ms = self._rest.venue_clock.at(clock.now_ms())
            for fill in await missed.fills(now_ms - MARGIN_MS):
                link.notify(fill)

    async def _do(self, link: _Link, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(frame):
                    await link.connection.subscribe(frame)
                case StartCatchUp():
                    link.to_read.set()
                case EmitEvent(event):
                    link.reported = True
                    self._note(event)
                    link.notify(event)
                case ReadFills():
                    link.to_read_fills.set()
                case ReadInstruments(push, symbol):
                    await self._instruments.learn(symbol)
                    await self._do(link, link.session.again(push))
                case Answered(answer):
                    waiting = self._waiting.get(answer.id)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
                case Renew():
                    raise _RenewConnection(effect)

    def _note(self, event: AccountEvent) -> None:
        if not isinstance(event, OrderReport):
            return
        if event.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED):
            self._resting[event.venue_order_id] = event
        else:
            self._resting.pop(event.venue_order_id, None)

    def _lost(self) -> bool:
        """Give up the connection. Return whether anything was told of it."""
        link, self._link = self._link, None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(NoAnswer(left=True, detail="the connection ended"))
        if link is None or not link.reported:
            return False
        self._seen_ms = self._rest.venue_clock.at(clock.now_ms())
        return True

    async def _learn(self, action: Action) -> float:
        if action is Action.CLOCK:
            await self._rest.resync_clock()
        if action is not Action.CREDENTIALS:
            return 0.0
        _log.error("okx refuses the key of a wallet; nothing of it is traded", alert=True)
        return _CREDENTIALS_PAUSE
