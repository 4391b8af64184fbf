"""A signer with a key of its own, by eth-account, where the product's is in another process."""

from __future__ import annotations

from eth_account import Account
from polymarket._internal.actions.relayer import calls as sdk
from polymarket._internal.actions.relayer.signing.deposit_wallet import sign_deposit_wallet_batch
from polymarket._internal.actions.relayer.signing.proxy import (
    build_proxy_transaction_hash,
    sign_proxy_message,
)
from polymarket._internal.actions.relayer.signing.safe import sign_safe_transaction
from polymarket.environments import PRODUCTION
from polymarket.types import EvmAddress, HexString

from tradingtools.domain.signing import Call
from tradingtools.venues.polymarket.clob_auth import ApiKey, l2_prehash, l2_signature
from tradingtools.venues.polymarket.contracts import Exchange
from tradingtools.venues.polymarket.order_index import TradingWallet
from tradingtools.venues.polymarket.order_signing import (
    ClobOrder,
    SignatureType,
    order_signature,
    signing_digest,
)


class LocalSigner:
    """Signs with a private key of the tests."""

    def __init__(
        self, private_key: str, api_key: ApiKey, wallet: TradingWallet | None = None
    ) -> None:
        self._key = private_key
        self._api_key = api_key
        self._wallet = wallet

    async def sign_order(self, order: ClobOrder, exchange: Exchange) -> str:
        signed = Account.unsafe_sign_hash(signing_digest(order, exchange), self._key)
        return order_signature(order, exchange, bytes(signed.signature))

    async def sign_request(self, *, timestamp_s: int, method: str, path: str, body: bytes) -> str:
        return l2_signature(self._api_key.secret, l2_prehash(timestamp_s, method, path, body))

    async def sign_call(
        self, call: Call, *, nonce: int, deadline_s: int, gas_limit: int, relay: str
    ) -> str:
        """Sign by the venue's own client."""
        assert self._wallet is not None
        account, holder = Account.from_key(self._key), EvmAddress(self._wallet.address)
        one = sdk.TransactionCall(to=EvmAddress(call.to), data=HexString(call.data))
        match self._wallet.signature_type:
            case SignatureType.SAFE:
                return sign_safe_transaction(
                    account, safe_address=holder, to=one.to, data=one.data, value=0, operation=0,
                    nonce=str(nonce), chain_id=137,
                )  # fmt: skip
            case SignatureType.PROXY:
                config = PRODUCTION._config
                made = build_proxy_transaction_hash(
                    from_address=EvmAddress(account.address),
                    to=EvmAddress(config.wallet_derivation.proxy_factory),
                    data=sdk.encode_proxy_call([one]), relayer_fee="0", gas_price="0",
                    gas_limit=str(gas_limit), nonce=str(nonce),
                    relay_hub=EvmAddress(config.relay_hub), relay=EvmAddress(relay),
                )  # fmt: skip
                return sign_proxy_message(account, made)
            case _:
                return sign_deposit_wallet_batch(
                    account, wallet=holder, calls=[one], nonce=str(nonce),
                    deadline=str(deadline_s), chain_id=137,
                )  # fmt: skip
