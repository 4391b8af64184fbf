"""Ask control for performance actions; each is done once, however often it is asked for.

Before it: `monitor`, which is sure. After it: control's transaction, one for all that are asked for
together. An answer that is lost is no harm: the same are asked for again under the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import structlog

from services.perfmon.core.judge import Pending, RuleAction
from services.perfmon.followed import MonitoredSubscription
from tradingtools.domain.money import to_text
from tradingtools.domain.performance import action_id
from tradingtools.storage.postgres.lease import Lease
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as rpc
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1.error_reason_pb2 import ErrorReason

_log = structlog.get_logger("perfmon.acting")
_SECONDS = 5.0
Wanted = tuple[MonitoredSubscription, RuleAction, Pending]
"""What is asked for, and what shows it."""
_REFUSALS = frozenset({
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
})  # fmt: skip
"""Asking again does not help before a person has mended something."""
_OF_ONE = frozenset({
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
})  # fmt: skip
"""Of a request that control cannot read or carry out."""


class Actor:
    """Asks control's internal port.

    Args:
        channel: to it.
        token: of the scope `internal`.
        lease: ours; control checks it in the transaction of the action.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str, lease: Lease) -> None:
        self._stub: Any = rpc.ControlInternalServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._lease = lease

    async def act(self, desired: Sequence[Wanted]) -> set[str]:
        """Ask for moves, each of another subscription; returns whose are done.

        Not done: control does not answer, or sees something else than what was judged: look again.
        """
        request = pb.PerfActionsRequest(actions=[self._request(*one) for one in desired])
        try:
            answer = await self._stub.PerfActions(
                request, metadata=self._metadata, timeout=_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            if len(desired) > 1 and error.code() in _OF_ONE:
                # It may be about one of them, which must not keep the others from being stopped.
                return {name for one in desired for name in await self.act([one])}
            details = {
                "code": error.code().name,
                "detail": error.details(),
                "actions": len(desired),
            }
            if error.code() in _REFUSALS:
                _log.error("a performance action is refused; again later", alert=True, **details)
            else:
                _log.warning("a performance action is not done; again later", **details)
            return set()
        return {
            one[0].id
            for one, sent, result in zip(desired, request.actions, answer.results, strict=True)
            if self._log_result(one, sent, result)
        }

    def _log_result(
        self, one: Wanted, request: pb.PerfActionRequest, result: pb.PerfActionResult
    ) -> bool:
        of, move, pending = one
        if result.WhichOneof("result") == "done":
            _log.info(
                "performance action", subscription=of.id, action=request.action_id,
                rule=str(move.rule), result=to_text(pending.points[-1].high_micros),
                since=to_text(move.from_micros), limit=to_text(move.limit_micros),
            )  # fmt: skip
            return True
        refused = result.refused
        details = {
            "subscription": of.id, "code": ErrorReason.Name(refused.reason),
            "detail": refused.message,
        }  # fmt: skip
        if refused.reason == ErrorReason.ERROR_REASON_INVALID_FIELD:
            _log.error("a performance action is refused; again later", alert=True, **details)
        else:
            _log.warning("a performance action is not done; again later", **details)
        return False

    def _request(
        self, of: MonitoredSubscription, move: RuleAction, pending: Pending
    ) -> pb.PerfActionRequest:
        points = [
            pb.ResultPoint(
                at_ms=point.at_ms, low_micros=point.low_micros, high_micros=point.high_micros
            )
            for point in pending.points
        ]
        request = pb.PerfActionRequest(
            id=of.id,
            action_id=action_id(of.id, of.ordinal),
            version=of.version,
            ordinal=of.ordinal,
            anchor_micros=move.anchor_micros,
            evidence=pb.PerformanceEvidence(
                rule=str(move.rule), from_micros=move.from_micros,
                limit_micros=move.limit_micros, points=points,
            ),
            partition=self._lease.partition,
            epoch=self._lease.epoch,
        )  # fmt: skip
        if move.stop is not None:
            request.stop = control.LossAction.Value(f"LOSS_ACTION_{move.stop}")
        else:
            request.scale_micros = move.scale_micros
        return request
