"""What an exchange's answer says of credentials."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.signer.core import credentials_rules, verdicts
from services.signer.core.verdicts import AccountAccess
from tradingtools.domain.credentials import OkxCredentials, PolymarketCredentials
from tradingtools.domain.errors import InvalidField, Unavailable


def _config(**more: Any) -> bytes:
    account = {"uid": "7", "acctLv": "1", "posMode": "net_mode", "perm": "read_only,trade", **more}
    return json.dumps({"code": "0", "msg": "", "data": [account]}).encode()


def test_a_key_that_reads_and_trades_is_taken() -> None:
    assert verdicts.okx(200, _config()) == AccountAccess("7", "read_only,trade")
    assert verdicts.okx(200, _config(acctLv="2")).account == "7"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"perm": "read_only,withdraw,trade"}, "without the permission to withdraw"),
        ({"perm": "withdraw"}, "without the permission to withdraw"),
        ({"perm": "read_only"}, "permission to trade"),
        ({"perm": "read_only,trade,something_new"}, "no more"),
        ({"acctLv": "3"}, "Spot or Futures"),
        ({"acctLv": "4"}, "Spot or Futures"),
        ({"posMode": "long_short_mode"}, "position mode is net"),
    ],
)
def test_a_key_or_mode_that_is_not_for_bots_is_refused(change: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidField, match=said):
        verdicts.okx(200, _config(**change))


@pytest.mark.parametrize("code", ["50100", "50101", "50105", "50110", "50111", "50113", "50119"])
def test_each_code_of_bad_credentials_says_what_is_wrong(code: str) -> None:
    body = json.dumps({"code": code, "msg": "x", "data": []}).encode()
    with pytest.raises(InvalidField, match=code):
        verdicts.okx(401, body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""), (200, b"<html>"), (200, b'{"code":"0","data":[]}'), (200, b'{"code":"0"}'),
        (200, b'{"code":"0","data":[{}]}'), (429, b'{"code":"50011","data":[]}'),
        (200, b'{"code":"50001","data":[]}'), (401, b'{"code":"50102","data":[]}'),
    ],
)  # fmt: skip
def test_an_answer_that_says_nothing_is_no_verdict(status: int, body: bytes) -> None:
    with pytest.raises(Unavailable):
        verdicts.okx(status, body)


def test_the_clob_s_answers() -> None:
    api_creds = b'{"apiKey":"k","secret":"s","passphrase":"p"}'
    found = verdicts.api_creds(200, api_creds)
    assert found is not None
    assert (found.key, found.secret, found.passphrase) == ("k", "s", "p")
    assert "s" not in repr(found).lower().replace("triple", "")
    assert verdicts.api_creds(404, b"") is None
    with pytest.raises(InvalidField):
        verdicts.api_creds(401, b"")
    with pytest.raises(Unavailable):
        verdicts.api_creds(500, b"")
    verdicts.clob(200, b'{"apiKeys":["k"]}', "k")
    for status, body, kind in (
        (401, b"", InvalidField),
        (200, b'{"apiKeys":["other"]}', Unavailable),
        (502, b"", Unavailable),
    ):
        with pytest.raises(kind):
            verdicts.clob(status, body, "k")


def test_malformed_credentials_are_named_and_never_quoted() -> None:
    secret = "sec\nret-planted"
    with pytest.raises(InvalidField) as refused:
        credentials_rules.secrets(OkxCredentials(api_key="a", secret=secret, passphrase="p"))
    assert "credentials.secret" in str(refused.value)
    assert "planted" not in str(refused.value)
    for bad in ("", "0x", "0" * 64, "f" * 64, "g" * 64, "1" * 63):
        with pytest.raises(InvalidField, match="privateKey"):
            credentials_rules.secrets(PolymarketCredentials(private_key=bad, signature_type=0))


def test_the_funder_goes_with_the_kind_of_account() -> None:
    signer = b"\1" * 20
    own, other = "0x" + "01" * 20, "0x" + "02" * 20

    def made(kind: int, funder: str) -> bytes:
        given = PolymarketCredentials(private_key="1" * 64, signature_type=kind, funder=funder)
        return credentials_rules.account(given, signer, 1).funder

    assert made(0, "") == made(0, own) == signer
    assert made(1, other) == made(2, other) == made(3, other) == b"\2" * 20
    for kind, funder in ((0, other), (1, ""), (2, own), (3, "0x02"), (4, other), (-1, other)):
        with pytest.raises(InvalidField):
            made(kind, funder)
