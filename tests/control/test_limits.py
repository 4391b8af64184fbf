"""Test that who asks too often waits; nobody else notices. Tokens change while the process runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.control.auth.buckets import Bucket, Buckets, spend
from services.control.auth.rate_limiter import network
from services.control.auth.rotation import read_tokens
from services.control.auth.tokens import TokenError
from tests.control.edge import MANAGE, READ, RunningEdge, StartEdge, digest
from tests.control.requests import error_of

SECOND = 1_000_000_000
SUB = "/subscriptions/sub_" + "0" * 32
NEW = "d4" * 32


@given(
    st.integers(1, 1000),
    st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_and_the_burst(per_second: int, gaps: list[int]) -> None:
    bucket: Bucket | None = None
    now, passed = 0, 0
    for gap in gaps:
        now += gap
        bucket, wait = spend(bucket, per_second, now)
        passed += wait == 0
        if wait:
            # Whoever comes back after the wait that he was told passes.
            assert spend(bucket, per_second, now + wait)[1] == 0
            assert spend(bucket, per_second, now + wait - 1)[1] > 0
    assert passed * SECOND <= per_second * (2 * SECOND + now)


def test_the_buckets_of_many_keys_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.control.auth.buckets.MAX_KEYS", 2)
    buckets = Buckets(1)
    for _ in range(2):
        assert buckets.wait_ns("a", 0) == 0
    assert buckets.wait_ns("a", 0) == SECOND
    buckets.wait_ns("b", 0)
    buckets.wait_ns("c", 0)
    assert buckets.wait_ns("a", 0) == 0


def test_one_customer_of_ipv6_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("10.0.0.1") != network("10.0.0.2")


def test_a_file_of_tokens_adds_to_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# since May\nnew:manage:{digest(NEW)}\n\n")
    found = read_tokens(f"old:manage:{digest(MANAGE)}", str(file))
    assert [token.id for token in found] == ["old", "new"]
    file.write_text("# none")
    assert [t.id for t in read_tokens(f"old:manage:{digest(MANAGE)}", str(file))] == ["old"]
    # The last one is what an editor leaves while it writes.
    for text in ("new:manage", "new:admin:" + digest(NEW), "ü", ""):
        file.write_text(text)
        with pytest.raises(TokenError):
            read_tokens("", str(file))
    with pytest.raises(TokenError):
        read_tokens("", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def strict(
    start_edge: StartEdge, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningEdge, Path]]:
    """An edge that refuses soon, and its file of tokens."""
    file = tmp_path_factory.mktemp("strict") / "tokens"
    file.write_text(f"viewer:read:{digest(READ)}\n")
    with start_edge(
        "strict",
        tokens=f"backend:manage:{digest(MANAGE)}",
        tokens_file=str(file),
        token_rate="5",
        refused_rate="5",
    ) as edge:
        yield edge, file


def _until_limited(edge: RunningEdge, token: str | None) -> httpx.Response:
    for _ in range(500):
        answer = edge.call("GET", SUB, token)
        if answer.status_code == 429:
            return answer
    raise AssertionError("never limited")


def test_a_flood_is_told_when_to_come_again(strict: tuple[RunningEdge, Path]) -> None:
    edge, _ = strict
    for token in ("e5" * 32, READ):
        answer = _until_limited(edge, token)
        status, reason, metadata = error_of(answer)
        assert (status, reason) == (429, "LIMIT_REACHED")
        assert int(metadata["retry_after_ms"]) > 0
        assert int(answer.headers["retry-after"]) >= 1
        # The flood of one has not used up what another may do.
        assert edge.call("GET", SUB, MANAGE).status_code == 404


@pytest.mark.parametrize(
    "target",
    [pytest.param(SUB, id="plain"), pytest.param(f"{SUB}/fills?pageSize=%31", id="transcoded")],
)
def test_address_is_one_whatever_its_tokens_and_headers(start_edge: StartEdge, target: str) -> None:
    with start_edge("crowded", address_rate="5") as edge:
        for number in range(500):
            answer = edge.call(
                "GET", target, (READ, MANAGE)[number % 2],
                headers={"X-Forwarded-For": f"10.0.{number // 200}.{number % 200 + 1}"},
            )  # fmt: skip
            if answer.status_code == 429:
                break
            assert answer.status_code == 404
        assert error_of(answer)[:2] == (429, "LIMIT_REACHED")
        # Another address has used up nothing.
        other = httpx.HTTPTransport(local_address="127.0.0.2")
        headers = {"Authorization": f"Bearer {READ}"}
        with httpx.Client(base_url=edge.url, transport=other, timeout=60) as client:
            assert client.get(target, headers=headers).status_code == 404


def _until(edge: RunningEdge, token: str, status: int) -> None:
    deadline = time.monotonic() + 60
    while edge.call("GET", SUB, token).status_code != status:
        assert time.monotonic() < deadline, status
        time.sleep(0.2)


def test_a_token_is_rotated_without_a_restart(strict: tuple[RunningEdge, Path]) -> None:
    edge, file = strict
    file.write_text(f"viewer:read:{digest(READ)}\nnext:read:{digest(NEW)}\n")
    _until(edge, NEW, 404)
    _until(edge, READ, 404)
    file.write_text(f"next:read:{digest(NEW)}\n")
    _until(edge, READ, 401)
    # A slip of an editor neither locks out nor lets back in.
    file.write_text(f"next:read:{digest(NEW)}\nviewer:read")
    edge.logs("the old ones hold")
    _until(edge, NEW, 404)
    _until(edge, READ, 401)
    _until(edge, MANAGE, 404)
    assert digest(NEW) not in edge.log.read_text()
