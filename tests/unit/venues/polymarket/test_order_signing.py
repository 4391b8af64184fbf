"""Hashes and signatures of orders agree with three that others wrote, and need no key of ours."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal.actions.orders import typed_data as sdk
from polymarket._internal.actions.orders.types import UnsignedOrder
from polymarket.models.types import TokenId
from polymarket.types import EvmAddress, HexString
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, OrderV2, SignatureTypeV2
from py_clob_client_v2.order_utils import Side as ClientSide
from py_clob_client_v2.signer import Signer

from tradingtools.venues.polymarket import contracts
from tradingtools.venues.polymarket.contracts import Exchange
from tradingtools.venues.polymarket.eip712 import EncodingError
from tradingtools.venues.polymarket.order_signing import (
    ClobOrder,
    SignatureType,
    order_hash,
    order_signature,
    signing_digest,
    typed_data,
)
from tradingtools.venues.ports import Side

# The first key of every local Ethereum chain; it owns nothing.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
OWNER = Account.from_key(KEY).address
AMOY = Exchange(contracts.STANDARD.contract, "2", chain_id=80002)
WALLET = "0x1111111111111111111111111111111111111111"
ORDER = ClobOrder(
    salt=479249096354,
    maker=WALLET,
    signer=WALLET,
    asset_id="1234",
    maker_amount=100_000_000,
    taker_amount=50_000_000,
    side="BUY",
    signature_type=SignatureType.DEPOSIT_WALLET,
    timestamp_ms=1_710_000_000_000,
)
# Of Polymarket/py-clob-client-v2, tests/order_utils/test_exchange_order_builder_v2.py (MIT).
RECORDED = (
    "0xa3a093c83b6c20c83355c16ce94c92e6e9fcbdeb840618cc74f6c57a42ad145b"
    "2b98db73d2c73cbf1f2b6af288566ae81960ddbc3a13921027358a8bff3be6ff1c"
    "a440cbd865bc0c6243d7a8df9a8bf48a8827b0a4abbb61c30e96d305423af148"
    "d23d42d3ad94e65d78258cecaf8dcbaddac0f73dc085040f2c12bb595dd83804"
    "4f726465722875696e743235362073616c742c61646472657373206d616b65722c"
    "61646472657373207369676e65722c75696e7432353620746f6b656e49642c75"
    "696e74323536206d616b6572416d6f756e742c75696e743235362074616b6572"
    "416d6f756e742c75696e743820736964652c75696e7438207369676e61747572"
    "65547970652c75696e743235362074696d657374616d702c6279746573333220"
    "6d657461646174612c62797465733332206275696c6465722900ba"
)

hexes = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
words = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
amounts = st.integers(0, 2**128)
orders = st.builds(
    ClobOrder,
    salt=st.integers(0, 2**53 - 1),
    maker=hexes,
    signer=hexes,
    asset_id=st.integers(0, 2**256 - 1).map(str),
    maker_amount=amounts,
    taker_amount=amounts,
    side=st.sampled_from(get_args(Side)),
    signature_type=st.sampled_from(SignatureType),
    timestamp_ms=st.integers(0, 2**48),
    metadata=words,
    builder=words,
)
exchanges = st.sampled_from((*contracts.EXCHANGES, AMOY))


def sign(digest: bytes) -> bytes:
    return bytes(Account.unsafe_sign_hash(digest, KEY).signature)


@settings(max_examples=40, deadline=None)
@given(order=orders, exchange=exchanges)
def test_hash_and_signature_agree_with_the_clients_of_the_venue(
    order: ClobOrder, exchange: Exchange
) -> None:
    client = ExchangeOrderBuilderV2(
        exchange.contract,
        exchange.chain_id,
        Signer(KEY, exchange.chain_id),
        domain_version=exchange.version,
    )
    theirs = client.build_order_typed_data(_client_order(order))

    assert order_hash(order, exchange) == client.build_order_hash(theirs)
    ours = order_signature(order, exchange, sign(signing_digest(order, exchange)))
    assert ours == client.build_order_signature(theirs)

    official = _sdk_order(order, exchange)
    message = encode_typed_data(full_message=sdk.build_order_typed_data(official))
    assert signing_digest(order, exchange) == _hash_eip191_message(message)
    raw = HexString("0x" + Account.sign_message(message, KEY).signature.hex())
    assert ours == sdk.build_order_signature(official, raw)


@settings(max_examples=20, deadline=None)
@given(order=orders, exchange=exchanges)
def test_typed_data_is_read_by_eth_account(order: ClobOrder, exchange: Exchange) -> None:
    message = encode_typed_data(full_message=typed_data(order, exchange))
    assert _hash_eip191_message(message) == signing_digest(order, exchange)
    signature = sign(signing_digest(order, exchange))
    assert Account.recover_message(message, signature=signature) == OWNER


def test_signature_of_a_deposit_wallet_is_the_recorded_one() -> None:
    assert order_signature(ORDER, AMOY, sign(signing_digest(ORDER, AMOY))) == RECORDED


def test_the_hash_of_a_deposit_wallets_order_is_not_what_is_signed() -> None:
    assert order_hash(ORDER, AMOY) != "0x" + signing_digest(ORDER, AMOY).hex()
    plain = dataclasses.replace(ORDER, signature_type=SignatureType.EOA)
    assert order_hash(plain, AMOY) == "0x" + signing_digest(plain, AMOY).hex()


def test_every_field_and_the_domain_change_the_hash() -> None:
    other: dict[str, object] = {
        "salt": 1,
        "maker": OWNER,
        "signer": OWNER,
        "asset_id": "1235",
        "maker_amount": 1,
        "taker_amount": 1,
        "side": "SELL",
        "signature_type": SignatureType.SAFE,
        "timestamp_ms": 1,
        "metadata": "0x" + "01" * 32,
        "builder": "0x" + "02" * 32,
    }
    assert set(other) == {field.name for field in dataclasses.fields(ClobOrder)}
    changed = [dataclasses.replace(ORDER, **{name: value}) for name, value in other.items()]  # type: ignore[arg-type]
    hashes = [order_hash(order, AMOY) for order in (ORDER, *changed)]
    hashes += [order_hash(ORDER, exchange) for exchange in contracts.EXCHANGES]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("salt", 2**53),
        ("salt", -1),
        ("maker", "0x12"),
        ("signer", WALLET[2:] + "00"),
        ("maker_amount", -1),
        ("taker_amount", 2**256),
        ("asset_id", str(2**256)),
        ("metadata", "0x00"),
        ("builder", ""),
    ],
)
def test_a_value_that_does_not_fit_is_named(field: str, value: object) -> None:
    names = {"maker_amount": "makerAmount", "taker_amount": "takerAmount", "asset_id": "tokenId"}
    with pytest.raises(EncodingError, match=names.get(field, field)):
        order_hash(dataclasses.replace(ORDER, **{field: value}), AMOY)  # type: ignore[arg-type]


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(65), bytes(64) + b"\x1d"])
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(EncodingError, match="signature"):
        order_signature(ORDER, AMOY, signature)


def test_the_contract_follows_from_the_asset() -> None:
    token = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
    position = str((1 << 248) | (0xABCDEF << 104) | 1)
    assert contracts.exchange_of(token, neg_risk=False) == contracts.STANDARD
    assert contracts.exchange_of(token, neg_risk=True) == contracts.NEG_RISK
    assert contracts.exchange_of(position, neg_risk=False) == contracts.PROTOCOL_V2


def _client_order(order: ClobOrder) -> OrderV2:
    return OrderV2(
        salt=str(order.salt),
        maker=order.maker,
        signer=order.signer,
        tokenId=order.asset_id,
        makerAmount=str(order.maker_amount),
        takerAmount=str(order.taker_amount),
        side=ClientSide[order.side],
        signatureType=SignatureTypeV2(order.signature_type),
        timestamp=str(order.timestamp_ms),
        metadata=order.metadata,
        builder=order.builder,
    )


def _sdk_order(order: ClobOrder, exchange: Exchange) -> UnsignedOrder:
    return UnsignedOrder(
        chain_id=exchange.chain_id,
        builder=HexString(order.builder),
        exchange_address=EvmAddress(exchange.contract),
        expiration=0,
        maker=EvmAddress(order.maker),
        maker_amount=order.maker_amount,
        metadata=HexString(order.metadata),
        order_type="GTC",
        salt=order.salt,
        side=order.side,
        signature_type=int(order.signature_type),
        signer=EvmAddress(order.signer),
        taker_amount=order.taker_amount,
        timestamp=order.timestamp_ms,
        token_id=TokenId(order.asset_id),
        protocol_version=exchange.version,
    )
