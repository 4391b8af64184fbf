"""Decide which lots shrink when a wallet holds less than they say. Pure.

Before it: `corrections`, which has proved that the shares are not there. Amounts in micros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradingtools.domain.trigger_types import MANUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """A lot of one wallet and asset, as it was read: two that are equal have not been moved."""

    condition_id: str
    origin: str
    shares_micros: int
    cost_micros: int
    bought_size_micros: int
    sold_size_micros: int
    resolved_size_micros: int
    by_hand_micros: int
    elsewhere_micros: int
    elsewhere_cost_micros: int


def lot(row: Mapping[str, Any]) -> Lot:
    """Return a lot as statements have it."""
    return Lot(**{name: row[name] for name in Lot.__slots__})


def shrunk(lots: Sequence[Lot], held_micros: int) -> dict[str, int]:
    """Return what lots hold when the wallet holds less than all of them together.

    What a follower sells by hand is what he has bought by hand, as long as there is any: the manual
    lot gives first. Copies' lots then share what is left in proportion: each gets what the running
    total rises by, rounded down, so that together they hold just what is there.

    Args:
        lots: all of the wallet and asset that hold shares.
        held_micros: by the wallet; below zero counts as nothing.

    Returns:
        By origin, those that change; none when the wallet holds enough.
    """
    held = max(held_micros, 0)
    total = sum(lot.shares_micros for lot in lots)
    if total <= held:
        return {}
    copies = sum(lot.shares_micros for lot in lots if lot.origin != MANUAL)
    of_copies = min(held, copies)
    left: dict[str, int] = {}
    before = 0
    for lot in lots:
        if lot.origin == MANUAL:
            left[lot.origin] = held - of_copies
        elif lot.shares_micros:
            after = before + lot.shares_micros
            left[lot.origin] = after * of_copies // copies - before * of_copies // copies
            before = after
    shares = {lot.origin: lot.shares_micros for lot in lots}
    return {origin: micros for origin, micros in left.items() if micros < shares[origin]}


def refusal(lot: Lot, shares_micros: int, *, at_rest: bool) -> str:
    """Return why an operator's correction cannot be carried out; empty: it can.

    Args:
        lot: as it is.
        shares_micros: what it is to hold.
        at_rest: nothing of its asset is under way.
    """
    if not at_rest:
        return "orders or a redemption of the outcome are under way"
    most = lot.shares_micros + lot.elsewhere_micros
    if shares_micros > most:
        return f"it can hold {most} micros at the most: no more was bought and not sold"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """The shares of an asset in a wallet, as insiders-api has reported, and those of its lots."""

    wallet_micros: int
    condition_id: str
    """Empty where it holds nothing."""
    lots_micros: int


def adoption_refusal(lot: Lot, shares_micros: int, wallet: Wallet | None, *, at_rest: bool) -> str:
    """Return why shares cannot be adopted into a lot, or leave it again; empty: they can.

    Args:
        lot: as it is.
        shares_micros: that are to come in.
        wallet: of the lot; None: shares leave it.
        at_rest: nothing of its asset is under way.
    """
    if not at_rest:
        return "orders or a redemption of the outcome are under way"
    if wallet is None:
        return ""
    if lot.shares_micros:
        return f"it holds {lot.shares_micros} micros already"
    if wallet.condition_id not in ("", lot.condition_id):
        return f"insiders-api tells the outcome's market as {wallet.condition_id}"
    free = wallet.wallet_micros - wallet.lots_micros
    if shares_micros > free:
        return (
            f"the wallet holds {wallet.wallet_micros} micros of the outcome, of which its lots have"
            f" {wallet.lots_micros}"
        )
    return ""


def cost_given_back(lot: Lot, shares_micros: int) -> int:
    """Return the cost of shares that a correction gives back to a lot, rounded up: caps count it.

    Args:
        lot: before.
        shares_micros: that it gets, no more than corrections have taken.
    """
    return -(-lot.elsewhere_cost_micros * shares_micros // lot.elsewhere_micros)
