"""Check that accounts agree while orders are open: never further apart than what is in flight.
Pure.

Our rows are read before insiders-api's account, so an order that is at rest in them is at rest
there, too, and everything else there is in flight: whatever it moves is bounded by what is reserved
for it, or not booked at all yet. A wallet without such orders agrees to the micro, at any instant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from launcher.core.evidence import Evidence, GatewayOrder, GatewayState, OrderRow, ReservationRow
from tradingtools.domain.money import notional_ceil
from tradingtools.domain.order_states import RELEASING


def within_flight(evidence: Evidence) -> Iterator[str]:
    """I9: cash and shares differ from what is booked by no more than what is in flight."""
    if evidence.gateway is None:
        return
    rows = {row.order_key: row for row in evidence.orders}
    reserved = {held.order_key: held for held in evidence.reservations}
    cash: Counter[str] = Counter()
    shares: Counter[tuple[str, str]] = Counter()
    cash_flight: Counter[str] = Counter()
    shares_flight: Counter[tuple[str, str]] = Counter()
    for order in evidence.gateway.orders:
        row, proxy = rows.get(order.order_key), order.follower_proxy
        # What is not in our rows was sent after they were read: all of it is in flight.
        booked = order if row is None else row
        sign = 1 if order.side == "BUY" else -1
        cash[proxy] -= sign * booked.filled_notional_micros + booked.fee_micros
        shares[proxy, order.asset_id] += sign * booked.filled_size_micros
        if row is not None and row.state not in RELEASING:
            held = reserved.get(order.order_key)
            cash_flight[proxy] += _money(row, held)
            shares_flight[proxy, order.asset_id] += order.size_micros
            yield from _beyond(order, held)
    for lot in evidence.lots:
        shares[lot.follower_proxy, lot.asset_id] += lot.by_hand_micros
    _add_what_others_moved(evidence.gateway, cash, shares)
    redeemed = {done.follower_proxy for done in evidence.gateway.redemptions}
    for wallet in evidence.gateway.wallets:
        proxy = wallet.follower_proxy
        apart = wallet.cash_micros - evidence.gateway.default_cash_micros - cash[proxy]
        if abs(apart) > cash_flight[proxy]:
            yield (
                f"wallet {proxy}: cash is {apart} micros off what is booked, in flight are"
                f" {cash_flight[proxy]}"
            )
        # A redemption takes shares that no order moves; the run's end judges them.
        for asset, there in wallet.shares.items() if proxy not in redeemed else ():
            off = there - shares[proxy, asset]
            if abs(off) > shares_flight[proxy, asset]:
                yield (
                    f"wallet {proxy}: {asset} is {off} micros off what is booked, in flight are"
                    f" {shares_flight[proxy, asset]}"
                )


def _add_what_others_moved(
    gateway: GatewayState, cash: Counter[str], shares: Counter[tuple[str, str]]
) -> None:
    for done in gateway.redemptions:
        cash[done.follower_proxy] += done.payout_micros
    for own in gateway.hand_trades:
        cash[own.follower_proxy] += own.cash_micros
        shares[own.follower_proxy, own.asset_id] += own.shares_micros


def _money(row: OrderRow, held: ReservationRow | None) -> int:
    """The most that an order in flight can move of a wallet's cash."""
    if row.side == "SELL":
        # A share never fetches more than one USDC.
        return row.size_micros
    if held is not None:
        return held.money_micros
    return 2 * notional_ceil(row.size_micros, row.limit_micros)


def _beyond(order: GatewayOrder, held: ReservationRow | None) -> Iterator[str]:
    """Yield what an open buy has cost more than was set aside for it."""
    cost = order.filled_notional_micros + order.fee_micros
    if order.side == "BUY" and held is not None and cost > held.money_micros:
        yield (f"order {order.order_key} has cost {cost} micros, reserved are {held.money_micros}")
