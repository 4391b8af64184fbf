"""Ways to misbehave: a request or its answer is lost, late, refused, or done twice."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

Kind = Literal["drop", "hold", "late", "lose", "slow", "status", "twice"]
"""drop: nothing is done and nobody answers; hold: nobody answers, and it is done once it is
released; late: done after a while; lose: done, and nobody answers; slow: done at once and answered
after a while; status: refused by something in front; twice: done two times, and the second answer
is given."""
UNANSWERED = frozenset({"drop", "hold", "lose"})


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A fault of the next requests to a path."""

    kind: Kind
    path: str
    method: str = "POST"
    times: int = 1
    ms: int = 0
    status: int = 502
    body: str = "<html>bad gateway</html>"


class Faults:
    """The faults that wait, in order."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self.released = asyncio.Event()
        """Requests that are held go on."""

    def release(self) -> None:
        """Let the requests go on that are held; those that come are held again."""
        self.released.set()
        self.released = asyncio.Event()

    def add(self, fault: Fault) -> None:
        """Let the next requests go wrong."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget the faults that no request has met."""
        self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault of a request; it is used up once."""
        for fault in self._waiting:
            if fault.method == method and fault.path == path:
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
                return fault
        return None
