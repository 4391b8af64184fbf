"""The invariants of the money path, judged by evidence. Pure.

Each check yields a sentence for each breach. Before it: `launcher/gather.py`, which collects the
evidence. After it: the summary of a run and its exit status. I10's memory and descriptors and the
independent sizing of I12 need more than a finished run can tell; the tests of the router and of
recovery judge them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from launcher.core.evidence import EventRow, Evidence, FillRow, GatewayOrder, GatewayTrade, OrderRow
from launcher.core.flight import within_flight
from launcher.core.history import breaks
from launcher.core.ledger import balances_agree, ledger_balances, payouts_balance
from tradingtools.domain.ids import guard_exit_key
from tradingtools.domain.money import notional_floor
from tradingtools.domain.order_states import OPEN, RELEASING, FailedKind, OrderState

_S = OrderState
_NOTHING_THERE = {FailedKind.UNSENT, FailedKind.REJECTED}
_SETTLING_MS = 2_000
_Held = tuple[str, str]
"""Wallet and asset."""
"""A leader trade this soon after a subscription was created may or may not be its business."""


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold, and what shows it."""

    invariant: str
    detail: str


def one_order_per_key(evidence: Evidence) -> Iterator[str]:
    """I1: at insiders-api there is at most one order a key."""
    if evidence.gateway:
        counts = Counter(order.order_key for order in evidence.gateway.orders)
        for key, count in counts.items():
            if count > 1:
                yield f"{count} orders at insiders-api for key {key}"


def every_order_has_its_row(evidence: Evidence) -> Iterator[str]:
    """I2: each order at insiders-api has a row that says the same."""
    rows = {row.order_key: row for row in evidence.orders}
    for order in evidence.gateway.orders if evidence.gateway else ():
        row = rows.get(order.order_key)
        if row is None:
            yield f"order {order.order_key} at insiders-api has no row"
            continue
        for name in ("follower_proxy", "asset_id", "side", "size_micros", "limit_micros"):
            ours, theirs = getattr(row, name), getattr(order, name)
            if ours != theirs:
                yield f"order {order.order_key}: {name} is {ours}, at insiders-api {theirs}"


def every_trade_is_decided(evidence: Evidence) -> Iterator[str]:
    """I3: exactly one decision for each leader trade and subscription, and nothing undecided.

    One decision at most is the primary key of the table; here none may be missing. Judged for
    subscriptions that were never changed: of the others the moment of the change would matter.
    """
    if not evidence.settled:
        return
    decided = {
        (row.leader_tx, row.leader, row.asset_id, row.side, row.subscription_id)
        for row in evidence.decisions
    }
    followers = defaultdict(list)
    for subscription in evidence.subscriptions:
        if subscription.version == 1 and subscription.state == "ACTIVE":
            followers[subscription.leader].append(subscription)
    for trade in evidence.leader_trades or ():
        for subscription in followers[trade.leader]:
            if subscription.created_ms + _SETTLING_MS > trade.traded_ms:
                continue
            key = (trade.leader_tx, trade.leader, trade.asset_id, trade.side, subscription.id)
            if key not in decided:
                yield (
                    f"no decision for {trade.side} of {trade.leader} in {trade.leader_tx}"
                    f" by {subscription.id}"
                )
    for row in evidence.orders:
        if row.state in (_S.CLAIMED, _S.SUBMITTING, _S.UNKNOWN):
            yield f"order {row.order_key} is still {row.state}"


def ends_agree_with_the_gateway(evidence: Evidence) -> Iterator[str]:
    """I4: what ended without a fill has none there; what is CONFIRMED has the same to the micro."""
    if evidence.gateway is None:
        return
    theirs = {order.order_key: order for order in evidence.gateway.orders}
    fills: defaultdict[str, list[FillRow]] = defaultdict(list)
    for fill in evidence.fills:
        fills[fill.order_key].append(fill)
    for row in evidence.orders:
        order = theirs.get(row.order_key)
        if row.state == _S.RESURRECTED:
            yield f"order {row.order_key} was given up and appeared after all"
        elif row.state == _S.LOST or row.failed_kind in _NOTHING_THERE:
            if order is not None:
                yield f"order {row.order_key} ended {_end(row)} and is at insiders-api"
        elif row.state == _S.FAILED:
            if order is not None and order.filled_size_micros:
                yield f"order {row.order_key} ended {_end(row)} and has a standing fill"
        elif row.state == _S.CONFIRMED:
            yield from _differences(row, fills[row.order_key], order)


def _end(row: OrderRow) -> str:
    return f"{row.state} ({row.failed_kind})" if row.failed_kind else row.state


def _differences(
    row: OrderRow, fills: Sequence[FillRow], order: GatewayOrder | None
) -> Iterator[str]:
    if order is None:
        yield f"order {row.order_key} is CONFIRMED and unknown at insiders-api"
        return
    if not order.closed:
        yield f"order {row.order_key} is CONFIRMED and open at insiders-api"
    for name in ("filled_size_micros", "filled_notional_micros", "fee_micros"):
        ours, theirs = getattr(row, name), getattr(order, name)
        if ours != theirs:
            yield f"order {row.order_key}: {name} is {ours}, at insiders-api {theirs}"
    if _standing(fills) != _standing(order.trades):
        yield f"order {row.order_key}: its fills are not those of insiders-api"


def _standing(trades: Sequence[FillRow | GatewayTrade]) -> set[tuple[str, int, int, int]]:
    return {
        (trade.trade_id, trade.size_micros, trade.notional_micros, trade.fee_micros)
        for trade in trades
        if trade.status != "FAILED"
    }


def committed_before_sent(evidence: Evidence) -> Iterator[str]:
    """I5: when a POST arrived, its SUBMITTING had been committed with that body."""
    for post in evidence.gateway.posts if evidence.gateway else ():
        if post.ledger is False:
            yield f"a POST of {post.order_key} arrived before it was committed as SUBMITTING"


def history_is_whole(evidence: Evidence) -> Iterator[str]:
    """I6: only legal transitions, epochs that never fall, hash chains that reach their heads."""
    histories: defaultdict[str, list[EventRow]] = defaultdict(list)
    for event in evidence.events:
        histories[event.order_key].append(event)
    for row in evidence.orders:
        for step in breaks(row, histories[row.order_key]):
            yield f"order {row.order_key}: {step}"
    for before, after in pairwise(evidence.control_changes):
        if after.previous_hash != before.hash:
            yield f"control change {after.seq} does not follow on {before.seq}"


def attempts_are_equal(evidence: Evidence) -> Iterator[str]:
    """I7: all attempts of a key carry the bytes that were frozen in its row."""
    hashes = {row.order_key: row.body_hash for row in evidence.orders}
    for post in evidence.gateway.posts if evidence.gateway else ():
        frozen = hashes.get(post.order_key)
        if frozen is not None and frozen != post.body_hash:
            yield f"a POST of {post.order_key} carried other bytes than were claimed"


def nothing_is_accepted_late(evidence: Evidence) -> Iterator[str]:
    """I8: where the venue gateway enforces not_after, it accepted nothing later."""
    if evidence.gateway is None or not evidence.gateway.enforces_not_after:
        return
    limits = {row.order_key: row.not_after_ms for row in evidence.orders}
    for order in evidence.gateway.orders:
        limit = limits.get(order.order_key)
        if limit is not None and order.accepted_ms > limit:
            yield f"order {order.order_key} was accepted {order.accepted_ms - limit} ms too late"


def reservations_balance(evidence: Evidence) -> Iterator[str]:
    """I9: only orders that are not at rest hold a reservation."""
    states = {row.order_key: row.state for row in evidence.orders}
    for held in evidence.reservations:
        if states.get(held.order_key, "") in RELEASING:
            yield (
                f"order {held.order_key} is {states[held.order_key]} and still reserves"
                f" {held.money_micros} micros of money, {held.shares_micros} of shares"
            )


def cash_and_shares_balance(evidence: Evidence) -> Iterator[str]:
    """I9: cash and shares there are what our rows say was bought, sold and paid."""
    yield from _cash_balances(evidence)
    yield from _shares_balance(evidence)


def _cash_balances(evidence: Evidence) -> Iterator[str]:
    """Cash there is what our rows say was bought, sold and paid, and what owners moved."""
    if evidence.gateway is None or not evidence.settled:
        return
    cash: Counter[str] = Counter()
    for row in evidence.orders:
        sign = 1 if row.side == "BUY" else -1
        cash[row.follower_proxy] -= sign * row.filled_notional_micros + row.fee_micros
    for done in evidence.gateway.redemptions:
        cash[done.follower_proxy] += done.payout_micros
    for own in evidence.gateway.hand_trades:
        cash[own.follower_proxy] += own.cash_micros
    for wallet in evidence.gateway.wallets:
        desired = evidence.gateway.default_cash_micros + cash[wallet.follower_proxy]
        if wallet.cash_micros != desired:
            yield (
                f"wallet {wallet.follower_proxy} has {wallet.cash_micros} micros of cash, rows say"
                f" {desired}"
            )


def _shares_balance(evidence: Evidence) -> Iterator[str]:
    """Shares there are what our rows say, with what owners moved; lots hold no more of them."""
    if evidence.gateway is None or not evidence.settled:
        return
    booked: Counter[_Held] = Counter()
    for row in evidence.orders:
        sign = 1 if row.side == "BUY" else -1
        booked[row.follower_proxy, row.asset_id] += sign * row.filled_size_micros
    lots: Counter[_Held] = Counter()
    corrected: Counter[_Held] = Counter()
    for lot in evidence.lots:
        key = lot.follower_proxy, lot.asset_id
        lots[key] += lot.shares_micros
        corrected[key] += lot.elsewhere_micros
        # Bought by hand: no order of ours, but shares that are there.
        booked[key] += lot.by_hand_micros - lot.resolved_size_micros
    own: Counter[_Held] = Counter()
    for trade in evidence.gateway.hand_trades:
        own[trade.follower_proxy, trade.asset_id] += trade.shares_micros
    there = {
        (wallet.follower_proxy, asset): micros
        for wallet in evidence.gateway.wallets
        for asset, micros in wallet.shares.items()
    }
    known = {wallet.follower_proxy for wallet in evidence.gateway.wallets}
    for key in sorted(key for key in {*there, *booked} if key[0] in known):
        held, moved = there.get(key, 0), booked[key] + own[key]
        # Without its owner's trades, lots hold all of it.
        fits = lots[key] <= held if key in own else lots[key] == held
        if held != moved or lots[key] != booked[key] - corrected[key] or not fits:
            yield (
                f"wallet {key[0]} has {held} micros of {key[1]}, orders less payouts say {moved},"
                f" lots {lots[key]}, corrected are {corrected[key]}"
            )


def backlog_is_empty(evidence: Evidence) -> Iterator[str]:
    """I10: when all is quiet no journal record waits to become rows."""
    if evidence.settled and evidence.journal_unbuilt:
        yield f"{evidence.journal_unbuilt} journal records are not rows yet"


def triggers_fire_once(evidence: Evidence) -> Iterator[str]:
    """I11: an exit for each generation, rung and slice at most, in turn; never oversold."""
    known = {
        trigger.id: {
            guard_exit_key(trigger.id, generation, rung)
            for generation in range(trigger.generation + 1)
            for rung in range(max(trigger.rungs, 1))
        }
        for trigger in evidence.triggers
    }
    arms = defaultdict(list)
    for row in evidence.orders:
        if row.trigger_id:
            arms[row.trigger_id, row.copy_key].append(row)
    for (trigger_id, copy_key), slices in arms.items():
        if copy_key not in known.get(trigger_id, set()):
            yield f"trigger {trigger_id} has an exit of a generation or rung that it never had"
        slices.sort(key=lambda row: row.ordinal)
        if [row.ordinal for row in slices] != list(range(len(slices))):
            yield f"trigger {trigger_id}: its slices are not numbered one by one"
        if any(row.state in OPEN for row in slices[:-1]):
            yield f"trigger {trigger_id}: a slice was made while the one before was open"
    under_way = Counter(row.trigger_id for row in evidence.orders if row.state in OPEN)
    for trigger in evidence.triggers:
        if under_way[trigger.id] > 1:
            yield f"trigger {trigger.id} has more than one exit under way"
    yield from _oversold(evidence)


def _oversold(evidence: Evidence) -> Iterator[str]:
    for lot in evidence.lots:
        if lot.sold_size_micros > lot.bought_size_micros:
            yield (
                f"lot {lot.follower_proxy}/{lot.asset_id}/{lot.origin}: sold"
                f" {lot.sold_size_micros} of {lot.bought_size_micros} micros"
            )


def caps_hold(evidence: Evidence) -> Iterator[str]:
    """I12: the parts of a copy cost no more than the subscription allows for one trade."""
    caps = {
        row.id: row.max_per_trade_micros
        for row in evidence.subscriptions
        if row.version == 1 and row.max_per_trade_micros is not None
    }
    cost: Counter[tuple[str, str]] = Counter()
    for row in evidence.orders:
        if row.purpose == "ENTRY":
            cost[row.subscription_id, row.copy_key] += notional_floor(
                row.size_micros, row.limit_micros
            )
    for (subscription, copy_key), micros in cost.items():
        cap = caps.get(subscription)
        if cap is not None and micros > cap:
            yield f"copy {copy_key} of {subscription} costs {micros} micros, allowed are {cap}"


def parts_stay_within(evidence: Evidence) -> Iterator[str]:
    """I13: the parts of a copy sum to what was decided, and what was not copied has a reason."""
    sizes = {row.order_key: row.size_micros for row in evidence.orders}
    # What was refused unsent because the settings had changed is decided again as another part.
    withdrawn = {row.order_key for row in evidence.events if row.reason == "SUBSCRIPTION_CHANGED"}
    for row in evidence.decisions:
        name = f"decision {row.leader_tx}/{row.asset_id}/{row.side} of {row.subscription_id}"
        missing = [key for key in row.order_keys if key not in sizes]
        if missing:
            yield f"{name}: its order {missing[0]} has no row"
        if row.copied and not row.order_keys:
            yield f"{name}: copied without an order"
        if not row.copied and not row.reason:
            yield f"{name}: skipped without a reason"
        total = sum(sizes.get(key, 0) for key in row.order_keys if key not in withdrawn)
        if row.side == "BUY" and total > row.ordered_size_micros:
            yield f"{name}: parts sum to {total}, decided were {row.ordered_size_micros}"


CHECKS: dict[str, Callable[[Evidence], Iterable[str]]] = {
    "I1 one order per key": one_order_per_key,
    "I2 every order has its row": every_order_has_its_row,
    "I3 every trade is decided": every_trade_is_decided,
    "I4 ends agree with the venue gateway": ends_agree_with_the_gateway,
    "I5 committed before sent": committed_before_sent,
    "I6 history is whole": history_is_whole,
    "I7 attempts are equal": attempts_are_equal,
    "I8 nothing is accepted late": nothing_is_accepted_late,
    "I9 reservations balance": reservations_balance,
    "I9 cash and shares balance": cash_and_shares_balance,
    "I9 ledger balances": ledger_balances,
    "I9 payouts balance": payouts_balance,
    "I9 balances agree": balances_agree,
    "I9 within what is in flight": within_flight,
    "I10 backlog is empty": backlog_is_empty,
    "I11 triggers fire once": triggers_fire_once,
    "I12 caps hold": caps_hold,
    "I13 parts stay within": parts_stay_within,
}
"""By name, in the order in which they are judged and reported."""

AT_ANY_TIME = (
    "I1 one order per key",
    "I6 history is whole",
    "I7 attempts are equal",
    "I9 reservations balance",
    "I9 within what is in flight",
    "I12 caps hold",
)
"""Checks that hold between any two instants, though rows and venue gateway are read one after the
other."""


def judged(evidence: Evidence) -> tuple[str, ...]:
    """The checks that this evidence can be judged by: all of them once the dust has settled."""
    return tuple(CHECKS) if evidence.settled else AT_ANY_TIME


def breaches(evidence: Evidence, names: Iterable[str] = tuple(CHECKS)) -> list[Breach]:
    """Everything of these checks that does not hold."""
    return [Breach(name, detail) for name in names for detail in CHECKS[name](evidence)]
