"""Everything about a run that is decided before anything starts: where, on which ports, what.

What is wrong with the settings is found here, as far as it can be: nothing has been started yet.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from launcher import embedded, envoy_config, envoy_tls, paper_bot, ports, users
from launcher.core import programs as core
from launcher.core.followers import subscriptions
from launcher.engine_tokens import engine_tokens
from launcher.secret_files import keep, kept
from launcher.settings import Settings
from launcher.state import ROOT, RunDescription, State, read_note
from tradingtools.domain.money import MICROS
from tradingtools.rpc.public_services import BEHIND
from tradingtools.storage.postgres.rights import READER

CONSOLE = "console"
"""The console's directory, below that of the state."""
_CASH = "TT_INSIDERS_DEFAULT_CASH_USDC"
_CASH_USDC = "10000"
_TAPE = ROOT / "paper" / "venue" / "sample" / "leader_trades_2026-07.jsonl"
"""The tape that the paper venue plays, unless a setting names another one."""


class PrepareError(Exception):
    """The run cannot be; the message is one line that names the setting or the port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that may start."""

    note: RunDescription
    token: str
    engine_token: str
    """By which an operator reads the engine's streams; empty: the caller's settings have others."""
    environ: Mapping[str, str]
    programs: list[core.Program]
    addresses: Mapping[str, str]
    """Where each engine process answers health checks."""
    health_urls: Mapping[str, str]
    """Of the paper parts."""
    venue_control_url: str
    """Empty: live feeds."""
    operator_token: str = field(repr=False)
    """Opens the operators' port."""
    block: ports.Block
    directory: Path
    """Of the state."""
    paper_bot: bool = False
    """The run shows a bot at a paper OKX of its own."""
    as_root: str = ""
    """Why our own processes run as root, which was asked to start them; empty: they do not."""

    def program(self, name: str) -> core.Program:
        """A program by its name."""
        return next(program for program in self.programs if program.name == name)


def prepare(settings: Settings, state: State, environ: Mapping[str, str]) -> Prepared:
    """Decide everything. Raises PrepareError."""
    earlier = read_note(state.directory)
    try:
        block = ports.claim(core.PORTS, base=earlier.port_base if earlier else None)
        if settings.rest_port:
            block.ports["rest"] = settings.rest_port
        user = users.unprivileged()
        as_root = users.closed(user, ROOT, _files(environ)) if user else ""
        if user and not as_root:
            users.compile_for(ROOT)
        layout = core.Layout(
            python=sys.executable,
            directory=str(state.directory),
            ports=block.ports,
            embedded_postgres=not settings.shared.database_url,
            embedded_redis=not settings.shared.redis_url,
            paper_insiders=not settings.insiders_url,
            paper_venue=not settings.live,
            history_file=environ.get("TT_VENUE_TAPE") or str(_TAPE),
            postgres_password=kept(state.directory / "postgres-password"),
            user=None if as_root else user,
            # Envoy and Valkey need nothing that may be closed in the checkout.
            edge_user=user,
            redis_password=kept(state.directory / "valkey-password"),
            login_secret=kept(state.directory / "login-secret"),
            optional=_optional(settings),
            paper_okx=settings.bots and not _trades_elsewhere(environ),
            signer_socket=str(state.sockets / "signer" / "socket"),
        )
        token = kept(state.directory / "token")
        own = {_CASH: _CASH_USDC, "TT_CONSOLE_STATE_DIR": str(state.directory / CONSOLE)}
        given = {**own, **environ, **_real_insiders(settings, environ)}
        operator = ""
        if not environ.get("TT_ENGINE_CALLERS"):
            tokens, operator = engine_tokens()
            keep(state.directory / "engine-token", operator)
            given = {**tokens, **given}
        digest = hashlib.sha256(token.encode()).hexdigest()
        operators = kept(state.directory / "operator-token")
        operating = hashlib.sha256(operators.encode()).hexdigest()
        if layout.embedded_postgres:
            owner = core.database_url(layout)
            probe = {"TT_INSIDERS_PROBE_DATABASE_URL": embedded.role_url(owner, READER)}
            given = {**embedded.role_urls(owner), **probe, **given}
        full = core.environment(
            layout,
            given,
            token_digest=digest,
            operator_digest=operating,
            inside={name: kept(state.directory / f"{name}-token") for name in core.INSIDE},
        )
        _refuse_taken(layout, settings, full)
        programs = _programs(layout, settings, state, full)
    except (
        core.AddressError,
        ports.PortError,
        embedded.EmbeddedServerError,
        envoy_config.EdgeConfigError,
    ) as error:
        raise PrepareError(str(error)) from None
    at = {name: f"http://127.0.0.1:{port}" for name, port in block.ports.items()}
    health: dict[str, str] = {}
    if layout.paper_insiders:
        health["insiders"] = f"{at['insiders']}/health"
    if layout.paper_venue:
        health["venue"] = f"{at['venue_control']}/state"
    if layout.paper_okx:
        health["paper_okx"] = f"{at['paper_okx_control']}/health"
    note = RunDescription(
        run_id=state.run_id,
        started_ms=earlier.started_ms if earlier else time.time_ns() // 1_000_000,
        port_base=block.base,
        pid=os.getpid(),
        database_url=full["TT_DATABASE_URL"] if layout.embedded_postgres else "",
        insiders_control_url=at["insiders_control"] if layout.paper_insiders else "",
        venue_url=at["venue"] if layout.paper_venue else "",
        rest_url=at["rest"],
        default_cash_micros=_cash_micros(full[_CASH]),
        ports=core.process_ports(layout, programs, full),
        console_url=f"http://{full['TT_CONSOLE_HTTP_LISTEN']}/console/",
        follower_wallet=_follower_wallet(settings, state.run_id),
    )
    addresses = {name: core.address(name, layout, full) for name in layout.engine}
    addresses["control"] = core.address("control_internal", layout, full)
    return Prepared(
        note=note,
        token=token,
        engine_token=operator,
        environ=full,
        programs=programs,
        addresses=addresses,
        health_urls=health,
        venue_control_url=at["venue_control"] if layout.paper_venue else "",
        operator_token=operators,
        block=block,
        directory=state.directory,
        paper_bot=layout.paper_okx,
        as_root=as_root,
    )


def _files(environ: Mapping[str, str]) -> list[str]:
    """Return what the settings name and processes read."""
    ends = ("_TLS_CERT", "_TLS_KEY", "_TLS_CA", "_TOKENS_FILE")
    return sorted({value for name, value in environ.items() if name.endswith(ends) and value})


def _programs(
    layout: core.Layout, settings: Settings, state: State, environ: Mapping[str, str]
) -> list[core.Program]:
    postgres: tuple[tuple[str, ...], str | None] = ((), None)
    valkey: tuple[str, ...] = ()
    if layout.embedded_postgres:
        data = embedded.postgres_data(state.directory)
        embedded.init_postgres(data, layout.postgres_password)
        command = embedded.postgres_command(data, layout.ports["postgres"])
        postgres = (tuple(command), embedded.postgres_user())
    if layout.embedded_redis:
        directory = state.directory / "valkey"
        directory.mkdir(exist_ok=True)
        port, password = layout.ports["valkey"], layout.redis_password
        valkey = tuple(embedded.valkey_command(directory, port, password, layout.edge_user))
        users.hand_over(directory, layout.edge_user)
    if settings.signer or settings.bots:
        _make_signer(layout, state)
    if layout.paper_okx:
        paper_bot.make_account(state.directory)
        users.hand_over(state.directory / "paper_okx", layout.user)
    for name in ("insiders", "venue", "analytics", "recording", CONSOLE):
        users.hand_over(state.directory / name, layout.user)
    return core.programs(
        layout,
        postgres=postgres,
        valkey=valkey,
        envoy=_envoy(layout, settings, state, environ),
        metrics_port=settings.shared.metrics_port,
        edge_nice=settings.edge_nice,
        environ=environ,
    )


def _optional(settings: Settings) -> tuple[str, ...]:
    """Return the processes that a setting asks for; bots need the signer."""
    if settings.bots:
        return "signer", "bots"
    return ("signer",) if settings.signer else ()


def _trades_elsewhere(environ: Mapping[str, str]) -> bool:
    """Return whether the environment says where bots trade."""
    names = ("TT_BOTS_VENUES", "TT_BOTS_OKX_URL", "TT_BOTS_OKX_SOCKET_URL", "TT_SIGNER_OKX_URL")
    return any(environ.get(name) for name in names)


def _make_signer(layout: core.Layout, state: State) -> None:
    """Make the directories of the signer, and its first master key."""
    for directory in (state.directory / "signer", state.sockets / "signer"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = state.directory / "signer" / "master-keys"
    if not keys.exists():
        keep(keys, f"first {secrets.token_hex(32)}\n")
    for directory in (state.directory / "signer", state.sockets / "signer"):
        users.hand_over(directory, layout.user)


def _real_insiders(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    if not settings.insiders_url:
        return {}
    names = ("TT_EXECUTOR_INSIDERS_URL", "TT_CONFIRM_INSIDERS_URL")
    return {name: environ.get(name) or settings.insiders_url for name in names}


def _refuse_taken(layout: core.Layout, settings: Settings, environ: Mapping[str, str]) -> None:
    """A port that somebody asked for by name, or that an earlier run had, must be free."""
    for name, port in layout.ports.items():
        if name == "rest" and settings.rest_port:
            variable, where = "TT_LAUNCHER_REST_PORT", f"127.0.0.1:{port}"
        elif name in core.ALL or name in core.CONTROL_PORTS:
            variable = core.listen_variable(name)
            where = core.address(name, layout, environ)
        else:
            variable, where = name, f"127.0.0.1:{port}"
        host, _, number = where.rpartition(":")
        if not ports.is_free(int(number), host):
            raise PrepareError(f"{variable}: port {number} on {host} is taken")


def _follower_wallet(settings: Settings, run_id: str) -> str:
    """The first wallet that the run will subscribe, for whoever wants to try a call."""
    bodies = subscriptions(settings.leaders, settings.followers, run_id)
    return next((body["follower"]["followerProxy"] for body in bodies), "")


def _cash_micros(text: str) -> int:
    try:
        return int(text) * MICROS
    except ValueError:
        raise PrepareError(f"{_CASH}: {text!r} is not a whole number") from None


def _envoy(
    layout: core.Layout, settings: Settings, state: State, environ: Mapping[str, str]
) -> tuple[str, ...]:
    host, _, port = core.address("control", layout, environ).rpartition(":")
    inside_host, _, inside_port = core.address("control_internal", layout, environ).rpartition(":")
    edge = envoy_config.Edge(
        port=layout.ports["rest"],
        health_port=int(inside_port) if inside_host == host else 0,
        inside_port=layout.ports["inside_rest"] if inside_host == host else 0,
        control_host=host,
        control_port=int(port),
        behind={name: _host_and_port(layout, name, environ) for name in BEHIND},
        control_certificate=envoy_tls.of_process(settings.shared),
        login_audience=environ.get("TT_CONTROL_LOGIN_AUDIENCE") or "tradingtools",
        directory=state.sockets / "envoy",
    )
    config = envoy_config.prepare(edge)
    users.hand_over(edge.directory, layout.edge_user)
    return tuple(envoy_config.command(config, layout.edge_user))


def _host_and_port(layout: core.Layout, name: str, environ: Mapping[str, str]) -> tuple[str, int]:
    host, _, port = core.address(name, layout, environ).rpartition(":")
    return host, int(port)
