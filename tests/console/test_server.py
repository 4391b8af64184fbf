"""What the console's server lets pass, and what it refuses, driven past the pages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from tests.console.world import FAILED_LOGINS, Served
from tests.control.edge import INTERNAL, MANAGE, OPERATE, READ, digest

HALT = {
    "scope": "HALT_SCOPE_WALLET", "subject": "0x" + "7" * 40, "mode": "HALT_MODE_REDUCING",
    "reason": "a test",
}  # fmt: skip
NOBODY = "ee" * 32
WALLET = "0x" + "57" * 20


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Nobody who has logged in."""
    with served.client() as made:
        yield made


def _log_in(client: httpx.Client, *tokens: str) -> httpx.Response:
    return _started(client, client.post("session", json={"tokens": list(tokens)}))


def _started(client: httpx.Client, answer: httpx.Response) -> httpx.Response:
    """Show the secret from now on, as a page does."""
    if answer.status_code == 200:
        client.headers["console-session"] = answer.json()["secret"]
    return answer


def _reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["details"][0]["reason"]


def test_a_session_says_who_somebody_is_and_shows_no_token(client: httpx.Client) -> None:
    answer = _log_in(client, MANAGE, OPERATE)
    reported = answer.json()
    secret = reported.pop("secret")
    assert reported == {
        "rest": {"id": "backend", "scope": "manage", "role": "", "exchanges": []},
        "operator": {"id": "operator", "scope": "operate"},
    }
    (cookie,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/console/")
    seen = answer.text + answer.headers["set-cookie"]
    assert MANAGE not in seen
    assert OPERATE not in seen
    assert secret not in answer.headers["set-cookie"]
    assert client.get("session").json() == reported


def test_a_login_takes_over_no_token_of_the_session_before(client: httpx.Client) -> None:
    _log_in(client, OPERATE)
    before, secret = dict(client.cookies), client.headers["console-session"]
    reported = _log_in(client, READ).json()
    assert (reported["rest"]["id"], reported["rest"]["scope"]) == ("viewer", "read")
    assert reported["operator"] is None
    client.cookies.clear()
    client.cookies.update(before)
    client.headers["console-session"] = secret
    assert _reason(client.get("session")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "session"), ("GET", "api/subscriptions"), ("POST", "operators/ListHalts"),
     ("GET", "api/events/stream")],
)  # fmt: skip
def test_a_cookie_that_another_port_was_sent_opens_nothing(
    client: httpx.Client, verb: str, path: str
) -> None:
    """Cookies know no port: a browser shows them to every server of its host."""
    _log_in(client, MANAGE, OPERATE)
    for secret in ("", "0" * 32):
        answer = client.request(verb, path, headers={"console-session": secret})
        assert _reason(answer) == (401, "UNAUTHENTICATED")


def test_an_operators_token_takes_no_way_of_rest(served: Served, client: httpx.Client) -> None:
    """Neither the edge nor what is on the way to it sees one."""
    before = len(served.world.log)
    assert _log_in(client, OPERATE).json()["rest"] is None
    client.get("session")
    # Control writes down whom it refuses; what is not there yet is not behind this line.
    assert _log_in(client, NOBODY).status_code == 401
    deadline = time.monotonic() + 60
    while True:
        reported = served.world.log[before:]
        at_edge = re.findall(r"request refused .* port=edge .* token=(\S+)", reported)
        if at_edge:
            break
        assert time.monotonic() < deadline
    assert at_edge == ["none"]


def test_who_fails_to_log_in_too_often_waits_and_nobody_else_does(client: httpx.Client) -> None:
    there = {"x-forwarded-for": "198.51.100.23"}
    for _ in range(FAILED_LOGINS):
        answer = client.post("session", json={"tokens": [NOBODY]}, headers=there)
        assert _reason(answer) == (401, "UNAUTHENTICATED")
    answer = client.post("session", json={"tokens": [MANAGE]}, headers=there)
    assert _reason(answer) == (429, "LIMIT_REACHED")
    assert _log_in(client, MANAGE).status_code == 200


def test_a_link_logs_in_once(served: Served, client: httpx.Client) -> None:
    code = served.link(MANAGE, OPERATE).partition("#code=")[2]
    reported = _started(client, client.post("session", json={"code": code})).json()
    assert (reported["rest"]["id"], reported["operator"]["id"]) == ("backend", "operator")
    assert client.get("api/subscriptions").status_code == 200
    for again in (code, "0" * 32, "../key", 7):
        answer = client.post("session", json={"code": again})
        assert _reason(answer) == (401, "UNAUTHENTICATED")


def test_a_link_that_nobody_could_check_is_good_for_another_try(
    served: Served, client: httpx.Client
) -> None:
    code = served.link(MANAGE).partition("#code=")[2]
    served.world.kill("control")
    try:
        assert client.post("session", json={"code": code}).status_code == 503
    finally:
        served.world.start("control")
    # The console comes back to the operators' port a moment later.
    answer, deadline = 503, time.monotonic() + 60
    while answer == 503 and time.monotonic() < deadline:
        answer = client.post("session", json={"code": code}).status_code
        time.sleep(0.05)
    assert answer == 200
    assert client.post("session", json={"code": code}).status_code == 401


def test_a_token_is_judged_by_where_the_browser_is(served: Served, client: httpx.Client) -> None:
    """It was judged by where the console is: whoever reached that had the token's place."""
    file, token = served.world.tokens_file, "9c" * 32
    kept = file.read_text()
    file.write_text(f"{kept}placed:read:{digest(token)};followers={WALLET};from=203.0.113.0/24\n")
    there, elsewhere = ({"x-forwarded-for": f"{net}.5"} for net in ("203.0.113", "198.51.100"))
    subscriptions = f"api/subscriptions?followerProxy={WALLET}"
    try:
        deadline = time.monotonic() + 60
        while served.world.call("GET", "/caller", token, headers=there).status_code != 200:
            assert time.monotonic() < deadline
        _started(client, client.post("session", json={"tokens": [token]}, headers=there))
        assert client.get(subscriptions, headers=there).status_code == 200
        assert client.get(subscriptions, headers=elsewhere).status_code == 401
        assert client.get("session", headers=elsewhere).status_code == 401
        refused = client.post("session", json={"tokens": [token]}, headers=elsewhere)
        assert _reason(refused) == (401, "UNAUTHENTICATED")
    finally:
        file.write_text(kept)


@pytest.mark.parametrize("tokens", [[NOBODY], [MANAGE, NOBODY], [INTERNAL]])
def test_a_token_of_nobody_begins_no_session(client: httpx.Client, tokens: list[str]) -> None:
    assert _reason(_log_in(client, *tokens)) == (401, "UNAUTHENTICATED")
    assert _reason(client.get("session")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "body", ["", "[]", '{"tokens": []}', '{"tokens": "a"}', '{"tokens": ["a", "b", "c"]}',
             '{"tokens": [1]}', '{"tokens": ["a\\nb"]}', '{"tokens": ["\\u00fc"]}'],
)  # fmt: skip
def test_a_malformed_login_names_the_field(client: httpx.Client, body: str) -> None:
    answer = client.post("session", content=body)
    assert _reason(answer) == (400, "INVALID_FIELD")
    assert answer.json()["details"][0]["metadata"]["field"] == "tokens"


@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "api/subscriptions"), ("POST", "operators/ListHalts"), ("GET", "api/events/stream")],
)
def test_nothing_is_handed_on_without_a_session(client: httpx.Client, verb: str, path: str) -> None:
    assert _reason(client.request(verb, path)) == (401, "UNAUTHENTICATED")
    client.cookies.set("tt_session", "gAAAAAforged", path="/console/")
    assert _reason(client.request(verb, path)) == (401, "UNAUTHENTICATED")


def test_a_scope_holds_past_the_page(client: httpx.Client) -> None:
    _log_in(client, READ)
    assert client.get("api/subscriptions").status_code == 200
    assert _reason(client.delete("api/triggers/trg_" + "0" * 32)) == (403, "NOT_ALLOWED")
    assert _reason(client.post("operators/SetHalt", json=HALT)) == (403, "NOT_ALLOWED")


def test_an_operator_halts_and_clears(client: httpx.Client) -> None:
    _log_in(client, OPERATE)
    assert client.post("operators/SetHalt", json=HALT).status_code == 200
    (halt,) = client.post("operators/ListHalts", json={}).json()["halts"]
    assert {name: halt[name] for name in HALT} == HALT
    cleared = {"scope": HALT["scope"], "subject": HALT["subject"]}
    assert client.post("operators/ClearHalt", json=cleared).status_code == 200
    assert client.post("operators/ListHalts", json={}).json() == {"halts": []}
    assert _reason(client.get("api/subscriptions")) == (403, "NOT_ALLOWED")


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("SetHalt", {**HALT, "mode": "HALT_MODE_UNSPECIFIED"}, (400, "INVALID_FIELD")),
        ("SetHalt", {"foo": 1}, (400, "MALFORMED_BODY")),
        ("VerifyAudit", {}, (404, "NOT_FOUND")),
        ("Fund", {}, (404, "NOT_FOUND")),
        ("GetOrder", {"orderKey": "0" * 64}, (404, "NOT_FOUND")),
    ],
)
def test_what_an_operator_may_not_ask_is_refused_by_name(
    client: httpx.Client, name: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    _log_in(client, OPERATE)
    assert _reason(client.post(f"operators/{name}", json=body)) == expected


def test_a_withdrawn_token_ends_what_its_session_may_do(
    served: Served, client: httpx.Client
) -> None:
    _log_in(client, READ)
    kept = served.world.tokens_file.read_text()
    lines = [line for line in kept.splitlines() if not line.startswith("viewer:")]
    served.world.tokens_file.write_text("\n".join(lines) + "\n")
    try:
        for _ in range(600):
            if client.get("api/subscriptions").status_code == 401:
                break
        assert _reason(client.get("session")) == (401, "UNAUTHENTICATED")
    finally:
        served.world.tokens_file.write_text(kept)
        for _ in range(600):
            if served.world.call("GET", "/caller", READ).status_code == 200:
                break


def test_who_logs_out_is_out_with_every_copy_of_the_cookie_and_after_a_start(
    served: Served, client: httpx.Client
) -> None:
    _log_in(client, READ)
    copy = dict(client.cookies)
    assert client.delete("session").status_code == 200
    client.cookies.update(copy)
    assert _reason(client.get("api/subscriptions")) == (401, "UNAUTHENTICATED")
    served.world.kill("console")
    served.start()
    assert _reason(client.get("api/subscriptions")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"host": "evil.example"},
    ],
)
def test_another_site_changes_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    _log_in(client, OPERATE)
    assert _reason(client.post("operators/SetHalt", json=HALT, headers=headers)) == (
        403, "NOT_ALLOWED",
    )  # fmt: skip
    assert client.post("operators/ListHalts", json={}).json() == {"halts": []}


@pytest.mark.parametrize("path", ["", "app.js", "session", "no-such-page", "api/health"])
def test_every_answer_forbids_frames_foreign_scripts_and_sniffing(
    client: httpx.Client, path: str
) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["server"] == "tradingtools"


@pytest.mark.parametrize(
    "path", ["__init__.py", "..%2fservices%2fconsole%2fweb.py", "%2e%2e/README.md", "lib/../../x"]
)
def test_no_file_beside_the_pages_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (400, 404)


@pytest.mark.parametrize(
    "path", ["events/strea%6D", "events/stream%23x", "%2e%2e/x", "subscriptions%3FpageSize=1"]
)
def test_a_path_that_would_be_decoded_on_the_way_is_refused(
    client: httpx.Client, path: str
) -> None:
    _log_in(client, READ)
    assert client.get(f"api/{path}").status_code == 404


def test_a_session_follows_a_few_streams_and_no_more(client: httpx.Client) -> None:
    _log_in(client, READ)
    with ExitStack() as stack:
        for _ in range(8):
            stream = stack.enter_context(client.stream("GET", "api/events/stream"))
            assert stream.status_code == 200
        assert _reason(client.get("api/events/stream")) == (503, "UNAVAILABLE")
    for _ in range(600):
        with client.stream("GET", "api/events/stream") as again:
            if again.status_code == 200:
                return
    raise AssertionError("closed streams still count")


def test_a_file_that_is_known_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("app.js")
    again = client.get("app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    _log_in(client, OPERATE)
    assert client.post("operators/ListOrders", content=b"x" * 70_000).status_code == 413


def test_an_edge_that_is_away_is_named(served: Served, client: httpx.Client) -> None:
    _log_in(client, READ)
    served.world.kill("envoy")
    try:
        answer = client.get("api/subscriptions")
        assert _reason(answer) == (503, "UNAVAILABLE")
        assert answer.json()["message"] == "the edge does not answer"
        assert client.get("session").status_code == 503
    finally:
        served.world.start("envoy")
        served.world.wait_until_ready("/subscriptions")
    assert client.get("api/subscriptions").status_code == 200


def test_the_edge_serves_the_console_where_it_is_switched_on(served: Served) -> None:
    """Where it is not, `tests/control/test_access.py` sees 404."""
    with served.client(edge=True) as client:
        page = client.get("")
        assert (page.status_code, "frame-ancestors 'none'" in page.text) == (200, False)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert client.get(served.world.url + "/console").headers["location"] == "/console/"
        assert _reason(client.get("api/subscriptions")) == (401, "UNAUTHENTICATED")
        assert _log_in(client, MANAGE, OPERATE).status_code == 200
        assert client.get("api/subscriptions").status_code == 200
        with client.stream("GET", "api/events/stream") as stream:
            assert stream.headers["content-type"] == "text/event-stream"
        assert client.post("operators/ListHalts", json={}).json() == {"halts": []}
        assert _reason(client.post("operators/SetHalt", json=HALT, headers={
            "origin": "http://evil.example"})) == (403, "NOT_ALLOWED")  # fmt: skip
        # A body is the edge's to bound, and REST beside it is as it was.
        assert client.post("operators/ListOrders", content=b"x" * 70_000).status_code == 413
        cookie = dict(client.headers) | {"cookie": f"tt_session={client.cookies['tt_session']}"}
        cookie.pop("authorization", None)
        rest = httpx.get(f"{served.world.url}/subscriptions", headers=cookie, trust_env=False)
        assert _reason(rest) == (401, "UNAUTHENTICATED")


def test_the_console_at_the_edge_knows_the_browsers_address(served: Served) -> None:
    with served.client(edge=True) as client:
        there = {"x-forwarded-for": "198.51.100.24"}
        for _ in range(FAILED_LOGINS):
            client.post("session", json={"tokens": [NOBODY]}, headers=there)
        answer = client.post("session", json={"tokens": [MANAGE]}, headers=there)
        assert _reason(answer) == (429, "LIMIT_REACHED")
        assert _log_in(client, MANAGE).status_code == 200
