"""Planted secrets are in the signer's memory and nowhere else: memory, environment, logs, disk.

Whatever carries or keeps them runs for real: `tt` adds the wallets in its own process, Envoy and
control hand them on, an engine's process signs, PostgreSQL stores. All readable memory of
each process is searched, but of the test's own, which has planted them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from launcher.temporary import temporary_postgres
from tests.control.edge import MANAGE, RunningEdge
from tests.signer import exchanges as far
from tests.signer import world as made
from tests.signer.world import ROOT, World
from tradingtools.storage.postgres.migrate import migrate

_CHUNK = 1 << 22
_ENGINE = """
import asyncio, sys, time
from tradingtools.domain.signing import OkxLogin, HeaderSecrets, ClobAuth
from tradingtools.rpc.signer_client import SignerClient

async def main(socket, token, okx, polymarket):
    client = SignerClient(socket, token)
    login = OkxLogin(wallet=okx, epoch=1, timestamp=int(time.time()))
    assert await client.sign(login)
    assert await client.sign(ClobAuth(wallet=polymarket, epoch=1, timestamp=int(time.time())))
    wallets = (okx, polymarket)
    kept = [await client.header_secrets(HeaderSecrets(wallet=w, epoch=1)) for w in wallets]
    print("signed", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    assert len(kept) == 2

asyncio.run(main(*sys.argv[1:]))
"""


def _regions(pid: int, seen: set[str]) -> Iterator[tuple[int, int]]:
    """Return readable regions, but of shared ones those alone that no other process has shown."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, _, device, inode, *_ = line.split()
        if not rights.startswith("r") or "[vvar" in line or "[vsyscall" in line:
            continue
        if rights[3] == "s":
            if f"{device}:{inode}" in seen:
                continue
            seen.add(f"{device}:{inode}")
        begin, end = (int(part, 16) for part in span.split("-"))
        yield begin, end


def found_in(pid: int, needles: dict[str, bytes], seen: set[str] | None = None) -> set[str]:
    """Return the names of the needles that a process's memory holds."""
    found: set[str] = set()
    longest = max(map(len, needles.values()))
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for begin, end in _regions(pid, set() if seen is None else seen):
            at, kept = begin, b""
            while at < end:
                try:
                    memory.seek(at)
                    piece = memory.read(min(_CHUNK, end - at))
                except (OSError, OverflowError, ValueError):
                    break
                if not piece:
                    break
                text = kept + piece
                found |= {name for name, needle in needles.items() if needle in text}
                kept, at = text[-longest:], at + len(piece)
    return found


def family(pid: int) -> list[int]:
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


@dataclass(frozen=True)
class Scene:
    """What runs, and what was said of it."""

    directory: Path
    data: Path
    world: World
    edge: RunningEdge
    postgres: int
    engine: int
    master: str
    said: bytes

    @property
    def signer(self) -> int:
        assert self.world.process is not None
        return self.world.process.pid

    @property
    def others(self) -> dict[int, str]:
        """Control, Envoy and PostgreSQL, with their children, by process id."""
        control, envoy = self.edge.processes
        roots = {"control": control, "envoy": envoy, "postgres": self.postgres}
        return {pid: name for name, root in roots.items() for pid in family(root)}


def _add(
    edge: RunningEdge, directory: Path, exchange: str, fields: dict[str, Any]
) -> tuple[str, str]:
    """Add a wallet by `tt`, in a process of its own; return its id and all that was said."""
    command = f"wallets add {exchange} -e {exchange} --max-order 9 -c - --json"
    done = subprocess.run(
        [str(ROOT / "tt"), *command.split()], input=json.dumps(fields),
        env={"PATH": os.environ["PATH"], "TT_URL": edge.url, "TT_TOKEN": MANAGE,
             "HOME": str(directory)},
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["id"], done.stdout + done.stderr


@contextmanager
def _scene(directory: Path, redis_url: str) -> Iterator[Scene]:
    with (
        temporary_postgres(durable=False) as server,
        psycopg.connect(server) as connection,
        ExitStack() as stack,
    ):
        migrate(server)
        world, edge = stack.enter_context(made.whole(server, redis_url, directory))
        okx = {"api_key": far.PLANTED_KEY, "secret": far.PLANTED_SECRET,
               "passphrase": far.PLANTED_PASSPHRASE}  # fmt: skip
        polymarket = {"private_key": far.PLANTED_PRIVATE, "signature_type": 2,
                      "funder": made.FUNDER}  # fmt: skip
        first, received = _add(edge, directory, "okx", okx)
        second, more = _add(edge, directory, "polymarket", polymarket)
        world.hold(first)
        world.hold(second)
        command = [
            sys.executable,
            "-c",
            _ENGINE,
            world.socket,
            made.TOKENS["engine"],
            first,
            second,
        ]
        pipe = subprocess.PIPE
        engine = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT))
        stack.callback(engine.kill)
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"signed\n"
        (data,) = connection.execute("show data_directory").fetchone() or ("",)
        postgres = int(Path(data, "postmaster.pid").read_text().split()[0])
        yield Scene(
            directory, Path(data), world, edge, postgres, engine.pid,
            world.keys.read_text().split()[1], (received + more).encode(),
        )  # fmt: skip


@pytest.mark.long
def test_secrets_are_the_signer_s_alone(tmp_path: Path, redis_url: str) -> None:
    """Keys and OKX's secret are the signer's; triple and passphrase are the engine's as well."""
    with _scene(tmp_path, redis_url) as scene:
        header_secrets = {
            "okx passphrase": far.PLANTED_PASSPHRASE.encode(),
            "clob secret": far.TRIPLE["secret"].encode(),
            "clob passphrase": far.TRIPLE["passphrase"].encode(),
        }
        needles = header_secrets | {
            "private key": far.PLANTED_PRIVATE.encode(),
            "private key, raw": bytes.fromhex(far.PLANTED_PRIVATE),
            "okx secret": far.PLANTED_SECRET.encode(),
            "master key": scene.master.encode(),
            "master key, raw": bytes.fromhex(scene.master),
        }
        assert {"control", "envoy", "postgres"} == set(scene.others.values())
        seen: set[str] = set()
        for pid, name in scene.others.items():
            try:
                assert found_in(pid, needles, seen) == set(), name
            except PermissionError:
                # PostgreSQL runs as another user, whom root alone looks at, unless it may not.
                assert (name, made.may(made.CAP_SYS_PTRACE)) == ("postgres", False)
        assert found_in(scene.engine, needles) == set(header_secrets), "its memory, and no key"
        # The search finds what is there: in the signer, of which root alone can read.
        if made.may(made.CAP_SYS_PTRACE):
            assert {"okx secret", *header_secrets} <= found_in(scene.signer, needles)
        else:
            with pytest.raises(PermissionError):
                found_in(scene.signer, needles)
        _judge_files(scene, needles)
        _judge_environments(scene, needles)
        _judge_hardening(scene)


def _judge_files(scene: Scene, needles: dict[str, bytes]) -> None:
    roots = (scene.directory, scene.data)
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        if path != scene.world.keys:
            raw = path.read_bytes()
            assert {name for name, needle in needles.items() if needle in raw} == set(), path
    assert {name for name, needle in needles.items() if needle in scene.said} == set()


def _judge_environments(scene: Scene, needles: dict[str, bytes]) -> None:
    for pid in (*scene.others, scene.engine, scene.signer):
        try:
            reported = b"".join(
                Path(f"/proc/{pid}/{of}").read_bytes() for of in ("environ", "cmdline")
            )
        except PermissionError:
            assert pid == scene.signer or scene.others.get(pid) == "postgres"
            continue
        assert {name for name, needle in needles.items() if needle in reported} == set(), pid


def _judge_hardening(scene: Scene) -> None:
    proc = Path(f"/proc/{scene.signer}")
    cores = [line for line in (proc / "limits").read_text().splitlines() if "core file" in line]
    assert cores[0].split()[4:6] == ["0", "0"]
    assert (proc / "mem").stat().st_uid == 0, "undumpable: its memory is root's"
    if made.may(made.CAP_SYS_PTRACE):
        status = dict(
            line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
        )
        if made.may(made.CAP_IPC_LOCK):
            assert int(status["VmLck"].split()[0]) > 10_000, "all of it is locked"
        assert status["NoNewPrivs"].strip() == "1"
