"""Which requests may leave while PostgreSQL is away: those that read, or end orders."""

from __future__ import annotations

import pytest

from services.signer.core import clob_rules, okx_rules
from tradingtools.domain.signing import ClobRequest, OkxRest

V5 = "/api/v5/"
SWITCH = "trade/cancel-all-after"


@pytest.mark.parametrize(
    ("method", "path", "body", "safe"),
    [
        ("GET", "trade/orders-pending", "", True),
        ("POST", "trade/cancel-order", "{}", True),
        ("POST", "trade/cancel-batch-orders", "[]", True),
        ("POST", SWITCH, '{"timeOut":"30"}', True),
        ("POST", SWITCH, '{"timeOut":30}', True),
        ("POST", SWITCH, '{"timeOut":"0"}', False),
        ("POST", SWITCH, '{"timeOut":" 0"}', False),
        ("POST", SWITCH, '{"timeOut":"00"}', False),
        ("POST", SWITCH, "{}", False),
        ("POST", SWITCH, "[]", False),
        ("POST", "trade/order", "{}", False),
        ("POST", "trade/batch-orders", "[]", False),
        ("POST", "trade/amend-order", "{}", False),
        ("POST", "trade/close-position", "{}", False),
        ("POST", "account/set-leverage", "{}", False),
    ],
)
def test_at_okx(method: str, path: str, body: str, safe: bool) -> None:
    requested = OkxRest(
        wallet="w", epoch=1, timestamp="2026-01-01T00:00:00.000Z", method=method,
        path=V5 + path, body=body,
    )  # fmt: skip
    assert okx_rules.opens_nothing(requested) is safe


@pytest.mark.parametrize(
    ("method", "path", "safe"),
    [
        ("GET", "/data/orders", True),
        ("DELETE", "/order", True),
        ("DELETE", "/cancel-all", True),
        ("POST", "/v1/heartbeats", True),
        ("POST", "/order", False),
        ("POST", "/orders", False),
    ],
)
def test_at_polymarket(method: str, path: str, safe: bool) -> None:
    requested = ClobRequest(wallet="w", epoch=1, timestamp=1, method=method, path=path)
    assert clob_rules.opens_nothing(requested) is safe
