"""Command line: ``python -m launcher.edge`` is Envoy as the edge, where there is no `make run`.

It writes the configuration from its settings and becomes Envoy: the same configuration as in a run
and in the tests, so that nobody keeps a second one by hand.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from launcher import envoy_config, envoy_tls
from tradingtools.rpc import tls
from tradingtools.settings import SettingError, SharedSettings, load, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``TT_EDGE_<FIELD>``; the shared TLS settings say what the edge shows to control."""

    listen: str = setting()
    """Where clients reach REST, ``address:port``."""
    control_target: str = setting()
    """Control's TT_CONTROL_LISTEN, ``host:port``."""
    health_port: int = setting(0, minimum=0, maximum=65_535)
    """The port of control's TT_CONTROL_INTERNAL_LISTEN, on the same host, for checks of its health:
    the edge answers /health by what they find. 0: control's process for clients answers it, with
    all else that it has to do."""
    inside_port: int = setting(0, minimum=0, maximum=65_535)
    """The port on 127.0.0.1 where processes of the product on this machine reach REST of the
    internal port (``/subscriptions/funding``, ``/subscriptions/{id}/perf-action``) with a token of
    the scope ``internal``; it needs TT_EDGE_HEALTH_PORT. 0: nowhere."""
    events_target: str = setting("")
    """TT_EVENTS_LISTEN of the process events, ``host:port``; empty: no REST route to events. With
    TT_ENGINE_CALLERS there, the edge needs TT_EDGE_ENGINE_TOKEN."""
    webhooks_target: str = setting("")
    """The same of TT_WEBHOOKS_LISTEN; empty: no REST route to webhooks."""
    console: str = setting("")
    """TT_CONSOLE_HTTP_LISTEN of the console, ``host:port``: its pages are at /console/ of the edge,
    too. The console needs the edge's name in TT_CONSOLE_HOSTS and its address in
    TT_CONSOLE_TRUSTED_NETWORKS. Empty: the edge does not serve them."""
    directory: str = setting()
    """For the configuration, the descriptor set and the admin socket; its owner alone may enter."""
    cert: str = setting("")
    """File with the certificate (PEM, with its chain) that clients are shown; empty: plaintext."""
    key: str = setting("")
    """File with its private key (PEM)."""
    client_ca: str = setting("")
    """File with who signs clients' certificates (PEM); a client without one is refused. Empty: the
    token alone decides."""
    connection_shares: int = setting(32, minimum=1, maximum=256)
    """Parts of the 8,192 connections that the edge holds. A hash of the client's address (of IPv6:
    its /64) chooses one, so that no address takes more. Each costs 2 MB and 60 ms at start."""
    trusted_networks: str = setting("")
    """Networks of load balancers and of the product's own backend, ``10.0.0.0/8|2001:db8::/32``.
    They share 2,048 of the connections, and the last address in their X-Forwarded-For that is in
    none of these networks is the client's. Empty: X-Forwarded-For is believed of nobody."""
    login_audience: str = setting("tradingtools")
    """Control's ``TT_CONTROL_LOGIN_AUDIENCE``."""
    shared: SharedSettings = field(default_factory=SharedSettings)


def edge(settings: Settings) -> envoy_config.Edge:
    """Return what the settings say; raises SettingError."""
    tls.read(settings.shared)
    host, port = _address("TT_EDGE_LISTEN", settings.listen)
    control_host, control_port = _address("TT_EDGE_CONTROL_TARGET", settings.control_target)
    if bool(settings.cert) != bool(settings.key):
        missing = "TT_EDGE_KEY" if settings.cert else "TT_EDGE_CERT"
        raise SettingError(f"{missing}: required and not set, for there is TLS")
    if settings.key:
        tls.refuse_open_key("TT_EDGE_KEY", settings.key)
    if settings.client_ca and not settings.cert:
        raise SettingError("TT_EDGE_CERT: required with TT_EDGE_CLIENT_CA and not set")
    return envoy_config.Edge(
        host=host,
        port=port,
        control_host=control_host,
        control_port=control_port,
        health_port=settings.health_port,
        inside_port=settings.inside_port,
        behind={
            name: _address(f"TT_EDGE_{name.upper()}_TARGET", target)
            for name, target in (
                ("events", settings.events_target),
                ("webhooks", settings.webhooks_target),
            )
            if target
        },
        console=_address("TT_EDGE_CONSOLE", settings.console) if settings.console else None,
        directory=Path(settings.directory),
        certificate=envoy_tls.Certificate(
            chain=settings.cert, key=settings.key, authorities=settings.client_ca
        )
        if settings.cert
        else None,
        control_certificate=envoy_tls.of_process(settings.shared),
        plaintext=settings.shared.plaintext,
        shares=settings.connection_shares,
        login_audience=settings.login_audience,
        trusted=_networks("TT_EDGE_TRUSTED_NETWORKS", settings.trusted_networks),
    )


def _networks(name: str, text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(part)) for part in text.split("|") if part)
    except ValueError:
        raise SettingError(f"{name}: {text!r} is not networks parted by |") from None


def _address(name: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise SettingError(f"{name}: {text!r} is not host:port with a port from 1 to 65535")
    return host.strip("[]"), int(port)


def main() -> None:
    """Become Envoy."""
    try:
        settings = load(Settings, "edge")
        desired = edge(settings)
        desired.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = envoy_config.command(envoy_config.prepare(desired))
    except (SettingError, envoy_config.EdgeConfigError, OSError) as error:
        sys.stderr.write(f"edge: {error}\n")
        raise SystemExit(2) from None
    # No setting of ours is a setting of Envoy's, and a token has no business in its environment.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TT_")}
    environ[envoy_config.TOKEN_VARIABLE] = settings.shared.engine_token
    os.execve(command[0], command, environ)  # noqa: S606 - our own wheel's program


if __name__ == "__main__":
    main()
