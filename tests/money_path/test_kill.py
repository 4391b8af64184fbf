"""kill -9 and frozen processes: the trade under way ends as one order or one recorded reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.money_path.world import SERVICES, Scene, World, eventually, world


@pytest_asyncio.fixture
async def path(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """Processes of this test alone, a leader and a good book."""
    async with world(database_url, redis_url, tmp_path) as made:
        await made.start_all()
        scene = made.scene()
        await scene.set_book({"0.50": "100000"}, {"0.49": "100000"})
        yield scene


async def _judge(path: Scene, world_: World) -> None:
    """At rest, the invariants that one asset's orders and the journal allow to check."""
    await path.settled(1)
    rows = {o["order_key"]: o for o in path.orders()}
    posted: dict[str, list[dict[str, object]]] = {}
    for entry in await path.posted():
        assert entry["ledger"] is True, "a byte left before SUBMITTING was durable"
        posted.setdefault(str(entry["key"]), []).append(entry)
    far = {o["idempotencyKey"]: o for o in (await world_.control("GET", "/state"))["orders"]}
    assert set(posted) <= set(rows), "the far side was asked for an order that has no row"
    for key, entries in posted.items():
        assert len({e["bodySha256"] for e in entries}) == 1, "attempts differ"
        assert entries[0]["bodySha256"] == rows[key]["body_hash"]
    for key, row in rows.items():
        if row["state"] == "CONFIRMED":
            assert far[key]["filledSize"] == _text(row["filled_size_micros"])
        elif row["failed_kind"] in ("UNSENT", "REJECTED") or row["state"] == "LOST":
            assert key not in far, "given up, and yet it exists"
    assert path.open_reservations() == []


def _text(micros: int) -> str:
    whole, part = divmod(micros, 1_000_000)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".") if part else str(whole)


@pytest.mark.parametrize("victim", SERVICES)
async def test_each_process_killed_while_trades_stream(path: Scene, victim: str) -> None:
    followers = 4
    subscriptions = [await path.subscribe(n) for n in range(followers)]
    for number in range(12):
        path.put(path.trade(size="100", price="0.5"))
        if number in (3, 7):
            path.world.kill(victim)
            path.world.start(victim)
        await asyncio.sleep(0.05)
    await path.settled(1)

    async def decided() -> bool:
        rows = path.decisions()
        return len(rows) == 12 * followers and all(
            o["state"] in ("CONFIRMED", "FAILED", "LOST") for o in path.orders()
        )

    await eventually(decided)
    await _judge(path, path.world)
    for subscription in subscriptions:
        mine = [d for d in path.decisions() if d["subscription_id"] == subscription]
        assert len({d["leader_tx"] for d in mine}) == 12


async def test_lost_answer_is_found_by_key_and_not_resent(path: Scene) -> None:
    await path.subscribe(1)
    await path.world.control(
        "POST",
        "/faults",
        {"where": "after_accept", "kind": "reset", "times": 1, "path": "buy", "seed": 1},
    )
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    (order,) = path.orders()
    events = path.world.sql(
        "select from_state, to_state, reason, occurred_at from order_event"
        " where order_key = %s order by event_seq",
        order["order_key"],
    )
    posts = await path.posted()
    requested = (await path.world.control("GET", "/journal?after=0&limit=10000"))["entries"]
    looks = [e for e in requested if e["method"] == "GET" and e["key"] == order["order_key"]]
    seen = {"order": order, "events": events, "posts": posts, "looks": looks}
    moves = [(event["from_state"], event["to_state"]) for event in events]
    assert order["state"] == "CONFIRMED", seen
    assert ("SUBMITTING", "UNKNOWN") in moves, seen
    # What a look finds is not sent again. A POST may be given up while it still waits to be taken,
    # on a machine that stands still for ten seconds; a look that finds nothing then may have the
    # same bytes sent under the same key (`docs/insiders-api.yaml`, A), committed as any attempt.
    in_vain = [get for get in looks if get["status"] == 404]
    assert len(posts) <= 1 + len(in_vain), seen
    again = [move for move in moves if move == ("UNKNOWN", "SUBMITTING")]
    assert len(posts) == order["attempt"] == 1 + len(again), seen
    assert len({post["bodySha256"] for post in posts}) == 1, seen
    assert len((await path.world.control("GET", "/state"))["orders"]) == 1, seen
    # No answer brought it: the transition to UNKNOWN did.
    assert order["submitting_ns"] < order["first_byte_ns"] < order["confirmed_ns"], seen
    await _judge(path, path.world)


async def test_lost_request_is_resent_under_its_key(path: Scene) -> None:
    await path.subscribe(1)
    await path.world.control(
        "POST",
        "/faults",
        {"where": "before_accept", "kind": "reset", "times": 1, "path": "buy", "seed": 1},
    )
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    (order,) = path.orders()
    assert (order["state"], order["attempt"], order["epoch"]) == ("CONFIRMED", 2, 2)
    assert len(await path.posted()) == 2
    await _judge(path, path.world)


async def test_refused_retry_says_nothing_of_the_first_attempt(path: Scene) -> None:
    await path.world.control(
        "PUT", "/capabilities",
        {"idempotency": True, "notAfter": False, "getByKey": False, "void": False},
    )  # fmt: skip
    await path.subscribe(1)
    for fault in (
        {"kind": "reset"},
        {"kind": "status", "status": 400, "code": "INSUFFICIENT_BALANCE"},
    ):
        both = {"where": "after_accept", "times": 1, "path": "buy", "seed": 1}
        await path.world.control("POST", "/faults", {**both, **fault})
    path.put(path.trade(size="100", price="0.5"))

    async def accepted() -> bool:
        assert {o["state"] for o in path.orders()} <= {
            "CLAIMED", "SUBMITTING", "UNKNOWN", "SUBMITTED", "CONFIRMED"
        }  # fmt: skip
        return {o["attempt"] for o in path.orders()} == {3} and not {
            o["state"] for o in path.orders()
        } & {"SUBMITTING", "UNKNOWN"}

    await eventually(accepted)
    await path.world.control(
        "PUT", "/capabilities",
        {"idempotency": True, "notAfter": True, "getByKey": True, "void": True},
    )  # fmt: skip
    await path.settled(1)
    assert path.orders()[0]["state"] == "CONFIRMED"
    assert len(await path.posted()) == 3
    await _judge(path, path.world)


async def test_request_that_never_arrives_fails_with_its_reason(path: Scene) -> None:
    await path.subscribe(1)
    await path.world.control(
        "POST",
        "/faults",
        {"where": "before_accept", "kind": "reset", "path": "buy", "seed": 1},
    )
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    (order,) = path.orders()
    assert (order["state"], order["reason"]) == ("LOST", "NEVER_ARRIVED")
    await _judge(path, path.world)


async def test_an_executor_that_slept_through_its_lease_sends_nothing(path: Scene) -> None:
    await path.subscribe(1)
    path.put(path.trade(size="100", price="0.5"))
    await path.settled(1)
    path.world.freeze("executor")
    # Another owner takes the partition while it sleeps.
    path.world.sql(
        "update partition_lease set epoch = epoch + 1, owner = 'another',"
        " expires_at = clock_timestamp() + interval '1 hour' where role = 'executor'"
    )
    path.put(path.trade(size="100", price="0.5"))
    await asyncio.sleep(0.5)
    path.world.thaw("executor")
    assert path.world.exit_code("executor") == 1
    assert len(await path.posted()) == 1


async def test_a_pause_that_was_committed_is_followed_by_no_entry(path: Scene) -> None:
    subscription = await path.subscribe(1)
    path.world.kill("executor")
    path.put(path.trade(size="100", price="0.5"))

    async def claimed() -> bool:
        return bool(path.world.sql("select 1 from journal where order_count > 0"))

    await eventually(claimed)
    path.pause(subscription)
    path.world.start("executor")
    await path.settled(1)
    (order,) = path.orders()
    assert (order["state"], order["failed_kind"], order["reason"]) == (
        "FAILED",
        "UNSENT",
        "PAUSED",
    )
    assert await path.posted() == []
    await _judge(path, path.world)


async def test_entry_of_changed_settings_is_decided_again_over_a_kill(
    path: Scene,
) -> None:
    subscription = await path.subscribe(1, sizing_micros=52_250_000)
    path.world.kill("executor")
    path.put(path.trade(size="1000", price="0.5"))

    async def claimed() -> bool:
        return bool(path.world.sql("select 1 from journal where order_count > 0"))

    await eventually(claimed)
    path.change(subscription, sizing_micros=10_450_000)
    path.world.kill("router")
    path.world.start("executor")
    await path.settled(1)
    path.world.start("router")
    await path.settled(2)
    assert [(o["state"], o["reason"], o["size_micros"]) for o in path.orders()] == [
        ("FAILED", "SUBSCRIPTION_CHANGED", 100_000_000),
        ("CONFIRMED", "", 20_000_000),
    ]
    (decision,) = path.decisions()
    assert (decision["copied"], decision["ordered_size_micros"]) == (True, 20_000_000)
    assert len(await path.posted()) == 1
    await _judge(path, path.world)
