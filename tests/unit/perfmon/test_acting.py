"""What is told to perfmon of several actions that it asks for at once."""

from __future__ import annotations

from typing import Any
from unittest import mock

import grpc
import pytest
from structlog.testing import capture_logs

from services.perfmon.acting import Actor, Wanted
from services.perfmon.core.judge import Pending, Point, RuleAction
from services.perfmon.core.position import Patience, Valuation
from services.perfmon.core.results import Account
from services.perfmon.followed import MonitoredSubscription
from tradingtools.domain.performance import LossAction, Performance, Window
from tradingtools.domain.permissions import INSIDE_PORT
from tradingtools.rpc import transport
from tradingtools.storage.postgres.lease import Lease
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as rpc
from tradingtools.v1.error_reason_pb2 import ErrorReason

TOKEN = "t" * 64


class _Control(rpc.ControlInternalServiceServicer):
    """Answers what the test says, in turn."""

    def __init__(self, *results: pb.PerfActionResult) -> None:
        self._results = results
        self.requested: list[pb.PerfActionsRequest] = []

    async def Fund(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def PerfAction(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def PerfActions(self, request: pb.PerfActionsRequest, context: Any) -> Any:
        self.requested.append(request)
        if not self._results:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "another scope")
        return pb.PerfActionsResponse(results=self._results)


def _desired(number: int) -> Wanted:
    account = Account(Patience(1, 1), lambda _asset, _shares: Valuation(0, 0, True))
    of = MonitoredSubscription(
        id=f"sub_{number:032x}", proxy="0x", account=account, wallet=None, rules=Performance(),
        version=3, ordinal=number,
    )  # fmt: skip
    move = RuleAction(
        rule=Window.TOTAL, stop=LossAction.PAUSE, anchor_micros=-9, from_micros=0, limit_micros=9
    )
    return of, move, Pending("STOP", (Point(1, -9, -9), Point(2, -9, -9)))


async def _ask(control: _Control, count: int) -> tuple[set[str], list[Any]]:
    lease = mock.Mock(spec=Lease, partition=0, epoch=7)
    async with transport.serving(
        "127.0.0.1:0", [],
        lambda server: rpc.add_ControlInternalServiceServicer_to_server(control, server),
            permissions=INSIDE_PORT,
    ) as served, transport.channel(f"127.0.0.1:{served.port}") as channel:  # fmt: skip
        with capture_logs() as logs:
            return await Actor(channel, TOKEN, lease).act([_desired(n) for n in range(count)]), logs


def _refused(reason: str) -> pb.PerfActionResult:
    reported = pb.PerfActionRefusal(
        reason=ErrorReason.Value(f"ERROR_REASON_{reason}"), message="no"
    )
    return pb.PerfActionResult(refused=reported)


async def test_each_is_done_or_not_by_itself() -> None:
    done = pb.PerfActionResult(done=pb.PerfActionResponse(control_seq=5))
    control = _Control(done, _refused("CONFLICT"), _refused("INVALID_FIELD"))
    names, logs = await _ask(control, 3)
    assert names == {_desired(0)[0].id}
    assert [line.get("alert") for line in logs] == [None, None, True]
    (requested,) = control.requested
    assert [(one.ordinal, one.version, one.epoch) for one in requested.actions] == [
        (0, 3, 7), (1, 3, 7), (2, 3, 7),
    ]  # fmt: skip
    assert len({one.action_id for one in requested.actions}) == 3


async def test_a_refused_token_is_told_to_a_person() -> None:
    names, logs = await _ask(_Control(), 2)
    assert names == set()
    assert [line.get("alert") for line in logs] == [True]


async def test_failed_action_blocks_no_other() -> None:
    class _Particular(_Control):
        async def PerfActions(self, request: pb.PerfActionsRequest, context: Any) -> Any:
            self.requested.append(request)
            if any(one.ordinal == 1 for one in request.actions):
                await context.abort(grpc.StatusCode.INTERNAL, "internal error")
            done = pb.PerfActionResult(done=pb.PerfActionResponse())
            return pb.PerfActionsResponse(results=[done] * len(request.actions))

    control = _Particular()
    names, _ = await _ask(control, 3)
    assert names == {_desired(0)[0].id, _desired(2)[0].id}
    assert [len(one.actions) for one in control.requested] == [3, 1, 1, 1]


@pytest.mark.parametrize("count", [1, 2])
async def test_an_answer_about_others_is_none(count: int) -> None:
    done = pb.PerfActionResult(done=pb.PerfActionResponse())
    with pytest.raises(ValueError, match="zip"):
        await _ask(_Control(*[done] * 3), count)
