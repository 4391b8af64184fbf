"""To which addresses messages may go. Pure.

An endpoint's URL comes from a caller; without this it would be a way into the networks of whoever
runs the engine (SSRF).
"""

from __future__ import annotations

import ipaddress
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_UNICAST = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        # A public address that inside Azure is the machine's own host.
        "168.63.129.16/32",
        # What carries an address of IPv4 in it, and documentation.
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip


class NetworkError(ValueError):
    """The list of networks is malformed; the message names the entry."""


def networks(text: str) -> tuple[Network, ...]:
    """Read networks parted by commas. Raises NetworkError."""
    found: list[Network] = []
    for entry in (part.strip() for part in text.split(",")):
        try:
            found += [ipaddress.ip_network(entry)] if entry else []
        except ValueError:
            raise NetworkError(f"{entry!r} is not a network such as 10.1.0.0/16") from None
    return tuple(found)


def may_connect(text: str, allowed: tuple[Network, ...], *, public: bool) -> bool:
    """Return whether messages may go to an address.

    Args:
        text: the address as the system has it.
        allowed: networks that the operator allows.
        public: whether public addresses are allowed, too.
    """
    address = _address(text)
    if address is None:
        return False
    if any(address in network for network in allowed):
        return True
    if not public or any(address in network for network in _NOT_PUBLIC):
        return False
    return address.version == 4 or address in _UNICAST


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def refusal(url: str, allowed: tuple[Network, ...]) -> str:
    """Return what is expected of a URL that cannot be an endpoint's; empty: nothing is wrong.

    A name is judged when it has an address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "a URL"
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return "a URL with a host, without user, password and fragment"
    if parts.scheme != "https" and not (parts.scheme == "http" and allowed):
        return "https"
    if _address(host) is not None:
        if not may_connect(host, allowed, public=parts.scheme == "https"):
            return "a public address"
    elif host.rpartition(".")[2].isdigit() or host.lower().startswith("0x"):
        # What some systems read as an address: 127.1, 0x7f000001, 2130706433.
        return "a name or an address in its usual form"
    return ""
