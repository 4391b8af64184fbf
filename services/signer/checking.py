"""Find out by a harmless call whether an exchange accepts a wallet's credentials.

Before it: credentials that were opened. After it: custody stores them, or tells the client what is
wrong. The calls themselves are made by `probe`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from services.signer.accounts import OkxKeys, PolymarketKeys
from services.signer.core import verdicts
from services.signer.core.evm import checksummed
from services.signer.core.verdicts import AccountAccess
from tradingtools import clock
from tradingtools.domain.errors import InvalidField, Unavailable
from tradingtools.domain.signing import GetHeaderSecrets
from tradingtools.venues.polymarket.clob_auth import ClobAuth, l1_headers, l2_headers

_PROBE = Path(__file__).with_name("probe.py")
_SECONDS = 8.0
"""Less than the edge waits."""
_RETAINED = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "LANG")
_CONFIG = "/api/v5/account/config"
_KEYS = "/auth/api-keys"
_log = structlog.get_logger("signer")
Ask = Callable[[str, str, Mapping[str, str]], Awaitable[tuple[int, bytes]]]
"""Method, path and headers; status and body of the answer."""


@dataclass(frozen=True, slots=True)
class Checker:
    """Asks exchanges.

    Args:
        okx_url: of OKX's REST.
        clob_url: of Polymarket's CLOB.
    """

    okx_url: str
    clob_url: str

    async def okx(self, keys: OkxKeys, environment: str) -> AccountAccess:
        """Return the account that an API key opens.

        Raises:
            InvalidField: OKX does not accept the key, or it may do too much or too little.
            Unavailable: OKX does not say.
        """
        now = datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)
        timestamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        headers = {
            "OK-ACCESS-KEY": keys.api_key,
            "OK-ACCESS-SIGN": keys.sign(f"{timestamp}GET{_CONFIG}".encode()),
            "OK-ACCESS-TIMESTAMP": timestamp,
            "OK-ACCESS-PASSPHRASE": keys.passphrase,
        }
        if environment == "demo":
            headers["x-simulated-trading"] = "1"
        async with _probing(self.okx_url, "OKX") as ask:
            return verdicts.okx(*await ask("GET", _CONFIG, headers))

    async def polymarket(self, keys: PolymarketKeys) -> PolymarketKeys:
        """Return a private key with the API key that belongs to it; made, if there was none.

        Raises:
            InvalidField: the CLOB does not accept the key.
            Unavailable: it does not say.
        """
        async with _probing(self.clob_url, "the CLOB") as ask:
            found = await _api_creds(ask, keys)
            travel = GetHeaderSecrets(
                key=found.key, passphrase=found.passphrase, secret=found.secret
            )
            whole = replace(keys, api_creds=travel)
            verdicts.clob(*await ask("GET", _KEYS, _l2_headers(whole)), found.key)
            return whole

    async def again(self, keys: OkxKeys | PolymarketKeys, environment: str) -> tuple[str, str]:
        """Return what is wrong with stored credentials, and what they may do; empty: nothing.

        Raises:
            Unavailable: the exchange does not say.
        """
        try:
            if isinstance(keys, OkxKeys):
                return "", (await self.okx(keys, environment)).permissions
            async with _probing(self.clob_url, "the CLOB") as ask:
                answer = await ask("GET", _KEYS, _l2_headers(keys))
                verdicts.clob(*answer, keys.api_creds.key)
        except InvalidField as error:
            return f"expected {error.metadata['expected']}", ""
        return "", ""


async def _api_creds(ask: Ask, keys: PolymarketKeys) -> verdicts.ApiCreds:
    for method, path in (("GET", "/auth/derive-api-key"), ("POST", "/auth/api-key")):
        timestamp = clock.now_ns() // 1_000_000_000
        address = checksummed(keys.account.signer)
        signature = keys.sign(keys.auth_digest(timestamp))
        headers = l1_headers(ClobAuth(address=address, timestamp_s=timestamp), signature)
        found = verdicts.api_creds(*await ask(method, path, headers))
        if found is not None:
            return found
    raise verdicts.invalid_credentials("a private key for which the CLOB makes an API key")


def _l2_headers(keys: PolymarketKeys) -> dict[str, str]:
    timestamp = clock.now_ns() // 1_000_000_000
    return l2_headers(
        keys.api_creds.key,
        keys.api_creds.passphrase,
        checksummed(keys.account.signer),
        timestamp_s=timestamp,
        signature=keys.sign_request(timestamp, "GET", _KEYS),
    )


@asynccontextmanager
async def _probing(url: str, whom: str) -> AsyncIterator[Ask]:
    """Run a process that makes calls until the block ends. Raises Unavailable."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(_PROBE),
        stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, close_fds=True,
        limit=8 * 64 * 1024,
        env={name: os.environ[name] for name in _RETAINED if name in os.environ},
    )  # fmt: skip

    async def ask(method: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if process.stdin is None or process.stdout is None:
            raise _unreachable(whom)
        line = {"url": url, "method": method, "path": path, "headers": dict(headers)}
        process.stdin.write(json.dumps(line).encode() + b"\n")
        await process.stdin.drain()
        reported = json.loads(await process.stdout.readline() or b'{"error": "ended"}')
        if reported.get("error") or not reported["status"]:
            _log.warning(
                "an exchange cannot be asked about credentials", error=reported.get("error")
            )
            raise _unreachable(whom)
        return int(reported["status"]), str(reported["body"]).encode()

    try:
        async with asyncio.timeout(_SECONDS):
            yield ask
    except (TimeoutError, ValueError, ConnectionError):
        raise _unreachable(whom) from None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _unreachable(whom: str) -> Unavailable:
    return Unavailable(
        f"{whom} does not answer; whether the credentials work is not known",
        retry_after_ms="5000",
    )
