"""Take a base backup from a running server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from psycopg import ProgrammingError, conninfo

from backup.errors import Refused
from launcher.embedded import postgres_programs


def take(url: str, target: Path) -> str:
    """Copy a server's files into a new directory; returns the name of the URL's database.

    The directory is whole and on the disk before this returns.

    Args:
        url: of a role that may replicate; orders go on meanwhile.
        target: the directory to make; a backup that was broken off leaves none of this name.

    Raises:
        Refused: it cannot be made, or the server does not let it.
    """
    if target.exists():
        raise Refused(f"{target}: is there already")
    try:
        place = conninfo.conninfo_to_dict(url)
    except ProgrammingError:
        # Its message has the URL, and that the password.
        raise Refused("the database's URL cannot be read") from None
    password = str(place.pop("password", None) or "")
    place.pop("options", None)
    database = str(place.pop("dbname", None) or place.get("user") or "postgres")
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise Refused(f"{partial}: {error.strerror}") from None
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [
            str(postgres_programs() / "pg_basebackup"), "--pgdata", str(partial),
            "--format=plain", "--wal-method=stream", "--checkpoint=fast", "--no-password",
            "--manifest-checksums=SHA256", "--dbname", conninfo.make_conninfo("", **place),
        ],
        env={"PGPASSWORD": password, "LC_ALL": "C"},
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise Refused(_last_line(done.stderr))
    partial.rename(target)
    return database


def verify_files(backup: Path) -> None:
    """Compare each file with the backup's manifest. Raises Refused: one is not as it was."""
    if not (backup / "backup_manifest").is_file():
        raise Refused(f"{backup}: is no backup, there is no backup_manifest in it")
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [str(postgres_programs() / "pg_verifybackup"), "--quiet", str(backup)],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    if done.returncode != 0:
        raise Refused(f"{backup}: {_last_line(done.stderr)}")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "PostgreSQL's program said nothing"
