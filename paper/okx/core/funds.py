"""The free funds of an account: cash and gains, less what positions and open orders bind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from paper.okx.core.amounts import ceil_div
from paper.okx.core.instruments import Instrument
from paper.okx.core.ledger import Account
from paper.okx.core.margin import Position, initial_margin, maintenance
from paper.okx.core.orders import Order
from paper.okx.core.tiers import Tier, fee, tier_of

Marks = Mapping[str, int]
"""Mark prices in ticks by instrument."""
Tiers = Mapping[str, Sequence[Tier]]
"""Tiers by instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The demand of a position at its mark."""

    notional: int
    initial: int
    maintenance: int
    closing: int
    """The fee of closing it."""
    tier: Tier

    @property
    def kept(self) -> int:
        """Return the amount that equity must stay above."""
        return self.maintenance + self.closing


def need(account: Account, position: Position, mark: int, tiers: Sequence[Tier]) -> Need:
    """Return the demand of a position on its pool."""
    of = position.instrument
    tier = tier_of(tiers, position.lots * of.lot)
    notional = of.notional(position.lots, mark)
    return Need(
        notional=notional,
        initial=initial_margin(notional, position.leverage),
        maintenance=maintenance(notional, tier.maintenance_ppm),
        closing=fee(notional, account.fees.rate(contract=True, maker=False)),
        tier=tier,
    )


def crossed(account: Account, currency: str) -> list[Position]:
    """The account's cross positions that settle in a currency."""
    return [
        position
        for position in account.positions.values()
        if position.lots and position.mode == "cross" and position.instrument.settle == currency
    ]


def equity(account: Account, currency: str, marks: Marks) -> int:
    """Cash and cross gains: the cross pool of a currency."""
    gains = (p.gain(marks[p.instrument.inst_id]) for p in crossed(account, currency))
    return account.cash[currency] + sum(gains)


def frozen(account: Account, orders: Iterable[Order], currency: str) -> int:
    """Return what open orders bind of a currency, spot and contracts."""
    bound = 0
    contracts: dict[tuple[str, str], list[Order]] = {}
    for order in orders:
        of = order.instrument
        if of.is_contract:
            if of.settle == currency:
                contracts.setdefault((of.inst_id, order.mode), []).append(order)
        elif order.side == "sell" and of.base == currency:
            bound += of.base_of(order.left)
        elif order.side == "buy" and of.quote == currency:
            bound += spot_cost(order)
    for (inst_id, mode), found in contracts.items():
        bound += contract_freeze(account, found[0].instrument, mode, found, inst_id)
    return bound


def spot_cost(order: Order) -> int:
    """Return what a spot buy may still spend."""
    of = order.instrument
    if order.price is None:
        return (order.budget or 0) * of.worth(1)
    return order.left * of.worth(order.price)


def contract_freeze(
    account: Account, of: Instrument, mode: str, orders: Sequence[Order], inst_id: str
) -> int:
    """Return what open orders of a contract bind: initial margin and fee of the greater side, as
    far as it opens more than it closes."""
    position = account.held(inst_id, mode)
    lots = position.lots if position is not None else 0
    leverage = account.leverage(inst_id, mode)
    rate = account.fees.rate(contract=True, maker=False)
    bound = 0
    for side, closes in (("buy", max(0, -lots)), ("sell", max(0, lots))):
        mine = [order for order in orders if order.side == side]
        total = sum(order.left for order in mine)
        opens = max(0, total - closes)
        if not opens:
            continue
        notional = sum(of.notional(order.left, order.price or 0) for order in mine if order.price)
        part = ceil_div(notional * opens, total)
        bound = max(bound, initial_margin(part, leverage) + fee(part, rate))
    return bound


def initial(account: Account, currency: str, marks: Marks) -> int:
    """The initial margin of a currency's cross positions at their marks."""
    return sum(
        initial_margin(p.instrument.notional(p.lots, marks[p.instrument.inst_id]), p.leverage)
        for p in crossed(account, currency)
    )


def available(account: Account, orders: Iterable[Order], currency: str, marks: Marks) -> int:
    """Return what a cross order may bind; below zero nothing."""
    bound = frozen(account, orders, currency)
    return equity(account, currency, marks) - initial(account, currency, marks) - bound


def available_cash(account: Account, orders: Sequence[Order], currency: str, marks: Marks) -> int:
    """Return what spot and isolated orders may bind: no gain that is not realised."""
    cash = account.cash[currency] - frozen(account, orders, currency)
    if not crossed(account, currency):
        return cash
    return min(cash, available(account, orders, currency, marks))


def pool_margin(
    account: Account, orders: Iterable[Order], currency: str, marks: Marks, tiers: Tiers
) -> tuple[int, int]:
    """The cross pool's two sides: what counts for it, less what orders other than cross ones bind,
    and what its positions demand. It is liquidated when the first is not above the second."""
    others = [o for o in orders if not (o.instrument.is_contract and o.mode == "cross")]
    counted = equity(account, currency, marks) - frozen(account, others, currency)
    demanded = sum(
        need(account, p, marks[p.instrument.inst_id], tiers[p.instrument.inst_id]).kept
        for p in crossed(account, currency)
    )
    return counted, demanded
