"""The limits of one bot as its owner sets them, and the breach of one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from tradingtools.domain.bot_risk import RULES, RiskAction, RiskLimit
from tradingtools.domain.instrument import Instrument
from tradingtools.domain.portfolio_risk import ScopeLimit

PARTS: Final = 1_000_000
"""A ratio of one, in the unit of ratios."""
_COUNTS: Final = frozenset({"max_orders_per_minute", "max_open_orders", "mark_age_ms"})
_RATIOS: Final = frozenset({"max_leverage", "max_funding_rate", "min_liquidation_buffer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """The limits of one bot; None: there is none. Money in units of its settle currency."""

    max_position: int | None = None
    """Size of one instrument on either side, in its units."""
    max_notional: int | None = None
    """Worth of all that is held and could still fill, over all instruments."""
    max_exposure: int | None = None
    """Longs less shorts over all instruments, on either side."""
    max_order_notional: int | None = None
    max_orders_per_minute: int | None = None
    max_open_orders: int | None = None
    max_daily_loss: int | None = None
    max_drawdown: int | None = None
    """From the highest result since the bot began."""
    max_unrealised_loss: int | None = None
    max_market_loss: int | None = None
    max_leverage: int | None = None
    """In millionths."""
    min_liquidation_buffer: int | None = None
    """Of the mark, in millionths."""
    max_funding_rate: int | None = None
    """Paid at one funding, of the position's worth, in millionths."""
    mark_age_ms: int = 5_000
    """A mark that is older counts as stale."""


class LimitError(ValueError):
    """A limit that does not exist, or that is no number; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that is reached, or that an order would pass."""

    limit: RiskLimit | ScopeLimit
    action: RiskAction
    detail: str
    """For a person, with numbers."""


def breach(limit: RiskLimit, detail: str) -> Breach:
    """Return the breach of a limit, with the action that the table has for it."""
    return Breach(limit=limit, action=RULES[limit].action, detail=detail)


def check_currency(limits: RiskLimits, instruments: Iterable[Instrument]) -> None:
    """Check that amounts of money of several instruments are of one currency.

    Raises:
        LimitError: a limit would add up different ones; the text names it.
    """
    units = {(one.settle, one.money_digits) for one in instruments}
    if len(units) < 2:
        return
    for name in RiskLimits.__dataclass_fields__:
        money = name not in _COUNTS | _RATIOS | {"max_position", "max_market_loss"}
        if money and getattr(limits, name) is not None:
            currencies = ", ".join(sorted(settle for settle, _ in units))
            raise LimitError(f"limits.{name}: the instruments settle in {currencies}")


def limits_of(texts: Mapping[str, str], instrument: Instrument) -> RiskLimits:
    """Read limits: sizes in the instrument's units, money in its settle currency, rounded down.

    The least buffer is rounded up, for a larger one takes less risk.

    Raises:
        LimitError: one is unknown, or no number.
    """
    values: dict[str, int] = {}
    for name, text in texts.items():
        if name not in RiskLimits.__dataclass_fields__:
            raise LimitError(f"limits.{name}: there is no such limit")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise LimitError(f"limits.{name}: {text!r} is no number") from None
        if not amount.is_finite() or amount < 0:
            raise LimitError(f"limits.{name}: {text!r} is no limit")
        scaled = amount.scaleb(_digits(name, instrument))
        whole = int(scaled)
        values[name] = whole + (name.startswith("min_") and whole != scaled)
    return RiskLimits(**values)


def _digits(name: str, instrument: Instrument) -> int:
    if name == "max_position":
        return instrument.size_digits
    if name in _RATIOS:
        return 6
    return 0 if name in _COUNTS else instrument.money_digits
