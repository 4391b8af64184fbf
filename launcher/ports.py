"""Ports for one run: a block that no other run on this machine takes.

A block is claimed by an abstract Unix socket that the kernel frees when its holder dies, so two
launchers that start at the same instant never choose the same ports. The blocks lie below the
range from which outgoing connections get theirs.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass

_FIRST, _LAST, _SIZE = 20_000, 32_000, 40
_TRIES = 200


class PortError(Exception):
    """A port cannot be had; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Ports by name; the claim is held as long as the socket is open."""

    ports: dict[str, int]
    base: int
    _claim: socket.socket

    def release(self) -> None:
        """Let others have the block."""
        self._claim.close()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: a connection of yesterday that still lingers is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def claim(names: Sequence[str], *, base: int | None = None) -> Block:
    """Claim a block and name its ports.

    Args:
        names: at most 40, in a fixed order.
        base: the block of an earlier run, to get the same ports again.

    Raises:
        PortError: the block of the earlier run is in use, or none is free.
    """
    if len(names) > _SIZE:
        raise ValueError(f"at most {_SIZE} ports")
    if base is not None:
        taken = _claim(base)
        if taken is None:
            raise PortError(f"ports {base} to {base + _SIZE - 1} of this state are in use")
        return _named(names, base, taken)
    for _ in range(_TRIES):
        # Where a run listens is no secret: this randomness only keeps runs apart.
        candidate = random.randrange(_FIRST, _LAST, _SIZE)  # noqa: S311
        taken = _claim(candidate)
        if taken is not None:
            if all(is_free(port) for port in range(candidate, candidate + len(names))):
                return _named(names, candidate, taken)
            taken.close()
    raise PortError(f"no free ports between {_FIRST} and {_LAST}")


class _Own:
    """Blocks of this process, port by port, held as long as it lives."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._left: list[int] = []

    def take(self) -> int:
        if not self._left:
            block = claim([str(number) for number in range(_SIZE)])
            self._blocks.append(block)
            self._left = list(block.ports.values())
        return self._left.pop(0)


_own = _Own()


def free_port() -> int:
    """A port for a server of this process or of its children; given once, and to nobody else.

    Not the kernel's choice: between its answer and the server's start, or while the server is
    started again, it gives the same port to whoever asks next.
    """
    return _own.take()


def _named(names: Sequence[str], base: int, taken: socket.socket) -> Block:
    return Block({name: base + offset for offset, name in enumerate(names)}, base, taken)


def _claim(base: int) -> socket.socket | None:
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        taken.bind(f"\0tradingtools-ports-{base}")
    except OSError:
        taken.close()
        return None
    return taken
