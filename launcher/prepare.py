"""Everything about a run that is decided before anything starts: where, on which ports, what.

What is wrong with the settings is found here, as far as it can be: nothing has been started yet.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from launcher import embedded, envoy_config, envoy_tls, ports
from launcher.core import programs as core
from launcher.core.followers import subscriptions
from launcher.engine_tokens import engine_tokens
from launcher.secret_files import keep, kept
from launcher.settings import Settings
from launcher.state import Note, State, read_note
from tradingtools.domain.money import MICROS

_CASH = "TT_INSIDERS_DEFAULT_CASH_USDC"
_CASH_USDC = "10000"


class PrepareError(Exception):
    """The run cannot be; the message is one line that names the setting or the port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that may start."""

    note: Note
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
    block: ports.Block

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
        layout = core.Layout(
            python=sys.executable,
            directory=str(state.directory),
            ports=block.ports,
            embedded_postgres=not settings.shared.database_url,
            embedded_redis=not settings.shared.redis_url,
            paper_insiders=not settings.insiders_url,
            paper_venue=not settings.live,
            postgres_password=kept(state.directory / "postgres-password"),
            redis_password=kept(state.directory / "valkey-password"),
        )
        token = kept(state.directory / "token")
        given = {_CASH: _CASH_USDC, **environ, **_real_insiders(settings, environ)}
        operator = ""
        if not environ.get("TT_ENGINE_CALLERS"):
            tokens, operator = engine_tokens()
            keep(state.directory / "engine-token", operator)
            given = {**tokens, **given}
        digest = hashlib.sha256(token.encode()).hexdigest()
        if layout.embedded_postgres:
            given = {**embedded.role_urls(core.database_url(layout)), **given}
        full = core.environment(layout, given, token_digest=digest)
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
    note = Note(
        run_id=state.run_id,
        begun_ms=earlier.begun_ms if earlier else time.time_ns() // 1_000_000,
        port_base=block.base,
        pid=os.getpid(),
        database_url=full["TT_DATABASE_URL"] if layout.embedded_postgres else "",
        insiders_control_url=at["insiders_control"] if layout.paper_insiders else "",
        venue_url=at["venue"] if layout.paper_venue else "",
        rest_url=at["rest"],
        default_cash_micros=_cash_micros(full[_CASH]),
        ports=core.told_ports(layout, programs, full),
        follower_wallet=_follower_wallet(settings, state.run_id),
    )
    addresses = {name: core.address(name, layout, full) for name in core.ENGINE}
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
        block=block,
    )


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
        valkey = tuple(
            embedded.valkey_command(directory, layout.ports["valkey"], layout.redis_password)
        )
    for name in ("insiders", "venue"):
        (state.directory / name).mkdir(exist_ok=True)
    return core.programs(
        layout,
        postgres=postgres,
        valkey=valkey,
        envoy=_envoy(layout, settings, state, environ),
        metrics_port=settings.shared.metrics_port,
        edge_nice=settings.edge_nice,
    )


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
        elif name in core.ENGINE or name in core.CONTROL_PORTS:
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
    reads_host, _, reads_port = core.address("control_reads", layout, environ).rpartition(":")
    edge = envoy_config.Edge(
        port=layout.ports["rest"],
        control_host=host,
        control_port=int(port),
        # Control may be told to listen elsewhere for reads; the edge knows one host of it.
        reads_port=int(reads_port) if reads_host == host else 0,
        control_certificate=envoy_tls.of_process(settings.shared),
        directory=state.sockets / "envoy",
    )
    return tuple(envoy_config.command(envoy_config.prepare(edge)))
