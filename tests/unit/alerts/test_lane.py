"""A message that a target cannot put into its form keeps no other one from being told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from services.alerts import store
from services.alerts.core.grouping import Kind
from services.alerts.core.texts import Message
from services.alerts.delivery import Lane
from tradingtools.tasks import until_one_ends


def _due(number: int) -> store.Delivery:
    message = Message(
        id=f"msg_{number}", thread=f"msg_{number}", rule="halt", kind=Kind.FIRING,
        severity="critical", title="halted", body="halted", at_ms=number,
    )  # fmt: skip
    return store.Delivery(
        message=message, attempts=0, again=False, wait_seconds=0.0, age_seconds=0.0
    )


class Queue:
    """A target's outstanding messages, in memory."""

    def __init__(self) -> None:
        self.due = [_due(1), _due(2)]
        self.ends: dict[str, Mapping[str, Any]] = {}
        self.reported = asyncio.Event()

    async def next_delivery(self, *_: object) -> store.Delivery | None:
        """The oldest that has not ended."""
        return next((one for one in self.due if one.message.id not in self.ends), None)

    async def begin_delivery(self, *_: object) -> None:
        """Nothing is kept of it."""

    async def end_delivery(self, _pool: object, name: str, _target: str, **end: Any) -> None:
        """Note what became of it."""
        self.ends[name] = end
        if len(self.ends) == len(self.due):
            self.reported.set()

    async def both(self) -> None:
        """Wait until both have ended."""
        await self.reported.wait()


class Target:
    """Chokes on the first message."""

    async def send(self, message: Message, *, again: bool) -> None:
        """Take a message."""
        if message.id == "msg_1":
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, f"surrogate {again}")


async def test_message_that_breaks_a_target_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue()
    for name in ("next_delivery", "begin_delivery", "end_delivery"):
        monkeypatch.setattr(store, name, getattr(queue, name))
    lane = Lane(cast(Any, None), "mail", Target())
    async with asyncio.timeout(10):
        await until_one_ends(lane.run(), queue.both())
    assert [queue.ends[f"msg_{number}"]["state"] for number in (1, 2)] == ["GIVEN_UP", "SENT"]
    assert queue.ends["msg_1"]["perhaps"], "nobody knows how far it came"
