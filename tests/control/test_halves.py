"""Operators' calls and health do not depend on what the edge's process is busy with."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.control.edge import RunningEdge, StartEdge
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as rpc

_SECONDS = 60.0
HALT = pb.SetHaltRequest(
    scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_HALTED, reason="the edge is under attack"
)


@pytest.fixture
def control(start_edge: StartEdge) -> Iterator[RunningEdge]:
    """An edge whose control process may be stopped and killed."""
    with start_edge("halves") as running:
        yield running


def _internal(edge: RunningEdge) -> psutil.Process:
    (found,) = psutil.Process(edge.processes[0]).children()
    return found


def _until(held: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not held():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_halts_and_health_work_while_the_edge_process_stalls(
    control: RunningEdge,
) -> None:
    os.kill(control.processes[0], signal.SIGSTOP)
    try:
        with control.inside() as port:
            health: Any = health_pb2_grpc.HealthStub(port)
            reported = health.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
            operators = rpc.OperatorServiceStub(port)
            operators.SetHalt(HALT, timeout=_SECONDS)
            halts = operators.ListHalts(pb.ListHaltsRequest(), timeout=_SECONDS).halts
        rest = control.call("GET", "/health", None)
    finally:
        os.kill(control.processes[0], signal.SIGCONT)
    assert (rest.status_code, rest.json()) == (200, {"status": "ok"})
    # Envoy says whose health it is, by the name that clients know.
    said = {value for name, value in rest.headers.items() if name.startswith("x-")}
    assert said == {"tradingtools"}
    assert reported.status == health_pb2.HealthCheckResponse.SERVING
    assert [halt.reason for halt in halts] == [HALT.reason]
    assert control.call("GET", "/ready").status_code == 200


def test_health_is_told_of_the_process_that_halts(control: RunningEdge) -> None:
    internal = _internal(control)
    internal.suspend()
    try:
        _until(lambda: control.call("GET", "/health", None).status_code == 503)
        answer = control.call("GET", "/health", None)
    finally:
        internal.resume()
    assert answer.json()["details"][0]["reason"] == "UNAVAILABLE"
    _until(lambda: control.call("GET", "/health", None).status_code == 200)


def test_no_question_about_health_reaches_control(control: RunningEdge) -> None:
    """Otherwise those who ask again and again would keep the process busy that halts."""
    both = [psutil.Process(control.processes[0]), _internal(control)]
    for process in both:
        process.suspend()
    try:
        reported = [control.call("GET", "/health", None).status_code for _ in range(50)]
    finally:
        for process in both:
            process.resume()
    # Each is answered by what was found before; the checks may have failed meanwhile.
    assert set(reported) <= {200, 503}
    assert reported[0] == 200


@pytest.mark.parametrize(("verb", "path", "status"), [
    ("GET", "/health?a=1", 400), ("POST", "/health", 405), ("GET", "/health/", 404),
])  # fmt: skip
def test_path_that_resembles_health_is_judged_as_any(
    control: RunningEdge, verb: str, path: str, status: int
) -> None:
    assert control.call(verb, path, None).status_code == status


def test_neither_process_outlives_the_other(start_edge: StartEdge) -> None:
    with start_edge("kill-the-edge") as edge:
        internal = _internal(edge)
        os.kill(edge.processes[0], signal.SIGKILL)
        _until(lambda: _gone(internal))
    with start_edge("kill-the-internal") as edge:
        os.kill(_internal(edge).pid, signal.SIGKILL)
        _until(lambda: _gone(psutil.Process(edge.processes[0])))
        edge.logs("a task died")


def test_both_end_when_told_to(start_edge: StartEdge) -> None:
    with start_edge("told") as edge:
        internal = _internal(edge)
    assert _gone(internal)
    # A query that is cut off at the end is a warning of the pool, and names CancelledError.
    assert "[error" not in edge.log.read_text()
    assert "Traceback" not in edge.log.read_text()
