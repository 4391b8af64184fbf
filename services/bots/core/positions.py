"""Positions as the exchange tells them, beside what the fills of all bots of a wallet make. Pure.

More than the bots hold belongs to strangers, and is left alone. Less is missing: nothing opens in
that instrument until a fill, or a person, explains it. What stays missing while nothing is under
way was traded elsewhere: the bots' holdings follow, or their exits would be refused for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from services.bots.core.holding import Holding
from services.bots.core.orders import BotOrder
from tradingtools.domain.bot_order_states import ENDED, BotOrderState, PendingRequest
from tradingtools.domain.instrument import Instrument, InstrumentKind
from tradingtools.venues.trading import AccountState

SETTLES_MS = 3_000
"""A difference that is younger may be a fill that is still on its way to us."""

CORRECTED_AFTER_MS = 60_000
"""Milliseconds after which a missing position counts as traded elsewhere; no order is under way."""
CLOSING_AFTER_MS = 10_000
"""The same while a stop closes what is held, which cannot wait that long."""
_RESTS = (BotOrderState.OPEN, BotOrderState.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A position that is not what the bots' fills make. Sizes in the instrument's units."""

    instrument_id: str
    believed: int
    held: int
    since_ms: int
    """When it was seen first."""

    @property
    def missing(self) -> int:
        """Return the size that bots believe in and the exchange does not have; 0: a stranger's."""
        if not self.believed:
            return 0
        short = self.believed - self.held if self.believed > 0 else self.held - self.believed
        return max(short, 0)


def believed(holdings: Iterable[Mapping[str, Holding]]) -> dict[str, int]:
    """Return the size that all bots together believe to hold, by instrument."""
    total: dict[str, int] = {}
    for one in holdings:
        for instrument_id, held in one.items():
            total[instrument_id] = total.get(instrument_id, 0) + held.size
    return total


def held(
    account: AccountState, instruments: Iterable[Instrument], believed: Mapping[str, int]
) -> dict[str, int]:
    """Return what the exchange says is held, by instrument.

    Of a spot market it is the coins that bots do not believe to hold by another market.

    Args:
        account: as the exchange tells it.
        instruments: which ones.
        believed: what all bots together believe to hold, by instrument.
    """
    positions = {one.instrument_id: one.size for one in account.positions}
    coins = {one.currency: one.total for one in account.balances}
    listed = list(instruments)
    found = {}
    for one in listed:
        if one.kind is InstrumentKind.SPOT:
            total = coins.get(one.base, Decimal(0)) - _coins_of_others(one, listed, believed)
            scaled = total.scaleb(one.size_digits)
            found[one.id] = int(scaled.to_integral_value(ROUND_FLOOR))
        else:
            found[one.id] = positions.get(one.id, 0)
    return found


def _coins_of_others(
    mine: Instrument, instruments: Iterable[Instrument], believed: Mapping[str, int]
) -> Decimal:
    return sum(
        (
            Decimal(max(believed.get(one.id, 0), 0)).scaleb(-one.size_digits)
            for one in instruments
            if one.kind is InstrumentKind.SPOT and one.base == mine.base and one.id != mine.id
        ),
        Decimal(0),
    )


def corrected_after_ms(*, closing: bool) -> int:
    """Return how long something has to be missing before it counts as traded elsewhere."""
    return CLOSING_AFTER_MS if closing else CORRECTED_AFTER_MS


def is_under_way(orders: Iterable[BotOrder], instrument: Instrument) -> bool:
    """Return whether an order may have moved a position without anybody here knowing it.

    One that rests, without a request under way, has its fills told and booked.

    Args:
        orders: of all bots of the account that are not settled.
        instrument: of the position.
    """
    return any(_moves(one, instrument) and not _is_certain(one) for one in orders)


def _moves(one: BotOrder, instrument: Instrument) -> bool:
    of = one.order.instrument
    if instrument.kind is InstrumentKind.SPOT and of.kind is InstrumentKind.SPOT:
        return instrument.base in (of.base, of.quote)
    return of.id == instrument.id


def _is_certain(one: BotOrder) -> bool:
    known = one.reported_filled <= one.filled + sum(one.undone.values())
    rests = one.state in _RESTS and one.pending is PendingRequest.NONE and one.change is None
    return known and (rests or one.state in ENDED)


def compared(
    before: Mapping[str, int],
    after: Mapping[str, int],
    reported: Mapping[str, int],
    known: Mapping[str, Difference],
    now_ms: int,
) -> dict[str, Difference]:
    """Return the differences by instrument, each since it was seen first.

    Args:
        before: what bots believed when the exchange was asked.
        after: what they believed when it had answered.
        reported: its answer.
        known: the differences of the comparison before.
        now_ms: milliseconds since the epoch.
    """
    found: dict[str, Difference] = {}
    for instrument_id, size in reported.items():
        mine = after.get(instrument_id, 0)
        old = known.get(instrument_id)
        if before.get(instrument_id, 0) != mine:
            # It traded meanwhile: nobody knows on which side of the answer.
            if old is not None:
                found[instrument_id] = old
            continue
        if size == mine:
            continue
        same = old is not None and old.held - old.believed == size - mine
        since = old.since_ms if same and old is not None else now_ms
        found[instrument_id] = Difference(
            instrument_id=instrument_id, believed=mine, held=size, since_ms=since
        )
    return found
