"""RiskService: read, write what a person sets, encode."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from services.control import paging
from services.control.bots.codec import fill_number
from services.control.edge.interceptors import caller_of
from services.control.messages import Fields
from services.control.risk import codec, rules
from services.control.risk.store import Risk
from services.control.store import Row
from tradingtools.domain import portfolio_usage
from tradingtools.domain.portfolio_risk import RiskScope, ScopeLimits
from tradingtools.rpc.headers import Context
from tradingtools.v1 import risk_service_pb2 as pb
from tradingtools.v1 import risk_service_pb2_grpc as pb_grpc

_DEFAULT_TENANT = "default"


class RiskServicer(pb_grpc.RiskServiceServicer):
    """Risk of many bots.

    Args:
        risk: as it is stored.
    """

    def __init__(self, risk: Risk) -> None:
        self._risk = risk

    async def _mine(self, tenant: str, context: Context) -> Callable[[Row], bool]:
        """Return what says whether limits are about the caller's exchanges alone."""
        among = caller_of(context).among
        if among is None:
            return lambda _row: True
        wallets = await self._risk.wallets(tenant)
        return lambda row: rules.exchange_of(row, wallets) in among

    async def ListRiskLimits(
        self, request: pb.ListRiskLimitsRequest, context: Context
    ) -> pb.ListRiskLimitsResponse:
        """Return all of a tenant that are about the caller's exchanges."""
        tenant = request.tenant or _DEFAULT_TENANT
        rows = await self._risk.limits(tenant)
        mine = await self._mine(tenant, context)
        rows = [row for row in rows if mine(row)]
        answer: Fields = {"limits": [codec.limits({"tenant": tenant, **row}) for row in rows]}
        return pb.ListRiskLimitsResponse(**answer)

    async def SetRiskLimits(
        self, request: pb.SetRiskLimitsRequest, context: Context
    ) -> pb.RiskLimits:
        """Put limits in the place of others."""
        tenant = request.tenant or _DEFAULT_TENANT
        scope = RiskScope(pb.RiskScope.Name(request.scope).removeprefix("RISK_SCOPE_"))
        values = codec.values(request.limits)
        rules.check(scope, request.subject, request.instruments, values)
        row = await self._risk.set(
            caller_of(context).id, tenant, scope, request.subject, request.instruments, values
        )
        if row is None:
            return pb.RiskLimits(**codec.no_limits(tenant, scope, request.subject))
        return pb.RiskLimits(**codec.limits(row))

    async def GetRiskUsage(
        self, request: pb.GetRiskUsageRequest, context: Context
    ) -> pb.GetRiskUsageResponse:
        """Return the use of each scope with limits, and of the portfolio.

        To an operator of some exchanges: of the scopes that are about these alone.
        """
        tenant = request.tenant or _DEFAULT_TENANT
        rows, ledger = await self._risk.ledger(tenant)
        reached = portfolio_usage.reached(ledger)
        mine = await self._mine(tenant, context)
        found = [
            codec.usage(
                codec.limits({"tenant": tenant, **row}),
                portfolio_usage.usage(limits, ledger),
                [one for one in reached if one.limits == limits],
            )
            for row, limits in zip(rows, ledger.limits, strict=True)
            if mine(row)
        ]
        whole_too = caller_of(context).among is None
        if whole_too and not any(one.scope is RiskScope.PORTFOLIO for one in ledger.limits):
            whole = ScopeLimits(scope=RiskScope.PORTFOLIO, subject="", values={})
            of = codec.no_limits(tenant, whole.scope, "")
            found.insert(0, codec.usage(of, portfolio_usage.usage(whole, ledger), ()))
        answer: Fields = {"usage": found}
        return pb.GetRiskUsageResponse(**answer)

    async def ListRiskBreaches(
        self, request: pb.ListRiskBreachesRequest, context: Context
    ) -> pb.ListRiskBreachesResponse:
        """Return a page, the newest first."""
        tenant, size = request.tenant or _DEFAULT_TENANT, paging.size(request.page_size)
        scope = f"risk-breaches:{tenant}"
        key = paging.decode(scope, request.page_token, 1)
        before = None if key is None else fill_number(key[1][0])
        among = caller_of(context).among
        rows = await self._risk.breaches(tenant, before, size + 1, among)
        page = rows[:size]
        answer: Fields = {"breaches": [codec.breach(row) for row in page]}
        if len(rows) > size:
            last = str(page[-1]["event_seq"])
            answer["next_page_token"] = paging.encode(scope, datetime.fromtimestamp(0, UTC), last)
        return pb.ListRiskBreachesResponse(**answer)

    async def SetKillSwitch(
        self, request: pb.SetKillSwitchRequest, context: Context
    ) -> pb.KillSwitch:
        """Have bots cancel, and close what they hold."""
        row = await self._risk.kill(
            caller_of(context).id,
            request.tenant or _DEFAULT_TENANT,
            request.exchange,
            request.reason or "by hand",
        )
        return pb.KillSwitch(**codec.kill_switch(row))

    async def ListKillSwitches(
        self, request: pb.ListKillSwitchesRequest, context: Context
    ) -> pb.ListKillSwitchesResponse:
        """Return those that stand, and the last ones."""
        rows = await self._risk.kills(request.tenant or _DEFAULT_TENANT)
        among = caller_of(context).among
        found = [row for row in rows if among is None or row["exchange"] in among]
        answer: Fields = {"kill_switches": [codec.kill_switch(row) for row in found]}
        return pb.ListKillSwitchesResponse(**answer)

    async def GetKillSwitch(
        self, request: pb.GetKillSwitchRequest, _context: Context
    ) -> pb.KillSwitch:
        """Return one with its progress."""
        return pb.KillSwitch(**codec.kill_switch(await self._risk.kill_switch(request.id)))

    async def ClearKillSwitch(
        self, request: pb.ClearKillSwitchRequest, context: Context
    ) -> pb.KillSwitch:
        """Let bots be resumed."""
        row = await self._risk.clear(caller_of(context).id, request.id)
        return pb.KillSwitch(**codec.kill_switch(row))
