"""A wallet's cash: its balance of the tokens that Polymarket trades against, by a Polygon node.

No API of the venue tells it: the value of a portfolio is that of its positions alone. Before: a
JSON-RPC node (ERC-20 ``balanceOf`` by ``eth_call``). After: ingest, which tells what leaders are
worth.
"""

from __future__ import annotations

import asyncio
import re

import msgspec

from tradingtools.domain import errors
from tradingtools.domain.money import MAX_MICROS
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.unreadable import Answers

_BALANCE_OF = "0x70a08231"
"""The first four bytes of keccak("balanceOf(address)")."""
_WORD = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class _Answer(msgspec.Struct, frozen=True):
    result: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_ANSWER = msgspec.json.Decoder(_Answer)


class Collateral:
    """Asks a node for balances. All tokens have six decimals, so their units are micros of USDC."""

    def __init__(self, http: Http, tokens: tuple[str, ...], answers: Answers) -> None:
        self._http = http
        self._tokens = tokens
        self._answers = answers

    async def of(self, wallet: str) -> int:
        """Return what a wallet has of all tokens together, USDC 1e-6.

        Raises:
            Unavailable: the node does not answer, refuses, or its answer cannot be read.
        """
        return sum(await asyncio.gather(*(self._balance(token, wallet) for token in self._tokens)))

    async def _balance(self, token: str, wallet: str) -> int:
        call = {"to": token, "data": _BALANCE_OF + wallet.removeprefix("0x").zfill(64)}
        requested = {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"]}
        body = await self._http.post("", msgspec.json.encode(requested))
        try:
            answer = _ANSWER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._unreadable(wallet, str(error)) from None
        if bytes(answer.error) != b"null":
            raise _unavailable("the node refuses eth_call")
        # "0x" is the answer for an address without a contract.
        if answer.result is None or not _WORD.fullmatch(answer.result):
            raise self._unreadable(wallet, f"result: no balance of {token}")
        balance = int(answer.result, 16)
        if balance > MAX_MICROS:
            raise self._unreadable(wallet, f"result: more of {token} than there can be")
        self._answers.note("eth_call", wallet, read=1)
        return balance

    def _unreadable(self, wallet: str, detail: str) -> errors.Unavailable:
        self._answers.note("eth_call", wallet, refused=1, why=detail)
        return _unavailable(detail)


def tokens(listed: str) -> tuple[str, ...]:
    """Addresses of tokens from a list with commas. Raises ValueError."""
    found = tuple(one.strip().lower() for one in listed.split(",") if one.strip())
    if not found or any(not _ADDRESS.fullmatch(one) for one in found):
        raise ValueError("is not a list of token addresses (0x and 40 hex digits)")
    if len(set(found)) < len(found):
        raise ValueError("names a token twice")
    return found


def _unavailable(detail: str) -> errors.Unavailable:
    return errors.Unavailable(f"rpc: {detail}", dependency="polygon node", retry_after_ms="1000")
