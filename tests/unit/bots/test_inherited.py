"""Quotes that were handed over stand until their strategy has its book, or for a while."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from services.bots.core.bot import Bot
from services.bots.core.orders import (
    BotOrder,
    answered,
    cancelling,
    intend,
    reported,
    sending,
)
from services.bots.core.requests import PermitRequest, Request
from services.bots.core.setup import Setup
from services.bots.core.strategy import (
    BookEvent,
    Intent,
    Quote,
    SignalEvent,
    StrategyEvent,
    View,
    Withdraw,
)
from tests.unit.bots.samples import AMENDS, book, swap
from tradingtools.domain.bot_order_states import PendingRequest
from tradingtools.domain.bot_states import BotState
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    NewOrder,
    OrderReport,
    OrderStatus,
    Receipt,
)

ONE = swap()
NOW = 1_000_000
LEASE_MS = NOW + 60_000
UNTIL_MS = NOW + 5_000
FRESH = book(ONE, [(640_000, 9)], [(640_001, 9)])


class NeedsBook:
    """Quotes beside the book; without one it wants nothing. It counts the signals it hears."""

    def begin(self, config: int) -> int:
        return 0

    def on(
        self, config: int, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        state += isinstance(event, SignalEvent)
        seen = view.books.get(ONE.id)
        if seen is None:
            return state, (Withdraw(slot="bid"),)
        price = seen.bids[0][0] - config
        quote = Quote(slot="bid", instrument_id=ONE.id, side="BUY", price=price, size=10)
        return state, (quote,)

    def explain(self, config: int, state: int, view: View) -> Mapping[str, str]:
        return {}


def resting(price: int) -> BotOrder:
    """Return an order that the owner before left in the book."""
    new = NewOrder(
        order_id="bot1e1n1", instrument=ONE, side="BUY", price=price, size=10, not_after_ms=NOW
    )
    sent = sending(intend(new, bot_id="bot1", epoch=1))
    taken = answered(sent, PendingRequest.PLACE, Receipt(meaning=Meaning.ACCEPTED))
    report = OrderReport(
        order_id="bot1e1n1", venue_order_id="v1", instrument_id=ONE.id, side="BUY",
        status=OrderStatus.OPEN, price=price, size=10, filled_size=0, venue_ms=NOW,
    )  # fmt: skip
    return reported(taken, report)


def handed_over(away: int, *, until_ms: int = UNTIL_MS) -> Bot[int, int]:
    setup = Setup(
        bot_id="bot1", epoch=2, config=away, instruments={ONE.id: ONE}, capabilities={"okx": AMENDS}
    )
    return Bot(
        setup,
        NeedsBook(),
        0,
        orders_=[("bid", resting(639_990))],
        lease_until_ms=LEASE_MS,
        inherits_until_ms=until_ms,
    )


def sent(bot: Bot[int, int], requests: list[Request]) -> list[Request]:
    """Return the requests about orders, once permits are granted."""
    found: list[Request] = []
    for one in requests:
        if isinstance(one, PermitRequest):
            found += sent(bot, bot.granted(one.permit, NOW))
        else:
            found.append(one)
    return found


def test_a_quote_stands_until_the_book_is_there_and_is_changed_then() -> None:
    bot = handed_over(20)
    assert sent(bot, bot.run(NOW)) == []
    assert sent(bot, bot.tick(NOW + 1_000)) == []
    (change,) = sent(bot, bot.market(FRESH, NOW + 1_200))
    assert isinstance(change, AmendOrder)
    assert change.price == 639_980


class HearsBooks(NeedsBook):
    """Counts the books that it is told of, each by its event."""

    def on(
        self, config: int, state: int, event: StrategyEvent, view: View
    ) -> tuple[int, tuple[Intent, ...]]:
        del config, view
        return state + isinstance(event, BookEvent), ()


def test_books_that_came_while_it_waited_are_heard_though_they_never_change() -> None:
    other = swap(inverse=True)
    instruments = {one.id: one for one in (ONE, other)}
    setup = Setup(
        bot_id="bot1", epoch=2, config=0, instruments=instruments, capabilities={"okx": AMENDS}
    )
    bot = Bot(setup, HearsBooks(), 0, lease_until_ms=LEASE_MS, inherits_until_ms=UNTIL_MS)
    bot.run(NOW)
    bot.market(FRESH, NOW)
    bot.market(FRESH, NOW)
    assert bot.state == 0
    bot.market(book(other, [(640_000, 9)], [(640_001, 9)]), NOW + 10)
    assert bot.state == 2  # each of the two, once
    bot.market(FRESH, NOW + 20)
    assert bot.state == 3


def test_a_quote_that_is_still_right_is_not_touched() -> None:
    bot = handed_over(10)
    assert sent(bot, bot.run(NOW)) == []
    assert sent(bot, bot.market(FRESH, NOW + 1_200)) == []


def test_a_signal_is_heard_at_once_and_the_quote_stands() -> None:
    bot = handed_over(20)
    assert sent(bot, bot.run(NOW)) == []
    signal = SignalEvent(
        signal_id="up", instrument_id=ONE.id, direction=1, confidence=Decimal("0.8"), made_ms=NOW
    )
    assert sent(bot, bot.received(signal, NOW + 1_000)) == []
    assert bot.state == 1
    (change,) = sent(bot, bot.market(FRESH, NOW + 1_200))
    assert isinstance(change, AmendOrder)


def test_without_a_book_it_is_cancelled_in_the_end() -> None:
    bot = handed_over(20)
    assert sent(bot, bot.run(NOW)) == []
    assert sent(bot, bot.tick(UNTIL_MS - 1)) == []
    (gone,) = sent(bot, bot.tick(UNTIL_MS))
    assert isinstance(gone, CancelOrder)


def test_who_is_told_to_end_cancels_at_once() -> None:
    bot = handed_over(20)
    (gone,) = sent(bot, bot.end(BotState.STOPPING, NOW))
    assert isinstance(gone, CancelOrder)


def test_what_is_recalled_with_a_cancel_under_way_is_cancelled_anew() -> None:
    """Its row tells of a request that nobody waits for any more: that is no defect of the bot."""
    bot = handed_over(20)
    bot.reported(ended(), NOW)
    bot.written()
    bot.restore("bid", cancelling(resting(639_990)))
    assert [type(one) for one in sent(bot, bot.end(BotState.STOPPING, NOW))] == [CancelOrder]
    bot.tick(NOW + 20_000)
    assert bot.failure is None


def ended() -> OrderReport:
    return OrderReport(
        order_id="bot1e1n1", venue_order_id="v1", instrument_id=ONE.id, side="BUY",
        status=OrderStatus.CANCELLED, price=639_990, size=10, filled_size=0, venue_ms=NOW,
    )  # fmt: skip


def test_after_a_death_nothing_that_nobody_looked_after_stands() -> None:
    bot = handed_over(20, until_ms=0)
    (gone,) = sent(bot, bot.run(NOW))
    assert isinstance(gone, CancelOrder)
