"""Schemathesis reads the OpenAPI document and asks the real edge: right, wrong, and in chains.

Examples, the edges of every schema, random requests of both kinds, and chains of calls along the
links (create, get, patch, pause, delete). `schemathesis.toml` configures it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest

from launcher.temporary import create_database
from services.signer.master_keys import add_key
from tests.control.edge import MANAGE, OPERATE, ROOT
from tests.control.requests import ROUTER_STAND_IN
from tests.events.edge import Listening, listening
from tests.replay import made
from tools.openapi.__main__ import DOCUMENT
from tradingtools.v1 import user_service_pb2, user_service_pb2_grpc

_PEOPLE = "^/(auth/(login|logout|refresh|sessions)|users|user-events)"
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def patient(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: str,
    migrated_template: str,
    redis_url: str,
) -> Iterator[Listening]:
    """An edge that nobody can ask too often, with all that answers behind it."""
    database_url = create_database(postgres_server, template=migrated_template)
    with psycopg.connect(database_url) as connection:
        connection.execute(ROUTER_STAND_IN)
    directory = tmp_path_factory.mktemp("patient")
    directory.chmod(0o700)
    add_key(directory / "master-keys", "first")
    made.analytics(directory / "analytics", {})
    with listening(
        directory,
        database_url,
        redis_url,
        also=("webhooks", "signer"),
        TT_SIGNER_SOCKET=str(directory / "signer.sock"),
        TT_SIGNER_MASTER_KEY_FILE=str(directory / "master-keys"),
        TT_SIGNER_UNLOCKED_MEMORY="true",
        TT_CONTROL_SIGNER_SOCKET=str(directory / "signer.sock"),
        TT_CONTROL_TOKEN_RATE="100000",
        TT_CONTROL_ADDRESS_RATE="100000",
        TT_ANALYTICS_DIR=str(directory / "analytics"),
        TT_RECORDING_DIR=str(directory / "recording"),
        TT_CONTROL_LOGIN_SECRET="5e" * 32,
        # Nobody listens there: the engine is told of, and is not well.
        TT_CONTROL_ENGINE_TARGETS="router=127.0.0.1:1",
    ) as running:
        running.wait_until_ready("/webhook-endpoints")
        running.wait_until_ready("/sealing-key")
        running.wait_for_operators()
        yield running


_NO_EDGES = """
# The edges of what chooses among all strategies take two minutes to be made up.
[[operations]]
include-name = ["POST /bots", "PATCH /bots/{id}"]
phases.coverage.enabled = false
"""


def _slow(must_work: str) -> list[str]:
    """Return what leaves out routes that begin a process each time; the long form asks them."""
    if must_work == "all":
        return []
    slow = ("/leaders/{wallet}/simulation", "/backtests", "/subscriptions/{id}/settings-preview")
    return [word for path in slow for word in ("--exclude-path", path)]


@pytest.mark.parametrize(
    ("examples", "chains", "seed", "must_work"),
    [
        # So few chains need not reach everything; the long form has to.
        pytest.param(3, 25, 1, "core", id="short", marks=pytest.mark.timeout(600)),
        *(
            pytest.param(100, 400, seed, "all", id=f"long-{seed}", marks=[
                pytest.mark.long, pytest.mark.timeout(1800),
            ])
            for seed in (2, 3)
        ),
    ],
)  # fmt: skip
def test_the_document_holds(
    patient: Listening, tmp_path: Path, examples: int, chains: int, seed: int, must_work: str
) -> None:
    config = tmp_path / "schemathesis.toml"
    stateful = f"[phases.stateful]\ngeneration = {{ max-examples = {chains} }}\n"
    operations = _NO_EDGES if must_work == "core" else ""
    config.write_text(f"{CONFIG.read_text()}\n{stateful}{operations}")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
            str(DOCUMENT), "--url", patient.url, "--max-examples", str(examples),
            # It does not end.
            "--exclude-path", "/events/stream", *_slow(must_work),
            # No program's token reaches them.
            "--exclude-path-regex", _PEOPLE,
            "--seed", str(seed), "--generation-database", "none", "--no-color",
        ],
        cwd=ROOT,
        env={**os.environ, "EDGE_TOKEN": MANAGE, "EDGE_MUST_WORK": must_work},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


@pytest.mark.timeout(600)
def test_the_document_holds_for_people(patient: Listening, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    # Roles refuse, and so do counts of guesses.
    statuses = ('"412"]', '"412", "403", "429"]')
    config.write_text(CONFIG.read_text().replace(*statuses))
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
            str(DOCUMENT), "--url", patient.url, "--max-examples", "3",
            "--include-path-regex", _PEOPLE,
            # It would end the session that asks.
            "--exclude-path", "/auth/logout", "--phases", "examples,coverage,fuzzing",
            "--seed", "1", "--generation-database", "none", "--no-color",
        ],
        cwd=ROOT,
        env={**os.environ, "EDGE_TOKEN": _admin(patient), "EDGE_MUST_WORK": "people"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


def _admin(edge: Listening) -> str:
    """Return the access token of the first admin."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.ports['inside']}") as channel:
        made = user_service_pb2_grpc.FirstAdminServiceStub(channel).CreateFirstAdmin(
            user_service_pb2.CreateFirstAdminRequest(name="root"),
            metadata=(("authorization", f"Bearer {OPERATE}"),),
            timeout=60,
        )
    body = {
        "user": "root", "password": made.one_time_password, "newPassword": "a long password of hers"
    }  # fmt: skip
    answer = edge.client.post("/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["accessToken"])
