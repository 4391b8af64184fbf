"""The executor's own last gate: what it refuses whatever router or guard said. Pure.

A single order that is too large is refused and nothing else. A rate or an exposure beyond its bound
means that something upstream runs away: then it also halts, until an operator has looked. It counts
entries only, so it stops entries only: stop-losses and copied sales go on (`REDUCING`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from tradingtools.domain.money import notional_ceil, to_text
from tradingtools.domain.order import Order, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that no sane order passes. None does not limit."""

    order_notional_micros: int | None
    """USDC of one entry at its limit."""
    wallet_minute_micros: int | None
    """USDC of the entries of one wallet within a minute."""
    orders_per_minute: int | None
    """Entries overall within a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """What is to take no entries any more, durably: a row of the table of halts."""

    scope: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an order is not let through, with the numbers, and what has to be halted for it."""

    why: str
    halt: Halt | None = None


class Gate:
    """Counts what was let through within the last minute. Time is an argument."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._passed: OrderedDict[str, tuple[int, str, int]] = OrderedDict()
        """When, whose and how much, by order key: an order counts once."""
        self._by_wallet: dict[str, int] = {}

    def judge(self, orders: Iterable[Order], now_ms: int) -> dict[str, Refusal]:
        """Refusals by order key; what is not refused counts from now on, unless it is taken back.

        Exits always pass: a late exit is better than none.

        Args:
            orders: that are about to leave.
            now_ms: of a clock that never goes back.
        """
        self._forget(now_ms - 60_000)
        refused: dict[str, Refusal] = {}
        for order in orders:
            if order.purpose is not Purpose.ENTRY or order.order_key in self._passed:
                continue
            wallet = order.follower.proxy
            notional = notional_ceil(order.size_micros, order.limit_micros)
            refusal = self._refusal(wallet, notional)
            if refusal is not None:
                refused[order.order_key] = refusal
                continue
            self._passed[order.order_key] = (now_ms, wallet, notional)
            self._by_wallet[wallet] = self._by_wallet.get(wallet, 0) + notional
        return refused

    def take_back(self, orders: Iterable[Order]) -> None:
        """They do not leave after all, and count no more."""
        for order in orders:
            if order.order_key in self._passed:
                self._uncount(order.order_key)

    def _refusal(self, wallet: str, notional: int) -> Refusal | None:
        limits = self._limits
        if limits.order_notional_micros is not None and notional > limits.order_notional_micros:
            return Refusal(
                why=f"order {to_text(notional)} > {to_text(limits.order_notional_micros)} USDC"
            )
        if limits.wallet_minute_micros is not None:
            total = self._by_wallet.get(wallet, 0) + notional
            if total > limits.wallet_minute_micros:
                bound = to_text(limits.wallet_minute_micros)
                return _halting(
                    f"wallet {to_text(total)} > {bound} USDC within a minute",
                    ("WALLET", wallet),
                )
        if limits.orders_per_minute is not None and len(self._passed) >= limits.orders_per_minute:
            return _halting(
                f"more than {len(self._passed)} entries within a minute", ("GLOBAL", "")
            )
        return None

    def _forget(self, before_ms: int) -> None:
        while self._passed:
            key, (at_ms, _, _) = next(iter(self._passed.items()))
            if at_ms >= before_ms:
                return
            self._uncount(key)

    def _uncount(self, order_key: str) -> None:
        _, wallet, notional = self._passed.pop(order_key)
        self._by_wallet[wallet] -= notional
        if not self._by_wallet[wallet]:
            del self._by_wallet[wallet]


def _halting(why: str, halt: tuple[str, str]) -> Refusal:
    scope, subject = halt
    return Refusal(why=why, halt=Halt(scope=scope, subject=subject, reason=f"last gate: {why}"))
