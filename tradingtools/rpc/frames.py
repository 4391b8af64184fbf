"""Frames of the signer's Unix socket: four bytes of length, and as many of MessagePack.

gRPC cannot say which process is at the other end of a Unix socket
([decision](../../docs/adr/0067-signer.md)), the kernel can (`SO_PEERCRED`).
"""

from __future__ import annotations

import asyncio
import socket
import struct

import msgspec

from tradingtools.domain.signing import Hello, Request, Response

MAX_BYTES = 64 * 1024
_LENGTH = struct.Struct(">I")
_PEER = struct.Struct("3i")
_encode = msgspec.msgpack.Encoder().encode
requests = msgspec.msgpack.Decoder(Request)
responses = msgspec.msgpack.Decoder(Response)
hellos = msgspec.msgpack.Decoder(Hello)


class TooLong(Exception):
    """A frame is longer than any of ours."""


def framed(message: Hello | Request | Response) -> bytes:
    """Return a message with its length. Raises TooLong."""
    body = _encode(message)
    if len(body) > MAX_BYTES:
        raise TooLong
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> bytes:
    """Return the next frame.

    Raises:
        TooLong: it claims to be longer than `MAX_BYTES`.
        asyncio.IncompleteReadError: the other end has closed.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_BYTES:
        raise TooLong
    return await reader.readexactly(length)


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return process id and user id of who has connected, as the kernel knows them."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    pid, uid, _ = _PEER.unpack(raw)
    return pid, uid
