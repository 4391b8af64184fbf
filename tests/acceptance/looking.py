"""Look at a run as people do: ask its processes, call REST, tail its streams by hand."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
import psutil
import psycopg
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from launcher.core import programs
from launcher.core.programs import ENGINE
from launcher.embedded import role_url
from launcher.startup import serving
from launcher.state import ROOT
from services.control.store import queries
from tests.acceptance.harness import Run, until
from tradingtools.rpc import callers
from tradingtools.settings import PROCESSES
from tradingtools.storage.postgres.rights import RIGHTS

_FIRST_SECONDS = 120
"""An exit takes a trigger that fires; only a failing test waits that long."""
PREFIXES = tuple(f"TT_{name}_" for name in PROCESSES)
WITH_REDIS = tuple(each.name for each in programs.PROCESSES if each.redis)
REQUESTED_NOTHING = ("alerts", "console", "enrichment", "perfmon")
"""Nothing but how they are."""
STREAMS = {
    "ingest": ("IngestService", "StreamLeaderTrades"),
    "bookfeed": ("BookfeedService", "StreamMarks"),
    "router": ("RouterService", "StreamOrders"),
    "executor": ("ExecutorService", "StreamOrderEvents"),
    "confirm": ("ConfirmService", "StreamFills"),
    "guard": ("GuardService", "StreamExits"),
    "events": ("EventService", "StreamEvents"),
}
DEPENDENCIES = {
    "ingest": ("postgresql", "redis", "venue"),
    "bookfeed": ("postgresql", "redis", "venue"),
    "router": ("postgresql", "redis", "bookfeed"),
    "executor": ("postgresql", "insiders-api"),
    "confirm": ("postgresql", "bookfeed"),
    "guard": ("postgresql", "redis", "bookfeed"),
    "events": ("postgresql",),
    "alerts": ("postgresql",),
    "control_internal": ("postgresql", "redis"),
}


def each_process_has_its_own_alone(run: Run) -> None:
    """No environment and no command line says what its process does not need; root faces nobody."""
    files = ("postgres-password", "valkey-password", "token", "engine-token")
    secrets = {name: (run.directory / name).read_text() for name in files}
    owner = f"postgresql://postgres:{secrets['postgres-password']}@127.0.0.1:1/postgres"
    roles = {name: urlsplit(role_url(owner, name)).password or "" for name in RIGHTS}
    tokens: dict[str, list[str]] = {}
    said = "our own processes run as root" in run.output
    for name, pid in run.pids().items():
        process = psutil.Process(pid)
        environ = process.environ()
        reported = "\0".join([*environ.values(), *process.cmdline()])
        for file in ("postgres-password", "token", "engine-token"):
            assert secrets[file] not in reported, (name, file)
        assert (secrets["valkey-password"] in reported) == (name in WITH_REDIS), name
        knows = {role for role, password in roles.items() if password in reported}
        assert knows == ({name} & RIGHTS.keys() or ({"reader"} if name == "insiders" else set()))
        own = f"TT_{name.upper()}_"
        others = [key for key in environ if key.startswith(PREFIXES) and not key.startswith(own)]
        assert not others, name
        if name in ("postgres", "valkey", "envoy"):
            assert not [key for key in environ if key.startswith("TT_")], name
        if os.geteuid() == 0 and (name in ("postgres", "valkey", "envoy") or not said):
            assert 0 not in process.uids(), name
        tokens.setdefault(environ.get(f"{own}ENGINE_TOKEN", ""), []).append(name)
    assert all(len(names) == 1 for token, names in tokens.items() if token)
    supervisor = psutil.Process(run.pids()["router"]).parent()
    assert supervisor is not None
    assert not [key for key in supervisor.environ() if key.startswith("TT_")]
    assert not run.directory.stat().st_mode & 0o066, "nobody else looks into it"
    for name in (*files, "run.json", "supervisord.conf"):
        assert not (run.directory / name).stat().st_mode & 0o077, name
    for log in (run.directory / "logs").iterdir():
        assert not log.stat().st_mode & 0o077, log


def operators_can_look(run: Run) -> None:
    """Each process says that it serves, and what."""
    for name in ENGINE:
        port = run.port("control_internal" if name == "control" else name)
        until(lambda port=port: serving(f"127.0.0.1:{port}"), _FIRST_SECONDS, f"{name} serves")  # type: ignore[misc]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            services = ProtoReflectionDescriptorDatabase(channel).get_services()
        assert health_pb2.DESCRIPTOR.services_by_name["Health"].full_name in services
        own = any(service.startswith("tradingtools.v1.") for service in services)
        assert own or name in REQUESTED_NOTHING, name
    for name, dependencies in DEPENDENCIES.items():
        for dependency in dependencies:
            assert _answers(run.port(name), dependency), (name, dependency)


def _answers(port: int, dependency: str) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=dependency)
        watched = stub.Watch(request, timeout=_FIRST_SECONDS)
        return any(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in watched)


def the_note_tells_where_to_call(run: Run) -> None:
    """Ports of operators, and a wallet that REST knows: what the README's call is made of."""
    assert run.note.ports["control_internal"] == run.port("control_internal")
    known = httpx.get(
        f"{run.note.rest_url}/subscriptions",
        params={"followerProxy": run.note.follower_wallet},
        headers={"Authorization": f"Bearer {(run.directory / 'token').read_text()}"},
        trust_env=False,
    ).json()
    assert len(known["subscriptions"]) == 1


def rest_is_guarded(run: Run) -> None:
    """Without a token there is health, and nothing else."""
    url = f"{run.note.rest_url}/subscriptions"
    assert httpx.get(url, trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{run.note.rest_url}/health", trust_env=False).status_code == httpx.codes.OK


def leaders_are_ranked(run: Run) -> None:
    """Those of the tape and those who trade now, with their figures and days."""
    token = (run.directory / "token").read_text()
    with httpx.Client(
        base_url=run.note.rest_url,
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=_FIRST_SECONDS,
    ) as client:

        def leaders() -> list[dict[str, Any]]:
            answer = client.get("/leaders", params={"window": "all"})
            # While its snapshot is not read yet there may be none, and the edge may be behind.
            found: list[dict[str, Any]] = answer.json()["leaders"] if answer.is_success else []
            return found

        until(leaders, _FIRST_SECONDS, "leaders are ranked")
        for leader in leaders():
            assert leader["asOf"]
            windows = [of["window"] for of in leader["performance"]]
            assert windows == ["1d", "7d", "30d", "90d", "all"]
        assert client.get(f"/leaders/{leaders()[0]['wallet']}").json()["days"]


def gains_are_the_ledger(run: Run) -> None:
    """Hours of lots add up to the lots, to the micro, while others trade on."""
    with psycopg.connect(run.note.database_url) as connection:
        assert connection.execute(queries("quality/queries")["differences"]).fetchall() == []
        (number,) = connection.execute("select count(*) from lot_hour").fetchone() or (0,)
    assert number > 0


def every_stream_can_be_tailed(run: Run) -> None:
    """By an operator with the run's token alone; no reader's cursor comes of it."""
    token = (run.directory / "engine-token").read_text()
    for process, (service, method) in STREAMS.items():
        assert _first(run.port(process), service, method, token).cursor, process
        for other in ("", "0" * 64):
            with pytest.raises(grpc.RpcError) as refused:
                _first(run.port(process), service, method, other)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED, process
    with psycopg.connect(run.note.database_url) as connection:
        readers = connection.execute("select distinct consumer from consumer_cursor").fetchall()
    ours = {"router-0", "executor-0", "confirm-0", "guard-0", "alerts", "enrichment", "perfmon-0"}
    assert {name for (name,) in readers} - ours == set()


def _first(port: int, service: str, method: str, token: str) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        found = pool.FindServiceByName(f"tradingtools.v1.{service}").methods_by_name[method]
        request = message_factory.GetMessageClass(found.input_type)()
        call: Any = channel.unary_stream(
            f"/tradingtools.v1.{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )
        shown = ((callers.HEADER, token),) if token else ()
        stream = call(request, timeout=_FIRST_SECONDS, metadata=shown)
        first = next(iter(stream))
        stream.cancel()
        return first


def decisions_replay_equal(run: Run, *, killed: bool) -> None:
    """Every decision of the day comes out as it was, and as the journal has it.

    Args:
        run: that goes on.
        killed: its router was: a kill loses what was judged in its last milliseconds.
    """
    environ = {**os.environ, "TT_LAUNCHER_STATE_DIR": str(run.directory)}
    said = subprocess.run(
        [ROOT / "tt", "replay", "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    reported = json.loads(said.stdout)
    assert reported["firstDifference"] is None, reported
    assert reported["journal"]["firstUnlike"] == ""
    assert reported["journal"]["compared"] > 0
    assert reported["copied"] > 0
    assert reported["damaged"] == []
    assert reported["same"] or killed, reported
    assert reported["journal"]["unrecordedCount"] <= 20 * killed, reported
