"""Requests and orders of the CLOB: as the venue's SDK signs them, and never another wallet's."""

from __future__ import annotations

from typing import Any

import coincurve
import pytest
from eth_account import Account as EthAccount
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from polymarket import environments
from polymarket._internal.actions.orders.typed_data import (
    build_order_signature,
    build_order_typed_data,
)
from polymarket._internal.actions.orders.types import UnsignedOrder
from polymarket._internal.hmac import build_hmac_signature
from polymarket._internal.l1_auth import sign_api_key_auth

from services.signer.accounts import PolymarketKeys, address_of
from services.signer.core import clob_rules, polymarket_account
from services.signer.core.evm import checksummed
from services.signer.core.polymarket_account import Account
from tradingtools.domain.errors import InvalidField, NotAllowed
from tradingtools.domain.signing import (
    ClobAuth,
    ClobOrder,
    ClobRequest,
    GetHeaderSecrets,
    Signature,
)
from tradingtools.venues.polymarket import contracts

PRIVATE = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
KEY = coincurve.PrivateKey(PRIVATE)
ETH = EthAccount.from_key(PRIVATE)
FUNDER = "0x" + "ab" * 20
NOW_MS = 1_790_000_000_000
SECRET = "c2VjcmV0IG9mIHRoZSBjbG9iLCAzMiBieXRlcyBsb24="
ZERO = "0x" + "00" * 32
LIMIT = 100_000_000


def keys(signature_type: int) -> PolymarketKeys:
    signer = address_of(KEY)
    funder = signer if signature_type == 0 else bytes.fromhex(FUNDER[2:])
    account = Account(
        signature_type=signature_type, funder=funder, signer=signer, max_order_micros=LIMIT
    )
    return PolymarketKeys(account, KEY, GetHeaderSecrets(key="k", passphrase="p", secret=SECRET))


def order(signature_type: int = 2, **more: Any) -> ClobOrder:
    maker = ETH.address if signature_type == 0 else FUNDER
    requested = {
        "wallet": "w", "epoch": 1, "contract": contracts.STANDARD.contract, "protocol": "2",
        "salt": 479249096354, "maker": maker,
        "signer": FUNDER if signature_type == 3 else ETH.address, "token_id": "1" * 70,
        "maker_amount": 50_000_000, "taker_amount": 100_000_000, "side": "BUY",
        "signature_type": signature_type, "timestamp": NOW_MS, "metadata": ZERO, "builder": ZERO,
    }  # fmt: skip
    return ClobOrder(**{**requested, **more})


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
@pytest.mark.parametrize("exchange", contracts.EXCHANGES)
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_an_order_is_signed_as_the_sdk_signs_it(
    signature_type: int, exchange: contracts.Exchange, side: str
) -> None:
    amounts = (50_000_000, 100_000_000) if side == "BUY" else (100_000_000, 50_000_000)
    requested = order(
        signature_type, contract=exchange.contract, protocol=exchange.version, side=side,
        maker_amount=amounts[0], taker_amount=amounts[1],
    )  # fmt: skip
    unsigned: Any = UnsignedOrder.__new__(UnsignedOrder)
    for name, value in {
        "salt": requested.salt, "maker": requested.maker, "signer": requested.signer,
        "token_id": requested.token_id,
        "maker_amount": requested.maker_amount, "taker_amount": requested.taker_amount,
        "side": side,
        "signature_type": signature_type, "timestamp": requested.timestamp, "metadata": ZERO,
        "builder": ZERO, "chain_id": 137, "exchange_address": exchange.contract,
        "protocol_version": exchange.version,
    }.items():  # fmt: skip
        object.__setattr__(unsigned, name, value)
    typed = build_order_typed_data(unsigned)
    theirs: Any = "0x" + ETH.sign_typed_data(full_message=typed).signature.hex()
    expected = build_order_signature(unsigned, theirs)
    assert keys(signature_type).prepare(requested, NOW_MS).answer() == Signature(signature=expected)


@pytest.mark.parametrize("signature_type", [0, 1, 2, 3])
def test_l1_is_that_of_the_sdk(signature_type: int) -> None:
    requested = ClobAuth(wallet="w", epoch=1, timestamp=NOW_MS // 1000, nonce=3)
    theirs = sign_api_key_auth(ETH, chain_id=137, timestamp=NOW_MS // 1000, nonce=3).signature
    assert keys(signature_type).prepare(requested, NOW_MS).answer() == Signature(signature=theirs)


def request(method: str, path: str, body: str = "") -> ClobRequest:
    return ClobRequest(
        wallet="w", epoch=1, timestamp=NOW_MS // 1000, method=method, path=path, body=body
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [(m, p) for m, paths in clob_rules.ALLOWED.items() for p in sorted(paths)]
    + [("GET", "/data/order/0x" + "5f" * 32)],
)
def test_l2_is_that_of_the_sdk(method: str, path: str) -> None:
    body = None if method == "GET" else '{"orderID":"0x1"}'
    theirs = build_hmac_signature(
        secret=SECRET, timestamp=NOW_MS // 1000, method=method, path=path, body=body
    )
    requested = request(method, path, body or "")
    assert keys(2).prepare(requested, NOW_MS).answer() == Signature(signature=theirs)


@settings(max_examples=60)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "get"]),
    path=st.one_of(
        st.sampled_from(
            [
                "/auth/api-key", "/auth/derive-api-key", "/auth/builder-api-key", "/Order",
                "/order/",
                "//order", "/order?x=1", "/data/order/0x5F" + "5f" * 31, "/data/order/../orders",
                "/data/order/0x5f", "/%6frder", "/order%20", "/orders/..", "/cancel-all\n",
            ]
        ),
        st.text(),
    ),
)  # fmt: skip
def test_another_path_of_the_clob_is_never_signed(method: str, path: str) -> None:
    with pytest.raises(NotAllowed):
        keys(2).prepare(request(method, path), NOW_MS)


@pytest.mark.parametrize(
    "change",
    [
        {"maker": "0x" + "cd" * 20},
        {"signer": "0x" + "cd" * 20},
        {"signature_type": 0},
        {"contract": "0x" + "cd" * 20},
        {"contract": contracts.STANDARD.contract, "protocol": "3"},
        {"contract": contracts.PROTOCOL_V2.contract, "protocol": "2"},
        {"protocol": "1"},
        {"maker_amount": LIMIT + 1, "taker_amount": 2 * LIMIT},
        {"side": "SELL", "maker_amount": LIMIT + 1, "taker_amount": 1},
    ],
)
def test_an_order_of_another_wallet_or_beyond_its_limit_is_not_signed(
    change: dict[str, Any],
) -> None:
    with pytest.raises(NotAllowed):
        keys(2).prepare(replace(order(2), **change), NOW_MS)


@pytest.mark.parametrize(
    "change",
    [
        {"side": "buy"}, {"salt": 1 << 53}, {"salt": -1}, {"token_id": "0"}, {"token_id": "0x1"},
        {"token_id": "9" * 78}, {"maker_amount": 0}, {"taker_amount": -1},
        {"maker_amount": 2_000_000, "taker_amount": 1_000_000}, {"metadata": "0x00"},
        {"builder": ZERO + "00"}, {"timestamp": NOW_MS - 120_001}, {"maker": "0xzz"},
    ],
)  # fmt: skip
def test_a_field_that_is_none_of_an_order_s_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidField):
        keys(2).prepare(replace(order(2), **change), NOW_MS)


def test_the_contracts_are_those_of_the_sdk_and_of_the_adapter() -> None:
    sdk = environments.PRODUCTION._config
    ours = polymarket_account
    assert {
        version: {
            bytes.fromhex(e.contract[2:]) for e in contracts.EXCHANGES if e.version == version
        }
        for version in ("2", "3")
    } == ours.EXCHANGES
    for mine, theirs in (
        (ours.COLLATERAL, sdk.collateral_token),
        (ours.CONDITIONAL_TOKENS, sdk.conditional_tokens),
        (ours.ROUTER, sdk.protocol_v2_router),
        (ours.POSITION_MANAGER, sdk.position_manager),
        (ours.PROXY_FACTORY, sdk.wallet_derivation.proxy_factory),
        (ours.RELAY_HUB, sdk.relay_hub),
        (ours.SAFE_MULTISEND, sdk.safe_multisend),
    ):
        assert checksummed(mine) == theirs
    assert {checksummed(one) for one in ours.ADAPTERS} == {
        sdk.collateral_adapter, sdk.neg_risk_collateral_adapter,
    }  # fmt: skip
