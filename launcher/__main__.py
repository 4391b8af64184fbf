"""Command line: ``python -m launcher`` runs everything, ``python -m launcher check`` judges a run,
``python -m launcher health`` asks one that goes on how its processes are.

Exit status: 0; 1 when an invariant is broken, a process is not well or a run cannot go on; 2 when
it cannot begin.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import psycopg
from rich.console import Console

from launcher import gather, health, view
from launcher.core.invariants import AT_ANY_TIME, CHECKS, breaches, judged
from launcher.embedded import EmbeddedServerError
from launcher.prepare import PrepareError
from launcher.run import run
from launcher.settings import Settings
from launcher.startup import StartError
from launcher.state import StateError, is_running, latest, read_note
from launcher.supervision import SupervisionError
from tradingtools.rpc import tls
from tradingtools.settings import SettingError, load
from tradingtools_client import ApiError, Unreachable

_USAGE = "usage: python -m launcher [check|health [STATE-DIRECTORY]]"


def main(arguments: list[str]) -> int:
    """Do what the command line says; the exit status."""
    if len(arguments) > 2 or arguments[:1] not in ([], ["check"], ["health"]):
        sys.stderr.write(_USAGE + "\n")
        return 2
    console = Console(highlight=False)
    try:
        settings = load(Settings, "launcher")
        tls.use(settings.shared)
        if arguments:
            directory = Path(arguments[1]) if len(arguments) == 2 else latest()
            if arguments[0] == "health":
                return _health(directory, console)
            return _check(directory, settings, console)
        return run(settings, os.environ, console)
    except (SettingError, StateError, PrepareError, StartError, EmbeddedServerError) as error:
        sys.stderr.write(f"launcher: {error}\n")
        return 2
    except (SupervisionError, ApiError, Unreachable, gather.GatherError) as error:
        sys.stderr.write(f"launcher: {error}\n")
    except (httpx.HTTPError, psycopg.Error) as error:
        sys.stderr.write(f"launcher: {type(error).__name__}: {' '.join(str(error).split())}\n")
    return 1


def _health(directory: Path, console: Console) -> int:
    note = read_note(directory)
    if note is None or not is_running(directory):
        raise StateError(f"{directory}: no run goes on here")
    looks = [*health.of_engine(note.ports, os.environ), health.of_edge(note.rest_url)]
    for one in looks:
        view.say(console, f"{one.name:<9} {one.message}")
    return 0 if all(one.well for one in looks) else 1


def _check(directory: Path, settings: Settings, console: Console) -> int:
    note = read_note(directory)
    if note is None:
        raise StateError(f"{directory}: no run here")
    names = tuple(CHECKS)
    if is_running(directory):
        names = AT_ANY_TIME
        evidence = gather.gather(
            database_url=note.database_url or settings.shared.database_url,
            started_ms=note.started_ms,
            insiders_control_url=note.insiders_control_url,
            venue_url=note.venue_url,
            default_cash_micros=note.default_cash_micros,
            settled=False,
        )
        view.say(console, "the run goes on: what must hold only at rest is not judged")
    else:
        evidence = gather.kept(directory)
        names = judged(evidence)
        if not evidence.settled:
            view.say(console, view.NOT_AT_REST)
    broken = breaches(evidence, names)
    view.verdict(console, broken, evidence.notes, judged=len(names))
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
