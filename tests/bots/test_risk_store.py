"""Limits of many bots on a real PostgreSQL, with two engines that race for them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from launcher.embedded import role_url
from services.bots import risk_store
from services.bots.core.permit import Permit
from services.bots.core.requests import PermitRequest
from services.bots.core.risk.shares import ShareRequest, ShareUpdate
from services.bots.risk_store import DeniedError, Kill, RiskStore
from services.bots.store import BotSnapshot, Store, WalletLease
from tests.bots.exchange import until
from tradingtools.domain.bot_risk import RiskAction
from tradingtools.domain.portfolio_risk import ScopeLimit
from tradingtools.storage.postgres.pool import open_pool

SWAP = "okx:BTC-USDT-SWAP"
BOTS = 12


def wallet_of(number: int) -> str:
    return f"wal_{number % 2:032x}"


def bot_of(number: int) -> str:
    return f"bot{number:09d}"


@pytest.fixture
def rows(database_url: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Asks as the owner; two wallets of two engines have bots by turns."""

    def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    for number in range(2):
        ask(
            "insert into trading_wallet (id, tenant, name, exchange, environment, account,"
            " permissions, max_order_micros) values (%s, 'default', %s, 'okx', 'demo', %s, '', 1)",
            wallet_of(number), str(number), str(number),
        )  # fmt: skip
        ask(
            "insert into trading_wallet_lease values (%s, %s, 1, now() + interval '1 hour')",
            wallet_of(number), f"engine-{number}",
        )  # fmt: skip
    for number in range(BOTS):
        ask(
            "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments)"
            " values (%s, 'default', %s, %s, 'grid', '{}', %s)",
            bot_of(number), bot_of(number), wallet_of(number), [SWAP],
        )  # fmt: skip
    return ask


@asynccontextmanager
async def two_engines(database_url: str) -> AsyncIterator[list[Store]]:
    url = role_url(database_url, "bots")
    async with open_pool(url, name="a", size=4) as one, open_pool(url, name="b", size=4) as other:
        yield [Store(one, "engine-0"), Store(other, "engine-1")]


def run(database_url: str, work: Callable[[list[Store]], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with two_engines(database_url) as stores:
            return await work(stores)

    return asyncio.run(whole())


def limit(rows: Any, scope: str, subject: str, **values: int) -> None:
    rows(
        "insert into risk_limit (tenant, scope, subject, limits, changed_by)"
        " values ('default', %s, %s, %s, 'me')",
        scope, subject, json.dumps(values),
    )  # fmt: skip


def request(number: int, need: int, *, side: Any = "BUY", closes: bool = False) -> PermitRequest:
    """Return what a bot asks for."""
    permit = Permit(
        bot_id=bot_of(number), epoch=1, instrument_id=SWAP, side=side, first=need, last=need,
        worst_price=1, size=1, expires_ms=int(time.time() * 1000) + 5_000,
    )  # fmt: skip
    share = ShareRequest(
        instrument_id=SWAP, market=SWAP, side=side, need=need, want=need + need // 4
    )
    return PermitRequest(permit, None if closes else share, closes=closes)


async def answers_to(store: Store, *requests: PermitRequest) -> list[int | str | None]:
    """Return the share that each got, or why not; all are of the wallet of the first one's bot."""
    number = int(requests[0].permit.bot_id.removeprefix("bot"))
    lease = WalletLease(wallet_id=wallet_of(number), epoch=1, until_ms=0)
    answers = await store.permits(lease, "default", requests)
    return [str(one) if isinstance(one, DeniedError) else one for one in answers]


async def ask(
    store: Store, number: int, need: int, *, side: Any = "BUY", closes: bool = False
) -> int | str | None:
    """Return the share that a bot got, or why not."""
    (answer,) = await answers_to(store, request(number, need, side=side, closes=closes))
    return answer


def test_two_engines_that_race_never_pass_a_limit(database_url: str, rows: Any) -> None:
    limit(rows, "PORTFOLIO", "", max_gross=100)

    async def race(stores: list[Store]) -> list[Any]:
        asks = [ask(stores[n % 2], n, 30, side=("BUY", "SELL")[n // 2 % 2]) for n in range(BOTS)]
        return await asyncio.gather(*asks)

    answers = run(database_url, race)

    got = [one for one in answers if isinstance(one, int)]
    assert 2 <= len(got) <= 3
    ((total,),) = rows("select sum(long_micros + short_micros) from risk_share")
    assert total == sum(got) <= 100
    assert rows("select count(*) from bot_permit") == [(len(got),)]
    assert all("max_gross of portfolio" in one for one in answers if isinstance(one, str))


def test_permits_that_are_written_together_are_judged_one_after_the_other(
    database_url: str, rows: Any
) -> None:
    limit(rows, "WALLET", wallet_of(0), max_gross=100)

    async def course(stores: list[Store]) -> Any:
        together = [request(4, 60), request(2, 30), request(0, 8, closes=True), request(0, 20)]
        return await answers_to(stores[0], *together)

    first, too_much, exits, fits = run(database_url, course)

    assert (first, exits, fits) == (75, None, 25)
    assert "max_gross of wallet" in too_much
    assert rows("select bot_id, long_micros from risk_share order by bot_id") == [
        (bot_of(0), 25),
        (bot_of(4), 75),
    ]
    assert rows("select distinct bot_id from bot_permit order by 1") == [(bot_of(0),), (bot_of(4),)]


def test_a_kill_switch_among_permits_written_together_lets_exits_alone_go(
    database_url: str, rows: Any
) -> None:
    killed(rows)

    async def course(stores: list[Store]) -> Any:
        return await answers_to(stores[0], request(0, 1), request(2, 1, closes=True))

    assert run(database_url, course) == ["a kill switch is set", None]
    assert rows("select bot_id from bot_permit") == [(bot_of(2),)]


def test_a_share_is_kept_given_back_and_found_by_the_next_owner(
    database_url: str, rows: Any
) -> None:
    limit(rows, "WALLET", wallet_of(0), max_gross=100)
    lease = WalletLease(wallet_id=wallet_of(0), epoch=1, until_ms=0)

    async def course(stores: list[Store]) -> list[Any]:
        store = stores[0]
        first = await ask(store, 0, 80)
        too_much = await ask(store, 2, 30)
        kept = ShareUpdate(
            instrument_id=SWAP, market=SWAP, long=40, short=None, held=-5,
            marked_ms=int(time.time() * 1000),
        )  # fmt: skip
        standing = BotSnapshot(
            bot_id=bot_of(0), number=1, strategy=b"{}", explanation={}, holdings={}, equity=None,
            shares=[kept], result_micros=-7,
        )  # fmt: skip
        await store.write(lease, [], [standing])
        return [first, too_much, await ask(store, 2, 30), await store.risk.shares_of(bot_of(0))]

    first, too_much, then, found = run(database_url, course)

    assert (first, then) == (100, 37)
    assert "max_gross of wallet" in too_much
    assert found == {(SWAP, "BUY"): 40, (SWAP, "SELL"): 0}
    assert rows("select held_micros from risk_share where bot_id = %s", bot_of(0)) == [(-5,)]
    assert rows("select result_micros from risk_result") == [(-7,)]


def test_a_kill_switch_lets_nothing_open_and_exits_go(database_url: str, rows: Any) -> None:
    killed(rows)

    async def course(stores: list[Store]) -> list[Any]:
        return [
            await ask(stores[0], 0, 1),
            await ask(stores[0], 0, 1, closes=True),
            await stores[0].risk.kill(wallet_of(0)),
        ]

    opens, exits, kill = run(database_url, course)

    assert (opens, exits) == ("a kill switch is set", None)
    assert (kill.reason, kill.phase) == ("test", "WAITING")
    assert rows("select count(*) from bot_permit") == [(1,)]


async def step(store: Store, number: int, phase: str, orders: int = 0) -> None:
    """Write how far the wallet of an engine is with the kill switch of `killed`."""
    lease = WalletLease(wallet_id=wallet_of(number), epoch=1, until_ms=0)
    kill = Kill(kill_id=f"kil_{1:032x}", reason="test", phase="WAITING")
    await store.kill_step(
        lease, kill, phase=phase, bots=1, orders=orders, holdings=0, last_arrival_ms=None, detail=""
    )


def killed(rows: Any) -> None:
    rows(
        "insert into kill_switch (id, tenant, exchange, reason, actor)"
        " values (%s, 'default', 'okx', 'test', 'me')",
        f"kil_{1:032x}",
    )


def test_two_wallets_that_end_at_once_end_the_kill_switch(
    database_url: str, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither commits before the other one has looked, or waits for it."""
    killed(rows)
    real = RiskStore.kill_step
    looked: list[RiskStore] = []

    async def slow(self: RiskStore, *arguments: Any) -> None:
        await real(self, *arguments)
        looked.append(self)
        waits = "select 1 from pg_locks where not granted"
        await until(lambda: len(looked) == 2 or rows(waits), "the other one")

    async def course(stores: list[Store]) -> None:
        await step(stores[0], 0, "SECOND_SWEEP")
        await step(stores[1], 1, "SECOND_SWEEP")
        monkeypatch.setattr(RiskStore, "kill_step", slow)
        await asyncio.gather(step(stores[0], 0, "DONE"), step(stores[1], 1, "DONE"))

    run(database_url, course)

    assert rows("select done_at is null from kill_switch") == [(False,)]
    assert rows("select action from risk_event") == [("DONE",)]


def test_a_wallet_that_is_found_late_has_the_kill_switch_go_on(
    database_url: str, rows: Any
) -> None:
    killed(rows)
    seen: list[tuple[bool]] = []

    async def course(stores: list[Store]) -> None:
        late = (("DONE", 0, 0), ("SECOND_SWEEP", 1, 0), ("CANCELLING", 1, 1), ("DONE", 1, 0))
        for phase, number, orders in late:
            await step(stores[number], number, phase, orders)
            seen.extend(rows("select done_at is not null from kill_switch"))

    run(database_url, course)

    assert [done for (done,) in seen] == [True, True, False, True]


def test_losses_are_counted_from_where_the_limit_was_set_and_told_once(
    database_url: str, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(risk_store, "VIEW_SECONDS", 0)
    limit(rows, "PORTFOLIO", "", max_daily_loss=50)
    rows("insert into risk_result values (%s, -1000, now())", bot_of(0))

    async def looks(stores: list[Store]) -> list[Any]:
        found = []
        for result in (-1_000, -1_049, -1_050, -1_001):
            rows("update risk_result set result_micros = %s", result)
            found.append([await store.risk.view("default") for store in stores])
        return found

    before, near, lost, better = run(database_url, looks)

    assert [one.reached for one in (*before, *near, *better)] == [[], [], [], [], [], []]
    for view in lost:
        (one,) = view.reached
        assert (one.limit, one.action) == (ScopeLimit.MAX_DAILY_LOSS, RiskAction.CANCEL_AND_STOP)
    reported = rows("select scope, limit_name, action from risk_event order by event_seq")
    assert reported == [
        ("PORTFOLIO", "max_daily_loss", "CANCEL_AND_STOP"),
        ("PORTFOLIO", "max_daily_loss", "LEFT"),
    ]


def test_copies_take_no_share_and_leave_bots_what_is_left(database_url: str, rows: Any) -> None:
    limit(rows, "MARKET", "polymarket:0xm", max_with_copies=100)
    rows(
        "insert into lot (follower_proxy, asset_id, origin, condition_id, shares_micros,"
        " cost_micros) values ('f', 'a', 'o', '0xm', 200, 90)"
    )
    rows("update bot set instruments = '{polymarket:yes}'")

    async def course(stores: list[Store]) -> list[Any]:
        async def yes(need: int) -> Any:
            share = ShareRequest(
                instrument_id="polymarket:yes", market="polymarket:0xm", side="BUY", need=need,
                want=need,
            )  # fmt: skip
            permit = Permit(
                bot_id=bot_of(0), epoch=1, instrument_id="polymarket:yes", side="BUY", first=1,
                last=1, worst_price=1, size=1, expires_ms=0,
            )  # fmt: skip
            lease = WalletLease(wallet_id=wallet_of(0), epoch=1, until_ms=0)
            requested = PermitRequest(permit, share)
            (answer,) = await stores[0].permits(lease, "default", [requested])
            return str(answer) if isinstance(answer, DeniedError) else answer

        return [await yes(11), await yes(10)]

    too_much, fits = run(database_url, course)

    assert "max_with_copies" in too_much
    assert fits == 10
