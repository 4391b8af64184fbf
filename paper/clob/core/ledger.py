"""The ledger: USDC and shares of each wallet, what is under way, and where every unit went.

What a match takes is taken at once; what it gives arrives when it is settled, and comes back when
it fails. So shares that were just bought cannot be sold before, as at the real exchange.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from paper.clob.core.values import ONE, Leg, Market, Trade


@dataclass(slots=True)
class Ledger:
    """Amounts in micros. A wallet never goes below zero; the house may."""

    usdc: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    shares: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    deposited: int = 0
    """USDC that came in, less what left."""
    fees: int = 0
    sets: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By condition: whole sets there are, each backed by 1 USDC."""
    rounding: int = 0
    """USDC that rounding took from somebody and gave to nobody."""
    under_way: int = 0
    """USDC that a match took and that is not settled."""

    def deposit(self, wallet: str, usdc: int) -> None:
        """Bring USDC in, or take it out."""
        self.usdc[wallet] += usdc
        self.deposited += usdc

    def split(self, wallet: str, market: Market, size: int) -> None:
        """Make whole sets out of USDC, or merge them if below zero."""
        self.usdc[wallet] -= size
        self.sets[market.condition] += size
        for asset in market.assets:
            self.shares[wallet, asset] += size

    def match(self, trade: Trade) -> None:
        """Take what the legs give."""
        for leg in trade.legs:
            if leg.side == "BUY":
                self.usdc[leg.wallet] -= leg.usdc + leg.fee
                self.under_way += leg.usdc + leg.fee
            else:
                self.shares[leg.wallet, leg.asset] -= leg.size

    def settle(self, trade: Trade) -> None:
        """Give the legs what they get; sets are made and merged, fees and rounding are kept."""
        spent = 0
        for leg in trade.legs:
            if leg.side == "BUY":
                spent += leg.usdc + leg.fee
                self.shares[leg.wallet, leg.asset] += leg.size
            else:
                spent -= leg.usdc - leg.fee
                self.usdc[leg.wallet] += leg.usdc - leg.fee
            self.under_way -= leg.usdc + leg.fee if leg.side == "BUY" else 0
            self.fees += leg.fee
            spent -= leg.fee
        made = _made(trade)
        self.sets[trade.market.condition] += made
        self.rounding += spent - made

    def undo(self, trade: Trade) -> None:
        """Give back what the legs gave."""
        for leg in trade.legs:
            if leg.side == "BUY":
                self.usdc[leg.wallet] += leg.usdc + leg.fee
                self.under_way -= leg.usdc + leg.fee
            else:
                self.shares[leg.wallet, leg.asset] += leg.size

    def redeem(self, market: Market, payouts: tuple[int, int]) -> None:
        """Pay every holder of a resolved market, rounded down; the rest is rounding."""
        paid = 0
        for (wallet, asset), size in list(self.shares.items()):
            if asset not in market.assets or not size:
                continue
            usdc = size * payouts[market.assets.index(asset)] // ONE
            self.usdc[wallet] += usdc
            paid += usdc
            self.shares[wallet, asset] = 0
        self.rounding += self.sets.pop(market.condition, 0) - paid

    def redeem_one(self, wallet: str, market: Market, payouts: tuple[int, int]) -> None:
        """Pay one holder of a resolved market, rounded down; the rest stays with the sets."""
        for asset, payout in zip(market.assets, payouts, strict=True):
            usdc = self.shares[wallet, asset] * payout // ONE
            self.usdc[wallet] += usdc
            self.sets[market.condition] -= usdc
            self.shares[wallet, asset] = 0

    def backed(self) -> int:
        """Return where all the USDC is: it is what was deposited, to the last unit."""
        held = sum(self.usdc.values())
        return held + self.under_way + self.fees + sum(self.sets.values()) + self.rounding


def house_usdc(legs: tuple[Leg, ...], house: Leg) -> int:
    """Return what the house gives or gets, so that a trade with it leaves nothing over."""
    flow = 0
    for leg in legs:
        flow += leg.usdc if leg.side == "BUY" else -leg.usdc
    made = _net_of(legs, house)
    return made - flow if house.side == "BUY" else flow - made


def _made(trade: Trade) -> int:
    """Whole sets that a trade makes: the shares of an outcome that are bought and not sold."""
    first = trade.market.assets[0]
    legs = [leg for leg in trade.legs if leg.asset == first]
    return sum(leg.size if leg.side == "BUY" else -leg.size for leg in legs)


def _net_of(legs: tuple[Leg, ...], house: Leg) -> int:
    whole = (*legs, house)
    first = house.asset
    return sum(
        (leg.size if leg.side == "BUY" else -leg.size) for leg in whole if leg.asset == first
    )
