"""Load the modules of a process before it begins, and leave out others: most of a start.

Before it: a ``__main__``, which imports everything else within :func:`without_gc`. After it:
`process`.
A process that was killed is away for as long as this takes.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final, cast

_UNUSED: Final = ("rich", "opentelemetry.sdk")
"""What libraries bring along where they find it, and no process has a use for: structlog's
tracebacks for people's terminals, and metrics of the redis client. Whoever wants the SDK, as
`exporters` does, finds it afterwards."""


@contextmanager
def without_gc() -> Iterator[None]:
    """Load within this block; what is alive at its end lives as long as the process.

    No search for cycles meets it: not while it is loaded, when there is nothing to be found, and
    not later.
    """
    missing = [name for name in _UNUSED if name not in sys.modules]
    # None in this place: there is no such module (docs.python.org/3/reference/import.html).
    sys.modules.update(dict.fromkeys(missing, cast("ModuleType", None)))
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        for name in missing:
            del sys.modules[name]
