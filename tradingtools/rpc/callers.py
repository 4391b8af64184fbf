"""Identify the caller of a port: by his token, or by the name in his certificate.

A cursor is a reader's alone: whoever acknowledges in the guard's name makes it pass over bookings,
and what it guards is then sold late or never. Judged once a call, before its handler; nothing is
added to a stream's messages. Set once at a process's start (:func:`use`), as `tls` is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from tradingtools.domain.errors import NotAllowed, Unauthenticated
from tradingtools.domain.permissions import (
    PERMISSIONS,
    Permission,
    is_own_name,
    may_call,
    process_of,
)
from tradingtools.rpc import tls
from tradingtools.settings import SettingError, SharedSettings

HEADER = "x-tt-engine-token"
"""Metadata in which a process shows its token."""
_TOKEN = re.compile(r"[0-9a-f]{64}")
_UNKNOWN = "this port serves known processes only"
_NAMES = ("x509_subject_alternative_name", "x509_common_name")


@dataclass(slots=True)
class _Process:
    used: bool = False
    token: str = field(default="", repr=False)
    digests: Mapping[str, bytes] = field(default_factory=dict)
    open: bool = False


_process = _Process()


def use(shared: SharedSettings) -> None:
    """From now on, this process shows its token and knows whom to believe.

    Raises:
        SettingError: a token or the digest of one is malformed.
    """
    if shared.engine_token and not _TOKEN.fullmatch(shared.engine_token):
        raise SettingError("TT_ENGINE_TOKEN: (hidden) is not 64 hex digits, lower case")
    _process.used = True
    _process.token = shared.engine_token
    _process.digests = _read(shared.engine_callers)
    _process.open = shared.engine_open


def _read(entries: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in entries:
        name, _, digest = entry.partition(":")
        if process_of(name) != name or not _TOKEN.fullmatch(digest) or name in found:
            raise SettingError(f"TT_ENGINE_CALLERS: {name!r}: expected process:digest, each once")
        found[name] = bytes.fromhex(digest)
    return found


def metadata() -> tuple[tuple[str, str], ...]:
    """Return what this process shows with each call."""
    return ((HEADER, _process.token),) if _process.token else ()


def refuse_unknown_callers(listen: str) -> None:
    """A port of the engine has to know its callers.

    Raises:
        SettingError: it would believe anybody.
    """
    if not _process.used or _process.digests or _certificates_name():
        return
    if not _process.open:
        raise SettingError(
            f"TT_ENGINE_CALLERS: required and not set: {listen} would believe whoever calls"
            " (or TT_TLS_CA, with the processes' names in their certificates)"
        )
    if not tls.is_loopback(listen):
        raise SettingError(f"TT_ENGINE_OPEN: {listen} is reachable from other machines")


def authorize(method: str, request: Message, context: Any) -> None:
    """Let a call of the engine on.

    Args:
        method: the full RPC path.
        request: its ``consumer``, if there is one, has to be the caller.
        context: of the call.

    Raises:
        Unauthenticated: nobody knows who calls.
        NotAllowed: this RPC, or this reader's name, is another process's.
    """
    if _process.digests:
        callers = _by_token(context)
    elif _certificates_name():
        callers = _by_certificate(context)
    else:
        return
    if not callers:
        if PERMISSIONS.get(method) is not Permission.ENGINE:
            # A client's call, which the edge has handed on.
            raise Unauthenticated(_UNKNOWN)
        raise Unauthenticated(_UNKNOWN, message=_UNKNOWN)
    able = [caller for caller in callers if may_call(caller, method)]
    if not able:
        raise NotAllowed("this process may not call this")
    consumer: str = getattr(request, "consumer", "")
    if consumer and not any(is_own_name(caller, consumer) for caller in able):
        raise NotAllowed("consumer: is another process's name")


def _certificates_name() -> bool:
    identity = tls.identity()
    return identity is not None and identity.authorities is not None


def own_token() -> str:
    """Return what this process shows; empty: nothing."""
    return _process.token


def knows_tokens() -> bool:
    """Return whether this process knows others by their tokens."""
    return bool(_process.digests)


def _by_token(context: Any) -> list[str]:
    shown = [value for key, value in context.invocation_metadata() or () if key == HEADER]
    return named_by(str(shown[0])) if len(shown) == 1 else []


def named_by(token: str) -> list[str]:
    """Return the processes whose token it is."""
    digest = hashlib.sha256(token.encode()).digest()
    # No early exit: how long it takes says nothing about whose token was nearly right.
    return [name for name, known in _process.digests.items() if hmac.compare_digest(known, digest)]


def _by_certificate(context: Any) -> list[str]:
    """Return the processes that his certificate names: the first label of each of its names."""
    message = context.auth_context()
    names = [name.decode(errors="replace") for kind in _NAMES for name in message.get(kind, ())]
    found = (process_of(name.partition(".")[0].lower()) for name in names)
    return list(dict.fromkeys(name for name in found if name))
