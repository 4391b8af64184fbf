"""Read claims of router and guard into the send queue, and acknowledge cursors in stream order.

A cursor is acknowledged when everything up to it is handled: SUBMITTING is committed, nothing will
be sent, or polling brings it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.executor.send_queue import SendQueue
from tradingtools.rpc import streams


async def read_claims(
    queue: SendQueue,
    name: str,
    open_stream: Callable[[str], Any],
    cursor: str,
    *,
    acknowledge: tuple[Any, str],
) -> None:
    """Read a stream of claims for ever; what waits to be committed does not stop the reading.

    Args:
        queue: where they wait to be sent.
        name: of the stream, for the log.
        open_stream: opens it after a cursor.
        cursor: where to start.
        acknowledge: the stub that takes acknowledgements, and the reader's name.
    """
    async with streams.acknowledging(*acknowledge) as reached:
        cursors = AckTracker(reached)
        async for response in streams.read(name, open_stream, cursor):
            if response.batches:
                handled = cursors.expect(response.cursor, len(response.batches))
                for batch in response.batches:
                    queue.on_batch(batch, handled)


class AckTracker:
    """AckTracker of a stream whose messages are handled in any order.

    Args:
        acknowledge: called with a cursor when everything up to it is handled.
    """

    def __init__(self, acknowledge: Callable[[str], None]) -> None:
        self._acknowledge = acknowledge
        self._open: deque[_Open] = deque()

    def expect(self, cursor: str, count: int) -> Callable[[], None]:
        """Add the next message; what is returned is called for each of its ``count`` claims."""
        message = _Open(cursor, count)
        self._open.append(message)

        def handled() -> None:
            message.left -= 1
            reached = ""
            while self._open and not self._open[0].left:
                reached = self._open.popleft().cursor
            if reached:
                self._acknowledge(reached)

        return handled


@dataclass(slots=True)
class _Open:
    cursor: str
    left: int
