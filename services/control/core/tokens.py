"""Who may call: tokens, of which only digests are known, and how far their scopes reach."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from tradingtools.domain.errors import NotAllowed, Unauthenticated
from tradingtools.domain.permissions import PERMISSIONS, REACH, Permission

MAX_PER_SCOPE = 2
MAX_OPERATORS = 16
"""Of each of their scopes: people have tokens of their own."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BEARER = re.compile(r"Bearer ([0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """One active token: a name for the audit, a scope, and the SHA-256 of its text."""

    id: str
    scope: Permission
    digest: bytes


class Caller(NamedTuple):
    """Who a call came from: the token's id and scope; the public has neither."""

    id: str
    scope: Permission


PUBLIC = Caller("public", Permission.PUBLIC)
OPERATOR = Caller("operator", Permission.OPERATE)
"""An operator of whom nothing else is known."""


class TokenError(ValueError):
    """The list of tokens is malformed; the message never holds a token."""


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Read ``id:scope:digest,…``.

    Raises:
        TokenError: an entry is malformed, an id or digest occurs twice, a scope has too many, or
            there is none.
    """
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if not entries:
        raise TokenError("expected at least one id:scope:digest")
    tokens = tuple(_parse_entry(number, entry) for number, entry in enumerate(entries, start=1))
    if len({token.id for token in tokens}) < len(tokens):
        raise TokenError("an id occurs twice")
    if len({token.digest for token in tokens}) < len(tokens):
        raise TokenError("a digest occurs twice")
    for scope, count in Counter(token.scope for token in tokens).items():
        most = MAX_OPERATORS if scope in REACH[Permission.OPERATE] else MAX_PER_SCOPE
        if count > most:
            raise TokenError(f"{count} tokens of scope {scope}; at most {most}")
    return tokens


def _parse_entry(number: int, entry: str) -> Token:
    parts = entry.split(":")
    if len(parts) != 3:
        raise TokenError(f"entry {number}: expected id:scope:digest")
    name, scope, digest = parts
    if not _ID.fullmatch(name):
        raise TokenError(f"entry {number}: the id has to be 1 to 32 of a-z, 0-9 and -")
    if scope not in REACH:
        raise TokenError(f"entry {number}: the scope has to be one of {', '.join(REACH)}")
    if not _DIGEST.fullmatch(digest):
        raise TokenError(f"entry {number}: the digest has to be 64 hex digits, lower case")
    return Token(name, Permission(scope), bytes.fromhex(digest))


def authenticate(tokens: tuple[Token, ...], authorization: str) -> Caller:
    """The caller behind an Authorization header.

    Raises:
        Unauthenticated: with the same words whatever was wrong.
    """
    given = _BEARER.fullmatch(authorization)
    digest = hashlib.sha256((given[1] if given else "").encode()).digest()
    found: Token | None = None
    # No early exit: how long this takes says nothing about which token was nearly right.
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    if found is None or given is None:
        raise Unauthenticated("a valid bearer token is required")
    return Caller(found.id, found.scope)


def authorize(tokens: tuple[Token, ...], method: str, authorization: str) -> Caller:
    """The caller, when he may call ``method`` (a full RPC path).

    Raises:
        Unauthenticated: no valid token.
        NotAllowed: the token's scope does not reach this RPC, or nobody's does.
    """
    needed = PERMISSIONS.get(method)
    if needed is Permission.PUBLIC:
        return PUBLIC
    caller = authenticate(tokens, authorization)
    if needed not in REACH[caller.scope]:
        raise NotAllowed("the token's scope does not reach this call")
    return caller
