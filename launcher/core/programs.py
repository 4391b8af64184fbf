"""The parts of a run: its programs, their order, and the settings that join them.

Pure. Before it: the launcher's settings and the chosen ports. After it: `core/supervisor_config`
writes the programs down, `supervision` runs them. The engine's processes get their settings the
way they would in production; nothing in them tells an embedded server from a real one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Group = Literal["stores", "world", "engine", "edge"]
GROUPS: tuple[Group, ...] = ("stores", "world", "engine", "edge")
"""Started in this order, stopped in the opposite one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of the engine: a folder of services."""

    name: str
    calls: str = ""
    """Processes whose ports it calls; where each is, its setting ``<name>_target`` says."""
    redis: bool = False
    """Give it Redis's address."""
    database: bool = True
    """Give it PostgreSQL's address."""
    analytics: bool = False
    """Give it the addresses of the analytical store."""
    inside: bool = False
    """It calls control's internal port, with a token of its own."""
    optional: bool = False
    """Start it only where a setting of the launcher asks for it."""


PROCESSES = (
    Process(name="ingest", redis=True),
    Process(name="bookfeed", redis=True),
    Process(name="router", calls="ingest bookfeed confirm", redis=True),
    Process(name="executor", calls="router guard bookfeed"),
    Process(name="confirm", calls="executor bookfeed"),
    Process(name="guard", calls="confirm bookfeed", redis=True),
    Process(name="control", calls="bookfeed", redis=True, analytics=True),
    Process(name="events"),
    Process(name="alerts", calls="events"),
    Process(name="webhooks", calls="events"),
    Process(name="console", database=False),
    Process(name="enrichment", calls="events", redis=True, analytics=True),
    Process(name="perfmon", calls="confirm bookfeed", redis=True, inside=True),
    Process(name="signer", optional=True),
    Process(name="bots", optional=True),
)
"""Started in this order. Only append: ports are dealt out in it."""

ENGINE = tuple(process.name for process in PROCESSES if not process.optional)
"""Processes that each run has."""
OPTIONAL = tuple(process.name for process in PROCESSES if process.optional)
ALL = tuple(process.name for process in PROCESSES)
INSIDE = tuple(process.name for process in PROCESSES if process.inside)
"""Processes that call control's internal port."""

CONTROL_PORTS = ("control_internal",)
"""What control listens on besides its own port."""

CONSOLE_PORT = "console_http"
"""Where the console's pages are."""

PORTS = (
    "postgres", "valkey", "insiders", "insiders_control", "venue", "venue_control",
    *ALL[:7], "control_internal", "rest", CONSOLE_PORT, *ENGINE[7:], "inside_rest", *OPTIONAL,
    "paper_okx", "paper_okx_control",
)  # fmt: skip
"""What needs a port, in the order in which a block is dealt out. Only append."""


_NAMED = (*ALL, "insiders", "venue", "paper_okx", "launcher", "edge", "test")
"""Programs whose settings begin with their own name."""
_PLAIN = frozenset({"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV"})
_PLAIN_PREFIXES = ("LC_", "PYTHON", "GRPC_", "SSL_CERT_", "MALLOC_", "COVERAGE_")
"""Settings of no secret that programs of others read."""


_SERVED = {
    "insiders": ("insiders", "insiders_control"),
    "venue": ("venue", "venue_control"),
    "paper_okx": ("paper_okx", "paper_okx_control"),
    "control": ("control", *CONTROL_PORTS),
    "console": ("console", CONSOLE_PORT),
    "envoy": ("rest", "inside_rest"),
}
"""The ports of a program, where it is not the one of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process that the supervisor keeps alive."""

    name: str
    group: Group
    command: tuple[str, ...]
    stop_signal: Literal["TERM", "INT"] = "TERM"
    stop_seconds: int = 10
    user: str | None = None
    """Whom it runs as, when not as the launcher's user."""
    nice: int = 0
    """How far it stands back for the others where they want the same core."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All that it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where things are in one run."""

    python: str
    directory: str
    ports: Mapping[str, int]
    embedded_postgres: bool
    embedded_redis: bool
    paper_insiders: bool
    paper_venue: bool
    history_file: str = ""
    """Recorded trades that the embedded analytical store begins with."""
    postgres_password: str = field(default="", repr=False)
    """Of the embedded PostgreSQL's superuser."""
    user: str | None = None
    """Whom our own code runs as; None: the launcher's user."""
    edge_user: str | None = None
    """The same of Envoy and Valkey."""
    redis_password: str = field(default="", repr=False)
    """Of the embedded Valkey."""
    login_secret: str = field(default="", repr=False)
    """Of which the keys of people's access tokens come."""
    optional: tuple[str, ...] = ()
    """Optional processes that the run has."""
    paper_okx: bool = False
    """Bots trade at a paper OKX of the run."""
    signer_socket: str = ""
    """Where the signer listens, if the run has one."""

    @property
    def engine(self) -> tuple[str, ...]:
        """Return the processes of the engine that the run has, in the order of their start."""
        return tuple(name for name in ALL if name in ENGINE or name in self.optional)


class AddressError(Exception):
    """An address in the environment is malformed; the message is one line that names it."""


def address(name: str, layout: Layout, environ: Mapping[str, str]) -> str:
    """Where an engine process listens: what the environment says, or its port of the block."""
    variable = listen_variable(name)
    given = environ.get(variable)
    if not given:
        return f"127.0.0.1:{layout.ports[name]}"
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise AddressError(f"{variable}: {given!r} is not host:port with a port from 1 to 65535")
    return given


def listen_variable(name: str) -> str:
    """Return which setting says where an engine process listens."""
    return f"TT_{name.upper()}_LISTEN"


def environment(
    layout: Layout,
    environ: Mapping[str, str],
    *,
    token_digest: str,
    operator_digest: str,
    inside: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The settings of all processes: what the caller's environment says, the rest filled in.

    Args:
        layout: of the run.
        environ: the launcher's own environment; what it sets is kept.
        token_digest: SHA-256, hex, of the token with which the launcher calls REST.
        operator_digest: the same of the operators' token of the run.
        inside: tokens of processes that call control's internal port, by name.

    Raises:
        AddressError: a listening address in the environment is malformed.
    """
    at = {name: address(name, layout, environ) for name in (*layout.engine, *CONTROL_PORTS)}
    filled = {listen_variable(name): where for name, where in at.items()}
    filled |= {
        f"TT_{process.name.upper()}_{called.upper()}_TARGET": at[called]
        for process in PROCESSES
        for called in process.calls.split()
    }
    filled |= {
        "TT_BOOKFEED_CATALOGUE_FILE": f"{layout.directory}/markets.json",
        "TT_ALERTS_PROCESSES": _watched_processes(layout, at),
        "TT_CONTROL_ENGINE_TARGETS": _watched_processes(layout, at),
        "TT_ALERTS_DISKS": layout.directory,
        "TT_CONTROL_LOGIN_SECRET": layout.login_secret,
        "TT_CONSOLE_HTTP_LISTEN": f"127.0.0.1:{layout.ports[CONSOLE_PORT]}",
        "TT_CONSOLE_REST_URL": f"http://127.0.0.1:{layout.ports['rest']}",
        "TT_CONSOLE_OPERATOR_TARGET": at["control_internal"],
        "TT_ANALYTICS_DIR": f"{layout.directory}/analytics",
        "TT_RECORDING_DIR": f"{layout.directory}/recording",
    }
    if "signer" in layout.optional:
        filled |= _signer(layout)
    if "bots" in layout.optional:
        filled["TT_BOTS_SIGNER_SOCKET"] = layout.signer_socket
    if layout.embedded_postgres:
        filled["TT_DATABASE_URL"] = database_url(layout)
    if layout.embedded_redis:
        filled["TT_REDIS_URL"] = redis_url(layout)
    if layout.paper_insiders:
        filled |= _paper_insiders(layout, at["bookfeed"], environ)
    if layout.paper_venue:
        filled |= _paper_venue(layout)
    if layout.paper_okx:
        filled |= _paper_okx(layout)
    tokens = f"launcher:manage:{token_digest},operator:operate:{operator_digest}"
    for name, token in (inside or {}).items():
        filled[f"TT_{name.upper()}_CONTROL_TARGET"] = at["control_internal"]
        variable = f"TT_{name.upper()}_CONTROL_TOKEN"
        if not environ.get(variable):
            filled[variable] = token
            tokens += f",{name}:internal:{hashlib.sha256(token.encode()).hexdigest()}"
    given = environ.get("TT_CONTROL_TOKENS")
    kept = {name: value for name, value in environ.items() if value != ""}
    return {**filled, **kept, "TT_CONTROL_TOKENS": f"{given},{tokens}" if given else tokens}


def _signer(layout: Layout) -> dict[str, str]:
    return {
        "TT_SIGNER_SOCKET": layout.signer_socket,
        "TT_SIGNER_MASTER_KEY_FILE": f"{layout.directory}/signer/master-keys",
        # What an unprivileged user may lock is less than a process has.
        "TT_SIGNER_UNLOCKED_MEMORY": "true",
        "TT_CONTROL_SIGNER_SOCKET": layout.signer_socket,
    }


def _watched_processes(layout: Layout, at: Mapping[str, str]) -> str:
    """Return the address whose health the alerts ask; control's is that of its internal port."""
    inside = {"control": "control_internal"}
    names = (name for name in layout.engine if name != "alerts")
    return ",".join(f"{name}={at[inside.get(name, name)]}" for name in names)


_ANALYTICS = tuple(process.name for process in PROCESSES if process.analytics)
_STAND_BACK = ("control", "enrichment")
"""Nobody's order waits for them."""
_STORES = {
    "TT_DATABASE_URL": tuple(process.name for process in PROCESSES if process.database),
    "TT_REDIS_URL": tuple(process.name for process in PROCESSES if process.redis),
    "TT_CLICKHOUSE_URL": _ANALYTICS,
    "TT_CLICKHOUSE_OWN_URL": _ANALYTICS,
    "TT_ANALYTICS_DIR": _ANALYTICS,
}


def own_environment(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Select the settings that one program needs: its own, and those that all share.

    Args:
        name: of a process of ours; empty: another program, which has no settings of ours.
        environ: of all.
    """
    own = f"TT_{name.upper()}_"
    others = tuple(f"TT_{other.upper()}_" for other in _NAMED)
    found = {k: v for k, v in environ.items() if k in _PLAIN or k.startswith(_PLAIN_PREFIXES)}
    if not name:
        return found
    for key, value in environ.items():
        shared = key.startswith("TT_") and not key.startswith(others)
        if key in _STORES and (name not in _STORES[key] or own + key[3:] in environ):
            continue
        if shared or key.startswith(own):
            found[key] = value
    return found


def process_ports(
    layout: Layout, programs: Iterable[Program], environ: Mapping[str, str]
) -> dict[str, int]:
    """Where a person finds the programs of a run: a port by name, `<name>_metrics` of its metrics.

    Args:
        layout: of the run.
        programs: of the run.
        environ: the settings of all processes.
    """
    found: dict[str, int] = {}
    for program in programs:
        for name in _SERVED.get(program.name, (program.name,)):
            served = name in ALL or name in CONTROL_PORTS
            at = address(name, layout, environ) if served else f":{layout.ports[name]}"
            found[name] = int(at.rpartition(":")[2])
        metrics = (
            environ.get(f"TT_{program.name.upper()}_METRICS_PORT")
            or program.environment.get("TT_METRICS_PORT")
            or "0"
        )
        if int(metrics):
            found[f"{program.name}_metrics"] = int(metrics)
    return found


def database_url(layout: Layout) -> str:
    """The embedded PostgreSQL's URL, as its superuser."""
    password, port = layout.postgres_password, layout.ports["postgres"]
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"


def redis_url(layout: Layout) -> str:
    """The embedded Valkey's URL."""
    return f"redis://:{layout.redis_password}@127.0.0.1:{layout.ports['valkey']}/0"


def _paper_insiders(layout: Layout, bookfeed: str, environ: Mapping[str, str]) -> dict[str, str]:
    url = f"http://127.0.0.1:{layout.ports['insiders']}"
    probed = environ.get("TT_DATABASE_URL") or database_url(layout)
    return {
        "TT_EXECUTOR_INSIDERS_URL": url,
        "TT_CONFIRM_INSIDERS_URL": url,
        "TT_INSIDERS_PORT": str(layout.ports["insiders"]),
        "TT_INSIDERS_CONTROL_PORT": str(layout.ports["insiders_control"]),
        "TT_INSIDERS_STATE_DIR": f"{layout.directory}/insiders",
        "TT_INSIDERS_BOOKFEED_TARGET": bookfeed,
        "TT_INSIDERS_PROBE_DATABASE_URL": probed,
    }


def _paper_venue(layout: Layout) -> dict[str, str]:
    http = f"http://127.0.0.1:{layout.ports['venue']}"
    socket = f"ws://127.0.0.1:{layout.ports['venue']}"
    return {
        "TT_VENUE_PORT": str(layout.ports["venue"]),
        "TT_VENUE_CONTROL_PORT": str(layout.ports["venue_control"]),
        "TT_VENUE_STATE_DIR": f"{layout.directory}/venue",
        "TT_VENUE_START_WHEN_TOLD": "true",
        "TT_INGEST_RTDS_URL": f"{socket}/rtds",
        "TT_INGEST_DATA_API_URL": f"{http}/data",
        "TT_INGEST_RPC_URL": f"{http}/rpc",
        "TT_BOOKFEED_CLOB_WS_URL": f"{socket}/clob/ws/market",
        "TT_BOOKFEED_CLOB_URL": f"{http}/clob",
        "TT_BOOKFEED_GAMMA_URL": f"{http}/gamma",
        "TT_ENRICHMENT_DATA_API_URL": f"{http}/data",
        "TT_ENRICHMENT_CLOB_URL": f"{http}/clob",
        "TT_ENRICHMENT_GAMMA_URL": f"{http}/gamma",
        "TT_ENRICHMENT_HISTORY_FILE": layout.history_file,
    }


def _paper_okx(layout: Layout) -> dict[str, str]:
    http = f"http://127.0.0.1:{layout.ports['paper_okx']}"
    return {
        "TT_PAPER_OKX_PORT": str(layout.ports["paper_okx"]),
        "TT_PAPER_OKX_CONTROL_PORT": str(layout.ports["paper_okx_control"]),
        "TT_PAPER_OKX_STATE_DIR": f"{layout.directory}/paper_okx",
        "TT_PAPER_OKX_ACCOUNTS": f"{layout.directory}/paper_okx/accounts",
        # Live, it is OKX's own market; orders and money stay on paper.
        "TT_PAPER_OKX_FEED": "seeded" if layout.paper_venue else "live",
        # A few books a second are enough to look at, and leave the cores to the copies.
        "TT_PAPER_OKX_STEP_MS": "250",
        "TT_SIGNER_OKX_URL": http,
        "TT_BOTS_VENUES": "okx",
        "TT_BOTS_OKX_URL": http,
        "TT_BOTS_OKX_SOCKET_URL": http.replace("http:", "ws:"),
    }


def programs(
    layout: Layout,
    *,
    postgres: tuple[tuple[str, ...], str | None],
    valkey: tuple[str, ...],
    envoy: tuple[str, ...],
    metrics_port: int = 0,
    edge_nice: int = 0,
    environ: Mapping[str, str] | None = None,
) -> list[Program]:
    """Return what the supervisor has to keep alive.

    Args:
        layout: of the run.
        postgres: command of the embedded PostgreSQL and the user it needs.
        valkey: command of the embedded Valkey.
        envoy: command of Envoy.
        metrics_port: of the first process's metrics, the next ones count up; 0: off.
        edge_nice: how far Envoy and control stand back for the money path.
        environ: the settings of all processes, of which each gets its own.
    """
    environ = environ or {}
    bare = own_environment("", environ)
    found: list[Program] = []
    if layout.embedded_postgres:
        command, whom = postgres
        found.append(
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for connections.
            Program(
                name="postgres",
                group="stores",
                command=command,
                stop_signal="INT",
                user=whom,
                environment=bare,
            )
        )
    if layout.embedded_redis:
        found.append(
            Program(
                name="valkey",
                group="stores",
                command=valkey,
                user=layout.edge_user,
                environment=bare,
            )
        )
    modules = [("insiders", "paper.insiders")] if layout.paper_insiders else []
    modules += [("venue", "paper.venue")] if layout.paper_venue else []
    modules += [(name, f"services.{name}") for name in layout.engine]
    modules += [("paper_okx", "paper.okx")] if layout.paper_okx else []
    for offset, (name, module) in enumerate(modules):
        own = {"TT_METRICS_PORT": str(metrics_port + offset)} if metrics_port else {}
        found.append(
            Program(
                name=name,
                group="world" if module.startswith("paper.") else "engine",
                command=(layout.python, "-m", module),
                nice=edge_nice if name in _STAND_BACK else 0,
                user=layout.user,
                environment={**own_environment(name, environ), **own},
            )
        )
    found.append(
        Program(
            name="envoy",
            group="edge",
            command=envoy,
            nice=edge_nice,
            user=layout.edge_user,
            environment=_of_envoy(bare, environ),
        )
    )
    return found


def _of_envoy(bare: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Its environment: nothing of ours but the token by which the processes behind it know it."""
    token = environ.get("TT_EDGE_ENGINE_TOKEN")
    return {**bare, "ENGINE_TOKEN": token} if token else dict(bare)
