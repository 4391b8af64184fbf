"""Signatures a second: of the signer's rules and keys alone, and of the whole signer.

Alone is what one core does between a request and its signature. Whole is a process with a
PostgreSQL of its own, asked over its socket by one engine that has many requests under way: each is
judged, written down, durable, and then signed.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import coincurve
import psycopg

from bench import alone
from bench.core.figures import spread
from bench.core.sheet import Figure
from services.signer import vault
from services.signer.accounts import OkxKeys, PolymarketKeys, address_of
from services.signer.core.evm import checksummed
from services.signer.core.polymarket_account import SAFE, Account
from services.signer.master_keys import KeyFile, add_key
from services.signer.store import Added, Store
from services.signer.vault import Place
from tradingtools.domain.signing import ClobOrder, GetHeaderSecrets, OkxRest, Signable
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.storage.postgres import lease
from tradingtools.storage.postgres.pool import open_pool
from tradingtools.venues.polymarket.contracts import STANDARD

_SECONDS = 4.0
_UNDER_WAY = 256
_TOKEN = "e0" * 32
_SECRET = "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO"  # noqa: S105 - a published vector
_KEY = coincurve.PrivateKey(bytes.fromhex("11" * 32))
_FUNDER = "0x" + "ab" * 20
_MAX = 10**12
_ZERO = "0x" + "00" * 32
_GOALS = {"EIP-712": 1_000.0, "HMAC": 5_000.0}
_ACCOUNTS = {
    "okx": ("live", "1", _MAX, None, None),
    "polymarket": ("live", _FUNDER, _MAX, SAFE, checksummed(address_of(_KEY))),
}


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own."""
    figures = []
    for what, ask in (("EIP-712", _order), ("HMAC", _request)):
        say(f"{what} alone")
        figures.append(_figure(what, "rules and keys, one core", _alone(ask, _SECONDS * factor)))
    with alone.stores() as stores, tempfile.TemporaryDirectory() as directory:
        async with _signer(stores, Path(directory)) as client:
            for what, ask in (("EIP-712", _order), ("HMAC", _request)):
                say(f"{what} over the socket")
                taken, seconds = await _whole(client, ask, _SECONDS * factor)
                under, found = f"durable, {_UNDER_WAY} under way", spread(taken)
                figures += [
                    _figure(what, under, len(taken) / seconds),
                    Figure(what=f"{what}, p50", under=under, value=found.p50, unit="ms"),
                    Figure(what=f"{what}, p99", under=under, value=found.p99, unit="ms"),
                ]
                one, _ = await _whole(client, ask, _SECONDS * factor / 4, under_way=1)
                under, found = "durable, one at a time", spread(one)
                figures.append(Figure(what=f"{what}, p50", under=under, value=found.p50, unit="ms"))
    return figures


def _figure(what: str, under: str, value: float) -> Figure:
    goal = _GOALS[what]
    return Figure(what=what, under=under, value=value, unit="a second", goal=goal, at_least=True)


def _order(wallet: str) -> Signable:
    return ClobOrder(
        wallet=wallet, epoch=1, contract=STANDARD.contract, protocol=STANDARD.version, salt=7,
        maker=_FUNDER, signer=checksummed(address_of(_KEY)), token_id="1" * 70, side="BUY",
        maker_amount=1_000_000, taker_amount=2_000_000, signature_type=SAFE,
        timestamp=time.time_ns() // 1_000_000, metadata=_ZERO, builder=_ZERO,
    )  # fmt: skip


def _request(wallet: str) -> Signable:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = '{"instId":"BTC-USDT-SWAP","tdMode":"cross","side":"buy","ordType":"limit","sz":"1"}'
    return OkxRest(
        wallet=wallet, epoch=1, timestamp=now, method="POST", path="/api/v5/trade/order", body=body
    )


def _alone(ask: Callable[[str], Signable], seconds: float) -> float:
    account = Account(
        signature_type=SAFE, funder=bytes.fromhex(_FUNDER[2:]), signer=address_of(_KEY),
        max_order_micros=_MAX,
    )  # fmt: skip
    requested = ask("polymarket" if ask is _order else "okx")
    keys = (
        PolymarketKeys(account, _KEY, GetHeaderSecrets(key="", passphrase=""))
        if ask is _order
        else OkxKeys(api_key="k", secret=_SECRET, passphrase=_SECRET)
    )
    count, now_ms, started = 0, time.time_ns() // 1_000_000, time.perf_counter()
    while time.perf_counter() - started < seconds:
        keys.prepare(requested, now_ms).answer()
        count += 1
    return count / (time.perf_counter() - started)


async def _whole(
    client: SignerClient,
    ask: Callable[[str], Signable],
    seconds: float,
    under_way: int = _UNDER_WAY,
) -> tuple[list[float], float]:
    """Return how long each signature took, milliseconds, and how long all of it."""
    wallet = _wallet("polymarket" if ask is _order else "okx")
    taken: list[float] = []
    started = time.perf_counter()

    async def load() -> None:
        while (at := time.perf_counter()) - started < seconds:
            await client.sign(ask(wallet))
            taken.append((time.perf_counter() - at) * 1000)

    await asyncio.gather(*(load() for _ in range(under_way)))
    return taken, time.perf_counter() - started


@asynccontextmanager
async def _signer(stores: alone.Stores, directory: Path) -> AsyncIterator[SignerClient]:
    keys = directory / "keys"
    add_key(keys, "first")
    await _add_wallets(stores.database_url, KeyFile(keys))
    digest = hashlib.sha256(_TOKEN.encode()).hexdigest()
    settings = {
        "SOCKET": str(directory / "socket"), "MASTER_KEY_FILE": str(keys),
        "UNLOCKED_MEMORY": "true", "RATE": "100000", "BURST": "100000",
        "ENGINE_CALLERS": f"engine:{digest}",
    }  # fmt: skip
    async with alone.process("signer", stores, settings):
        client = SignerClient(settings["SOCKET"], _TOKEN)
        try:
            yield client
        finally:
            await client.aclose()


def _wallet(exchange: str) -> str:
    return "wal_" + hashlib.sha256(exchange.encode()).hexdigest()[:32]


async def _add_wallets(url: str, master_key_names: KeyFile) -> None:
    """Write a wallet of each exchange, held by the engine."""
    secrets = {
        "okx": {"api_key": "k", "secret": _SECRET, "passphrase": "p"},
        "polymarket": {"private_key": "11" * 32, "api_key": "k", "secret": "c2VjcmV0",
                       "passphrase": "p"},
    }  # fmt: skip
    async with open_pool(url, name="bench") as pool:
        # Under the signer's own name: the process takes over at once.
        store = Store(pool, await lease.acquire(pool, "signer", 0, "signer-0"))
        for exchange, plain in secrets.items():
            environment, account, most, kind, signer = _ACCOUNTS[exchange]
            place = Place(
                tenant="bench", wallet=_wallet(exchange), exchange=exchange, edition=1,
                facts=vault.facts(environment, account, most, kind, signer),
            )  # fmt: skip
            key, wrapped = vault.new_data_key(master_key_names, place)
            added = Added(
                place=place, name=exchange, environment=environment, account=account,
                permissions="trade", max_order_micros=most, signature_type=kind,
                signer_address=signer,
            )  # fmt: skip
            await store.add(added, wrapped, vault.encrypt(key, place, plain), "bench")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(
            "insert into trading_wallet_lease select id, 'engine', 1,"
            " clock_timestamp() + interval '1 hour' from trading_wallet"
        )
