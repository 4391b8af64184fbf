"""Compute what the shares of a resolved market pay, lot by lot. Pure integers.

insiders-api pays each asset of a wallet as one position, rounded down once. The lots of that asset
share exactly this sum: what each gets is what the running total rises by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tradingtools.domain.money import notional_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class LotHolding:
    """A lot that holds shares, micros."""

    asset_id: str
    origin: str
    shares_micros: int
    cost_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """The payout of a lot, micros of USDC."""

    lot: LotHolding
    share_micros: int
    paid_micros: int

    @property
    def realised_micros(self) -> int:
        """Return the profit; may be negative."""
        return self.paid_micros - self.lot.cost_micros


def pay(lots: Sequence[LotHolding], payouts: Mapping[str, int]) -> list[Paid] | None:
    """Pay out lots of one wallet and market.

    Args:
        lots: those that hold shares.
        payouts: what a share pays, by asset, micros.

    Returns:
        One for each lot; None while the payout of one of the assets is not known.
    """
    if any(lot.asset_id not in payouts for lot in lots):
        return None
    found: list[Paid] = []
    before: dict[str, int] = {}
    for lot in lots:
        share = payouts[lot.asset_id]
        shares = before.get(lot.asset_id, 0)
        before[lot.asset_id] = shares + lot.shares_micros
        paid = notional_floor(before[lot.asset_id], share) - notional_floor(shares, share)
        found.append(Paid(lot=lot, share_micros=share, paid_micros=paid))
    return found
