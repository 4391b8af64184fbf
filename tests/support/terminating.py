"""Stores that are reached by TLS alone: real ones, behind a proxy that ends the TLS of its clients.

The embedded servers are built without TLS; what is tested is ours: what the URLs do.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

# https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while some := await reader.read(65_536):
            writer.write(some)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def terminating(
    target: int, certificate: tuple[Path, Path], *, postgres: bool = False
) -> AsyncIterator[int]:
    """A port of loopback behind which ``target`` is, by TLS.

    Args:
        target: port of the real server.
        certificate: and its key.
        postgres: the client asks for TLS as PostgreSQL's do, and whoever does not is hung up on.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        task.add_done_callback(serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError):
            if postgres:
                if await reader.readexactly(8) != _SSL_REQUEST:
                    writer.close()
                    return
                writer.write(b"S")
                await writer.start_tls(context)
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(_pipe(reader, there_writer), _pipe(there_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if postgres else context)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
