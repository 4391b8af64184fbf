"""TLS from the client through the real Envoy to a real control process, and from operators."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from launcher import edge
from launcher.embedded import role_urls
from launcher.ports import free_port
from launcher.temporary import create_database
from tests.control.edge import MANAGE, ROOT, TOKENS, as_operator
from tests.control.requests import subscription_body
from tests.support.certificates import Authority
from tests.support.prepared import Popen
from tradingtools.v1 import operator_service_pb2 as pb
from tradingtools.v1 import operator_service_pb2_grpc as pb_grpc

_SECONDS = 60.0


@contextmanager
def _process(module: str, log: Path, environ: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        child = Popen(
            [sys.executable, "-m", module],
            cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
        finally:
            child.terminate()
            child.wait(timeout=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A control process that demands certificates, and who signs them."""

    ours: Authority
    theirs: Authority
    control_port: int
    internal_port: int
    directory: Path

    @contextmanager
    def edge(self, name: str, environ: Mapping[str, str]) -> Iterator[int]:
        """An Envoy that shows clients a certificate of ours; its port."""
        port = free_port()
        chain, key = self.ours.issue(f"{name}-public")
        directory = self.directory / name
        environ = {
            "TT_EDGE_LISTEN": f"127.0.0.1:{port}",
            "TT_EDGE_CONTROL_TARGET": f"127.0.0.1:{self.control_port}",
            "TT_EDGE_DIRECTORY": str(directory),
            "TT_EDGE_CERT": str(chain),
            "TT_EDGE_KEY": str(key),
            **environ,
        }
        with _process("launcher.edge", self.directory / f"{name}.log", environ):
            yield port

    def operator(self, authority: Authority | None) -> grpc.Channel:
        """To the internal port, with a certificate of an authority for somebody called ann."""
        trusted = self.ours.file.read_bytes()
        if authority is None:
            credentials = grpc.ssl_channel_credentials(trusted)
        else:
            chain, key = authority.issue("ann")
            credentials = grpc.ssl_channel_credentials(
                trusted, key.read_bytes(), chain.read_bytes()
            )
        return grpc.secure_channel(f"127.0.0.1:{self.internal_port}", credentials)

    def trusting(
        self, authority: Authority, shown: tuple[Path, Path] | None = None
    ) -> httpx.Client:
        """A client that believes an authority, and may show a certificate."""
        context = ssl.create_default_context(cafile=str(authority.file))
        if shown is not None:
            context.load_cert_chain(*map(str, shown))
        return httpx.Client(verify=context, timeout=15.0, trust_env=False)


@pytest.fixture(scope="module")
def world(
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("tls")
    database = create_database(postgres_server, template=migrated_template)
    made = World(
        ours=Authority(directory / "ours"),
        theirs=Authority(directory / "theirs"),
        control_port=free_port(),
        internal_port=free_port(),
        directory=directory,
    )
    environ = {
        **role_urls(database),
        **made.ours.settings("control"),
        "TT_REDIS_URL": redis_url,
        "TT_CONTROL_LISTEN": f"127.0.0.1:{made.control_port}",
        "TT_CONTROL_INTERNAL_LISTEN": f"127.0.0.1:{made.internal_port}",
        "TT_CONTROL_TOKENS": TOKENS,
        "TT_CONTROL_REFUSED_RATE": "100000",
    }
    with _process("services.control", directory / "control.log", environ):
        # Else what is refused below could be refused for want of control.
        with made.operator(made.ours) as channel:
            grpc.channel_ready_future(channel).result(timeout=_SECONDS)
        yield made


def _answers(client: httpx.Client, url: str, desired: Callable[[int], bool], log: Path) -> int:
    """The status of a GET as soon as it is one of those that are waited for."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            status = client.get(url).status_code
            if desired(status):
                return status
            said = str(status)
        except httpx.TransportError as error:
            said = repr(error)
        assert time.monotonic() < deadline, f"{said}: {log.read_text()[-2000:]}"
        time.sleep(0.05)


def test_a_client_reaches_control_by_tls_alone(world: World) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(world.edge("good", world.ours.settings("envoy")))
        client = stack.enter_context(world.trusting(world.ours))
        url = f"https://127.0.0.1:{port}"
        _answers(client, f"{url}/ready", lambda status: status == 200, world.directory / "good.log")
        made = client.post(
            f"{url}/subscriptions",
            json=subscription_body("0x" + "7" * 40),
            headers={"Authorization": f"Bearer {MANAGE}"},
        )
        assert made.status_code == 201, made.text
        with world.trusting(world.theirs) as stranger, pytest.raises(httpx.ConnectError):
            stranger.get(f"{url}/ready")
        with pytest.raises(httpx.TransportError):
            client.get(f"http://127.0.0.1:{port}/ready")


def _serial(port: int, authority: Authority) -> str:
    context = ssl.create_default_context(cafile=str(authority.file))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        shown = connection.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


def test_the_edge_shows_a_new_certificate_without_a_restart(world: World) -> None:
    environ = {**world.ours.settings("again"), "TT_EDGE_HEALTH_PORT": str(world.internal_port)}
    with world.edge("again", environ) as port, world.trusting(world.ours) as client:
        url, log = f"https://127.0.0.1:{port}/health", world.directory / "again.log"
        _answers(client, url, lambda status: status == 200, log)
        before = _serial(port, world.ours)
        chain, key = world.ours.issue("again-next")
        key.rename(world.directory / "ours" / "again-public.key")
        chain.rename(world.directory / "ours" / "again-public.pem")
        deadline = time.monotonic() + _SECONDS
        while _serial(port, world.ours) == before:
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.05)
        assert client.get(url).status_code == 200


def test_the_edge_may_demand_a_certificate_of_clients(world: World) -> None:
    demand = {"TT_EDGE_CLIENT_CA": str(world.ours.file)}
    known, stranger = world.ours.issue("backend"), world.theirs.issue("backend")
    with ExitStack() as stack:
        port = stack.enter_context(world.edge("strict", {**world.ours.settings("e"), **demand}))
        url = f"https://127.0.0.1:{port}/ready"
        client = stack.enter_context(world.trusting(world.ours, known))
        _answers(client, url, lambda status: status == 200, world.directory / "strict.log")
        for shown in (None, stranger):
            with world.trusting(world.ours, shown) as other, pytest.raises(httpx.TransportError):
                other.get(url)


@pytest.mark.parametrize("wrong", ["plaintext", "stranger", "believes-another", "another-host"])
def test_control_and_an_edge_that_do_not_belong_together(world: World, wrong: str) -> None:
    """Nothing reaches a handler: without control's word the edge lets nobody through."""
    ours = world.ours.settings("envoy")
    stranger = world.theirs.settings("envoy")
    environ = {
        "plaintext": {},
        "stranger": {**stranger, "TT_TLS_CA": ours["TT_TLS_CA"]},
        "believes-another": {**ours, "TT_TLS_CA": stranger["TT_TLS_CA"]},
        # Control's certificate is for 127.0.0.1.
        "another-host": {**ours, "TT_EDGE_CONTROL_TARGET": f"localhost:{world.control_port}"},
    }[wrong]
    with world.edge(wrong, environ) as port, world.trusting(world.ours) as client:
        url = f"https://127.0.0.1:{port}/health"
        log = world.directory / f"{wrong}.log"
        assert _answers(client, url, lambda status: status != 0, log) == 503
        # It stays so, also when Envoy has had the time to connect.
        assert [client.get(url).status_code for _ in range(20)] == [503] * 20


@pytest.mark.parametrize("who", ["ours", "theirs", "nobody", "plaintext"])
def test_operators_need_a_certificate(world: World, who: str) -> None:
    if who == "plaintext":
        channel = grpc.insecure_channel(f"127.0.0.1:{world.internal_port}")
    else:
        shown = {"ours": world.ours, "theirs": world.theirs, "nobody": None}[who]
        channel = world.operator(shown)
    with channel:
        stub = pb_grpc.OperatorServiceStub(as_operator(channel))
        if who == "ours":
            halt = pb.SetHaltRequest(
                scope=pb.HALT_SCOPE_GLOBAL, mode=pb.HALT_MODE_REDUCING, reason="x"
            )
            stub.SetHalt(halt, timeout=_SECONDS, wait_for_ready=True)
            about = pb.ListAuditRequest(subject_kind="halt")
            (entry, *_) = stub.ListAudit(about, timeout=_SECONDS).entries
            assert (entry.actor, entry.source) == ("operator", "grpc: token")
            bare = pb_grpc.OperatorServiceStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                bare.ListHalts(pb.ListHaltsRequest(), timeout=_SECONDS)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED, "a certificate alone"
            return
        with pytest.raises(grpc.RpcError) as refused:
            stub.ListHalts(pb.ListHaltsRequest(), timeout=_SECONDS)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TT_EDGE_LISTEN", "8080", "TT_EDGE_LISTEN: '8080' is not host:port"),
        ("TT_EDGE_CONTROL_TARGET", "x:", "TT_EDGE_CONTROL_TARGET: 'x:' is not host:port"),
        ("TT_EDGE_LISTEN", "0.0.0.0:8080", "0.0.0.0 is reachable from other machines"),
        ("TT_EDGE_CERT", "c.pem", "TT_EDGE_KEY: required"),
        ("TT_EDGE_CLIENT_CA", "c.pem", "TT_EDGE_CERT: required with TT_EDGE_CLIENT_CA"),
        ("TT_TLS_CA", "c.pem", "TT_TLS_CERT: required"),
        ("TT_EDGE_CERTS", "c.pem", "TT_EDGE_CERTS: no such setting"),
    ],
)
def test_a_wrong_setting_of_the_edge_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    value: str,
    said: str,
) -> None:
    environ = {
        "TT_EDGE_LISTEN": "127.0.0.1:8080",
        "TT_EDGE_CONTROL_TARGET": "127.0.0.1:8081",
        "TT_EDGE_DIRECTORY": str(tmp_path),
        name: value,
    }
    for setting, text in environ.items():
        monkeypatch.setenv(setting, text)
    with pytest.raises(SystemExit) as ended:
        edge.main()
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1)
    assert error.startswith(f"edge: {said}")
