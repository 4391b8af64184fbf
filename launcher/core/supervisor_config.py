"""The supervisor's configuration as text. Pure; see supervisord.org/configuration.html."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from launcher.core.programs import GROUPS, Program

_LOG_BYTES = 20 * 1024 * 1024
_START_RETRIES = 1_000
_INTERFACE = (
    "[rpcinterface:supervisor]\n"
    "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the supervisor keeps its own things."""

    root: str
    """Working directory of all programs: the checkout."""
    directory: str
    """State directory of the run."""
    logs: str
    socket: str
    python: str
    as_root: bool


def render(programs: Sequence[Program], places: Places) -> str:
    """The configuration file. Programs do not start by themselves; the launcher orders that."""
    logs = _text(places.logs)
    parts = [
        f"[unix_http_server]\nfile={_text(places.socket)}\nchmod=0700\n",
        "\n".join(
            [
                "[supervisord]",
                "nodaemon=true",
                "silent=true",
                *(["user=root"] if places.as_root else []),
                f"logfile={logs}/supervisord.log",
                f"pidfile={_text(places.directory)}/supervisord.pid",
                f"childlogdir={logs}",
                "",
            ]
        ),
        _INTERFACE,
    ]
    for priority, group in enumerate(GROUPS, start=1):
        members = [program for program in programs if program.group == group]
        if members:
            names = ",".join(program.name for program in members)
            parts.append(f"[group:{group}]\nprograms={names}\npriority={priority}\n")
            parts += [_program(program, places) for program in members]
    return "\n".join(parts)


def _program(program: Program, places: Places) -> str:
    tether = [places.python, "-m", "launcher.tether", "--signal", program.stop_signal]
    tether += ["--environment", f"{places.directory}/environment/{program.name}.json"]
    if program.user:
        tether += ["--user", program.user]
    if program.nice:
        tether += ["--nice", str(program.nice)]
    command = shlex.join([*tether, "--", *program.command])
    lines = [
        f"[program:{program.name}]",
        f"command={_text(command)}",
        f"directory={_text(places.root)}",
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        f"startretries={_START_RETRIES}",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_seconds}",
        "redirect_stderr=true",
        f"stdout_logfile={_text(places.logs)}/{program.name}.log",
        f"stdout_logfile_maxbytes={_LOG_BYTES}",
        "stdout_logfile_backups=1",
    ]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A value in which the supervisor expands nothing; `` ;`` would begin a comment."""
    if "\n" in value or " ;" in value:
        raise ValueError(f"{value!r} cannot stand in the supervisor's configuration")
    return value.replace("%", "%%")
