"""Values that entry and exit plans share: copies of leader trades, lots, plans. Pure.

The journal carries them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import msgspec
from msgspec import structs

from services.router.core.caps import Exposure, Skip
from services.router.core.sizing import Sized
from tradingtools.domain.book import Book
from tradingtools.domain.exit_price import DEFAULT_WIDENING, Widening
from tradingtools.domain.halts import Halt
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.leader_trade import LeaderTrade, TradeKey
from tradingtools.domain.money import MICROS, to_text
from tradingtools.domain.order import Order
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription
from tradingtools.venues.ports import OrderBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """An order that was under way when the leader sold: the sell applies to what an entry still
    brings, and to what comes back of a trigger's sale that is undone.

    Shares, micros.
    """

    order_key: str
    filled_micros: int
    """Of the entry when the sell was first judged: in the lot already. Of a sale at the last
    judgement: all that it may sell; what is owned is without it."""
    portion_micros: int = MICROS
    """Of each later fill, what earlier sells of the leader leave to this one."""
    sale: bool = False


class Copy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of one leader trade for one subscription.

    A struct, as whatever a plan makes of each follower: made and replaced in a tenth of the time of
    a dataclass.
    """

    frozen: Subscription
    """As it was when part 0 was sized; later parts are sized under it."""
    copied: bool = False
    reason: Reason = Reason.NONE
    detail: str = ""
    ordered_size_micros: int = 0
    ordered_money_micros: int = 0
    owned_micros: int = 0
    """Exits: what the lot held when the sell was first judged, and what has come since by entries
    of before."""
    awaited: tuple[Awaited, ...] = ()
    """Exits: orders of before that are still unresolved."""
    small_micros: int = 0
    """Exits: too small to be sold alone; the leader's next sell takes it along."""
    carried_micros: int = 0
    passed_micros: int = 0
    """Exits: what earlier sells have left to this one, and what this one has left to a later."""
    judged_notional_micros: int = 0
    """The leader trade's notional and size at the last judgement: what is new since is the next
    part's price."""
    judged_size_micros: int = 0
    order_keys: tuple[str, ...] = ()
    stale_keys: tuple[str, ...] = ()
    """Those of them that were never sent because the settings had changed; they count for nothing,
    and what they were to buy was decided again."""
    tried: int = 0
    """Exits: slices that the venue has tried, and that left something; each makes the next one sell
    lower."""
    rest_until_ms: int = 0
    """Exits: no further slice before this instant (since 1970) unless the leader sells more; 0: the
    last slice to end has sold all of its own."""
    equity_micros: int | None = None
    leader_equity_micros: int | None = None
    """Of follower and leader when part 0 was sized."""
    leader_version: str = ""
    """Of the leader's statistics, where the subscription filters by them and there were some."""
    accrued_micros: int = 0
    """USDC that this copy left to the next ones of the outcome; less than zero: took from them."""
    paper_size_micros: int = 0
    paper_cost_micros: int = 0
    paper_notional_micros: int = 0
    """Shadow: shares moved on paper (a sell's are negative), what they cost, and what was paid
    (less than zero: received). Sums over copies are the paper lot."""

    @property
    def started(self) -> bool:
        """Return whether something that counts is ordered; before that everything is judged
        afresh."""
        return self.ordered_size_micros > 0

    @property
    def shadow(self) -> bool:
        """Return whether it is decided on paper only."""
        return self.frozen.settings.shadow


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of a leader's followers, whose copies of a buy are claimed together."""

    ids: tuple[str, ...]
    """Of the subscriptions."""
    last: bool = True
    """The trade's rows become durable with the last part: until then it counts as never seen."""

    @classmethod
    def of(cls, ids: Sequence[str], size: int, *, last: bool = True) -> Part:
        """Return the first ``size`` of the remaining followers, in their order.

        Args:
            ids: of those that are left.
            size: how many at most.
            last: False: others come after them.
        """
        return cls(ids=tuple(ids[:size]), last=last and size >= len(ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleEntry:
    """An entry that was refused unsent because its subscription had changed."""

    key: TradeKey
    subscription_id: str
    order_key: str
    size_micros: int
    money_micros: int
    """Its reservation."""


def without_stale_entry(copy: Copy, order: StaleEntry, now: Subscription) -> Copy | None:
    """Return the copy without an order that was never sent, under the settings of now; None: it
    was taken out before."""
    if order.order_key not in copy.order_keys or order.order_key in copy.stale_keys:
        return None
    return structs.replace(
        copy,
        frozen=now,
        ordered_size_micros=copy.ordered_size_micros - order.size_micros,
        ordered_money_micros=copy.ordered_money_micros - order.money_micros,
        stale_keys=(*copy.stale_keys, order.order_key),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSell:
    """Another sell of the leader whose copy changes with the one that is judged. Shares, micros."""

    key: TradeKey
    copy: Copy
    small_micros: int
    """What it could not sell alone: the one that is judged takes it along."""
    cut: Copy | None
    """The copy without what the lot has not any more, on which the one that is judged counts; None:
    it has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LotView:
    """A lot as an exit sees it under lock."""

    shares_micros: int
    free_micros: int
    """What no other exit is going to take."""
    unsettled_micros: int = 0
    """Sold, but not settled yet: it comes back if that fails."""
    unresolved: tuple[Awaited, ...] = ()
    """Entries of this lot that may still fill."""
    sales: tuple[Awaited, ...] = ()
    """Triggers' and resyncs' sales of this lot that are not settled, each with all that it may
    sell."""
    leaving_micros: int = 0
    """What these are still going to take of the lot."""
    promised_micros: int = 0
    """What the leader's other sells have still to take of the lot, under way or not yet."""
    owed_micros: int = 0
    """The same, if all comes back that triggers and resyncs are selling and have not settled."""
    others: tuple[OtherSell, ...] = ()
    """Those of them whose copy may change."""
    cost_micros: int = 0
    """Of a shadow's paper lot."""
    later_micros: int = 0
    """Of entries that were claimed after the exit was first judged."""
    own_micros: int = 0
    sold_micros: int = 0
    """What slices of the exit itself are selling, and have sold."""

    @property
    def matched_micros(self) -> int:
        """Return what triggers' and resyncs' sales took of the lot and may still come back."""
        return sum(sale.filled_micros for sale in self.sales) - self.leaving_micros

    def has_open(self, order_key: str) -> bool:
        """Return whether an entry may still fill, or a trigger's sale may still be undone."""
        return any(each.order_key == order_key for each in (*self.unresolved, *self.sales))

    @property
    def selling(self) -> bool:
        """Return whether a sale is under way: how much stays is not known yet."""
        return self.free_micros < self.shares_micros or self.unsettled_micros > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitProgress:
    """The progress of an exit by the rows of its orders and entries. Shares, micros."""

    later_micros: int = 0
    """In its lot, of entries that were claimed after it was first judged."""
    own_micros: int = 0
    """What its slices are selling."""
    sold_micros: int = 0
    """What its slices have sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The inputs of a plan besides the trade."""

    book: Book | None
    now_ms: int
    entry_ttl_ms: int
    exit_ttl_ms: int
    exposure: Callable[[Subscription], Exposure]
    """What a subscription and its wallet hold and have reserved, as far as it concerns this
    trade."""
    entry_owner: Callable[[str], str | None]
    """The subscription that has claimed an entry copy key."""
    body_of: OrderBody
    entry_least_ms: int = 0
    """What an entry needs to be sent: with less left of its time it is too old."""
    quiet_ms: int | None = None
    """How long the trade had no new row before the one that is judged; None: it is not about a new
    row."""
    leader: LeaderFacts | None = None
    """What is known of the leader; None: nothing."""
    left_ms: int | None = None
    """When the leader last sold all that he held of the outcome, since 1970, as far as is known."""
    close_ms: int = 30_000
    """A trade that was quiet for longer is closed to entries."""
    halts: AbstractSet[Halt] = frozenset()
    """What may send nothing at all."""
    widening: Widening = DEFAULT_WIDENING
    """Of exits."""
    holding_age_ms: int = 900_000
    """A resync uses holdings of a leader that were reported no longer ago than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The records to make durable, in the order of the subscriptions."""

    orders: tuple[Order, ...] = ()
    copies: Mapping[str, Copy] = field(default_factory=dict)
    """By subscription; only those whose decision is new or has changed."""
    left: Mapping[TradeKey, Mapping[str, Copy]] = field(default_factory=dict)
    """Copies of earlier trades that this one changes, by leader trade and subscription: buys whose
    leader has left, and sells that were too small."""
    left_orders: tuple[str, ...] = ()
    """Their entries, which were never sent."""


def new_price(trade: LeaderTrade, before: Copy | None) -> int:
    """Return the leader's price of what came since the last judgement, or of all if nothing did.

    Never outside the prices of the rows: where one kind of source takes over from the other, the
    differences of size and notional are corrections, and their quotient is no price.
    """
    size, notional = trade.size_micros, trade.notional_micros
    if before is not None and size > before.judged_size_micros:
        size -= before.judged_size_micros
        notional -= before.judged_notional_micros
    return min(max(notional * MICROS // size, trade.lowest_micros), trade.highest_micros)


def after(
    trade: LeaderTrade,
    before: Copy,
    verdict: Sized | Skip,
    *,
    accrued_micros: int | None = None,
    order: Order | None = None,
) -> Copy:
    """Return the copy with the verdict noted; a copy that was made once stays made.

    Args:
        trade: as far as it was known to the judgement.
        before: the copy until now.
        verdict: of the judgement.
        accrued_micros: what it leaves to the next ones of the outcome; None: as before.
        order: that the verdict led to, if it did.
    """
    sized = isinstance(verdict, Sized)
    reason = verdict.shortfall if isinstance(verdict, Sized) else verdict.reason
    detail = verdict.detail
    if before.shadow and isinstance(verdict, Sized):
        detail = (
            f"would trade {to_text(verdict.size_micros)} at {to_text(verdict.limit_micros)}"
            + (f"; {reason}: {detail}" if reason else "")
        )
    if before.shadow and (sized or (before.copied and not reason)):
        reason, detail = Reason.SHADOW, detail or before.detail
    return structs.replace(
        before,
        copied=before.copied or sized,
        reason=reason,
        detail=detail,
        judged_size_micros=trade.size_micros,
        judged_notional_micros=trade.notional_micros,
        accrued_micros=before.accrued_micros if accrued_micros is None else accrued_micros,
        ordered_size_micros=before.ordered_size_micros + (order.size_micros if order else 0),
        ordered_money_micros=(
            before.ordered_money_micros + (order.reserved_money_micros if order else 0)
        ),
        order_keys=(*before.order_keys, order.order_key) if order else before.order_keys,
    )
