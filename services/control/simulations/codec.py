"""Simulations between their messages and the tool's questions and answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.control import parsing
from services.control.messages import Fields
from services.control.subscriptions import rules as settings_rules
from services.control.subscriptions import settings_codec
from services.control.subscriptions.rules import Group
from tradingtools.v1 import simulation_service_pb2 as pb

Answer = Mapping[str, Any]
_LIMITS = {
    "max_per_trade": "maxPerTrade",
    "max_per_market": "maxPerMarket",
    "max_slippage": "maxSlippage",
}


def groups(request: pb.GetBacktestRequest | pb.GetSettingsPreviewRequest) -> list[Group]:
    """Return the groups that a request gives; raises InvalidField."""
    found: list[Group] = []
    if request.HasField("sizing"):
        found.append(settings_codec.sizing_group(request.sizing))
    if request.HasField("limits"):
        found.append(settings_codec.limits_group(request.limits))
    if request.HasField("filters"):
        found.append(settings_codec.filters_group(request.filters))
    if request.HasField("exits"):
        found.append(settings_codec.exits_group(request.exits))
    return found


def plain_settings(request: pb.GetLeaderSimulationRequest) -> dict[str, Any]:
    """Return sizing and limits as columns, as far as they are given; raises InvalidField."""
    columns: dict[str, Any] = {}
    if request.HasField("amount"):
        columns["sizing_mode"] = "FIXED"
        columns["sizing_micros"] = settings_rules.fixed_amount(request.amount, "amount")
    if request.HasField("ratio"):
        columns["sizing_mode"] = "RATIO"
        columns["sizing_micros"] = settings_rules.factor(request.ratio, "ratio")
    for name, field in _LIMITS.items():
        if request.HasField(name):  # type: ignore[arg-type]
            columns[f"{name}_micros"] = parsing.amount(getattr(request, name), field)
    return columns


def budget(request: pb.GetLeaderSimulationRequest | pb.GetBacktestRequest) -> int | None:
    """Return what a follower begins with, USDC micros; None: as much as he needs."""
    return parsing.amount(request.budget, "budget") if request.HasField("budget") else None


def instant(at_ms: int) -> datetime:
    """Return milliseconds since the epoch as an instant."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def recorded(answer: Answer) -> Fields:
    """Return what the recording has of a time."""
    return {
        name: instant(answer[f"{name}_ms"])
        for name in ("recorded_from", "recorded_to")
        if f"{name}_ms" in answer
    }
