"""The exchange as a file, so that money, positions and orders outlive the process.

It is written at the end and, after changes, each second, or less often where that takes long:
whoever is killed loses what came after.
The file is this program's own and belongs to the version that wrote it.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

from paper.okx.core.auth import Key
from paper.okx.core.exchange import Exchange
from paper.okx.feed.generator import Generator
from paper.okx.publisher import Publisher

FILE = "paper_okx.state"
_PAUSE_S = 1.0
_SHARE = 20
"""Of so many parts of the time, writing takes one at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that outlives the process."""

    exchange: Exchange
    generator: Generator
    keys: dict[str, Key]


class StateError(Exception):
    """There is a file and it cannot be read; the text says why."""


def load(path: Path) -> State | None:
    """Return the state of the process before this one; None: there was none. Raises StateError."""
    try:
        found = pickle.loads(path.read_bytes())  # noqa: S301 - its own file
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - what it raises depends on what is wrong
        raise StateError(f"{path} was not written by this version: {error!r}") from None
    if not isinstance(found, State):
        raise StateError(f"{path} was not written by this version")
    return found


def save(path: Path, state: State) -> None:
    """Write the state, whole or not at all. Raises OSError."""
    ready = path.with_suffix(".tmp")
    descriptor = os.open(ready, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pickle.dumps(state))
    ready.replace(path)


async def keep(path: Path, state: State, publisher: Publisher) -> None:
    """Write the state after changes, for ever."""
    took = 0.0
    while True:
        await asyncio.sleep(max(_PAUSE_S, _SHARE * took))
        if publisher.changed:
            publisher.changed = False
            started = time.perf_counter()
            save(path, state)
            took = time.perf_counter() - started
