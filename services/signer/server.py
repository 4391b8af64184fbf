"""The Unix socket: who connects, what is asked over it, and what is answered.

Before it: control and the engines. After it: `signer` and `custody`. A connection is taken from
users on the list, by the kernel's word; its first frame shows the engine token of a process that
this engine knows.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog

from services.signer.core import access
from services.signer.custody import Custody
from services.signer.signer import Peer, Signer
from tradingtools.domain.errors import TradingError
from tradingtools.domain.signing import Answer, Ask, OfControl, Refused, Request, Response
from tradingtools.rpc import callers, frames
from tradingtools.rpc.errors import as_trading_error
from tradingtools.runtime import instruments
from tradingtools.runtime.process import Startup
from tradingtools.tasks import cancel_all

_log = structlog.get_logger("signer")
_CONNECTIONS = 64
_AT_ONCE = 1_024
_HELLO_SECONDS = 5.0
_REASONS = tuple(kind.reason for kind in TradingError.__subclasses__())
_refused = instruments.counter(
    "tradingtools.signer", "signer.refusals", "requests that were refused, by reason",
    instruments.each(reason=[*_REASONS, TradingError.reason]),
)  # fmt: skip
_strangers = instruments.counter(
    "tradingtools.signer", "signer.strangers", "connections of users or processes not on the list"
)


class Server:
    """Serves connections.

    Args:
        signer: answers engines.
        custody: answers control.
        uids: users whose processes may connect.
    """

    def __init__(self, signer: Signer, custody: Custody, uids: frozenset[int]) -> None:
        self._signer = signer
        self._custody = custody
        self._uids = uids
        self._connections: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        task = asyncio.current_task()
        if task is None:
            return
        self._connections.add(task)
        try:
            peer = await self._peer(reader, writer)
            if peer is not None:
                await self._serve(reader, writer, peer)
        except (frames.TooLong, msgspec.DecodeError) as error:
            _log.warning(
                "a frame that is none of ours; its connection is closed", why=type(error).__name__
            )
        except (OSError, EOFError, TimeoutError):
            pass  # The other end has closed, or does not say who it is.
        finally:
            self._connections.discard(task)
            writer.close()

    async def end(self) -> None:
        """End all connections."""
        await cancel_all(self._connections)

    async def _peer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Peer | None:
        """Return who has connected; None: a stranger, or one too many."""
        if len(self._connections) > _CONNECTIONS:
            _log.warning("too many connections; one is closed")
            return None
        pid, uid = frames.peer_of(writer.get_extra_info("socket"))
        if uid not in self._uids:
            _strangers.add(1)
            _log.error("a process of a stranger connects; closed", pid=pid, uid=uid, alert=True)
            return None
        async with asyncio.timeout(_HELLO_SECONDS):
            hello = frames.hellos.decode(await frames.read(reader))
        names = callers.named_by(hello.token)
        if len(names) != 1:
            _strangers.add(1)
            _log.error("a process without a known token connects; closed", pid=pid, alert=True)
            return None
        return Peer(names[0], pid, uid)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer
    ) -> None:
        answering: set[asyncio.Task[None]] = set()
        room = asyncio.Semaphore(_AT_ONCE)
        try:
            while True:
                request = frames.requests.decode(await frames.read(reader))
                await room.acquire()
                task = asyncio.create_task(self._answer(request, writer, peer))
                answering.add(task)
                task.add_done_callback(answering.discard)
                task.add_done_callback(lambda _: room.release())
        finally:
            await cancel_all(answering)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter, peer: Peer) -> None:
        try:
            answer = await self._judged(request.ask, peer)
        except Exception as error:  # noqa: BLE001 - the asker learns a number, the log the rest
            answer = self._refusal(error, request.ask, peer)
        writer.write(frames.framed(Response(number=request.number, answer=answer)))
        await writer.drain()

    async def _judged(self, ask: Ask, peer: Peer) -> Answer:
        access.check(peer.process, ask)
        if isinstance(ask, OfControl):
            return await self._custody.answer(ask)
        return await self._signer.answer(ask, peer)

    def _refusal(self, error: Exception, ask: Ask, peer: Peer) -> Refused:
        shown = as_trading_error(error, str(ask.__struct_config__.tag))
        _refused.add(1, {"reason": shown.reason})
        _log.warning(
            "refused", kind=ask.__struct_config__.tag, process=peer.process, pid=peer.pid,
            reason=shown.reason, why=shown.message, wallet=getattr(ask, "wallet", ""),
        )  # fmt: skip
        return Refused(reason=shown.reason, message=shown.message, metadata=dict(shown.metadata))


@asynccontextmanager
async def listening(path: Path, server: Server, *, others: bool) -> AsyncIterator[None]:
    """Listen until the block ends. One signer is up, by its lease: a socket that is there is old.

    Args:
        path: of the socket.
        server: of connections.
        others: processes of other users may connect, too; the server judges which.

    Raises:
        Startup: others may write to the directory, or something else has the name.
    """
    listener = await asyncio.start_unix_server(server.connected, sock=_bound(path, others=others))
    try:
        yield
    finally:
        listener.close()
        await server.end()


def _bound(path: Path, *, others: bool) -> socket.socket:
    _refuse_open_directory(path.parent)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise Startup(f"TT_SIGNER_SOCKET: {path} is no socket")
        path.unlink()
    except FileNotFoundError:
        pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    was = os.umask(0o111 if others else 0o177)
    try:
        sock.bind(str(path))
    except OSError as error:
        raise Startup(f"TT_SIGNER_SOCKET: {path}: {error.strerror or error}") from None
    finally:
        os.umask(was)
    return sock


def _refuse_open_directory(directory: Path) -> None:
    try:
        status = directory.stat()
    except OSError as error:
        raise Startup(f"TT_SIGNER_SOCKET: {directory}: {error.strerror}") from None
    if status.st_uid not in (0, os.geteuid()):
        raise Startup(f"TT_SIGNER_SOCKET: {directory} belongs to another user, who can replace it")
    if status.st_mode & 0o022:
        raise Startup(
            f"TT_SIGNER_SOCKET: others may write to {directory} and put another socket there"
        )
