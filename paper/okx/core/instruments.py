"""Instruments, and what a lot of one is worth at a price.

A price is a whole number of ticks, a size one of lots. `worth` makes a lot at a price into an
amount of the settle currency such that the gain of a long is always worth(later) - worth(earlier):
for an inverse contract it is therefore negative. Because a lot's worth is rounded once, sums over
holders are exact: no lot gains what another one did not lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from paper.okx.core.amounts import ONE, exact, show

Kind = Literal["SPOT", "SWAP", "FUTURES"]
State = Literal["live", "suspend", "preopen", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One instrument; tick and lot in 10^-18 of price and of base or contracts."""

    inst_id: str
    kind: Kind
    code: int
    base: str
    """Spot only."""
    quote: str
    """Spot only."""
    settle: str
    """The currency of gains: for spot the quote."""
    family: str
    inverse: bool
    tick: int
    lot: int
    contract: int
    """The size of a contract, of base (linear) or of the quote (inverse), value times multiplier;
    for spot one unit."""
    min_lots: int
    max_limit_lots: int
    max_market_lots: int
    max_leverage: int
    expires_ms: int | None
    state: State
    row: Mapping[str, object]
    """The instrument as the exchange shows it."""

    @property
    def is_contract(self) -> bool:
        """Return whether it is held as a position and not as a balance."""
        return self.kind != "SPOT"

    def worth(self, ticks: int) -> int:
        """The value of a lot at a price, 10^-18 of the settle currency; negative for inverse."""
        if self.inverse:
            return -(self.lot * self.contract // (ticks * self.tick))
        return ticks * self.tick * self.lot * self.contract // (ONE * ONE)

    def notional(self, lots: int, ticks: int) -> int:
        """The value of so many lots at a price, never negative."""
        return abs(lots * self.worth(ticks))

    def base_of(self, lots: int) -> int:
        """The amount of base currency in lots of spot."""
        return lots * self.lot

    def ticks(self, text: str) -> int:
        """A price in ticks. Raises ValueError if it is not on the tick."""
        return _whole(exact(text), self.tick, "tick size")

    def lots(self, text: str) -> int:
        """A size in lots. Raises ValueError if it is not a multiple of the lot."""
        return _whole(exact(text), self.lot, "lot size")

    def price_text(self, ticks: int) -> str:
        """A price as OKX writes it."""
        return show(ticks * self.tick)

    def size_text(self, lots: int) -> str:
        """A size as OKX writes it."""
        return show(lots * self.lot)


def _whole(amount: int, unit: int, name: str) -> int:
    count, rest = divmod(amount, unit)
    if rest:
        raise ValueError(f"not a multiple of the {name}")
    return count


def parse(row: Mapping[str, object]) -> Instrument:
    """An instrument of its row. Raises ValueError naming what is wrong."""

    def text(name: str) -> str:
        return str(row.get(name, ""))

    kind = text("instType")
    if kind not in ("SPOT", "SWAP", "FUTURES"):
        raise ValueError(f"instType: {kind!r} is not traded here")
    tick, lot = exact(text("tickSz")), exact(text("lotSz"))
    contract = ONE if kind == "SPOT" else exact(text("ctVal")) * exact(text("ctMult")) // ONE
    inverse = text("ctType") == "inverse"
    if not inverse and tick * lot * contract % (ONE * ONE):
        raise ValueError(f"{text('instId')}: tick, lot and contract value are too fine")
    return Instrument(
        inst_id=text("instId"),
        kind=kind,  # type: ignore[arg-type]
        code=int(text("instIdCode")),
        base=text("baseCcy"),
        quote=text("quoteCcy"),
        settle=text("settleCcy") or text("quoteCcy"),
        family=text("instFamily") or text("instId"),
        inverse=inverse,
        tick=tick,
        lot=lot,
        contract=contract,
        min_lots=exact(text("minSz")) // lot,
        max_limit_lots=exact(text("maxLmtSz")) // lot,
        max_market_lots=exact(text("maxMktSz")) // lot,
        max_leverage=int(text("lever") or "1"),
        expires_ms=int(text("expTime")) if text("expTime") else None,
        state=text("state"),  # type: ignore[arg-type]
        row=row,
    )
