"""Tokens of callers: only their digests are known; scopes say how far they reach."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeAlias

from tradingtools.domain.errors import NotAllowed, Unauthenticated
from tradingtools.domain.permissions import (
    PERMISSIONS,
    REACH,
    ROLES,
    Permission,
    Role,
    exchanges_of,
    some_of,
)

MAX_PER_SCOPE = 2
MAX_LIMITED = 100
"""Of each scope: tokens of some followers."""
MAX_OPERATORS = 16
"""Of each of their scopes: people have tokens of their own."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WALLET = re.compile(r"0x[0-9a-f]{40}")
_BEARER = re.compile(r"Bearer ([0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """One active token: a name for the audit, a scope, and the SHA-256 of its text."""

    id: str
    scope: Permission
    digest: bytes
    until_s: int | None = None
    """From this second of the epoch on it is none; None: it does not expire."""
    networks: tuple[Network, ...] = ()
    """Where it may be shown from; empty: anywhere."""
    followers: frozenset[str] = frozenset()
    """The wallets that it is about; empty: all."""

    @property
    def reach(self) -> str:
        """A short digest of its followers; empty: all."""
        return _digest_of(self.followers) if self.followers else ""


class Caller(NamedTuple):
    """The caller of a request: token id, scope and reach; the public has none of them.

    A person has the scope PERSON, a name that no token has, and his role, exchanges and session
    for his reach.
    """

    id: str
    scope: Permission
    reach: str = ""
    client: str = ""
    """The program that it says it is; nobody has checked that."""

    @property
    def namespace(self) -> str:
        """Return the namespace of its Idempotency-Keys: one for all tokens that may do the same, or
        one for a person."""
        if self.scope is Permission.PERSON:
            return self.id
        return f"{self.scope}:{self.reach}" if self.reach else self.scope

    @property
    def role(self) -> Role | None:
        """Return a person's role; None: it is no person."""
        person = self.scope is Permission.PERSON
        return Role(self.reach.partition(";")[0]) if person else None

    @property
    def exchanges(self) -> frozenset[str] | None:
        """Return the exchanges that an operator is of; None: the caller is of all."""
        return exchanges_of(self.reach) if self.scope is Permission.PERSON else None

    @property
    def among(self) -> frozenset[str] | None:
        """Return the exchanges that the caller may know of; None: all, and the whole engine."""
        return some_of(self.exchanges)

    @property
    def session(self) -> str:
        """Return a person's session; empty: it is no person."""
        return self.reach.rpartition(";")[2] if self.scope is Permission.PERSON else ""

    def scope_among(self, *scopes: Permission) -> Permission:
        """Return the scope of a token, or the first of these that a person's role has."""
        if self.scope is not Permission.PERSON:
            return self.scope
        return next(one for one in scopes if one in self.may)

    @property
    def may(self) -> frozenset[Permission]:
        """Return the permissions that it has."""
        role = self.role
        return REACH.get(self.scope, frozenset()) if role is None else ROLES[role]


def person(name: str, role: Role, exchanges: Iterable[str], session: str) -> Caller:
    """Return a person as a caller.

    Args:
        name: of the user.
        role: of the user.
        exchanges: of an operator.
        session: whose access token he shows.
    """
    reach = f"{role};{','.join(sorted(exchanges))};{session}"
    return Caller(f"@{name}", Permission.PERSON, reach)


class People(Protocol):
    """The people who have logged in; `users.people` finds them."""

    async def known(self, authorization: str) -> Caller | None:
        """Return the person whose access token a request has; None: it has none.

        Raises:
            Unauthenticated: the token is not ours, has expired, or its session is over.
            Unavailable: the database does not answer.
        """
        ...


PUBLIC = Caller("public", Permission.PUBLIC)


Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class TokenError(ValueError):
    """The list of tokens is malformed; the message never holds a token."""


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Read ``id:scope:digest,…``, each with limits behind it, if any: ``;until=2027-01-31`` (the
    last day, UTC), ``;from=10.0.0.0/8|2001:db8::/32``, ``;followers=0xab…|0xcd…``.

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
    counted = Counter((token.scope, bool(token.followers)) for token in tokens)
    for (scope, limited), count in counted.items():
        most = MAX_OPERATORS if scope in REACH[Permission.OPERATE] else MAX_PER_SCOPE
        if limited:
            most = MAX_LIMITED
        if count > most:
            raise TokenError(f"{count} tokens of scope {scope}; at most {most}")
    return tokens


def _parse_entry(number: int, entry: str) -> Token:
    named, *limits = entry.split(";")
    parts = named.split(":")
    if len(parts) != 3:
        raise TokenError(f"entry {number}: expected id:scope:digest")
    name, scope, digest = parts
    if not _ID.fullmatch(name):
        raise TokenError(f"entry {number}: the id has to be 1 to 32 of a-z, 0-9 and -")
    if scope not in REACH:
        raise TokenError(f"entry {number}: the scope has to be one of {', '.join(REACH)}")
    if not _DIGEST.fullmatch(digest):
        raise TokenError(f"entry {number}: the digest has to be 64 hex digits, lower case")
    token = Token(name, Permission(scope), bytes.fromhex(digest))
    for limit in limits:
        token = _limited(number, token, limit)
    return token


def _limited(number: int, token: Token, limit: str) -> Token:
    kind, _, text = limit.partition("=")
    if kind == "until" and token.until_s is None:
        try:
            last = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise TokenError(f"entry {number}: until has to be a day, 2027-01-31") from None
        return replace(token, until_s=int((last + timedelta(days=1)).timestamp()))
    if kind in ("from", "followers") and token.scope not in (Permission.READ, Permission.MANAGE):
        raise TokenError(f"entry {number}: {kind} is for the edge's scopes, read and manage")
    if kind == "from" and not token.networks:
        try:
            networks = tuple(ipaddress.ip_network(part) for part in text.split("|"))
        except ValueError:
            raise TokenError(f"entry {number}: from has to be networks parted by |") from None
        return replace(token, networks=networks)
    if kind == "followers" and not token.followers:
        wallets = text.lower().split("|")
        if not all(map(_WALLET.fullmatch, wallets)):
            raise TokenError(f"entry {number}: followers has to be wallets parted by |")
        return replace(token, followers=frozenset(wallets))
    raise TokenError(
        f"entry {number}: expected until=day, from=networks or followers=wallets, each once"
    )


def _digest_of(followers: frozenset[str]) -> str:
    return hashlib.sha256("|".join(sorted(followers)).encode()).hexdigest()[:16]


def usable(tokens: tuple[Token, ...], now_s: float, address: str = "") -> tuple[Token, ...]:
    """Return those that count now, shown from an address; one that is none fits no network.

    Args:
        tokens: the active ones.
        now_s: seconds of the epoch.
        address: who shows it; empty: unknown.
    """
    if not any(token.until_s is not None or token.networks for token in tokens):
        return tokens
    return tuple(
        token
        for token in tokens
        if (token.until_s is None or now_s < token.until_s)
        and (not token.networks or _is_within(address, token.networks))
    )


def _is_within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = known.ipv4_mapped if isinstance(known, ipaddress.IPv6Address) else None
    return any((mapped or known) in network for network in networks)


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
        raise Unauthenticated("no such token" if given else "no token")
    return Caller(found.id, found.scope, found.reach)


def token_of(tokens: Iterable[Token], caller: Caller) -> Token | None:
    """Return a caller's token; None: it is not active, or has another scope or reach."""
    named = (one for one in tokens if one.id == caller.id)
    reach = (caller.scope, caller.reach)
    return next((one for one in named if (one.scope, one.reach) == reach), None)


def authorize(
    tokens: tuple[Token, ...], method: str, authorization: str, known: Caller | None = None
) -> Caller:
    """The caller, when he may call ``method`` (a full RPC path).

    Args:
        tokens: the active ones.
        method: the full RPC path.
        authorization: header of the request.
        known: the person whose access token it is; None: it is none.

    Raises:
        Unauthenticated: no valid token.
        NotAllowed: the token's scope or the person's role does not reach this RPC.
    """
    needed = PERMISSIONS.get(method)
    if needed is Permission.PUBLIC:
        return PUBLIC
    caller = known or authenticate(tokens, authorization)
    if needed not in caller.may:
        what = "token's scope" if known is None else f"role {known.role}"
        raise NotAllowed(f"the {what} does not reach this call")
    return caller
