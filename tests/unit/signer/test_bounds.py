"""How many signatures, who asks, and what no text shows."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.signer.core import access, rates
from tradingtools.domain import credentials, signing
from tradingtools.domain.errors import NotAllowed
from tradingtools.rpc import frames


@settings(max_examples=60)
@given(
    rate=st.integers(1, 1_000), burst=st.integers(1, 1_000),
    gaps=st.lists(st.integers(-1_000_000, 1_000_000_000), max_size=60),
)  # fmt: skip
def test_no_span_of_time_has_more_than_burst_and_rate(
    rate: int, burst: int, gaps: list[int]
) -> None:
    now, taken = 0, 0
    bucket = rates.full(burst, now)
    latest = 0
    for gap in gaps:
        now += gap
        latest = max(latest, now)
        bucket, may = rates.take(bucket, rate, burst, now)
        taken += may
        assert taken <= burst + latest * rate / 1e9 + 1e-6


def test_control_adds_wallets_and_signs_nothing_and_engines_the_reverse() -> None:
    sealing_key = signing.SealingKey()
    login = signing.OkxLogin(wallet="w", epoch=1, timestamp=1)
    access.check("control", sealing_key)
    access.check("engine", login)
    for process, ask in (("engine", sealing_key), ("control", login)):
        with pytest.raises(NotAllowed):
            access.check(process, ask)


def test_every_request_is_control_s_or_an_engine_s() -> None:
    every = set(get_args(signing.Ask))
    assert every == set(get_args(signing.OfControl)) | set(get_args(signing.OfEngine))
    assert not set(get_args(signing.OfControl)) & set(get_args(signing.OfEngine))


def test_no_repr_shows_a_secret() -> None:
    for made in (
        credentials.OkxCredentials(api_key="PLANTED", secret="PLANTED", passphrase="PLANTED"),
        credentials.PolymarketCredentials(private_key="PLANTED", signature_type=0),
        signing.GetHeaderSecrets(key="PLANTED", passphrase="PLANTED", secret="PLANTED"),
        signing.Hello(token="PLANTED"),
        signing.Response(
            number=1, answer=signing.GetHeaderSecrets(key="PLANTED", passphrase="PLANTED")
        ),
    ):
        assert "PLANTED" not in repr(made), type(made)


def test_a_frame_is_bounded_and_strict() -> None:
    login = signing.OkxLogin(wallet="w" * frames.MAX_BYTES, epoch=1, timestamp=1)
    with pytest.raises(frames.TooLong):
        frames.framed(signing.Request(number=1, ask=login))
    for body in (
        b"",
        b"\xc1",
        b"\x80",
        msgspec.msgpack.encode({"number": 1, "ask": {"type": "x"}}),
    ):
        with pytest.raises(msgspec.DecodeError):
            frames.requests.decode(body)
