"""Position tiers and fee levels: what a size demands, and what a trade costs. Rates in 10^-6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paper.okx.core.amounts import ONE, ceil_div, exact

PPM = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A band of position sizes, in 10^-18 contracts, both ends included."""

    number: int
    least: int
    most: int
    maintenance_ppm: int
    initial_ppm: int
    max_leverage: int


def parse_tier(row: Mapping[str, str]) -> Tier:
    """A tier of its row."""
    return Tier(
        number=int(row["tier"]),
        least=exact(row["minSz"]),
        most=exact(row["maxSz"]),
        maintenance_ppm=exact(row["mmr"]) * PPM // ONE,
        initial_ppm=exact(row["imr"]) * PPM // ONE,
        max_leverage=exact(row["maxLever"]) // ONE,
    )


def tier_of(tiers: Sequence[Tier], contracts: int) -> Tier:
    """The tier of a position; beyond the last one it is the last one."""
    size = abs(contracts)
    return next((tier for tier in tiers if size <= tier.most), tiers[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """The rates of a fee level; a maker's below zero is paid to him."""

    level: str
    spot_maker: int
    spot_taker: int
    contract_maker: int
    contract_taker: int

    def rate(self, *, contract: bool, maker: bool) -> int:
        """The rate of one side of a trade."""
        if contract:
            return self.contract_maker if maker else self.contract_taker
        return self.spot_maker if maker else self.spot_taker


LEVELS: Mapping[str, Fees] = {
    level: Fees(level=level, spot_maker=a, spot_taker=b, contract_maker=c, contract_taker=d)
    for level, a, b, c, d in (
        ("Lv1", 800, 1000, 200, 500),
        ("Lv2", 700, 900, 180, 450),
        ("Lv3", 650, 850, 160, 430),
        ("VIP1", 450, 500, 120, 360),
        ("VIP5", 0, 320, -20, 230),
    )
}


def fee(amount: int, rate: int) -> int:
    """The fee of an amount, rounded against the trader; negative: he is paid."""
    return ceil_div(amount * rate, PPM)
