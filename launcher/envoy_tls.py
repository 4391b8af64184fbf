"""TLS in the edge's configuration: towards clients, and towards control.

Part of `envoy_config`. Envoy reads the files itself, so that no key is in its configuration, and
reads certificate and key again when a file is moved into their directory.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradingtools.settings import SharedSettings

_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Files (PEM) by which Envoy proves who it is, and whom it believes."""

    chain: str
    key: str
    authorities: str = ""
    """Who signed what the other side shows. Empty: clients need not show anything, and of control
    the system's authorities are believed."""


def of_process(shared: SharedSettings) -> Certificate | None:
    """Return what the edge shows to control, as processes do among themselves; None: plaintext."""
    if not shared.tls_cert:
        return None
    return Certificate(chain=shared.tls_cert, key=shared.tls_key, authorities=shared.tls_ca)


def listen_tls(certificate: Certificate | None, secrets: Path) -> dict[str, Any] | None:
    """The transport of the listener; None: plaintext."""
    if certificate is None:
        return None
    common = _common_tls("public", ["h2", "http/1.1"], secrets)
    if certificate.authorities:
        common["validation_context"] = {"trusted_ca": {"filename": certificate.authorities}}
    required = bool(certificate.authorities)
    return _transport(
        "Downstream", {"common_tls_context": common, "require_client_certificate": required}
    )


def control_tls(certificate: Certificate | None, host: str, secrets: Path) -> dict[str, Any] | None:
    """The transport to control on a host, which control's certificate has to name."""
    if certificate is None:
        return None
    kind = "IP_ADDRESS" if is_address(host) else "DNS"
    # Envoy compares no names by itself: without this, anybody's certificate would be control's.
    validation: dict[str, Any] = {
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}]
    }
    if certificate.authorities:
        validation["trusted_ca"] = {"filename": certificate.authorities}
    else:
        validation["system_root_certs"] = {}
    common = {**_common_tls("edge", ["h2"], secrets), "validation_context": validation}
    name = {} if is_address(host) else {"sni": host}
    return _transport("Upstream", {"common_tls_context": common, **name})


def secrets_of(public: Certificate | None, edge: Certificate | None) -> dict[str, Any]:
    """Files of secrets by name, by which Envoy takes a certificate for one that may change.

    Args:
        public: shown to clients.
        edge: shown to control.
    """
    named = {"public": public, "edge": edge}
    return {
        f"{name}.json": {"resources": [_secret(name, known)]}
        for name, known in named.items()
        if known is not None
    }


def _secret(name: str, certificate: Certificate) -> dict[str, Any]:
    chain, key = Path(certificate.chain).absolute(), Path(certificate.key).absolute()
    files = {
        "certificate_chain": {"filename": str(chain)},
        "private_key": {"filename": str(key)},
        "watched_directory": {"path": str(chain.parent)},
    }
    return {"@type": f"{_TLS}.Secret", "name": name, "tls_certificate": files}


def _common_tls(name: str, protocols: list[str], secrets: Path) -> dict[str, Any]:
    path = str(secrets.absolute() / f"{name}.json")
    source = {"path_config_source": {"path": path}, "resource_api_version": "V3"}
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": protocols,
        "tls_certificate_sds_secret_configs": [{"name": name, "sds_config": source}],
    }


def _transport(direction: str, context: dict[str, Any]) -> dict[str, Any]:
    kind = f"{_TLS}.{direction}TlsContext"
    return {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": kind, **context}}


def is_address(host: str) -> bool:
    """Return whether a host is an IP address, and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
