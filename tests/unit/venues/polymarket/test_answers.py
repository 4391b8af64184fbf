"""Answers that cannot be read: what counts, what a health check is told, and when it is over."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from structlog.testing import capture_logs

from tests.unit.venues.polymarket.test_data_api import WALLET, row
from tradingtools import clock
from tradingtools.domain.errors import Unavailable
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.data_api import DataApi, Unreadable
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.unreadable import Answers

OTHER = "0x" + "b2" * 20
OLD = {"asset": "7", "size": 3}
"""A position as the Data API's first version writes it."""


class Told:
    """Answers of a venue that a test may change."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.body: object = {}

        def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=self.body)

        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        http = Http(client, "http://venue", name="venue")
        self.data = DataApi(http, self.answers)
        self.clob = ClobApi(http, http, self.answers)

    def rows(self, *rows: object) -> None:
        """The next page."""
        self.body = {"data": rows, "pagination": {"has_more": False, "next_cursor": None}}


async def test_a_row_among_readable_ones_is_told_to_people_and_most_of_them_to_health_checks() -> (
    None
):
    reported = Told()
    reported.rows(row(1), row(2), OLD)
    with capture_logs() as logs:
        assert len((await reported.data.trades(WALLET, 0)).rows) == 2
        await reported.data.trades(WALLET, 0)
    assert [(one["what"], one["refused"], one["alert"]) for one in logs] == [
        ("/v2/trades", 1, True)
    ]
    assert reported.answers.readable()
    reported.rows(row(1), OLD, OLD)
    assert len((await reported.data.trades(WALLET, 0)).rows) == 1
    assert not reported.answers.readable()
    # Others' answers prove nothing about this one.
    reported.rows(row(1, proxy_wallet=OTHER))
    await reported.data.trades(OTHER, 0)
    assert not reported.answers.readable()
    reported.rows(row(1))
    await reported.data.trades(WALLET, 0)
    assert reported.answers.readable()


async def test_holdings_and_values_that_cannot_be_read_are_no_answer() -> None:
    reported = Told()
    reported.rows(OLD)
    with pytest.raises(Unreadable):
        await reported.data.positions(WALLET)
    assert not reported.answers.readable()
    reported.rows({"token_id": "7", "current_size": 3})
    await reported.data.positions(WALLET)
    assert reported.answers.readable()
    for body in ([{"user": WALLET, "value": 3}], {"data": {"proxy_wallet": OTHER, "value": 3}}):
        reported.body = body
        with pytest.raises(Unreadable):
            await reported.data.value(WALLET)
        assert not reported.answers.readable()
    reported.body = {"data": {"proxy_wallet": WALLET, "value": 3.5}}
    assert await reported.data.value(WALLET) == 3_500_000
    assert reported.answers.readable()


@pytest.mark.parametrize(
    ("ask", "good"),
    [
        (lambda api: api.book("7"),
         {"market": "0x1", "asset_id": "7", "timestamp": "1", "bids": [], "asks": []}),
        (lambda api: api.condition("7"), {"condition_id": "0x1"}),
        (lambda api: api.market("0x1"), {"mts": 0.01, "mos": 5, "t": []}),
        (lambda api: api.gamma("7"), []),
    ],
)  # fmt: skip
async def test_each_answer_of_the_clob_and_gamma_counts(
    ask: Callable[[ClobApi], object], good: object
) -> None:
    reported = Told()
    reported.body = "renamed"
    with pytest.raises(Unavailable):
        await ask(reported.clob)  # type: ignore[misc]
    assert not reported.answers.readable()
    reported.body = good
    await ask(reported.clob)  # type: ignore[misc]
    assert reported.answers.readable()


async def test_markets_of_the_list_that_cannot_be_read_count() -> None:
    reported = Told()
    closed = {"conditionId": "0x1", "closed": True}
    reported.body = {"markets": [closed, {"condition": "0x1"}, {"condition": "0x2"}]}
    with capture_logs() as logs:
        assert (await reported.clob.page("")).unreadable == 2
    assert [(one["read"], one["refused"], one["alert"]) for one in logs] == [(1, 2, True)]
    assert not reported.answers.readable()
    reported.body = {"markets": [closed, closed, {"condition": "0x2"}]}
    await reported.clob.page("")
    assert reported.answers.readable()


async def test_movements_that_cannot_be_read_count() -> None:
    reported = Told()
    reported.rows(OLD)
    await reported.data.movements(WALLET, 0)
    assert not reported.answers.readable()
    reported.rows()
    await reported.data.movements(WALLET, 0)
    assert reported.answers.readable()


def test_three_frames_in_a_row_are_a_feed_that_cannot_be_read_until_one_can() -> None:
    answers = Answers()
    for _ in range(2):
        answers.frame("rtds", read=False)
    answers.frame("rtds", read=True)
    for _ in range(2):
        answers.frame("rtds", read=False)
    assert answers.readable()
    answers.frame("rtds", read=False)
    assert not answers.readable()
    answers.frame("rtds", read=True)
    assert answers.readable()


def test_what_nobody_asks_for_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers()
    answers.note("/v2/trades", WALLET, refused=1)
    later = clock.monotonic() + 601
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert answers.readable()
