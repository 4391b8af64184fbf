"""Rows of `/public/instruments` and of the channel of the same name, as instruments. Pure.

Units are the same for as long as ticks and lots are no finer than them, so a change of a tick
leaves integers their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from tradingtools.domain.instrument import Instrument, InstrumentKind, TradingPhase, UnitError
from tradingtools.venues.okx import numbers
from tradingtools.venues.okx.numbers import NumberError

VENUE = "okx"
PRICE_DIGITS = 10
SIZE_DIGITS = 8
MONEY_DIGITS = 8

_KINDS = {
    "SPOT": InstrumentKind.SPOT,
    "FUTURES": InstrumentKind.FUTURE,
    "SWAP": InstrumentKind.SWAP,
}
_PHASES = {
    "live": TradingPhase.OPEN,
    "post_only": TradingPhase.POST_ONLY,
    "preopen": TradingPhase.SUSPENDED,
    "suspend": TradingPhase.SUSPENDED,
    "settlement": TradingPhase.SUSPENDED,
    "rebase": TradingPhase.SUSPENDED,
    "expired": TradingPhase.ENDED,
}


class UnsupportedInstrument(ValueError):
    """An instrument that is not traded here; the text names it and says why."""


class InstrumentRow(msgspec.Struct, frozen=True, rename="camel"):
    """An instrument as the wire writes it; whatever else a row has is left out."""

    inst_id: str
    inst_type: str
    state: str
    tick_sz: str
    lot_sz: str
    min_sz: str
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    uly: str = ""
    inst_family: str = ""
    ct_type: str = ""
    ct_val: str = ""
    ct_mult: str = ""
    ct_val_ccy: str = ""
    exp_time: str = ""
    lever: str = ""
    max_lmt_sz: str = ""
    inst_id_code: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """An instrument, and what the adapter alone has to know of it."""

    instrument: Instrument
    inst_type: str
    code: int | None
    """`instIdCode`, by which sockets name it; None: not told, orders go by REST."""
    max_leverage: Decimal | None
    """None: spot."""


def instrument_id(symbol: str) -> str:
    """Return our id of OKX's one."""
    return f"{VENUE}:{symbol}"


def listing(row: InstrumentRow) -> Listing:
    """Return the instrument of a row.

    Raises:
        UnsupportedInstrument: an option, a kind or a state that did not exist when this was
            written, or a row that contradicts itself.
    """
    kind = _KINDS.get(row.inst_type)
    if kind is None:
        raise UnsupportedInstrument(
            f"{row.inst_id} is of type {row.inst_type}, which is not traded"
        )
    phase = _PHASES.get(row.state)
    if phase is None:
        raise UnsupportedInstrument(f"{row.inst_id} is in state {row.state}, which is not known")
    try:
        instrument = _contract(row, kind) if kind is not InstrumentKind.SPOT else _spot(row)
        return Listing(
            instrument=replace(instrument, phase=phase),
            inst_type=row.inst_type,
            code=_code(row.inst_id_code),
            max_leverage=(
                None if kind is InstrumentKind.SPOT else numbers.positive("lever", row.lever)
            ),
        )
    except (NumberError, UnitError) as error:
        raise UnsupportedInstrument(f"{row.inst_id}: {error}") from None


def ended(instrument: Instrument) -> Listing:
    """Return the listing of an instrument that is listed no more."""
    types = {kind: name for name, kind in _KINDS.items()}
    return Listing(
        instrument=replace(instrument, phase=TradingPhase.ENDED),
        inst_type=types[instrument.kind],
        code=None,
        max_leverage=None,
    )


def _spot(row: InstrumentRow) -> Instrument:
    if not row.base_ccy or not row.quote_ccy:
        raise NumberError("baseCcy and quoteCcy are empty")
    return _built(
        row,
        kind=InstrumentKind.SPOT,
        base=row.base_ccy,
        quote=row.quote_ccy,
        settle=row.quote_ccy,
        contract=Decimal(1),
        inverse=False,
        ends_ms=numbers.optional_whole("expTime", row.exp_time),
    )


def _contract(row: InstrumentRow, kind: InstrumentKind) -> Instrument:
    base, dash, quote = row.uly.partition("-")
    if not dash or not base or not quote or not row.settle_ccy:
        raise NumberError("uly and settleCcy do not name base, quote and settlement")
    if row.ct_type not in ("linear", "inverse"):
        raise NumberError(f"ctType is {row.ct_type!r}")
    inverse = row.ct_type == "inverse"
    # A contract is worth some base when it is linear and some quote when it is inverse.
    if row.ct_val_ccy != (quote if inverse else base):
        raise NumberError(f"a {row.ct_type} contract on {row.uly} is valued in {row.ct_val_ccy!r}")
    if inverse and row.settle_ccy != base:
        raise NumberError(f"an inverse contract on {row.uly} settles in {row.settle_ccy}")
    ends_ms = numbers.optional_whole("expTime", row.exp_time)
    if kind is InstrumentKind.FUTURE and ends_ms is None:
        raise NumberError("expTime of a future is empty")
    contract = numbers.positive("ctVal", row.ct_val) * numbers.positive("ctMult", row.ct_mult)
    return _built(
        row,
        kind=kind,
        base=base,
        quote=quote,
        settle=row.settle_ccy,
        contract=Decimal(numbers.to_text(contract)),
        inverse=inverse,
        ends_ms=ends_ms,
    )


def _built(
    row: InstrumentRow,
    *,
    kind: InstrumentKind,
    base: str,
    quote: str,
    settle: str,
    contract: Decimal,
    inverse: bool,
    ends_ms: int | None,
) -> Instrument:
    tick = numbers.positive("tickSz", row.tick_sz)
    lot = numbers.positive("lotSz", row.lot_sz)
    price_digits = max(PRICE_DIGITS, numbers.scale_of(tick))
    size_digits = max(SIZE_DIGITS, numbers.scale_of(lot))
    most = numbers.optional_decimal("maxLmtSz", row.max_lmt_sz)
    return Instrument(
        id=instrument_id(row.inst_id),
        kind=kind,
        base=base,
        quote=quote,
        settle=settle,
        price_digits=price_digits,
        size_digits=size_digits,
        money_digits=MONEY_DIGITS,
        tick_size=numbers.to_scale("tickSz", tick, price_digits),
        lot_size=numbers.to_scale("lotSz", lot, size_digits),
        minimum_size=numbers.scaled("minSz", row.min_sz, size_digits),
        maximum_size=None if most is None else numbers.floor_to_scale(most, size_digits),
        contract=contract,
        inverse=inverse,
        group=row.inst_family or row.uly,
        ends_ms=ends_ms,
    )


def _code(written: int | str | None) -> int | None:
    if written is None or written == "":
        return None
    return written if isinstance(written, int) else numbers.whole("instIdCode", written)


class Directory:
    """The instruments that are known, by OKX's names."""

    def __init__(self) -> None:
        self._listings: dict[str, Listing] = {}
        self._refused: dict[str, str] = {}

    def put(self, listings: Iterable[Listing]) -> None:
        """Take over listings, in the place of those of the same name."""
        for one in listings:
            self._listings[one.instrument.symbol] = one

    def refuse(self, symbol: str, why: str) -> None:
        """Note an instrument that exists and is not traded here: rows about it are left alone."""
        self._refused[symbol] = why

    def refused(self, symbol: str) -> bool:
        """Return whether an instrument is known, and not traded here."""
        return symbol in self._refused and symbol not in self._listings

    def get(self, symbol: str) -> Listing | None:
        """Return a listing; None: not known."""
        return self._listings.get(symbol)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._listings


class TierRow(msgspec.Struct, frozen=True, rename="camel"):
    """A row of `/public/position-tiers`."""

    tier: str
    min_sz: str
    max_sz: str
    mmr: str
    imr: str
    max_lever: str
    inst_family: str = ""
    inst_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The leverage and margin that a position of a size may have."""

    number: int
    least_size: Decimal
    """In contracts."""
    max_size: Decimal
    maintenance_rate: Decimal
    initial_rate: Decimal
    max_leverage: Decimal


def tiers(rows: Iterable[TierRow]) -> tuple[Tier, ...]:
    """Return the tiers of one instrument or family, smallest first. Raises NumberError."""
    found = [
        Tier(
            number=numbers.whole("tier", row.tier),
            least_size=numbers.decimal("minSz", row.min_sz),
            max_size=numbers.decimal("maxSz", row.max_sz),
            maintenance_rate=numbers.positive("mmr", row.mmr),
            initial_rate=numbers.positive("imr", row.imr),
            max_leverage=numbers.positive("maxLever", row.max_lever),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda one: one.number))


def max_leverage(of: Iterable[Tier], contracts: Decimal) -> Decimal | None:
    """Return the highest leverage of a position of so many contracts; None: none may be so big."""
    return next((tier.max_leverage for tier in of if contracts <= tier.max_size), None)
