"""The bare architecture commits each order twice and sends it once; what it says of a ratio."""

from __future__ import annotations

import psycopg
import pytest

from bench import feed, gateway
from bench.contestants import skeleton
from bench.core.figures import Line, Round, Setup, line
from bench.feed import Asset
from bench.gateway import Contestant
from bench.report import beside_skeleton, said
from bench.scene import leaders

ASSET = Asset(asset_id="1", condition_id="0x1", price="0.5", title="x")
FOLLOWERS = 130
"""More than go into one record, and than there are warm connections."""
TRADES = 3


@pytest.mark.timeout(120)
async def test_each_order_is_committed_twice_and_sent_once(database_url: str) -> None:
    known = leaders([1, FOLLOWERS])
    async with (
        gateway.serving() as side,
        feed.serving() as source,
        skeleton(source.port, side.port, known, database_url),
    ):
        for followers, wallets in known.items():
            frames = [
                feed.frame(wallets[each], ASSET) for each in Contestant for _ in range(TRADES)
            ]
            side.arrivals.expect(TRADES * followers, Contestant.SKELETON)
            await source.send(frames)
            await side.arrivals.complete(60.0)
        strays = side.arrivals.strays
    assert strays == 0, "somebody else's leader was copied, or an order was sent twice"
    committed = "select role, sum(order_count)::int from journal group by role order by role"
    with psycopg.connect(database_url) as connection:
        found: dict[str, int] = dict(connection.execute(committed).fetchall())
    orders = TRADES * (1 + FOLLOWERS)
    assert found == {"executor": orders, "router": orders}


def _line(*, skeleton: float | None) -> Line:
    setup = Setup(followers=3, trades=1, noise=0, answer_ms=0)
    rounds = {last: [Round(last / 2, last)] for last in (2.0, 12.0)}
    bare = [Round(1.0, skeleton)] if skeleton else []
    return line(setup, rounds[2.0], rounds[12.0], skeleton=bare)


def test_ratio_splits_into_architecture_and_features() -> None:
    found = _line(skeleton=8.0)
    assert (found.architecture_p50, found.features_p50, found.ratio_p50) == (4.0, 1.5, 6.0)
    assert "the skeleton's 8.00" in said(found)
    (shown,) = beside_skeleton([_line(skeleton=None), found])
    assert shown.row_count == 1


def test_without_it_nothing_is_said_of_it() -> None:
    found = _line(skeleton=None)
    assert (found.architecture_p50, found.features_p50) == (None, None)
    assert "skeleton" not in said(found)
    assert beside_skeleton([found]) == []
