"""The plan for one leader trade: every subscription's orders and decisions.

Pure: the same state and the same trade give the same keys, bodies and reasons, so that a repetition
after a crash makes the same record and the database refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from services.router.core import sizing
from services.router.core.sizing import Sized, Skip
from tradingtools.domain import ids
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderTrade, Side
from tradingtools.domain.money import MICROS
from tradingtools.domain.order import Order, Purpose, TimeInForce, body_text
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription, SubscriptionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What became of one leader trade for one subscription so far."""

    frozen: Subscription
    """As it was when part 0 was sized; later parts are sized under it."""
    copied: bool = False
    reason: Reason = Reason.NONE
    detail: str = ""
    ordered_size_micros: int = 0
    ordered_money_micros: int = 0
    owned_micros: int = 0
    """Exits: what the lot held when the first slice was sized."""
    judged_notional_micros: int = 0
    """The leader trade's notional and size at the last judgement: what is new since is the next
    part's price."""
    judged_size_micros: int = 0
    order_keys: tuple[str, ...] = ()
    tried: int = 0
    """Exits: slices that the venue has tried; each makes the next one sell lower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LotView:
    """A lot as an exit sees it under lock."""

    shares_micros: int
    free_micros: int
    """Not reserved by another exit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a plan depends on besides the trade."""

    book: Book | None
    now_ms: int
    entry_ttl_ms: int
    exit_ttl_ms: int
    market_exposure: Callable[[str], int]
    """USDC held at cost and reserved by a subscription in this market."""
    entry_owner: Callable[[str], str | None]
    """The subscription that has claimed an entry copy key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to make durable, in the order of the subscriptions."""

    orders: tuple[Order, ...] = ()
    copies: Mapping[str, Copy] = field(default_factory=dict)
    """By subscription; only those whose decision is new or has changed."""


def plan_entries(
    trade: LeaderTrade,
    subscriptions: Iterable[Subscription],
    known: Mapping[str, Copy],
    context: Context,
) -> Plan:
    """Decide a leader's buy for each subscription, (created, id) first come first served."""
    orders: list[Order] = []
    copies: dict[str, Copy] = {}
    taken: dict[str, str] = {}
    for subscription in subscriptions:
        before = known.get(subscription.id)
        frozen = before.frozen if before and before.copied else subscription
        copy_key = ids.entry_copy_key(
            trade.key.leader_tx, subscription.follower.proxy, trade.key.asset_id
        )
        owner = taken.get(copy_key) or context.entry_owner(copy_key)
        verdict = _judge_entry(trade, subscription, frozen, before, owner, context)
        copy = _after(trade, before or Copy(frozen=frozen), frozen, verdict)
        if isinstance(verdict, Sized):
            order = _order(
                trade, frozen, copy_key, len(copy.order_keys), Purpose.ENTRY, verdict,
                _deadline(trade, frozen, context),
            )  # fmt: skip
            copy = replace(
                copy,
                order_keys=(*copy.order_keys, order.order_key),
                ordered_size_micros=copy.ordered_size_micros + order.size_micros,
                ordered_money_micros=copy.ordered_money_micros + order.reserved_money_micros,
            )
            orders.append(order)
            taken[copy_key] = subscription.id
        if copy != before:
            copies[subscription.id] = copy
    return Plan(orders=tuple(orders), copies=copies)


def _judge_entry(
    trade: LeaderTrade,
    subscription: Subscription,
    frozen: Subscription,
    before: Copy | None,
    owner: str | None,
    context: Context,
) -> Sized | Skip:
    if subscription.state is not SubscriptionState.ACTIVE:
        return Skip(Reason.PAUSED, f"subscription is {subscription.state.value}")
    if owner is not None and owner != subscription.id:
        return Skip(Reason.KEY_TAKEN, f"copied for {owner}")
    age_ms = context.now_ms - trade.traded_ms
    if age_ms > frozen.age_ms:
        return Skip(Reason.TOO_OLD, f"{age_ms} ms > {frozen.age_ms} ms")
    if context.book is None:
        return Skip(Reason.MARKET_UNKNOWN, f"asset {trade.key.asset_id}")
    market = context.book.market
    if market.closed or market.payout_micros is not None:
        return Skip(Reason.MARKET_CLOSED, f"condition {trade.condition_id}")
    ordered = before.ordered_money_micros if before else 0
    return sizing.size_entry(
        frozen,
        context.book,
        price_micros=_new_price(trade, before),
        leader_notional_micros=trade.notional_micros,
        ordered_money_micros=ordered,
        market_exposure_micros=context.market_exposure(subscription.id),
    )


def plan_exits(
    trade: LeaderTrade,
    subscriptions: Iterable[Subscription],
    known: Mapping[str, Copy],
    lots: Mapping[str, LotView],
    waiting: frozenset[str],
    context: Context,
) -> Plan:
    """Decide a leader's sell for each subscription; exits are never too old.

    Args:
        trade: of side SELL.
        subscriptions: of the leader, in any state: what is held still follows the leader out.
        known: earlier judgements of this trade.
        lots: by subscription; absent means nothing was ever bought.
        waiting: subscriptions with an unresolved entry in this asset.
        context: as for entries.
    """
    orders: list[Order] = []
    copies: dict[str, Copy] = {}
    for subscription in subscriptions:
        before = known.get(subscription.id)
        lot = lots.get(subscription.id, LotView(shares_micros=0, free_micros=0))
        frozen = before.frozen if before else subscription
        owned = before.owned_micros if before and before.copied else lot.shares_micros
        start = before or Copy(frozen=frozen)
        verdict = _judge_exit(trade, frozen, start, owned, lot, subscription.id in waiting, context)
        copy = replace(_after(trade, start, frozen, verdict), owned_micros=owned)
        if isinstance(verdict, Sized):
            copy_key = ids.exit_copy_key(
                trade.key.leader_tx, subscription.follower.proxy, trade.key.asset_id,
                trade.key.leader,
            )  # fmt: skip
            # Two subscriptions of one wallet sell two lots: the origin keeps their keys apart.
            copy_key = ids.lot_exit_key(copy_key, subscription.id)
            order = _order(
                trade, frozen, copy_key, len(copy.order_keys), Purpose.COPY_EXIT, verdict,
                context.now_ms + context.exit_ttl_ms,
            )  # fmt: skip
            copy = replace(
                copy,
                order_keys=(*copy.order_keys, order.order_key),
                ordered_size_micros=copy.ordered_size_micros + order.size_micros,
            )
            orders.append(order)
        if copy != before:
            copies[subscription.id] = copy
    return Plan(orders=tuple(orders), copies=copies)


def _judge_exit(
    trade: LeaderTrade,
    frozen: Subscription,
    before: Copy,
    owned_micros: int,
    lot: LotView,
    waiting: bool,
    context: Context,
) -> Sized | Skip:
    if waiting and not before.copied:
        return Skip(Reason.WAITING_FOR_ENTRY, "an entry of this lot is unresolved")
    if owned_micros == 0:
        return Skip(Reason.NOTHING_HELD, "the lot is empty")
    if context.book is None:
        return Skip(Reason.MARKET_UNKNOWN, f"asset {trade.key.asset_id}")
    if context.book.market.closed or context.book.market.payout_micros is not None:
        return Skip(Reason.MARKET_CLOSED, f"condition {trade.condition_id}")
    wanted = min(_still_wanted(trade, before, owned_micros), lot.shares_micros)
    # What a slice left below a step is nothing to sell: raised to the minimum it would be too much.
    if wanted <= 0 or (before.copied and wanted < sizing.SIZE_STEP_MICROS):
        return Skip(Reason.NONE, "")
    # Who merges or converts names no price: then the best bid is what there is to lose against.
    price = _new_price(trade, before) or next((bid for bid, _ in context.book.bids), 0)
    if not price:
        return Skip(Reason.PRICE_OUT_OF_RANGE, "no price and no bid")
    return sizing.size_exit(
        frozen,
        context.book,
        price_micros=price,
        wanted_micros=wanted,
        free_micros=lot.free_micros,
        slices_before=before.tried,
    )


def _still_wanted(trade: LeaderTrade, before: Copy, owned_micros: int) -> int:
    wanted = sizing.wanted_exit(
        owned_micros=owned_micros,
        leader_sold_micros=trade.size_micros,
        leader_held_before_micros=trade.held_before_micros,
    )
    return wanted - before.ordered_size_micros


def _new_price(trade: LeaderTrade, before: Copy | None) -> int:
    """The leader's price of what came since the last judgement; of the whole when nothing did.

    Never outside the prices of the rows: where one kind of source takes over from the other, the
    differences of size and notional are corrections, and their quotient is no price.
    """
    size, notional = trade.size_micros, trade.notional_micros
    if before is not None and size > before.judged_size_micros:
        size -= before.judged_size_micros
        notional -= before.judged_notional_micros
    prices = [row.price_micros for row in trade.rows.values()]
    return min(max(notional * MICROS // size, min(prices)), max(prices))


def _after(trade: LeaderTrade, before: Copy, frozen: Subscription, verdict: Sized | Skip) -> Copy:
    """The copy with the verdict noted; a copy that was made once stays made."""
    sized = isinstance(verdict, Sized)
    return replace(
        before,
        frozen=frozen,
        copied=before.copied or sized,
        reason=verdict.shortfall if isinstance(verdict, Sized) else verdict.reason,
        detail=verdict.detail,
        judged_size_micros=trade.size_micros,
        judged_notional_micros=trade.notional_micros,
    )


def _deadline(trade: LeaderTrade, frozen: Subscription, context: Context) -> int:
    return min(context.now_ms + context.entry_ttl_ms, trade.traded_ms + frozen.age_ms)


def _order(
    trade: LeaderTrade,
    subscription: Subscription,
    copy_key: str,
    ordinal: int,
    purpose: Purpose,
    sized: Sized,
    not_after_ms: int,
) -> Order:
    entry = purpose is Purpose.ENTRY
    return Order(
        order_key=ids.order_key(copy_key, ordinal),
        copy_key=copy_key,
        ordinal=ordinal,
        purpose=purpose,
        subscription_id=subscription.id,
        subscription_version=subscription.version,
        trigger_id="",
        follower=subscription.follower,
        leader=trade.key.leader,
        leader_tx=trade.key.leader_tx,
        condition_id=trade.condition_id,
        asset_id=trade.key.asset_id,
        side=Side.BUY if entry else Side.SELL,
        size_micros=sized.size_micros,
        limit_micros=sized.limit_micros,
        time_in_force=TimeInForce.FAK,
        not_after_ms=not_after_ms,
        body=body_text(
            follower=subscription.follower,
            condition_id=trade.condition_id,
            asset_id=trade.key.asset_id,
            size_micros=sized.size_micros,
            limit_micros=sized.limit_micros,
            time_in_force=TimeInForce.FAK,
            not_after_ms=not_after_ms,
        ),
        reserved_money_micros=(
            sizing.reserved_money(sized.size_micros, sized.limit_micros) if entry else 0
        ),
        reserved_shares_micros=0 if entry else sized.size_micros,
    )


def slice_ended(copy: Copy, *, size_micros: int, filled_micros: int, tried: bool) -> Copy:
    """An exit's copy after one of its slices has ended: what it left is to be sold again.

    Args:
        copy: before.
        size_micros: of the slice.
        filled_micros: of it that stand.
        tried: the venue has looked for a counterpart.
    """
    return replace(
        copy,
        ordered_size_micros=copy.ordered_size_micros - (size_micros - filled_micros),
        tried=copy.tried + (1 if tried else 0),
    )
