"""The limits of a bot as people write them, read in the units of its instruments."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from services.bots.core.risk import RiskLimits
from tradingtools.domain.instrument import Instrument


class SetupError(ValueError):
    """A bot that does not fit its wallet or venue; the text names the field."""


def limits_of(texts: Mapping[str, str], instrument: Instrument) -> RiskLimits:
    """Read limits: sizes in the instrument's units, money in its settle currency.

    Raises:
        SetupError: one is unknown, or no number; the text names it.
    """
    values: dict[str, int] = {}
    for name, text in texts.items():
        if name not in RiskLimits.__dataclass_fields__:
            raise SetupError(f"limits.{name}: there is no such limit")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise SetupError(f"limits.{name}: {text!r} is no number") from None
        if not amount.is_finite() or amount < 0:
            raise SetupError(f"limits.{name}: {text!r} is no limit")
        values[name] = int(amount.scaleb(_digits(name, instrument)))
    return RiskLimits(**values)


def _digits(name: str, instrument: Instrument) -> int:
    if name == "max_position":
        return instrument.size_digits
    counts = ("max_orders_per_minute", "max_open_orders", "mark_age_ms")
    return 0 if name in counts else instrument.money_digits
