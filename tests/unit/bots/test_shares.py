"""Shares of one bot: no order leaves that they do not cover, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.bots.core.holding import Holding
from services.bots.core.orders import BotOrder
from services.bots.core.requests import PermitRequest
from services.bots.core.risk import Exposure, MarkPoint, RiskLimits, breach, shares
from services.bots.core.risk.shares import Key, Refused, ShareRequest, Shares
from services.bots.core.risk.worth import ONE, money_micros, par, worth_micros
from tests.unit.bots.samples import AMENDS, book, outcome, swap
from tests.unit.bots.simulated import Run
from tests.unit.bots.test_bot import Wants, quoted, started
from tests.unit.bots.test_risk import exposure, order
from tradingtools.domain.bot_risk import RiskLimit
from tradingtools.domain.bot_states import BotState
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import CancelOrder, NewOrder

SWAP = swap()
RATES = par(["USDT", "USD"])
SIDES: tuple[Side, Side] = ("BUY", "SELL")
STEP = st.tuples(
    st.sampled_from(["order", "order", "fill", "cancel", "mark", "keep", "race"]),
    st.sampled_from(["BUY", "SELL"]),
    st.integers(1, 60),
)


class Ledger:
    """The database: the shares that are written, of which a limit is never passed."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows: dict[Key, int] = {}

    def take(self, desired: ShareRequest) -> int | None:
        key = desired.instrument_id, desired.side
        others = sum(one for other, one in self.rows.items() if other != key)
        for ask in (desired.want, desired.need):
            if max(ask, self.rows.get(key, 0)) + others <= self.most:
                self.rows[key] = max(ask, self.rows.get(key, 0))
                return self.rows[key]
        return None


class Course:
    """A bot that orders, is filled, cancels, and has its shares written."""

    def __init__(self) -> None:
        self.ledger = Ledger(500_000_000)
        self.mine = Shares({}, RATES)
        self.held = 0
        self.price = 640_000
        self.now = 0
        self.standing: list[BotOrder] = []

    def seen(self) -> Exposure:
        mark = MarkPoint(price=self.price, at_ms=self.now)
        return replace(exposure(self.held, *self.standing), marks={SWAP.id: mark})

    def order(self, side: Side, size: int) -> None:
        lack = self.mine.shortfalls(self.seen(), SWAP, side, 640_000, size, self.now)
        if isinstance(lack, ShareRequest):
            got = self.ledger.take(lack)
            if got is None:
                self.mine.refused(SWAP.id, side, "full", self.now)
                return
            self.mine.given(SWAP.id, side, got)
            lack = self.mine.shortfalls(self.seen(), SWAP, side, 640_000, size, self.now)
        if lack is None:
            self.standing.append(order(side, size))

    def end(self, which: int, *, fill: bool) -> None:
        if self.standing:
            one = self.standing.pop(which % len(self.standing))
            if fill:
                self.held += one.reserved if one.order.side == "BUY" else -one.reserved

    def keep(self, amid: Callable[[], None] = lambda: None) -> None:
        """Have the shares written; something else happens before they arrive."""
        now = self.now
        seen = self.seen()
        reported = self.mine.settle(seen, requested=(), doubted=(), reconciled=True, now_ms=now)
        amid()
        for kept in reported:
            if kept.long is not None:
                self.ledger.rows[SWAP.id, "BUY"] = kept.long
            if kept.short is not None:
                self.ledger.rows[SWAP.id, "SELL"] = kept.short
        self.mine.settled()


@settings(max_examples=60)
@given(steps=st.lists(STEP, max_size=30))
def test_what_could_be_held_is_always_written_before(steps: list[tuple[str, Side, int]]) -> None:
    course, moved = Course(), False
    for what, side, amount in steps:
        course.now += 2_000
        if what == "order":
            course.order(side, amount)
        elif what in ("fill", "cancel"):
            course.end(amount, fill=what == "fill")
        elif what == "mark":
            course.price, moved = 640_000 + amount * 1_000, True
        elif what == "race":
            course.keep(partial(course.order, side, amount))
        else:
            course.keep()
        using = {one: shares.used(course.seen(), SWAP, one, RATES) or 0 for one in SIDES}
        # Marks alone may pass what is written, until it is written again.
        assert moved or all(
            using[one] <= course.ledger.rows.get((SWAP.id, one), 0) for one in SIDES
        )
    assert moved or sum(course.ledger.rows.values()) <= course.ledger.most


def test_all_of_one_side_counts_and_exits_need_nothing() -> None:
    mine = Shares({}, RATES)
    seen = exposure(-50, order("BUY", 20), order("SELL", 30))

    assert mine.shortfalls(seen, SWAP, "BUY", 640_000, 30, 0) is None
    assert shares.used(seen, SWAP, "SELL", RATES) == worth_micros(SWAP, 640_000, 80, RATES, up=True)
    more = mine.shortfalls(seen, SWAP, "BUY", 640_000, 31, 0)
    assert isinstance(more, ShareRequest)
    assert more.need == worth_micros(SWAP, 640_000, 1, RATES, up=True)


def test_without_a_rate_nothing_opens() -> None:
    found = Shares({}, {}).shortfalls(exposure(), SWAP, "BUY", 640_000, 1, 0)

    assert isinstance(found, Refused)
    assert "USDT" in found.why


@pytest.mark.parametrize("instrument", [swap(), swap(inverse=True), outcome()], ids=lambda i: i.id)
def test_worth_in_usdc(instrument: object) -> None:
    """64,000 x 0.01 x 0.01 USDT; 0.01 x 0.01 of 100 USD; half a dollar a share."""
    one = swap(inverse=True, contract="100") if instrument == swap(inverse=True) else instrument
    price, size, micros = {
        "okx:BTC-USDT-SWAP": (640_000, 1, 6_400_000),
        "okx:BTC-USD-SWAP": (640_000, 1, 1_000_000),
        "polymarket:yes": (500_000, 3_000_001, 1_500_001),
    }[one.id]  # type: ignore[attr-defined]

    assert worth_micros(one, price, size, RATES, up=True) == micros  # type: ignore[arg-type]
    half = {**RATES, "USDT": ONE // 2, "USD": ONE // 2, "USDC": ONE // 2}
    less = worth_micros(one, price, size, half, up=False)  # type: ignore[arg-type]
    assert less == micros // 2


def test_gains_of_an_inverse_contract_are_worth_their_coins() -> None:
    one = swap(inverse=True)
    gain = 10**one.money_digits // 2

    assert money_micros(one, 640_000, gain, RATES) == 32_000 * 10**6
    assert money_micros(one, 640_000, -1, RATES) == -(-(Fraction(-64_000, 10**2)) // 1)
    assert shares.result_micros(
        exposure(holdings={SWAP.id: Holding(realised=-(10**8), fees=10**8)}), RATES
    ) == (-2 * 10**6)


def started_with(run: Run, mine: Shares, limits: RiskLimits | None = None) -> object:
    run.bot.setup = replace(run.bot.setup, shares=mine)
    return started(run, quoted(10), limits=limits or RiskLimits())


FRESH = book(SWAP, [(640_000, 900)], [(640_001, 900)])


def test_a_share_comes_with_the_permit_and_a_refusal_is_told_and_asked_again() -> None:
    run = Run(1, AMENDS)
    started_with(run, Shares({}, RATES))
    bot = run.bot

    (requested,) = bot.market(FRESH, run.now)
    assert isinstance(requested, PermitRequest)
    assert requested.share is not None
    assert not requested.closes
    assert bot.denied(requested.permit, "max_gross of portfolio: full", run.now) == []
    assert "max_gross" in bot.refusals["a"]
    assert bot.tick(run.now + 500) == []
    (again,) = bot.tick(run.now + shares.PAUSE_MS)
    assert isinstance(again, PermitRequest)
    (sent,) = bot.granted(again.permit, run.now + 1_100, again.share.want if again.share else 0)
    assert isinstance(sent, NewOrder)


def test_a_quote_that_cannot_follow_the_market_for_want_of_a_share_is_cancelled() -> None:
    run = Run(1, AMENDS)
    one = worth_micros(SWAP, 640_000, 1, RATES, up=True) or 0
    started_with(run, Shares({(SWAP.id, "BUY"): 10 * one}, RATES))
    bot = run.bot
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report("bot1e1n1"), run.now))

    bot.strategy = Wants(quoted(10, 650_000))
    (requested,) = bot.market(FRESH, run.now)
    assert isinstance(requested, PermitRequest)
    (cancel,) = bot.denied(requested.permit, "max_gross of portfolio: full", run.now)

    assert isinstance(cancel, CancelOrder)
    assert cancel.order_id == "bot1e1n1"


def test_limits_above_cancel_what_opens_or_stop_it() -> None:
    run = Run(1, AMENDS)
    started_with(run, Shares({(SWAP.id, "BUY"): 10**12}, RATES))
    bot = run.bot
    run.act(bot.market(FRESH, run.now))
    run.venue.arrive(run.now)
    run.act(bot.reported(run.venue.report("bot1e1n1"), run.now))
    why = breach(RiskLimit.KILL_SWITCH, "test")

    requested = bot.oversee({(SWAP.id, "BUY"): why}, (), run.now)

    assert [type(one) for one in requested] == [CancelOrder]
    bot.oversee({}, (why,), run.now)
    assert bot.life is BotState.RISK_STOPPED


def test_a_killed_bot_flattens_under_a_permit_for_exits() -> None:
    run = Run(1, AMENDS)
    held = {SWAP.id: Holding(size=7, cost=7 * 64 * 10**8)}
    run.bot.setup = replace(run.bot.setup, shares=Shares({}, RATES))
    bot = started(run, limits=RiskLimits(), holdings=held)
    bot.end(BotState.PAUSED, run.now)
    bot.market(FRESH, run.now)
    assert not bot.flat

    bot.kill(breach(RiskLimit.KILL_SWITCH, "test"), run.now)
    (requested,) = bot.tick(run.now)

    assert bot.life is BotState.RISK_STOPPED
    assert isinstance(requested, PermitRequest)
    assert requested.closes
    assert requested.share is None
    (sent,) = bot.granted(requested.permit, run.now)
    assert isinstance(sent, NewOrder)
    assert (sent.side, sent.size, sent.reduce_only) == ("SELL", 7, True)


def seen_by(mine: Shares, seen: Exposure) -> list[tuple[int | None, int | None, int]]:
    found = mine.settle(seen, requested={(SWAP.id, "SELL")}, doubted=(), reconciled=True, now_ms=5)
    return [(one.long, one.short, one.held) for one in found]


def test_what_is_not_used_is_given_back_before_another_may_spend_it() -> None:
    one = worth_micros(SWAP, 640_000, 1, RATES, up=True) or 0
    mine = Shares({(SWAP.id, "BUY"): 100 * one, (SWAP.id, "SELL"): 100 * one}, RATES)
    seen = exposure(4)

    assert seen_by(mine, seen) == [(5 * one, None, 4 * one)]
    assert mine.shortfalls(seen, SWAP, "BUY", 640_000, 1, 0) is None
    assert isinstance(mine.shortfalls(seen, SWAP, "BUY", 640_000, 2, 0), Refused)
    mine.settled()
    assert isinstance(mine.shortfalls(seen, SWAP, "BUY", 640_000, 2, 0), ShareRequest)
    kept = Shares({(SWAP.id, "BUY"): 100 * one}, RATES).settle(
        seen, requested=(), doubted=(), reconciled=False, now_ms=5
    )
    assert [found.long for found in kept] == [None]


def test_a_share_that_is_asked_for_while_shares_are_written_stays() -> None:
    """The journal has read the bot, and a permit is committed before it writes."""
    course = Course()
    course.order("BUY", 1)

    course.keep(partial(course.order, "BUY", 50))

    assert course.ledger.rows[SWAP.id, "BUY"] == course.mine.granted[SWAP.id, "BUY"]
    assert sum(one.reserved for one in course.standing) == 51


def test_a_share_that_grew_is_written_until_it_is() -> None:
    one = worth_micros(SWAP, 640_000, 1, RATES, up=True) or 0
    mine = Shares({(SWAP.id, "BUY"): one}, RATES)

    assert seen_by(mine, exposure(4)) == [(4 * one, None, 4 * one)]
    assert seen_by(mine, exposure(4)) == [(4 * one, None, 4 * one)]
    mine.settled()
    assert seen_by(mine, exposure(4)) == [(None, None, 4 * one)]


@pytest.mark.parametrize("requested", [False, True])
def test_a_share_whose_write_failed_is_written_again(requested: bool) -> None:
    """A permit is asked for at the next write, or the mark has gone back by then."""
    one = worth_micros(SWAP, 640_000, 1, RATES, up=True) or 0
    before = 4 * one if requested else 100 * one
    mine = Shares({(SWAP.id, "BUY"): before}, RATES)
    more = 8 if requested else 4

    def reported(held: int, sides: set[tuple[str, Side]]) -> list[int | None]:
        found = mine.settle(
            exposure(held), requested=sides, doubted=(), reconciled=not requested, now_ms=5
        )
        return [kept.long for kept in found]

    (lost,) = reported(more, set())
    assert lost is not None
    if requested:
        assert reported(more, {(SWAP.id, "BUY")}) == [None]
        mine.settled()
        assert reported(more, set()) == [lost]
    else:
        assert reported(100, set()) == [before]
    mine.settled()
    assert reported(more if requested else 100, set()) == [None]


def test_a_share_stays_when_its_currency_has_no_rate_any_more() -> None:
    mine = Shares({(SWAP.id, "BUY"): 100}, {})

    reported = mine.settle(
        exposure(0, order("BUY", 3)), requested=(), doubted=(), reconciled=True, now_ms=5
    )

    assert [one.long for one in reported] == [None]
    assert mine.granted[SWAP.id, "BUY"] == 100


def test_nothing_is_given_back_while_orders_of_a_former_life_may_be_unknown() -> None:
    run = Run(1, AMENDS)
    run.bot.setup = replace(run.bot.setup, shares=Shares({(SWAP.id, "BUY"): 100}, RATES))
    bot = started(run, limits=RiskLimits())
    bot.market(FRESH, run.now)

    assert [one.long for one in bot.retained_shares(run.now, known=False)] == [None]
    assert [one.long for one in bot.retained_shares(run.now)] == [0]


def test_a_share_that_may_have_been_given_without_an_answer_is_written_anew() -> None:
    """The database broke off after the commit: it has more than the bot knows of."""
    one = worth_micros(SWAP, 640_000, 1, RATES, up=True) or 0
    run = Run(1, AMENDS)
    run.bot.setup = replace(run.bot.setup, shares=Shares({(SWAP.id, "BUY"): one}, RATES))
    held = {SWAP.id: Holding(size=1, cost=64 * 10**7)}
    bot = started(run, quoted(10), limits=RiskLimits(), holdings=held)
    (requested,) = bot.market(FRESH, run.now)
    assert isinstance(requested, PermitRequest)
    assert [kept.long for kept in bot.retained_shares(run.now)] == [None]

    bot.denied(requested.permit)
    (kept,) = bot.retained_shares(run.now)
    assert kept.long == one
    bot.shares_written()
    assert [kept.long for kept in bot.retained_shares(run.now)] == [None]
