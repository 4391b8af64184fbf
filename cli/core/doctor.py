"""Judge what is wrong from what was found: a finding says it, and what to do."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

Json = dict[str, Any]
BACKLOG = "backlog"
"""Stands among what is away, and is no dependency: items wait in the process for too long."""
_SKEW_SECONDS = 2.0
_SOON = timedelta(days=14)
_GATE = "TT_EXECUTOR_"
_GATES = ("ORDER_USDC_MAX", "WALLET_MINUTE_USDC_MAX", "MARKET_MINUTE_USDC_MAX", "MINUTE_USDC_MAX",
          "ORDERS_PER_MINUTE_MAX")  # fmt: skip
_OPEN_DOORS = {
    "TT_ENGINE_OPEN": "anybody on this machine may call the ports of the engine",
    "TT_PLAINTEXT": "processes listen without TLS where other machines reach them",
}


class Finding(msgspec.Struct, rename="camel", kw_only=True):
    """The answer of one check."""

    check: str
    well: bool
    says: str
    do: str = ""
    """The cure; empty when nothing is wrong."""


def good(check: str, says: str) -> Finding:
    """Return that a check found nothing wrong."""
    return Finding(check=check, well=True, says=says)


def bad(check: str, says: str, do: str) -> Finding:
    """Return what is wrong and how to mend it."""
    return Finding(check=check, well=False, says=says, do=do)


def clock(ours: float, theirs: float, round_trip: float) -> Finding:
    """Judge this machine's clock against the edge's, whose Date has whole seconds.

    Args:
        ours: seconds since the epoch when the answer was here.
        theirs: of its Date.
        round_trip: seconds that the answer took.
    """
    ahead = ours - theirs
    # The Date was true at some instant of its second, and of the round trip.
    if -_SKEW_SECONDS <= ahead <= 1 + round_trip + _SKEW_SECONDS:
        return good("clock", "this machine and the edge agree about the time")
    way = "ahead of" if ahead > 0 else "behind"
    return bad(
        "clock", f"this machine's clock is {abs(ahead):.0f} s {way} the edge's",
        "set both by NTP (timedatectl, chronyc tracking): entries are refused by their age",
    )  # fmt: skip


def parts(health: Json) -> list[Finding]:
    """Judge the processes of the engine, and the stores that they say are away."""
    found = []
    for part in health["parts"]:
        if not part["serving"]:
            found.append(
                bad("processes", f"{part['name']} does not serve",
                    f"look at its log (logs/{part['name']}.log of the state directory)")
            )  # fmt: skip
    away: dict[str, list[str]] = {}
    for part in health["parts"]:
        for what in part["away"]:
            away.setdefault(what, []).append(part["name"])
    if behind := away.pop(BACKLOG, []):
        found.append(
            bad("backlog", f"{', '.join(behind)} is behind: what waits there is too old",
                "more comes than the machine keeps up with: "
                "docs/operating.md has what to do under 'backlog DOWN'")
        )  # fmt: skip
    for what, names in sorted(away.items()):
        found.append(
            bad("stores", f"{what} is away for {', '.join(names)}",
                f"is {what} running, and does its address in the settings still hold?")
        )  # fmt: skip
    return found or [good("processes", f"{len(health['parts'])} processes serve")]


def certificate(path: str, ends: datetime, now: datetime) -> Finding:
    """Judge how long a certificate is good for."""
    left = ends - now
    if left <= timedelta(0):
        return bad("certificates", f"{path} expired on {ends:%Y-%m-%d}",
                   "put a new one in its place: processes read it again by themselves")  # fmt: skip
    if left < _SOON:
        return bad("certificates", f"{path} expires on {ends:%Y-%m-%d}, in {left.days} days",
                   "put a new one in its place before that")  # fmt: skip
    return good("certificates", f"{path} is good until {ends:%Y-%m-%d}")


def disk(path: str, free: int, size: int, desired: int) -> Finding:
    """Judge how much room is left, bytes."""
    said = f"{free / 2**30:.1f} of {size / 2**30:.1f} GiB are free for {path}"
    if free < desired:
        return bad("disk", said, "make room: PostgreSQL stops when it cannot write")
    return good("disk", said)


def gate(environ: Mapping[str, str], whence: str) -> list[Finding]:
    """Judge the settings that bound what can go wrong."""
    found = [
        bad("last gate", f"{_GATE}{name} is none in {whence}: nothing bounds it",
            "give it a number a little above what your followers need")
        for name in _GATES
        if environ.get(_GATE + name, "").strip().lower() == "none"
    ]  # fmt: skip
    found += [
        bad("settings", f"{name} is on in {whence}: {meaning}", "take it away outside of tests")
        for name, meaning in _OPEN_DOORS.items()
        if environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")
    ]  # fmt: skip
    return found or [good("last gate", f"every bound of the executor is set ({whence})")]


def version(theirs: Json, ours: Json) -> Finding:
    """Judge whether the engine's surface is the one that this `tt` knows."""
    versions = [document.get("info", {}).get("version", "?") for document in (theirs, ours)]
    if versions[0] != versions[1]:
        return bad("version", f"the engine is version {versions[0]}, this tt is {versions[1]}",
                   "use the tt of the engine's version")  # fmt: skip
    routes = [set(document.get("paths", {})) for document in (theirs, ours)]
    if missing := sorted(routes[1] - routes[0]):
        return bad("version", f"the engine has no {missing[0]}, which this tt calls",
                   "restart the engine with the code of this checkout")  # fmt: skip
    if theirs != ours:
        return bad("version", f"both say version {versions[0]}, but describe REST differently",
                   "restart the engine with the code of this checkout, or use its tt")  # fmt: skip
    return good("version", f"the engine and tt are both {versions[0]}")


def secret(path: str, mode: int) -> Finding:
    """Judge who may read a file with a secret."""
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return bad("secrets", f"{path} can be read by others (mode {stat.S_IMODE(mode):04o})",
                   f"chmod 600 {path}, and replace the token: it may be known")  # fmt: skip
    return good("secrets", f"{path} is its owner's alone")


def waiting(*, orders: int, letters: int, breakers: Sequence[str]) -> list[Finding]:
    """Judge what waits for a person."""
    found = []
    if orders:
        found.append(bad("orders", f"{orders} orders wait for a person", "tt orders list"))
    if letters:
        found.append(bad("messages", f"{letters} messages were set aside", "tt dead-letters list"))
    found += [
        bad("breakers", f"the breaker of {name} is open: nothing is sent to it", "tt breakers list")
        for name in breakers
    ]
    return found or [good("people", "nothing waits for a person")]


def ends_of(der: bytes) -> datetime:
    """Return until when a certificate (DER) is good. Raises ValueError: it is none."""
    outer = _inside(der, 0x30)
    fields = _elements(_inside(outer, 0x30))
    # version [0] is optional; then serial, algorithm, issuer, validity.
    start = 1 if fields and fields[0][0] == 0xA0 else 0
    tag, validity = fields[start + 3]
    if tag != 0x30:
        raise ValueError("no certificate")
    kind, text = _elements(validity)[1]
    if kind == 0x17:
        year = int(text[:2])
        digits = f"{2000 + year if year < 50 else 1900 + year}{text[2:].decode()}"
    else:
        digits = text.decode()
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        if len(data) < 2:
            raise ValueError("cut off")
        tag, length, head = data[0], data[1], 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[2 : 2 + count], "big")
            head += count
        if len(data) < head + length:
            raise ValueError("cut off")
        found.append((tag, data[head : head + length]))
        data = data[head + length :]
    return found


def _inside(data: bytes, tag: int) -> bytes:
    kind, inside = _elements(data)[0]
    if kind != tag:
        raise ValueError("no certificate")
    return inside
