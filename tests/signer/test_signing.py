"""A real signer: what it signs, for whom, and what it writes down before."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import socket
import struct
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.signer.master_keys import add_key
from tests.acceptance.harness import until
from tests.signer import exchanges as far
from tests.signer import world as made
from tests.signer.world import FUNDER, World, added, client, run
from tests.support import prepared
from tradingtools.domain.errors import InvalidField, NotAllowed, Unavailable
from tradingtools.domain.signing import (
    Call,
    ClobOrder,
    ClobRequest,
    HeaderSecrets,
    Hello,
    OkxLogin,
    OkxRest,
    RelayerCalls,
    Request,
)
from tradingtools.rpc import frames
from tradingtools.venues.polymarket.contracts import STANDARD

WAITS = """select 1 from pg_stat_activity where wait_event_type = 'Lock'
and application_name = 'tradingtools-signer'"""
ZERO = "0x" + "00" * 32


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def balance(wallet: str, epoch: int = 1, path: str = "/api/v5/account/balance") -> OkxRest:
    return OkxRest(wallet=wallet, epoch=epoch, timestamp=now(), method="GET", path=path)


def buy(wallet: str, epoch: int = 1) -> OkxRest:
    return OkxRest(
        wallet=wallet, epoch=epoch, timestamp=now(), method="POST", path="/api/v5/trade/order",
        body="{}",
    )  # fmt: skip


def order(wallet: str, **more: Any) -> ClobOrder:
    requested = {
        "wallet": wallet, "epoch": 1, "contract": STANDARD.contract, "protocol": "2", "salt": 7,
        "maker": FUNDER, "signer": far.SIGNER_ADDRESS, "token_id": "123", "side": "BUY",
        "maker_amount": 1_000_000, "taker_amount": 2_000_000, "signature_type": 2,
        "timestamp": time.time_ns() // 1_000_000, "metadata": ZERO, "builder": ZERO,
    }  # fmt: skip
    return ClobOrder(**{**requested, **more})


@pytest.fixture(scope="module")
def wallets(world: World) -> tuple[str, str]:
    """A wallet of OKX and one of Polymarket, both held by the engine."""

    async def work() -> tuple[str, str]:
        async with client(world, "control") as control:
            return await added(control, made.OKX), await added(control, made.POLYMARKET)

    found: tuple[str, str] = run(work())
    for wallet in found:
        world.hold(wallet)
    return found


def test_the_engine_that_holds_a_wallet_gets_signatures(
    world: World, wallets: tuple[str, str]
) -> None:
    okx, polymarket = wallets

    async def work() -> None:
        async with client(world, "engine") as engine:
            ask = balance(okx)
            text = f"{ask.timestamp}GET{ask.path}".encode()
            key = far.PLANTED_SECRET.encode()
            own = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
            assert await engine.sign(ask) == own
            login = OkxLogin(wallet=okx, epoch=1, timestamp=int(time.time()))
            assert len(await engine.sign(login)) == 44
            assert len(await engine.sign(order(polymarket))) == 132
            travel = await engine.header_secrets(HeaderSecrets(wallet=okx, epoch=1))
            assert (travel.key, travel.passphrase, travel.secret) == (
                far.PLANTED_KEY, far.PLANTED_PASSPHRASE, "",
            )  # fmt: skip
            api_creds = await engine.header_secrets(HeaderSecrets(wallet=polymarket, epoch=1))
            assert (api_creds.key, api_creds.passphrase, api_creds.secret) == (
                far.TRIPLE["apiKey"], far.TRIPLE["passphrase"], far.TRIPLE["secret"],
            )  # fmt: skip

    run(work())
    rows = world.rows(
        "select kind, summary, engine, epoch, pid, uid, length(digest) from wallet_signature"
        " where wallet_id = any(%s) order by id", list(wallets),
    )  # fmt: skip
    whom = ("engine", 1, os.getpid(), os.geteuid(), 32)
    assert rows == [
        ("okx.rest", "GET /api/v5/account/balance", *whom),
        ("okx.login", "login", *whom),
        ("clob.order", "BUY 1000000 for 2000000 of 123", *whom),
        ("travelling", "what travels in headers", *whom),
        ("travelling", "what travels in headers", *whom),
    ]


def test_nobody_else_gets_one(world: World, wallets: tuple[str, str]) -> None:
    okx, _ = wallets
    signed = world.rows("select count(*) from wallet_signature")

    async def refused(process: str, *asks: Any) -> None:
        async with client(world, process) as caller:
            for ask in asks:
                with pytest.raises(NotAllowed):
                    await caller.request(ask)

    async def work() -> None:
        await refused("stranger", balance(okx), HeaderSecrets(wallet=okx, epoch=1))
        await refused("control", balance(okx), HeaderSecrets(wallet=okx, epoch=1))
        await refused("engine", balance(okx, epoch=2), balance(okx, epoch=0))
        await refused("engine", balance("wal_" + "0" * 32), balance("' or true --"))
        world.hold(okx, epoch=2)
        await refused("engine", balance(okx, epoch=1))
        world.hold(okx, epoch=3, seconds=-1)
        await refused("engine", buy(okx, epoch=3))
        world.hold(okx)
        state = "update trading_wallet set state = %s where id = %s"
        async with client(world, "engine") as engine:
            world.hold(okx, seconds=-1)
            assert await engine.sign(balance(okx)), "nobody else has taken it"
            world.hold(okx)
            # As a signer that has taken over meanwhile would have written it.
            world.rows(state, "RETIRED", okx)
            with pytest.raises(NotAllowed):
                await engine.sign(balance(okx))
            world.rows(state, "ACTIVE", okx)

    run(work())
    assert world.rows("select count(*) - 1 from wallet_signature") == signed


def test_what_the_rules_refuse_is_not_signed(world: World, wallets: tuple[str, str]) -> None:
    okx, polymarket = wallets
    usd = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
    transfer = "0xa9059cbb" + "cd".rjust(64, "0") + "1".rjust(64, "0")
    never: list[tuple[Any, type[Exception]]] = [
        (balance(okx, path="/api/v5/asset/withdrawal"), NotAllowed),
        (balance(okx, path="/api/v5/asset/balances"), NotAllowed),
        (order(polymarket, maker_amount=2 * 10**9, taker_amount=4 * 10**9), NotAllowed),
        (order(polymarket, contract="0x" + "cd" * 20), NotAllowed),
        (order(okx), InvalidField),
        (balance(polymarket), InvalidField),
        (ClobRequest(wallet=polymarket, epoch=1, timestamp=int(time.time()), method="DELETE",
                     path="/auth/api-key"), NotAllowed),
        (RelayerCalls(wallet=polymarket, epoch=1, nonce=1,
                      calls=(Call(to=usd, data=transfer),)), NotAllowed),
    ]  # fmt: skip
    signed = world.rows("select count(*) from wallet_signature")

    async def work() -> None:
        async with client(world, "engine") as engine:
            for ask, kind in never:
                with pytest.raises(kind):
                    await engine.request(ask)

    run(work())
    assert world.rows("select count(*) from wallet_signature") == signed


def _raw(world: World, *sent: bytes) -> bytes:
    """Send bytes, and return what comes back until the other end closes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(world.socket)
        try:
            for one in sent:
                connection.sendall(one)
            return connection.recv(1 << 16)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def test_strangers_and_garbage_are_closed_and_others_go_on(
    world: World, wallets: tuple[str, str]
) -> None:
    hello = frames.framed(Hello(token=made.TOKENS["engine"]))
    ask = frames.framed(Request(number=1, ask=balance(wallets[0])))
    assert _raw(world, frames.framed(Hello(token="0" * 64)), ask) == b""
    assert _raw(world, frames.framed(Hello(token="")), ask) == b""
    assert _raw(world, ask) == b"", "no token at all"
    assert _raw(world, struct.pack(">I", 1 << 31)) == b""
    assert _raw(world, hello, struct.pack(">I", frames.MAX_BYTES + 1)) == b""
    assert _raw(world, hello, struct.pack(">I", 3) + b"\xc1\xc1\xc1") == b""
    answer = _raw(world, hello, ask)
    reported = frames.responses.decode(answer[4:])
    assert type(reported.answer).__struct_config__.tag == "signature"
    assert "0" * 64 not in world.log.read_text()
    assert made.TOKENS["engine"] not in world.log.read_text()


def test_a_process_of_another_user_is_closed(database_url: str, tmp_path: Path) -> None:
    """By the kernel's word, whatever token it shows."""
    with made.running(database_url, tmp_path, TT_SIGNER_UIDS="65533") as closed:
        hello = frames.framed(Hello(token=made.TOKENS["engine"]))
        assert _raw(closed, hello, frames.framed(Request(number=1, ask=balance("w")))) == b""
        until(lambda: "process of a stranger" in closed.log.read_text(), 30, "it is told")
    assert os.stat(tmp_path).st_mode & 0o777 == 0o700


def test_a_directory_that_others_write_to_is_refused(world: World, tmp_path: Path) -> None:
    """They would put a socket of their own there, and be asked in the signer's place."""
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(0o777)
    plain = tmp_path / "plain"
    plain.mkdir(mode=0o700)
    (plain / "socket").write_text("no socket")
    for at, said in ((path / "socket", "others may write"), (plain / "socket", "is no socket")):
        settings = {**world.settings, "TT_SIGNER_SOCKET": str(at), "PATH": os.environ["PATH"]}
        world.kill()
        done = prepared.run("services.signer", settings)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
        world.start()
    assert (plain / "socket").read_text() == "no socket"


def test_a_signature_that_waits_for_the_disk_dies_with_the_signer(
    world: World, wallets: tuple[str, str]
) -> None:
    """Killed before its row is durable, nothing has left; killed after, the row is there."""
    okx, _ = wallets
    counted = "select count(*) from wallet_signature"

    async def work() -> None:
        async with client(world, "engine") as engine:
            (before,) = world.rows(counted)
            with psycopg.connect(world.database_url) as lock:
                lock.execute("lock table wallet_signature in exclusive mode")
                waiting = asyncio.create_task(engine.sign(buy(okx)))
                for _ in range(600):
                    if await asyncio.to_thread(world.rows, WAITS):
                        break
                    await asyncio.sleep(0.05)
                assert not waiting.done()
                world.kill()
                with pytest.raises(Unavailable):
                    await waiting
            await asyncio.to_thread(world.start)
            assert world.rows(counted)[0][0] in (before[0], before[0] + 1)
            assert await engine.sign(balance(okx))

    run(work())


def test_signing_goes_on_while_master_keys_rotate(world: World, wallets: tuple[str, str]) -> None:
    okx, polymarket = wallets

    async def work() -> None:
        async with client(world, "engine") as engine:
            stop = asyncio.Event()
            made_of = [0, 0]

            async def load(number: int) -> None:
                while not stop.is_set():
                    ask = balance(okx) if number == 0 else order(polymarket)
                    assert await engine.sign(ask)
                    made_of[number] += 1

            loading = [asyncio.create_task(load(number)) for number in (0, 1) for _ in range(4)]
            for name in ("second", "third"):
                add_key(world.keys, name)
                query = "select distinct master_key from trading_wallet_key"
                before = list(made_of)
                for _ in range(600):
                    if await asyncio.to_thread(world.rows, query) == [(name,)]:
                        break
                    await asyncio.sleep(0.05)
                assert await asyncio.to_thread(world.rows, query) == [(name,)]
                for _ in range(3_000):
                    if all(after > was for after, was in zip(made_of, before, strict=True)):
                        break
                    await asyncio.sleep(0.01)
                assert min(made_of) > 0
            stop.set()
            await asyncio.gather(*loading)

    run(work())
    assert world.rows("select distinct master_key from sealing_key") == [("third",)]
    # The old keys can go; the signer starts, and opens what it opened.
    world.keys.write_text(world.keys.read_text().splitlines(keepends=True)[-1])
    world.kill()
    world.start()

    async def again() -> None:
        async with client(world, "engine") as engine:
            assert await engine.sign(order(polymarket))

    run(again())


def test_a_start_without_a_needed_master_key_names_it(
    world: World, wallets: tuple[str, str]
) -> None:
    world.kill()
    kept = world.keys.read_text()
    name = kept.split()[0]
    world.keys.write_text(f"other {'0' * 64}\n")
    with pytest.raises(AssertionError, match=f"has no key {name}"):
        world.start()
    world.keys.write_text(kept)
    world.start()


def test_master_keys_come_from_a_command_and_from_no_disk_of_the_signer_s(
    world: World, wallets: tuple[str, str]
) -> None:
    """As a key management service's client prints them; the setting is all that is else."""
    okx, _ = wallets
    script = world.directory / "kms"
    script.write_text(f"#!/bin/sh\ncat {world.keys}\n")
    script.chmod(0o700)
    was = world.settings
    world.kill()
    world.settings = {
        name: value for name, value in was.items() if name != "TT_SIGNER_MASTER_KEY_FILE"
    } | {"TT_SIGNER_MASTER_KEY_COMMAND": str(script)}
    try:
        world.start()

        async def signed() -> None:
            async with client(world, "engine") as engine:
                assert await engine.sign(balance(okx))

        run(signed())
    finally:
        world.kill()
        world.settings = was
        world.start()


def test_a_ciphertext_that_was_moved_in_the_database_signs_nothing(
    world: World, wallets: tuple[str, str]
) -> None:
    okx, polymarket = wallets
    kept = world.rows(
        "select purpose, ciphertext from trading_wallet_secret where wallet_id = %s", okx
    )
    secret, phrase = (dict(kept)[purpose] for purpose in ("secret", "passphrase"))
    change = (
        "update trading_wallet_secret set ciphertext = %s where wallet_id = %s and purpose = %s"
    )
    key = """update trading_wallet_key k set wrapped = o.wrapped from trading_wallet_key o
    where k.wallet_id = %s and o.wallet_id = %s"""
    own = world.rows("select wrapped from trading_wallet_key where wallet_id = %s", polymarket)

    async def refused(wallet: str, ask: Any) -> None:
        world.kill()
        world.start()
        async with client(world, "engine") as engine:
            with pytest.raises(Exception, match="incident") as reported:
                await engine.request(ask)
            assert wallet not in str(reported.value)

    # The passphrase in the place of the secret; then the key of another wallet.
    world.rows(change, phrase, okx, "secret")
    run(refused(okx, balance(okx)))
    world.rows(change, secret, okx, "secret")
    world.rows(key, polymarket, okx)
    run(refused(polymarket, order(polymarket)))
    world.rows(
        "update trading_wallet_key set wrapped = %s where wallet_id = %s", own[0][0], polymarket
    )

    # A limit that was raised behind the signer's back.
    raised = "update trading_wallet set max_order_micros = max_order_micros + %s where id = %s"
    world.rows(raised, 1, polymarket)
    run(refused(polymarket, order(polymarket)))
    world.rows(raised, -1, polymarket)

    async def whole() -> None:
        world.kill()
        world.start()
        async with client(world, "engine") as engine:
            assert await engine.sign(balance(okx))
            assert await engine.sign(order(polymarket))

    run(whole())


def test_without_the_database_nothing_leaves(world: World, wallets: tuple[str, str]) -> None:
    """What cannot be written down is not signed."""
    okx, _ = wallets

    async def work() -> None:
        async with client(world, "engine") as engine:
            assert await engine.sign(balance(okx))
            world.rows("alter table wallet_signature rename to hidden")
            try:
                with pytest.raises(Exception, match=r"incident|write down"):
                    await engine.sign(balance(okx))
            finally:
                world.rows("alter table hidden rename to wallet_signature")
            assert await engine.sign(balance(okx))

    run(work())
    with pytest.raises(Exception, match="kept for 90 days"):
        world.rows("delete from wallet_signature")


def test_a_signer_that_is_away_is_told_of_and_found_again(
    world: World, wallets: tuple[str, str]
) -> None:
    okx, _ = wallets

    async def work() -> None:
        async with client(world, "engine") as engine:
            assert await engine.sign(balance(okx))
            world.kill()
            with pytest.raises(Unavailable, match="does not answer"):
                await engine.sign(balance(okx))
            await asyncio.to_thread(world.start)
            assert await engine.sign(balance(okx))

    run(work())


def test_every_signature_that_left_before_a_kill_is_written_down(
    world: World, wallets: tuple[str, str]
) -> None:
    okx, _ = wallets
    left: list[str] = []

    async def work() -> None:
        async with client(world, "engine") as engine:

            async def load() -> None:
                while True:
                    ask = balance(okx, path=f"/api/v5/trade/order?ordId={len(left)}")
                    text = f"{ask.timestamp}GET{ask.path}"
                    await engine.sign(ask)
                    left.append(hashlib.sha256(text.encode()).hexdigest())

            for _ in range(2):
                known = len(left)
                loading = [asyncio.create_task(load()) for _ in range(16)]
                for _ in range(60_000):
                    if len(left) >= known + 200:
                        break
                    await asyncio.sleep(0.001)
                world.kill()
                done = await asyncio.gather(*loading, return_exceptions=True)
                assert all(isinstance(one, Unavailable) for one in done), done
                await asyncio.to_thread(world.start)

    run(work())
    digests = "select encode(digest, 'hex') from wallet_signature"
    # What the database took too long to write is booked by the next signer.
    until(lambda: set(left) <= {digest for (digest,) in world.rows(digests)}, 60, "all of them")


def test_rate_and_burst_are_each_wallet_s(database_url: str, tmp_path: Path) -> None:
    with made.running(database_url, tmp_path, TT_SIGNER_RATE="1", TT_SIGNER_BURST="3") as bounded:

        async def work() -> None:
            async with client(bounded, "control") as control:
                first = await added(control, made.OKX)
                second = await added(control, made.POLYMARKET)
            bounded.hold(first)
            bounded.hold(second)
            async with client(bounded, "engine") as engine:
                done = await asyncio.gather(
                    *(engine.sign(balance(first)) for _ in range(8)), return_exceptions=True
                )
                signed = [one for one in done if isinstance(one, str)]
                assert 3 <= len(signed) <= 4
                assert await engine.sign(order(second))

        run(work())
