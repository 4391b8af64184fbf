"""WalletService: read, hand on to the signer, encode."""

from __future__ import annotations

import base64

from services.control import paging
from services.control.edge.interceptors import caller_of
from services.control.messages import Fields
from services.control.wallets import codec
from services.control.wallets.store import Wallets
from tradingtools.domain.signing import CheckWallet, RetireWallet
from tradingtools.rpc.headers import Context, idempotency_key
from tradingtools.rpc.signer_client import SignerClient
from tradingtools.v1 import wallet_service_pb2 as pb
from tradingtools.v1 import wallet_service_pb2_grpc as pb_grpc


class WalletServicer(pb_grpc.WalletServiceServicer):
    """Trading wallets.

    Args:
        wallets: as they are stored.
        signer: adds and changes them.
    """

    def __init__(self, wallets: Wallets, signer: SignerClient) -> None:
        self._wallets = wallets
        self._signer = signer

    async def GetSealingKey(
        self, _request: pb.GetSealingKeyRequest, _context: Context
    ) -> pb.SealingKey:
        """Return the public key of the signer."""
        found = await self._signer.sealing_key()
        return pb.SealingKey(
            key_id=found.key_id, public_key=base64.b64encode(found.public).decode()
        )

    async def CreateWallet(self, request: pb.CreateWalletRequest, context: Context) -> pb.Wallet:
        """Hand sealed credentials on."""
        change = codec.new_wallet(request, caller_of(context), idempotency_key(context))
        return await self._shown(await self._signer.change(change))

    async def ListWallets(
        self, request: pb.ListWalletsRequest, context: Context
    ) -> pb.ListWalletsResponse:
        """Return a page, the oldest first."""
        state, size = codec.STATES[request.state], paging.size(request.page_size)
        scope = f"wallets:{request.exchange}:{state}"
        after = paging.decode(scope, request.page_token, 1)
        rows = await self._wallets.page(
            request.exchange, state, after, size + 1, caller_of(context).exchanges
        )
        page = rows[:size]
        answer: Fields = {"wallets": [codec.wallet(row) for row in page]}
        if len(rows) > size:
            answer["next_page_token"] = paging.encode(scope, page[-1]["created_at"], page[-1]["id"])
        return pb.ListWalletsResponse(**answer)

    async def GetWallet(self, request: pb.GetWalletRequest, _context: Context) -> pb.Wallet:
        """Return one."""
        return await self._shown(request.id)

    async def DeleteWallet(self, request: pb.DeleteWalletRequest, context: Context) -> pb.Wallet:
        """Have its credentials erased."""
        change = RetireWallet(actor=caller_of(context).id, wallet=request.id)
        return await self._shown(await self._signer.change(change))

    async def RotateWallet(self, request: pb.RotateWalletRequest, context: Context) -> pb.Wallet:
        """Hand other credentials on, or have them wrapped anew."""
        change = codec.rotation(request, caller_of(context).id)
        return await self._shown(await self._signer.change(change))

    async def CheckWallet(self, request: pb.CheckWalletRequest, context: Context) -> pb.Wallet:
        """Have the exchange asked."""
        change = CheckWallet(actor=caller_of(context).id, wallet=request.id)
        return await self._shown(await self._signer.change(change))

    async def ListExchanges(
        self, _request: pb.ListExchangesRequest, context: Context
    ) -> pb.ListExchangesResponse:
        """Return what wallets of the caller can be of."""
        found = codec.exchanges(caller_of(context).among)
        return pb.ListExchangesResponse(exchanges=found, signer=self._signer.configured)

    async def _shown(self, wallet_id: str) -> pb.Wallet:
        return pb.Wallet(**codec.wallet(await self._wallets.one(wallet_id)))
