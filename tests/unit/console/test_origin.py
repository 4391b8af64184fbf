"""A browser's request goes on when the console's own page has made it."""

from __future__ import annotations

import pytest

from services.console.core.origin import refusal

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
OWN = {"host": "127.0.0.1:8080", "sec-fetch-site": "same-origin"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", OWN),
        ("GET", {"host": "localhost:1"}),
        ("GET", {"host": "[::1]:1"}),
        ("GET", {"host": "LOCALHOST"}),
        ("GET", {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}),
        ("POST", OWN | JSON),
        ("POST", OWN | {"content-type": "application/json; charset=utf-8"}),
        ("POST", OWN | JSON | {"origin": "http://127.0.0.1:8080"}),
        ("DELETE", {"host": "127.0.0.1"} | JSON),
    ],
)
def test_its_own_requests_go_on(method: str, headers: dict[str, str]) -> None:
    assert refusal(method, headers, HOSTS) == ""


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("GET", {"host": "evil.example"}),
        ("GET", {"host": "evil.example:8080"}),
        ("GET", {"host": "127.0.0.1.evil.example:80"}),
        ("GET", OWN | {"sec-fetch-site": "cross-site"}),
        ("GET", OWN | {"sec-fetch-site": "same-site"}),
        ("POST", OWN | JSON | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}),
        ("POST", OWN),
        ("POST", OWN | {"content-type": "text/plain"}),
        ("POST", OWN | {"content-type": "application/x-www-form-urlencoded"}),
        ("POST", OWN | JSON | {"origin": "http://evil.example"}),
        ("POST", OWN | JSON | {"origin": "null"}),
        ("POST", OWN | JSON | {"origin": "http://127.0.0.1:8081"}),
    ],
)
def test_requests_of_others_are_refused(method: str, headers: dict[str, str]) -> None:
    assert refusal(method, headers, HOSTS) != ""
