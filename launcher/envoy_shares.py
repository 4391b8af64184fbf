"""The connections that clients may hold, parted so that one address cannot take them all.

Envoy has a limit for a filter chain and none for an address. So there are several chains, alike but
for their counters, and a hash of the client's address, salted at each start, chooses one. Who opens
thousands fills the share that his address falls into; whoever is in another notices nothing. Load
balancers and the product's own backend are many clients behind few addresses: networks that a
deployment trusts have a share to themselves, and what they say in X-Forwarded-For is believed.

Part of `envoy_config`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

CONNECTIONS = 8192
"""Of all clients together."""
TRUSTED = 2048
"""Of them, for trusted networks."""

_TYPE = "type.googleapis.com/envoy.extensions"
_NETWORK = "tradingtools.network"
_DIRECT = "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT"
_SOURCE = {
    "name": "source",
    "typed_config": {"@type": f"{_TYPE}.matching.common_inputs.network.v3.SourceIPInput"},
}


def values(shares: int, trusted: Sequence[str]) -> dict[str, Any]:
    """Return the template's values for the listener, by name.

    Args:
        shares: how many strangers' connections are parted into.
        trusted: networks, ``10.0.0.0/8`` for instance.
    """
    return {
        "connections": CONNECTIONS,
        "share_connections": (CONNECTIONS - (TRUSTED if trusted else 0)) // shares,
        "share_of": _chosen(shares, trusted),
        "network_of_client": _network_of_client(),
        # Envoy takes one way or the other of knowing a client's address.
        "direct_address": not trusted,
        "address_detection": _detection(trusted),
        "forwarded": _forwarded(trusted),
    }


def more_chains(shares: int, trusted: Sequence[str]) -> str:
    """Chains beside the template's first one, in YAML: the same, with counters of their own."""
    limits = {f"share-{number}": "*limit" for number in range(1, shares)}
    if trusted:
        limits["trusted"] = json.dumps(_limit())
    return "\n        ".join(
        f"- {{name: {name}, transport_socket: *tls, transport_socket_connect_timeout: 5s,"
        f" filters: [{limit}, *manager]}}"
        for name, limit in limits.items()
    )


def _limit() -> dict[str, Any]:
    kind = f"{_TYPE}.filters.network.connection_limit.v3.ConnectionLimit"
    return {
        "name": "envoy.filters.network.connection_limit",
        "typed_config": {"@type": kind, "stat_prefix": "trusted", "max_connections": TRUSTED},
    }


def _network_of_client() -> dict[str, Any]:
    """Note what counts as one client: an address, of IPv6 the 64 bits that one customer gets."""
    # One of the two says nothing of an address of the other kind.
    text = f"%{_DIRECT}(32)% %{_DIRECT}(64)%"
    return {
        "object_key": _NETWORK,
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": text}},
    }


def _chosen(shares: int, trusted: Sequence[str]) -> dict[str, Any]:
    by_hash = _tree(0, shares, shares, secrets.randbits(32))
    if not trusted:
        return {"on_no_match": by_hash}
    networks = {
        "name": "envoy.matching.matchers.ip",
        "typed_config": {
            "@type": f"{_TYPE}.matching.input_matchers.ip.v3.Ip",
            "cidr_ranges": [_range(network) for network in trusted],
            "stat_prefix": "trusted",
        },
    }
    predicate = {"single_predicate": {"input": _SOURCE, "custom_match": networks}}
    matchers = [{"predicate": predicate, "on_match": _chain("trusted")}]
    return {"matcher_list": {"matchers": matchers}, "on_no_match": by_hash}


def _tree(low: int, high: int, shares: int, salt: int) -> dict[str, Any]:
    """Choose of shares from low to high, high not included, by halves."""
    if high - low == 1:
        return _chain(f"share-{low}")
    middle = (low + high) // 2
    hashing = {
        "name": "envoy.matching.matchers.consistent_hashing",
        "typed_config": {
            "@type": f"{_TYPE}.matching.input_matchers.consistent_hashing.v3.ConsistentHashing",
            "modulo": shares,
            "threshold": middle,
            "seed": salt,
        },
    }
    network = {
        "name": "network",
        "typed_config": {
            "@type": f"{_TYPE}.matching.common_inputs.network.v3.FilterStateInput",
            "key": _NETWORK,
        },
    }
    upper = {
        "predicate": {"single_predicate": {"input": network, "custom_match": hashing}},
        "on_match": _tree(middle, high, shares, salt),
    }
    return {
        "matcher": {
            "matcher_list": {"matchers": [upper]},
            "on_no_match": _tree(low, middle, shares, salt),
        }
    }


def _chain(name: str) -> dict[str, Any]:
    value = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": name}
    return {"action": {"name": name, "typed_config": value}}


def _detection(trusted: Sequence[str]) -> list[dict[str, Any]]:
    if not trusted:
        return []
    return [
        {
            "name": "envoy.http.original_ip_detection.xff",
            "typed_config": {
                "@type": f"{_TYPE}.http.original_ip_detection.xff.v3.XffConfig",
                "xff_trusted_cidrs": {"cidrs": [_range(network) for network in trusted]},
            },
        }
    ]


def _forwarded(trusted: Sequence[str]) -> dict[str, Any]:
    """Headers that nobody outside may set; with trusted networks, Envoy judges who may one."""
    if not trusted:
        return {"prefix": "x-forwarded-"}
    others = "x-forwarded-([^f].*|f|f[^o].*|fo|fo[^r].*|for.+)?"
    return {"safe_regex": {"regex": others}}


def _range(network: str) -> dict[str, Any]:
    address, _, bits = network.partition("/")
    return {"address_prefix": address, "prefix_len": int(bits)}
