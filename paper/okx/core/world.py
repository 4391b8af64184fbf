"""The exchange's state: instruments, books, marks, money, orders, and what happened to them."""

from __future__ import annotations

import copy
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paper.matching.book import Book
from paper.matching.values import Cancels
from paper.okx.core.happenings import (
    AccountChanged,
    Happening,
    OrderChanged,
    PositionChanged,
    PublicTrade,
)
from paper.okx.core.instruments import Instrument
from paper.okx.core.ledger import Account, Ledger
from paper.okx.core.orders import Fill, Order
from paper.okx.core.tiers import Tier

FORGOTTEN_MS = 2 * 3600 * 1000
"""An order that was cancelled without a fill cannot be looked up so long after it."""
_RETAINED = 5_000
"""So many ended orders, fills and bills of each account are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One change of a balance."""

    bill_id: int
    account: str
    currency: str
    kind: str
    """`1` transfer, `2` trade, `3` delivery, `5` liquidation, `6` margin transfer, `8` funding."""
    change: int
    balance: int
    inst_id: str
    mode: str
    ord_id: str
    at_ms: int


@dataclass(slots=True, kw_only=True)
class Funding:
    """Funding of a swap; rates in 10^-9 of the notional."""

    rate: int
    next_rate: int
    at_ms: int
    interval_ms: int
    settled: deque[tuple[int, int]]
    """Instants (ms) and rates of the last times."""


class World:
    """Everything there is. Who changes it says so in `out`."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        tiers: Mapping[str, Sequence[Tier]],
        *,
        first_id: int,
        cancels: Cancels = "behind",
    ) -> None:
        self.ledger = Ledger()
        self._cancels: Cancels = cancels
        self.instruments: dict[str, Instrument] = {}
        self.books: dict[str, Book] = {}
        self.tiers: dict[str, Sequence[Tier]] = {}
        self.add_instruments(instruments, tiers)
        self.marks: dict[str, int] = {}
        self.indexes: dict[str, int] = {}
        self.funding: dict[str, Funding] = {}
        self.orders: dict[int, Order] = {}
        self.open: defaultdict[str, dict[int, Order]] = defaultdict(dict)
        self.done: defaultdict[str, deque[Order]] = defaultdict(_many)
        self.fills: defaultdict[str, deque[tuple[Order, Fill]]] = defaultdict(_many)
        self.bills: defaultdict[str, deque[Bill]] = defaultdict(_many)
        self.prints: defaultdict[str, deque[PublicTrade]] = defaultdict(_some)
        self.out: list[Happening] = []
        self._by_ord_id: dict[str, Order] = {}
        self._by_client_id: dict[tuple[str, str], Order] = {}
        self._first = first_id
        self._count = 0
        self._trades: defaultdict[str, int] = defaultdict(int)

    def add_instruments(
        self, listed: Iterable[Instrument], tiers: Mapping[str, Sequence[Tier]]
    ) -> None:
        """List instruments; one that is known stays as it is."""
        for one in listed:
            if one.inst_id not in self.instruments:
                self.instruments[one.inst_id] = one
                self.books[one.inst_id] = Book(cancels=self._cancels)
                if one.is_contract:
                    self.tiers[one.inst_id] = tiers[one.inst_id]

    def next_number(self) -> int:
        """A number that nothing else has: of an order, a bill."""
        self._count += 1
        return self._count

    def shown_id(self, number: int) -> str:
        """The id that clients see for a number."""
        return str(self._first + number)

    def next_trade(self, inst_id: str) -> int:
        """The id of an instrument's next trade."""
        self._trades[inst_id] += 1
        return self._trades[inst_id]

    def account(self, name: str) -> Account:
        """An account that is known to exist."""
        return self.ledger.accounts[name]

    def open_orders(self, name: str) -> list[Order]:
        """The open orders of an account, oldest first."""
        return list(self.open[name].values())

    def add(self, order: Order) -> None:
        """Take an order in."""
        self.orders[order.number] = order
        self.open[order.owner][order.number] = order
        self._by_ord_id[order.ord_id] = order
        if order.request.cl_ord_id:
            self._by_client_id[order.owner, order.request.cl_ord_id] = order

    def find(self, account: str, ord_id: str, cl_ord_id: str, now_ms: int) -> Order | None:
        """An account's order by either id, the latest one of a client's; None for none that can
        still be looked up."""
        order = (
            self._by_ord_id.get(ord_id) if ord_id else self._by_client_id.get((account, cl_ord_id))
        )
        if order is None or order.owner != account:
            return None
        forgotten = (
            order.state == "canceled"
            and not order.filled
            and now_ms - order.updated_ms > FORGOTTEN_MS
        )
        return None if forgotten else order

    def notify(self, order: Order, fill: Fill | None = None) -> None:
        """Say that an order changed, and bring it where it belongs."""
        if not order.is_open and self.open[order.owner].pop(order.number, None) is not None:
            del self.orders[order.number]
            self._keep(order)
        self.out.append(OrderChanged(copy.copy(order), fill))
        order.amend_result = order.req_id = ""

    def _keep(self, order: Order) -> None:
        """Keep an order that ended for look-ups, as long as there are not too many."""
        done = self.done[order.owner]
        if len(done) == done.maxlen:
            oldest = done[0]
            self._by_ord_id.pop(oldest.ord_id, None)
            named = (oldest.owner, oldest.request.cl_ord_id)
            if self._by_client_id.get(named) is oldest:
                del self._by_client_id[named]
        done.append(order)

    def bill(
        self,
        account: str,
        currency: str,
        kind: str,
        change: int,
        *,
        inst_id: str = "",
        mode: str = "",
        ord_id: str = "",
        now_ms: int,
    ) -> int:
        """Write down a change of a balance and say it; the bill's number."""
        number = self.next_number()
        self.bills[account].append(
            Bill(
                bill_id=number,
                account=account,
                currency=currency,
                kind=kind,
                change=change,
                balance=self.account(account).cash[currency],
                inst_id=inst_id,
                mode=mode,
                ord_id=ord_id,
                at_ms=now_ms,
            )
        )
        self.account(account).updated_ms = now_ms
        self.account_changed(account, currency)
        return number

    def account_changed(self, account: str, currency: str) -> None:
        """Say that cash, or what is bound of it, changed."""
        self.out.append(AccountChanged(account, currency))

    def position_changed(self, account: str, inst_id: str, mode: str) -> None:
        """Say that a position changed."""
        self.out.append(PositionChanged(account, inst_id, mode))

    def printed(self, event: PublicTrade) -> None:
        """Say and keep a public trade."""
        self.prints[event.inst_id].append(event)
        self.out.append(event)

    def drain(self) -> list[Happening]:
        """Everything that happened since the last call."""
        found, self.out = self.out, []
        return found


# Functions with names, so that the state can be written to a file.
def _many() -> deque[Any]:
    return deque(maxlen=_RETAINED)


def _some() -> deque[Any]:
    return deque(maxlen=500)
