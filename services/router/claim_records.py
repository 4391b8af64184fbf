"""Build a claim's journal record from its request.

The worker makes requests of a leader trade and a cause. `claimer` plans a request and makes its
record durable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.router.core.decision_fields import decision_fields
from services.router.core.judgement import Inputs
from services.router.core.records import Part, Plan, StaleEntry
from tradingtools import clock
from tradingtools.codec.claims import claim_payload, order_to_pb
from tradingtools.domain.book import Book
from tradingtools.domain.leader_trade import LeaderTrade, TradeKey
from tradingtools.domain.order import Order
from tradingtools.domain.subscription import Subscription
from tradingtools.storage.postgres.journal import Claim, Claimed
from tradingtools.v1 import common_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchableBuy:
    """A leader's buy with few followers, which may be claimed together with others of his."""

    trade: LeaderTrade
    """With new rows."""
    newest_book: Callable[[], Book | None]
    """Of its asset, if it is in memory."""
    cause: str
    part: Part
    """All of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """One judgement of one leader trade, and everything that its record says besides the plan."""

    trade: LeaderTrade
    book: Book | None
    cause: str
    """The claim's cause; with the trade's key it names the record."""
    followers: tuple[Subscription, ...]
    control_seq: int
    """The last control change that the followers reflect."""
    traceparent: str
    received_ns: int
    """When the frame behind it was received."""
    stale: StaleEntry | None = None
    """The entry that is to be decided again; then it is about its subscription alone."""
    part: Part | None = None
    """Whose copies; None: of all followers."""
    unsure: bool = False
    """Whether an earlier try may have committed the record: the journal is asked, whatever it would
    say now."""
    inputs: Inputs | None = None
    """What the plan was made of, and the plan as the core made it; None: nobody records it."""

    @property
    def fresh(self) -> bool:
        """Return whether the trade's new rows are stored with this request: the last part does
        it."""
        return about_rows(self.cause) and (self.part is None or self.part.last)

    def changes(self, plan: Plan) -> bool:
        """Return whether the plan has something that is not known to be durable."""
        return bool(plan.copies or plan.left or self.fresh or self.unsure)


def rows_cause(trade: LeaderTrade) -> str:
    """Return the cause "these rows are known": equal rows give an equal record key."""
    known = sorted(
        (source, price, size, row.count) for (source, (price, size)), row in trade.rows.items()
    )
    return "rows-" + hashlib.sha256(repr(known).encode()).hexdigest()


def about_rows(cause: str) -> bool:
    """Return whether new rows of a leader trade are the cause."""
    return cause.startswith("rows-")


def received_ns(trade: LeaderTrade, cause: str) -> int:
    """Return when the frame behind a claim was received; now, if no frame caused it."""
    return trade.last_row_ns if about_rows(cause) else clock.now_ns()


def claim_of(
    request: ClaimRequest, plan: Plan, partition: int, buy: Callable[[TradeKey], LeaderTrade | None]
) -> Claim:
    """Return the journal record of a request and its plan.

    Args:
        request: what was judged.
        plan: what came of it.
        partition: of follower wallets.
        buy: earlier leader trades.
    """
    decisions = decision_fields(request.trade, plan.copies)
    for key, copies in plan.left.items():
        left = buy(key)
        if left is not None:
            decisions += decision_fields(left, copies)
    routed_ns = clock.now_ns()
    payload = claim_payload(
        plan.orders,
        decisions=decisions,
        # All of them: rows that were merged while nobody followed are stored with the first.
        rows=request.trade.rows.values() if request.fresh else (),
        control_seq=request.control_seq,
        traceparent=request.traceparent,
        received_ns=request.received_ns,
        routed_ns=routed_ns,
    )
    return Claim(
        record_key=record_key(request.trade.key, request.cause, request.part, partition),
        payload=payload,
        order_count=len(plan.orders),
        routed_ns=routed_ns,
    )


def record_key(key: TradeKey, cause: str, part: Part | None, partition: int) -> str:
    """Return the key of a record: the same request has the same key."""
    text = f"{key.leader_tx}|{key.leader}|{key.asset_id}|{key.side}|{partition}|{cause}"
    if part is not None:
        text += "|" + ",".join(part.ids)
    return "router:" + hashlib.sha256(text.encode()).hexdigest()


def order_batch(
    claimed: Claimed,
    orders: Iterable[Order],
    *,
    control_seq: int,
    traceparent: str,
    received_ns: int,
) -> pb.OrderBatch:
    """Return a committed claim as the executor receives it."""
    return pb.OrderBatch(
        journal_seq=claimed.seq,
        orders=[order_to_pb(order) for order in orders],
        traceparent=traceparent,
        received_ns=received_ns,
        claimed_ns=claimed.claimed_ns,
        control_seq=control_seq,
    )
