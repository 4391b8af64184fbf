"""A subscription with rules as perfmon keeps it, in memory.

Before it: `store`, which read it. After it: `monitor`, which looks at it again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.perfmon.core import judge
from services.perfmon.core.judge import Bounds, Case, Pending
from services.perfmon.core.position import NOTHING, Figures, OutcomePosition, same
from services.perfmon.core.results import Account
from services.perfmon.core.standing import Facts, WindowState, moved
from services.perfmon.store import Row
from tradingtools.domain.performance import Performance, Scope, from_json
from tradingtools.domain.performance_states import PerformanceState
from tradingtools.domain.subscription import SubscriptionState

STOPPED_BY = "PERFORMANCE"


@dataclass(frozen=True, slots=True)
class Money:
    """The funding of a wallet, and its cash. USDC micros."""

    funded_micros: int
    cash_micros: int


@dataclass(slots=True, kw_only=True)
class MonitoredSubscription:
    """A subscription with rules. Amounts in micros."""

    id: str
    proxy: str
    account: Account
    """Whose result is judged: its own, or its wallet's."""
    wallet: Account | None
    """For the wallet's equity; None: no limit asks for it."""
    rules: Performance
    version: int = 0
    ordinal: int = 0
    """How many actions it has had."""
    session: int = 0
    baseline: int = 0
    scale_micros: int = 0
    stopped: bool = False
    anchor_micros: int | None = None
    """From which the next step counts; None: from the baseline."""
    stepped_ms: int | None = None
    """When the last step was taken."""
    standing: WindowState | None = None
    transferred: Figures = NOTHING
    """By how much shares that came or went without an order have moved the account's result."""
    kept: PerformanceState | None = None
    """The state that is to be written."""
    durable: PerformanceState | None = None
    """The state that was written last."""
    pending: Pending | None = None
    doubt_since_ms: int | None = None
    """Since when something is in doubt."""
    acting: bool = False
    is_settled: bool = False
    """A look has changed nothing, and nothing but marks has come since."""
    bounds: Bounds | None = None
    """None: to be computed."""
    of_case: tuple[str, bool] = field(default=("", False))
    """The day, and whether it cooled, that the bounds are of."""

    def take(self, row: Row) -> None:
        """Take over what control says of it."""
        self.is_settled = False
        before = (self.version, self.ordinal, self.baseline)
        self.rules = from_json(row["performance"])
        self.version, self.ordinal = row["version"], row["performance_actions"]
        self.session, self.baseline = row["session"], row["baseline"]
        self.scale_micros = row["scale_micros"]
        self.stopped = row["paused_by"] == STOPPED_BY
        if before != (self.version, self.ordinal, self.baseline):
            self.pending = None
        self.bounds = None

    def take_step(self, row: Row) -> None:
        """Take over the last step of its scale, of the present baseline."""
        self.is_settled = False
        own = row["step_baseline"] == self.baseline
        self.anchor_micros = row["anchor_micros"] if own else None
        self.stepped_ms = row["stepped_ms"] if own else None
        self.bounds = None

    @property
    def scope(self) -> Scope:
        """Return whose result is judged."""
        stop = self.rules.loss_stop
        return Scope.SUBSCRIPTION if stop is None else stop.scope

    @property
    def judged_from(self) -> WindowState | None:
        """Return where its windows began; None: nobody knows yet for what is judged now."""
        at = self.standing
        if at is None or (at.scope, at.baseline) != (self.scope, self.baseline):
            return None
        return at

    @property
    def low_micros(self) -> int:
        """Return the lower bound of the result that is judged."""
        return self.account.low_micros - self.transferred.low_micros

    @property
    def high_micros(self) -> int:
        """Return the upper one."""
        return self.account.high_micros - self.transferred.high_micros

    def follow_flows(self) -> bool:
        """Take over what has come or gone without an order; returns whether its standing moves."""
        at = self.judged_from
        if at is None:
            self.transferred = NOTHING
            return False
        flows, came = self.account.flows, {}
        pending = NOTHING
        if flows != at.flows:
            for asset in sorted(flows.keys() | at.flows.keys()):
                now, before = (
                    flows.get(asset, OutcomePosition(0, 0)),
                    at.flows.get(asset, OutcomePosition(0, 0)),
                )
                if now == before:
                    continue
                by, certain = self.account.moved(asset, now.less(before))
                if certain:
                    came[asset] = (now, by.known_micros)
                else:
                    pending = pending.plus(by)
        if came:
            at = self.standing = moved(at, came)
        self.transferred = pending.plus(same(at.brought_micros))
        return bool(came)

    def facts(self, day: str, money: Money | None) -> Facts:
        """Return what is known where no doubt about its account is a passing one."""
        equity = None
        if money is not None and self.wallet is not None and not self.wallet.doubtful:
            equity = money.cash_micros + self.wallet.value_micros
        at = self.judged_from
        transferred = 0 if at is None else self.transferred.known_micros
        return Facts(
            result_micros=self.account.known_micros - transferred,
            scope=self.scope,
            baseline=self.baseline,
            session=self.session,
            day=day,
            equity_micros=equity,
            funded_micros=None if equity is None or money is None else money.funded_micros,
            flows=dict(self.account.flows) if at is None else at.flows,
            stood=self.account.stood() if self.account.lasting else {},
        )

    @property
    def needs_no_poll(self) -> bool:
        """Return whether a mark that was taken over asks for no look."""
        account, within = self.account, self.bounds
        if not self.is_settled or account.doubtful or account.lasting:
            return False
        if self.stopped:
            return True
        return within is not None and within.hold(self.low_micros, self.high_micros)

    @property
    def has_unjudged_rules(self) -> bool:
        """Return whether some rule cannot be judged for want of what is known."""
        at = self.judged_from
        if at is None or self.account.doubtful or self.account.lasting:
            return True
        return self.rules.by_fraction and at.equity_micros is None

    def in_cooldown(self, now_ms: int) -> bool:
        """Return whether no step up may follow yet."""
        scale = self.rules.profit_scale
        if scale is None or self.stepped_ms is None:
            return False
        return now_ms < self.stepped_ms + scale.cooldown_seconds * 1000

    def case(self, standing: WindowState, day: str, now_ms: int) -> Case:
        """Return what it is judged by."""
        anchor = self.anchor_micros
        return Case(
            rules=self.rules,
            standing=standing,
            session=self.session,
            day=day,
            scale_micros=self.scale_micros,
            anchor_micros=standing.total_at.result_micros if anchor is None else anchor,
            in_cooldown=self.in_cooldown(now_ms),
        )

    def judged_within(self, case: Case) -> Bounds:
        """Return the bounds of a case, computed anew where something has changed."""
        if self.bounds is None or self.of_case != (case.day, case.in_cooldown):
            self.bounds = judge.bounds(case)
            self.of_case = (case.day, case.in_cooldown)
        return self.bounds


def is_followed(row: Row) -> bool:
    """Return whether a subscription has rules that are judged."""
    return bool(row["performance"]) and row["state"] != SubscriptionState.DELETED
