"""The purses: accounts, and the house's for fees, insurance and the rest of the market.

Every change moves an amount from one purse to another, so their sum is what was put in, to the last
unit. The rest of the market is one holder more: it takes the other side of what our accounts trade
with nobody of theirs, without limits.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from paper.okx.core.amounts import ceil_div
from paper.okx.core.instruments import Instrument
from paper.okx.core.margin import Position, initial_margin
from paper.okx.core.tiers import Fees, fee

Purse = defaultdict[str, int]


def _purse() -> Purse:
    return defaultdict(int)


@dataclass(slots=True, kw_only=True)
class Account:
    """A sub-account: cash by currency, positions by contract and margin mode."""

    name: str
    mode: str
    """`1` Spot, `2` Futures."""
    fees: Fees
    cash: Purse = field(default_factory=_purse)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    leverages: dict[tuple[str, str], int] = field(default_factory=dict)
    updated_ms: int = 0
    blocked: str = ""
    """The reason for which it may not trade; empty: it may."""

    def leverage(self, inst_id: str, mode: str) -> int:
        """The leverage that the holder set, 3 at first."""
        return self.leverages.get((inst_id, mode), 3)

    def held(self, inst_id: str, mode: str) -> Position | None:
        """A position with lots; None without one."""
        found = self.positions.get((inst_id, mode))
        return found if found is not None and found.lots else None


@dataclass(slots=True, kw_only=True)
class Holding:
    """The market's side of a contract."""

    lots: int = 0
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """The effect of a fill on its owner: fee (below zero: paid to him) and realised gain."""

    fee: int
    currency: str
    gain: int = 0


class Ledger:
    """All purses."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.fees = _purse()
        self.insurance = _purse()
        self.market = _purse()
        self.holdings: dict[str, tuple[Instrument, Holding]] = {}
        self.put_in = _purse()
        self._pos_ids = 0

    def deposit(self, account: Account, currency: str, amount: int) -> None:
        """Put money in (below zero: take it out)."""
        account.cash[currency] += amount
        self.put_in[currency] += amount

    def spot(
        self, account: Account | None, of: Instrument, lots: int, ticks: int, *, maker: bool
    ) -> Booked:
        """Book a spot fill, lots above zero bought, below sold; None: the market's side of it."""
        base, quote = of.base_of(lots), -lots * of.worth(ticks)
        if account is None:
            self.market[of.base] += base
            self.market[of.quote] += quote
            return Booked(fee=0, currency="")
        currency, received = (of.base, base) if lots > 0 else (of.quote, quote)
        taken = min(fee(received, account.fees.rate(contract=False, maker=maker)), received)
        account.cash[of.base] += base
        account.cash[of.quote] += quote
        account.cash[currency] -= taken
        self.fees[currency] += taken
        return Booked(fee=taken, currency=currency)

    def contract(
        self,
        account: Account | None,
        of: Instrument,
        mode: str,
        lots: int,
        ticks: int,
        *,
        maker: bool,
        now_ms: int,
    ) -> Booked:
        """Book a fill of a contract, lots above zero bought, below sold; None: the market's."""
        if account is None:
            gain = self._hold(of, lots, ticks)
            self.market[of.settle] += gain
            return Booked(fee=0, currency="")
        rate = account.fees.rate(contract=True, maker=maker)
        taken = fee(of.notional(lots, ticks), rate)
        account.cash[of.settle] -= taken
        self.fees[of.settle] += taken
        position = self._position(account, of, mode, now_ms)
        position.fees -= taken
        gain = self._trade(account, position, lots, ticks)
        position.updated_ms = now_ms
        return Booked(fee=taken, currency=of.settle, gain=gain)

    def fund(self, of: Instrument, mark: int, rate: int, now_ms: int) -> dict[str, int]:
        """Let longs pay shorts `rate` (10^-9) of their notional, or the other way below zero; by
        account and margin mode what came in. What rounding leaves is the insurance's."""
        changes: dict[str, int] = {}
        rest = 0
        for account in self.accounts.values():
            for mode in ("cross", "isolated"):
                position = account.held(of.inst_id, mode)
                if position is None:
                    continue
                change = _funding(position.lots, of, mark, rate)
                if mode == "isolated":
                    position.margin += change
                else:
                    account.cash[of.settle] += change
                position.funding += change
                position.updated_ms = now_ms
                changes[f"{account.name}/{mode}"] = change
                rest -= change
        held = self.holdings.get(of.inst_id)
        if held is not None:
            change = _funding(held[1].lots, of, mark, rate)
            self.market[of.settle] += change
            rest -= change
        self.insurance[of.settle] += rest
        return changes

    def seize(
        self, account: Account, position: Position, lots: int, mark: int, *, last: bool
    ) -> int:
        """Close `lots` (signed like a trade) at the mark for the exchange, for a fee. What is left
        stays with the position's pool (its margin, or the currency's cash); with `last` the pool is
        bankrupt: the insurance takes what is left of it or pays what is missing. Returns the
        realised gain."""
        of = position.instrument
        settle = of.settle
        penalty = fee(of.notional(lots, mark), account.fees.rate(contract=True, maker=False))
        before = account.cash[settle]
        gain = self._trade(account, position, lots, mark)
        self.market[settle] += self._hold(of, -lots, mark)
        position.penalty -= penalty
        self.fees[settle] += penalty
        if position.mode == "isolated":
            left = account.cash[settle] - before - penalty
            account.cash[settle] = before
            if last:
                self.insurance[settle] += left
            else:
                position.margin += left
            return gain
        account.cash[settle] -= penalty
        if last:
            self.insurance[settle] += account.cash[settle]
            account.cash[settle] = 0
        return gain

    def settle(self, account: Account, position: Position, ticks: int) -> int:
        """Close a position at the price at which its contract ends, without a fee."""
        lots = -position.lots
        gain = self._trade(account, position, lots, ticks)
        of = position.instrument
        self.market[of.settle] += self._hold(of, -lots, ticks)
        return gain

    def move_margin(self, account: Account, position: Position, amount: int) -> None:
        """Move cash into an isolated position's margin (below zero: out of it)."""
        account.cash[position.instrument.settle] -= amount
        position.margin += amount

    def cover(self, account: Account, currency: str) -> None:
        """Let the insurance pay what an account owes beyond all it had."""
        owed = -account.cash[currency]
        if owed > 0:
            account.cash[currency] = 0
            self.insurance[currency] -= owed

    def total(self, currency: str, marks: dict[str, int]) -> int:
        """All of a currency at those marks (ticks by instrument): equals `put_in`."""
        found = self.fees[currency] + self.insurance[currency] + self.market[currency]
        for account in self.accounts.values():
            found += account.cash[currency]
            for position in account.positions.values():
                if position.instrument.settle == currency:
                    mark = marks[position.instrument.inst_id]
                    found += position.margin + position.gain(mark)
        for of, held in self.holdings.values():
            if of.settle == currency:
                found += held.lots * of.worth(marks[of.inst_id]) - held.cost
        return found

    def _position(self, account: Account, of: Instrument, mode: str, now_ms: int) -> Position:
        found = account.positions.get((of.inst_id, mode))
        if found is None or not found.lots:
            self._pos_ids += 1
            found = account.positions[of.inst_id, mode] = Position(
                instrument=of,
                mode=mode,
                leverage=account.leverage(of.inst_id, mode),
                pos_id=self._pos_ids,
                opened_ms=now_ms,
            )
        return found

    def _trade(self, account: Account, position: Position, lots: int, ticks: int) -> int:
        """Change a position by lots at a price, and the cash by what that frees, gains or binds."""
        of = position.instrument
        gain = 0
        closing = 0
        if position.lots and (lots > 0) != (position.lots > 0):
            closing = min(abs(lots), abs(position.lots)) * (1 if lots > 0 else -1)
        if closing:
            gain = self._close(account, position, closing, ticks)
        opening = lots - closing
        if opening:
            position.lots += opening
            position.cost += opening * of.worth(ticks)
            if position.mode == "isolated":
                needed = initial_margin(of.notional(opening, ticks), position.leverage)
                account.cash[of.settle] -= needed
                position.margin += needed
        return gain

    def _close(self, account: Account, position: Position, closing: int, ticks: int) -> int:
        """Take lots out of a position; the last ones take all cost and margin that is left."""
        settle = position.instrument.settle
        before = abs(position.lots)
        cost = position.cost * abs(closing) // before
        margin = position.margin * abs(closing) // before
        gain = -closing * position.instrument.worth(ticks) - cost
        position.lots += closing
        position.cost -= cost
        position.margin -= margin
        position.realized += gain
        back = margin + gain
        if position.mode == "isolated" and back < 0:
            # A loss beyond the part's margin is the rest's, and beyond that the insurance's.
            paid = -back if position.lots else 0
            position.margin -= paid
            self.insurance[settle] += back + paid
            back = 0
        account.cash[settle] += back
        return gain

    def _hold(self, of: Instrument, lots: int, ticks: int) -> int:
        """Change the market's holding; what that realises, so that its cost stays an average."""
        _, held = self.holdings.setdefault(of.inst_id, (of, Holding()))
        gain = 0
        if held.lots and (lots > 0) != (held.lots > 0):
            closing = min(abs(lots), abs(held.lots)) * (1 if lots > 0 else -1)
            cost = held.cost * abs(closing) // abs(held.lots)
            gain = -closing * of.worth(ticks) - cost
            held.lots += closing
            held.cost -= cost
            lots -= closing
        held.lots += lots
        held.cost += lots * of.worth(ticks)
        return gain


def _funding(lots: int, of: Instrument, mark: int, rate: int) -> int:
    """Return what a holder gets, rounded against him."""
    owed = lots * abs(of.worth(mark)) * rate
    return -ceil_div(owed, 10**9)
