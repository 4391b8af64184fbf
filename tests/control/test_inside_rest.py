"""REST of the internal port: for the product on the same machine, and for nobody at the edge."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml

from launcher import envoy_inside
from services.control.auth.interceptor import MAX_HELD
from services.control.internal_app import CALLS_AT_ONCE
from tests.control.edge import INTERNAL, MANAGE, OPERATE, RunningEdge
from tests.control.requests import Database, subscription_body
from tradingtools.domain.performance import action_id

Inside = Callable[..., httpx.Response]


@pytest.fixture
def inside(edge: RunningEdge) -> Iterator[Inside]:
    """Posts to the internal port's REST."""
    base = f"http://127.0.0.1:{edge.inside_rest_port}"
    with httpx.Client(base_url=base, timeout=60.0, trust_env=False) as client:

        def call(path: str, body: Any, token: str | None = INTERNAL) -> httpx.Response:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            return client.post(path, json=body, headers=headers)

        yield call


def _movement(proxy: str, **changes: Any) -> dict[str, Any]:
    body = {
        "followerProxy": proxy, "operationId": f"op-{proxy}", "amountMicros": "5",
        "reason": "deposit",
    }  # fmt: skip
    return body | changes


def test_money_is_moved_once(inside: Inside, database: Database, wallet: Callable[[], str]) -> None:
    proxy = wallet()
    first = inside("/subscriptions/funding", _movement(proxy))
    assert first.status_code == 200, first.text
    assert first.json()["fundedMicros"] == "5"
    assert inside("/subscriptions/funding", _movement(proxy)).json() == first.json()
    row = database.execute(
        "select funded_micros from funding where follower_proxy = %s", (proxy,)
    ).fetchone()
    assert row is not None
    assert row["funded_micros"] == 5


def test_a_performance_action_is_done_once(
    edge: RunningEdge, inside: Inside, wallet: Callable[[], str]
) -> None:
    rules = {"lossStop": {"day": {"amount": "50"}, "action": "LOSS_ACTION_PAUSE"}}
    body = subscription_body(wallet(), performance=rules)
    made = edge.call("POST", "/subscriptions", json=body).json()
    requested = {
        "actionId": action_id(made["id"], 0), "version": made["version"], "ordinal": 0,
        "stop": "LOSS_ACTION_PAUSE",
        "evidence": {
            "rule": "DAY", "fromMicros": "0", "limitMicros": "50000000",
            "points": [{"atMs": "1", "highMicros": "-50000000"}] * 2,
        },
    }  # fmt: skip
    path = f"/subscriptions/{made['id']}/perf-action"
    first = inside(path, requested)
    assert first.status_code == 200, first.text
    assert inside(path, requested).json() == first.json()
    found = edge.call("GET", f"/subscriptions/{made['id']}").json()
    assert found["pausedBy"] == "PAUSED_BY_PERFORMANCE"
    again = inside(path, requested | {"actionId": "prf_" + "0" * 32})
    assert (again.status_code, again.json()["details"][0]["reason"]) == (400, "WRONG_STATE")


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("e5" * 32, 401), (MANAGE, 403), (OPERATE, 403)]
)
def test_only_the_internal_scope_is_let_in(
    inside: Inside, database: Database, wallet: Callable[[], str], token: str | None, status: int
) -> None:
    proxy = wallet()
    assert inside("/subscriptions/funding", _movement(proxy), token).status_code == status
    kept = database.execute("select 1 from funding where follower_proxy = %s", (proxy,))
    assert kept.fetchone() is None


@pytest.mark.parametrize("body", [{"amountMicros": "x"}, {"reason": ""}])
def test_a_bad_body_moves_nothing(
    inside: Inside, wallet: Callable[[], str], body: dict[str, Any]
) -> None:
    assert inside("/subscriptions/funding", _movement(wallet(), **body)).status_code == 400


def test_nothing_else_is_there(
    inside: Inside, edge: RunningEdge, wallet: Callable[[], str]
) -> None:
    for path in (
        "/subscriptions", "/halts", "/tradingtools.v1.OperatorService/SetHalt", "/health",
    ):  # fmt: skip
        assert inside(path, {}).status_code == 404, path
    for path in ("/subscriptions/funding", f"/subscriptions/sub_{'0' * 32}/perf-action"):
        for token in (INTERNAL, MANAGE):
            assert edge.call("POST", path, token=token, json={}).status_code == 404


def test_nobody_tunnels(edge: RunningEdge) -> None:
    """It never ends, and whoever waits for its body waits with it."""
    with socket.create_connection(("127.0.0.1", edge.inside_rest_port), timeout=60) as one:
        one.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
        assert one.recv(4096).split(b" ")[1] == b"403"


def test_held_back_strangers_take_no_place_of_the_product() -> None:
    """Of so many whose answers wait, each has a call of a connection to the internal port."""
    (cluster,) = yaml.safe_load(envoy_inside.clusters(1, "127.0.0.1", "STATIC", 2, None))
    (bound,) = cluster["circuit_breakers"]["thresholds"]
    assert bound["max_connections"] * CALLS_AT_ONCE > MAX_HELD
