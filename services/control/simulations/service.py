"""SimulationService: read the settings, ask the tool, encode."""

from __future__ import annotations

from typing import Any

from services.control import parsing
from services.control.messages import Fields
from services.control.simulations import codec, rules
from services.control.simulations.requests import Comparison, Simulation
from services.control.simulations.runner import NAME, Runner
from services.control.subscriptions.rules import Group
from services.control.subscriptions.store import Subscriptions
from tradingtools import clock
from tradingtools.domain.errors import Unavailable
from tradingtools.domain.subscription import Subscription
from tradingtools.rpc.headers import Context
from tradingtools.v1 import simulation_service_pb2 as pb
from tradingtools.v1 import simulation_service_pb2_grpc as pb_grpc
from tradingtools.venues.polymarket.instruments import HIGHEST_FEE_RATE_MICROS

_USUAL_DELAY = 1
_DELAYS = (1, 3, 10)
"""Seconds after a leader's buy at which enrichment records a book."""
_USUAL_HOURS = 24


class SimulationServicer(pb_grpc.SimulationServiceServicer):
    """Simulations, backtests and previews of settings.

    Args:
        subscriptions: where settings are kept.
        runner: of the tool.
    """

    def __init__(self, subscriptions: Subscriptions, runner: Runner) -> None:
        self._subscriptions = subscriptions
        self._runner = runner

    async def GetLeaderSimulation(
        self, request: pb.GetLeaderSimulationRequest, context: Context
    ) -> pb.LeaderSimulation:
        """A leader of the past."""
        wallet = request.wallet.lower()
        time = rules.time_of(
            clock.now_ms(),
            request.from_ms if request.HasField("from_ms") else None,
            request.to_ms if request.HasField("to_ms") else None,
            usual_days=30,
            max_days=366,
        )
        delay = request.delay_seconds or _USUAL_DELAY
        if delay not in _DELAYS:
            raise parsing.refuse("delaySeconds", "1, 3 or 10, for which books are recorded")
        rate = (
            parsing.amount(request.fee_rate, "feeRate")
            if request.HasField("fee_rate")
            else HIGHEST_FEE_RATE_MICROS
        )
        task = Simulation(
            subscription=await self._simulated(request, wallet),
            since_ms=time.since_ms,
            until_ms=time.until_ms,
            delay_seconds=delay,
            fee_rate_micros=rate,
            budget_micros=codec.budget(request),
        )
        answer = await self._runner.run(["simulate"], task)
        return pb.LeaderSimulation(
            wallet=wallet,
            delay_seconds=delay,
            outcome=pb.CopyOutcome(**answer["outcome"]),
            **_time_fields(time, answer),
        )

    async def _simulated(self, request: pb.GetLeaderSimulationRequest, wallet: str) -> Subscription:
        forms = [request.HasField("amount"), request.HasField("ratio"), request.subscription_id]
        if sum(map(bool, forms)) != 1:
            raise parsing.refuse("amount", "exactly one of amount, ratio and subscriptionId")
        start = rules.blank(wallet)
        if request.subscription_id:
            start = rules.stored(await self._subscriptions.get(request.subscription_id), wallet)
        columns: dict[str, Any] = codec.plain_settings(request)
        group = Group(columns=columns, names=frozenset(), settings={})
        return rules.with_groups(start, [group])

    async def GetBacktest(self, request: pb.GetBacktestRequest, context: Context) -> pb.Backtest:
        """Settings on recorded trades."""
        leader = request.leader.lower()
        time = rules.time_of(
            clock.now_ms(),
            request.from_ms if request.HasField("from_ms") else None,
            request.to_ms if request.HasField("to_ms") else None,
            usual_days=1,
            max_days=31,
        )
        follower = rules.with_groups(rules.blank(leader), codec.groups(request))
        answer = await self._compare([follower], time, codec.budget(request))
        (outcome,) = answer["outcomes"]
        return pb.Backtest(
            leader=leader, outcome=pb.CopyOutcome(**outcome), **_time_fields(time, answer)
        )

    async def GetSettingsPreview(
        self, request: pb.GetSettingsPreviewRequest, context: Context
    ) -> pb.SettingsPreview:
        """The settings as they are beside those that are wanted."""
        groups = codec.groups(request)
        if not groups:
            raise parsing.refuse("body", "at least one of sizing, limits, filters and exits")
        row = await self._subscriptions.get(request.id)
        current = rules.stored(row, row["leader"])
        hours = request.hours or _USUAL_HOURS
        now_ms = clock.now_ms()
        time = rules.Time(since_ms=now_ms - hours * 3_600_000, until_ms=now_ms)
        answer = await self._compare([current, rules.with_groups(current, groups)], time, None)
        before, after = (pb.CopyOutcome(**outcome) for outcome in answer["outcomes"])
        return pb.SettingsPreview(current=before, proposed=after, **_time_fields(time, answer))

    async def _compare(
        self, subscriptions: list[Subscription], time: rules.Time, budget_micros: int | None
    ) -> dict[str, Any]:
        if not self._runner.recording:
            raise Unavailable(
                f"{NAME}: nothing is recorded here (TT_RECORDING_DIR)",
                dependency=NAME,
                retry_after_ms="60000",
            )
        task = Comparison(
            subscriptions=subscriptions,
            since_ms=time.since_ms,
            until_ms=time.until_ms,
            budget_micros=budget_micros,
        )
        return await self._runner.run(["compare", "--recording", self._runner.recording], task)


def _time_fields(time: rules.Time, answer: codec.Answer) -> Fields:
    return {
        "since": codec.instant(time.since_ms),
        "until": codec.instant(time.until_ms),
        "trades": answer["trades"],
        "unknown": answer["unknown"],
        **codec.recorded(answer),
    }
