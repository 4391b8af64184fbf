"""Settings come from the environment, once, at start, and a wrong one stops the process.

Every name begins with ``TT_``. A process reads its own names ``TT_<PROCESS>_<FIELD>`` into one
frozen dataclass, and the shared ones ``TT_<FIELD>`` into :class:`SharedSettings`; where only one
process is meant, ``TT_<PROCESS>_<FIELD>`` goes before the shared name. A name under the prefix that
nobody knows is refused: a misspelt limit must not be a missing limit.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

PREFIX = "TT_"

_SERVICES = Path(__file__).resolve().parent.parent / "services"
PROCESSES = (
    *sorted(found.parent.name.upper() for found in _SERVICES.glob("*/__main__.py")),
    "INSIDERS",
    "VENUE",
    "PAPER_CLOB",
    "PAPER_OKX",
    "LAUNCHER",
    "EDGE",
    "TEST",
)
"""Names that may follow the prefix; a process ignores the settings of the others."""

OF_TT = frozenset(
    {"TT_URL", "TT_TOKEN", "TT_OPERATOR", "TT_OPERATOR_TOKEN", "TT_PROFILE", "TT_TRACEBACK"}
)
"""What `tt`, the command line, reads: a shell that has them may start processes, too."""

NO_LIMIT = "none"
"""The value of a number that may be absent when it is to be absent whatever its default is."""

T = TypeVar("T")

_WHOLE = re.compile(r"-?[0-9]{1,18}")


class SettingError(Exception):
    """A setting is missing, misspelt or out of range. The message names it and fits one line."""


def setting(
    default: Any = MISSING,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    choices: tuple[str, ...] | None = None,
    schemes: tuple[str, ...] | None = None,
    secret: bool = False,
) -> Any:
    """Declare a setting with its bounds.

    Args:
        default: the value when the environment has none; without it the setting is required.
        minimum: smallest allowed integer.
        maximum: largest allowed integer.
        choices: allowed texts.
        schemes: the text is a URL with a host and one of these schemes, and nothing after its path.
        secret: never shown in errors or logs.
    """
    metadata = {
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "schemes": schemes,
        "secret": secret,
    }
    if default is MISSING:
        return field(metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """Settings that several processes share; ``TT_<FIELD>``, for one alone
    ``TT_<PROCESS>_<FIELD>``."""

    database_url: str = setting("", secret=True)
    """PostgreSQL, e.g. ``postgresql://user@host:5432/tradingtools``; every process of the engine
    needs it."""
    database_silence_seconds: int = setting(10, minimum=2, maximum=600)
    """A connection to PostgreSQL whose other end is silently gone is given up after so long."""
    redis_url: str = setting("", secret=True)
    """A server that speaks the Redis protocol, e.g. ``redis://host:6379/0``; ingest, bookfeed,
    router, guard and control need it."""
    clickhouse_url: str = setting("", secret=True)
    """ClickHouse with the product's tables, ``http://user:password@host:8123``, as a role that may
    only read; enrichment asks it. Empty: the embedded analytical store."""
    clickhouse_own_url: str = setting("", secret=True)
    """The same or another ClickHouse, as a role that may write our own database, ``tradingtools``.
    Empty: the embedded analytical store has what is ours."""
    analytics_dir: str = setting("")
    """Directory of the embedded analytical store; enrichment needs it unless both servers are
    named."""
    recording_dir: str = setting("")
    """Directory in which the router records what it judges, a folder a day (``tt replay``), and in
    which control looks for past trades and books. Empty: nothing is recorded, and nobody looks."""
    exit_floor_ppm: int = setting(50_000, minimum=1_000, maximum=1_000_000)
    """How far below the price that it goes by the first slice of an exit may sell, millionths; each
    slice that the venue has tried and that left something doubles it, down to any price. Router and
    guard need it."""
    tls_cert: str = setting("")
    """File with the certificate (PEM, with its chain) that a process shows to the others; with one,
    gRPC between processes is TLS only."""
    tls_key: str = setting("")
    """File with the certificate's private key (PEM)."""
    tls_ca: str = setting("")
    """File with who signs the processes' certificates (PEM): callers then have to show one, too.
    Empty: the system's authorities, and any caller."""
    engine_token: str = setting("", secret=True)
    """What this process shows to the other processes' ports: 64 hex digits of its own."""
    engine_callers: tuple[str, ...] = setting(())
    """Who may call the ports of the engine, ``process:digest`` parted by commas; digest is the
    SHA-256 (hex) of the process's engine token. ``operator`` is a person. Empty: the names in the
    callers' certificates decide, which takes ``TT_TLS_CA``."""
    engine_open: bool = setting(False)
    """Believe whoever reaches a port of the engine on loopback; for tests of one process."""
    plaintext: bool = setting(False)
    """Listen without TLS where other machines reach it, too: something in between encrypts."""
    otlp_endpoint: str = setting("")
    """Where traces and metrics go (OTLP over gRPC, ``http://host:4317``); empty: nowhere."""
    metrics_port: int = setting(0, minimum=0, maximum=65535)
    """Prometheus exposition on loopback; 0: off."""
    log_level: str = setting("info", choices=("debug", "info", "warning", "error"))
    """Least severity that is written."""
    log_format: str = setting("text", choices=("text", "json"))
    """How log lines look: for people or for machines."""


def load(kind: type[T], process: str, environ: Mapping[str, str] | None = None) -> T:
    """Read a process's settings.

    Args:
        kind: a frozen dataclass; a field of another dataclass type is read with the shared names.
        process: the process's name in lower case, e.g. ``"router"``.
        environ: instead of the real environment.

    Raises:
        SettingError: a name is unknown, missing, or its value is malformed or out of range.
    """
    source = os.environ if environ is None else environ
    own = f"{PREFIX}{process.upper()}_"
    _refuse_unknown(source, own, kind)
    return _read(kind, source, (own,))


def _refuse_unknown(source: Mapping[str, str], own: str, kind: type[Any]) -> None:
    # A nested dataclass is no setting itself: its fields have the shared names, or the process's.
    hints = typing.get_type_hints(kind)
    fields = [
        f for f in dataclasses.fields(kind) if not dataclasses.is_dataclass(hints[f.name])
    ] + list(dataclasses.fields(SharedSettings))
    known_own = {own + f.name.upper() for f in fields}
    shared = {PREFIX + f.name.upper() for f in dataclasses.fields(SharedSettings)}
    others = tuple(f"{PREFIX}{name}_" for name in PROCESSES)
    for name in sorted(source):
        if not name.startswith(PREFIX) or name in shared | known_own | OF_TT:
            continue
        if name.startswith(own) or not name.startswith(others):
            raise SettingError(f"{name}: no such setting")


def _read(kind: type[T], source: Mapping[str, str], prefixes: tuple[str, ...]) -> T:
    """The fields of a dataclass, each by the first of the prefixes under which it is set."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        expected = hints[item.name]
        if dataclasses.is_dataclass(expected):
            values[item.name] = _read(
                typing.cast("type[Any]", expected), source, (*prefixes, PREFIX)
            )
            continue
        names = [prefix + item.name.upper() for prefix in prefixes]
        name = next((name for name in names if source.get(name)), None)
        if name is not None:
            values[item.name] = _parse(name, source[name], expected, item.metadata)
        elif item.default is MISSING:
            raise SettingError(f"{names[-1]}: required and not set")
    return kind(**values)


def _parse(name: str, text: str, expected: Any, metadata: Mapping[str, Any]) -> Any:
    shown = "(hidden)" if metadata.get("secret") else repr(text)
    if isinstance(expected, types.UnionType):
        expected = next(a for a in typing.get_args(expected) if a is not type(None))
        if expected is int and text == NO_LIMIT:
            return None
    if expected is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise SettingError(f"{name}: {shown} is not true or false")
        return text.lower() in ("true", "1")
    if expected is int:
        return _parse_int(name, text, shown, metadata)
    if typing.get_origin(expected) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if expected is Path:
        return Path(text)
    choices = metadata.get("choices")
    if choices is not None and text not in choices:
        raise SettingError(f"{name}: {shown} is not one of {', '.join(choices)}")
    schemes = metadata.get("schemes")
    if schemes is not None and not _is_url(text, schemes):
        shown = "(hidden)" if "@" in text else shown
        raise SettingError(
            f"{name}: {shown} is not a URL ({' or '.join(schemes)}://host[:port][/path])"
        )
    return text


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        url = urlsplit(text)
        whole = url.port is None or url.port > 0
    except ValueError:
        return False
    bare = text.isascii() and text.isprintable() and " " not in text
    rest = url.query + url.fragment + (url.username or "") + (url.password or "")
    return bool(bare and whole and url.scheme in schemes and url.hostname and not rest)


def _parse_int(name: str, text: str, shown: str, metadata: Mapping[str, Any]) -> int:
    # Python's int would also read "1_0", " 5" and digits of other scripts.
    if not _WHOLE.fullmatch(text):
        raise SettingError(f"{name}: {shown} is not a whole number")
    value, low, high = int(text), metadata.get("minimum"), metadata.get("maximum")
    below, above = low is not None and value < low, high is not None and value > high
    if (below or above) and None not in (low, high):
        raise SettingError(f"{name}: {shown} is outside {low} to {high}")
    if below:
        raise SettingError(f"{name}: {shown} is less than {low}")
    if above:
        raise SettingError(f"{name}: {shown} is more than {high}")
    return value
