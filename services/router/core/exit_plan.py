"""The plan for a leader's sell: every subscription's slice and decision.

Pure, as `plan.py`. Every lot is the caller's, locked; a sell is never too old.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from msgspec import structs

from services.router.core import exit_sizing, paper
from services.router.core.caps import Skip
from services.router.core.fees import SIZE_STEP_MICROS
from services.router.core.order_factory import make_order
from services.router.core.records import (
    Awaited,
    Context,
    Copy,
    ExitProgress,
    LotView,
    OtherSell,
    Plan,
    after,
    new_price,
)
from services.router.core.sizing import Sized, smallest
from tradingtools.domain import exit_price, ids
from tradingtools.domain.book import Book
from tradingtools.domain.copy_settings import ExitMode, Sides
from tradingtools.domain.halts import Halt, held
from tradingtools.domain.leader_trade import LeaderTrade, TradeKey
from tradingtools.domain.money import MICROS
from tradingtools.domain.order import Order, Purpose
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription

_HANGS_MS = 1_000
_ENDS = frozenset(
    {
        Reason.NONE,
        Reason.NOTHING_HELD,
        Reason.DUST,
        Reason.ACCUMULATING,
        Reason.BELOW_MINIMUM,
    }
)
"""What says that there is no more to sell for now, unless something is still awaited."""
LONGEST_PAUSE_MS = 30_000
"""An exit whose slice hangs sells what comes meanwhile no later than so long after it."""


def plan_exits(
    trade: LeaderTrade,
    subscriptions: Iterable[Subscription],
    known: Mapping[str, Copy],
    lots: Mapping[str, LotView],
    context: Context,
) -> Plan:
    """Decide a leader's sell for each subscription; exits are never too old.

    Args:
        trade: of side SELL.
        subscriptions: of the leader, in any state: what is held still follows the leader out.
        known: earlier judgements of this trade.
        lots: by subscription; absent means nothing was ever bought.
        context: as for entries.
    """
    orders: list[Order] = []
    copies: dict[str, Copy] = {}
    changed: dict[TradeKey, dict[str, Copy]] = {}
    for subscription in subscriptions:
        before = known.get(subscription.id)
        lot = lots.get(subscription.id, LotView(shares_micros=0, free_micros=0))
        start = _as_sold(before or _first(trade, subscription, lot, context), lot)
        start = _of_what_is_left(trade, start, lot)
        carried = start.carried_micros
        start = _taking_along(trade, start, lot)
        if lot.shares_micros == 0:
            start = _of_an_empty_lot(trade, start)
        verdict = _still_waiting(start, _judge_exit(trade, start, lot, context))
        copy, order = _decided(trade, start, lot, verdict, context)
        if order is not None:
            orders.append(order)
        if copy != before:
            copies[subscription.id] = copy
        fresh = before is None or before.judged_size_micros < trade.size_micros
        for other in lot.others:
            left = _after_this(other, fresh=fresh, taken=start.carried_micros > carried)
            if left != other.copy:
                changed.setdefault(other.key, {})[subscription.id] = left
    return Plan(orders=tuple(orders), copies=copies, left=changed)


def with_sell(
    lot: LotView, trade: LeaderTrade, copy: Copy, now: Copy, standing: ExitProgress
) -> LotView:
    """Return a lot with what another sell of the leader has still to sell of it.

    Args:
        lot: as it is.
        trade: the other sell, as far as it was judged.
        copy: what became of it.
        now: the same with the ends of orders that it awaits.
        standing: of its slices.
    """
    now = _by_now(now, lot)
    left_micros = _still_to_sell(trade, now, standing)
    there = max(lot.shares_micros - standing.later_micros, 0)
    # A slice under way goes on, although later sells have sold what was held before it.
    going = min(standing.own_micros, lot.shares_micros)
    promised = min(left_micros, max(there, going))
    owed = min(left_micros, max(there + lot.matched_micros, going))
    other = OtherSell(
        key=trade.key,
        copy=copy,
        small_micros=min(copy.small_micros, max(promised - going, 0)),
        cut=_cut(trade, now, left_micros - owed) if owed < left_micros else None,
    )
    return replace(
        lot,
        promised_micros=lot.promised_micros + promised,
        owed_micros=lot.owed_micros + owed,
        others=(*lot.others, other) if other.small_micros or other.cut else lot.others,
    )


def _cut(trade: LeaderTrade, copy: Copy, by_micros: int) -> Copy:
    """Return the copy of a sell that asks for so much less.

    Later sells have sold its shares. What comes back of them, because a settlement fails, is sold
    by those again: were it sold for this one, too, its shares would leave twice.
    """
    part = _part(trade, copy)
    owned = exit_sizing.owned_of_part(
        part_micros=max(part - by_micros, 0),
        leader_sold_micros=trade.size_micros,
        leader_held_before_micros=trade.held_before_micros,
        mode=copy.frozen.settings.exit_mode,
    )
    return structs.replace(
        copy,
        owned_micros=min(owned, copy.owned_micros),
        carried_micros=max(copy.carried_micros - max(by_micros - part, 0), 0),
    )


def _after_this(other: OtherSell, *, fresh: bool, taken: bool) -> Copy:
    """Return what becomes of another sell's copy.

    Args:
        other: the sell.
        fresh: the one that is judged counts now on what the other one sells.
        taken: it takes along what was too small.
    """
    copy = other.cut if fresh and other.cut is not None else other.copy
    return _passed_on(copy, other.small_micros) if taken and other.small_micros else copy


def _passed_on(copy: Copy, small_micros: int) -> Copy:
    """Return the copy of a sell that was too small, once a later one sells for it."""
    return structs.replace(copy, small_micros=0, passed_micros=copy.passed_micros + small_micros)


def _taking_along(trade: LeaderTrade, start: Copy, lot: LotView) -> Copy:
    """Add to a sell what was too small to be sold in the leader's other sells."""
    if switched_off(start.frozen) is not None or _still_needed(trade, start) <= 0:
        return start
    small = sum(other.small_micros for other in lot.others)
    return structs.replace(start, carried_micros=start.carried_micros + small)


def _first(trade: LeaderTrade, subscription: Subscription, lot: LotView, context: Context) -> Copy:
    """Begin an exit with what is held now. No part of it is what is bought later, what others are
    selling, or what the leader's earlier sells have still to sell."""
    if came_after(trade, subscription, context.holding_age_ms):
        return Copy(frozen=subscription)
    return Copy(
        frozen=subscription,
        owned_micros=_unpromised(lot),
        awaited=_awaited(trade, subscription, lot),
    )


def _unpromised(lot: LotView) -> int:
    return max(lot.shares_micros - lot.leaving_micros - lot.promised_micros, 0)


def _of_what_is_left(trade: LeaderTrade, start: Copy, lot: LotView) -> Copy:
    """Return the copy when more rows of a sell came: they take their part of what the leader's
    other sells have left by now, which may have been judged since by a smaller holding."""
    if not 0 < start.judged_size_micros < trade.size_micros:
        return start
    target = _before(trade, start, start.owned_micros) + start.carried_micros - start.passed_micros
    own_left = max(target - lot.sold_micros, lot.own_micros)
    taken = lot.leaving_micros + lot.promised_micros + lot.later_micros + own_left
    open_ = {each.order_key: each for each in (*lot.unresolved, *lot.sales)}
    left = {key: each.portion_micros for key, each in open_.items()}
    for each in start.awaited:
        if each.order_key in open_:
            # What has come of it is in the lot, and is applied to when it ends.
            came = open_[each.order_key].filled_micros - each.filled_micros
            applied = left[each.order_key] + _before(trade, start, each.portion_micros)
            taken += -(-max(came, 0) * applied // MICROS)
    return structs.replace(
        start,
        owned_micros=_grown(trade, start, start.owned_micros, max(lot.shares_micros - taken, 0)),
        awaited=tuple(
            replace(
                each,
                portion_micros=_grown(
                    trade, start, each.portion_micros, left.get(each.order_key, 0)
                ),
            )
            for each in start.awaited
        ),
    )


def _grown(trade: LeaderTrade, start: Copy, owned_micros: int, left_micros: int) -> int:
    """Return what a sell applies to when its new rows take their part of what all sells have
    left; never more than before."""
    held, mode = trade.held_before_micros, start.frozen.settings.exit_mode
    more = exit_sizing.desired_exit(
        owned_micros=left_micros,
        leader_sold_micros=trade.size_micros - start.judged_size_micros,
        leader_held_before_micros=None if held is None else held - start.judged_size_micros,
        mode=mode,
    )
    owned = exit_sizing.owned_of_part(
        part_micros=_before(trade, start, owned_micros) + more,
        leader_sold_micros=trade.size_micros,
        leader_held_before_micros=held,
        mode=mode,
    )
    return min(owned_micros, owned)


def _before(trade: LeaderTrade, start: Copy, owned_micros: int) -> int:
    """Return what a sell asked for of so much by the rows that were judged."""
    return exit_sizing.desired_exit(
        owned_micros=owned_micros,
        leader_sold_micros=start.judged_size_micros,
        leader_held_before_micros=trade.held_before_micros,
        mode=start.frozen.settings.exit_mode,
    )


def _by_now(copy: Copy, lot: LotView) -> Copy:
    """Return the copy with what open orders that it awaits have filled."""
    filled = {each.order_key: each.filled_micros for each in (*lot.unresolved, *lot.sales)}
    for each in copy.awaited:
        if each.order_key in filled:
            copy = _filled_by_now(copy, each, filled[each.order_key])
    return copy


def _still_to_sell(trade: LeaderTrade, copy: Copy, standing: ExitProgress) -> int:
    """Return shares that a sell has asked for and not sold, whether the lot has them or not: the
    leader's later sells have no part in them."""
    if switched_off(copy.frozen) is not None:
        return 0
    # What was claimed is going, even when it was raised to the minimum order.
    return max(_target(trade, copy) - standing.sold_micros, standing.own_micros)


def came_after(trade: LeaderTrade, subscription: Subscription, holding_age_ms: int) -> bool:
    """Return whether the leader sold before anything that the follower may hold by copying him:
    a buy is copied up to an age, and a resync uses holdings up to an age."""
    oldest_ms = subscription.created_ms - subscription.age_ms - holding_age_ms
    return trade.traded_ms < oldest_ms


def _decided(
    trade: LeaderTrade, start: Copy, lot: LotView, verdict: Sized | Skip, context: Context
) -> tuple[Copy, Order | None]:
    copy = structs.replace(after(trade, start, verdict), small_micros=verdict.small_micros)
    if not isinstance(verdict, Sized) or context.book is None:
        return copy, None
    copy = structs.replace(
        copy, ordered_size_micros=start.ordered_size_micros + verdict.size_micros
    )
    if copy.shadow:
        return _on_paper(copy, verdict, lot, context.book), None
    proxy = copy.frozen.follower.proxy
    copy_key = ids.exit_copy_key(trade.key.leader_tx, proxy, trade.key.asset_id, trade.key.leader)
    order = make_order(
        trade,
        copy.frozen,
        # Two subscriptions of one wallet sell two lots: the origin keeps their keys apart.
        ids.lot_exit_key(copy_key, copy.frozen.id),
        len(copy.order_keys),
        Purpose.COPY_EXIT,
        verdict,
        context.now_ms + context.exit_ttl_ms,
        body_of=context.body_of,
    )
    copy = structs.replace(copy, order_keys=(*copy.order_keys, order.order_key))
    return structs.replace(copy, rest_until_ms=context.now_ms + _hangs_ms(copy)), order


def _on_paper(copy: Copy, sized: Sized, lot: LotView, book: Book) -> Copy:
    filled = paper.sell(book, sized)
    cost = lot.cost_micros * filled.size_micros // lot.shares_micros
    return structs.replace(
        copy,
        paper_size_micros=copy.paper_size_micros - filled.size_micros,
        paper_cost_micros=copy.paper_cost_micros - cost,
        paper_notional_micros=copy.paper_notional_micros - filled.money_micros,
    )


def _of_an_empty_lot(trade: LeaderTrade, start: Copy) -> Copy:
    """Return the copy when others have sold the rest: later buys are no part of this exit,
    unless they are of entries of before. Durable, for a judgement after a restart."""
    sold_for = start.ordered_size_micros + start.passed_micros
    carried = min(start.carried_micros, sold_for)
    ordered_for = exit_sizing.owned_of_part(
        part_micros=sold_for - carried,
        leader_sold_micros=trade.size_micros,
        leader_held_before_micros=trade.held_before_micros,
        mode=start.frozen.settings.exit_mode,
    )
    return structs.replace(
        start, owned_micros=min(start.owned_micros, ordered_for), carried_micros=carried
    )


def _awaited(trade: LeaderTrade, subscription: Subscription, lot: LotView) -> tuple[Awaited, ...]:
    if switched_off(subscription):
        return ()
    # Who leaves whole takes along what earlier sells of the leader were to have of it.
    sales = (
        tuple(replace(s, portion_micros=MICROS) for s in lot.sales)
        if _whole(trade, subscription)
        else _left_of_sales(lot)
    )
    return (*lot.unresolved, *sales)


def _left_of_sales(lot: LotView) -> tuple[Awaited, ...]:
    """Return the lot's sales with what a sell has of their shares if they come back: the leader's
    earlier sells, which may not wait for them, take theirs first."""
    back = sum(sale.filled_micros * sale.portion_micros for sale in lot.sales) // MICROS
    if not back:
        return lot.sales
    whole = lot.shares_micros - lot.leaving_micros + back - lot.owed_micros
    free = min(max(whole - _unpromised(lot), 0), back)
    return tuple(
        replace(sale, portion_micros=sale.portion_micros * free // back) for sale in lot.sales
    )


def _whole(trade: LeaderTrade, subscription: Subscription) -> bool:
    """Return whether the follower sells all that he owns."""
    desired = exit_sizing.desired_exit(
        owned_micros=MICROS,
        leader_sold_micros=trade.size_micros,
        leader_held_before_micros=trade.held_before_micros,
        mode=subscription.settings.exit_mode,
    )
    return desired == MICROS


def _as_sold(start: Copy, lot: LotView) -> Copy:
    """Return the copy with what awaited sales have sold or lost since the last judgement. What
    is bought after them is no part of this exit, and what comes back is."""
    filled = {sale.order_key: sale.filled_micros for sale in lot.sales}
    for each in start.awaited:
        if each.sale and filled.get(each.order_key, each.filled_micros) != each.filled_micros:
            start = _filled_by_now(start, each, filled[each.order_key])
    return start


def _filled_by_now(copy: Copy, order: Awaited, filled_micros: int) -> Copy:
    """Return the copy when so much of an awaited order is filled; the order stays awaited."""
    came = (filled_micros - order.filled_micros) * order.portion_micros // MICROS
    return structs.replace(
        copy,
        owned_micros=max(copy.owned_micros + (-came if order.sale else came), 0),
        awaited=tuple(
            replace(each, filled_micros=filled_micros) if each == order else each
            for each in copy.awaited
        ),
    )


def _still_waiting(start: Copy, verdict: Sized | Skip) -> Sized | Skip:
    """Return the verdict, or that the exit waits: with entries or triggers' sales under way it
    is not done, whatever its last slice says."""
    if not start.awaited:
        return verdict
    entries = sum(not order.sale for order in start.awaited)
    if entries:
        reason, detail = Reason.WAITING_FOR_ENTRY, f"{entries} entries of this lot are unresolved"
    else:
        sales = f"{len(start.awaited)} sales of this lot"
        reason, detail = Reason.ALREADY_SELLING, f"{sales} are not settled"
    if isinstance(verdict, Sized):
        if verdict.shortfall not in (Reason.NONE, Reason.ACCUMULATING):
            return verdict
        return structs.replace(verdict, shortfall=reason, detail=detail, small_micros=0)
    if verdict.reason in _ENDS:
        return Skip(reason, detail)
    return verdict


def _judge_exit(trade: LeaderTrade, start: Copy, lot: LotView, context: Context) -> Sized | Skip:
    off = switched_off(start.frozen)
    if off is not None:
        return off
    if start.owned_micros == 0 and not start.carried_micros:
        late = "nothing is held of what the leader sold" if lot.shares_micros else ""
        return Skip(Reason.NOTHING_HELD, late or "the lot is empty")
    # Before the market: what has nothing left to sell is done, whoever tells of its market or not.
    of_then = lot.shares_micros - lot.later_micros - lot.own_micros
    desired = min(_still_needed(trade, start), of_then)
    if desired <= 0 and not start.copied:
        return Skip(Reason.NOTHING_HELD, "another exit has sold what was held")
    # What a slice left below a step is nothing to sell: raised to the minimum it would be too much.
    if desired <= 0 or (start.copied and desired < SIZE_STEP_MICROS):
        return Skip(Reason.NONE, "")
    if context.book is None:
        return Skip(Reason.MARKET_UNKNOWN, f"asset {trade.key.asset_id}")
    if context.book.market.closed or context.book.market.payout_micros is not None:
        return Skip(Reason.MARKET_CLOSED, f"condition {trade.condition_id}")
    if held_back(trade, start, context.halts):
        return Skip(Reason.HALTED, "it is made when the halt ends")
    if _rests(trade, start, context.now_ms):
        return Skip(Reason.ALREADY_SELLING, "the next slice waits for the one before")
    price = new_price(trade, start) or _best_bid(context.book)
    if price == 0:
        return Skip(Reason.PRICE_OUT_OF_RANGE, "the leader left without a price, and nobody bids")
    whole, free = _to_the_end(trade, start, lot, desired, context.book, context.left_ms)
    sized = exit_sizing.size_exit(
        start.frozen,
        context.book,
        price_micros=price,
        desired_micros=desired,
        free_micros=free,
        below_ppm=context.widening.below_ppm(start.tried),
        whole=whole,
    )
    return _unless_more_comes_free(sized, lot)


def _to_the_end(
    trade: LeaderTrade, start: Copy, lot: LotView, desired: int, book: Book, left_ms: int | None
) -> tuple[bool, int]:
    """Return whether a sell leaves nothing too small behind, and shares that it may take.

    After a later sell of everything there is none that could sell the rest along, and no more than
    that: what was bought since is not what the leader has left.
    """
    if _whole(trade, start.frozen) or (left_ms or 0) < trade.traded_ms:
        return _whole(trade, start.frozen), lot.free_micros
    of_then = min(lot.free_micros, max(desired, lot.free_micros - lot.later_micros))
    if lot.later_micros and of_then < smallest(book.market):
        # The exit of what was bought since takes it along.
        return False, lot.free_micros
    return True, of_then


def held_back(trade: LeaderTrade, copy: Copy, halts: AbstractSet[Halt]) -> bool:
    """Return whether a halt stops all slices of an exit; shadows are never stopped."""
    proxy = copy.frozen.follower.proxy
    return not copy.shadow and held(
        halts, wallet=proxy, leader=trade.key.leader, condition_id=trade.condition_id
    )


def _unless_more_comes_free(verdict: Sized | Skip, lot: LotView) -> Sized | Skip:
    """Return the verdict; a size too small to be sold is no dust while another exit may free
    more."""
    if isinstance(verdict, Sized) or verdict.reason is not Reason.DUST or not lot.selling:
        return verdict
    return Skip(Reason.ALREADY_SELLING, verdict.detail)


def _rests(trade: LeaderTrade, start: Copy, now_ms: int) -> bool:
    """Return whether the last slice holds up the next one; a further sale of the leader overrides
    it.

    A clock that was set back must not make the pause longer.
    """
    if trade.size_micros > start.judged_size_micros:
        return False
    return 0 < start.rest_until_ms - now_ms <= LONGEST_PAUSE_MS


def _hangs_ms(copy: Copy) -> int:
    """Return how long a slice that does not end holds up the next one, milliseconds, doubling."""
    return min(_HANGS_MS << min(len(copy.order_keys) - 1, 5), LONGEST_PAUSE_MS)


def _best_bid(book: Book) -> int:
    """Return the best bid, or 0: what a leader's merge or conversion, which has no price, is
    worth."""
    return book.bids[0][0] if book.bids else 0


def switched_off(subscription: Subscription) -> Skip | None:
    """Return why a subscription does not follow its leader's sells; None: it does."""
    settings = subscription.settings
    if settings.exit_mode is ExitMode.NONE:
        return Skip(Reason.EXITS_OFF, "only triggers sell")
    if settings.sides is Sides.BUYS:
        return Skip(Reason.SIDE_FILTERED, "a sell; only buys are copied")
    return None


def _still_needed(trade: LeaderTrade, start: Copy) -> int:
    return _target(trade, start) - start.ordered_size_micros


def _target(trade: LeaderTrade, copy: Copy) -> int:
    """Return the shares that a sell asks for in all slices: its own part, and what was too
    small."""
    return _part(trade, copy) + copy.carried_micros - copy.passed_micros


def _part(trade: LeaderTrade, copy: Copy) -> int:
    return exit_sizing.desired_exit(
        owned_micros=copy.owned_micros,
        leader_sold_micros=trade.size_micros,
        leader_held_before_micros=trade.held_before_micros,
        mode=copy.frozen.settings.exit_mode,
    )


def entry_ended(copy: Copy, order_key: str, *, filled_micros: int) -> Copy:
    """Return an exit's copy after the end of an awaited order: the sell applies to its fills.

    Args:
        copy: before.
        order_key: of the entry or sale; one that is not awaited changes nothing.
        filled_micros: of it that stand.
    """
    for order in copy.awaited:
        if order.order_key == order_key:
            copy = _filled_by_now(copy, order, filled_micros)
    return structs.replace(
        copy, awaited=tuple(each for each in copy.awaited if each.order_key != order_key)
    )


def takes_of_later_fills(trade: LeaderTrade, copy: Copy, order_key: str) -> int:
    """Return the portion that an exit takes of each later fill of an awaited order."""
    return sum(
        exit_sizing.desired_exit(
            owned_micros=each.portion_micros,
            leader_sold_micros=trade.size_micros,
            leader_held_before_micros=trade.held_before_micros,
            mode=copy.frozen.settings.exit_mode,
        )
        for each in copy.awaited
        if each.order_key == order_key
    )


def slice_ended(
    copy: Copy,
    *,
    size_micros: int,
    filled_micros: int,
    tried: bool,
    ended_ms: int,
    halted: bool = False,
    without_balance: bool = False,
) -> Copy:
    """Return an exit's copy after the end of a slice: what it left is to be sold again.

    Args:
        copy: before.
        size_micros: of the slice.
        filled_micros: of it that stand.
        tried: the venue has looked for a counterpart.
        ended_ms: when, since 1970; 0: nobody knows, and the pause counts from its claim.
        halted: a halt met it on its way; whoever made the halt has ended its slice, not the market.
        without_balance: it was refused for want of balance, and nothing that was bought is still to
            come: the shares may be gone, and confirm looks.
    """
    rest_until_ms = copy.rest_until_ms
    if ended_ms:
        pause = exit_price.pause_ms(len(copy.order_keys), LONGEST_PAUSE_MS)
        rest_until_ms = ended_ms + pause
    if filled_micros >= size_micros:
        # Also others that still hang hold up nothing then: one more is under way, as before.
        rest_until_ms = 0
    elif halted:
        rest_until_ms = ended_ms + exit_price.FIRST_PAUSE_MS
    elif without_balance and ended_ms:
        rest_until_ms = ended_ms + min(
            exit_price.pause_without_balance_ms(len(copy.order_keys)), LONGEST_PAUSE_MS
        )
    return structs.replace(
        copy,
        ordered_size_micros=copy.ordered_size_micros - (size_micros - filled_micros),
        tried=copy.tried + (1 if tried and filled_micros < size_micros else 0),
        rest_until_ms=rest_until_ms,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One order of an exit. Shares, micros."""

    size_micros: int
    filled_size_micros: int
    ended: bool
    tried: bool
    """The venue has looked for a counterpart."""
    halted: bool
    """A halt has ended it."""


def with_slices(copy: Copy, slices: Collection[Slice]) -> Copy:
    """Return an exit's copy as all of its slices have left it, known to it or not.

    Args:
        copy: as it was when its last slice was claimed; one on paper has no slices.
        slices: all of them, in their order.
    """
    if slices:
        ordered = sum(one.size_micros for one in slices)
        copy = structs.replace(copy, ordered_size_micros=ordered, tried=0)
    for one in slices:
        if one.ended:
            copy = slice_ended(
                copy,
                size_micros=one.size_micros,
                filled_micros=one.filled_size_micros,
                tried=one.tried,
                ended_ms=0,
                halted=one.halted,
            )
    return copy
