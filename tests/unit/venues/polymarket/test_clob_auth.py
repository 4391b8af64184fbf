"""L1 and L2 authentication against the venue's recorded vectors and two clients of others."""

from __future__ import annotations

import base64

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal import hmac as sdk_hmac
from polymarket._internal.l1_auth import build_api_key_auth_typed_data
from py_clob_client_v2.signer import Signer
from py_clob_client_v2.signing import build_hmac_signature, sign_clob_auth_message

from tradingtools.venues.polymarket.clob_auth import (
    ApiKey,
    ClobAuth,
    auth_digest,
    auth_typed_data,
    l1_headers,
    l2_headers,
    l2_prehash,
    l2_signature,
)
from tradingtools.venues.polymarket.eip712 import EncodingError

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
OWNER = Account.from_key(KEY).address
SECRET = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def sign(digest: bytes) -> bytes:
    return bytes(Account.unsafe_sign_hash(digest, KEY).signature)


def test_l1_is_the_recorded_signature() -> None:
    # Polymarket/py-clob-client-v2, tests/signing/test_eip712.py (MIT).
    auth = ClobAuth(address=OWNER, timestamp_s=10_000_000, nonce=23, chain_id=80002)
    assert l1_headers(auth, sign(auth_digest(auth))) == {
        "POLY_ADDRESS": OWNER,
        "POLY_SIGNATURE": (
            "0xf62319a987514da40e57e2f4d7529f7bac38f0355bd88bb5adbb3768d80de6c1"
            "682518e0af677d5260366425f4361e7b70c25ae232aff0ab2331e2b164a1aedc1b"
        ),
        "POLY_TIMESTAMP": "10000000",
        "POLY_NONCE": "23",
    }


@settings(max_examples=20, deadline=None)
@given(timestamp_s=st.integers(0, 2**40), nonce=st.integers(0, 2**64))
def test_l1_agrees_with_both_clients(timestamp_s: int, nonce: int) -> None:
    auth = ClobAuth(address=OWNER, timestamp_s=timestamp_s, nonce=nonce)
    official = build_api_key_auth_typed_data(
        address=OWNER, chain_id=137, timestamp=timestamp_s, nonce=nonce
    )
    assert auth_typed_data(auth) == official
    assert auth_digest(auth) == _hash_eip191_message(encode_typed_data(full_message=official))
    signature = "0x" + sign(auth_digest(auth)).hex()
    assert signature == sign_clob_auth_message(Signer(KEY, 137), timestamp_s, nonce)


def test_l2_is_the_recorded_signature() -> None:
    # Polymarket/py-clob-client-v2, tests/signing/test_hmac.py (MIT).
    prehash = l2_prehash(1_000_000, "test-sign", "/orders", b'{"hash": "0x123"}')
    assert l2_signature(SECRET, prehash) == "ZwAdJKvoYRlEKDkNMwd5BuwNNtg93kNaR_oU2HrfVvc="


@settings(max_examples=30)
@given(
    secret=st.binary(min_size=32, max_size=32),
    body=st.sampled_from([b"", b'{"orderID":"0x01"}', b"[]"]),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
)
def test_l2_agrees_with_both_clients(secret: bytes, body: bytes, method: str) -> None:
    for text in (base64.urlsafe_b64encode(secret).decode(), base64.b64encode(secret).decode()):
        found = l2_signature(text, l2_prehash(1_790_000_000, method, "/order", body))
        if "+" in text or "/" in text:
            continue  # the clients drop what is not in their alphabet
        sent = body.decode()
        assert found == build_hmac_signature(text, "1790000000", method, "/order", sent)
        assert found == sdk_hmac.build_hmac_signature(
            secret=text, timestamp=1_790_000_000, method=method, path="/order", body=sent
        )


def test_the_headers_of_a_private_request() -> None:
    key = ApiKey(key="k", secret=SECRET, passphrase="planted")
    signature = l2_signature(SECRET, l2_prehash(1_000_000, "GET", "/data/orders", b""))
    found = l2_headers(key.key, key.passphrase, OWNER, timestamp_s=1_000_000, signature=signature)
    assert set(found) == {
        "POLY_ADDRESS",
        "POLY_SIGNATURE",
        "POLY_TIMESTAMP",
        "POLY_API_KEY",
        "POLY_PASSPHRASE",
    }
    assert SECRET not in str(found)
    assert SECRET not in repr(key)
    assert "planted" not in repr(key)


def test_a_secret_that_is_not_base64_is_refused_without_being_told() -> None:
    with pytest.raises(EncodingError) as caught:
        l2_signature("not base64!", b"")
    assert "not base64!" not in str(caught.value)
    assert caught.value.__cause__ is None
