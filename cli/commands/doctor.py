"""`tt doctor`: checks of this machine and of the engine, and what mends what they find."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import typer

from cli import engine, places, schemas
from cli.command import chosen, command, noun
from cli.core import doctor as core
from cli.core.doctor import Finding, bad, good
from cli.errors import Failure, Status
from cli.output import Shown

app = noun("Find out what is wrong with the machine and the engine.")
_SECONDS = 5.0
_MANY = 1000
_SETTINGS = ("executor.json", "control.json")
_CERTIFICATES = ("TT_TLS_CERT", "TT_TLS_CA")


class Examination(msgspec.Struct, rename="camel", kw_only=True):
    """All findings, in the order in which things depend on each other."""

    place: str
    well: bool
    findings: list[Finding]


@command(app, "doctor", schemas.own(__name__, "Examination"))
def doctor(
    all_: Annotated[
        bool, typer.Option("--all", help="Say what is well, too.", show_default=False)
    ] = False,
    disk_mb: Annotated[int, typer.Option("--disk-mb", min=1, help="Too little room.")] = 1024,
) -> Shown:
    """Check settings, clocks, stores, certificates, disk, tokens and versions. Changes nothing.

    Exits with 1 when something is wrong.
    """
    try:
        where: places.Place | None = places.find(chosen["profile"])
        found = []
    except Failure as failure:
        where, found = None, [_no_place(failure)]
        found += _taken_ports()
    found += _this_machine(where, disk_mb)
    if where is not None:
        found += _engine(where)
    ill = [finding for finding in found if not finding.well]
    lines = []
    for finding in found if all_ else ill:
        mark = "ok  " if finding.well else "BAD "
        lines.append(f"{mark}{finding.check}: {finding.says}")
        if finding.do:
            lines.append(f"      {finding.do}")
    checks = len({finding.check for finding in found})
    lines.append(f"{len(ill)} things are wrong" if ill else f"{checks} checks, nothing is wrong")
    reported = Examination(place=where.name if where else "", well=not ill, findings=found)
    return Shown(
        data=msgspec.to_builtins(reported), lines=lines,
        status=Status.NOT_WELL if ill else Status.OK,
    )  # fmt: skip


def _no_place(failure: Failure) -> Finding:
    return bad("place", failure.message, failure.advice)


def _taken_ports() -> Iterator[Finding]:
    """Return whether a run that has ended could have its ports again."""
    directory = places.newest_run()
    if directory is None or places.is_running(directory):
        return
    for name, port in sorted(places.read_note(directory)["ports"].items()):
        with socket.socket() as probe:
            probe.settimeout(_SECONDS)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                yield bad(
                    "ports", f"port {port} of {name} is taken by another program",
                    f"end it, or start a new run: STATE={directory} could not go on",
                )  # fmt: skip


def _this_machine(where: places.Place | None, disk_mb: int) -> Iterator[Finding]:
    directory = where.state if where and where.state else Path.cwd()
    room = shutil.disk_usage(directory)
    yield core.disk(str(directory), room.free, room.total, disk_mb * 2**20)
    for file in _secrets(where):
        yield core.secret(str(file), file.stat().st_mode)
    environ, whence = _settings(where)
    yield from core.gate(environ, whence)
    named = {path for name in _CERTIFICATES if (path := environ.get(name, ""))}
    named |= {path for key, path in (where.tls if where else {}).items() if key != "tls_key"}
    for path in sorted(named):
        yield _certificate(path)


def _secrets(where: places.Place | None) -> list[Path]:
    if where is None:
        return []
    found = [*where.secrets]
    if where.state is not None:
        found += [where.state / name for name in ("engine-token", "postgres-password",
                                                  "valkey-password")]  # fmt: skip
    return [path for path in found if path.exists()]


def _settings(where: places.Place | None) -> tuple[dict[str, str], str]:
    """Return the processes' settings as far as they can be read here, and where they are from."""
    if where is not None and where.state is not None:
        found: dict[str, str] = {}
        try:
            for name in _SETTINGS:
                found |= json.loads((where.state / "environment" / name).read_text())
        except (OSError, ValueError):
            return dict(os.environ), "this environment"
        return found, f"the settings of {where.name}"
    return dict(os.environ), "this environment"


def _certificate(path: str) -> Finding:
    try:
        der = ssl.PEM_cert_to_DER_cert(_first_pem(Path(path).read_text(encoding="ascii")))
        return core.certificate(path, core.ends_of(der), datetime.now(UTC))
    except (OSError, ValueError, IndexError) as error:
        return bad("certificates", f"{path}: {error}", "name a file with a certificate (PEM)")


def _first_pem(text: str) -> str:
    end = "-----END CERTIFICATE-----"
    before, found, _ = text.partition(end)
    if not found:
        raise ValueError("no certificate")
    return before[before.index("-----BEGIN") :] + end + "\n"


def _engine(where: places.Place) -> Iterator[Finding]:
    requested = time.time()
    try:
        answer = httpx.get(f"{where.url}/health", timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        yield bad("edge", f"{where.url} does not answer: {type(error).__name__}",
                  "is it running, and is that its address?")  # fmt: skip
        return
    here = time.time()
    if answer.status_code != 200 or answer.text != '{"status":"ok"}':
        yield bad("ports", f"another program answers at {where.url}",
                  "is the port right, and did the edge get it?")  # fmt: skip
        return
    yield good("edge", f"{where.url} answers")
    if date := answer.headers.get("date"):
        yield core.clock(here, parsedate_to_datetime(date).timestamp(), here - requested)
    yield from _rest(where)
    yield from _operators()


def _rest(where: places.Place) -> Iterator[Finding]:
    if not where.token:
        yield bad("token", "no token of REST is known", "set TT_TOKEN, or token_file in a profile")
        return
    with httpx.Client(
        base_url=where.url, headers={"Authorization": f"Bearer {where.token}"},
        timeout=_SECONDS, trust_env=False,
    ) as client:  # fmt: skip
        described = client.get("/openapi.json")
        if described.status_code in (401, 403):
            yield bad(
                "token", f"the token of {where.name} is refused ({described.status_code})",
                "is it this engine's, not withdrawn, and shown from an allowed address?",
            )  # fmt: skip
            return
        yield good("token", "the token of REST is taken")
        if described.status_code == 200:
            ours = json.loads(files("docs").joinpath("openapi.json").read_text(encoding="utf-8"))
            yield core.version(described.json(), ours)
        ready = client.get("/ready")
        if ready.status_code != 200:
            yield bad(
                "stores", f"control is not ready: {_message(ready)}",
                "does PostgreSQL run, and the server that speaks the Redis protocol?",
            )  # fmt: skip
        health = client.get("/health/engine")
        if health.status_code == 200:
            yield from core.parts(health.json())
        else:
            yield bad("processes", f"how the engine is, is not known: {_message(health)}",
                      "set TT_CONTROL_ENGINE_TARGETS, or look at control's log")  # fmt: skip


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        return f"HTTP {answer.status_code}"


def _operators() -> Iterator[Finding]:
    if not engine.has_operator():
        yield bad("operators", "no operators' port or token is known: nobody can halt from here",
                  "set TT_OPERATOR and TT_OPERATOR_TOKEN, or put them into a profile")  # fmt: skip
        return
    try:
        letters = engine.operate_pages("ListDeadLetters", "deadLetters", limit=_MANY)
        orders = engine.operate_pages("ListOrders", "orders", limit=_MANY)
        breakers = engine.operate("ListBreakers")["breakers"]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong
        failure = Failure.of(error)
        yield bad("operators", failure.message, failure.advice)
        return
    yield good("operators", "operators' calls are answered")
    yield from core.waiting(
        orders=len(orders),
        letters=len([letter for letter in letters if "replayedAt" not in letter]),
        breakers=[b["dependency"] for b in breakers if b["state"] != "BREAKER_STATE_CLOSED"],
    )
