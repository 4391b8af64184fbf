"""Performance actions between their message and values."""

from __future__ import annotations

from google.protobuf import json_format

from services.control.performance.rules import Action
from services.control.performance.store import ActionRequest, ActionResult, Claimant
from tradingtools.domain.errors import TradingError
from tradingtools.domain.money import to_text
from tradingtools.domain.performance import LossAction
from tradingtools.v1 import control_internal_service_pb2 as pb
from tradingtools.v1 import control_service_pb2 as control
from tradingtools.v1 import error_reason_pb2 as error_reason


def action(request: pb.PerfActionRequest) -> Action:
    """Read the action that is asked for."""
    stop = None
    if request.WhichOneof("action") == "stop":
        stop = LossAction(control.LossAction.Name(request.stop).removeprefix("LOSS_ACTION_"))
    return Action(
        id=request.action_id,
        subscription_id=request.id,
        version=request.version,
        ordinal=request.ordinal,
        stop=stop,
        scale_micros=request.scale_micros,
        anchor_micros=request.anchor_micros,
        evidence=json_format.MessageToDict(
            request.evidence,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        ),
    )


def action_request(request: pb.PerfActionRequest) -> ActionRequest:
    """Read what is asked for, and the lease that the caller says to have."""
    return ActionRequest(
        action(request), Claimant(request.partition, request.epoch), reason(request)
    )


def done(found: ActionResult) -> pb.PerfActionResponse:
    """Return what an action has done."""
    return pb.PerfActionResponse(control_seq=found.control_seq, exits=found.exits)


def result(found: ActionResult | TradingError) -> pb.PerfActionResult:
    """Return what became of one action of several."""
    if isinstance(found, ActionResult):
        return pb.PerfActionResult(done=done(found))
    return pb.PerfActionResult(
        refused=pb.PerfActionRefusal(
            reason=error_reason.ErrorReason.Value(f"ERROR_REASON_{found.reason}"),
            message=found.message,
        )
    )


def reason(request: pb.PerfActionRequest) -> str:
    """Return why, for people: the rule and its numbers."""
    of = request.evidence
    last = of.points[-1]
    lost = to_text(of.from_micros - last.high_micros)
    text = f"{of.rule}: lost {lost} USDC of {to_text(of.limit_micros)}"
    return f"{text}; {of.detail}" if of.detail else text
