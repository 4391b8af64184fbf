"""A cluster is there whole, or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import embedded

_MAKE = """
import sys
from pathlib import Path
from launcher import embedded

embedded.init_postgres(Path(sys.argv[1]), "secret")
"""
_PATIENCE_SECONDS = 60.0


@pytest.fixture
def data() -> Iterator[Path]:
    """Where a cluster is to be: PostgreSQL's user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="tt-cluster-"))
    directory.chmod(0o755)
    yield directory / "data"
    shutil.rmtree(directory)


def test_one_that_was_killed_half_way_is_made_anew(data: Path) -> None:
    maker = subprocess.Popen([sys.executable, "-c", _MAKE, str(data)], start_new_session=True)
    try:
        ends = time.monotonic() + _PATIENCE_SECONDS
        while not list(data.parent.rglob("PG_VERSION")):
            assert time.monotonic() < ends
            time.sleep(0.005)
    finally:
        os.killpg(maker.pid, signal.SIGKILL)
    assert maker.wait() == -signal.SIGKILL

    embedded.init_postgres(data, "secret")

    message = subprocess.run(
        [embedded.postgres_programs() / "pg_controldata", data],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "shut down" in message.stdout
    assert list(data.parent.iterdir()) == [data]


def test_what_is_no_cluster_is_left_as_it_is(data: Path) -> None:
    data.mkdir()
    (data / "mine").touch()
    with pytest.raises(embedded.EmbeddedServerError, match="has files and no cluster"):
        embedded.init_postgres(data, "secret")
    assert (data / "mine").exists()
