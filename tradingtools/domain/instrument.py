"""An instrument that bots trade: its units, its steps, and the worth of a size.

Prices, sizes and money are integers of the instrument's own decimal digits: at Polymarket all three
are micros, at OKX they are finer. A tick and a lot are multiples of those units, so a venue may
change them while the integers keep their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from enum import StrEnum

_LONGEST_TEXT = 64
# Room for every text that is let in: the default context rounds after 28 digits.
_EXACT = Context(prec=2 * _LONGEST_TEXT)
_MAX_DIGITS = 18


class InstrumentKind(StrEnum):
    """The kind of contract."""

    BINARY = "BINARY"
    """A share that pays 1 or 0."""
    SPOT = "SPOT"
    FUTURE = "FUTURE"
    SWAP = "SWAP"
    """A perpetual future, which pays funding."""


class TradingPhase(StrEnum):
    """The requests that its venue takes at the moment."""

    OPEN = "OPEN"
    POST_ONLY = "POST_ONLY"
    """Resting orders and cancels alone."""
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"
    """Resolved, expired or delisted: nothing is taken again."""


class UnitError(ValueError):
    """An amount that the instrument's units cannot hold; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One thing to trade at one venue.

    Raises:
        UnitError: a tick, lot or contract is not above zero, or digits are out of range.
    """

    id: str
    """``<venue>:<symbol>``: ``polymarket:<asset>``, ``okx:BTC-USDT-SWAP``."""
    kind: InstrumentKind
    base: str
    """A currency, or the asset of a binary: it is bought."""
    quote: str
    """The unit of a price."""
    settle: str
    """The currency of gains and fees."""
    price_digits: int
    size_digits: int
    money_digits: int
    """Decimal digits of a unit of price, of size, and of the settle currency."""
    tick_size: int
    """Smallest step of a price, in units of price."""
    lot_size: int
    """Smallest step of an order's size, in units of size."""
    minimum_size: int
    maximum_size: int | None = None
    """None: the venue does not say."""
    contract: Decimal = Decimal(1)
    """Base that a size of 1 stands for; of an inverse contract, quote."""
    inverse: bool = False
    """A contract that is worth a fixed amount of quote, and settles in base."""
    group: str = ""
    """The condition of a binary's outcomes, or the family of OKX' contracts."""
    ends_ms: int | None = None
    """When trading is expected to end, milliseconds since the epoch; None: never, or unknown."""
    phase: TradingPhase = TradingPhase.OPEN
    payout: int | None = None
    """Of a binary that is resolved: what a share of it pays, in units of price; None: not
    reported."""
    _ratio: tuple[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the units, and bring the factors of a notional into one exact ratio."""
        for name in ("price_digits", "size_digits", "money_digits"):
            if not 0 <= getattr(self, name) <= _MAX_DIGITS:
                raise UnitError(f"{name} of {self.id} must be between 0 and {_MAX_DIGITS}")
        for name in ("tick_size", "lot_size", "minimum_size", "contract"):
            if getattr(self, name) <= 0:
                raise UnitError(f"{name} of {self.id} must be above zero")
        above, below = self.contract.as_integer_ratio()
        shift = self.money_digits - self.size_digits
        shift += self.price_digits if self.inverse else -self.price_digits
        if shift >= 0:
            above *= 10**shift
        else:
            below *= 10**-shift
        object.__setattr__(self, "_ratio", (above, below))

    @property
    def venue(self) -> str:
        """Return the name of its venue."""
        return self.id.partition(":")[0]

    @property
    def symbol(self) -> str:
        """Return its name at the venue."""
        return self.id.partition(":")[2]

    def notional(self, price: int, size: int, *, up: bool) -> int:
        """Return what a size is worth at a price, in units of money, rounded up or down once.

        Raises:
            UnitError: the price of an inverse contract is not above zero.
        """
        above, below = self._ratio
        if self.inverse:
            if price <= 0:
                raise UnitError(f"a price of {self.id} must be above zero")
            above, below = size * above, price * below
        else:
            above *= price * size
        return -(-above // below) if up else above // below

    def price_at(self, money: int, size: int) -> int:
        """Return the price at which a size is worth an amount of money, rounded down.

        Args:
            money: in units of money; of an inverse contract above zero.
            size: in units of size, above zero.
        """
        above, below = self._ratio
        if self.inverse:
            return size * above // (money * below)
        return money * below // (size * above)

    def price_of(self, text: str) -> int:
        """Return a price as the venue writes it, in units of price, exactly.

        Raises:
            UnitError: it is no number, or has more digits than the unit.
        """
        return _units(text, self.price_digits, f"price of {self.id}")

    def size_of(self, text: str) -> int:
        """Return a size as the venue writes it, in units of size, exactly.

        Raises:
            UnitError: it is no number, or has more digits than the unit.
        """
        return _units(text, self.size_digits, f"size of {self.id}")

    def price_text(self, price: int) -> str:
        """Return a price as decimals without an exponent."""
        return units_text(price, self.price_digits)

    def size_text(self, size: int) -> str:
        """Return a size as decimals without an exponent."""
        return units_text(size, self.size_digits)

    def money_text(self, amount: int) -> str:
        """Return an amount of the settle currency as decimals without an exponent."""
        return units_text(amount, self.money_digits)

    def price_on_tick(self, price: int, *, up: bool) -> int:
        """Return the nearest price at or above, or at or below, that an order may have."""
        down = price - price % self.tick_size
        return down + self.tick_size if up and down != price else down

    def size_in_lots(self, size: int) -> int:
        """Return the largest size up to this that an order may have; 0 when it is too small."""
        most = size if self.maximum_size is None else min(size, self.maximum_size)
        whole = most - most % self.lot_size
        return whole if whole >= self.minimum_size else 0


def _units(text: str, digits: int, what: str) -> int:
    try:
        amount = Decimal(text) if len(text) <= _LONGEST_TEXT else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or abs(amount.adjusted()) > _LONGEST_TEXT:
        raise UnitError(f"{what} is no number: {text[:40]!r}")
    scaled = amount.scaleb(digits, _EXACT)
    whole = int(scaled)
    if whole != scaled:
        raise UnitError(f"{what} has more than {digits} digits: {text[:40]!r}")
    return whole


def units_text(units: int, digits: int) -> str:
    """Return an amount of units as decimal text."""
    text = format(Decimal(units).scaleb(-digits, _EXACT), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
