"""Test what processes load on their way to their code, and what they leave out."""

from __future__ import annotations

import subprocess
import sys

from launcher.core.programs import ENGINE

PROCESSES = (
    *(f"services.{name}" for name in ENGINE),
    "paper.insiders",
    "paper.venue",
)
_PROGRAM = """
import gc, sys
from importlib import import_module
for process in sys.argv[1:]:
    import_module(f"{process}.__main__")
loaded = {"structlog", "psycopg", "grpc", "aiohttp"} & set(sys.modules)
assert not loaded, f"loaded before it is lean: {loaded}"

from tradingtools.runtime.loading import without_gc
with without_gc():
    for process in sys.argv[1:]:
        import_module(f"{process}.app")
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 10_000
extras = [name for name in sys.modules if name.startswith(("rich", "opentelemetry.sdk"))]
assert not extras, extras

# Who wants them finds them.
import rich.console
import tradingtools.runtime.exporters
"""


def test_nothing_is_loaded_that_no_process_uses() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *PROCESSES], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
