"""A market that nobody watches is told at once, and its book costs the venue one question."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from services.bookfeed import catalogue as catalogues
from services.bookfeed.catalogue import Catalogue
from tests.bookfeed.world import ASSETS, ROWS, bookfeed, get, watched
from tests.ingest.harness import until
from tradingtools import clock
from tradingtools.domain.errors import Unavailable
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.venues.polymarket.market_listing import ListedMarket, Page


def _listed(number: int, **changed: Any) -> ListedMarket:
    made = ListedMarket(
        condition_id=f"0x{number:064x}", assets=(f"{number}1", f"{number}2"), tick_micros=10_000,
        min_size_micros=5_000_000, fee_rate_micros=None, end_ms=None, category="other",
        neg_risk=False, title="", outcomes=("Yes", "No"), traded=number,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changed)


def _of(*markets: ListedMarket, read_ms: int | None = None, stands_ms: int = 60_000) -> Catalogue:
    made = Catalogue(stands_ms)
    reading = made.begin()
    reading.take(markets)
    made.replace(reading, clock.now_ms() if read_ms is None else read_ms)
    return made


def test_a_fee_that_nobody_says_is_the_highest() -> None:
    market = _of(_listed(7)).market("72")
    assert market is not None
    assert (market.fee_rate_micros, market.outcome) == (70_000, "No")
    assert (market.tick_micros, market.min_size_micros) == (10_000, 5_000_000)
    assert not market.HasField("end_ms")


def test_an_old_list_says_nothing() -> None:
    old = clock.now_ms() - 60_001
    assert _of(_listed(7), read_ms=old).market("71") is None
    assert _of(_listed(7)).market("99") is None


def test_what_is_traded_most_comes_first() -> None:
    made = _of(*(_listed(number, traded=number) for number in range(1, 9)))
    assert made.max_traded(5) == ["81", "82", "71", "72", "61"]
    assert made.max_traded(0) == []


def test_the_best_of_many_pages_are_the_best_of_all() -> None:
    reading = Catalogue(60_000).begin()
    volumes = [number * 7919 % 20_011 for number in range(1, 12_001)]
    for begin in range(0, len(volumes), 100):
        reading.take(
            _listed(number, traded=volumes[number]) for number in range(begin, begin + 100)
        )
    assert [one.traded for one in reading.best] == sorted(volumes, reverse=True)[:2_500]


def test_what_is_not_listed_any_more_is_gone_with_the_next_list() -> None:
    made = _of(_listed(7), _listed(8))
    reading = made.begin()
    reading.take([_listed(8)])
    made.replace(reading, clock.now_ms())
    assert made.market("71") is None
    assert made.market("81") is not None


async def test_the_list_is_there_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "markets.json"
    made = _of(*(_listed(number) for number in range(1, 1500)))
    await catalogues.keep(made, path)
    found = Catalogue(60_000)
    catalogues.restore(found, path)
    assert (found.read_ms, len(found)) == (made.read_ms, 2998)
    assert found.market("71") == made.market("71")
    assert found.max_traded(3) == made.max_traded(3)


@pytest.mark.parametrize("content", [b"", b"{", b"1\n[[1]]", b"1\n[[\xff"])
def test_a_list_that_cannot_be_read_is_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "markets.json"
    path.write_bytes(content)
    found = Catalogue(60_000)
    catalogues.restore(found, path)
    assert len(found) == 0


async def test_a_list_that_was_kept_in_the_future_is_as_none(tmp_path: Path) -> None:
    path = tmp_path / "markets.json"
    await catalogues.keep(_of(_listed(7), read_ms=clock.now_ms() + 7_200_000), path)
    found = Catalogue(60_000)
    catalogues.restore(found, path)
    assert found.market("71") is None


def test_asset_listed_in_another_market_is_fetched() -> None:
    made = _of(_listed(7))
    assert made.market("71", _listed(7).condition_id) is not None
    assert made.market("71", _listed(8).condition_id) is None


def test_the_fee_of_an_older_list_is_the_highest() -> None:
    paid = _listed(7, fee_rate_micros=1_000)
    now = clock.now_ms()
    for age_ms, fee in ((0, 1_000), (590_000, 1_000), (660_000, 70_000)):
        market = _of(paid, read_ms=now - age_ms, stands_ms=3_600_000).market("71")
        assert market is not None
        assert market.fee_rate_micros == fee


class _Gamma:
    """A list of two pages, by cursor; `refuse` is called before each page and may raise."""

    def __init__(self, refuse: Callable[[str], None]) -> None:
        self.lists = 0
        self._refuse = refuse

    async def page(self, cursor: str) -> Page:
        self._refuse(cursor)
        if cursor:
            return Page((_listed(8),), 1, 0, "", "")
        self.lists += 1
        return Page((_listed(7),), 1, 0, "", f"list-{self.lists}")


async def _followed(catalogue: Catalogue, gamma: _Gamma, monkeypatch: pytest.MonkeyPatch) -> None:
    """Follow until the list was read once."""
    monkeypatch.setattr(catalogues, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(catalogues, "_PAUSE_SECONDS", 0)
    settings: Any = SimpleNamespace(catalogue_file=None, catalogue_ms=86_400_000)
    api: Any = gamma
    following = asyncio.create_task(catalogues.follow(catalogue, api, settings))

    async def listed() -> bool:
        return len(catalogue) == 4

    await until(listed, seconds=10)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_list_is_as_old_as_its_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = [0]
    now_ms, monotonic = clock.now_ms, clock.monotonic
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms() + hours[0] * 3_600_000)
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + hours[0] * 3600)

    def away_for_two_hours(cursor: str) -> None:
        if cursor and not hours[0]:
            hours[0] = 2
            raise Unavailable("away", dependency="venue", retry_after_ms="1")

    made = Catalogue(3_600_000)
    await _followed(made, _Gamma(away_for_two_hours), monkeypatch)
    assert made.market("71") is None, "what it says is two hours old"


async def test_a_cursor_that_stands_no_more_does_not_end_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def expired(cursor: str) -> None:
        if cursor == "list-1":
            raise Unavailable("status 400", dependency="venue", retry_after_ms="1")

    made = Catalogue(3_600_000)
    await _followed(made, _Gamma(expired), monkeypatch)
    assert made.market("71") is not None


async def test_a_known_market_is_told_before_the_venue_answers(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset, path = ASSETS[0], tmp_path / "markets.json"
    async with bookfeed(environ, tmp_path, catalogue_file=str(path)) as (stub, _, _process):

        async def kept() -> bool:
            return path.exists()

        await until(kept)
        seen = await get(stub, asset)
    # A venue that is slow beyond every patience, and the list of the life before.
    async with bookfeed(
        environ, tmp_path, rest_ms="60000", api_timeout_ms="60000", catalogue_file=str(path)
    ) as (stub, replay, _process):
        ask = pb.GetBookRequest(asset_id=asset, market_suffices=True)
        mark = (await stub.GetBook(ask, timeout=20)).mark
        assert mark.status == pb.BOOK_STATUS_UNSEEN
        assert not mark.ask_prices_micros
        reported, was = mark.market, seen.market
        assert (reported.condition_id, reported.tick_micros) == (was.condition_id, was.tick_micros)
        assert (reported.min_size_micros, reported.fee_rate_micros) == (
            was.min_size_micros, was.fee_rate_micros,
        )  # fmt: skip
        assert (reported.category, reported.end_ms) == (was.category, was.end_ms)
        # Asked for once, it is watched, and the socket makes it a book without any REST.
        await until(lambda: watched(replay, 1))

        async def fresh() -> bool:
            answer = await stub.GetBook(ask, timeout=20)
            return answer.mark.status == pb.BOOK_STATUS_FRESH

        await until(fresh)


async def test_a_cold_book_waits_for_nothing_that_is_kept_up_to_date(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "markets.json"
    async with bookfeed(environ, tmp_path, catalogue_file=str(path)):

        async def kept() -> bool:
            return path.exists()

        await until(kept)
    known, watch, few, unlisted = Catalogue(3_600_000), 8, 4, "77"
    catalogues.restore(known, path)
    listed = next(asset for asset in ASSETS if asset not in known.max_traded(watch))
    # No answer comes: what is watched and the list take all connections.
    async with bookfeed(
        environ, tmp_path, catalogue_file=str(path), watch_traded=str(watch),
        stalled_s="3600", api_timeout_ms="60000", api_connections=str(few),
    ) as (stub, replay, _process):  # fmt: skip

        async def requested(*names: str) -> list[Any]:
            found = (await replay.ask("/questions"))["questions"]
            return [one for one in found if any(name in one["query"] for name in names)]

        async def full() -> bool:
            return len(await requested("token_id=")) >= few and len(await requested("limit=")) >= 1

        await until(full)
        waiting = [
            asyncio.ensure_future(stub.GetBook(pb.GetBookRequest(asset_id=asset), timeout=60))
            for asset in (listed, unlisted)
        ]

        async def arrived() -> bool:
            return len(await requested(f"token_id={listed}", f"token_id={unlisted}")) == 2

        await until(arrived)
        assert not any(one["answered"] for one in await requested(""))
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_the_list_has_not_is_asked_for_as_ever(
    environ: dict[str, str], tmp_path: Path
) -> None:
    asset, condition = ROWS[0].trade.asset, ROWS[0].trade.condition
    # Gamma is away: there is no list, and nothing of the market is missing but its words.
    async with bookfeed(environ, tmp_path, gamma_url="http://127.0.0.1:1") as (stub, _, _process):
        for believed in (condition, "0x" + "0" * 64, "nonsense", ""):
            ask = pb.GetBookRequest(asset_id=asset, market_suffices=True, condition_id=believed)
            mark = (await stub.GetBook(ask, timeout=20)).mark
            assert mark.status == pb.BOOK_STATUS_FRESH
            assert mark.market.condition_id == condition
