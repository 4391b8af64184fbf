"""A signer with a key of its own, by eth-account, where the product's is in another process."""

from __future__ import annotations

from eth_account import Account

from tradingtools.venues.polymarket.clob_auth import ApiKey, l2_prehash, l2_signature
from tradingtools.venues.polymarket.contracts import Exchange
from tradingtools.venues.polymarket.order_signing import (
    ClobOrder,
    order_signature,
    signing_digest,
)


class LocalSigner:
    """Signs with a private key of the tests."""

    def __init__(self, private_key: str, api_key: ApiKey) -> None:
        self._key = private_key
        self._api_key = api_key

    async def sign_order(self, order: ClobOrder, exchange: Exchange) -> str:
        signed = Account.unsafe_sign_hash(signing_digest(order, exchange), self._key)
        return order_signature(order, exchange, bytes(signed.signature))

    async def sign_request(self, *, timestamp_s: int, method: str, path: str, body: bytes) -> str:
        return l2_signature(self._api_key.secret, l2_prehash(timestamp_s, method, path, body))
