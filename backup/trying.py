"""Try a backup: does a server start from it, is its audit whole, and how far does it reach?"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, rows

from backup.errors import Refused
from backup.taking import verify_files
from launcher import embedded
from launcher.temporary import serving
from services.control.operators.verification import verified

_COUNTS = """
    select (select count(*) from orders) as orders,
           (select count(*) from subscription) as subscriptions,
           (select count(*) from lot where shares_micros > 0) as open_lots,
           (select count(*) from bot) as bots,
           (select max(occurred_at) from order_event) as newest_event
"""


def examine(backup: Path, database: str) -> dict[str, Any]:
    """Return what a backup has, from a server that is started on a copy of it.

    Args:
        backup: its directory.
        database: the name of ours among the databases of the server.

    Raises:
        Refused: a file is not as it was, no server starts from it, or its audit is broken.
    """
    verify_files(backup)
    with _scratch() as directory:
        data = copy(backup, directory / "data")
        with started(data, directory / "log") as server:
            url = conninfo.make_conninfo(server, dbname=database)
            ends = asyncio.run(verified(url))
            broken = next((end.broken for end in ends if end.broken is not None), None)
            if broken is not None:
                raise Refused(f"{backup}: the audit is broken at {broken}")
            with psycopg.connect(url, row_factory=rows.dict_row) as connection:
                found = connection.execute(_COUNTS).fetchone() or {}
    newest = found["newest_event"]
    return {
        "directory": str(backup),
        "bytes": sum(file.stat().st_size for file in backup.rglob("*") if file.is_file()),
        "audited": sum(end.checked for end in ends),
        "orders": found["orders"],
        "subscriptions": found["subscriptions"],
        "openLots": found["open_lots"],
        "bots": found["bots"],
        "newestEvent": newest.isoformat() if newest else "",
    }


def copy(backup: Path, data: Path) -> Path:
    """Copy a backup to where its server finds it, for that server's user alone.

    Raises:
        Refused: there is no room, or no right.
    """
    try:
        shutil.copytree(backup, data)
        user = embedded.postgres_user()
        if user is not None:
            entry = pwd.getpwnam(user)
            for path in (data, *data.rglob("*")):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        data.chmod(0o700)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(data, ignore_errors=True)
        raise Refused(f"{data}: {error}") from None
    return data


@contextmanager
def started(data: Path, log: Path) -> Iterator[str]:
    """Run a server on these files for the length of the block; yields its superuser's URL.

    Raises:
        Refused: it does not start.
    """
    try:
        password = secrets.token_hex(32)
        embedded.init_postgres(data, password)
        with serving(data, password, log) as url:
            yield url
    except embedded.EmbeddedServerError as error:
        raise Refused(str(error)) from None


@contextmanager
def _scratch() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="tt-backup-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
