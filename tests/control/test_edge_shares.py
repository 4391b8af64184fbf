"""One address opens all the connections it can; clients at other addresses get their answers."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import fields
from pathlib import Path

import pytest

from launcher import edge, envoy_config, envoy_shares
from tests.control.edge import StartEdge, digest
from tests.control.test_edge_bounds import Config, _config, _connections, _envoy

ATTACKER = "127.0.0.2"
OTHERS = [f"127.0.1.{number}" for number in range(1, 41)]
MAX = 800
SHARES = 8
(_DEPLOYED,) = (one.default for one in fields(edge.Settings) if one.name == "connection_shares")
_ANSWERS = 5
_SECONDS = 60.0
_REQUEST = b"GET /x HTTP/1.1\r\nHost: e\r\n\r\n"


def _few(config: Config) -> None:
    """As many connections as a test can open, parted as they are."""
    _connections(config)["max_active_downstream_connections"] = MAX
    for limit, _ in _limits(config):
        limit["max_connections"] = MAX // SHARES


def _limits(config: Config) -> Iterator[tuple[Config, str]]:
    for chain in config["static_resources"]["listeners"][0]["filter_chains"]:
        for one in chain["filters"]:
            if one["name"].endswith("connection_limit"):
                yield one["typed_config"], chain["name"]


def _open(stack: ExitStack, source: str, port: int) -> socket.socket:
    one = stack.enter_context(socket.socket())
    one.settimeout(_SECONDS)
    one.bind((source, 0))
    one.connect(("127.0.0.1", port))
    return one


def _answered(source: str, port: int) -> bool:
    with ExitStack() as stack, suppress(ConnectionError):
        one = _open(stack, source, port)
        one.sendall(_REQUEST)
        return one.recv(100).startswith(b"HTTP/1.1 ")
    return False


def _served(sources: list[str], port: int) -> list[str]:
    """Return those who get all of their answers."""
    return [one for one in sources if all(_answered(one, port) for _ in range(_ANSWERS))]


def _occupy(stack: ExitStack, port: int, number: int = MAX + 50) -> None:
    """Open more idle connections than the edge has, and go on with those that are left."""
    held = []
    for _ in range(number):
        with suppress(ConnectionError):
            held.append(_open(stack, ATTACKER, port))
    # Each is accepted before it is judged: so the last one has been, too.
    assert not _answered(ATTACKER, port)


async def test_idle_connections_of_one_address_keep_nobody_else_out(tmp_path: Path) -> None:
    async with _envoy(tmp_path, _few, shares=SHARES) as port:
        with ExitStack() as stack:
            _occupy(stack, port)
            served = _served(OTHERS, port)
            # By chance, some of them are in the share that is full.
            assert len(served) > len(OTHERS) // 2
        assert _served([ATTACKER], port), "who leaves makes room"


@pytest.fixture
def many_files() -> Iterator[None]:
    """Leave to open two files of each connection: Envoy is this process's child."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
async def test_all_connections_of_a_deployment_are_not_one_address_s(tmp_path: Path) -> None:
    """By the shares that a deployment has: who is not in the one that is full gets all answers."""
    async with _envoy(tmp_path, lambda _: None, shares=_DEPLOYED) as port:
        with ExitStack() as stack:
            _occupy(stack, port, envoy_shares.CONNECTIONS + 50)
            served = _served(OTHERS, port)
    # One in 32 is there by chance; ten of these 40 are once in millions of runs.
    assert len(served) > len(OTHERS) - 10


async def test_a_trusted_network_has_a_share_to_itself(tmp_path: Path) -> None:
    async with _envoy(tmp_path, _few, shares=SHARES, trusted=("127.0.1.0/24",)) as port:
        with ExitStack() as stack:
            _occupy(stack, port)
            assert _served(OTHERS, port) == OTHERS


@pytest.mark.parametrize("shares", [1, 2, 5, 32])
@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8", "2001:db8::/32")])
def test_the_shares_are_no_more_than_there_is(
    tmp_path: Path, shares: int, trusted: tuple[str, ...]
) -> None:
    config = _config(tmp_path, shares=shares, trusted=trusted)
    limits = {share: limit["max_connections"] for limit, share in _limits(config)}
    assert len(limits) == shares + bool(trusted)
    assert sum(limits.values()) <= _connections(config)["max_active_downstream_connections"]


def test_clients_behind_a_load_balancer_are_told_apart(start_edge: StartEdge) -> None:
    token, forwarded = "7e" * 32, "X-Forwarded-For"
    listed = f"far:read:{digest(token)};from=192.0.2.0/24"
    with start_edge("trusted", trusted=("127.0.0.1/32",), tokens=listed) as edge:
        path = f"/subscriptions?followerProxy=0x{1:040x}"

        def reported(source: str, said: str) -> int:
            with ExitStack() as stack:
                one = _open(stack, source, edge.port)
                one.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {token}\r\n"
                    f"{forwarded}: {said}\r\n\r\n".encode()
                )
                return int(one.recv(4096).split(b" ")[1])

        assert reported("127.0.0.1", "192.0.2.7") == 200
        # The client wrote the first one itself; its load balancer saw the second.
        assert reported("127.0.0.1", "192.0.2.7, 198.51.100.1") == 401
        # A stranger is where he comes from, whatever he says.
        assert reported("127.0.0.3", "192.0.2.7") == 401


def test_without_trusted_networks_nobody_says_where_he_is(tmp_path: Path) -> None:
    config = _config(tmp_path)
    first = config["static_resources"]["listeners"][0]["filter_chains"][0]
    manager = first["filters"][-1]["typed_config"]
    assert manager["use_remote_address"] is True
    assert manager["original_ip_detection_extensions"] == []
    assert envoy_config.Edge(port=1, control_port=2, directory=tmp_path).trusted == ()
