"""Check that the profit ledger adds up: lots against the fills of the orders that moved them. Pure.

Orders are compared with the journal of insiders-api elsewhere (`invariants.py`); what balances with
the orders to the micro balances with that journal, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from launcher.core.evidence import (
    Evidence,
    GatewayRedemption,
    LotRow,
    OrderRow,
    RedemptionRow,
)

_LotKey = tuple[str, str, str]
"""Wallet, asset, origin."""
_MANUAL = "manual"


def ledger_balances(evidence: Evidence) -> Iterator[str]:
    """I9: what lots say of bought, sold, fees and profit is what the orders' fills sum to."""
    if not evidence.settled:
        return
    filled: Counter[tuple[_LotKey, str]] = Counter()
    for row in evidence.orders:
        way = "bought" if row.side == "BUY" else "sold"
        key = _lot_of(row)
        filled[key, f"{way}_size_micros"] += row.filled_size_micros
        filled[key, f"{way}_notional_micros"] += row.filled_notional_micros
        filled[key, "fee_micros"] += row.fee_micros
    for lot in evidence.lots:
        key = lot.follower_proxy, lot.asset_id, lot.origin
        filled[key, "bought_size_micros"] += lot.by_hand_micros
        filled[key, "bought_notional_micros"] += lot.by_hand_cost_micros
    lots = {(lot.follower_proxy, lot.asset_id, lot.origin): lot for lot in evidence.lots}
    for key, lot in lots.items():
        yield from _against_orders(key, lot, filled)
        yield from _within(key, lot)
    for (key, name), micros in filled.items():
        if micros and key not in lots:
            yield f"{_named(key)}: its orders have {name} {micros}, and there is no lot"


def balances_agree(evidence: Evidence) -> Iterator[str]:
    """I9: cash as it was reported once and moved by each booking since is the cash that is
    there."""
    if evidence.gateway is None or not evidence.settled:
        return
    # What an owner has moved himself is reported with the next look only.
    by_hand = {done.follower_proxy for done in evidence.gateway.hand_trades if done.cash_micros}
    there = {
        wallet.follower_proxy: wallet.cash_micros
        for wallet in evidence.gateway.wallets
        if wallet.follower_proxy not in by_hand
    }
    for row in evidence.balances:
        cash = there.get(row.follower_proxy)
        if cash is not None and cash != row.cash_micros:
            yield f"wallet {row.follower_proxy} has {cash} micros, kept are {row.cash_micros}"


def payouts_balance(evidence: Evidence) -> Iterator[str]:
    """I9: what lots were paid is what was redeemed for, once a key, and paid there to the micro."""
    booked: Counter[str] = Counter()
    for lot in evidence.lots:
        booked[lot.follower_proxy] += lot.payout_micros
    for row in evidence.redemptions:
        booked[row.follower_proxy] -= row.expected_micros
        name = f"redemption {row.redeem_key}"
        if evidence.settled and row.state != "CONFIRMED":
            yield f"{name} is still {row.state}"
        if row.paid_micros not in (None, row.expected_micros):
            yield f"{name}: {row.paid_micros} micros were paid, {row.expected_micros} booked"
    for wallet, micros in booked.items():
        if micros:
            yield f"wallet {wallet}: lots were paid {micros} micros more than was redeemed for"
    if evidence.gateway is not None:
        yield from _against_the_gateway(evidence.redemptions, evidence.gateway.redemptions)


def _against_the_gateway(
    rows: Sequence[RedemptionRow], redemptions: Sequence[GatewayRedemption]
) -> Iterator[str]:
    ours = {row.redeem_key: row for row in rows}
    counts = Counter(done.redeem_key for done in redemptions)
    for done in redemptions:
        name = f"redemption {done.redeem_key}"
        row = ours.get(done.redeem_key)
        if counts[done.redeem_key] > 1:
            yield f"{name}: {counts[done.redeem_key]} of them at insiders-api"
        if row is None:
            yield f"{name} at insiders-api has no row"
        elif (row.follower_proxy, row.condition_id, row.expected_micros) != (
            done.follower_proxy,
            done.condition_id,
            done.payout_micros,
        ):
            yield f"{name}: {row.expected_micros} micros are booked, there {done.payout_micros}"
    for key, row in ours.items():
        if row.state == "CONFIRMED" and key not in counts and row.expected_micros:
            yield f"redemption {key} is CONFIRMED and unknown at insiders-api"


def _against_orders(
    key: _LotKey, lot: LotRow, filled: Counter[tuple[_LotKey, str]]
) -> Iterator[str]:
    for name in (
        "bought_size_micros", "bought_notional_micros", "sold_size_micros", "sold_notional_micros",
        "fee_micros",
    ):  # fmt: skip
        ours, orders = getattr(lot, name), filled[key, name]
        if ours != orders:
            yield f"{_named(key)}: {name} is {ours}, its orders say {orders}"


def _within(key: _LotKey, lot: LotRow) -> Iterator[str]:
    # Less was bought than sold when a buy was undone whose shares were sold meanwhile.
    net = lot.bought_size_micros - lot.sold_size_micros - lot.resolved_size_micros
    # What was corrected away and is undone after that was never there.
    least, most = max(0, net - lot.elsewhere_micros), max(0, net)
    if not least <= lot.shares_micros <= most:
        yield f"{_named(key)}: holds {lot.shares_micros}, bought less sold and resolved is {least}"
    # What the sold and resolved shares had cost is what profit was taken against.
    fetched = lot.sold_notional_micros + lot.payout_micros
    spent = lot.bought_notional_micros - lot.cost_micros - lot.elsewhere_cost_micros
    realised = fetched - spent
    if lot.realised_micros != realised:
        yield f"{_named(key)}: realised_micros is {lot.realised_micros}, sums say {realised}"


def _lot_of(row: OrderRow) -> _LotKey:
    return row.follower_proxy, row.asset_id, row.subscription_id or _MANUAL


def _named(key: _LotKey) -> str:
    return f"lot {'/'.join(key)}"
