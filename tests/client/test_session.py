"""The client against a server that fails: what is asked again, and what an error tells."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tools.client.__main__ import generated
from tradingtools_client import ApiError, Client, Session, Unreachable

TOKEN = "a1" * 32
CONFLICT = {
    "code": 10,
    "message": "somebody was first",
    "details": [{"reason": "CONFLICT", "metadata": {"kind": "subscription"}}],
}
Answer = tuple[int, dict[str, str], Any]


@dataclass(slots=True)
class Surface:
    """The requests to it, and its answers; None: it hangs up."""

    answers: list[Answer | None]
    requested: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""
    slept: list[float] = field(default_factory=list)

    def client(self) -> Client:
        """A client that notes its waits in the place of waiting."""
        return Client(Session(self.url, TOKEN, sleep=self.slept.append))


@contextmanager
def surface(*answers: Answer | None) -> Iterator[Surface]:
    """A real server on a port of its own."""
    found = Surface(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.rfile.read(int(headers.get("content-length", "0")))
            found.requested.append((self.command, self.path, headers))
            answer = found.answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, more, body = answer
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = do

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _subscribe(client: Client, key: str | None = None) -> Any:
    return client.create_subscription(
        {
            "follower": {"followerUserId": "u", "followerWalletId": "w", "followerProxy": "0x1"},
            "leader": "0x2",
            "sizing": {"fixed": {"amount": "25"}},
        },
        idempotency_key=key,
    )


def test_the_generated_modules_are_what_the_document_says() -> None:
    for path, text in generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run make proto"


@pytest.mark.parametrize("key", ["mine", None])
def test_a_create_is_asked_again_under_its_key(key: str | None) -> None:
    with surface((503, {"Retry-After": "2"}, {}), None, (201, {}, {"id": "sub_1"})) as far:
        assert _subscribe(far.client(), key) == {"id": "sub_1"}
    keys = {headers["idempotency-key"] for _, _, headers in far.requested}
    assert len(far.requested) == 3
    assert len(keys) == 1
    assert keys == {key} or key is None
    assert far.slept[0] == 2.0
    assert {headers["authorization"] for _, _, headers in far.requested} == {f"Bearer {TOKEN}"}


def test_a_change_under_a_version_is_asked_once() -> None:
    with surface(None) as far, pytest.raises(Unreachable):
        far.client().pause_subscription("sub_1", if_match="3")
    [(verb, path, headers)] = far.requested
    assert (verb, path, headers["if-match"]) == ("POST", "/subscriptions/sub_1/pause", '"3"')


def test_an_error_tells_its_reason() -> None:
    with surface((409, {}, CONFLICT)) as far, pytest.raises(ApiError) as refused:
        far.client().delete_trigger("trg_1")
    error = refused.value
    assert (error.status, error.reason, error.temporary) == (409, "CONFLICT", False)
    assert error.metadata == {"kind": "subscription"}
    assert TOKEN not in str(error)


@pytest.mark.parametrize("body", [b"<html>", {"error": "other"}, [], {"details": []}])
def test_an_error_of_somebody_else_is_an_error_all_the_same(body: Any) -> None:
    with surface(*[(502, {}, body)] * 3) as far, pytest.raises(ApiError) as refused:
        far.client().get_subscription("sub_1")
    assert (refused.value.status, refused.value.reason) == (502, "")
    assert refused.value.temporary
    assert len(far.requested) == 3


def test_an_id_stays_one_segment() -> None:
    with surface((404, {}, CONFLICT)) as far, pytest.raises(ApiError):
        far.client().get_subscription("x/../y?z")
    assert far.requested[0][1] == "/subscriptions/x%2F..%2Fy%3Fz"


def test_pages_are_turned_to_the_last() -> None:
    pages: list[Answer] = [
        (200, {}, {"triggers": [{"id": "a"}, {"id": "b"}], "nextPageToken": "t"}),
        (200, {}, {"triggers": [{"id": "c"}], "nextPageToken": ""}),
    ]
    with surface(*pages) as far:
        found = far.client().all_triggers(wallet="0x1", page_size=2)
        assert [trigger["id"] for trigger in found] == ["a", "b", "c"]
    assert [path for _, path, _ in far.requested] == [
        "/triggers?wallet=0x1&pageSize=2&pageToken=",
        "/triggers?wallet=0x1&pageSize=2&pageToken=t",
    ]
