"""More than the far side, or the router, keeps up with: what is late is skipped, exits all leave.

Judged by insiders-api's journal: nothing is accepted later than the maximum age after the leader's
trade, however long it had to wait for its turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tests.ingest.harness import until_health
from tests.money_path.world import Scene, World, eventually, world
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

_AGE_MS = 3_000
_BUYS = 40
_DATED = {"max_age_ms": _AGE_MS}


async def _scene(made: World) -> Scene:
    scene = made.scene()
    await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
    await scene.subscribe(1, **_DATED)
    return scene


async def _held(made: World) -> Scene:
    """A follower who holds what his leader has bought, and has no limit of age by now."""
    scene = made.scene()
    await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
    await scene.subscribe(1)
    scene.put(scene.trade(size="100", price="0.5"))
    await scene.settled(1)
    return scene


async def _sold(scene: Scene) -> None:
    async def flat() -> bool:
        return bool(scene.lot()["shares_micros"] == 0)

    await eventually(flat)


async def _late(scene: Scene, buys: list[ingest_pb.LeaderTradeEvent]) -> list[float]:
    """Return the milliseconds from each leader trade to its order, at most one each."""
    traded = {buy.leader_tx: buy.traded_ms for buy in buys}
    of_order = {order["order_key"]: traded[order["leader_tx"]] for order in scene.orders()}
    posts = [post for post in await scene.posted() if post["accepted"]]
    assert len({post["key"] for post in posts}) == len(posts)
    return [post["arrivedNs"] / 1e6 - of_order[post["key"]] for post in posts]


async def _told_while_it_waits(made: World) -> None:
    scene = made.scene()
    await scene.subscribe(1)
    made.upstream.answers_books.clear()
    scene.put(scene.trade(size="100", price="0.5"))
    await until_health(made.target("router"), {"backlog": "NOT_SERVING"})
    made.upstream.answers_books.set()
    await until_health(made.target("router"), {"backlog": "SERVING"})
    (decision,) = scene.decisions()
    assert decision["reason"] == "MARKET_UNKNOWN"


async def test_burst_beyond_the_venues_rate_ends_in_time(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with world(database_url, redis_url, tmp_path) as made:
        # Nothing but the age of the leader's trade ends an entry here.
        made.configure(TT_ROUTER_ENTRY_TTL_MS="60000", TT_EXECUTOR_BACKLOG_MS="500")
        await made.start_all()
        holding, scene = await _held(made), await _scene(made)
        slow = {"where": "after_accept", "kind": "delay", "ms": 250, "seed": 1, "path": "buy"}
        await made.control("POST", "/faults", slow)
        buys = [scene.trade(size="100", price="0.5") for _ in range(_BUYS)]
        for buy in buys:
            scene.put(buy)
        holding.put(holding.trade("SELL", size="100", price="0.49", held="100"))
        await until_health(made.target("executor"), {"backlog": "NOT_SERVING"})
        await _sold(holding)

        async def decided() -> bool:
            return len(scene.decisions()) == _BUYS

        await eventually(decided)
        await scene.settled(sum(decision["copied"] for decision in scene.decisions()))
        late = await _late(scene, buys)
        assert 0 < len(late) < _BUYS, "the far side has kept up"
        assert max(late) <= _AGE_MS
        ends = Counter(order["reason"] for order in scene.orders() if order["state"] == "FAILED")
        skipped = Counter(d["reason"] for d in scene.decisions() if not d["copied"])
        assert len(late) + ends["EXPIRED"] + skipped["TOO_OLD"] == _BUYS, (ends, skipped)
        assert scene.open_reservations() == []
        await until_health(made.target("executor"), {"backlog": "SERVING"})


async def test_trade_delayed_by_the_router_is_too_old_but_sold(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with world(database_url, redis_url, tmp_path) as made:
        made.configure(TT_ROUTER_BACKLOG_MS="500", TT_ROUTER_BOOK_TIMEOUT_MS="30000")
        await made.start_all()
        holding, scene = await _held(made), await _scene(made)
        unknown = made.scene()
        unknown.leader = scene.leader
        await _told_while_it_waits(made)
        made.freeze("router")
        buys = [each.trade(size="100", price="0.5") for each in (scene, unknown) for _ in range(9)]
        for buy in buys:
            scene.put(buy)
        holding.put(holding.trade("SELL", size="100", price="0.49", held="100"))
        await asyncio.sleep(_AGE_MS / 1000 + 0.2)
        made.upstream.book_requested.clear()
        made.thaw("router")
        await _sold(holding)

        async def decided() -> bool:
            return len(scene.decisions() + unknown.decisions()) == len(buys)

        await eventually(decided)
        decisions = scene.decisions() + unknown.decisions()
        assert {decision["reason"] for decision in decisions} == {"TOO_OLD"}
        assert not made.upstream.book_requested.is_set()
        assert (scene.orders(), await scene.posted()) == ([], [])
