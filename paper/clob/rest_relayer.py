"""The venue's relayer, which makes a wallet's calls of contracts: `/relayer` on this exchange."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from aiohttp import web

from paper.clob.core.relayed import RELAY, TYPES, Kind, Relayed, Signed
from paper.clob.core.values import Refusal
from paper.clob.server import reply
from paper.clob.venue import Venue
from paper.clob.wire.rows import Json

_BAD = "invalid request body"
_BODY_METADATA = 500


class _Call(msgspec.Struct, frozen=True):
    target: str
    value: str
    data: str


class _Deposit(msgspec.Struct, frozen=True, rename="camel"):
    deposit_wallet: str
    deadline: str
    calls: list[_Call]


class _Params(msgspec.Struct, frozen=True, rename="camel"):
    operation: Literal["0", "1"] = "0"
    gas_limit: str = "0"
    relay: str = RELAY


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    type: Kind
    sender: str = msgspec.field(name="from")
    to: str
    nonce: str
    signature: str
    metadata: str = ""
    data: str = "0x"
    proxy_wallet: str = ""
    signature_params: _Params = _Params()
    deposit_wallet_params: _Deposit | None = None


class RelayerRest:
    """Its routes.

    Args:
        venue: the exchange.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return what is served."""
        return [
            web.get("/relayer/v1/account/transactions/params", self._params),
            web.get("/relayer/relay-payload", self._params),
            web.get("/relayer/deployed", self._deployed),
            web.post("/relayer/submit", self._submit),
            web.get("/relayer/transactions", self._transactions),
            web.get("/relayer/transaction", self._by_query),
            web.get("/relayer/v1/account/transactions/{id}", self._by_id),
        ]

    async def _params(self, request: web.Request) -> web.Response:
        kind, address = request.query.get("type", ""), request.query.get("address", "").lower()
        if kind not in TYPES:
            raise Refusal("invalid type")
        wallet = self._venue.wallets.of_type(address, TYPES[kind])
        proxied = kind == "PROXY"
        nonce = self._venue.relayer.nonce(wallet)
        return reply({"address": RELAY if proxied else address, "nonce": str(nonce)})

    async def _deployed(self, _: web.Request) -> web.Response:
        return reply({"deployed": True})

    async def _submit(self, request: web.Request) -> web.Response:
        self._owner(request)
        try:
            body = msgspec.json.decode(await request.read(), type=_Body)
            requested = _signed(body)
        except (msgspec.DecodeError, ValueError):
            raise Refusal(_BAD) from None
        if len(body.metadata) > _BODY_METADATA:
            raise Refusal("metadata is too long")
        venue = self._venue
        if venue.wallets.of_type(requested.sender, TYPES[requested.kind]) != requested.wallet:
            raise Refusal("the wallet is not one of the signer's")
        takes_ms = venue.exchange.settlement.settles_ms
        made = venue.relayer.submit(requested, body.metadata, venue.now_ms(), takes_ms)
        return reply({"transactionID": made.id, "transactionHash": made.tx, "state": made.state})

    async def _transactions(self, request: web.Request) -> web.Response:
        owner = self._owner(request)
        rows = [one for one in self._venue.relayer.rows.values() if one.sender == owner]
        return reply([_row(one) for one in reversed(rows)])

    async def _by_query(self, request: web.Request) -> web.Response:
        found = self._venue.relayer.rows.get(request.query.get("id", ""))
        return reply([] if found is None else [_row(found)])

    async def _by_id(self, request: web.Request) -> web.Response:
        self._owner(request)
        found = self._venue.relayer.rows.get(request.match_info["id"])
        if found is None:
            raise Refusal("transaction not found", 404)
        named = {"transaction_id": found.id, "transaction_hash": found.tx}
        return reply(named | {"state": found.state, "error_msg": found.error or None})

    def _owner(self, request: web.Request) -> str:
        """Return whose key a request has. Raises Refusal."""
        address = request.headers.get("RELAYER_API_KEY_ADDRESS", "").lower()
        if request.headers.get("RELAYER_API_KEY", "") != self._venue.keys.relayer_key(address):
            raise Refusal("invalid authorization", 401)
        return address


def _signed(body: _Body) -> Signed:
    """Return the transaction of a body. Raises ValueError."""
    deposit = body.deposit_wallet_params
    if (deposit is not None) != (body.type == "WALLET"):
        raise ValueError("deposit wallet")
    wallet = body.proxy_wallet if deposit is None else deposit.deposit_wallet
    calls: list[tuple[str, bytes]] = []
    for call in () if deposit is None else deposit.calls:
        if call.value != "0":
            raise ValueError("value")
        calls.append((call.target.lower(), _raw(call.data)))
    return Signed(
        kind=body.type,
        sender=body.sender.lower(),
        wallet=wallet.lower(),
        to=body.to.lower(),
        data=_raw(body.data),
        nonce=int(body.nonce),
        signature=_raw(body.signature),
        operation=int(body.signature_params.operation),
        gas_limit=int(body.signature_params.gas_limit),
        relay=body.signature_params.relay.lower(),
        deadline_s=None if deposit is None else int(deposit.deadline),
        calls=calls,
    )


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _row(one: Relayed) -> Json:
    at = datetime.fromtimestamp(one.created_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    return {
        "transactionID": one.id,
        "transactionHash": one.tx,
        "from": one.sender,
        "to": one.to,
        "proxyAddress": one.wallet,
        "data": "0x" + (one.calls[0][1].hex() if one.calls else ""),
        "nonce": str(one.nonce),
        "value": "",
        "signature": one.signature,
        "state": one.state,
        "type": one.kind,
        "owner": one.sender,
        "metadata": one.metadata,
        "errorMsg": one.error,
        "createdAt": at,
        "updatedAt": at,
    }
