"""OKX's limits of requests: sliding windows, shared by REST and socket. Pure.

The venue counts a request when it arrives, at some instant between its first byte and its answer.
So a request is counted from its first byte until a whole window after its answer: whatever the
delays on the way, the venue never counts more than we do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Limit:
    """So many within so long, both ends of the window included."""

    count: int
    window_ms: int = 2_000


class Scope(Enum):
    """The things that the venue counts apart."""

    PLACE = "place"
    """By user and instrument, as the five below."""
    AMEND = "amend"
    CANCEL = "cancel"
    PLACE_BATCH = "place-batch"
    """Orders in batches of two and more: a batch of one counts as a single one."""
    AMEND_BATCH = "amend-batch"
    CANCEL_BATCH = "cancel-batch"
    SUB_ACCOUNT = "sub-account"
    """New and amended orders of a user, over all instruments."""
    CANCEL_ALL_AFTER = "cancel-all-after"
    """By user and tag."""
    SET_LEVERAGE = "set-leverage"
    """By user, as those below."""
    ACCOUNT_CONFIG = "account-config"
    BALANCE = "balance"
    POSITIONS = "positions"
    ORDER = "order"
    OPEN_ORDERS = "open-orders"
    ORDER_HISTORY = "order-history"
    FILLS = "fills"
    FILLS_HISTORY = "fills-history"
    BILLS = "bills"
    TIME = "time"
    """By address, as those below."""
    INSTRUMENTS = "instruments"
    BOOK = "book"
    FUNDING = "funding"
    CONNECT = "connect"
    SUBSCRIBE = "subscribe"
    """Logins and subscriptions, by connection."""


LIMITS = {
    Scope.PLACE: Limit(60),
    Scope.AMEND: Limit(60),
    Scope.CANCEL: Limit(60),
    Scope.PLACE_BATCH: Limit(300),
    Scope.AMEND_BATCH: Limit(300),
    Scope.CANCEL_BATCH: Limit(300),
    Scope.SUB_ACCOUNT: Limit(1_000),
    Scope.CANCEL_ALL_AFTER: Limit(1, 1_000),
    Scope.SET_LEVERAGE: Limit(20),
    Scope.ACCOUNT_CONFIG: Limit(5),
    Scope.BALANCE: Limit(10),
    Scope.POSITIONS: Limit(10),
    Scope.ORDER: Limit(60),
    Scope.OPEN_ORDERS: Limit(60),
    Scope.ORDER_HISTORY: Limit(40),
    Scope.FILLS: Limit(60),
    Scope.FILLS_HISTORY: Limit(10),
    Scope.BILLS: Limit(5, 1_000),
    Scope.TIME: Limit(10),
    Scope.INSTRUMENTS: Limit(20),
    Scope.BOOK: Limit(40),
    Scope.FUNDING: Limit(10),
    Scope.CONNECT: Limit(3, 1_000),
    Scope.SUBSCRIBE: Limit(480, 3_600_000),
}


_OF_ORDERS = frozenset(
    {
        Scope.PLACE,
        Scope.AMEND,
        Scope.CANCEL,
        Scope.PLACE_BATCH,
        Scope.AMEND_BATCH,
        Scope.CANCEL_BATCH,
        Scope.SUB_ACCOUNT,
    }
)


@dataclass(frozen=True, slots=True)
class Charge:
    """The share of a limit that one request takes."""

    scope: Scope
    about: str = ""
    """The instrument or tag; empty where the limit has none."""
    cost: int = 1


class _Window:
    __slots__ = ("_ended", "_limit", "_under_way", "_used")

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._under_way = 0
        self._ended: deque[tuple[int, int]] = deque()
        self._used = 0

    def room(self, now_ms: int) -> int:
        while self._ended and self._ended[0][0] + self._limit.window_ms < now_ms:
            self._used -= self._ended.popleft()[1]
        return self._limit.count - self._used - self._under_way

    def begin(self, cost: int) -> None:
        self._under_way += cost

    def end(self, cost: int, now_ms: int) -> None:
        self._under_way -= cost
        self._used += cost
        self._ended.append((now_ms, cost))

    def wait_ms(self, cost: int, now_ms: int) -> int | None:
        missing = cost - self.room(now_ms)
        if missing <= 0:
            return 0
        for ended_ms, freed in self._ended:
            missing -= freed
            if missing <= 0:
                return ended_ms + self._limit.window_ms + 1 - now_ms
        return None

    def free(self, now_ms: int) -> float:
        return max(self.room(now_ms), 0) / self._limit.count

    def idle(self, now_ms: int) -> bool:
        return self.room(now_ms) == self._limit.count


class RateLimits:
    """The windows of one user and one address.

    Times are milliseconds of a clock that never goes back.
    """

    def __init__(self) -> None:
        self._windows: dict[tuple[Scope, str], _Window] = {}
        self._swept_ms = 0

    def wait_ms(self, charges: Sequence[Charge], now_ms: int) -> int | None:
        """Return after how long a request may begin, 0: now; None: once another one has ended.

        Raises:
            ValueError: it counts for more than its limit ever allows.
        """
        longest = 0
        for charge in charges:
            if charge.cost > LIMITS[charge.scope].count:
                raise ValueError(f"{charge.scope.name}: {charge.cost} at once are never allowed")
            wait = self._window(charge).wait_ms(charge.cost, now_ms)
            if wait is None:
                return None
            longest = max(longest, wait)
        return longest

    def free(self, now_ms: int) -> float:
        """Return the part that is free of the fullest limit of orders; 1: no order has used it."""
        used = [one for key, one in self._windows.items() if key[0] in _OF_ORDERS]
        return min((one.free(now_ms) for one in used), default=1.0)

    def begin(self, charges: Sequence[Charge]) -> None:
        """Count a request whose first byte is about to leave."""
        for charge in charges:
            self._window(charge).begin(charge.cost)

    def end(self, charges: Sequence[Charge], now_ms: int) -> None:
        """Count on a request that was answered, or that will not be any more."""
        for charge in charges:
            self._window(charge).end(charge.cost, now_ms)
        self._sweep(now_ms)

    def _window(self, charge: Charge) -> _Window:
        key = (charge.scope, charge.about)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(LIMITS[charge.scope])
        return window

    def _sweep(self, now_ms: int) -> None:
        # Instruments come and go: windows without a request are dropped now and then.
        if now_ms - self._swept_ms < 60_000:
            return
        self._swept_ms = now_ms
        self._windows = {k: w for k, w in self._windows.items() if not w.idle(now_ms)}
