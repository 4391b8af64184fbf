"""Follow a leader on paper: the router's core decides, books that were recorded fill. Pure.

Before it come a leader's trades in their order, each with the books that are known; after it the
sums of what a follower would have made. What a fill is assumed to be is counted, never hidden.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from replay.core.fills import Fill, buy, sell
from replay.core.values import Limits, ObservedTrade, Resolved, Sums
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import plan_exits, slice_ended, with_sell
from services.router.core.judgement import no_body
from services.router.core.records import Context, ExitProgress, LotView, Plan
from services.router.core.router_state import RouterState
from services.router.core.state_updates import apply
from tradingtools.domain.book import Level
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey
from tradingtools.domain.money import MICROS
from tradingtools.domain.order import Order
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription

_SLICES = 8
"""Attempts of one exit at one book; each may sell lower than the one before."""


@dataclass(slots=True)
class _Lot:
    condition_id: str
    shares_micros: int = 0
    cost_micros: int = 0
    bought_micros: int = 0
    """Shares in all, for what came after a sell was judged."""


class PaperFollower:
    """One follower of one or more leaders, who begins with nothing.

    Args:
        subscription: how he follows; its leader is that of each trade.
        budget_micros: USDC that he begins with; None: as much as he needs.
        limits: of the router.
    """

    def __init__(
        self,
        subscription: Subscription,
        budget_micros: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        # On paper by this, and not as a shadow: a shadow fills at once, and never in part.
        settings = replace(subscription.settings, shadow=False)
        self._subscription = replace(subscription, settings=settings, created_ms=0)
        self._limits = limits or Limits()
        self._state = RouterState()
        self._lots: dict[str, _Lot] = {}
        self._sold_for: defaultdict[TradeKey, int] = defaultdict(int)
        self._bought_before: dict[TradeKey, int] = {}
        self._cash = 0
        self._budget = budget_micros
        self._reasons: dict[TradeKey, Reason] = {}
        self._copied: set[TradeKey] = set()
        self.sums = Sums()
        if budget_micros is not None:
            self._state.ledger.fund(subscription.follower.proxy, budget_micros)

    @property
    def held(self) -> Mapping[str, tuple[int, int]]:
        """Return shares and cost of what is held, by asset."""
        return {
            asset: (lot.shares_micros, lot.cost_micros)
            for asset, lot in self._lots.items()
            if lot.shares_micros
        }

    def follow(self, events: Iterable[ObservedTrade | Resolved]) -> None:
        """Take events in their order."""
        for event in events:
            if isinstance(event, Resolved):
                self._resolve(event)
            else:
                self._see(event)
        self.sums.copied = len(self._copied)
        for key, reason in self._reasons.items():
            if key not in self._copied:
                self.sums.refused[reason] += 1

    def _see(self, seen: ObservedTrade) -> None:
        trade = self._state.with_known_rows(seen.trade)
        if trade.key not in self._state.trades:
            if trade.key.side is Side.BUY:
                self.sums.buys += 1
            else:
                self.sums.sells += 1
        if trade.key.side is Side.BUY:
            self._enter(trade, seen)
        else:
            self._exit(trade, seen)
        self._state.know(trade)

    def _enter(self, trade: LeaderTrade, seen: ObservedTrade) -> None:
        known = self._state.copies.get(trade.key, {})
        plan = plan_entries(trade, [self._subscription], known, self._context(trade, seen))
        self._note(trade, plan, seen.at_ms)
        for order in plan.orders:
            fill = self._filled(order, seen, seen.levels)
            self.sums.desired_micros += order.reserved_money_micros
            self.sums.leader_micros += (
                fill.size_micros * trade.notional_micros // trade.size_micros
                if trade.size_micros
                else 0
            )
            self.sums.spent_micros += fill.money_micros
            lot = self._lots.setdefault(trade.key.asset_id, _Lot(trade.condition_id))
            lot.shares_micros += fill.size_micros
            lot.bought_micros += fill.size_micros
            lot.cost_micros += fill.money_micros
            self._moved(-fill.money_micros)
            self._hold(trade.key.asset_id, lot)
            self._state.ledger.release(
                order.order_key, size_micros=order.size_micros, filled_micros=fill.size_micros
            )
            self._state.entry_ended(order.subscription_id, order.order_key, fill.size_micros)

    def _exit(self, trade: LeaderTrade, seen: ObservedTrade) -> None:
        levels = seen.levels
        lot = self._lots.get(trade.key.asset_id)
        if lot is not None:
            self._bought_before.setdefault(trade.key, lot.bought_micros)
        for _ in range(_SLICES):
            known = self._state.copies.get(trade.key, {})
            plan = plan_exits(
                trade, [self._subscription], known, self._views(trade), self._context(trade, seen)
            )
            self._note(trade, plan, seen.at_ms)
            if not plan.orders or lot is None:
                return
            for order in plan.orders:
                fill = self._filled(order, seen, levels)
                levels = None if levels is None else fill.left
                self._sold(trade, lot, order, fill, seen.at_ms)
            if levels is not None and not levels:
                return
            # The next slice is judged when the pause after this one is over.
            rest = self._state.copies[trade.key][self._subscription.id].rest_until_ms
            seen = replace(seen, at_ms=max(seen.at_ms, rest))

    def _sold(self, trade: LeaderTrade, lot: _Lot, order: Order, fill: Fill, at_ms: int) -> None:
        self._sold_for[trade.key] += fill.size_micros
        self._leave(trade.key.asset_id, lot, fill.size_micros, fill.money_micros)
        self._state.slice_ended(order.order_key)
        copy = slice_ended(
            self._state.copies[trade.key][order.subscription_id],
            size_micros=order.size_micros,
            filled_micros=fill.size_micros,
            tried=True,
            ended_ms=at_ms,
            halted=False,
            without_balance=False,
        )
        self._state.put_copy(trade.key, order.subscription_id, copy)

    def _resolve(self, event: Resolved) -> None:
        lot = self._lots.get(event.asset_id)
        if lot is None or not lot.shares_micros:
            return
        self.sums.resolved += 1
        money = lot.shares_micros * event.payout_micros // MICROS
        self._leave(event.asset_id, lot, lot.shares_micros, money)

    def _leave(self, asset_id: str, lot: _Lot, shares_micros: int, money_micros: int) -> None:
        """Take shares out of a lot with their part of its cost, rounded down."""
        if not shares_micros:
            return
        cost = lot.cost_micros * shares_micros // lot.shares_micros
        lot.shares_micros -= shares_micros
        lot.cost_micros -= cost
        self.sums.received_micros += money_micros
        self.sums.realised_micros += money_micros - cost
        self._moved(money_micros)
        self._hold(asset_id, lot)

    def _filled(self, order: Order, seen: ObservedTrade, levels: tuple[Level, ...] | None) -> Fill:
        """Return what an order meets; without recorded levels it is filled whole: a buy at its
        limit, a sale as far below the leader's price as an entry may be above it."""
        rate = 0 if seen.book is None else seen.book.market.fee_rate_micros
        buying = order.side is Side.BUY
        met = levels
        if met is None:
            price = order.limit_micros
            if not buying:
                worst = MICROS - self._subscription.slippage_micros
                price = max(price, seen.trade.lowest_micros * worst // MICROS)
            met = ((price, order.size_micros),)
            self.sums.assumed_buys += buying
            self.sums.assumed_sells += not buying
        fill = (buy if buying else sell)(met, order.size_micros, order.limit_micros, rate)
        self.sums.orders += 1
        self.sums.unfilled += not fill.size_micros
        self.sums.fees_micros += fill.fee_micros
        return fill

    def _note(self, trade: LeaderTrade, plan: Plan, at_ms: int) -> None:
        apply(self._state, trade, plan, at_ms)
        for copy in plan.copies.values():
            self._reasons[trade.key] = copy.reason
            if copy.copied:
                self._copied.add(trade.key)

    def _moved(self, money_micros: int) -> None:
        self._cash += money_micros
        self._state.ledger.cash(self._subscription.follower.proxy, self._cash)

    def _hold(self, asset_id: str, lot: _Lot) -> None:
        s = self._subscription
        cost = max(lot.cost_micros, 1) if lot.shares_micros else 0
        self._state.ledger.hold(s.id, s.follower.proxy, lot.condition_id, asset_id, cost)

    def _views(self, trade: LeaderTrade) -> dict[str, LotView]:
        """Return the lot as an exit sees it, with what earlier sells have still to take of it."""
        identifier, state = self._subscription.id, self._state
        lot = self._lots.get(trade.key.asset_id)
        if lot is None:
            return {}
        view = LotView(shares_micros=lot.shares_micros, free_micros=lot.shares_micros)
        view = replace(view, sold_micros=self._sold_for[trade.key])
        for key, copies in state.unsold(trade.key.leader, trade.key.asset_id).items():
            copy = copies.get(identifier)
            if key != trade.key and copy is not None:
                view = with_sell(view, state.trades[key], copy, copy, self._standing(key, lot))
        return {identifier: view}

    def _standing(self, key: TradeKey, lot: _Lot) -> ExitProgress:
        came = lot.bought_micros - self._bought_before.get(key, 0)
        return ExitProgress(
            later_micros=min(came, lot.shares_micros), sold_micros=self._sold_for[key]
        )

    def _context(self, trade: LeaderTrade, seen: ObservedTrade) -> Context:
        limits = self._limits
        return Context(
            book=seen.book,
            now_ms=seen.at_ms,
            entry_ttl_ms=limits.entry_ttl_ms,
            entry_least_ms=limits.entry_least_ms,
            exit_ttl_ms=limits.exit_ttl_ms,
            exposure=self._state.exposures(trade, seen.at_ms),
            entry_owner=self._state.entry_owner.get,
            body_of=no_body,
            leader=seen.leader,
            left_ms=self._state.left_ms(trade),
            holding_age_ms=limits.holding_age_ms,
        )
