"""A market that nobody watches is told at once, and its book costs the venue one question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.bookfeed import catalogue as catalogues
from services.bookfeed.catalogue import Catalogue
from tests.bookfeed.world import ASSETS, ROWS, bookfeed, get, watched
from tests.ingest.harness import until
from tradingtools import clock
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.venues.polymarket.market_listing import Listed


def _listed(number: int, **changed: Any) -> Listed:
    made = Listed(
        condition_id=f"0x{number:064x}", assets=(f"{number}1", f"{number}2"), tick_micros=10_000,
        min_size_micros=5_000_000, fee_rate_micros=None, end_ms=None, category="other",
        neg_risk=False, title="", outcomes=("Yes", "No"), traded=number,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changed)


def _of(*markets: Listed, read_ms: int | None = None, stands_ms: int = 60_000) -> Catalogue:
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
    assert made.most_traded(5) == ["81", "82", "71", "72", "61"]
    assert made.most_traded(0) == []


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
    catalogues.recall(found, path)
    assert (found.read_ms, len(found)) == (made.read_ms, 2998)
    assert found.market("71") == made.market("71")
    assert found.most_traded(3) == made.most_traded(3)


@pytest.mark.parametrize("content", [b"", b"{", b"1\n[[1]]", b"1\n[[\xff"])
def test_a_list_that_cannot_be_read_is_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "markets.json"
    path.write_bytes(content)
    found = Catalogue(60_000)
    catalogues.recall(found, path)
    assert len(found) == 0


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
        told, was = mark.market, seen.market
        assert (told.condition_id, told.tick_micros) == (was.condition_id, was.tick_micros)
        assert (told.min_size_micros, told.fee_rate_micros) == (
            was.min_size_micros, was.fee_rate_micros,
        )  # fmt: skip
        assert (told.category, told.end_ms) == (was.category, was.end_ms)
        # Asked for once, it is watched, and the socket makes it a book without any REST.
        await until(lambda: watched(replay, 1))

        async def fresh() -> bool:
            answer = await stub.GetBook(ask, timeout=20)
            return answer.mark.status == pb.BOOK_STATUS_FRESH

        await until(fresh)


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
