"""Sets of outcomes of one wallet, changed by the venue's relayer, which pays for the gas.

Before: who owns the wallet, and has made durable what is to be sent. After: `relayer_requests`. A
wallet's nonce is used once on the chain, so a change that was not answered may be sent again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import httpx

from tradingtools.domain.signing import Call
from tradingtools.venues.outcome_sets import SetChange, SetsFound
from tradingtools.venues.polymarket import relayer_requests
from tradingtools.venues.polymarket.account_rows import Facts
from tradingtools.venues.polymarket.eip712 import EncodingError
from tradingtools.venues.polymarket.order_answers import (
    ClobAnswer,
    not_sent,
    refused_here,
    unknown,
)
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_requests import ClobRequest
from tradingtools.venues.polymarket.order_transport import NoAnswer, SigningError, send_once
from tradingtools.venues.polymarket.relayer_requests import GAS_LIMIT, RelayNonce
from tradingtools.venues.polymarket.set_calls import call_of
from tradingtools.venues.trading import ReadError, Receipt


@dataclass(frozen=True, slots=True)
class RelayerKey:
    """A key of the relayer's API, which travels in headers: it signs nothing and moves nothing."""

    key: str
    address: str
    """Whose it is."""

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"RelayerKey({self.address})"


class CallSigner(Protocol):
    """Signs calls for one wallet."""

    async def sign_call(
        self, call: Call, *, nonce: int, deadline_s: int, gas_limit: int, relay: str
    ) -> str:
        """Return the signature of a call as the relayer takes it. Raises SigningError."""
        ...


class PolymarketSets:
    """Splits, merges and redeems for one wallet.

    Args:
        client: without redirects; its timeout bounds each answer.
        base_url: of the relayer.
        key: opens the relayer; its owner's transactions are read.
        signer: of the wallet's calls.
        wallet: whose sets they are; of a kind that has a relayer.
        facts: what is known of an asset.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        *,
        key: RelayerKey,
        signer: CallSigner,
        wallet: TradingWallet,
        facts: Facts,
    ) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._headers = {"RELAYER_API_KEY": key.key, "RELAYER_API_KEY_ADDRESS": key.address}
        self._signer = signer
        self._wallet = wallet
        self._facts = facts
        self._one = asyncio.Lock()

    async def nonce(self) -> int:
        """Return the nonce of the wallet's next transaction. Raises ReadError."""
        return (await self._turn()).nonce

    async def submit(self, change: SetChange) -> Receipt:
        """Have a change signed and sent; see the port."""
        async with self._one:
            try:
                call = self._call(change)
                turn = await self._turn()
                if turn.nonce != change.nonce:
                    return refused_here("BAD_NONCE", f"{turn.nonce} is the next nonce")
                signature = await self._signer.sign_call(
                    call,
                    nonce=change.nonce,
                    deadline_s=relayer_requests.deadline_s(change),
                    gas_limit=GAS_LIMIT,
                    relay=turn.relay,
                )
            except (EncodingError, KeyError) as error:
                return refused_here("BAD_CHANGE", str(error))
            except ReadError as error:
                return not_sent("NOT_READ", str(error))
            except SigningError as error:
                return not_sent("NOT_SIGNED", str(error))
            request = relayer_requests.submit(change, call, self._wallet, turn, signature)
            answer = await self._ask(request)
        if isinstance(answer, NoAnswer):
            code = "NO_ANSWER" if answer.left else "NOT_SENT"
            return (unknown if answer.left else not_sent)(code, answer.detail)
        return relayer_requests.of_submit(answer)

    async def find(self, change: SetChange) -> SetsFound:
        """Return what became of a change. Raises ReadError."""
        # The nonce first: what has used it is among the transactions by then.
        nonce = await self.nonce()
        answer = await self._ask(relayer_requests.transactions())
        if isinstance(answer, NoAnswer):
            raise ReadError(f"the relayer: {answer.detail}")
        return relayer_requests.found(answer, change, nonce)

    def _call(self, change: SetChange) -> Call:
        asset = change.instrument.symbol
        facts = self._facts(asset)
        if facts is None:
            raise KeyError(f"{asset} was not looked up")
        return call_of(
            change.action,
            asset_id=asset,
            condition_id=facts.condition_id,
            neg_risk=facts.neg_risk,
            size=change.size,
        )

    async def _turn(self) -> RelayNonce:
        answer = await self._ask(relayer_requests.params(self._wallet))
        if isinstance(answer, NoAnswer):
            raise ReadError(f"the relayer: {answer.detail}")
        return relayer_requests.relay_nonce(answer)

    async def _ask(self, request: ClobRequest) -> ClobAnswer | NoAnswer:
        headers = self._headers | ({"content-type": "application/json"} if request.body else {})
        return await send_once(self._client, self._base_url, request, headers)
