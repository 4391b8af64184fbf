"""What the handlers' port lets on without a seal: reads, judged as the authorization would."""

from __future__ import annotations

import pytest

from services.control.contract import public_routes
from services.control.core.identity import HEADER, Call, seal
from services.control.core.tokens import Caller, parse_tokens
from services.control.edge import SealInterceptor
from services.control.gate import Gate
from services.control.limiter import Limiter, Rates
from tests.control.edge import MANAGE, READ, TOKENS
from tradingtools.domain.errors import (
    InvalidField,
    LimitReached,
    NotFound,
    TradingError,
    Unauthenticated,
    UnknownField,
)
from tradingtools.domain.permissions import Permission

KEY = b"k" * 32
GET = "/tradingtools.v1.ControlService/GetSubscription"
FILLS = "/tradingtools.v1.ControlService/ListSubscriptionFills"
HEALTH = "/tradingtools.v1.ControlService/GetHealth"
PAUSE = "/tradingtools.v1.ControlService/PauseSubscription"
ONE = "/subscriptions/sub_" + "0" * 32
BEARER = ("authorization", f"Bearer {READ}")


def _port(per_second: int = 1000) -> SealInterceptor:
    rates = Rates(token=per_second, address=1000, refused=1000)
    return SealInterceptor(KEY, Gate(public_routes(), parse_tokens(TOKENS), Limiter(rates)))


def _read(target: str, *more: tuple[str, str], verb: str = "GET") -> list[tuple[str, str]]:
    return [
        ("x-envoy-original-path", target), ("x-envoy-original-method", verb),
        ("x-forwarded-for", "192.0.2.1"), *more,
    ]  # fmt: skip


def _sealed(method: str) -> str:
    caller, call = Caller("backend", Permission.MANAGE), Call(method, b"asked")
    return seal(KEY, caller, parse_tokens(TOKENS), call, 0)


def test_a_read_with_a_token_and_a_sealed_call_may_pass() -> None:
    _port().judge(GET, _read(ONE, BEARER))
    _port().judge(FILLS, _read(f"{ONE}/fills?pageSize=3", BEARER))
    _port().judge(HEALTH, _read("/health"))
    _port().judge(PAUSE, [(HEADER, _sealed(PAUSE))])


@pytest.mark.parametrize(
    ("method", "metadata", "error"),
    [
        (GET, [], Unauthenticated),
        (GET, [BEARER], Unauthenticated),
        (GET, _read(ONE), Unauthenticated),
        (GET, _read(ONE, BEARER, BEARER), Unauthenticated),
        (GET, _read(ONE, ("authorization", f"Bearer {'c' * 64}")), Unauthenticated),
        # What is public, or read, opens nothing else.
        (GET, _read("/health"), Unauthenticated),
        (FILLS, _read(ONE, BEARER), Unauthenticated),
        (PAUSE, _read(ONE, ("authorization", f"Bearer {MANAGE}")), Unauthenticated),
        (PAUSE, _read(f"{ONE}/pause", ("authorization", f"Bearer {MANAGE}"), verb="POST"),
         Unauthenticated),
        (GET, _read(ONE, ("x-envoy-original-path", ONE), BEARER), Unauthenticated),
        (GET, _read(ONE, BEARER, (HEADER, "a"), (HEADER, "b")), Unauthenticated),
        # And what is asked is judged as strictly.
        (FILLS, _read(f"{ONE}/fills?x=1", BEARER), UnknownField),
        (FILLS, _read(f"{ONE}/fills?pageSize=1&pageSize=2", BEARER), InvalidField),
        (GET, _read(f"{ONE}/", BEARER), NotFound),
    ],
)  # fmt: skip
def test_any_other_call_without_its_seal_is_refused(
    method: str, metadata: list[tuple[str, str]], error: type[TradingError]
) -> None:
    with pytest.raises(error):
        _port().judge(method, metadata)


def test_reads_are_counted_by_their_token() -> None:
    port = _port(per_second=1)

    def many_at_once() -> None:
        for _ in range(1000):
            port.judge(GET, _read(ONE, BEARER))

    with pytest.raises(LimitReached):
        many_at_once()
