"""Signatures of one wallet, from the process that has its key, under the lease of who trades it."""

from __future__ import annotations

from typing import Protocol

from tradingtools.domain import signing
from tradingtools.domain.errors import TradingError
from tradingtools.venues.polymarket.contracts import Exchange
from tradingtools.venues.polymarket.order_signing import ClobOrder
from tradingtools.venues.polymarket.order_transport import SigningError


class Signs(Protocol):
    """A client of the signer (`tradingtools.rpc.signer_client`)."""

    async def sign(self, ask: signing.Signable) -> str:
        """Return a signature. Raises TradingError: it is refused, or nobody answers."""
        ...


class RemoteSigner:
    """A `ClobSigner` whose key is elsewhere.

    Args:
        signs: asks the signer.
        wallet: the id under which the signer knows the wallet.
        epoch: of the lease: a later one's holder has the signer refuse this one.
    """

    def __init__(self, signs: Signs, wallet: str, epoch: int) -> None:
        self._signs = signs
        self._wallet = wallet
        self._epoch = epoch

    async def sign_order(self, order: ClobOrder, exchange: Exchange) -> str:
        """Return an order's signature as the venue takes it. Raises SigningError."""
        return await self._sign(
            signing.ClobOrder(
                wallet=self._wallet,
                epoch=self._epoch,
                contract=exchange.contract,
                protocol=exchange.version,
                salt=order.salt,
                maker=order.maker,
                signer=order.signer,
                token_id=order.asset_id,
                maker_amount=order.maker_amount,
                taker_amount=order.taker_amount,
                side=order.side,
                signature_type=int(order.signature_type),
                timestamp=order.timestamp_ms,
                metadata=order.metadata,
                builder=order.builder,
            )
        )

    async def sign_request(self, *, timestamp_s: int, method: str, path: str, body: bytes) -> str:
        """Return the HMAC of a private request. Raises SigningError."""
        return await self._sign(
            signing.ClobRequest(
                wallet=self._wallet,
                epoch=self._epoch,
                timestamp=timestamp_s,
                method=method,
                path=path,
                body=body.decode(),
            )
        )

    async def sign_call(
        self, call: signing.Call, *, nonce: int, deadline_s: int, gas_limit: int, relay: str
    ) -> str:
        """Return the signature of a call as the relayer takes it. Raises SigningError."""
        return await self._sign(
            signing.RelayerCalls(
                wallet=self._wallet,
                epoch=self._epoch,
                calls=(call,),
                nonce=nonce,
                deadline=deadline_s,
                gas_limit=gas_limit,
                relay=relay,
            )
        )

    async def _sign(self, ask: signing.Signable) -> str:
        try:
            return await self._signs.sign(ask)
        except TradingError as error:
            raise SigningError(str(error)) from error
