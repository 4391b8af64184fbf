"""Where `tt` talks to: a run of `make run`, what the environment names, or a profile.

First comes what was asked for by name (``--profile``, ``TT_PROFILE``), then ``TT_URL``, then the
newest run below `.state` of this folder or one above it, then the profile that is the default.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.errors import Failure, Status
from cli.logins import Logins

_CHECKOUT = Path(__file__).resolve().parent.parent
_NAME_ONE = (
    "make run; or set TT_LAUNCHER_STATE_DIR to the STATE of a run, or TT_URL and TT_TOKEN; "
    "or write a profile: tt help places"
)
_TLS = ("tls_ca", "tls_cert", "tls_key")
_PROFILE = frozenset({"url", "token", "token_file", "operator", "operator_token",
                      "operator_token_file", *_TLS})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An engine, and the tokens for it."""

    name: str
    """For people: which run, or which profile."""
    url: str
    """Of REST."""
    token: str = field(default="", repr=False)
    """Of REST; empty: none is known."""
    operator: str = ""
    """``host:port`` of the operators' gRPC; empty: nobody has said where."""
    operator_token: str = field(default="", repr=False)
    tls: Mapping[str, str] = field(default_factory=dict)
    """Files of the operators' TLS by the names of a profile; empty: plaintext."""
    state: Path | None = None
    """The directory of a run on this machine."""
    secrets: tuple[Path, ...] = ()
    """The files that its tokens were read from."""
    login: Logins | None = None
    """Who has logged in there comes before its tokens; None: its tokens were given by hand."""


def find(profile: str = "", environ: Mapping[str, str] = os.environ) -> Place:
    """Return the place that is meant. Raises Failure: there is none, or it cannot be read."""
    desired = profile or environ.get("TT_PROFILE", "")
    if desired:
        return of_profile(desired, environ)
    if environ.get("TT_URL"):
        return _of_environment(environ)
    directory = newest_run(environ)
    if directory is not None and is_running(directory):
        return of_run(directory)
    if (default := _config(environ).get("default")) is not None:
        return of_profile(str(default), environ)
    if directory is not None:
        raise Failure(
            f"the run in {directory} has ended, and no other is named", Status.NO_PLACE, _NAME_ONE
        )
    raise Failure("no run below .state, no TT_URL, and no profile", Status.NO_PLACE, _NAME_ONE)


def _of_environment(environ: Mapping[str, str]) -> Place:
    url = environ["TT_URL"].rstrip("/")
    return Place(
        name="TT_URL",
        url=url,
        token=environ.get("TT_TOKEN", ""),
        login=None
        if environ.get("TT_TOKEN")
        else Logins.at(environ["TT_URL"].rstrip("/"), environ),
        operator=environ.get("TT_OPERATOR", ""),
        operator_token=environ.get("TT_OPERATOR_TOKEN", ""),
        tls={
            name: environ[f"TT_{name.upper()}"] for name in _TLS if f"TT_{name.upper()}" in environ
        },
    )


def newest_run(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the state directory of the last run that this folder knows of."""
    if named := environ.get("TT_LAUNCHER_STATE_DIR"):
        return Path(named) if (Path(named) / "run.json").is_file() else None
    here = Path.cwd()
    folders = [here, *here.parents]
    if (_CHECKOUT / "Makefile").exists():
        folders.append(_CHECKOUT)
    for folder in folders:
        found = (note for note in folder.glob(".state/*/run.json") if _is_own(note))
        notes = [(note.stat().st_mtime, note.parent) for note in found]
        if notes:
            return max(notes)[1]
    return None


def _is_own(note: Path) -> bool:
    """Return whether a run is of this user: another's could send a token to him."""
    try:
        every = [note.parent.stat(), note.lstat()]
        secrets = (note.parent / name for name in ("token", "operator-token"))
        every += [secret.lstat() for secret in secrets if secret.exists() or secret.is_symlink()]
    except OSError:
        return False
    mine = os.geteuid()
    return all(
        one.st_uid == mine and not stat.S_ISLNK(one.st_mode) and not one.st_mode & 0o022
        for one in every
    )


def is_running(directory: Path) -> bool:
    """Return whether a launcher holds the directory."""
    try:
        with (directory / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def of_run(directory: Path) -> Place:
    """Return the place of a run on this machine. Raises Failure."""
    note = read_note(directory)
    files = (directory / "token", directory / "operator-token")
    inside = note["ports"].get("control_internal")
    return Place(
        name=f"run {directory.name}",
        url=note["rest_url"],
        token=_secret(files[0]),
        operator=f"127.0.0.1:{inside}" if inside else "",
        operator_token=_secret(files[1]),
        state=directory,
        secrets=files,
        login=Logins.at(note["rest_url"]),
    )


def read_note(directory: Path) -> dict[str, Any]:
    """Return what a run says of itself. Raises Failure."""
    path = directory / "run.json"
    try:
        note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}", Status.NO_PLACE) from None
    return note


def of_profile(name: str, environ: Mapping[str, str] = os.environ) -> Place:
    """Return the place that a profile names. Raises Failure."""
    path = config_path(environ)
    profiles = _config(environ).get("profiles", {})
    found = profiles.get(name)
    if not isinstance(found, dict):
        known = ", ".join(sorted(profiles)) or "none"
        raise Failure(f"{path}: no profile {name!r}; there are: {known}", Status.NO_PLACE)
    if unknown := sorted(set(found) - _PROFILE):
        raise Failure(f"{path}: profile {name}: no such name: {unknown[0]}", Status.NO_PLACE)
    if not found.get("url"):
        raise Failure(f"{path}: profile {name}: url is missing", Status.NO_PLACE)
    files = [Path(found[key]).expanduser() for key in ("token_file", "operator_token_file")
             if key in found]  # fmt: skip
    inline = [path] if "token" in found or "operator_token" in found else []

    def token_of(key: str) -> str:
        in_file = found.get(f"{key}_file")
        return _secret(Path(in_file).expanduser()) if in_file else str(found.get(key, ""))

    return Place(
        name=f"profile {name}",
        url=str(found["url"]).rstrip("/"),
        token=token_of("token"),
        operator=str(found.get("operator", "")),
        operator_token=token_of("operator_token"),
        tls={key: str(Path(found[key]).expanduser()) for key in _TLS if key in found},
        secrets=(*files, *inline),
        login=Logins.at(str(found["url"]).rstrip("/"), environ),
    )


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where profiles are."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "tt" / "config.toml"


def _config(environ: Mapping[str, str]) -> dict[str, Any]:
    path = config_path(environ)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"{path}: {error}", Status.NO_PLACE) from None


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: {error}", Status.NO_ACCESS) from None
