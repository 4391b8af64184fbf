"""An engine of bots on real parts: PostgreSQL, the signer, a paper exchange on the real wire."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from launcher.embedded import role_urls
from launcher.ports import free_port
from tests.paper_okx import harness as okx
from tests.paper_okx.harness import Live
from tests.paper_okx.raw import Rest
from tests.signer import world as signers
from tests.signer.world import World
from tests.support.prepared import Popen
from tradingtools.domain.credentials import OkxCredentials

ROOT = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 120.0
SWAP = "BTC-USDT-SWAP"
TOO_MANY = "50011"
"""Its limit of questions counts those of the wallet's engine, too."""
_NONE = Decimal(0)


@dataclass
class Engine:
    """An engine's process."""

    name: str
    settings: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    command: tuple[str, ...] = ("services.bots",)
    """A module that ends up being the engine, with its arguments."""

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = Popen(
                [sys.executable, "-m", *self.command],
                cwd=ROOT,
                env={**os.environ, **self.settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Let it do nothing until it goes on (SIGSTOP)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused one go on, if it has not been ended (SIGCONT)."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@dataclass
class BotWorld:
    """All that a test of bots needs at any exchange."""

    signer: World
    directory: Path
    wallet: str = field(default="", kw_only=True)
    wallets: dict[str, str] = field(default_factory=dict, kw_only=True)
    """By account at the exchange; the first one is ``wallet``."""
    venue: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Settings of an engine that trades at the exchange."""

    def rows(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.signer.database_url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    def engine(self, name: str = "engine", **settings: str) -> Engine:
        """Make an engine; it is not started."""
        return Engine(
            name,
            {
                "TT_DATABASE_URL": self.signer.database_url,
                **role_urls(self.signer.database_url),
                "TT_BOTS_LISTEN": f"127.0.0.1:{free_port()}",
                "TT_BOTS_NAME": name,
                "TT_BOTS_SIGNER_SOCKET": self.signer.socket,
                "TT_BOTS_LEASE_MS": "4000",
                "TT_ENGINE_CALLERS": signers.CALLERS,
                "TT_ENGINE_TOKEN": signers.TOKENS["engine"],
                **self.venue,
                **settings,
            },
            self.directory / f"{name}.log",
        )

    def made(
        self,
        bot_id: str,
        config: Mapping[str, Any],
        limits: Mapping[str, str],
        wallet: str = "",
        strategy: str = "market_making",
    ) -> None:
        """Create a bot of a wallet, or of the first one, and want it to run."""
        fields = ("instrument_id", "complement_id", "spot_id", "swap_id")
        self.rows(
            "insert into bot (id, tenant, name, wallet_id, strategy, config, instruments, limits,"
            " desired) values (%s, 'default', %s, %s, %s, %s, %s, %s, 'RUNNING')",
            bot_id, bot_id, wallet or self.wallet, strategy, json.dumps(config),
            [config[one] for one in fields if config.get(one)], json.dumps(limits),
        )  # fmt: skip

    def command(self, bot_id: str, desired: str) -> None:
        self.rows("update bot set desired = %s where id = %s", desired, bot_id)

    def state(self, bot_id: str) -> tuple[str, str]:
        (found,) = self.rows("select state, reason from bot where id = %s", bot_id)
        return tuple(found)


@dataclass
class Bots(BotWorld):
    """All that a test of bots at OKX needs."""

    okx: Live

    def bot(self, bot_id: str, **more: Any) -> None:
        """Create a bot, without a strategy a market maker, and want it to run."""
        strategy = more.pop("strategy", "market_making")
        config = more.pop("config", {})
        if strategy == "market_making":
            config = {
                "instrument_id": f"okx:{SWAP}",
                "order_size": 10**8,
                "max_position": 5 * 10**8,
                "risk_aversion": 0.01,
                "arrival_decay": 0.05,
                "max_half_spread": 100 * 10**8,
                **config,
            }
        wallet = more.pop("wallet", "")
        limits = {"max_position": "6", **more.pop("limits", {})}
        self.made(bot_id, config, limits, wallet, strategy)

    def requested(self, path: str, account: str = "ann") -> list[dict[str, str]]:
        """Return the rows of a private question, asked as another client would."""
        rest = Rest(self.okx, account)
        with rest.http:
            while (answer := rest.get(path))["code"] == TOO_MANY:
                time.sleep(0.1)
        assert answer["code"] == "0", answer
        rows: list[dict[str, str]] = answer["data"]
        return rows

    def position(self, account: str = "ann") -> Decimal:
        """Return the contracts that the exchange says an account holds."""
        rows = self.requested("account/positions", account)
        return sum((Decimal(one["pos"] or "0") for one in rows), _NONE)

    def fills(self) -> dict[str, Decimal]:
        """Return the exchange's fills by trade: contracts, below zero sold."""
        found: dict[str, Decimal] = {}
        after = ""
        while True:
            page = self.requested(f"trade/fills-history?instType=SWAP&limit=100{after}")
            for one in page:
                size = Decimal(one["fillSz"])
                found[f"{one['ordId']}/{one['tradeId']}"] = size if one["side"] == "buy" else -size
            if len(page) < 100:
                return found
            after = f"&after={page[-1]['billId']}"

    def placed(self, bot_id: str) -> list[str]:
        """Return the client ids of a bot's orders at the exchange, one for each order."""
        return [one["clOrdId"] for one in self.history() if one["clOrdId"].startswith(bot_id)]

    def history(self, account: str = "ann") -> list[dict[str, str]]:
        """Return the orders of an account that have ended, as the exchange tells them."""
        found: list[dict[str, str]] = []
        after = ""
        while True:
            path = f"trade/orders-history?instType=SWAP&limit=100{after}"
            page = self.requested(path, account)
            found += page
            if len(page) < 100:
                return found
            after = f"&after={page[-1]['ordId']}"

    def resting(self, account: str = "ann") -> list[dict[str, str]]:
        """Return the orders of an account that rest."""
        return self.requested("trade/orders-pending?limit=100", account)

    def booked(self, bot_id: str) -> Decimal:
        """Return the contracts that a bot's fills make."""
        signed = "case side when 'BUY' then size else -size end"
        ((size,),) = self.rows(
            f"select coalesce(sum({signed}), 0) from bot_fill where bot_id = %s", bot_id
        )
        return Decimal(size) / 10**8


@contextmanager
def bots(
    database_url: str, directory: Path, accounts: Sequence[str] = ("ann",), **market: str
) -> Iterator[Bots]:
    """Run a paper OKX and a signer, with a wallet for each account.

    Args:
        database_url: of an empty database.
        directory: for both.
        accounts: at the exchange.
        market: settings of the exchange.
    """
    okx_directory, signer_directory = directory / "okx", directory / "signer"
    for one in (okx_directory, signer_directory):
        one.mkdir(mode=0o700)
    with okx.okx(okx_directory, **{"feed": "seeded", "step_ms": "50", **market}) as live:
        for account in accounts:
            live.account(account)
        more = {"TT_SIGNER_OKX_URL": live.rest, "SSL_CERT_FILE": str(live.authority)}
        with signers.running(database_url, signer_directory, **more) as signer:
            wallets = {one: signers.run(okx_wallet(signer, one)) for one in accounts}
            first = wallets[accounts[0]]
            yield Bots(signer, directory, live, wallet=first, wallets=wallets, venue=at_okx(live))


def at_okx(live: Live) -> dict[str, str]:
    """Return an engine's settings to trade there."""
    return {
        "TT_BOTS_VENUES": "okx",
        "TT_BOTS_OKX_URL": live.rest,
        "TT_BOTS_OKX_SOCKET_URL": f"wss://localhost:{live.port}",
        "SSL_CERT_FILE": str(live.authority),
    }


async def okx_wallet(signer: World, account: str) -> str:
    """Add a wallet of an account there; return its id."""
    credentials = OkxCredentials(api_key=account, secret=okx.SECRET, passphrase=okx.PASSPHRASE)
    async with signers.client(signer, "control") as control:
        return await signers.added(control, credentials)


def until(
    holds: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS, *, every: float = 0.05
) -> Any:
    """Return the first true answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"waited too long for {what}")
