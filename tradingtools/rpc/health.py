"""Health as every gRPC server of the engine tells it: by name, and all names in one answer.

Before it: `health` and `transport`, which say what serves. After it: whoever asks, such as
`python -m launcher health`.
"""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

CONTRACT: Any = health_pb2
"""The package's types leave out what ``List`` takes and answers."""


class Health(HealthServicer):
    """The package's servicer with ``List``, which it registers and does not implement (1.85)."""

    def __init__(self) -> None:
        super().__init__()
        self._statuses: dict[str, Any] = {}

    async def set(self, service: str, status: Any) -> None:
        """Tell ``Check`` and ``Watch``, and keep it for ``List``."""
        self._statuses[service] = status
        await super().set(service, status)

    async def List(
        self,
        request: Any,  # noqa: ARG002
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> Any:
        """Return every name that has been reported, with what was reported last; the empty one is
        the whole."""
        return CONTRACT.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=status)
                for name, status in self._statuses.items()
            }
        )
