"""The addresses of exchanges: plain ones on this machine alone, others for real orders alone."""

from __future__ import annotations

from urllib.parse import urlsplit

from tradingtools.rpc.tls import is_loopback
from tradingtools.runtime.process import Startup


def is_here(url: str) -> bool:
    """Return whether an address is on this machine: what trades there is a paper exchange."""
    split = urlsplit(url)
    return is_loopback(f"{split.hostname}:{split.port or 0}")


def checked(name: str, url: str, *, real_orders: bool) -> str:
    """Return the address of a setting.

    Raises:
        Startup: it is plain and not on this machine, or would be traded at by mistake.
    """
    split = urlsplit(url)
    if is_here(url):
        return url
    if split.scheme in ("http", "ws"):
        raise Startup(f"{name}: plain {split.scheme} is for this machine alone")
    if not real_orders:
        raise Startup(f"{name}: {url} is not on this machine, and TT_BOTS_REAL_ORDERS is not true")
    return url
