"""The executor's own last gate: what it refuses whatever router or guard said. Pure.

A single order that is too large is refused and nothing else. A rate or an exposure beyond its bound
means that something upstream runs away: then it also halts, until an operator has looked.
"""

from __future__ import annotations

from collections import deque
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
    """What is to be stopped durably: a row of the table of halts."""

    scope: str
    subject: str
    mode: str
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
        self._passed: deque[tuple[int, str, int]] = deque()
        self._by_wallet: dict[str, int] = {}

    def judge(self, orders: Iterable[Order], now_ms: int) -> dict[str, Refusal]:
        """Refusals by order key; what is not refused counts from now on.

        Exits always pass: a late exit is better than none.
        """
        self._forget(now_ms - 60_000)
        refused: dict[str, Refusal] = {}
        for order in orders:
            if order.purpose is not Purpose.ENTRY:
                continue
            notional = notional_ceil(order.size_micros, order.limit_micros)
            refusal = self._refusal(order.follower.proxy, notional)
            if refusal is not None:
                refused[order.order_key] = refusal
                continue
            self._passed.append((now_ms, order.follower.proxy, notional))
            wallet = order.follower.proxy
            self._by_wallet[wallet] = self._by_wallet.get(wallet, 0) + notional
        return refused

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
                    ("WALLET", wallet, "REDUCING"),
                )
        if limits.orders_per_minute is not None and len(self._passed) >= limits.orders_per_minute:
            return _halting(
                f"more than {len(self._passed)} entries within a minute", ("GLOBAL", "", "HALTED")
            )
        return None

    def _forget(self, before_ms: int) -> None:
        while self._passed and self._passed[0][0] < before_ms:
            _, wallet, notional = self._passed.popleft()
            self._by_wallet[wallet] -= notional
            if not self._by_wallet[wallet]:
                del self._by_wallet[wallet]


def _halting(why: str, halt: tuple[str, str, str]) -> Refusal:
    scope, subject, mode = halt
    reason = f"last gate: {why}"
    return Refusal(why=why, halt=Halt(scope=scope, subject=subject, mode=mode, reason=reason))
