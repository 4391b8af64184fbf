"""A real signer on a real database, beside exchanges that check signatures, and clients of it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from launcher.embedded import role_urls
from launcher.ports import free_port
from launcher.startup import serving
from services.signer.master_keys import add_key
from tests.acceptance.harness import until
from tests.control.edge import RunningEdge, running_edge
from tests.signer import exchanges as far
from tests.signer.exchanges import Exchanges
from tests.support.prepared import Popen
from tradingtools.codec import sealing
from tradingtools.domain.credentials import Credentials, OkxCredentials, PolymarketCredentials
from tradingtools.domain.signing import AddWallet
from tradingtools.rpc.signer_client import SignerClient

ROOT = Path(__file__).resolve().parents[2]
TOKENS = {"control": "c0" * 32, "engine": "e0" * 32, "stranger": "e1" * 32}
CALLERS = ",".join(
    f"{name}:{hashlib.sha256(token.encode()).hexdigest()}" for name, token in TOKENS.items()
)
OKX = OkxCredentials(
    api_key=far.PLANTED_KEY, secret=far.PLANTED_SECRET, passphrase=far.PLANTED_PASSPHRASE
)
FUNDER = "0x" + "ab" * 20
POLYMARKET = PolymarketCredentials(private_key=far.PLANTED_PRIVATE, signature_type=2, funder=FUNDER)
CAP_IPC_LOCK, CAP_SYS_PTRACE = 14, 19
_names = itertools.count(1)


def may(capability: int) -> bool:
    """Return whether this process, and so what it starts, has a capability that root may lack."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line
    )
    return bool(int(line.split()[1], 16) >> capability & 1)


@dataclass
class World:
    """A signer that runs."""

    database_url: str
    directory: Path
    exchanges: Exchanges
    settings: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket(self) -> str:
        return self.settings["TT_SIGNER_SOCKET"]

    @property
    def keys(self) -> Path:
        return self.directory / "master-keys"

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = Popen(
                [sys.executable, "-m", "services.signer"], cwd=ROOT,
                env={**os.environ, **self.settings}, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        at = self.settings["TT_SIGNER_LISTEN"]
        until(lambda: self.ended() or (Path(self.socket).exists() and serving(at)), 60, "serving")
        assert not self.ended(), self.log.read_text()[-2000:]

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def rows(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    def hold(self, wallet: str, engine: str = "engine", epoch: int = 1, seconds: int = 600) -> None:
        """Give an engine a wallet."""
        self.rows(
            "insert into trading_wallet_lease values (%s, %s, %s,"
            " clock_timestamp() + make_interval(secs => %s))"
            " on conflict (wallet_id) do update set engine = excluded.engine,"
            " epoch = excluded.epoch, until = excluded.until",
            wallet, engine, epoch, seconds,
        )  # fmt: skip


@asynccontextmanager
async def client(world: World, process: str) -> AsyncIterator[SignerClient]:
    """A client with a process's token."""
    made = SignerClient(world.socket, TOKENS[process])
    try:
        yield made
    finally:
        await made.aclose()


async def sealed(control: SignerClient, credentials: Credentials, **more: Any) -> AddWallet:
    """The request for a new wallet, as a client seals it and control hands it on."""
    key = await control.sealing_key()
    requested = {
        "tenant": "default", "name": f"bot-{next(_names)}", "environment": "live",
        "exchange": "okx" if isinstance(credentials, OkxCredentials) else "polymarket",
        "max_order_micros": 1_000_000_000, **more,
    }  # fmt: skip
    bound = sealing.for_new(
        requested["tenant"], requested["name"], requested["exchange"], requested["environment"],
        requested["max_order_micros"],
    )  # fmt: skip
    return AddWallet(
        actor="tester", key_id=key.key_id, sealed=sealing.seal(credentials, key.public, bound),
        **requested,
    )  # fmt: skip


async def added(control: SignerClient, credentials: Credentials, **more: Any) -> str:
    return await control.change(await sealed(control, credentials, **more))


@contextmanager
def running(database_url: str, directory: Path, **settings: str) -> Iterator[World]:
    """Start a signer; end it by its id."""
    directory.chmod(0o700)
    keys = directory / "master-keys"
    if not keys.exists():
        add_key(keys, "first")
    with far.exchanges() as exchanges:
        world = World(
            database_url, directory, exchanges,
            {
                "TT_DATABASE_URL": database_url, **role_urls(database_url),
                "TT_SIGNER_LISTEN": f"127.0.0.1:{free_port()}",
                "TT_SIGNER_SOCKET": str(directory / "signer.sock"),
                "TT_SIGNER_MASTER_KEY_FILE": str(keys),
                "TT_SIGNER_UNLOCKED_MEMORY": "false" if may(CAP_IPC_LOCK) else "true",
                "TT_SIGNER_OKX_URL": exchanges.url, "TT_SIGNER_CLOB_URL": exchanges.url,
                "TT_SIGNER_RATE": "100000", "TT_SIGNER_BURST": "100000",
                "TT_ENGINE_CALLERS": CALLERS, **settings,
            },
            directory / "log",
        )  # fmt: skip
        world.start()
        try:
            yield world
        finally:
            if not world.ended():
                assert world.process is not None
                world.process.terminate()
                world.process.wait(30)


@contextmanager
def whole(
    database_url: str, redis_url: str, directory: Path, **settings: str
) -> Iterator[tuple[World, RunningEdge]]:
    """Start a signer, and control and Envoy that know it."""
    with running(database_url, directory, **settings) as world:
        edge_directory = directory / "edge"
        edge_directory.mkdir()
        with running_edge(
            edge_directory,
            database_url,
            redis_url,
            engine_token=TOKENS["control"],
            signer_socket=world.socket,
        ) as edge:
            yield world, edge


def run(work: Any) -> Any:
    """Run a coroutine to its end."""
    return asyncio.run(asyncio.wait_for(work, 120))
