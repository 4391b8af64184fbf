"""The handlers' port takes only calls with the one seal of the authorization."""

from __future__ import annotations

import pytest

from services.control.auth.rate_limiter import Limiter, Rates
from services.control.auth.tokens import Caller, parse_tokens
from services.control.edge.admission import Gate
from services.control.edge.contract import public_routes
from services.control.edge.interceptors import SealInterceptor
from services.control.edge.seal import HEADER, Call, seal
from tests.control.edge import READ, TOKENS
from tradingtools.domain.errors import Unauthenticated
from tradingtools.domain.permissions import Permission

KEY = b"k" * 32
GET = "/tradingtools.v1.ControlService/GetSubscription"
ONE = "/subscriptions/sub_" + "0" * 32
BEARER = ("authorization", f"Bearer {READ}")
ORIGINAL = [("x-envoy-original-path", ONE), ("x-envoy-original-method", "GET")]


def _port() -> SealInterceptor:
    rates = Rates(token=1000, address=1000, refused=1000)
    return SealInterceptor(KEY, Gate(public_routes(), parse_tokens(TOKENS), Limiter(rates)))


def test_a_sealed_call_may_pass() -> None:
    caller, call = Caller("backend", Permission.MANAGE), Call(GET, b"asked")
    _port().judge(GET, [(HEADER, seal(KEY, caller, parse_tokens(TOKENS), call, 0))])


@pytest.mark.parametrize(
    "metadata",
    [[], [BEARER], [*ORIGINAL, BEARER], [*ORIGINAL, BEARER, (HEADER, "a"), (HEADER, "b")]],
)
def test_a_call_without_one_seal_is_refused(metadata: list[tuple[str, str]]) -> None:
    with pytest.raises(Unauthenticated):
        _port().judge(GET, metadata)
