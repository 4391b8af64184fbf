"""HTTP of the launcher: what of it is made once.

httpx reads all certificates of the world for each request that brings no context of its own: 20 to
35 ms of processor, against less than one for a request on loopback. A start asks many times.
"""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def context() -> ssl.SSLContext:
    """Return how servers are verified, the same for all requests of this process."""
    return httpx.create_ssl_context(trust_env=False)
