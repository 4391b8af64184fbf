"""Processes with certificates of one authority understand each other, and nobody else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.certificates import Authority
from tradingtools.rpc import tls
from tradingtools.rpc.tls import is_loopback
from tradingtools.rpc.transport import channel, serving
from tradingtools.settings import SettingError, SharedSettings, load

Settings = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    shared: SharedSettings = field(default_factory=SharedSettings)


def _shared(settings: Settings) -> SharedSettings:
    return load(_Process, "test", settings).shared


@contextmanager
def _being(settings: Settings) -> Iterator[None]:
    """This process is another one for the length of the block."""
    tls.use(_shared(settings))
    try:
        yield
    finally:
        tls.use(SharedSettings())


async def _requested(server: Settings, caller: Settings, host: str = "127.0.0.1") -> str:
    """The code with which a server's health is answered to a caller."""
    with _being(server):
        running = serving("127.0.0.1:0", [], lambda _: None)
        started = await running.__aenter__()
    try:
        with _being(caller):
            there = channel(f"{host}:{started.port}")
        async with there:
            stub: Any = health_pb2_grpc.HealthStub(there)
            try:
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
            except grpc.aio.AioRpcError as error:
                return str(error.code().name)
        return "OK"
    finally:
        await running.__aexit__(None, None, None)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"))


async def test_one_authority_joins_processes(ours: Authority) -> None:
    assert await _requested(ours.settings("router"), ours.settings("executor")) == "OK"
    named = ours.settings("named", "localhost")
    assert await _requested(named, ours.settings("executor"), "localhost") == "OK"


async def test_without_an_authority_any_caller_may_call(ours: Authority) -> None:
    """Encrypted, and the caller knows with whom he speaks; the server does not."""
    server = {**ours.settings("router"), "TT_TLS_CA": ""}
    assert await _requested(server, ours.settings("executor")) == "OK"


async def test_strangers_are_refused(ours: Authority, theirs: Authority) -> None:
    server = ours.settings("router")
    stranger = {**theirs.settings("executor"), "TT_TLS_CA": str(ours.file)}
    assert await _requested(server, stranger) == "UNAVAILABLE", "a certificate of somebody else"
    assert await _requested(server, {}) == "UNAVAILABLE", "plaintext"
    assert await _requested({}, server) == "UNAVAILABLE", "a server in plaintext"


async def test_a_caller_knows_whom_he_calls(ours: Authority, theirs: Authority) -> None:
    caller = ours.settings("executor")
    impostor = {**theirs.settings("router"), "TT_TLS_CA": str(ours.file)}
    assert await _requested(impostor, caller) == "UNAVAILABLE", "a certificate of somebody else"
    elsewhere = ours.settings("elsewhere", "router.example.org")
    assert await _requested(elsewhere, caller) == "UNAVAILABLE", "a certificate of another host"


@pytest.mark.parametrize(
    ("listen", "near"),
    [
        ("127.0.0.1:0", True),
        ("127.9.9.9:7000", True),
        ("[::1]:7000", True),
        ("localhost:7000", True),
        ("0.0.0.0:7000", False),
        ("[::]:7000", False),
        ("10.0.0.1:7000", False),
        ("router.example.org:7000", False),
        (":7000", False),
    ],
)
async def test_plaintext_stays_on_this_machine(ours: Authority, listen: str, near: bool) -> None:
    assert is_loopback(listen) == near
    if near:
        return
    with pytest.raises(SettingError, match="TT_TLS_CERT") as refused:
        async with serving(listen, [], lambda _: None):
            pass
    assert str(refused.value).startswith(listen)
    for settings in ({"TT_PLAINTEXT": "true"}, ours.settings("router")):
        with _being(settings):
            tls.refuse_plaintext(listen)


@pytest.mark.parametrize("name", ["TT_TLS_CERT", "TT_TLS_KEY"])
def test_half_an_identity_is_refused(ours: Authority, name: str) -> None:
    with pytest.raises(SettingError, match=f"{name}: required"):
        tls.use(_shared({**ours.settings("router"), name: ""}))


@pytest.mark.parametrize("name", ["TT_TLS_CERT", "TT_TLS_KEY", "TT_TLS_CA"])
def test_a_file_that_is_none_is_named(ours: Authority, tmp_path: Path, name: str) -> None:
    wrong = tmp_path / "wrong"
    settings = {**ours.settings("router"), name: str(wrong)}
    with pytest.raises(SettingError, match=f"{name}: .*No such file"):
        tls.use(_shared(settings))
    wrong.write_text("-----BEGIN NONSENSE-----")
    wrong.chmod(0o600)
    with pytest.raises(SettingError, match=f"{name}: .* is not PEM"):
        tls.use(_shared(settings))


@pytest.mark.parametrize(
    ("mode", "fine"),
    [(0o600, True), (0o400, True), (0o640, True), (0o644, False), (0o660, False), (0o604, False)],
)
def test_a_key_that_others_may_read_is_refused(ours: Authority, mode: int, fine: bool) -> None:
    settings = ours.settings("open")
    Path(settings["TT_TLS_KEY"]).chmod(mode)
    if fine:
        tls.read(_shared(settings))
        return
    with pytest.raises(SettingError, match=f"TT_TLS_KEY: .* open to others .*{mode:04o}"):
        tls.read(_shared(settings))


def test_a_key_is_shown_nowhere(ours: Authority) -> None:
    found = tls.read(_shared(ours.settings("router")))
    assert found is not None
    assert "PRIVATE KEY" not in repr(found)


async def test_a_port_shows_the_newest_certificate(tmp_path: Path) -> None:
    """New files, of another authority: who believes that one alone is served, without a restart."""
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    settings = old.settings("router")
    with _being(settings):
        running = serving("127.0.0.1:0", [], lambda _: None)
        started = await running.__aenter__()

    async def requested(caller: Authority) -> str:
        with _being(caller.settings("executor")):
            there = channel(f"127.0.0.1:{started.port}")
        async with there:
            stub: Any = health_pb2_grpc.HealthStub(there)
            try:
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
            except grpc.aio.AioRpcError as error:
                return str(error.code().name)
        return "OK"

    try:
        assert [await requested(old), await requested(new)] == ["OK", "UNAVAILABLE"]
        replacements = new.settings("router")
        os.replace(replacements["TT_TLS_KEY"], settings["TT_TLS_KEY"])
        # A key that fits no certificate: the old ones hold meanwhile.
        assert [await requested(old), await requested(new)] == ["OK", "UNAVAILABLE"]
        for name in ("TT_TLS_CERT", "TT_TLS_CA"):
            shutil.copy(replacements[name], settings[name])
        assert [await requested(old), await requested(new)] == ["UNAVAILABLE", "OK"]
    finally:
        await running.__aexit__(None, None, None)


def test_a_channel_is_made_with_the_newest_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    settings = authority.settings("router")
    with _being(settings):
        before = tls.identity()
        authority.issue("router")
        after = tls.identity()
    assert before is not None
    assert after is not None
    assert before.certificate != after.certificate
    assert after.certificate == Path(settings["TT_TLS_CERT"]).read_bytes()
