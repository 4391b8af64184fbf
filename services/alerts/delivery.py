"""Takes messages to their targets: each target in a lane of its own, oldest message first.

Before it: `judge`, which commits messages. A message that is about to leave is noted as such before
its first byte. Whoever finds that note after a crash cannot know whether it arrived, sends it, and
says so in it: at least once, and twice only when the process or the connection ended in the midst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog
from opentelemetry import metrics

from services.alerts import store
from services.alerts.targets import NotDelivered, Target
from tradingtools.runtime.consumer import while_database_is_away
from tradingtools.storage.postgres.pool import Pool
from tradingtools.tasks import until_one_ends

_log = structlog.get_logger("alerts")
_ends = metrics.get_meter("tradingtools.alerts").create_counter(
    "alerts_deliveries", description="attempts, by target and outcome"
)
OUTCOMES = ("sent", "failed", "given_up")
_PAUSES = (1.0, 5.0, 15.0, 60.0, 300.0)
"""Seconds after an attempt that failed; the last one again and again."""
_LONGEST_SECONDS = 900.0
"""However long a target asks to be left alone: behind one message others wait."""
_GIVEN_UP_SECONDS = 86_400.0
"""Nobody wants to be called about what is a day old."""


class Lane:
    """The delivery of messages to one target.

    Args:
        pool: of the deciding database.
        name: of the target.
        target: takes messages.
    """

    def __init__(self, pool: Pool, name: str, target: Target) -> None:
        self._pool = pool
        self._name = name
        self._target = target
        self.woken = asyncio.Event()
        for outcome in OUTCOMES:
            _ends.add(0, {"target": name, "outcome": outcome})

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            self.woken.clear()
            due = await while_database_is_away(partial(store.next_delivery, self._pool, self._name))
            if due is None:
                await self.woken.wait()
            elif due.wait_seconds > 0:
                await asyncio.sleep(due.wait_seconds)
            else:
                await self._deliver(due)

    async def _deliver(self, due: store.Delivery) -> None:
        name = due.message.id
        await while_database_is_away(partial(store.begin_delivery, self._pool, name, self._name))
        end = partial(store.end_delivery, self._pool, name, self._name)
        try:
            await self._send(due)
        except NotDelivered as error:
            gone = error.for_good or due.age_seconds > _GIVEN_UP_SECONDS
            say = _log.error if gone else _log.warning
            say("an alert was not delivered", target=self._name, message=name, error=str(error),
                title=due.message.title, given_up=gone)  # fmt: skip
            requested = min(error.after_seconds, _LONGEST_SECONDS)
            pause = max(_PAUSES[min(due.attempts, len(_PAUSES) - 1)], requested)
            _ends.add(1, {"target": self._name, "outcome": "given_up" if gone else "failed"})
            end = partial(
                end, state="GIVEN_UP" if gone else "DUE", perhaps=due.again or error.perhaps,
                error=str(error), wait_seconds=pause,
            )  # fmt: skip
        else:
            _ends.add(1, {"target": self._name, "outcome": "sent"})
            end = partial(end, state="SENT", perhaps=due.again)
        await while_database_is_away(end)

    async def _send(self, due: store.Delivery) -> None:
        try:
            await self._target.send(due.message, again=due.again)
        except NotDelivered:
            raise
        except Exception as error:  # a message that a target chokes on holds up no other one
            _log.error("a target chokes on a message", target=self._name, exc_info=error)
            raise NotDelivered(type(error).__name__, for_good=True, perhaps=True) from error


class Deliveries:
    """The lanes of all targets, which may change while the process runs.

    Args:
        pool: of the deciding database.
        notified: set when there is a message.
    """

    def __init__(self, pool: Pool, notified: asyncio.Event) -> None:
        self._pool = pool
        self._notified = notified
        self._changed = asyncio.Event()
        self._targets: Mapping[str, Target] = {}

    def use(self, targets: Mapping[str, Target]) -> None:
        """Deliver to these from now on; an attempt under way is broken off and made again."""
        self._targets = targets
        self._changed.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            self._changed.clear()
            lanes = [Lane(self._pool, name, one) for name, one in self._targets.items()]
            await while_database_is_away(
                partial(store.drop_other_targets, self._pool, list(self._targets))
            )
            # Ends, and the lanes with it, when there are other targets.
            await until_one_ends(self._wait(), self._wake(lanes), *(lane.run() for lane in lanes))

    async def _wait(self) -> None:
        await self._changed.wait()

    async def _wake(self, lanes: list[Lane]) -> None:
        while True:
            await self._notified.wait()
            self._notified.clear()
            for lane in lanes:
                lane.woken.set()
