"""A real signer: how wallets are added, replaced, checked and retired."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from services.signer.master_keys import add_key
from tests.signer import exchanges as far
from tests.signer import world as made
from tests.signer.world import FUNDER, World, added, client, run, sealed
from tradingtools.codec import sealing
from tradingtools.domain.credentials import OkxCredentials, PolymarketCredentials
from tradingtools.domain.errors import (
    Conflict,
    InvalidField,
    NotAllowed,
    NotFound,
    RequestIdReused,
    Unavailable,
    WrongState,
)
from tradingtools.domain.signing import (
    CheckWallet,
    OkxLogin,
    ReplaceCredentials,
    RetireWallet,
    RewrapWallet,
)

ONE = """select name, exchange, account, permissions, signature_type, signer_address, edition,
state, problem from trading_wallet where id = %s"""
WAITS = """select 1 from pg_stat_activity where wait_event_type = 'Lock'
and application_name = 'tradingtools-signer'"""
HELD = """select (select count(*) from trading_wallet_key where wallet_id = %s), (select count(*)
from trading_wallet_secret s join trading_wallet w on w.id = wallet_id and w.edition = s.edition
where wallet_id = %s)"""


@pytest.fixture(autouse=True)
def clean(world: World) -> Iterator[None]:
    """No wallet is in use, and the exchanges say what they say at first."""
    yield
    world.rows("update trading_wallet set state = 'RETIRED'")
    world.exchanges.okx.clear()
    world.exchanges.okx_error.clear()
    world.exchanges.silent = False
    world.exchanges.journal.clear()


def control(world: World, work: Any) -> Any:
    """Run with a client of control's."""

    async def whole() -> Any:
        async with client(world, "control") as caller:
            return await work(caller)

    return run(whole())


def test_a_wallet_is_what_the_exchange_says(world: World) -> None:
    async def work(caller: Any) -> tuple[str, str]:
        return (
            await added(caller, made.OKX, name="first", environment="demo"),
            await added(caller, made.POLYMARKET, name="second"),
        )

    okx, polymarket = control(world, work)
    assert world.rows(ONE, okx) == [
        ("first", "okx", "44705892343619584", "read_only,trade", None, None, 1, "ACTIVE", "")
    ]
    funder = world.rows("select account from trading_wallet where id = %s", polymarket)[0][0]
    assert funder.lower() == FUNDER
    assert world.rows(ONE, polymarket) == [
        ("second", "polymarket", funder, "trade", 2, far.SIGNER_ADDRESS, 1, "ACTIVE", "")
    ]
    journal = world.exchanges.journal
    assert [(method, path) for method, path, _ in journal] == [
        ("GET", "/api/v5/account/config"),
        ("GET", "/auth/derive-api-key"),
        ("POST", "/auth/api-key"),
        ("GET", "/auth/api-keys"),
    ]
    assert journal[0][2]["x-simulated-trading"] == "1"
    assert all(far.PLANTED_SECRET not in str(headers) for *_, headers in journal)
    actions = "select action, actor from wallet_event where wallet_id = any(%s)"
    assert world.rows(actions, [okx, polymarket]) == [("added", "tester")] * 2


@pytest.mark.parametrize(
    ("okx", "error", "said"),
    [
        ({"perm": "read_only,trade,withdraw"}, "", "without the permission to withdraw"),
        ({"acctLv": "3"}, "", "Spot or Futures"),
        ({"posMode": "long_short_mode"}, "", "position mode is net"),
        ({}, "50111", "a key that OKX knows"),
        ({}, "50110", "this machine's address"),
    ],
)
def test_a_key_that_must_not_be_is_refused_and_nothing_is_kept(
    world: World, okx: dict[str, str], error: str, said: str
) -> None:
    world.exchanges.okx.update(okx)
    if error:
        world.exchanges.okx_error[far.PLANTED_KEY] = error
    counted = (
        "select (select count(*) from trading_wallet), (select count(*) from trading_wallet_key)"
    )
    before = world.rows(counted)

    async def work(caller: Any) -> None:
        with pytest.raises(InvalidField, match=said):
            await added(caller, made.OKX)

    control(world, work)
    assert world.rows(counted) == before


@pytest.mark.parametrize("field", ["secret", "passphrase"])
def test_a_wrong_secret_is_found_out(world: World, field: str) -> None:
    async def work(caller: Any) -> None:
        wrong = replace(made.OKX, **{field: "another"})
        with pytest.raises(InvalidField, match=f"expected the {field} of the key"):
            await added(caller, wrong)

    control(world, work)
    assert "another" not in world.log.read_text()


def test_an_exchange_that_does_not_say_keeps_nothing(world: World) -> None:
    async def work(caller: Any) -> None:
        world.exchanges.silent = True
        for credentials in (made.OKX, made.POLYMARKET):
            with pytest.raises(Unavailable, match="does not say"):
                await added(caller, credentials)

    control(world, work)
    assert world.rows("select 1 from trading_wallet where state = 'ACTIVE'") == []


def test_what_was_sealed_for_something_else_is_refused(world: World) -> None:
    async def work(caller: Any) -> None:
        requested = await sealed(caller, made.OKX)
        for change in (
            {"name": "other"}, {"tenant": "other"}, {"environment": "demo"},
            {"exchange": "polymarket"}, {"max_order_micros": 2}, {"sealed": requested.sealed[:-1]},
            {"sealed": b""}, {"key_id": "0" * 32},
        ):  # fmt: skip
            with pytest.raises(InvalidField):
                await caller.change(replace(requested, **change))
        with pytest.raises(InvalidField, match="environment"):
            await added(caller, made.POLYMARKET, environment="demo")
        own = OkxCredentials(api_key="", secret="s", passphrase="p")
        with pytest.raises(InvalidField, match="apiKey"):
            await added(caller, own)
        assert world.exchanges.journal == [], "no exchange was asked"

    control(world, work)


def test_an_account_or_name_is_one_wallet(world: World) -> None:
    async def work(caller: Any) -> None:
        first = await added(caller, made.OKX, name="same")
        with pytest.raises(Conflict, match="account") as reported:
            await added(caller, made.OKX)
        assert reported.value.metadata["id"] == first
        with pytest.raises(Conflict, match="name"):
            await added(caller, made.POLYMARKET, name="same")
        await added(caller, made.POLYMARKET, name="same", tenant="another")

    control(world, work)


def test_a_request_that_is_repeated_makes_one_wallet(world: World) -> None:
    async def work(caller: Any) -> None:
        key = time.time_ns().to_bytes(8, "big") * 4
        requested = replace(await sealed(caller, made.OKX), request_key=key, request_hash=b"1" * 32)
        first = await caller.change(requested)
        assert await caller.change(requested) == first
        with pytest.raises(RequestIdReused):
            await caller.change(replace(requested, request_hash=b"2" * 32))
        # At the same time: one makes it, the others are told so or get it.
        await caller.change(RetireWallet(actor="tester", wallet=first))
        again = replace(requested, request_key=bytes(reversed(key)))
        done = await asyncio.gather(
            *(caller.change(again) for _ in range(4)), return_exceptions=True
        )
        wallets = {one for one in done if isinstance(one, str)}
        assert len(wallets) == 1, done
        assert all(isinstance(one, str | Conflict) for one in done), done

    control(world, work)


async def _replacing(
    caller: Any, wallet: str, edition: int, credentials: Any, sealed_for: int = 0
) -> None:
    key = await caller.sealing_key()
    bound = sealing.for_edition(wallet, sealed_for or edition)
    await caller.change(
        ReplaceCredentials(
            actor="tester", wallet=wallet, edition=edition, key_id=key.key_id,
            sealed=sealing.seal(credentials, key.public, bound),
        )
    )  # fmt: skip


def test_other_credentials_of_the_same_account_take_their_place(world: World) -> None:
    async def work(caller: Any) -> None:
        wallet = await added(caller, made.POLYMARKET)
        old = world.rows(
            "select ciphertext from trading_wallet_secret where wallet_id = %s", wallet
        )
        await _replacing(caller, wallet, 1, made.POLYMARKET)
        assert world.rows(ONE, wallet)[0][6] == 2
        new = world.rows(
            "select ciphertext, edition from trading_wallet_secret where wallet_id = %s", wallet
        )
        assert {edition for _, edition in new} == {2}
        assert not {raw for (raw,) in old} & {raw for raw, _ in new}
        with pytest.raises(Conflict, match="meanwhile"):
            await _replacing(caller, wallet, 1, made.POLYMARKET)
        other = PolymarketCredentials(private_key="11" * 32, signature_type=2, funder=FUNDER)
        with pytest.raises(InvalidField, match="same account"):
            await _replacing(caller, wallet, 2, other)
        with pytest.raises(InvalidField, match="sealed"):
            await _replacing(caller, wallet, 2, made.POLYMARKET, sealed_for=1)

    control(world, work)


def test_an_engine_goes_on_with_the_new_edition_and_stops_with_the_wallet(world: World) -> None:
    async def work() -> None:
        async with client(world, "control") as caller:
            wallet = await added(caller, made.OKX)
            world.hold(wallet)
            async with client(world, "engine") as engine:
                login = OkxLogin(wallet=wallet, epoch=1, timestamp=int(time.time()))
                assert await engine.sign(login)
                await _replacing(caller, wallet, 1, made.OKX)
                assert await engine.sign(login)
                await caller.change(RetireWallet(actor="tester", wallet=wallet))
                with pytest.raises(NotAllowed):
                    await engine.sign(login)

    run(work())


def test_a_retired_wallet_leaves_nothing_that_opens(world: World) -> None:
    async def work(caller: Any) -> None:
        wallet = await added(caller, made.OKX)
        await caller.change(RetireWallet(actor="tester", wallet=wallet))
        for table in ("trading_wallet_key", "trading_wallet_secret"):
            assert world.rows(f"select 1 from {table} where wallet_id = %s", wallet) == []
        for ask in (
            RetireWallet(actor="t", wallet=wallet),
            CheckWallet(actor="t", wallet=wallet),
            RewrapWallet(actor="t", wallet=wallet),
        ):
            with pytest.raises(WrongState):
                await caller.change(ask)
            with pytest.raises(NotFound):
                await caller.change(replace(ask, wallet="wal_" + "0" * 32))
        # The account may come again, as another wallet.
        assert await added(caller, made.OKX) != wallet

    control(world, work)


def test_a_wallet_whose_sets_change_is_retired_once_that_is_over(world: World) -> None:
    async def work(caller: Any) -> None:
        wallet = await added(caller, made.POLYMARKET)
        world.rows(
            "insert into outcome_set_change (id, wallet_id, action, instrument_id, size, nonce,"
            " deadline) values ('c1', %s, 'redeem', 'polymarket:1', 1, 1, clock_timestamp())",
            wallet,
        )
        retire = RetireWallet(actor="tester", wallet=wallet)
        with pytest.raises(Conflict, match="merged or redeemed"):
            await caller.change(retire)
        world.rows("update outcome_set_change set state = 'DONE' where wallet_id = %s", wallet)
        await caller.change(retire)

    control(world, work)


def test_a_check_says_what_has_become_of_the_credentials(world: World) -> None:
    async def work(caller: Any) -> None:
        okx, polymarket = await added(caller, made.OKX), await added(caller, made.POLYMARKET)
        for wallet in (okx, polymarket):
            await caller.change(CheckWallet(actor="tester", wallet=wallet))
            assert world.rows(ONE, wallet)[0][8] == ""
        world.exchanges.okx["perm"] = "read_only,trade,withdraw"
        world.exchanges.clob_keys.clear()
        for wallet, said in ((okx, "withdraw"), (polymarket, "CLOB accepts")):
            await caller.change(CheckWallet(actor="tester", wallet=wallet))
            assert said in world.rows(ONE, wallet)[0][8]
        world.exchanges.silent = True
        with pytest.raises(Unavailable):
            await caller.change(CheckWallet(actor="tester", wallet=okx))
        assert "withdraw" in world.rows(ONE, okx)[0][8], "silence changes nothing"

    control(world, work)


def test_one_wallet_is_wrapped_anew_when_that_is_asked(world: World) -> None:
    async def work(caller: Any) -> None:
        wallet = await added(caller, made.OKX)
        query = "select wrapped, master_key from trading_wallet_key where wallet_id = %s"
        ((before, name),) = world.rows(query, wallet)
        await caller.change(RewrapWallet(actor="tester", wallet=wallet))
        ((after, same),) = world.rows(query, wallet)
        assert (after != before, same) == (True, name)

    control(world, work)


def test_a_wallet_is_there_whole_or_not_at_all_and_the_same_request_ends_it(world: World) -> None:
    """Killed before the commit there is nothing; after it, the lost answer is asked for again."""

    async def work() -> None:
        async with client(world, "control") as caller:
            requested = replace(
                await sealed(caller, made.OKX), request_key=b"k" * 32, request_hash=b"h" * 32
            )
            with psycopg.connect(world.database_url) as lock:
                # The last statement of the transaction waits for it.
                lock.execute("lock table wallet_event in exclusive mode")
                adding = asyncio.create_task(caller.change(requested))
                for _ in range(600):
                    if await asyncio.to_thread(world.rows, WAITS):
                        break
                    await asyncio.sleep(0.05)
                world.kill()
                with pytest.raises(Unavailable):
                    await adding
            # PostgreSQL may find the connection closed only when it answers.
            for _ in range(600):
                if not await asyncio.to_thread(world.rows, WAITS):
                    break
                await asyncio.sleep(0.05)
            await asyncio.to_thread(world.start)
            known = "select id from trading_wallet where state = 'ACTIVE'"
            there = [wallet for (wallet,) in world.rows(known)]
            wallet = await caller.change(requested)
            assert there in ([], [wallet])
            # Committed, and the answer is lost.
            world.kill()
            await asyncio.to_thread(world.start)
            assert await caller.change(requested) == wallet
            assert world.rows(known) == [(wallet,)]
            await caller.change(CheckWallet(actor="t", wallet=wallet))

    run(work())


def test_a_kill_at_any_point_leaves_whole_wallets(world: World) -> None:
    """Killed while wallets are added, replaced, wrapped anew and retired, again and again."""

    async def work() -> None:
        async with client(world, "control") as caller:
            for turn in range(2):
                wallet = await added(caller, made.POLYMARKET)
                add_key(world.keys, f"turn-{turn}-{time.time_ns() % 10**9}")
                changing = [
                    asyncio.create_task(one)
                    for one in (
                        added(caller, made.OKX),
                        _replacing(caller, wallet, 1, made.POLYMARKET),
                        caller.change(RewrapWallet(actor="t", wallet=wallet)),
                    )
                ]
                await asyncio.sleep(0.06 * turn)
                retiring = asyncio.create_task(
                    caller.change(RetireWallet(actor="t", wallet=wallet))
                )
                await asyncio.sleep(0.02 * turn)
                world.kill()
                await asyncio.gather(*changing, retiring, return_exceptions=True)
                await asyncio.to_thread(world.start)
                await _all_open(world, caller)

    run(work())


async def _all_open(world: World, caller: Any) -> None:
    """Each active wallet opens and is checked; of each retired one nothing is left."""
    for wallet, state in world.rows("select id, state from trading_wallet"):
        (held,) = world.rows(HELD, wallet, wallet)
        if state == "ACTIVE":
            await caller.change(CheckWallet(actor="t", wallet=wallet))
            assert held[0] == 1
            assert held[1] in (3, 4)
            await caller.change(RetireWallet(actor="t", wallet=wallet))
        else:
            kept = world.rows("select count(*) from wallet_event where wallet_id = %s"
                              " and action = 'retired'", wallet)  # fmt: skip
            assert held == (0, 0) or kept == [(0,)], "the tests' own clearing erases nothing"
