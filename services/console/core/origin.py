"""Judge where a browser's request comes from, before anything else is read of it.

A cookie is sent along whoever made the browser send the request. Three things tell them apart: the
name in ``Host`` (DNS rebinding), what the browser says in ``Sec-Fetch-Site`` and ``Origin``, and
that a form of another site cannot send JSON. The cookie is ``SameSite=Strict`` besides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

_SAFE = frozenset({"GET", "HEAD"})
_OWN = frozenset({"same-origin", "none"})
JSON = "application/json"


def refusal(method: str, headers: Mapping[str, str], hosts: Collection[str]) -> str:
    """Return why a request is refused; empty: it may go on.

    Args:
        method: of HTTP.
        headers: of the request; looked up by lower-case names.
        hosts: names under which the console is opened, without a port.
    """
    host = headers.get("host", "")
    if _name(host) not in hosts:
        return "the console is not served under this name; see TT_CONSOLE_HOSTS"
    if headers.get("sec-fetch-site", "none") not in _OWN and not _is_arrival(method, headers):
        return "a request that another site has made"
    if method in _SAFE:
        return ""
    origin = headers.get("origin", "")
    if origin and origin.partition("://")[2] != host:
        return "a request that another site has made"
    if headers.get("content-type", "").partition(";")[0].strip() != JSON:
        return f"expected a body of {JSON}"
    return ""


def _name(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name.lower() if port.isdecimal() and name else host.lower()


def _is_arrival(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a person followed a link of another site to the page itself."""
    return method == "GET" and headers.get("sec-fetch-mode") == "navigate"
