"""The executor's own limits before the trade, whatever router or guard decided. Pure.

An order that is too large is refused, and nothing else. A rate or an exposure beyond its bound
means that something upstream runs away: then it also halts, until an operator has looked. Only
entries count, so only entries are stopped: stop-losses and copied sales go on (`REDUCING`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tradingtools.domain.money import notional_ceil, to_text
from tradingtools.domain.order import Order, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that no sane order passes. None does not limit."""

    order_notional_micros: int | None = None
    """USDC of one entry at its limit."""
    wallet_minute_micros: int | None = None
    """USDC of the entries of one wallet within a minute."""
    market_minute_micros: int | None = None
    """USDC of the entries in one market, of all wallets, within a minute."""
    minute_micros: int | None = None
    """USDC of all entries within a minute."""
    orders_per_minute: int | None = None
    """Entries overall within a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """The scope that takes no entries any more: a row of the table of halts."""

    scope: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The refusal of an order, with the numbers, and what has to be halted for it."""

    why: str
    halt: Halt | None = None


class SentEntry(NamedTuple):
    """An entry that has left."""

    order_key: str
    wallet: str
    condition_id: str
    notional_micros: int


class PreTradeLimits:
    """Counts what was let through within the last minute. Time is an argument."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._passed: OrderedDict[str, tuple[int, SentEntry]] = OrderedDict()
        """When and what, by order key: an order counts once."""
        self._sums: dict[tuple[str, str], int] = {}
        """USDC, by the scope and subject of a halt."""

    def remember(self, left: Iterable[tuple[int, SentEntry]]) -> None:
        """Count what an earlier life has let through: a restart makes no room.

        Args:
            left: with the time of the clock by which is judged, oldest first.
        """
        for at_ms, entry in left:
            self._count(at_ms, entry)

    def judge(self, orders: Iterable[Order], now_ms: int) -> dict[str, Refusal]:
        """Return refusals by order key; every other order counts from now on, unless it is
        released.

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
            notional = notional_ceil(order.size_micros, order.limit_micros)
            entry = SentEntry(order.order_key, order.follower.proxy, order.condition_id, notional)
            refusal = self._refusal(entry)
            if refusal is not None:
                refused[order.order_key] = refusal
                continue
            self._count(now_ms, entry)
        return refused

    def release(self, orders: Iterable[Order]) -> None:
        """Stop counting orders that are not sent after all."""
        for order in orders:
            if order.order_key in self._passed:
                self._uncount(order.order_key)

    def _refusal(self, entry: SentEntry) -> Refusal | None:
        limits, notional = self._limits, entry.notional_micros
        if limits.order_notional_micros is not None and notional > limits.order_notional_micros:
            return Refusal(
                why=f"order {to_text(notional)} > {to_text(limits.order_notional_micros)} USDC"
            )
        for (scope, subject), name, bound in (
            (_of_wallet(entry), "wallet", limits.wallet_minute_micros),
            (_of_market(entry), "market", limits.market_minute_micros),
            (_OF_ALL, "all", limits.minute_micros),
        ):
            total = self._sums.get((scope, subject), 0) + notional
            if bound is not None and total > bound:
                why = f"{name} {to_text(total)} > {to_text(bound)} USDC within a minute"
                return _halting(why, (scope, subject))
        if limits.orders_per_minute is not None and len(self._passed) >= limits.orders_per_minute:
            return _halting(f"more than {len(self._passed)} entries within a minute", _OF_ALL)
        return None

    def _forget(self, before_ms: int) -> None:
        while self._passed:
            key, (at_ms, _) = next(iter(self._passed.items()))
            if at_ms >= before_ms:
                return
            self._uncount(key)

    def _count(self, at_ms: int, entry: SentEntry) -> None:
        self._passed[entry.order_key] = (at_ms, entry)
        for subject in (_of_wallet(entry), _of_market(entry), _OF_ALL):
            self._sums[subject] = self._sums.get(subject, 0) + entry.notional_micros

    def _uncount(self, order_key: str) -> None:
        _, entry = self._passed.pop(order_key)
        for subject in (_of_wallet(entry), _of_market(entry), _OF_ALL):
            self._sums[subject] -= entry.notional_micros
            if not self._sums[subject]:
                del self._sums[subject]


_OF_ALL = ("GLOBAL", "")


def _of_wallet(entry: SentEntry) -> tuple[str, str]:
    return "WALLET", entry.wallet


def _of_market(entry: SentEntry) -> tuple[str, str]:
    return "MARKET", entry.condition_id


def _halting(why: str, halt: tuple[str, str]) -> Refusal:
    scope, subject = halt
    return Refusal(why=why, halt=Halt(scope=scope, subject=subject, reason=f"last gate: {why}"))
