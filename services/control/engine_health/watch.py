"""Asks each process of the engine every second how it is, and keeps what was said in memory.

Each is asked for itself, with a second to answer: one that is stopped holds up no other, and is
named within three seconds. Backlogs are in the rows of the leases, which are read apart: a database
that is away holds up no health.

Before it: the health service of each process. After it: `subscriptions.service`, for
``/health/engine``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.control.engine_health.part_health import (
    NO_ANSWER,
    Part,
    ProcessAnswer,
    after,
    is_well,
)
from services.control.store import Store, queries
from tradingtools import clock
from tradingtools.domain.errors import Unavailable
from tradingtools.rpc import transport
from tradingtools.rpc.health import CONTRACT
from tradingtools.tasks import until_one_ends
from tradingtools.v1 import control_service_pb2 as pb

_SQL = queries("engine_health/queries")
_POLL_SECONDS = 1.0
_ANSWER_SECONDS = 1.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_SERVICE = "tradingtools."
_TELL = frozenset({"router", "executor", "confirm", "events", "webhooks"})
"""Processes whose leases say how long the oldest of what waits there has waited."""


class EngineWatch:
    """The health of the engine's processes, looked at all the time.

    Args:
        store: with the leases.
        targets: ``host:port`` by name, in the order in which they are shown.
    """

    def __init__(self, store: Store, targets: dict[str, str]) -> None:
        self._store = store
        self._targets = targets
        self._parts: dict[str, Part] = {}
        self._backlogs: dict[str, int] = {}

    async def watch(self) -> None:
        """ProcessAnswer for ever."""
        async with AsyncExitStack() as stack:
            looks = []
            for name, target in self._targets.items():
                channel = await stack.enter_async_context(transport.channel(target))
                looks.append(self._watch(name, health_pb2_grpc.HealthStub(channel)))
            await until_one_ends(self._read_backlogs(), *looks)

    async def _watch(self, name: str, stub: Any) -> None:
        while True:
            self._parts[name] = after(self._parts.get(name), await _poll(stub), clock.now_ms())
            await asyncio.sleep(_POLL_SECONDS)

    async def _read_backlogs(self) -> None:
        while True:
            try:
                rows = await self._store.rows(_SQL["backlogs"])
                self._backlogs = {row["name"]: row["backlog_ms"] for row in rows}
            except Unavailable:
                self._backlogs = {}
            await asyncio.sleep(_POLL_SECONDS)

    def engine_health(self) -> pb.EngineHealth:
        """Return how each part stands.

        Raises:
            Unavailable: nobody is asked, or not everybody has been.
        """
        if not self._targets or len(self._parts) < len(self._targets):
            raise Unavailable("the engine was not looked at", dependency="engine")
        well = is_well(self._parts.values())
        return pb.EngineHealth(
            status="serving" if well else "degraded",
            parts=[self._part(name, self._parts[name]) for name in self._targets],
        )

    def _part(self, name: str, part: Part) -> pb.EnginePart:
        state = pb.EnginePart(name=name, serving=part.poll.serving, away=part.poll.away)
        state.since.FromMilliseconds(part.since_ms)
        process, _, partition = name.partition("-")
        backlog_ms = self._backlogs.get(f"{process}-{partition or 0}")
        if process in _TELL and backlog_ms is not None:
            state.backlog_ms = backlog_ms
        return state


async def _poll(stub: Any) -> ProcessAnswer:
    try:
        listed = await stub.List(CONTRACT.HealthListRequest(), timeout=_ANSWER_SECONDS)
    except grpc.RpcError:
        return NO_ANSWER
    found = {name: answer.status == _SERVING for name, answer in listed.statuses.items()}
    away = sorted(n for n, up in found.items() if n and not up and not n.startswith(_SERVICE))
    return ProcessAnswer(serving=found.get("", False), away=tuple(away))


def targets_of(configured: Sequence[str]) -> dict[str, str]:
    """Return ``host:port`` by name. Raises ValueError: one is no ``name=host:port``."""
    found = {}
    for each in configured:
        name, equals, target = each.partition("=")
        if not (name and equals and ":" in target):
            raise ValueError(f"{each!r} is no name=host:port")
        found[name] = target
    return found
