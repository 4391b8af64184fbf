"""The history of a seed: every commit, request, fault and log line, with its instant.

Two runs of a seed must write the same history; a failing seed prints it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from tests.simulation.loop import PROCESS, VirtualLoop


class History:
    """Events in their order.

    Args:
        loop: whose time they get.
    """

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.events: list[tuple[float, str, str]] = []
        """Seconds, process, what happened."""

    def add(self, text: str) -> None:
        """Note what has happened in the present process."""
        self.events.append((self._loop.time(), PROCESS.get(), text))

    def digest(self) -> str:
        """A hash of all of it, and of how many steps it took."""
        text = repr((self.events, self._loop.steps))
        return hashlib.sha256(text.encode()).hexdigest()

    def lines(self) -> Iterator[str]:
        """As a person reads it."""
        for seconds, process, text in self.events:
            yield f"{seconds:12.6f}  {process:<14} {text}"


class _Logger:
    """A structlog logger that writes into the history."""

    def __init__(self, history: History) -> None:
        self._history = history

    def bind(self, **_values: Any) -> _Logger:
        """Keep no context."""
        return self

    new = unbind = try_unbind = bind

    def _write(self, event: str, **values: Any) -> None:
        said = " ".join(f"{name}={_short(value)}" for name, value in values.items())
        self._history.add(f"log: {event} {said}".rstrip())

    info = warning = error = exception = critical = _write

    def debug(self, event: str, **values: Any) -> None:
        """Too much."""


def _short(value: Any) -> str:
    if isinstance(value, BaseExceptionGroup):
        return "; ".join(_short(inner) for inner in value.exceptions)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}({value})"
    return str(value)[:120]


@contextmanager
def logs_into(history: History) -> Iterator[None]:
    """Have every log line of the services written there."""
    before = structlog.get_config()

    def wrap(*_args: Any, **_kwargs: Any) -> _Logger:
        return _Logger(history)

    structlog.configure(wrapper_class=wrap, cache_logger_on_first_use=False)  # type: ignore[arg-type]
    try:
        yield
    finally:
        structlog.configure(**before)
