"""The transitions of a bot's orders that people are told of, and those that would be a flood."""

from __future__ import annotations

from dataclasses import replace

from services.bots.core.bot import Bot
from services.bots.core.requests import PermitRequest
from services.bots.core.risk import RiskLimits
from tests.unit.bots.samples import AMENDS
from tests.unit.bots.simulated import LEASE_MS, Run
from tests.unit.bots.test_bot import FRESH, Wants, quoted
from tradingtools.domain.bot_order_states import PendingRequest
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import NewOrder, Receipt


def quoting() -> tuple[Run, Bot[int, int], str]:
    """Return a bot that wants one quote, and the id of its order, which is unanswered."""
    run = Run(1, AMENDS)
    setup = replace(run.bot.setup, limits=RiskLimits())
    bot = Bot(setup, Wants(quoted(10)), 1, lease_until_ms=run.now + LEASE_MS)
    bot.run(run.now)
    (requested,) = bot.market(FRESH, run.now)
    assert isinstance(requested, PermitRequest)
    (new,) = bot.granted(requested.permit, run.now)
    assert isinstance(new, NewOrder)
    return run, bot, new.order_id


def again(run: Run, bot: Bot[int, int]) -> str:
    """Let the bot place its quote anew."""
    run.now += 2_000
    (new,) = bot.market(FRESH, run.now)
    assert isinstance(new, NewOrder)
    return new.order_id


def answered(run: Run, bot: Bot[int, int], order_id: str, meaning: Meaning, code: str) -> None:
    bot.answered(order_id, PendingRequest.PLACE, Receipt(meaning=meaning, code=code), run.now)


def reported(bot: Bot[int, int]) -> list[tuple[str, str, str]]:
    return [(str(one.source), str(one.order.state), one.code) for one in bot.written().moves]


def test_of_equal_refusals_in_a_row_the_first_is_told() -> None:
    run, bot, order_id = quoting()
    for code in ("51008", "51008", "51121"):
        answered(run, bot, order_id, Meaning.REJECTED, code)
        order_id = again(run, bot)
    assert reported(bot) == [
        ("SUBMITTING", "REJECTED", "51008"), ("SUBMITTING", "REJECTED", "51121"),
    ]  # fmt: skip

    answered(run, bot, order_id, Meaning.ACCEPTED, "")
    assert reported(bot) == [], "a quote that is placed is no news"
    bot.not_found(order_id, requested_ms=run.now, now_ms=run.now)
    assert reported(bot) == [("OPEN", "UNKNOWN", "NOT_FOUND")]


def test_an_order_that_nobody_answers_for_is_told_with_its_lot() -> None:
    run, bot, order_id = quoting()
    run.now += 20_000
    bot.tick(run.now)
    assert reported(bot) == [("SUBMITTING", "UNKNOWN", "NO_ANSWER")]
    for _ in range(3):
        run.now += 3_000
        bot.not_found(order_id, requested_ms=run.now, now_ms=run.now)
    assert reported(bot) == [("UNKNOWN", "LOST", "NOT_FOUND")]
