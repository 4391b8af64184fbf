"""The evidence of a run that has ended: our rows, and the venue gateway's own word.

Plain values, so that the invariants are functions of them and a finished run keeps them in a
file. Amounts are micros, instants milliseconds since the epoch unless the name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """A row of `orders`."""

    order_key: str
    copy_key: str
    ordinal: int
    purpose: str
    subscription_id: str
    trigger_id: str
    follower_proxy: str
    leader_tx: str
    asset_id: str
    side: str
    size_micros: int
    limit_micros: int
    not_after_ms: int
    body_hash: str
    journal_seq: int
    state: str
    failed_kind: str
    epoch: int
    filled_size_micros: int
    filled_notional_micros: int
    fee_micros: int
    chain_head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A row of `order_event`, in the order of event_seq; the instant in microseconds."""

    order_key: str
    from_state: str
    to_state: str
    reason: str
    epoch: int
    occurred_us: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRow:
    """A row of `fill`."""

    order_key: str
    trade_id: str
    status: str
    size_micros: int
    notional_micros: int
    fee_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A row of `decision`."""

    leader_tx: str
    leader: str
    asset_id: str
    side: str
    subscription_id: str
    copied: bool
    reason: str
    ordered_size_micros: int
    order_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """A row of `subscription`."""

    id: str
    leader: str
    state: str
    version: int
    created_ms: int
    max_per_trade_micros: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRow:
    """A row of `lot`."""

    follower_proxy: str
    asset_id: str
    origin: str
    shares_micros: int
    cost_micros: int
    bought_size_micros: int
    bought_notional_micros: int
    sold_size_micros: int
    sold_notional_micros: int
    fee_micros: int
    realised_micros: int
    resolved_size_micros: int = 0
    payout_micros: int = 0
    by_hand_micros: int = 0
    """Shares that a caller has reported; no order bought them."""
    by_hand_cost_micros: int = 0
    """Cost of the adopted shares among them, USDC 1e-6."""
    elsewhere_micros: int = 0
    """Shares that corrections have taken: no order of ours sold them."""
    elsewhere_cost_micros: int = 0
    """USDC, micros, that the shares had cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionRow:
    """A row of `redemption`."""

    redeem_key: str
    follower_proxy: str
    condition_id: str
    state: str
    expected_micros: int
    paid_micros: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """A row of `follower_balance` whose cash is known."""

    follower_proxy: str
    cash_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRow:
    """A row of `trigger`."""

    id: str
    status: str
    generation: int
    rungs: int = 0
    """Of a ladder; 0 for other kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRow:
    """A row of `reservation` that is not released."""

    order_key: str
    money_micros: int
    shares_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlChange:
    """A row of `control_change`, in the order of seq; hashes in hex."""

    seq: int
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTrade:
    """A trade of an order at insiders-api."""

    trade_id: str
    size_micros: int
    notional_micros: int
    fee_micros: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOrder:
    """An order as insiders-api has it; amounts without failed trades."""

    order_key: str
    follower_proxy: str
    asset_id: str
    side: str
    size_micros: int
    limit_micros: int
    closed: bool
    filled_size_micros: int
    filled_notional_micros: int
    fee_micros: int
    accepted_ms: int
    trades: tuple[GatewayTrade, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPost:
    """A POST of an order as insiders-api noted it."""

    order_key: str
    body_hash: str
    ledger: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayWallet:
    """The holdings of a wallet at insiders-api; shares by asset."""

    follower_proxy: str
    cash_micros: int
    shares: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRedemption:
    """A redemption as insiders-api has it."""

    redeem_key: str
    follower_proxy: str
    condition_id: str
    payout_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayHandTrade:
    """A trade that a wallet's owner made by hand at insiders-api: the shares and cash it moved."""

    follower_proxy: str
    asset_id: str
    shares_micros: int
    """Below zero: sold."""
    cash_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """The paper insiders-api's own account of the run."""

    orders: tuple[GatewayOrder, ...]
    posts: tuple[GatewayPost, ...]
    wallets: tuple[GatewayWallet, ...]
    default_cash_micros: int
    enforces_not_after: bool
    redemptions: tuple[GatewayRedemption, ...] = ()
    hand_trades: tuple[GatewayHandTrade, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderTrade:
    """A leader's trade in one transaction, asset and side, as the venue reports it."""

    leader_tx: str
    leader: str
    asset_id: str
    side: str
    traded_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that the invariants look at."""

    orders: tuple[OrderRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    fills: tuple[FillRow, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    subscriptions: tuple[SubscriptionRow, ...] = ()
    lots: tuple[LotRow, ...] = ()
    triggers: tuple[TriggerRow, ...] = ()
    redemptions: tuple[RedemptionRow, ...] = ()
    balances: tuple[BalanceRow, ...] = ()
    reservations: tuple[ReservationRow, ...] = ()
    control_changes: tuple[ControlChange, ...] = ()
    journal_unbuilt: int = 0
    """Journal records that are not rows yet."""
    gateway: GatewayState | None = None
    """None: a real insiders-api, whose books are not ours to read."""
    leader_trades: tuple[LeaderTrade, ...] | None = None
    """None: live feeds, of which nobody has the whole list."""
    settled: bool = True
    """False: taken while trading went on; what must hold only at rest is not judged."""
    notes: tuple[str, ...] = field(default=())
    """What could not be looked at, in words."""
