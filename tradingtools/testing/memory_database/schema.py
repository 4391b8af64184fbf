"""The tables of the money path: columns with their defaults, keys, and the constraints.

The contract suite compares the columns with those of the migrations. After it: `transactions`,
which keeps the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Any, Final

Row = dict[str, Any]
Key = tuple[Any, ...]


class _Now:
    """Default: the instant of the statement."""


class _Required:
    """No default: the statement has to name the column."""


NOW: Final = _Now()
REQUIRED: Final = _Required()
LOG: Final = "log"
"""The one sequence of the rows that events are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table.

    Unique columns and columns of an index are never updated by any statement.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, Any]
    """Default by column: a value, NOW or REQUIRED."""
    identity: str | None = None
    logged: bool = False
    """Whether its identity comes from LOG."""
    unique: tuple[tuple[str, ...], ...] = ()
    """Further unique keys."""
    index: str | None = None
    """A column by which rows are looked up often."""
    foreign: tuple[tuple[tuple[str, ...], str], ...] = ()
    """Columns, and the table whose key they must be; a null among them passes."""
    checks: Mapping[str, Callable[[Row], bool]] | None = None
    key_of: Callable[[Mapping[str, Any]], Key] = field(init=False)
    """The row's primary key."""
    constants: Row = field(init=False)
    """What a row begins with: defaults that are the same for all."""
    dated: tuple[str, ...] = field(init=False)
    """Columns that default to the instant of the statement."""
    filled: tuple[str, ...] = field(init=False)
    """Columns that are never null."""

    def __post_init__(self) -> None:
        own = {
            "key_of": tuple_of(self.key),
            "constants": {
                name: default
                for name, default in self.columns.items()
                if default is not NOW and default is not REQUIRED
            },
            "dated": tuple(name for name, default in self.columns.items() if default is NOW),
            "filled": tuple(
                name
                for name, default in self.columns.items()
                if default is not None or name == self.identity
            ),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)


@cache
def tuple_of(columns: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Key]:
    """Takes these columns out of a row, as a tuple."""
    if len(columns) == 1:
        (only,) = columns
        return lambda row: (row[only],)
    return itemgetter(*columns)


def _columns(required: str, **defaults: Any) -> dict[str, Any]:
    return {**dict.fromkeys(required.split(), REQUIRED), **defaults}


def _at_least_zero(*names: str) -> dict[str, Callable[[Row], bool]]:
    return {f"{name}_check": lambda row, name=name: bool(row[name] >= 0) for name in names}  # type: ignore[misc]


_ORDER = ((("order_key",), "orders"),)

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        Table(
            name="partition_lease",
            key=("role", "partition"),
            columns=_columns("role partition owner epoch expires_at", backlog_ms=0),
        ),
        Table(
            name="control_change",
            key=("seq",),
            identity="seq",
            logged=True,
            columns=_columns(
                "actor source action subject_kind subject_id previous_hash hash",
                seq=None, changed_at=NOW, before=None, after=None,
            ),
        ),
        Table(
            name="subscription",
            key=("id",),
            columns=_columns(
                "id follower_user_id follower_wallet_id follower_proxy leader state version"
                " sizing_mode sizing_micros changed_seq",
                max_per_trade_micros=None, max_per_market_micros=None, max_slippage_micros=None,
                max_age_ms=None, settings={}, triggers={}, created_at=NOW, updated_at=NOW,
                performance={}, paused_by=None, pause_reason="", paused_at=None, exiting=False,
                scale_micros=1_000_000, performance_actions=0, session=1, baseline=1,
            ),
        ),
        Table(
            name="performance",
            key=("subscription_id",),
            columns=_columns(
                "subscription_id state from_state standing", since=NOW, updated_at=NOW
            ),
            foreign=((("subscription_id",), "subscription"),),
        ),
        Table(
            name="performance_action",
            key=("action_id",),
            columns=_columns(
                "action_id subscription_id ordinal baseline kind scale_micros anchor_micros"
                " evidence control_seq",
                loss_action=None, exits=[], acted_at=NOW,
            ),
            unique=(("subscription_id", "ordinal"),),
            foreign=((("subscription_id",), "subscription"),),
        ),
        Table(
            name="halt",
            key=("scope", "subject"),
            columns=_columns("scope subject mode reason", set_at=NOW),
        ),
        Table(
            name="journal",
            key=("seq",),
            identity="seq",
            logged=True,
            columns=_columns(
                "kind role record_key partition epoch payload order_count",
                seq=None, committed_at=NOW, rows_built_at=None, set_aside=None,
                key_hashes=None, aside_keys=None,
            ),
            unique=(("record_key",),),
        ),
        Table(
            name="orders",
            key=("order_key",),
            columns=_columns(
                "order_key copy_key ordinal purpose subscription_version follower_user_id"
                " follower_wallet_id follower_proxy partition condition_id asset_id side"
                " size_micros limit_micros time_in_force not_after_ms body body_hash journal_seq"
                " control_seq state chain_head",
                subscription_id=None, trigger_id=None, leader="", leader_tx="", failed_kind=None,
                reason="", epoch=0, attempt=0, lease_until=None, not_found_count=0,
                next_check_at=None, venue_order_id="", filled_size_micros=0,
                filled_notional_micros=0, fee_micros=0, traceparent="", received_ns=0,
                routed_ns=0, claimed_ns=0, held_ns=0, submitting_ns=0, first_byte_ns=0,
                answered_ns=0, confirmed_ns=0, created_at=NOW, send_again_epoch=None,
                send_again_by_settings=False,
            ),
            unique=(("copy_key", "ordinal"),),
            index="copy_key",
            checks={
                **_at_least_zero("filled_size_micros", "filled_notional_micros", "fee_micros"),
                "orders_check": lambda row: row["filled_size_micros"] <= row["size_micros"],
                "orders_check1": lambda row: (
                    (row["state"] == "FAILED") == (row["failed_kind"] is not None)
                ),
            },
        ),
        Table(
            name="order_event",
            key=("event_seq",),
            index="order_key",
            identity="event_seq",
            logged=True,
            columns=_columns(
                "order_key from_state to_state reason epoch hash",
                event_seq=None, occurred_at=NOW, detail=None,
            ),
            foreign=_ORDER,
        ),
        Table(
            name="breaker",
            key=("dependency",),
            columns=_columns(
                "dependency",
                state="CLOSED", version=1, openings=0, retry_at_ms=0, prober="", reason="",
                changed_at=NOW,
            ),
            checks={
                **_at_least_zero("openings"),
                "breaker_check": lambda row: (row["state"] == "HALF_OPEN") == bool(row["prober"]),
            },
        ),
        Table(
            name="late_acceptance",
            key=("order_key",),
            columns=_columns(
                "order_key venue_order_id found_state answered_ns detail", noted_at=NOW
            ),
            foreign=_ORDER,
        ),
        Table(
            name="reservation",
            key=("order_key",),
            columns=_columns(
                "order_key follower_proxy condition_id asset_id money_micros shares_micros",
                subscription_id=None, released_at=None,
            ),
            foreign=_ORDER,
            checks=_at_least_zero("money_micros", "shares_micros"),
        ),
        Table(
            name="leader_row",
            key=(
                "leader_tx", "leader", "asset_id", "side", "partition", "price_text",
                "size_micros", "source",
            ),
            columns=_columns(
                "leader_tx leader asset_id side price_text size_micros source count price_micros"
                " condition_id traded_ms",
                partition=0, held_before_micros=None, seen_at=NOW,
            ),
        ),
        Table(
            name="decision",
            key=("leader_tx", "leader", "asset_id", "side", "subscription_id"),
            columns=_columns(
                "leader_tx leader asset_id side subscription_id condition_id follower_proxy copied"
                " reason detail leader_size_micros leader_notional_micros",
                frozen=None, ordered_size_micros=0, order_keys=(), journal_seq=0, title="",
                decided_at=NOW, updated_at=NOW,
            ),
        ),
        Table(
            name="lot",
            key=("follower_proxy", "asset_id", "origin"),
            columns=_columns(
                "follower_proxy asset_id origin condition_id",
                shares_micros=0, cost_micros=0, bought_size_micros=0, bought_notional_micros=0,
                sold_size_micros=0, sold_notional_micros=0, fee_micros=0, realised_micros=0,
                resolved_size_micros=0, payout_micros=0, by_hand_micros=0, by_hand_cost_micros=0,
                updated_at=NOW,
                elsewhere_micros=0, elsewhere_cost_micros=0,
            ),
            checks=_at_least_zero(
                "shares_micros", "cost_micros", "elsewhere_micros", "elsewhere_cost_micros"
            ),
        ),
        Table(
            name="lot_entry",
            key=("entry_seq",),
            identity="entry_seq",
            columns=_columns(
                "follower_proxy asset_id origin trade_id size_micros cost_micros",
                entry_seq=None, order_key=None,
            ),
            foreign=((("follower_proxy", "asset_id", "origin"), "lot"), *_ORDER),
            checks=_at_least_zero("size_micros", "cost_micros"),
        ),
        Table(
            name="fill",
            key=("order_key", "trade_id"),
            index="order_key",
            columns=_columns(
                "order_key trade_id status size_micros notional_micros fee_micros",
                cost_micros=0, matched_at=NOW, final_at=None, subscription_id=None,
            ),
            foreign=_ORDER,
            checks={
                **_at_least_zero("notional_micros", "fee_micros", "cost_micros"),
                "size_micros_check": lambda row: row["size_micros"] > 0,
            },
        ),
        Table(
            name="redemption",
            key=("redeem_key",),
            columns=_columns(
                "redeem_key follower_proxy condition_id round body state expected_micros",
                paid_micros=None, attempts=0, detail="", next_at=NOW, requested_at=NOW,
                updated_at=NOW,
            ),
            unique=(("follower_proxy", "condition_id", "round"),),
        ),
        Table(
            name="payout",
            key=("id",),
            identity="id",
            columns=_columns(
                "redeem_key follower_proxy asset_id origin condition_id size_micros cost_micros"
                " share_micros paid_micros",
                id=None, booked_at=NOW,
            ),
            unique=(("redeem_key", "asset_id", "origin"),),
            foreign=(
                (("redeem_key",), "redemption"),
                (("follower_proxy", "asset_id", "origin"), "lot"),
            ),
        ),
        Table(
            name="follower_balance",
            key=("follower_proxy",),
            columns=_columns(
                "follower_proxy",
                cash_micros=None, moves=0, polled_moves=None, polled_at=None, changed_at=NOW,
            ),
        ),
        Table(
            name="follower_position",
            key=("follower_proxy", "asset_id"),
            columns=_columns("follower_proxy asset_id condition_id shares_micros"),
            foreign=((("follower_proxy",), "follower_balance"),),
            checks={"shares_micros_check": lambda row: row["shares_micros"] != 0},
        ),
        Table(
            name="leader_account",
            key=("leader",),
            columns=_columns("leader asked_at", equity_micros=None),
        ),
        Table(
            name="leader_holding",
            key=("leader", "asset_id"),
            columns=_columns("leader asset_id condition_id shares_micros"),
            foreign=((("leader",), "leader_account"),),
        ),
        Table(
            name="resync",
            key=("id",),
            columns=_columns(
                "id subscription_id follower_proxy kind state",
                version=1, subscription_version=None, lines=[], omitted=0, leader_told_at=None,
                detail="", requested_at=NOW, previewed_at=None, ended_at=None,
            ),
            foreign=((("subscription_id",), "subscription"),),
            checks={
                "resync_check": lambda row: (
                    row["state"] in ("REQUESTED", "STALE") or row["previewed_at"] is not None
                ),
            },
        ),
        Table(
            name="booking",
            key=("fill_seq",),
            index="order_key",
            identity="fill_seq",
            logged=True,
            columns=_columns(
                "kind trade_id size_micros notional_micros fee_micros realised_micros"
                " order_state order_filled_micros lot_shares_micros lot_cost_micros",
                fill_seq=None, order_key=None, payout_id=None, correction_id=None, reason="",
                booked_at=NOW,
            ),
            unique=(("order_key", "kind", "trade_id"), ("payout_id",), ("correction_id",)),
            foreign=(
                *_ORDER,
                (("payout_id",), "payout"),
                (("correction_id",), "lot_correction"),
            ),
        ),
        Table(
            name="lot_request",
            key=("id",),
            identity="id",
            columns=_columns(
                "request_id follower_proxy asset_id origin shares_micros evidence operator"
                " control_seq",
                id=None, cost_micros=None, requested_at=NOW, done_at=None, refused=None,
            ),
            unique=(("request_id",),),
            foreign=((("follower_proxy", "asset_id", "origin"), "lot"),),
            checks=_at_least_zero("shares_micros"),
        ),
        Table(
            name="lot_correction",
            key=("id",),
            identity="id",
            columns=_columns(
                "follower_proxy asset_id origin condition_id reason size_micros cost_micros"
                " shares_micros left_micros",
                id=None, held_micros=None, lot_request_id=None, corrected_at=NOW,
            ),
            unique=(("lot_request_id",),),
            foreign=(
                (("follower_proxy", "asset_id", "origin"), "lot"),
                (("lot_request_id",), "lot_request"),
            ),
            checks=_at_least_zero("shares_micros", "left_micros"),
        ),
        Table(
            name="order_resolution",
            key=("id",),
            identity="id",
            columns=_columns(
                "order_key from_state epoch to_state evidence operator control_seq",
                id=None, filled_size_micros=None, filled_notional_micros=None, fee_micros=None,
                requested_at=NOW, done_at=None, refused=None,
            ),
            foreign=_ORDER,
        ),
        Table(
            name="funding",
            key=("follower_proxy",),
            columns=_columns("follower_proxy funded_micros before_micros changed_seq"),
        ),
        Table(
            name="trigger",
            key=("id",),
            columns=_columns(
                "id follower_proxy condition_id asset_id origin trigger_type status",
                size_micros=None, generation=0, slice=0, sold_micros=0, order_key="", fired=None,
                version=1, price_micros=None,
                callback_micros=None, callback_ppm=None, peak_micros=None, peak_noted_micros=None,
                fire_at_ms=None, next_slice_at=None, created_at=NOW, updated_at=NOW,
                rungs=None, basis_micros=None, rungs_done=0, rungs_fired=0, break_even=False,
                two_ticks=False, made_for="", exit_of="", follower_user_id="",
                follower_wallet_id="",
            ),
            checks={
                "trigger_time_stop_check": lambda row: (
                    (row["trigger_type"] == "TIME_STOP") == (row["fire_at_ms"] is not None)
                ),
                "trigger_price_check": lambda row: (
                    (row["trigger_type"] in ("TIME_STOP", "LADDER"))
                    == (row["price_micros"] is None)
                ),
                "trigger_ladder_check": lambda row: (
                    (row["trigger_type"] == "LADDER") == (row["rungs"] is not None)
                ),
                "trigger_rungs_order_check": lambda row: (
                    0 <= row["rungs_done"] <= row["rungs_fired"] <= len(row["rungs"] or ())
                ),
                "trigger_basis_micros_check": lambda row: (
                    row["basis_micros"] is None or row["basis_micros"] > 0
                ),
                "trigger_break_even_check": lambda row: (
                    not row["break_even"] or row["trigger_type"] == "STOP_LOSS"
                ),
                "trigger_manual_check": lambda row: (
                    (row["origin"] == "manual") == (row["follower_wallet_id"] != "")
                ),
                "trigger_two_ticks_check": lambda row: (
                    not row["two_ticks"] or row["trigger_type"] != "TIME_STOP"
                ),
                "trigger_callback_check": lambda row: (
                    (row["callback_micros"] is not None) + (row["callback_ppm"] is not None)
                    == (row["trigger_type"] == "TRAILING_STOP")
                ),
                "trigger_check3": lambda row: (
                    row["peak_micros"] is None or row["trigger_type"] == "TRAILING_STOP"
                ),
            },
        ),
        Table(
            name="peak_record",
            key=("seq",),
            identity="seq",
            columns=_columns(
                "record_key partition epoch triggers peaks stops", seq=None, recorded_at=NOW
            ),
            unique=(("record_key",),),
        ),
        Table(
            name="trigger_event",
            key=("event_seq",),
            identity="event_seq",
            logged=True,
            columns=_columns(
                "trigger_id from_status to_status detail",
                event_seq=None, order_key="", occurred_at=NOW,
            ),
            foreign=((("trigger_id",), "trigger"),),
        ),
        Table(
            name="consumer_cursor",
            key=("stream", "consumer"),
            columns=_columns("stream consumer cursor", updated_at=NOW),
        ),
        Table(
            name="dead_letter",
            key=("id",),
            identity="id",
            logged=True,
            columns=_columns(
                "stream consumer cursor reason payload",
                id=None, quarantined_at=NOW, replay_requested_at=None, replayed_at=None,
            ),
        ),
    )
}  # fmt: skip
