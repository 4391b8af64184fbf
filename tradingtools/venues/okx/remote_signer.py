"""Signatures of one wallet, by the process that has its secret, under the lease of its trader."""

from __future__ import annotations

from typing import Protocol

from tradingtools.domain import signing
from tradingtools.domain.errors import TradingError
from tradingtools.venues.okx.signing import SigningError


class Signs(Protocol):
    """The way to the signer (`tradingtools.rpc.signer_client`)."""

    async def sign(self, ask: signing.Signable) -> str:
        """Return a signature. Raises TradingError: it is refused, or nobody answers."""
        ...


class RemoteSigner:
    """A `RequestSigner` whose secret is elsewhere.

    Args:
        signs: asks the signer.
        wallet: the id under which the signer knows the wallet.
        epoch: of the lease: a later one's holder has the signer refuse this one.
    """

    def __init__(self, signs: Signs, wallet: str, epoch: int) -> None:
        self._signs = signs
        self._wallet = wallet
        self._epoch = epoch

    async def sign_request(self, *, timestamp: str, method: str, path: str, body: str) -> str:
        """Return the Base64 signature of a REST request. Raises SigningError."""
        return await self._sign(
            signing.OkxRest(
                wallet=self._wallet,
                epoch=self._epoch,
                timestamp=timestamp,
                method=method,
                path=path,
                body=body,
            )
        )

    async def sign_login(self, *, timestamp: int) -> str:
        """Return the Base64 signature of the login of a socket. Raises SigningError."""
        return await self._sign(
            signing.OkxLogin(wallet=self._wallet, epoch=self._epoch, timestamp=timestamp)
        )

    async def _sign(self, ask: signing.Signable) -> str:
        try:
            return await self._signs.sign(ask)
        except TradingError as error:
            raise SigningError(str(error)) from error
