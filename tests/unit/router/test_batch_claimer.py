"""Buys that have come together are claimed with one commit, as if they had come one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router import batch_claimer, claim_scheduler, claimer
from services.router.claim_scheduler import group_trades
from services.router.core.entry_plan import plan_entries
from services.router.core.records import Context
from services.router.core.router_state import RouterState
from services.router.core.state_updates import AppliedPlan, apply, revert
from services.router.worker import Router
from tests.unit.router.test_budget import buy, fund
from tests.unit.router.test_budget import recovered as on_a_shelf
from tests.unit.samples import CONDITION, LEADER, book
from tradingtools.domain.book import Book, BookStatus
from tradingtools.domain.copy_settings import BelowMinimum, CopySettings, OppositeSide, to_json
from tradingtools.domain.leader_trade import LeaderRow, LeaderTrade, Side, merge
from tradingtools.domain.order import Follower
from tradingtools.domain.subscription import SizingMode, Subscription, SubscriptionState
from tradingtools.storage.postgres.lease import Fenced
from tradingtools.testing.memory_database import MemoryDatabase, NoFaults
from tradingtools.testing.memory_database.transactions import Transaction
from tradingtools.venues.insiders.order_body import order_body

OTHER = "0x" + "d" * 40
USDC = 1_000_000
_MAX = 30
SHADOW = CopySettings(shadow=True)
PROFILES: dict[str, dict[str, Any]] = {
    "free": {},
    "market": {"max_per_market_micros": 25 * USDC},
    "day": {"settings": CopySettings(max_per_day_micros=15 * USDC)},
    "total": {"settings": CopySettings(max_total_micros=33 * USDC)},
    "buys": {"settings": CopySettings(max_buys_per_outcome=2)},
    "positions": {"settings": CopySettings(max_positions=1)},
    "sides": {"settings": CopySettings(opposite_side=OppositeSide.SKIP)},
    "shadow": {"settings": SHADOW},
    "shadow buys": {"settings": replace(SHADOW, max_buys_per_outcome=1)},
    "small": {
        "sizing_micros": 2 * USDC,
        "settings": CopySettings(below_minimum=BelowMinimum.ACCUMULATE),
    },
}


class Shelf:
    """One book for every asset, with a smallest order."""

    async def get(self, asset_id: str, **_: Any) -> Book | None:
        """Deep, at 0.5."""
        return self.known(asset_id)

    def known(self, _asset_id: str) -> Book | None:
        """The same."""
        return book()


class Reluctant(Shelf):
    """Books of all assets but the usual one have to be waited for, and do not come."""

    def __init__(self) -> None:
        self.requested: list[str] = []

    async def get(self, asset_id: str, **_: Any) -> Book | None:
        """As bookfeed's, when it does not answer in time."""
        known = self.known(asset_id)
        if known is None:
            self.requested.append(asset_id)
        return known

    def known(self, asset_id: str) -> Book | None:
        """The usual one."""
        return book() if asset_id == "7" else None


async def recovered(database: MemoryDatabase, network: NoFaults | None = None) -> Router:
    """A router that has just begun."""
    router = await on_a_shelf(database, network)
    router._books = cast(Any, Shelf())
    return router


def _subscribed(profiles: Sequence[str], leader: str = LEADER) -> Callable[[Transaction], None]:
    """A follower for each profile; every third wallet is the first one's."""

    def write(tx: Transaction) -> None:
        for number, profile in enumerate(profiles):
            more = dict(PROFILES[profile])
            made = more.pop("settings", CopySettings())
            tx.insert(
                "subscription",
                {
                    "id": f"sub_{number:031x}{leader[2]}", "follower_user_id": "u",
                    "follower_wallet_id": "w", "follower_proxy": _proxy(number),
                    "leader": leader, "state": "ACTIVE", "version": 1, "sizing_mode": "FIXED",
                    "sizing_micros": 10 * USDC, "changed_seq": 1, "settings": to_json(made),
                    **more,
                },
            )  # fmt: skip

    return write


def _proxy(number: int) -> str:
    return f"0x{0 if number % 3 == 0 else number:040x}"


def _database(profiles: Sequence[str] = ("free",)) -> MemoryDatabase:
    made = MemoryDatabase()
    made.write(_subscribed(profiles))
    return made


def _buys(count: int) -> list[LeaderRow]:
    return [buy(number) for number in range(1, count + 1)]


def _claims(database: MemoryDatabase) -> list[dict[str, Any]]:
    records = sorted(database.table("journal").values(), key=lambda row: row["seq"])
    return [json.loads(row["payload"]) for row in records if row["kind"] == "CLAIMED"]


def _decided(database: MemoryDatabase) -> list[Any]:
    """Return what was ordered and why not, without instants."""
    varies = {"not_after_ms", "body", "body_hash", "routed_ns"}
    return [
        [
            [{k: v for k, v in order.items() if k not in varies} for order in claim["orders"]],
            claim["decisions"],
            claim["rows"],
        ]
        for claim in _claims(database)
    ]


def _commits(database: MemoryDatabase) -> list[int]:
    """Records of each commit that had some."""
    counts: list[int] = []

    def see(changes: list[Any]) -> None:
        inserted = [table for table, before, _ in changes if table == "journal" and not before]
        if inserted:
            counts.append(len(inserted))

    database.watch(see)
    return counts


def _known(router: Router, subscriptions: int) -> Any:
    """Return what a router would judge the next trade of this outcome by."""
    memory = router._state
    trade = merge(None, buy(99))
    assert trade is not None
    now = trade.traded_ms
    return (
        list(map(memory.exposures(trade, now), memory.index.followers_of(LEADER))),
        {key: set(copies) for key, copies in memory.copies.items()},
        memory.entry_owner,
        memory.entry_trade,
        set(memory.trades),
        subscriptions,
    )


async def test_they_become_durable_with_one_commit() -> None:
    database = _database()
    commits = _commits(database)
    router = await recovered(database)
    await router.on_facts(_buys(20))
    assert commits == [20]
    assert [len(claim["orders"]) for claim in _claims(database)] == [1] * 20
    assert [len(claim["rows"]) for claim in _claims(database)] == [1] * 20
    assert router._claimer._tail.last == max(r["seq"] for r in database.table("journal").values())
    await router.on_facts(_buys(20))
    assert commits == [20], "a repetition is known"


@given(st.lists(st.sampled_from(sorted(PROFILES)), min_size=1, max_size=5), st.integers(2, 6))
@settings(max_examples=15, deadline=None)
async def test_it_is_decided_as_one_by_one(profiles: list[str], count: int) -> None:
    facts = _buys(count)
    # The market's other outcome in between.
    facts[1] = replace(facts[1], key=replace(facts[1].key, asset_id="8"))
    together, apart = _database(profiles), _database(profiles)
    for database in (together, apart):
        database.write(fund(45 * USDC, before=0))
    router = await recovered(together)
    commits = _commits(together)
    await router.on_facts(facts)
    assert commits == [count]
    other = await recovered(apart)
    for fact in facts:
        await other.on_facts([fact])
    assert _decided(together) == _decided(apart)
    assert _known(router, 0) == _known(other, 0)


class _Faulty(NoFaults):
    """Loses the next statement of a kind, or its answer."""

    def __init__(self, request: str = "", reply: str = "") -> None:
        self.losing = {"request": request, "reply": reply}

    async def request(self, what: str) -> None:
        self._lose("request", what)

    async def reply(self, what: str) -> None:
        self._lose("reply", what)

    def _lose(self, way: str, what: str) -> None:
        if self.losing[way] == what:
            self.losing[way] = ""
            raise psycopg.OperationalError("lost on its way")


@pytest.mark.parametrize("way", ["request", "reply"])
async def test_lost_commit_reply_doubles_and_loses_nothing(way: str) -> None:
    faulty = _Faulty()
    database = _database(["market", "shadow", "free"])
    router = await recovered(database, faulty)
    faulty.losing[way] = "claim_new"
    catch_up, caught_up = router._writer._catch_up, 0

    async def count() -> None:
        nonlocal caught_up
        caught_up += 1
        await catch_up()

    router._writer._catch_up = count
    await router.on_facts(_buys(5))
    assert faulty.losing[way] == ""
    assert caught_up == (way == "reply"), "once for all, if at all"
    orders = [order["order_key"] for claim in _claims(database) for order in claim["orders"]]
    assert len(orders) == len(set(orders)) == 3 + 5
    assert len(_claims(database)) == 5
    again = await recovered(database)
    assert _known(router, 3) == _known(again, 3)
    await again.on_facts(_buys(6))
    assert len(_claims(database)) == 6


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("same_transaction", [False, True])
async def test_nobody_is_judged_while_a_commit_is_unknown(
    burst: int, same_transaction: bool
) -> None:
    faulty = _Faulty()
    database = _database(["total"])
    database.write(_subscribed(["total"], OTHER))
    router = await recovered(database, faulty)
    # Of the same wallet, by another leader; in one transaction both leaders' copies have one key.
    numbers = (1,) if same_transaction else (50, 51, 52)
    others = [replace(buy(n), key=replace(buy(n).key, leader=OTHER)) for n in numbers]
    faulty.losing["reply"] = "claim" if burst == 1 else "claim_new"
    async with asyncio.TaskGroup() as group, router._claim_lock:
        group.create_task(router.on_facts(_buys(burst)))
        await _settle()
        group.create_task(router.on_facts(others))
        await _settle()
    assert faulty.losing["reply"] == ""
    orders = [order for claim in _claims(database) for order in claim["orders"]]
    assert len({order["order_key"] for order in orders}) == len(orders)
    assert sum(order["reserved_money_micros"] for order in orders) <= 33 * USDC


class _Replaced(_Faulty):
    """Loses an answer; then another server is there, which takes no writes."""

    read_only = False

    async def request(self, what: str) -> None:
        if self.read_only and what in ("record_exists", "claim"):
            raise psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT")
        await super().request(what)

    async def reply(self, what: str) -> None:
        try:
            await super().reply(what)
        except psycopg.OperationalError:
            self.read_only = True
            raise


@pytest.mark.parametrize("burst", [1, 3])
async def test_who_cannot_know_what_is_committed_ends(burst: int) -> None:
    replaced = _Replaced()
    database = _database(["total"])
    database.write(_subscribed(["total"], OTHER))
    router = await recovered(database, replaced)
    replaced.losing["reply"] = "claim" if burst == 1 else "claim_new"
    with pytest.raises(Fenced):
        await router.on_facts(_buys(burst))


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_has_no_book_is_asked_for_once() -> None:
    database = _database()
    router, shelf = await recovered(database), Reluctant()
    router._books = cast(Any, shelf)
    facts = _buys(6)
    for number in (1, 3, 4):
        facts[number] = replace(facts[number], key=replace(facts[number].key, asset_id="8"))
    await router.on_facts(facts)
    assert shelf.requested == ["8"]
    reasons = [claim["decisions"][0]["reason"] for claim in _claims(database)]
    assert [reason == "MARKET_UNKNOWN" for reason in reasons] == [
        False, True, False, True, True, False,
    ]  # fmt: skip


async def test_no_book_is_asked_for_what_is_too_old_in_any_case() -> None:
    database = _database()
    router, shelf = await recovered(database), Reluctant()
    router._books = cast(Any, shelf)
    facts = [
        replace(fact, key=replace(fact.key, asset_id="8"), traded_ms=fact.traded_ms - 70_000)
        for fact in _buys(3)
    ]
    await router.on_facts(facts[:1])
    await router.on_facts(facts[1:])
    assert shelf.requested == []
    assert [claim["decisions"][0]["reason"] for claim in _claims(database)] == ["TOO_OLD"] * 3


class Doubting(Shelf):
    """Another stream has begun while the buys waited: of a book that it has not told, the depth
    says nothing."""

    def known(self, _asset_id: str) -> Book | None:
        """Empty, and not to be judged by."""
        return book(asks=(), status=BookStatus.STALE)


@pytest.mark.parametrize("burst", [1, 3])
async def test_a_book_in_doubt_costs_nobody_his_copy(burst: int) -> None:
    database = _database()
    router = await recovered(database)
    router._books = cast(Any, Doubting())
    await router.on_facts(_buys(burst))
    assert [len(claim["orders"]) for claim in _claims(database)] == [1] * burst


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize(
    "sizing_input", [CopySettings(max_spread_micros=20_000), CopySettings(min_depth_micros=1)]
)
async def test_follower_needs_of_a_book_exclude_one_in_doubt(
    monkeypatch: pytest.MonkeyPatch, burst: int, sizing_input: CopySettings
) -> None:
    monkeypatch.setitem(PROFILES, "choosy", {"settings": sizing_input})
    database = _database(["choosy"])
    router = await recovered(database)
    router._books = cast(Any, Doubting())
    await router.on_facts(_buys(burst))
    decisions = [claim["decisions"][0]["reason"] for claim in _claims(database)]
    assert decisions == ["BOOK_STALE"] * burst
    router._books = cast(Any, Shelf())
    await router.on_facts([buy(burst + 1)])
    assert len(_claims(database)[-1]["orders"]) == 1


async def test_existing_claim_blocks_none_and_memory_catches_up() -> None:
    database = _database(["market", "free"])
    earlier = await recovered(database)
    facts = _buys(4)
    router = await recovered(database)
    # Of this life, committed, and nobody has heard of it.
    earlier._claimer._lease = router._claimer._lease
    await earlier.on_facts([facts[1]])
    # It would be decided otherwise now.
    for follower in router._state.index.followers_of(LEADER):
        router._state.index.put(replace(follower, sizing_micros=7 * USDC))
    await router.on_facts(facts)
    assert len(_claims(database)) == 4
    assert _known(router, 2) == _known(await recovered(database), 2)


async def test_one_that_cannot_be_judged_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = _database(["market", "shadow"])
    router, bad = await recovered(database), buy(2).key

    def judge(trade: LeaderTrade, *arguments: Any) -> Any:
        if trade.key == bad:
            raise ValueError("cannot be judged")
        return plan_entries(trade, *arguments)

    for module in (claimer, batch_claimer):
        monkeypatch.setattr(module, "plan_entries", judge)
    with pytest.raises(ExceptionGroup) as raised:
        await router.on_facts(_buys(4))
    assert [str(error) for error in raised.value.exceptions] == ["cannot be judged"]
    assert {row["leader_tx"] for c in _claims(database) for row in c["rows"]} == {
        fact.key.leader_tx for fact in _buys(4) if fact.key != bad
    }
    assert bad not in router._state.trades
    again = await recovered(database)
    assert _known(router, 2) == _known(again, 2)
    monkeypatch.undo()
    await again.on_facts(_buys(4))
    assert len(_claims(database)) == 4


async def test_who_is_soon_done_goes_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (claim_scheduler, batch_claimer):
        monkeypatch.setattr(module, "MIN_PART", 2)
        monkeypatch.setattr(module, "CHUNK", 1)
    monkeypatch.setattr("services.router.worker.MIN_PART", 2)
    database = _database(["free", "free"])
    database.write(_subscribed(["free"], OTHER))
    commits = _commits(database)
    router = await recovered(database)
    others = replace(buy(50), key=replace(buy(50).key, leader=OTHER))
    async with asyncio.TaskGroup() as group, router._claim_lock:
        group.create_task(router.on_facts(_buys(6)))
        await _settle()
        group.create_task(router.on_facts([others]))
        await _settle()
    leaders = [claim["rows"][0]["leader"] for claim in _claims(database)]
    assert leaders.index(OTHER) < 6
    assert leaders.count(LEADER) == 6
    assert len(commits) == 3


async def test_a_sell_in_between_keeps_its_place() -> None:
    database = _database()
    commits = _commits(database)
    router = await recovered(database)
    facts = _buys(5)
    facts[2] = replace(
        facts[2], key=replace(facts[2].key, side=Side.SELL), held_before_micros=10**9
    )
    await router.on_facts(facts)
    sides = [claim["rows"][0]["side"] for claim in _claims(database)]
    assert sides == ["BUY", "BUY", "SELL", "BUY", "BUY"]
    assert commits == [2, 1, 2]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(1, 20)), max_size=40))
def test_what_is_claimed_together_is_one_leaders_and_not_much(
    coming: list[tuple[str, int | None]],
) -> None:
    trades = [_trade(leader, number) for number, (leader, _) in enumerate(coming)]
    copies = {trade.key: count for trade, (_, count) in zip(trades, coming, strict=True)}
    found = list(group_trades(trades, lambda trade: copies[trade.key], _MAX))
    assert [trade for some in found for trade in some] == trades
    for some, following in zip(found, [*found[1:], ()], strict=False):
        counts = [copies[trade.key] for trade in some]
        assert len({trade.key.leader for trade in some}) == 1
        assert None not in counts or len(some) == 1
        total = sum(count or 0 for count in counts)
        assert total <= _MAX
        if following and None not in counts:
            more = copies[following[0].key]
            other = following[0].key.leader != some[0].key.leader
            assert more is None or other or total + more > _MAX


def _trade(leader: str, number: int) -> LeaderTrade:
    fact = buy(number)
    made = merge(None, replace(fact, key=replace(fact.key, leader=leader)))
    assert made is not None
    return made


@given(
    st.lists(st.sampled_from(sorted(PROFILES)), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from("78")), min_size=1, max_size=8),
    st.data(),
)
def test_what_is_taken_back_leaves_nothing(
    profiles: list[str], coming: list[tuple[int, str]], data: st.DataObject
) -> None:
    followers = [_follower(number, profile) for number, profile in enumerate(profiles)]
    memory = RouterState()
    for follower in followers:
        memory.index.put(follower)
    memory.ledger.fund(_proxy(0), 45 * USDC)
    kept = data.draw(st.integers(0, len(coming)))
    notes: list[AppliedPlan] = []
    seen: list[Any] = []
    for number, asset in coming:
        fact = buy(number)
        trade = merge(None, replace(fact, key=replace(fact.key, asset_id=asset)))
        assert trade is not None
        seen.append(_state(memory, followers))
        context = Context(
            body_of=order_body,
            book=book(), now_ms=trade.traded_ms, entry_ttl_ms=1000, exit_ttl_ms=1000,
            exposure=memory.exposures(trade, trade.traded_ms),
            entry_owner=memory.entry_owner.get,
        )  # fmt: skip
        known = memory.copies.get(trade.key, {})
        plan = plan_entries(trade, followers, known, context)
        notes.append(apply(memory, trade, plan, trade.traded_ms))
    while len(notes) > kept:
        revert(memory, notes.pop())
        assert _state(memory, followers) == seen.pop()


def _follower(number: int, profile: str) -> Subscription:
    made: dict[str, Any] = {"sizing_micros": 10 * USDC, **PROFILES[profile]}
    return Subscription(
        id=f"sub-{number}",
        follower=Follower(user_id="u", wallet_id="w", proxy=_proxy(number)),
        leader=LEADER,
        state=SubscriptionState.ACTIVE,
        version=1,
        sizing_mode=SizingMode.FIXED,
        **made,
    )


def _state(memory: RouterState, followers: Sequence[Subscription]) -> Any:
    held = [
        memory.ledger.exposure(follower, CONDITION, asset, buy(1).traded_ms)
        for follower in followers
        for asset in "78"
    ]
    copies = {key: dict(copies) for key, copies in memory.copies.items()}
    paper = {
        place: lot for place, lot in memory.paper.items() if lot.size_micros or lot.cost_micros
    }
    cash = {owner: moved for owner, moved in memory.paper_cash.items() if moved}
    return held, copies, dict(memory.entry_owner), dict(memory.entry_trade), paper, cash
