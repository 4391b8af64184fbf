"""Limit the rate of requests: by token, by address, and apart from both those whose token is
refused.

A flood of wrong tokens has a bucket of its own, so that it cannot use up what a good token from the
same address may do. Kept in memory: it protects this process, and a restart forgives.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from services.control.auth.buckets import MAX_KEYS, Buckets
from services.control.auth.tokens import PUBLIC, Caller
from tradingtools import clock
from tradingtools.domain.errors import LimitReached

_MS_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests per second; twice as many may come at once."""

    token: int
    address: int
    refused: int


class Limiter:
    """Refuses what comes too often.

    Args:
        rates: how often is too often.
    """

    def __init__(self, rates: Rates) -> None:
        self._tokens = Buckets(rates.token)
        self._addresses = Buckets(rates.address)
        self._refused = Buckets(rates.refused)

    def admitted(self, address: str, caller: Caller) -> None:
        """Count a request that may pass; raises LimitReached."""
        self.count_unknown(address)
        if caller != PUBLIC:
            _demand(self._tokens, caller.id)

    def count_unknown(self, address: str) -> None:
        """Count a request whose answer is an error other than 401; raises LimitReached."""
        _demand(self._addresses, network(address))

    def refused(self, address: str) -> None:
        """Count a request without a valid token; raises LimitReached."""
        _demand(self._refused, network(address))


def _demand(buckets: Buckets, key: str) -> None:
    wait_ns = buckets.wait_ns(key, clock.monotonic_ns())
    if wait_ns:
        raise LimitReached("too many requests", retry_after_ms=str(-(-wait_ns // _MS_NS)))


@lru_cache(maxsize=MAX_KEYS)
def network(address: str) -> str:
    """Return what counts as one address: of IPv6 the 64 bits that one customer gets."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    # An IPv4 client of a socket for both is one address, not a part of one network of all of them.
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    parsed = mapped or parsed
    return str(ipaddress.ip_network((parsed, 64 if parsed.version == 6 else 32), strict=False))
