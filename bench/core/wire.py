"""A web socket's text frame as a server writes it (RFC 6455, section 5.2). Pure.

The library's own way costs more than the reader under measurement, who would wait for the sender.
"""

from __future__ import annotations

import struct

_TEXT_WHOLE = 0x81
_LENGTH_FOLLOWS = 126
"""In the place of a length: it stands in the next two bytes."""


def text_frame(payload: bytes) -> bytes:
    """One unmasked frame with the whole message. Raises ValueError beyond 65,535 bytes."""
    size = len(payload)
    if size < _LENGTH_FOLLOWS:
        return bytes((_TEXT_WHOLE, size)) + payload
    if size >= 1 << 16:
        raise ValueError(f"{size} bytes do not fit into a frame of two length bytes")
    return struct.pack(">BBH", _TEXT_WHOLE, _LENGTH_FOLLOWS, size) + payload
