"""Ask control for a performance action; it is done once, however often it is asked for.

Before it: `monitor`, which is sure. After it: control's transaction. An answer that is lost is no
harm: the same action is asked for again under the same id.
"""

from __future__ import annotations

from typing import Any

import grpc
import structlog

from services.perfmon.core.judge import Move, Pending
from services.perfmon.followed import Followed
from tradingtools.domain.money import to_text
from tradingtools.domain.performance import action_id
from tradingtools.storage.postgres.lease import Lease
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_internal_service_pb2_grpc as rpc
from tradingtools.v1 import control_service_pb2 as control

_log = structlog.get_logger("perfmon.acting")
_SECONDS = 5.0
_REFUSALS = frozenset({
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
})  # fmt: skip
"""Asking again does not help before a person has mended something."""


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

    async def act(self, of: Followed, move: Move, pending: Pending) -> bool:
        """Ask for a move; returns whether it is done.

        False: control does not answer, or sees something else than what was judged: look again.
        """
        request = self._request(of, move, pending)
        try:
            await self._stub.PerfAction(request, metadata=self._metadata, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            told = {"subscription": of.id, "code": error.code().name, "detail": error.details()}
            if error.code() in _REFUSALS:
                _log.error("a performance action is refused; again later", alert=True, **told)
            else:
                _log.warning("a performance action is not done; again later", **told)
            return False
        _log.info(
            "performance action", subscription=of.id, action=request.action_id, rule=str(move.rule),
            result=to_text(pending.points[-1].high_micros), since=to_text(move.from_micros),
            limit=to_text(move.limit_micros),
        )  # fmt: skip
        return True

    def _request(self, of: Followed, move: Move, pending: Pending) -> pb.PerfActionRequest:
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
