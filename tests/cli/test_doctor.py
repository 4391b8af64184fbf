"""Faults that are planted one by one, and found by `tt doctor` with what mends them."""

from __future__ import annotations

import datetime
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from launcher.ports import free_port
from launcher.state import RunDescription, State, open_state, write_note
from tests.cli.world import Said, World, call
from tests.control.edge import MANAGE, OPERATE, READ


@pytest.fixture
def healthy(running: World, tmp_path: Path) -> Iterator[tuple[State, dict[str, str]]]:
    """The state directory of a run whose engine is the edge of this folder, and its environment."""
    directory = tmp_path / "state"
    state = open_state(str(directory))
    port = running.edge.ports
    (directory / "environment").mkdir()
    (directory / "environment" / "executor.json").write_text("{}")
    (directory / "environment" / "control.json").write_text("{}")
    for name, token in (("token", MANAGE), ("operator-token", OPERATE)):
        (directory / name).write_text(token)
        (directory / name).chmod(0o600)
    note = RunDescription(
        run_id="r", started_ms=0, port_base=0, pid=0, database_url="", insiders_control_url="",
        venue_url="", rest_url=running.edge.url, default_cash_micros=0,
        ports={"control_internal": port["inside"]},
    )  # fmt: skip
    write_note(directory, note)
    yield state, {"TT_LAUNCHER_STATE_DIR": str(directory)}
    state.close()


def _examined(environ: dict[str, str], *options: str) -> Said:
    return call("doctor", *options, environ=environ)


def _found(environ: dict[str, str], *options: str) -> dict[str, str]:
    """Return what is wrong, by check; each with what mends it."""
    said = _examined(environ, "--json", *options)
    ill = [finding for finding in said.json["findings"] if not finding["well"]]
    assert said.status == (1 if ill else 0), said
    assert all(finding["do"] for finding in ill)
    return {finding["check"]: finding["says"] for finding in ill}


def _well(running: World) -> None:
    """End what other tests left for a person: none of it is a planted fault's."""
    running.database.execute("update dead_letter set replayed_at = now()")
    running.database.execute("delete from breaker")


Healthy = tuple[State, dict[str, str]]


def test_where_nothing_is_wrong_it_says_so(running: World, healthy: Healthy) -> None:
    _well(running)
    state, environ = healthy
    assert running.json("doctor")["well"]
    assert _found(environ) == {}
    assert "nothing is wrong" in _examined(environ).out
    text = _examined(environ, "--all").out
    assert f"run {state.directory.name}" in text
    assert text.count("ok  ") >= 10


def test_a_wrong_clock(running: World, healthy: Healthy) -> None:
    def late(answer: httpx.Response) -> tuple[bytes, dict[str, str]]:
        then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
        return answer.content, {"Date": format_datetime(then, usegmt=True)}

    with _between(running.edge.url, late) as url:
        found = _found(running.environ | {"TT_URL": url})
    assert "s ahead of the edge's" in found["clock"]


def test_a_version_that_does_not_fit(running: World, healthy: Healthy) -> None:
    def newer(answer: httpx.Response) -> tuple[bytes, dict[str, str]]:
        if "openapi" not in answer.json():
            return answer.content, {}
        document = answer.json() | {"info": {"version": "2"}}
        return json.dumps(document).encode(), {}

    with _between(running.edge.url, newer) as url:
        found = _found(running.environ | {"TT_URL": url})
    assert found["version"] == "the engine is version 2, this tt is 1"


def test_a_wrong_token(running: World, healthy: Healthy) -> None:
    state, environ = healthy
    (state.directory / "token").write_text("f" * 64)
    assert "is refused (401)" in _found(environ)["token"]
    (state.directory / "token").write_text("")
    assert _found(environ)["token"] == "no token of REST is known"


def test_a_token_that_may_not_operate(running: World, healthy: Healthy) -> None:
    state, environ = healthy
    (state.directory / "operator-token").write_text(READ)
    assert "PERMISSION_DENIED" in _found(environ)["operators"]
    (state.directory / "operator-token").unlink()
    assert "nobody can halt from here" in _found(environ)["operators"]


def test_an_expired_certificate(running: World, healthy: Healthy) -> None:
    state, environ = healthy
    pem = state.directory / "old.pem"
    at = datetime.datetime(2020, 2, 1, tzinfo=datetime.UTC)
    trustme.CA().issue_cert("127.0.0.1", not_before=at, not_after=at).cert_chain_pems[
        0
    ].write_to_path(pem)
    settings = state.directory / "environment" / "executor.json"
    settings.write_text(json.dumps({"TT_TLS_CERT": str(pem)}))
    assert _found(environ)["certificates"] == f"{pem} expired on 2020-02-01"
    pem.write_text("no certificate at all")
    assert str(pem) in _found(environ)["certificates"]


def test_a_certificate_that_is_about_to_expire(running: World, healthy: Healthy) -> None:
    state, environ = healthy
    pem = state.directory / "old.pem"
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3, hours=1)
    leaf = trustme.CA().issue_cert("127.0.0.1", not_after=soon)
    leaf.cert_chain_pems[0].write_to_path(pem)
    (state.directory / "environment" / "executor.json").write_text(
        json.dumps({"TT_TLS_CERT": str(pem)})
    )
    assert "in 3 days" in _found(environ)["certificates"]


def test_a_full_disk(running: World, healthy: Healthy) -> None:
    _, environ = healthy
    assert "GiB are free for" in _found(environ, "--disk-mb", str(2**40))["disk"]


def test_a_last_gate_that_is_not_set(running: World, healthy: Healthy) -> None:
    state, environ = healthy
    (state.directory / "environment" / "executor.json").write_text(
        json.dumps({"TT_EXECUTOR_ORDER_USDC_MAX": "none", "TT_ENGINE_OPEN": "1"})
    )
    found = _found(environ)
    assert found["last gate"].startswith("TT_EXECUTOR_ORDER_USDC_MAX is none")
    assert found["settings"].startswith("TT_ENGINE_OPEN is on")


def test_a_run_that_has_ended_and_a_port_of_it_that_is_taken(
    running: World, healthy: Healthy
) -> None:
    state, environ = healthy
    (state.directory / "lock").unlink()
    with socket.create_server(("127.0.0.1", 0)) as other:
        _change_note(state, ports={"router": other.getsockname()[1], "guard": free_port()})
        found = _found(environ)
    assert "has ended" in found["place"]
    assert "of router is taken by another program" in found["ports"]


def test_another_program_on_the_edges_port(running: World, healthy: Healthy) -> None:
    state, environ = healthy
    with _between(running.edge.url, lambda _answer: (b"hello", {})) as url:
        _change_note(state, rest_url=url)
        assert _found(environ)["ports"] == f"another program answers at {url}"
    _change_note(state, rest_url=f"http://127.0.0.1:{free_port()}")
    assert "does not answer: ConnectError" in _found(environ)["edge"]


def test_a_secret_that_others_can_read(running: World, healthy: Healthy) -> None:
    state, environ = healthy
    (state.directory / "token").chmod(0o644)
    assert "can be read by others (mode 0644)" in _found(environ)["secrets"]


def test_a_store_that_is_away_and_a_process_that_is_down(running: World, healthy: Healthy) -> None:
    def ill(answer: httpx.Response) -> tuple[bytes, dict[str, str]]:
        body: Any = answer.json()
        if "parts" in body:
            away = {"name": "router", "serving": True, "away": ["backlog", "postgresql"]}
            down = {"name": "guard", "serving": False, "away": []}
            body = {"status": "degraded", "parts": [away, down]}
        return json.dumps(body, separators=(",", ":")).encode(), {}

    with _between(running.edge.url, ill) as url:
        found = _found(running.environ | {"TT_URL": url})
    assert found["stores"] == "postgresql is away for router"
    assert found["backlog"] == "router is behind: what waits there is too old"
    assert found["processes"] == "guard does not serve"


def test_what_waits_for_a_person(running: World, healthy: Healthy) -> None:
    _well(running)
    _, environ = healthy
    running.database.execute("insert into breaker (dependency, state) values ('venue', 'OPEN')")
    running.edge.happen(1, word="guard-9")
    found = _found(environ)
    assert found["breakers"] == "the breaker of venue is open: nothing is sent to it"
    assert found["messages"] == "1 messages were set aside"
    _well(running)


def _change_note(state: State, **changes: Any) -> None:
    path = state.directory / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


Changed = Callable[[httpx.Response], tuple[bytes, dict[str, str]]]


@contextmanager
def _between(url: str, changed: Changed) -> Iterator[str]:
    """A server before the edge that hands requests on and changes answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = {"Authorization": self.headers.get("Authorization", "")}
            answer = httpx.get(f"{url}{self.path}", headers=token, trust_env=False)
            body, headers = changed(answer)
            self.send_response_only(answer.status_code)
            own = {"Date": self.date_time_string(), "Content-Length": str(len(body))}
            for name, value in (own | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
