"""The plan for a leader's buy: every subscription's order and decision.

Pure: the same state and the same trade give the same keys, bodies and reasons, so that a repetition
after a crash makes the same record and the database refuses it. `exit_plan.py` has the sells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from services.router.core import filters, paper, sizing
from services.router.core.caps import Exposure, Skip
from services.router.core.filters import Signal
from services.router.core.order_factory import make_order
from services.router.core.records import Context, Copy, Plan, after, new_price
from services.router.core.sizing import Sized, SizingInput
from services.router.core.trade_age import deadline_ms, too_old
from tradingtools.domain import ids
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderTrade
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription, SubscriptionState


def plan_entries(
    trade: LeaderTrade,
    subscriptions: Iterable[Subscription],
    known: Mapping[str, Copy],
    context: Context,
    started: Plan | None = None,
) -> Plan:
    """Decide a leader's buy for each subscription, (created, id) first come first served.

    Args:
        trade: as far as it is known.
        subscriptions: whose copies are planned.
        known: copies of the trade by subscription, from earlier judgements.
        context: what the plan depends on besides.
        started: the plan of the same record for the subscriptions before these; it goes on.
    """
    orders = [] if started is None else list(started.orders)
    copies = {} if started is None else dict(started.copies)
    taken = {order.copy_key: order.subscription_id for order in orders}
    for subscription in subscriptions:
        before = known.get(subscription.id)
        copy_key = ids.entry_copy_key(
            trade.key.leader_tx, subscription.follower.proxy, trade.key.asset_id
        )
        owner = taken.get(copy_key) or context.entry_owner(copy_key)
        copy, order = _decide(trade, subscription, before, copy_key, owner, context)
        if order is not None:
            orders.append(order)
            taken[copy_key] = subscription.id
        if copy != before:
            copies[subscription.id] = copy
    return Plan(orders=tuple(orders), copies=copies)


def _decide(
    trade: LeaderTrade,
    subscription: Subscription,
    before: Copy | None,
    copy_key: str,
    owner: str | None,
    context: Context,
) -> tuple[Copy, Order | None]:
    held = context.exposure(subscription)
    if before is None:
        start = Copy(
            frozen=subscription,
            equity_micros=held.equity_micros,
            leader_equity_micros=trade.leader_equity_micros,
            leader_version=_judged_by(subscription, context),
        )
    elif before.started:
        start = before
    else:
        start = structs.replace(
            before,
            frozen=subscription,
            equity_micros=held.equity_micros,
            leader_equity_micros=trade.leader_equity_micros,
            leader_version=_judged_by(subscription, context),
        )
    verdict = _judge(trade, subscription, start, owner, held, context)
    if before is not None and isinstance(verdict, Skip) and _repeated(trade, before, context):
        # Two minutes later all is too old: why it was not copied then, or why no more, stays.
        return before, None
    order = None
    if isinstance(verdict, Sized) and context.book is not None and not start.shadow:
        order = make_order(
            trade,
            start.frozen,
            copy_key,
            len(start.order_keys),
            Purpose.ENTRY,
            verdict,
            deadline_ms(trade.traded_ms, start.frozen.age_ms, context.now_ms, context.entry_ttl_ms),
            context.book.market.fee_rate_micros,
            body_of=context.body_of,
        )
    copy = after(trade, start, verdict, accrued_micros=_left(start, verdict, held), order=order)
    if isinstance(verdict, Sized) and context.book is not None and start.shadow:
        copy = _on_paper(copy, verdict, context.book)
    return copy, order


def _judged_by(subscription: Subscription, context: Context) -> str:
    """Return the version of the statistics that a copy is judged by; empty: by none."""
    if subscription.settings.leader is None or context.leader is None:
        return ""
    return context.leader.version


def _repeated(trade: LeaderTrade, before: Copy, context: Context) -> bool:
    """Return whether another source reports known rows, and none is larger than was judged."""
    known = before.judged_size_micros, before.judged_notional_micros
    return context.quiet_ms is not None and known == (trade.size_micros, trade.notional_micros)


def _left(before: Copy, verdict: Sized | Skip, held: Exposure) -> int:
    """Return USDC that a copy leaves to later ones of its outcome; below zero: it took from
    others."""
    if before.started:
        return before.accrued_micros
    if isinstance(verdict, Sized):
        return before.accrued_micros - held.accrued_micros
    return verdict.accrued_micros


def _on_paper(copy: Copy, sized: Sized, book: Book) -> Copy:
    filled = paper.buy(book, sized)
    return structs.replace(
        copy,
        ordered_size_micros=copy.ordered_size_micros + sized.size_micros,
        ordered_money_micros=copy.ordered_money_micros + filled.money_micros,
        paper_size_micros=copy.paper_size_micros + filled.size_micros,
        paper_cost_micros=copy.paper_cost_micros + filled.money_micros,
        paper_notional_micros=copy.paper_notional_micros + filled.money_micros,
    )


def _left_by_leader(trade: LeaderTrade, start: Copy, context: Context) -> Skip | None:
    """Skip an entry whose leader has sold: his sell is judged, so nobody would sell it."""
    if start.reason is Reason.LEADER_LEFT:
        return Skip(Reason.LEADER_LEFT, start.detail)
    if context.left_ms is not None and trade.traded_ms < context.left_ms:
        return Skip(Reason.LEADER_LEFT, "the leader has sold it since")
    return None


def _judge(
    trade: LeaderTrade,
    subscription: Subscription,
    start: Copy,
    owner: str | None,
    held: Exposure,
    context: Context,
) -> Sized | Skip:
    frozen, book = start.frozen, context.book
    if subscription.state is not SubscriptionState.ACTIVE:
        return Skip(Reason.PAUSED, f"subscription is {subscription.state.value}")
    if owner is not None and owner != subscription.id:
        return Skip(Reason.KEY_TAKEN, f"copied for {owner}")
    late = too_old(trade.traded_ms, frozen.age_ms, context.now_ms, context.entry_least_ms)
    if late is not None:
        return Skip(Reason.TOO_OLD, late)
    left = _left_by_leader(trade, start, context)
    if left is not None:
        return left
    if context.quiet_ms is not None and context.quiet_ms > context.close_ms:
        return Skip(
            Reason.TRADE_CLOSED, f"no row for {context.quiet_ms} ms > {context.close_ms} ms"
        )
    if book is None:
        return Skip(Reason.MARKET_UNKNOWN, f"asset {trade.key.asset_id}")
    if book.market.closed or book.market.payout_micros is not None:
        return Skip(Reason.MARKET_CLOSED, f"condition {trade.condition_id}")
    price = new_price(trade, start)
    if not start.started:
        signal = Signal(
            price_micros=price,
            notional_micros=trade.notional_micros,
            book=book,
            held=held,
            now_ms=context.now_ms,
            leader=context.leader,
        )
        refused = filters.objection(frozen.settings, signal)
        if refused is not None:
            return refused
    # What others left is in the sum of all; what this copy left itself is not to be had twice.
    others = -start.accrued_micros if start.started else held.accrued_micros - start.accrued_micros
    sizing_input = SizingInput(
        price_micros=price,
        leader_micros=trade.notional_micros,
        leader_equity_micros=start.leader_equity_micros,
        equity_micros=start.equity_micros,
        ordered_micros=start.ordered_money_micros,
        accrued_micros=others,
    )
    return sizing.size_entry(frozen, book, sizing_input, held)
