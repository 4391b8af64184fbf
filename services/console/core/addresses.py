"""Tell where a browser is, through the proxies before the console."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> tuple[Network, ...]:
    """Read networks parted by ``|``. Raises ValueError."""
    return tuple(ipaddress.ip_network(part) for part in text.split("|") if part)


def address_of(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the address of a browser.

    Args:
        peer: who has connected.
        forwarded: X-Forwarded-For, as it came; what a trusted proxy adds stands at its end.
        trusted: networks of such proxies.
    """
    found = peer
    for reported in reversed([part.strip() for part in forwarded.split(",")]):
        if not _is_within(found, trusted) or not _is_address(reported):
            break
        found = reported
    return found


def _is_within(address: str, trusted: Sequence[Network]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in one for one in trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
