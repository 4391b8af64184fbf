"""The types of settings: their bounds, their units, and the error of a wrong one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

InstrumentId = Annotated[str, Meta(extra={"unit": "instrument"})]
Size = Annotated[int, Meta(gt=0, extra={"unit": "size"})]
Price = Annotated[int, Meta(gt=0, extra={"unit": "price"})]
PriceOrZero = Annotated[int, Meta(ge=0, extra={"unit": "price"})]
Money = Annotated[int, Meta(gt=0, extra={"unit": "money"})]
Count = Annotated[int, Meta(ge=0, extra={"unit": "count"})]
Ppm = Annotated[int, Meta(ge=0, lt=1_000_000, extra={"unit": "parts of a million"})]
WholePpm = Annotated[int, Meta(ge=0, le=1_000_000, extra={"unit": "parts of a million"})]
Milliseconds = Annotated[int, Meta(ge=100, le=3_600_000, extra={"unit": "milliseconds"})]
SecondsFloat = Annotated[float, Meta(gt=0, extra={"unit": "seconds"})]
AnnualRate = Annotated[
    int, Meta(ge=-100_000_000, le=100_000_000, extra={"unit": "parts of a million"})
]
EntryRate = Annotated[int, Meta(ge=0, le=100_000_000, extra={"unit": "parts of a million"})]
PositiveFloat = Annotated[float, Meta(gt=0, extra={"unit": "number"})]


class ConfigError(ValueError):
    """Settings that a strategy cannot have.

    Args:
        field: whose value is wrong; empty: the name of the strategy.
        expected: what it should be.
    """

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{f'config.{field}' if field else 'strategy'}: expected {expected}")
        self.field = field
        self.expected = expected
