"""Whether the profit ledger adds up: lots against the fills of the orders that moved them. Pure.

Orders are compared with the journal of insiders-api elsewhere (`invariants.py`); what balances with
the orders to the micro balances with that journal, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from launcher.core.evidence import Evidence, LotRow, OrderRow

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
    lots = {(lot.follower_proxy, lot.asset_id, lot.origin): lot for lot in evidence.lots}
    for key, lot in lots.items():
        yield from _against_orders(key, lot, filled)
        yield from _within(key, lot)
    for (key, name), micros in filled.items():
        if micros and key not in lots:
            yield f"{_named(key)}: its orders have {name} {micros}, and there is no lot"


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
    left = max(0, lot.bought_size_micros - lot.sold_size_micros)
    if lot.shares_micros != left:
        yield f"{_named(key)}: holds {lot.shares_micros}, bought less sold is {left}"
    # What the sold shares had cost is what profit was taken against.
    realised = lot.sold_notional_micros - (lot.bought_notional_micros - lot.cost_micros)
    if lot.realised_micros != realised:
        yield f"{_named(key)}: realised_micros is {lot.realised_micros}, sums say {realised}"


def _lot_of(row: OrderRow) -> _LotKey:
    return row.follower_proxy, row.asset_id, row.subscription_id or _MANUAL


def _named(key: _LotKey) -> str:
    return f"lot {'/'.join(key)}"
