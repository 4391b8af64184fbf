"""`python -m tools.model`: the summary of all walks, or one counterexample.

Exit status 0: everything is as it must be; 1: a violation in the whole protocol, or none where a
guard is missing; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tools.model import runs
from tools.model.guards import Guard


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and walk."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.model",
        description="Walk every interleaving of the money path.",
        epilog="guards: " + ", ".join(guard.name for guard in Guard),
    )
    parser.add_argument("--without", metavar="GUARD", help="take one guard away, show what breaks")
    parser.add_argument(
        "--lives", type=int, choices=(2, 3), default=3,
        help="lives of executors, one after the other (default: 3)",
    )  # fmt: skip
    requested = parser.parse_args(arguments)
    if requested.without is None:
        return _summary(requested.lives)
    try:
        guard = Guard[requested.without.upper()]
    except KeyError:
        parser.error(f"--without: no guard {requested.without!r}; see --help")
    found = runs.without(guard)
    print(f"without {guard.name} ({guard.value}):")
    print(runs.readable(found))
    return 0 if found.broken else 1


def _summary(lives: int) -> int:
    print(f"{'world':<10} {'states':>9} {'transitions':>12} {'seconds':>8}  result")
    failed = False
    before = time.monotonic()
    for name, found in runs.everything(lives):
        now = time.monotonic()
        result = found.broken or "no violation"
        print(
            f"{name:<10} {found.states:>9} {found.transitions:>12} {now - before:>8.1f}  {result}",
            flush=True,
        )
        if found.broken:
            failed = True
            print(runs.readable(found))
        before = now
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
