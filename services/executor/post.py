"""One attempt on its way from its SUBMITTING commit to its outcome, and its state.

Before it: the commit. After it: `sender` and `slow_path`, which ask the table for each step.
"""

from __future__ import annotations

from services.executor.core.attempt import Attempt
from services.executor.core.post_states import NEXT, IllegalTransition, PostEvent, PostState
from tradingtools import clock

_NEW = PostState.NEW


class Post:
    """The POST of an attempt.

    Args:
        attempt: that may be sent.
        wait_ms: since its gates were checked; it is not sent later.
    """

    __slots__ = ("attempt", "lane", "released", "state", "wait_ms")

    def __init__(self, attempt: Attempt, wait_ms: int) -> None:
        self.attempt = attempt
        self.wait_ms = wait_ms
        self.lane = attempt.lane
        self.released = False
        """The next of its lane may be sent."""
        self.state = _NEW

    def check(self, event: PostEvent) -> None:
        """Raise IllegalTransition if the table has no such transition; nothing changes."""
        if (self.state, event) not in NEXT:
            raise IllegalTransition(f"{self.state}: {event}")

    def move(self, event: PostEvent) -> PostState:
        """Make a transition and return the state that follows.

        Raises:
            IllegalTransition: the table has no such transition; nothing has changed.
        """
        try:
            self.state = state = NEXT[self.state, event]
        except KeyError:
            raise IllegalTransition(f"{self.state}: {event}") from None
        return state

    def time_left_ms(self) -> int:
        """Return how long it may still be sent: until its time or nearly its lease ends.

        After its lease nobody could tell any more that it was never sent.
        """
        waited_ms = (clock.monotonic_ns() - self.attempt.gates_checked_ns) // 1_000_000
        return min(self.attempt.order.not_after_ms - clock.now_ms(), self.wait_ms - waited_ms)
