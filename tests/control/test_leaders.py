"""Leaders over REST: evidence first, paged, filtered, and honest about what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from launcher.temporary import temporary_valkey
from services.control.leaders.store import Leaders
from tests.control.edge import READ, RunningEdge
from tests.control.leader_documents import AS_OF_MS, DAY_MS, leader, publish, withdraw
from tests.control.requests import error_of
from tradingtools.domain.errors import Unavailable
from tradingtools.storage.redis import documents
from tradingtools.storage.redis.client import open_redis
from tradingtools.v1 import enrichment_pb2 as pb

WALLETS = [f"0x{number:040x}" for number in range(0xA0, 0xA8)]


@pytest.fixture(autouse=True)
def _no_snapshot_is_left(edge: RunningEdge) -> Iterator[None]:
    withdraw(edge.redis_url)
    yield
    withdraw(edge.redis_url)


def _list(edge: RunningEdge, **query: Any) -> dict[str, Any]:
    answer = edge.call("GET", "/leaders", READ, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def _wallets(page: dict[str, Any]) -> list[str]:
    return [one["wallet"] for one in page["leaders"]]


def test_before_anything_was_computed(edge: RunningEdge) -> None:
    """An empty list without a date; a leader is not known."""
    assert _list(edge) == {"leaders": [], "nextPageToken": "", "snapshot": ""}
    answer = edge.call("GET", f"/leaders/{WALLETS[0]}", READ)
    assert error_of(answer)[:2] == (404, "NOT_FOUND")


def test_evidence_comes_before_figures(edge: RunningEdge) -> None:
    """A better score without evidence comes after, and no score comes last of its kind."""
    best, good, unknown, lucky = (leader(wallet) for wallet in WALLETS[:4])
    best.score, good.score, lucky.score = 0.2, 0.1, 9.0
    lucky.gaps.append(pb.EVIDENCE_GAP_FEW_RESOLVED)
    version = publish(edge.redis_url, lucky, unknown, good, best)
    page = _list(edge)
    assert _wallets(page) == [best.wallet, good.wallet, unknown.wallet, lucky.wallet]
    assert page["snapshot"] == version
    assert page["asOf"] == "2027-01-15T08:00:00Z"
    assert page["leaders"][3]["gaps"] == ["EVIDENCE_GAP_FEW_RESOLVED"]
    assert _wallets(_list(edge, evidence=True)) == [best.wallet, good.wallet, unknown.wallet]


def test_five_of_five_do_not_beat_eighty_of_a_hundred(edge: RunningEdge) -> None:
    """Win rates are compared by their lower bounds."""
    few, many = leader(WALLETS[0], resolved=5, won=5), leader(WALLETS[1], resolved=100, won=80)
    for one, rate, low in ((few, 1.0, 0.5655), (many, 0.8, 0.7112)):
        for window in one.windows:
            window.win_rate, window.win_rate_low = rate, low
    publish(edge.redis_url, few, many)
    assert _wallets(_list(edge, sort="winRate")) == [many.wallet, few.wallet]


@pytest.mark.parametrize("sort", ["copyability", "profit", "volume"])
def test_pages_are_the_list(edge: RunningEdge, sort: str) -> None:
    """Equal figures, absent ones and negative ones: each leader comes once, in the same order."""
    leaders = [leader(wallet) for wallet in WALLETS]
    for number, one in enumerate(leaders):
        if number % 3:
            one.score = (number % 2) - 0.123456789012345
        if number % 4 == 0:
            one.gaps.append(pb.EVIDENCE_GAP_INACTIVE)
        for window in one.windows:
            window.realised_micros = -(number % 3) * 10**15 - 1
    publish(edge.redis_url, *leaders)
    whole = _wallets(_list(edge, sort=sort))
    assert sorted(whole) == WALLETS
    found: list[str] = []
    token = ""
    while True:
        page = _list(edge, sort=sort, pageSize=3, pageToken=token)
        found += _wallets(page)
        token = page["nextPageToken"]
        if not token:
            break
    assert found == whole


def test_a_token_belongs_to_its_list(edge: RunningEdge) -> None:
    """Of another order or filter it is refused, and so is one that nobody has given."""
    publish(edge.redis_url, *(leader(wallet) for wallet in WALLETS))
    token = _list(edge, pageSize=1)["nextPageToken"]
    for query in ({"sort": "roi"}, {"window": "7d"}, {"minTrades": 1}, {"category": "sports"}):
        answer = edge.call("GET", "/leaders", READ, params={**query, "pageToken": token})
        status, reason, metadata, *_ = error_of(answer)
        assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", "pageToken")


def test_filters(edge: RunningEdge) -> None:
    """Trades and resolved markets of the window, and categories that were traded."""
    busy, idle = leader(WALLETS[0], trades=50, resolved=40), leader(WALLETS[1], trades=5)
    busy.windows[0].trades = 0
    idle.categories.add(category="sports", trades=5)
    busy.categories.add(category="sports")
    busy.categories.add(category="politics", trades=50)
    publish(edge.redis_url, busy, idle)
    assert _wallets(_list(edge, minTrades=6)) == [busy.wallet]
    assert _wallets(_list(edge, minTrades=1, window="1d")) == [idle.wallet]
    assert _wallets(_list(edge, minResolved=40)) == [busy.wallet]
    assert _wallets(_list(edge, category="sports")) == [idle.wallet]
    assert _wallets(_list(edge, category="none")) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "luck"}, "sort"),
        ({"window": "2d"}, "window"),
        ({"minTrades": -1}, "minTrades"),
        ({"category": "Sports!"}, "category"),
        ({"pageSize": 201}, "pageSize"),
    ],
)
def test_what_is_refused(edge: RunningEdge, query: dict[str, Any], field: str) -> None:
    """The answer names the field."""
    status, reason, metadata, *_ = error_of(edge.call("GET", "/leaders", READ, params=query))
    assert (status, reason, metadata["field"]) == (400, "INVALID_FIELD", field)


def test_one_leader_with_his_days(edge: RunningEdge) -> None:
    """Amounts are exact texts; what is not known is left out; a list has no days."""
    one = leader(WALLETS[0], resolved=1)
    one.days.add(day_ms=AS_OF_MS - AS_OF_MS % DAY_MS, realised_micros=-1, cumulative_micros=7)
    one.copyability.add(delay_seconds=3, amount_micros=100_000_000, observed=2, slippage=0.01)
    one.windows[4].marked_micros = 0
    publish(edge.redis_url, one)
    answer = edge.call("GET", f"/leaders/{WALLETS[0].upper().replace('X', 'x')}", READ).json()
    assert answer["days"] == [
        {"day": "2027-01-15T00:00:00Z", "realised": "-0.000001", "cumulative": "0.000007",
         "trades": "0"}
    ]  # fmt: skip
    assert answer["medianSize"] == "5.000001"
    assert [of["window"] for of in answer["performance"]] == ["1d", "7d", "30d", "90d", "all"]
    all_time, day = answer["performance"][4], answer["performance"][0]
    assert (all_time["realised"], all_time["roi"], all_time["marked"]) == ("1.5", 0.125, "0")
    assert all_time["largestDrawdown"] == "0.250001"
    assert not {"marked", "winRate", "sharpe"} & set(day)
    assert not {"edge", "score", "holdingMs", "openValue", "firstTradeAt"} & set(answer)
    assert answer["copyability"][0]["amount"] == "100"
    assert answer["copyability"][0]["slippage"] == 0.01
    assert _list(edge)["leaders"][0]["days"] == []


def test_the_newest_version_is_shown(edge: RunningEdge) -> None:
    """As soon as it is pointed to; a leader who is not in it is not known any more."""
    publish(edge.redis_url, leader(WALLETS[0]))
    assert _wallets(_list(edge)) == [WALLETS[0]]
    publish(edge.redis_url, leader(WALLETS[1]))
    assert _wallets(_list(edge)) == [WALLETS[1]]
    assert edge.call("GET", f"/leaders/{WALLETS[0]}", READ).status_code == 404


async def test_without_redis_the_last_snapshot_is_shown() -> None:
    """With its date; who has read none says so."""
    with temporary_valkey() as url:
        async with open_redis(url, socket_connect_timeout=1.0) as client:
            one = leader(WALLETS[0]).SerializeToString()
            await documents.publish(client, "leaders", "v1", {WALLETS[0]: one}, stands_ms=600_000)
            kept = Leaders(client)
            assert (await kept.newest()).version == "v1"
            await client.shutdown(nosave=True)
            assert (await kept.newest()).as_of_ms == AS_OF_MS
            with pytest.raises(Unavailable):
                await Leaders(client).newest()
