"""The embedded stores ask everybody on the machine for a password, and real orders demand it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, cast
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from launcher import embedded, temporary
from launcher.ports import free_port
from launcher.startup import Starter, StartError
from launcher.supervision import Supervisor
from launcher.users import group_of
from tradingtools.storage.postgres.rights import READER, RIGHTS, role_of


def _at(url: str, user: str) -> str:
    place = url.rpartition("@")[2]
    return f"postgresql://{user}@{place}"


@pytest.mark.parametrize("user", ["postgres", *map(role_of, RIGHTS)])
def test_nobody_logs_in_to_postgresql_without_the_password(postgres_server: str, user: str) -> None:
    own = urlsplit(postgres_server).password
    assert own
    for wrong in (user, f"{user}:", f"{user}:{'0' * 64}", f"{user}:{own}x"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(_at(postgres_server, wrong), connect_timeout=10)


def test_no_process_s_role_runs_a_program_or_reads_a_file(postgres_server: str) -> None:
    for process in RIGHTS:
        with psycopg.connect(embedded.role_url(postgres_server, process)) as connection:
            connection.execute("create temp table t (x text)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("copy t from program 'id'")
    passwords = {urlsplit(embedded.role_url(postgres_server, p)).password for p in RIGHTS}
    assert len(passwords) == len(RIGHTS), "one of each role's own"
    assert f"TT_{READER.upper()}_DATABASE_URL" not in embedded.role_urls(postgres_server)


def test_valkey_does_nothing_without_the_password(redis_url: str) -> None:
    stranger: Any = redis.Redis(port=urlsplit(redis_url).port or 0)
    for command in (("PING",), ("XADD", "tt:leader_trades", "*", "e", "x"), ("CONFIG", "GET", "*")):
        with pytest.raises(redis.AuthenticationError):
            stranger.execute_command(*command)
    stranger.close()


def test_no_command_line_has_a_password(tmp_path: Path) -> None:
    command = embedded.valkey_command(tmp_path, 1, "secret")
    assert "secret" not in " ".join(command)
    assert (tmp_path / "valkey.conf").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def started() -> Iterator[Callable[[Path, str], str]]:
    """Starts a cluster's server; gives the URL of its superuser with a password."""
    children: list[subprocess.Popen[bytes]] = []

    def start(data: Path, password: str) -> str:
        user, port = embedded.postgres_user(), free_port()
        child = subprocess.Popen(
            embedded.postgres_command(data, port), user=user, group=group_of(user),
            extra_groups=[] if user else None, stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        children.append(child)
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"

    yield start
    for child in children:
        child.terminate()
        child.wait(60)


def _answers(url: str) -> bool:
    stop = Event()
    for _ in range(600):
        if embedded.postgres_answers(url):
            return True
        stop.wait(0.05)
    return False


def test_a_cluster_of_before_that_believed_anybody_is_closed(
    started: Callable[[Path, str], str],
) -> None:
    directory = Path(tempfile.mkdtemp(prefix="tt-closed-"))
    directory.chmod(0o755)
    try:
        data = directory / "data"
        embedded.init_postgres(data, "first")
        # As an earlier version has left it.
        (data / "pg_hba.conf").write_text("host all all all trust\n")
        embedded.init_postgres(data, "second")
        url = started(data, "second")
        assert _answers(url)
        for password in ("first", "other"):
            assert not embedded.postgres_answers(url.replace(":second@", f":{password}@"))
    finally:
        shutil.rmtree(directory)


class _Supervisor:
    def states(self) -> list[Any]:
        return []

    def last_line(self, _name: str) -> str:
        return ""


def _starter(database_url: str, redis_url: str, *, real_orders: bool) -> Starter:
    return Starter(
        supervisor=cast(Supervisor, _Supervisor()),
        programs=(),
        environ={"TT_DATABASE_URL": database_url, "TT_REDIS_URL": redis_url},
        stop=Event(),
        real_orders=real_orders,
    )


def test_real_orders_refuse_a_store_that_believes_anybody(
    database_url: str, redis_url: str, started: Callable[[Path, str], str], tmp_path: Path
) -> None:
    _starter(database_url, redis_url, real_orders=True).stores()
    port = free_port()
    valkey = subprocess.Popen(
        embedded.valkey_command(tmp_path, port), stdout=subprocess.DEVNULL, cwd=tmp_path
    )
    directory = Path(tempfile.mkdtemp(prefix="tt-closed-"))
    directory.chmod(0o755)
    try:
        _starter(database_url, f"redis://127.0.0.1:{port}/0", real_orders=False).stores()
        with pytest.raises(StartError, match=r"TT_REDIS_URL: .*TT_LAUNCHER_INSIDERS_URL"):
            _starter(database_url, f"redis://127.0.0.1:{port}/0", real_orders=True).stores()
        with pytest.raises(StartError, match="TT_REDIS_URL"):
            _starter(
                database_url, f"redis://default:x@127.0.0.1:{port}/0", real_orders=True
            ).stores()
        embedded.init_postgres(directory / "data", "p")
        (directory / "data" / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
        url = started(directory / "data", "p")
        assert _answers(url)
        with pytest.raises(StartError, match=r"TT_DATABASE_URL: .*TT_LAUNCHER_INSIDERS_URL"):
            _starter(url, redis_url, real_orders=True).stores()
    finally:
        valkey.terminate()
        valkey.wait(60)
        shutil.rmtree(directory)


def test_a_temporary_server_has_a_password_of_its_own() -> None:
    with temporary.temporary_valkey() as one, temporary.temporary_valkey() as other:
        assert urlsplit(one).password != urlsplit(other).password
