"""Compute how well copies were made, and what was missed. Pure, in micros.

A copy is compared with its leader's own trade at the same size: what it gained beside what the
same shares would have gained at his price, without fees. The difference is slippage and fees,
whatever the market does. What was missed is counted by its reason, as if it had been bought at the
leader's price and held since; parts add up to the whole.

Before it: orders, decisions and worths. After it: groups on REST.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from tradingtools.domain.copy_settings import Tier
from tradingtools.domain.money import MICROS
from tradingtools.domain.subscription import SizingMode

BY = ("order", "subscription", "leader", "market", "hour")
"""Kinds of groups."""
HOUR_S = 3_600
Worth = Callable[[str, int], int | None]
"""What so many shares of an outcome are worth now, micros of USDC; None: no book and no payout."""
TickOf = Callable[[str], int | None]
"""The tick of an outcome's market, micros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One order of a copy, and the leader's trade that it follows."""

    order_id: str
    subscription_id: str
    leader: str
    condition_id: str
    asset_id: str
    buys: bool
    ended: bool
    """Nothing of it is open any more."""
    reason: str
    made_s: int
    size_micros: int
    filled_size_micros: int
    filled_notional_micros: int
    fee_micros: int
    delay_us: int | None
    """From the leader's trade as received to the answer to the order."""
    leader_size_micros: int
    leader_notional_micros: int

    @property
    def leader_part_micros(self) -> int | None:
        """Return what the filled shares were at the leader's price, rounded against the follower;
        None: it has no price."""
        if not self.leader_notional_micros:
            return None
        product = self.leader_notional_micros * self.filled_size_micros
        whole = product // self.leader_size_micros
        return whole if self.buys else -(-product // self.leader_size_micros)

    @property
    def slippage_micros(self) -> int:
        """Return USDC that the fills were worse than the leader's price; 0 without one."""
        part = self.leader_part_micros
        if part is None:
            return 0
        worse = self.filled_notional_micros - part
        return worse if self.buys else -worse


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Copies of one group together. Micros of USDC."""

    key: str
    orders: int
    filled_orders: int
    size_micros: int
    filled_size_micros: int
    notional_micros: int
    fee_micros: int
    slippage_micros: int
    slippage_ticks: float | None
    """Mean of shares; None: nothing was filled, or a tick is not known."""
    delays_us: tuple[int, int] | None
    """Median and 90th percentile."""
    made_micros: int | None
    leader_made_micros: int | None
    """What the copies gained since, fees paid, and the leader with the same shares; None: something
    has no worth."""
    tracking_micros: int
    """What copies gained less than the leader: slippage and fees."""


def quality(key: str, copies: Sequence[Copy], worth: Worth, tick: TickOf) -> Quality:
    """Return the quality of copies, which is that of each of them together."""
    filled = [copy for copy in copies if copy.filled_size_micros]
    fees = sum(copy.fee_micros for copy in filled)
    slippage = sum(copy.slippage_micros for copy in filled)
    made = [_made(copy, worth) for copy in filled]
    known = [gain for gain in made if gain is not None]
    whole = sum(known) if len(known) == len(made) else None
    return Quality(
        key=key,
        orders=len(copies),
        filled_orders=len(filled),
        size_micros=sum(copy.size_micros for copy in copies),
        filled_size_micros=sum(copy.filled_size_micros for copy in filled),
        notional_micros=sum(copy.filled_notional_micros for copy in filled),
        fee_micros=fees,
        slippage_micros=slippage,
        slippage_ticks=_ticks(filled, tick),
        delays_us=_delays([copy.delay_us for copy in copies if copy.delay_us is not None]),
        made_micros=whole,
        leader_made_micros=None if whole is None else whole + slippage + fees,
        tracking_micros=slippage + fees,
    )


def grouped(copies: Iterable[Copy], by: str) -> dict[str, list[Copy]]:
    """Return copies by the key of their group, in the order in which they come.

    Args:
        copies: of any number of subscriptions.
        by: one of `BY`; hours have their first instant as key, ISO 8601.
    """
    groups: dict[str, list[Copy]] = {}
    for copy in copies:
        groups.setdefault(_key(copy, by), []).append(copy)
    return groups


def _key(copy: Copy, by: str) -> str:
    match by:
        case "order":
            return copy.order_id
        case "subscription":
            return copy.subscription_id
        case "leader":
            return copy.leader
        case "market":
            return copy.condition_id
        case _:
            hour = datetime.fromtimestamp(copy.made_s - copy.made_s % HOUR_S, UTC)
            return hour.strftime("%Y-%m-%dT%H:00:00Z")


def _made(copy: Copy, worth: Worth) -> int | None:
    """The gain of a copy by now: a sell compares with what its shares are worth today."""
    value = worth(copy.asset_id, copy.filled_size_micros)
    if value is None:
        return None
    gain = value - copy.filled_notional_micros
    return (gain if copy.buys else -gain) - copy.fee_micros


def _ticks(filled: Sequence[Copy], tick: TickOf) -> float | None:
    """The mean of shares: each copy's slippage a share, by its tick."""
    shares, ticks = 0, 0.0
    for copy in filled:
        size = tick(copy.asset_id)
        if not size:
            return None
        shares += copy.filled_size_micros
        ticks += copy.slippage_micros * MICROS / size
    return ticks / shares if shares else None


def _delays(found: Sequence[int]) -> tuple[int, int] | None:
    if not found:
        return None
    ordered, number = sorted(found), len(found)
    return ordered[(number - 1) // 2], ordered[-(-9 * number // 10) - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedCopy:
    """A leader's buy, or a part of an order, that did not come to be."""

    reason: str
    asset_id: str
    shares_micros: int | None
    """None: how many is not known."""
    cost_micros: int
    """At the leader's price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedTotals:
    """All that was missed for one reason. Micros of USDC."""

    reason: str
    number: int
    unknown: int
    """Those of them whose size, or whose worth now, is not known: in no sum."""
    cost_micros: int
    made_micros: int
    """What it would have gained since: more than 0 is what the reason cost, less what it saved."""


def missed(misses: Iterable[MissedCopy], worth: Worth) -> list[MissedTotals]:
    """Return what was missed by reason, what cost the most first."""
    sums: dict[str, tuple[int, int, int, int]] = {}
    for miss in misses:
        number, unknown, cost, made = sums.get(miss.reason, (0, 0, 0, 0))
        value = None if miss.shares_micros is None else worth(miss.asset_id, miss.shares_micros)
        if value is None:
            sums[miss.reason] = (number + 1, unknown + 1, cost, made)
        else:
            gain = value - miss.cost_micros
            sums[miss.reason] = (number + 1, unknown, cost + miss.cost_micros, made + gain)
    found = [
        MissedTotals(
            reason=reason, number=number, unknown=unknown, cost_micros=cost, made_micros=made
        )
        for reason, (number, unknown, cost, made) in sums.items()
    ]
    return sorted(found, key=lambda of: (-of.made_micros, of.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The size that a subscription wants of each trade, as it is set now."""

    mode: SizingMode
    micros: int
    multiplier_micros: int | None
    max_per_trade_micros: int | None
    tiers: tuple[Tier, ...] = ()

    def desired(self, leader_micros: int) -> int | None:
        """Return USDC of a copy by the mode and the cap of a trade; None: that is not known."""
        money: int | None
        match self.mode:
            case SizingMode.FIXED:
                money = self.micros
            case SizingMode.RATIO:
                money = leader_micros * self.micros // MICROS
            case SizingMode.TIERS:
                money = self._tiered(leader_micros)
            case SizingMode.PROPORTIONAL:
                money = None
            case mode:
                assert_never(mode)
        if money is None:
            return None
        if self.multiplier_micros is not None:
            money = money * self.multiplier_micros // MICROS
        most = self.max_per_trade_micros
        return money if most is None else min(money, most)

    def _tiered(self, leader_micros: int) -> int | None:
        reached = [tier for tier in self.tiers if tier.from_micros <= leader_micros]
        if not reached:
            return None
        if reached[-1].fixed_micros is not None:
            return reached[-1].fixed_micros
        return leader_micros * (reached[-1].ratio_micros or 0) // MICROS


def of_skip(
    reason: str, asset_id: str, buys: bool, leader: tuple[int, int], sizing: Sizing
) -> MissedCopy:
    """Return what a leader's trade that was not copied would have been.

    Args:
        reason: of the decision.
        asset_id: the outcome.
        buys: whether the leader bought; what a sell would have done to a lot nobody knows.
        leader: his shares and USDC.
        sizing: of the subscription.
    """
    shares, notional = leader
    money = sizing.desired(notional) if buys and notional else None
    size = None if money is None else money * shares // notional
    cost = 0 if size is None else notional_at(size, leader)
    return MissedCopy(reason=reason, asset_id=asset_id, shares_micros=size, cost_micros=cost)


def of_copy(copy: Copy) -> MissedCopy | None:
    """Return the part of an entry that has ended without it; None: all of it was filled, or may be.

    A copy that was decided again is no miss: the later order is the copy.
    """
    left = copy.size_micros - copy.filled_size_micros
    if not copy.buys or not copy.ended or not left or copy.reason == "SUBSCRIPTION_CHANGED":
        return None
    leader = (copy.leader_size_micros, copy.leader_notional_micros)
    priced = all(leader)
    return MissedCopy(
        reason=copy.reason or "PARTLY_FILLED",
        asset_id=copy.asset_id,
        shares_micros=left if priced else None,
        cost_micros=notional_at(left, leader) if priced else 0,
    )


def notional_at(size_micros: int, leader: tuple[int, int]) -> int:
    """Return what shares cost at the average price of a leader's trade, rounded up."""
    shares, notional = leader
    return -(-size_micros * notional // shares)
