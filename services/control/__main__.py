"""Start the process: ``python -m services.control``."""

from __future__ import annotations

from tradingtools.runtime.loading import without_gc

if __name__ == "__main__":
    with without_gc():
        from functools import partial

        from services.control import app, internal_app, processes
        from services.control.settings import Settings
        from tradingtools.runtime import process

    internal = processes.split()
    if internal is None:
        process.main("control", Settings, internal_app.run, says=False)
    else:
        try:
            process.main("control", Settings, partial(app.run, internal=internal))
        finally:
            internal.stop()
