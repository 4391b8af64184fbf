"""A market maker that is alone at the top of the book: its own quotes are not its market."""

from __future__ import annotations

import pytest

from backtest.exchange import Exchange, FeeRates, Told, published
from backtest.run import Backtest
from services.bots.core.bot import AnyBot, Bot
from services.bots.core.requests import PermitRequest, Request
from services.bots.core.risk import RiskLimits
from services.bots.core.setup import Setup
from services.bots.strategies.market_making import MarketMaking
from services.bots.strategies.registry import strategy
from tests.backtest.markets import case
from tests.unit.bots.samples import AMENDS, book, swap
from tradingtools.domain.bot_order_states import PendingRequest
from tradingtools.domain.strategies import MarketMakingConfig
from tradingtools.venues.trading import AmendOrder, CancelOrder, Fill, NewOrder, Print, TradingBook

ONE = swap()
CONFIG = MarketMakingConfig(
    instrument_id=ONE.id, order_size=100, max_position=100, risk_aversion=0.02, arrival_decay=20.0,
    max_half_spread=30,
)  # fmt: skip


class Venue:
    """An exchange that answers at once and tells its book after each change, as real ones do."""

    def __init__(self, bot: AnyBot) -> None:
        self.bot = bot
        self.exchange = Exchange({ONE.id: ONE}, FeeRates())
        self.requested: list[str] = []

    def obey(self, requests: list[Request], now_ms: int) -> None:
        """Do what a bot asks for, and what it asks for when it hears of that."""
        for one in requests:
            self.bot.written()
            if isinstance(one, PermitRequest):
                self.obey(self.bot.granted(one.permit, now_ms), now_ms)
                continue
            assert isinstance(one, NewOrder | AmendOrder | CancelOrder)
            self.requested.append(type(one).__name__)
            if isinstance(one, NewOrder):
                (receipt, reported), kind = self.exchange.place(one, now_ms), PendingRequest.PLACE
            elif isinstance(one, AmendOrder):
                (receipt, reported), kind = self.exchange.amend(one, now_ms), PendingRequest.AMEND
            else:
                (receipt, reported), kind = self.exchange.cancel(one, now_ms), PendingRequest.CANCEL
            self.obey(self.bot.answered(one.order_id, kind, receipt, now_ms), now_ms)
            self.notify(reported, now_ms)

    def notify(self, reported: list[Told], now_ms: int) -> None:
        """Tell the bot of its orders."""
        for event in reported:
            if isinstance(event, Fill):
                self.obey(self.bot.filled(event, now_ms), now_ms)
            else:
                self.obey(self.bot.reported(event, now_ms), now_ms)


def sold(price: int) -> Print:
    """Return a print of a stranger who sells so much that a bid at the price is filled."""
    return Print(
        instrument_id=ONE.id, trade_id="1", side="SELL", price=price, size=100, venue_ms=1_200
    )


def test_it_does_not_follow_its_own_quotes() -> None:
    setup = Setup(
        bot_id="b", epoch=1, config=CONFIG, instruments={ONE.id: ONE}, capabilities={"okx": AMENDS}
    )
    bot: AnyBot = Bot(setup, MarketMaking(), MarketMaking().begin(CONFIG), lease_until_ms=2**62)
    venue = Venue(bot)
    strangers = book(ONE, [(639_500, 300)], [(640_501, 300)], venue_ms=1_000)
    venue.exchange.market(strangers)
    venue.obey(bot.run(1_000), 1_000)

    venue.obey(bot.market(venue.exchange.shown(strangers), 1_100), 1_100)
    (bid,) = (one.price for one in bot.view(0).standing.values() if one.side == "BUY")
    venue.notify(venue.exchange.market(sold(bid)), 1_200)
    venue.requested.clear()

    for n in range(100):
        now = 2_000 + 100 * n
        venue.obey(bot.market(venue.exchange.shown(strangers), now), now)

    # It holds all that it may, so that it offers alone. What others have there has not changed: the
    # offer stays where it is, and the mid is theirs.
    (offer,) = bot.view(0).standing.values()
    assert venue.requested == []
    assert (offer.side, offer.price) == ("SELL", 640_001)
    assert bot.state.mid == 64_000.05


class Watched(Exchange):
    """Compares each book that it shows with its matching's."""

    compared = 0

    def shown(self, reported: TradingBook) -> TradingBook:
        found = super().shown(reported)
        matching = published(reported, ONE, self._books[ONE.id])
        assert (found.bids, found.asks) == (matching.bids, matching.asks)
        self.compared += found != reported
        return found


@pytest.mark.parametrize("name", ["grid", "market_making"])
def test_the_book_that_a_backtest_shows_is_that_of_its_matching(name: str) -> None:
    one = case(name, ("okx",), 60)
    exchange = Watched({ONE.id: ONE}, one.fees)
    test = Backtest(
        strategy(name), one.config, {ONE.id: ONE}, limits=RiskLimits(max_position=one.most),
        exchange=exchange,
    )  # fmt: skip

    outcome = test.run(one.tape)

    assert outcome.fills
    assert exchange.compared > 50
