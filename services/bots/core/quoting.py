"""The requests that bring a bot's orders to its quotes, within permits, lease and risk.

It sends nothing that its venue could take after the lease ends, nothing without a permit, and
nothing that risk does not let in; cancels need none of the three.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from services.bots.core import orders, permit, risk
from services.bots.core.holding import Holding
from services.bots.core.market import Market
from services.bots.core.order_table import OrderTable
from services.bots.core.orders import BotOrder
from services.bots.core.permit import Permit
from services.bots.core.reconcile import (
    AmendNeeded,
    CancelNeeded,
    PlaceNeeded,
    desired,
    time_at,
)
from services.bots.core.requests import DEADLINE_MS, REFUSED_PAUSE_MS, PermitRequest, Request
from services.bots.core.risk import CONTRACTS, Closed, Exposure
from services.bots.core.risk.shares import Refused, ShareRequest, ShareUpdate
from services.bots.core.setup import Setup
from services.bots.core.strategy import Quote
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import (
    AT_ONCE,
    AmendOrder,
    NewOrder,
    Receipt,
    RestingTime,
    TradingCapabilities,
)

MINUTE_MS = 60_000


class Quoting:
    """See the module.

    Args:
        setup: of the bot.
        table: its orders.
        market: its markets.
        holdings: by instrument; the bot's own, which changes.
        number: of the next order.
        lease_until_ms: nothing leaves that could be taken later.
    """

    def __init__(
        self,
        setup: Setup[Any],
        table: OrderTable,
        market: Market,
        holdings: Mapping[str, Holding],
        *,
        number: int,
        lease_until_ms: int,
    ) -> None:
        self.number = number
        self.lease_until_ms = lease_until_ms
        self.desired: dict[str, Quote] = {}
        """The order that should stand, by slot."""
        self.inherits_until_ms = 0
        """Orders of former owners stand until then, unless something else is wanted."""
        self.refusals: dict[str, str] = {}
        """Why the quote of a slot does not stand, by slot."""
        self.closing = False
        """Only what reduces a holding is wanted any more."""
        self.closed: Closed = {}
        """Sides of instruments on which nothing opens, and why."""
        self.shortfalls: Collection[str] = ()
        """Instruments of which the account holds less than its bots believe."""
        self.opposed: Collection[str] = ()
        """Instruments in which other bots of the account hold the other side."""
        self.money: Mapping[str, Decimal] | None = None
        """Of the account, by currency; None: not told yet."""
        self._setup = setup
        self._table = table
        self._market = market
        self._holdings = holdings
        self._permits: dict[tuple[str, Side], Permit] = {}
        self._requested: set[tuple[str, Side]] = set()
        self._sent: deque[int] = deque()
        self._resting_until_ms: dict[str, int] = {}
        self._refused_whole: set[str] = set()
        """Slots whose quote closes more than is held, and was not let in."""
        self._ending: set[str] = set()
        """Orders that have to end, whatever is wanted."""

    @property
    def unquoted(self) -> bool:
        """Return whether orders are wanted and none stands."""
        return bool(self.desired) and not self._table.standing

    def want(self, quotes: Iterable[Quote]) -> None:
        """Let quotes stand from now on, each in its slot."""
        for quote in quotes:
            self.desired[quote.slot] = quote

    def clear(self) -> None:
        """Let nothing stand any more."""
        self.desired.clear()
        self._refused_whole.clear()
        self.inherits_until_ms = 0

    def withdraw(self, slot: str) -> None:
        """Let nothing stand in a slot any more."""
        self.desired.pop(slot, None)
        self.refusals.pop(slot, None)

    def refused(self, slot: str, receipt: Receipt, now_ms: int) -> None:
        """Let a slot rest whose order its venue has refused."""
        self._resting_until_ms[slot] = now_ms + REFUSED_PAUSE_MS
        self.refusals[slot] = f"refused by its venue: {receipt.code} {receipt.detail}".strip()

    def retune(self, setup: Setup[Any]) -> None:
        """Go by other settings and limits from now on."""
        self._setup = setup

    def end_all(self) -> None:
        """End every order that may fill now, on its way or not; what is wanted is placed anew."""
        self._ending = {one.order.order_id for one in self._table.unsettled()}

    def granted(self, given: Permit, share: int | None) -> None:
        """Take a permit that is durable now, with the whole share of its side if one was asked."""
        key = given.instrument_id, given.side
        self._requested.discard(key)
        self._permits[key] = given
        if self._setup.shares is not None and share is not None:
            self._setup.shares.given(*key, share)

    def denied(self, requested: Permit, why: str, now_ms: int) -> None:
        """Take that a permit was not made durable; it is asked for again when it is needed."""
        self._requested.discard((requested.instrument_id, requested.side))
        if self._setup.shares is None:
            return
        if why:
            self._setup.shares.refused(requested.instrument_id, requested.side, why, now_ms)
        else:
            self._setup.shares.undecided(requested.instrument_id, requested.side)

    def retained_shares(self, now_ms: int, *, reconciled: bool) -> list[ShareUpdate]:
        """Return the shares as they are to be written."""
        if self._setup.shares is None:
            return []
        return self._setup.shares.settle(
            self.exposure(now_ms),
            requested=self._requested,
            doubted=self._market.doubted,
            reconciled=reconciled,
            now_ms=now_ms,
        )

    def exposure(self, now_ms: int) -> Exposure:
        """Return what risk judges."""
        while self._sent and self._sent[0] <= now_ms - MINUTE_MS:
            self._sent.popleft()
        return Exposure(
            holdings=self._holdings,
            orders=self._table.unsettled(),
            instruments=self._market.instruments,
            marks=self._market.marks_at(now_ms),
            sent_last_minute=len(self._sent),
            money=self.money,
            closed=self.closed,
        )

    def requests(self, now_ms: int) -> list[Request]:
        """Return what has to leave now, slot by slot."""
        found: list[Request] = []
        for slot in dict.fromkeys((*self._table.slots, *self.desired)):
            one = self._request(slot, now_ms)
            if one is not None:
                found.append(one)
        return found

    def _inherits(self, order: BotOrder, now_ms: int) -> bool:
        return order.epoch < self._setup.epoch and now_ms < self.inherits_until_ms

    def _request(self, slot: str, now_ms: int) -> Request | None:
        quote = self.desired.get(slot)
        order = self._table.last_of(slot)
        if quote is None and order is None:
            return None
        named = quote.instrument_id if quote else order.order.instrument.id if order else ""
        instrument = self._market.instruments[named]
        if order is not None and self._has_to_end(slot, order, now_ms):
            quote = None
        elif quote is None and order is not None and self._inherits(order, now_ms):
            return None
        if quote is not None:
            quote = self._let_in(quote, order, instrument, now_ms)
            quote = self._reducing(quote, order, instrument, now_ms)
        able = self._setup.capabilities[instrument.venue]
        want = desired(quote, order, instrument, able)
        if want is None:
            return None
        if isinstance(want, CancelNeeded):
            return self._table.cancel(want.order, now_ms)
        if isinstance(want, AmendNeeded):
            return self._amend(slot, want, instrument, now_ms)
        return self._place(slot, want, instrument, now_ms)

    def _let_in(
        self, quote: Quote, order: BotOrder | None, instrument: Instrument, now_ms: int
    ) -> Quote:
        """Return a quote cut to what it closes, as long as no more than that is let in."""
        if quote.slot not in self._refused_whole:
            return quote
        seen = self.exposure(now_ms) if order is None else self._without(order, now_ms)
        part = self._closing_part(seen, quote.side, quote.size, instrument)
        breach = risk.admits(
            self._setup.limits,
            seen,
            instrument=instrument,
            side=quote.side,
            price=quote.price,
            size=quote.size,
            now_ms=now_ms,
            # A number of orders keeps all of it waiting.
            stopping=True,
        )
        shares = self._setup.shares
        lacks = shares and shares.shortfalls(
            seen, instrument, quote.side, quote.price, quote.size, now_ms
        )
        if not part or not (breach or lacks):
            self._refused_whole.discard(quote.slot)
            return quote
        return replace(quote, size=part)

    def _closing_part(self, seen: Exposure, side: Side, size: int, instrument: Instrument) -> int:
        """Return how much of a quote closes what is held; 0: all of it does, or nothing."""
        held = self._holdings.get(instrument.id, Holding()).size * (1 if side == "SELL" else -1)
        part = instrument.size_in_lots(max(held - risk.reserved(seen, instrument.id, side), 0))
        return part if part < size else 0

    def _refuse_whole(self, slot: str, side: Side, size: int, instrument: Instrument) -> None:
        """Have an exit that would also open tried again as an exit alone."""
        held = self._holdings.get(instrument.id, Holding()).size * (1 if side == "SELL" else -1)
        if 0 < held < size:
            self._refused_whole.add(slot)

    def _reducing(
        self, quote: Quote, order: BotOrder | None, instrument: Instrument, now_ms: int
    ) -> Quote:
        """Return a quote that is reduce-only just where that is right for the whole account."""
        held = self._holdings.get(instrument.id, Holding()).size
        closes = instrument.kind in CONTRACTS and held * (1 if quote.side == "SELL" else -1) > 0
        if closes and instrument.id in self.shortfalls:
            # What is not there cannot be closed: an exit would open the other side.
            return replace(quote, reduce_only=True)
        # One that rests so stays so: each time another bot crosses zero it would be sent anew.
        plain = order is not None and not order.order.reduce_only
        if not closes or not quote.reduce_only or not (plain or instrument.id in self.opposed):
            return quote
        seen = self.exposure(now_ms) if order is None else self._without(order, now_ms)
        if not risk.reduces(seen, instrument.id, quote.side, quote.size):
            return quote
        # The exchange would cut it to what the account holds, or refuse it for ever.
        return replace(quote, reduce_only=False)

    def _place(
        self, slot: str, want: PlaceNeeded, instrument: Instrument, now_ms: int
    ) -> Request | None:
        quote = want.quote
        if now_ms < self._resting_until_ms.get(slot, 0):
            return None
        size = instrument.size_in_lots(quote.size)
        until = now_ms + DEADLINE_MS
        if not self._admits(slot, instrument, quote.side, quote.price, size, now_ms):
            self._refuse_whole(slot, quote.side, size, instrument)
            return None
        share = self._lacks(slot, instrument, quote.side, quote.price, size, now_ms)
        if isinstance(share, Refused):
            self._refuse_whole(slot, quote.side, size, instrument)
            return None
        given = self._permit(instrument, quote.side, self.number, quote.price, size, until, share)
        if isinstance(given, PermitRequest | None):
            return given
        self._permits[instrument.id, quote.side] = given.spend(size)
        able = self._setup.capabilities[instrument.venue]
        new = NewOrder(
            order_id=self._next_id(now_ms),
            instrument=instrument,
            side=quote.side,
            price=quote.price,
            size=size,
            time_in_force=time_at(able, quote.time_in_force),
            post_only=quote.post_only,
            reduce_only=quote.reduce_only,
            expires_ms=_expiry(able, quote.time_in_force, now_ms),
            not_after_ms=until,
            created_ms=now_ms,
        )
        mine = orders.intend(new, bot_id=self._setup.bot_id, epoch=self._setup.epoch, able=able)
        self._table.keep(slot, orders.sending(mine))
        if quote.time_in_force in AT_ONCE:
            del self.desired[slot]
        return new

    def _amend(
        self, slot: str, want: AmendNeeded, instrument: Instrument, now_ms: int
    ) -> Request | None:
        order, until = want.order, now_ms + DEADLINE_MS
        price = order.price if want.price is None else want.price
        whole = want.size or order.size
        more = max(whole - order.size, 0)
        worse = price > order.price if order.order.side == "BUY" else price < order.price
        left = whole - order.filled
        # It is judged as a new order in the place of the old one.
        if (more or worse) and not self._admits(
            slot, instrument, order.order.side, price, left, now_ms, without=order
        ):
            self._refuse_whole(slot, order.order.side, left, instrument)
            return self._table.cancel(order, now_ms)
        share = self._lacks(slot, instrument, order.order.side, price, more, now_ms)
        if isinstance(share, Refused):
            # Where it stands it is not wanted any more.
            return self._table.cancel(order, now_ms) if share.why else None
        given = self._permit(instrument, order.order.side, None, price, more, until, share)
        if isinstance(given, PermitRequest | None):
            return given
        self._permits[instrument.id, order.order.side] = given.spend(more)
        change = AmendOrder(
            order_id=order.order.order_id,
            request_id=self._next_id(now_ms),
            venue_order_id=order.venue_order_id,
            instrument=instrument,
            price=want.price,
            size=want.size,
            not_after_ms=until,
        )
        self._table.keep(slot, orders.amending(order, change))
        return change

    def _has_to_end(self, slot: str, order: BotOrder, now_ms: int) -> bool:
        if order.order.order_id in self._ending and not order.settled:
            return True
        return bool(self.closed) and self._is_closed(slot, order, now_ms)

    def _is_closed(self, slot: str, order: BotOrder, now_ms: int) -> bool:
        """Return whether an order that may fill would open what nothing opens any more."""
        side, instrument_id = order.order.side, order.order.instrument.id
        why = self.closed.get((instrument_id, side))
        if why is None or order.settled:
            return False
        others = self._without(order, now_ms)
        if risk.reduces(others, instrument_id, side, order.reserved):
            return False
        self.refusals[slot] = f"{why.limit}: {why.detail}"
        return True

    def _without(self, order: BotOrder, now_ms: int) -> Exposure:
        seen = self.exposure(now_ms)
        return replace(seen, orders=[one for one in seen.orders if one != order])

    def _next_id(self, now_ms: int) -> str:
        name = permit.order_id(self._setup.bot_id, self._setup.epoch, self.number)
        self.number += 1
        self._sent.append(now_ms)
        return name

    def _admits(
        self,
        slot: str,
        instrument: Instrument,
        side: Side,
        price: int,
        size: int,
        now_ms: int,
        *,
        without: BotOrder | None = None,
    ) -> bool:
        seen = self.exposure(now_ms) if without is None else self._without(without, now_ms)
        breach = risk.admits(
            self._setup.limits,
            seen,
            instrument=instrument,
            side=side,
            price=price,
            size=size,
            now_ms=now_ms,
            stopping=self.closing,
        )
        if breach is None:
            self.refusals.pop(slot, None)
            return True
        self.refusals[slot] = f"{breach.limit}: {breach.detail}"
        return False

    def _lacks(
        self, slot: str, instrument: Instrument, side: Side, price: int, size: int, now_ms: int
    ) -> ShareRequest | Refused | None:
        """Return the share that an order needs besides, or why it has to wait."""
        if self._setup.shares is None:
            return None
        seen = self.exposure(now_ms)
        found = self._setup.shares.shortfalls(seen, instrument, side, price, size, now_ms)
        if isinstance(found, Refused) and found.why:
            self.refusals[slot] = found.why
        return found

    def _permit(
        self,
        instrument: Instrument,
        side: Side,
        number: int | None,
        price: int,
        size: int,
        until_ms: int,
        share: ShareRequest | None,
    ) -> Permit | PermitRequest | None:
        if until_ms > self.lease_until_ms:
            return None
        key = instrument.id, side
        given = self._permits.get(key)
        if (
            share is None
            and given is not None
            and given.covers(
                number=given.first if number is None else number,
                price=price,
                size=size,
                until_ms=until_ms,
            )
        ):
            return given
        if key in self._requested:
            return None
        self._requested.add(key)
        return PermitRequest(
            permit.requested(
                bot_id=self._setup.bot_id,
                epoch=self._setup.epoch,
                instrument=instrument,
                side=side,
                number=self.number if number is None else number,
                price=price,
                size=max(size, instrument.minimum_size),
                expires_ms=self.lease_until_ms,
            ),
            share,
            closes=self.closing,
        )


def _expiry(able: TradingCapabilities, time: RestingTime, now_ms: int) -> int | None:
    """Return when an order ends by itself; None: it does not."""
    if able.rests_for_ms is None or time_at(able, time) is not RestingTime.GTD:
        return None
    return now_ms + able.rests_for_ms
