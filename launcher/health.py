"""Ask the processes of a run for their health: each is asked once for all that it has to tell.

Before it: the ports of a run under way. After it: ``python -m launcher health`` prints a line each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from launcher.core.programs import ENGINE, OPTIONAL, listen_variable
from launcher.startup import answers
from tradingtools.rpc.health import CONTRACT
from tradingtools.rpc.transport import blocking_channel

_SECONDS = 3.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_SERVICE = "tradingtools."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessHealth:
    """The health that one process reports."""

    name: str
    message: str
    well: bool
    """It serves, and so does all that it depends on."""


def of_engine(ports: Mapping[str, int], environ: Mapping[str, str]) -> Iterator[ProcessHealth]:
    """Each process of the engine.

    Args:
        ports: of the run.
        environ: says where processes listen that were told so.
    """
    for name in (*ENGINE, *(name for name in OPTIONAL if name in ports)):
        inside = "control_internal" if name == "control" else name
        given = environ.get(listen_variable(inside))
        yield of_process(name, given or f"127.0.0.1:{ports.get(inside, 0)}")


def of_process(name: str, target: str) -> ProcessHealth:
    """The process whose internal port is at ``host:port``."""
    with blocking_channel(target) as channel:
        # The package's types leave out the methods of its stub.
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            listed = stub.List(CONTRACT.HealthListRequest(), timeout=_SECONDS)
        except grpc.RpcError:
            return ProcessHealth(name=name, message=f"does not answer at {target}", well=False)
    found = {what: answer.status == _SERVING for what, answer in listed.statuses.items()}
    whole = "SERVING" if found.get("") else "NOT_SERVING"
    parts = [
        f"{what} {'up' if up else 'DOWN'}"
        for what, up in sorted(found.items())
        if what and not what.startswith(_SERVICE)
    ]
    return ProcessHealth(
        name=name, message=f"{whole:<11}  {', '.join(parts)}", well=all(found.values())
    )


def of_edge(rest_url: str) -> ProcessHealth:
    """The whole way of a REST call: Envoy, control, both stores."""
    ready = answers(f"{rest_url}/ready")
    message = "ready" if ready else f"{rest_url}/ready does not answer 200"
    return ProcessHealth(name="edge", message=message, well=ready)
