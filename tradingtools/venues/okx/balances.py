"""Balances and positions, put together from pushes that tell only what changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tradingtools.domain.instrument import Instrument
from tradingtools.venues.okx import numbers
from tradingtools.venues.okx.account_frames import TRADED, UnknownInstrument
from tradingtools.venues.okx.instruments import Directory
from tradingtools.venues.okx.numbers import NumberError
from tradingtools.venues.okx.wire import WireError, decode_rows
from tradingtools.venues.trading import AccountPosition, AccountState, Balance, Liquidation


class BalanceRow(msgspec.Struct, frozen=True, rename="camel"):
    """One currency."""

    ccy: str
    cash_bal: str = ""
    avail_bal: str = ""
    avail_eq: str = ""


class AccountRow(msgspec.Struct, frozen=True, rename="camel"):
    """An account, of the channel `account` and of `/account/balance`."""

    details: list[BalanceRow]
    u_time: str = ""


class PositionRow(msgspec.Struct, frozen=True, rename="camel"):
    """A position, of the channels `positions` and `liquidation-warning`, and of REST."""

    inst_type: str
    inst_id: str
    pos: str
    pos_side: str = "net"
    mgn_mode: str = ""
    avg_px: str = ""
    mark_px: str = ""
    liq_px: str = ""
    lever: str = ""
    mgn_ratio: str = ""
    u_time: str = ""


_ACCOUNTS = msgspec.json.Decoder(list[AccountRow])
_POSITIONS = msgspec.json.Decoder(list[PositionRow])


class AccountBook:
    """The last that was told of each currency and each position."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._balances: dict[str, Balance] = {}
        self._positions: dict[tuple[str, str], AccountPosition] = {}
        self._venue_ms = 0

    @property
    def state(self) -> AccountState:
        """Return the account as of the last push."""
        return AccountState(
            balances=tuple(self._balances.values()),
            positions=tuple(one for one in self._positions.values() if one.size),
            venue_ms=self._venue_ms,
        )

    def balances(self, data: msgspec.Raw, *, whole: bool = False) -> None:
        """Take over rows of the channel, or with `whole` of REST. Raises WireError."""
        rows = decode_rows(data, _ACCOUNTS)
        read = [(_balance(one), row) for row in rows for one in row.details]
        if whole:
            self._balances.clear()
        for balance, _ in read:
            self._balances[balance.currency] = balance
        self._seen(row.u_time for row in rows)

    def positions(self, data: msgspec.Raw, *, whole: bool = False) -> None:
        """Take over rows of the channel, or with `whole` of REST.

        Raises:
            UnknownInstrument: one of a kind that is traded, but not known.
            WireError: a row that cannot be read, or of a position that is not net.
        """
        rows = [row for row in decode_rows(data, _POSITIONS) if self._traded(row)]
        read = {(row.inst_id, row.mgn_mode): self._position(row) for row in rows}
        if whole:
            self._positions.clear()
        self._positions.update(read)
        self._seen(row.u_time for row in rows)

    def warnings(self, data: msgspec.Raw) -> Iterator[Liquidation]:
        """Yield the warnings of the channel `liquidation-warning`. Raises as `positions`."""
        for row in decode_rows(data, _POSITIONS):
            if not self._traded(row):
                continue
            position = self._position(row)
            yield Liquidation(
                instrument_id=position.instrument_id,
                cause="liquidation_warning",
                detail=f"position {row.pos}, mark {row.mark_px or '-'}, "
                f"margin ratio {row.mgn_ratio or '-'}",
                venue_ms=numbers.whole("uTime", row.u_time),
            )

    def _traded(self, row: PositionRow) -> bool:
        return row.inst_type in TRADED and not self._directory.refused(row.inst_id)

    def _position(self, row: PositionRow) -> AccountPosition:
        listing = self._directory.get(row.inst_id)
        if listing is None:
            raise UnknownInstrument(row.inst_id)
        if row.pos_side != "net":
            raise WireError(f"position in {row.inst_id} is {row.pos_side}: the mode must be net")
        try:
            return _account_position(row, listing.instrument)
        except NumberError as error:
            raise WireError(f"position in {row.inst_id}: {error}") from None

    def _seen(self, times: Iterable[str]) -> None:
        for text in times:
            self._venue_ms = max(self._venue_ms, int(text) if text.isdecimal() else 0)


def _account_position(row: PositionRow, instrument: Instrument) -> AccountPosition:
    return AccountPosition(
        instrument_id=instrument.id,
        size=numbers.scaled("pos", row.pos or "0", instrument.size_digits),
        entry_price=numbers.optional_decimal("avgPx", row.avg_px),
        mark_price=numbers.optional_decimal("markPx", row.mark_px),
        liquidation_price=numbers.optional_decimal("liqPx", row.liq_px),
        leverage=numbers.optional_decimal("lever", row.lever),
        margin_ratio=numbers.optional_decimal("mgnRatio", row.mgn_ratio),
    )


def _balance(row: BalanceRow) -> Balance:
    try:
        return Balance(
            currency=row.ccy,
            total=numbers.decimal("cashBal", row.cash_bal),
            available=numbers.decimal("availBal", row.avail_bal or row.avail_eq),
        )
    except NumberError as error:
        raise WireError(f"balance of {row.ccy}: {error}") from None
