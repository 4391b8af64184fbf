"""The streams that a server has open, so that they end when it is told to.

A stream of the engine never ends by itself: without this, every end of a process would wait for
the whole grace that is meant for calls under way, with nobody at work. Before it: `transport`,
which stops. After it: the caller, who sees UNAVAILABLE at once and resumes elsewhere or later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tradingtools.domain.errors import Unavailable

_ENDS = "the server ends"


class OpenStreams:
    """The tasks that serve the streams of one server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        """The current task serves a stream within this block.

        Raises:
            Unavailable: the server ends, before the stream or while it is open.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker; coroutines run in tasks
        if self._ended.is_set():
            raise Unavailable(_ENDS)
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._ended.is_set():
                raise
            task.uncancel()
            raise Unavailable(_ENDS) from None
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """End all of them, and whichever still comes."""
        self._ended.set()
        for task in self._tasks:
            task.cancel()
