"""One judgement of a leader trade as it is recorded: everything that the plan was made of, and the
plan. Pure.

`recorder` writes judgements while their claims are committed; `replay` reads them and judges again.
A judgement is complete: neither the database nor another judgement is needed to repeat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from msgspec import structs

from services.router.core.caps import Exposure
from services.router.core.entry_plan import plan_entries
from services.router.core.exit_plan import plan_exits
from services.router.core.records import Awaited, Context, Copy, LotView, Plan
from tradingtools.domain import ids
from tradingtools.domain.book import Book, BookStatus, Level, Market
from tradingtools.domain.exit_price import Widening
from tradingtools.domain.halts import Halt
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, TradeKey
from tradingtools.domain.order import Order
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription

FORMAT = 1
CopyFields = dict[str, Any]
"""A copy's fields that differ from the usual; of its subscription the number in the recording."""
Values = tuple[Any, ...]
"""The values of a struct in the order of its fields."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag="header"):
    """The first record of a recording: what is the same for all its judgements."""

    format: int
    partition: int
    epoch: int
    entry_ttl_ms: int
    entry_least_ms: int
    exit_ttl_ms: int
    close_ms: int
    holding_age_ms: int
    exit_floor_ppm: int


class Version(msgspec.Struct, frozen=True, kw_only=True, tag="subscription"):
    """A subscription as judgements after this record name it by its number."""

    number: int
    subscription: Subscription


class RecordedBook(msgspec.Struct, frozen=True, kw_only=True):
    """The book that was read."""

    market: Market
    status: BookStatus
    bids: list[Level]
    asks: list[Level]
    book_ms: int
    revision: int
    received_ns: int


class Judged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One follower of a judgement."""

    subscription: int
    exposure: Values | None = None
    """The fields of his exposure in their order; None: nobody asked."""
    owner: str | None = None
    """Another subscription that has claimed his entry's copy key."""
    before: CopyFields | None = None
    """What had become of the trade for him."""
    lot: LotView | None = None


class OtherCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of another leader trade that the judgement changes."""

    key: TradeKey
    subscription_id: str
    copy: CopyFields


class Judgement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="judgement"):
    """One judgement: its inputs, then what came of them."""

    record_key: str
    """Of the journal's record, and when it was decided: together they name one try."""
    routed_ns: int
    key: TradeKey
    condition_id: str
    traded_ms: int
    held_before_micros: int | None
    leader_equity_micros: int | None
    title: str
    rows: list[LeaderRow]
    now_ms: int
    book: RecordedBook | None = None
    quiet_ms: int | None = None
    left_ms: int | None = None
    leader: LeaderFacts | None = None
    halts: list[Halt] = []
    followers: list[Judged] = []
    orders: list[Values] = []
    """Their fields in order, without their bodies, which are made of the others."""
    copies: dict[str, CopyFields] = {}
    """By subscription; only those that are new or have changed."""
    left: list[OtherCopy] = []

    @property
    def name(self) -> tuple[str, int]:
        """Return what names it."""
        return self.record_key, self.routed_ns


Record = Header | Version | Judgement


@dataclass(slots=True)
class Inputs:
    """The inputs of a plan besides the trade, noted while it is made."""

    context: Context
    known: Mapping[str, Copy] = field(default_factory=dict)
    lots: Mapping[str, LotView] = field(default_factory=dict)
    followers: dict[str, Subscription] = field(default_factory=dict)
    exposures: dict[str, Exposure] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """By copy key; of others' claims alone."""
    plan: Plan = field(default_factory=Plan)
    """As the core made it."""

    @classmethod
    def of(cls, context: Context) -> Inputs:
        """Return empty inputs, and a context that fills them as a plan asks it."""
        inputs = cls(context)
        exposure_of, owner_of = context.exposure, context.entry_owner

        def exposure(subscription: Subscription) -> Exposure:
            found = inputs.exposures[subscription.id] = exposure_of(subscription)
            inputs.followers[subscription.id] = subscription
            return found

        def entry_owner(copy_key: str) -> str | None:
            owner = owner_of(copy_key)
            if owner is not None:
                inputs.owners[copy_key] = owner
            return owner

        inputs.context = replace(context, exposure=exposure, entry_owner=entry_owner)
        return inputs

    def judging(
        self,
        followers: Iterable[Subscription],
        known: Mapping[str, Copy],
        lots: Mapping[str, LotView] | None = None,
    ) -> None:
        """Note for whom the trade is judged, what was decided, and what they hold; the maps are
        not changed any more."""
        self.followers.update({s.id: s for s in followers})
        self.known = known
        self.lots = lots or {}


class Encoder:
    """Makes judgements of plans; each version of a subscription is recorded once."""

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._numbers: dict[int, int] = {}
        self._known: list[Subscription] = []

    def header(self, header: Header) -> bytes:
        """Return the first record of a recording; numbers begin again."""
        self._numbers, self._known = {}, []
        return self._encode(header)

    def records(
        self, trade: LeaderTrade, inputs: Inputs, record_key: str, routed_ns: int
    ) -> list[bytes]:
        """Return the records of a judgement: versions that are new, then the judgement.

        Args:
            trade: as far as it was known.
            inputs: of the plan, and the plan.
            record_key: of the claim.
            routed_ns: when it was decided.
        """
        first = len(self._known)
        judgement = self._judgement(trade, inputs, record_key, routed_ns)
        new = [
            self._encode(Version(number=number, subscription=self._known[number]))
            for number in range(first, len(self._known))
        ]
        return [*new, self._encode(judgement)]

    def _judgement(
        self, trade: LeaderTrade, inputs: Inputs, record_key: str, routed_ns: int
    ) -> Judgement:
        context, plan = inputs.context, inputs.plan
        return Judgement(
            record_key=record_key,
            routed_ns=routed_ns,
            key=trade.key,
            condition_id=trade.condition_id,
            traded_ms=trade.traded_ms,
            held_before_micros=trade.held_before_micros,
            leader_equity_micros=trade.leader_equity_micros,
            title=trade.title,
            rows=list(trade.rows.values()),
            now_ms=context.now_ms,
            book=None if context.book is None else _recorded_book(context.book),
            quiet_ms=context.quiet_ms,
            left_ms=context.left_ms,
            leader=context.leader,
            halts=sorted(context.halts),
            followers=[self._judged(s, trade, inputs) for s in inputs.followers.values()],
            orders=[_order_values(order) for order in plan.orders],
            copies={i: self._fields(copy) for i, copy in plan.copies.items()},
            left=[
                OtherCopy(key=key, subscription_id=i, copy=self._fields(copy))
                for key, copies in plan.left.items()
                for i, copy in copies.items()
            ],
        )

    def _judged(self, subscription: Subscription, trade: LeaderTrade, inputs: Inputs) -> Judged:
        held = inputs.exposures.get(subscription.id)
        before = inputs.known.get(subscription.id)
        owners = inputs.owners
        return Judged(
            subscription=self._number(subscription),
            exposure=None if held is None else structs.astuple(held),
            owner=owners.get(_entry_key(trade, subscription)) if owners else None,
            before=None if before is None else self._fields(before),
            lot=inputs.lots.get(subscription.id),
        )

    def _fields(self, copy: Copy) -> Any:
        """Return the copy as it is encoded: with a number for its subscription, and without what
        is as usual."""
        return structs.replace(copy, frozen=self._number(copy.frozen))

    def _number(self, subscription: Subscription) -> int:
        # By identity: whoever is judged is the same object until he changes, and is kept here.
        number = self._numbers.get(id(subscription))
        if number is None:
            number = self._numbers[id(subscription)] = len(self._known)
            self._known.append(subscription)
        return number


class Decoder:
    """Reads the records of one recording in their order."""

    def __init__(self) -> None:
        self._decode = msgspec.msgpack.Decoder(Record).decode
        self._header: Header | None = None
        self.subscriptions: dict[int, Subscription] = {}

    @property
    def header(self) -> Header:
        """Return the first record. Raises ValueError: there is none."""
        if self._header is None:
            raise ValueError("a recording begins with its header")
        return self._header

    def read(self, data: bytes) -> Judgement | None:
        """Return a judgement; None: a record that others go by.

        Raises:
            ValueError: it is no record of this format.
        """
        record: Record = self._decode(data)
        match record:
            case Header():
                if record.format != FORMAT:
                    raise ValueError(f"format {record.format} of a recording is not {FORMAT}")
                self._header = record
            case Version():
                self.subscriptions[record.number] = record.subscription
            case Judgement():
                return record
        return None

    def copy(self, fields: CopyFields) -> Copy:
        """Return the copy of its recorded fields."""
        values = dict(fields)
        values["frozen"] = self.subscriptions[values["frozen"]]
        if "reason" in values:
            values["reason"] = Reason(values["reason"])
        if "awaited" in values:
            values["awaited"] = tuple(Awaited(**each) for each in values["awaited"])
        for name in ("order_keys", "stale_keys"):
            if name in values:
                values[name] = tuple(values[name])
        return Copy(**values)

    def follower(self, judged: Judged) -> Subscription:
        """Return the subscription of one follower."""
        return self.subscriptions[judged.subscription]


def trade_of(judgement: Judgement) -> LeaderTrade:
    """Return the leader trade as far as it was known."""
    return LeaderTrade(
        key=judgement.key,
        condition_id=judgement.condition_id,
        traded_ms=judgement.traded_ms,
        held_before_micros=judgement.held_before_micros,
        title=judgement.title,
        traceparent="",
        rows={(r.source, (r.price_text, r.size_micros)): r for r in judgement.rows},
        leader_equity_micros=judgement.leader_equity_micros,
    )


def book_of(recorded: RecordedBook) -> Book:
    """Return the book that was read."""
    return Book(
        market=recorded.market,
        status=recorded.status,
        bids=recorded.bids,
        asks=recorded.asks,
        book_ms=recorded.book_ms,
        revision=recorded.revision,
        received_ns=recorded.received_ns,
    )


def context_of(
    judgement: Judgement, recorded: Decoder, leader: LeaderFacts | None = None
) -> Context:
    """Return what the plan depended on besides the trade.

    Args:
        judgement: that is repeated.
        recorded: its recording, as far as it is read.
        leader: facts that stand in for the recorded ones; None: the recorded ones.
    """
    header, trade = recorded.header, trade_of(judgement)
    exposures: dict[str, Exposure] = {}
    owners: dict[str, str] = {}
    for judged in judgement.followers:
        subscription = recorded.follower(judged)
        if judged.exposure is not None:
            exposures[subscription.id] = _exposure(judged.exposure)
        if judged.owner is not None:
            owners[_entry_key(trade, subscription)] = judged.owner
    return Context(
        book=None if judgement.book is None else book_of(judgement.book),
        now_ms=judgement.now_ms,
        entry_ttl_ms=header.entry_ttl_ms,
        entry_least_ms=header.entry_least_ms,
        exit_ttl_ms=header.exit_ttl_ms,
        exposure=_exposure_of(exposures),
        entry_owner=owners.get,
        body_of=no_body,
        quiet_ms=judgement.quiet_ms,
        leader=leader or judgement.leader,
        left_ms=judgement.left_ms,
        close_ms=header.close_ms,
        halts=frozenset(judgement.halts),
        widening=Widening(header.exit_floor_ppm),
        holding_age_ms=header.holding_age_ms,
    )


def judge(judgement: Judgement, recorded: Decoder, leader: LeaderFacts | None = None) -> Plan:
    """Judge again what was recorded, by the core as it is now.

    Args:
        judgement: what is repeated.
        recorded: its recording, as far as it is read.
        leader: facts that stand in for the recorded ones; None: the recorded ones.
    """
    trade = trade_of(judgement)
    followers = [recorded.follower(judged) for judged in judgement.followers]
    known = known_of(judgement, recorded)
    context = context_of(judgement, recorded, leader)
    if trade.key.side is Side.BUY:
        return plan_entries(trade, followers, known, context)
    lots = {
        recorded.follower(judged).id: judged.lot
        for judged in judgement.followers
        if judged.lot is not None
    }
    return plan_exits(trade, followers, known, lots, context)


def known_of(judgement: Judgement, recorded: Decoder) -> dict[str, Copy]:
    """Return what had become of the trade, by subscription."""
    return {
        recorded.follower(judged).id: recorded.copy(judged.before)
        for judged in judgement.followers
        if judged.before is not None
    }


def no_body(**_: object) -> str:
    """Return no body: it says nothing that the order's other fields do not say."""
    return ""


_EXPOSURE = tuple(each.name for each in structs.fields(Exposure))
_ORDER = tuple(each.name for each in structs.fields(Order))
_BODY = _ORDER.index("body")


def _exposure(values: Values) -> Exposure:
    return msgspec.convert(dict(zip(_EXPOSURE, values, strict=True)), Exposure)


def _order_values(order: Order) -> Values:
    values = structs.astuple(order)
    return (*values[:_BODY], "", *values[_BODY + 1 :])


def order_of(values: Values) -> Order:
    """Return a recorded order, without its body."""
    return msgspec.convert(dict(zip(_ORDER, values, strict=True)), Order)


def _exposure_of(exposures: Mapping[str, Exposure]) -> Callable[[Subscription], Exposure]:
    return lambda subscription: exposures[subscription.id]


def _entry_key(trade: LeaderTrade, subscription: Subscription) -> str:
    return ids.entry_copy_key(trade.key.leader_tx, subscription.follower.proxy, trade.key.asset_id)


def _recorded_book(book: Book) -> RecordedBook:
    return RecordedBook(
        market=book.market,
        status=book.status,
        bids=list(book.bids),
        asks=list(book.asks),
        book_ms=book.book_ms,
        revision=book.revision,
        received_ns=book.received_ns,
    )
