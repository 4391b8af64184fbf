"""Requests of OKX: the vector, and that nothing but the list is ever signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from services.signer.accounts import OkxKeys
from services.signer.core import okx_rules
from tradingtools.domain.errors import InvalidField, NotAllowed, TradingError
from tradingtools.domain.signing import OkxLogin, OkxRest, Signature

SECRET = "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO"
AT = "2020-12-08T09:08:57.715Z"
AT_MS = 1_607_418_537_715
KEYS = OkxKeys(api_key="k", secret=SECRET, passphrase="p")
EVERY = [(method, path) for method, paths in okx_rules.ALLOWED.items() for path in sorted(paths)]


def ask(method: str = "GET", path: str = "/api/v5/account/balance", body: str = "") -> OkxRest:
    return OkxRest(wallet="w", epoch=1, timestamp=AT, method=method, path=path, body=body)


def test_the_published_vector() -> None:
    answer = KEYS.prepare(ask(), AT_MS).answer()
    assert answer == Signature(signature="PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k=")


def test_a_login_is_that_of_the_documentation() -> None:
    login = OkxLogin(wallet="w", epoch=1, timestamp=AT_MS // 1000)
    text = f"{AT_MS // 1000}GET/users/self/verify".encode()
    made = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha256).digest()).decode()
    assert KEYS.prepare(login, AT_MS).answer() == Signature(signature=made)


@pytest.mark.parametrize(("method", "path"), EVERY)
def test_what_is_on_the_list_is_signed(method: str, path: str) -> None:
    body = "" if method == "GET" else '{"instId": "BTC-USDT-SWAP"}'
    text, summary = okx_rules.rest(ask(method, path, body), AT_MS)
    assert text == f"{AT}{method}{path}{body}".encode()
    assert summary == f"{method} {path}"


def test_nothing_on_the_list_moves_money_out_or_between_accounts() -> None:
    for _, path in EVERY:
        assert path.split("/")[3] in ("account", "trade"), path
        assert not {"withdrawal", "transfer", "deposit", "convert"} & set(path.split("/")), path


_BAD = st.sampled_from(
    [
        "/api/v5/asset/withdrawal", "/api/v5/asset/transfer", "/api/v5/asset/withdrawal-lightning",
        "/api/v5/account/set-account-level", "/api/v5/account/set-position-mode",
        "/api/v5/users/subaccount/modify-apikey", "/api/v5/fiat/create-withdrawal",
        "/api/v5/asset/convert/trade", "/api/v5/finance/staking-defi/purchase",
        "/api/v5/asset/subaccount/transfer", "/users/self/verify",
    ]
)  # fmt: skip
_KNOWN = st.sampled_from([path for _, path in EVERY])
_TWISTS = st.sampled_from(
    [
        str.upper, str.title, lambda p: p + "/", lambda p: p.replace("/", "//", 1),
        lambda p: p + "/.", lambda p: p + "/../asset/withdrawal",
        lambda p: "/api/v5/account/.." + p,
        lambda p: p.replace("a", "%61", 1), lambda p: p + "%2f", lambda p: p + "%00",
        lambda p: p + ";x=1", lambda p: p + "#", lambda p: " " + p, lambda p: p + "\n",
        lambda p: p + "\u200b", lambda p: p.replace("o", "\u043e", 1), lambda p: "http://okx" + p,
        lambda p: p.replace("v5", "v5/v5"), lambda p: p[1:], lambda p: p.replace("/", "\\"),
        lambda p: p + "\t", lambda p: p + "\0", lambda p: p + "/asset/withdrawal",
    ]
)  # fmt: skip


@settings(max_examples=80)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "get", "Post", "GET ", ""]),
    path=st.one_of(_BAD, st.builds(lambda twist, path: twist(path), _TWISTS, _KNOWN), st.text()),
    query=st.sampled_from(["", "?ccy=BTC", "?"]),
)
@example(method="POST", path="/api/v5/asset/withdrawal", query="")
def test_another_path_is_never_signed(method: str, path: str, query: str) -> None:
    # A twist leaves some paths as they are.
    assume(path not in okx_rules.ALLOWED.get(method, ()))
    body = "" if method == "GET" else "{}"
    with pytest.raises(NotAllowed, match="methods and paths on its list"):
        okx_rules.rest(ask(method, path + query, body), AT_MS)


@settings(max_examples=60)
@given(
    query=st.sampled_from(
        [
            "/../asset/withdrawal", "a=%2e%2e", "a=b/../c", "a=b&&c=d", "a", "a=b#c", "a=b?c=d",
            "=b",
            "a=b;c=d", "a=b\nPOST", "a=\u00e9", "a=b c", "a=b&", "../x=1", "a=@b", "a=http:",
        ]
    )
)  # fmt: skip
def test_a_query_is_plain(query: str) -> None:
    with pytest.raises(InvalidField, match="plain query"):
        okx_rules.rest(ask(path=f"/api/v5/account/balance?{query}"), AT_MS)


def test_a_query_of_a_post_and_bodies_that_are_none_are_refused() -> None:
    for refused in (
        ask("POST", "/api/v5/trade/order?a=b", "{}"),
        ask("POST", "/api/v5/trade/order", ""),
        ask("POST", "/api/v5/trade/order", "ordId=1"),
        ask("POST", "/api/v5/trade/order", '"x"'),
        ask("POST", "/api/v5/trade/order", "[" * 60_000),
        ask("GET", body="{}"),
    ):
        with pytest.raises(InvalidField):
            okx_rules.rest(refused, AT_MS)


@pytest.mark.parametrize("off_ms", [-120_001, 120_001, 86_400_000])
def test_another_time_is_not_signed(off_ms: int) -> None:
    with pytest.raises(InvalidField, match="clock"):
        okx_rules.rest(ask(), AT_MS + off_ms)
    okx_rules.rest(ask(), AT_MS + (120_000 if off_ms > 0 else -120_000))


@pytest.mark.parametrize(
    "timestamp", ["2020-12-08T09:08:57.715", "2020-13-08T09:08:57.715Z", "1607418537.715", "", "x"]
)
def test_a_timestamp_has_one_form(timestamp: str) -> None:
    requested = OkxRest(wallet="w", epoch=1, timestamp=timestamp, method="GET",
                    path="/api/v5/account/balance")  # fmt: skip
    with pytest.raises(TradingError):
        okx_rules.rest(requested, AT_MS)
