"""The caller of a request: each call of a client gets an engine with its caller's tokens.

Over stdio the caller is the person who started the server. Over HTTP he shows his token with each
request, and an operator's token, if he has one, in ``Operator-Authorization``; the server has none.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from cli.core.answers import visible
from cli.engine import Engine
from cli.errors import Failure, Status
from cli.mcp.journal import Journal
from cli.mcp.journal import Refused as NotAllowed
from cli.places import Place

P = ParamSpec("P")
R = TypeVar("R")
_ENGINES = 64
_NAME_CHARACTERS = 56
OPERATOR_HEADER = "operator-authorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The means of a server to change something.

    Attributes:
        journal: keeps what was asked for.
        unasked: also where the client cannot ask its person.
    """

    journal: Journal
    unasked: bool = False


class Serving:
    """The parts that the tools of one server share.

    Args:
        place: the engine; its tokens are those of the person over stdio, and not used over HTTP.
        over_http: each request has its own token.
        changes: None: no tool changes anything.
    """

    def __init__(self, place: Place, *, over_http: bool, changes: Changes | None) -> None:
        self.place = place
        self.changes = changes
        self._over_http = over_http
        self._engines: OrderedDict[tuple[str, ...], Engine] = OrderedDict()
        self._lock = threading.Lock()

    def engine_of(self, ctx: Ctx) -> Engine:
        """Return the engine as the caller may call it."""
        place, address = self.place, ""
        if self._over_http:
            headers = ctx.headers or {}
            token = bearer(headers, "authorization")
            # A person has one token for both ports.
            operator = bearer(headers, OPERATOR_HEADER) or (token if "." in token else "")
            place = replace(place, token=token, operator_token=operator, login=None)
            address = address_of(ctx)
        key = (place.token, place.operator_token, client_of(ctx), address)
        with self._lock:
            found = self._engines.pop(key, None) or Engine(place, key[2], address)
            self._engines[key] = found
            if len(self._engines) > _ENGINES:
                # Not closed: a call may be under way. It closes when nobody has it any more.
                self._engines.popitem(last=False)
        return found

    def close(self) -> None:
        """Close all connections."""
        for engine in self._engines.values():
            engine.close()


Ctx = Context[Serving, Any]


def serving_of(ctx: Ctx) -> Serving:
    """Return what the tools share."""
    return ctx.request_context.lifespan_context


def engine_of(ctx: Ctx) -> Engine:
    """Return the engine as the caller of a request may call it."""
    return serving_of(ctx).engine_of(ctx)


def client_of(ctx: Ctx) -> str:
    """Return the client's name for the audit: what it says of itself, in ASCII."""
    params = ctx.session.client_params
    reported = params.client_info if params is not None else None
    name = f"{reported.name} {reported.version}" if reported is not None else ""
    plain = "".join(char if " " <= char <= "~" else "?" for char in name)
    return f"mcp: {' '.join(plain.split())[:_NAME_CHARACTERS]}".strip()


def caller_digest(engine: Engine) -> str:
    """Return what the journal has of a caller: of a person's tokens the person, for they change."""
    both = " ".join(map(owner_of, engine.tokens()))
    return hashlib.sha256(both.encode()).hexdigest()[:16]


def owner_of(token: str) -> str:
    """Return the user of a person's access token, which the engine verifies; else the token."""
    parts = token.split(".")
    if len(parts) != 3:
        return token
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return str(claims["sub"])
    except (ValueError, LookupError, TypeError):
        return token


def bearer(headers: Mapping[str, str], name: str) -> str:
    """Return the token of a header; empty: there is none."""
    kind, _, token = headers.get(name, "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def address_of(ctx: Ctx) -> str:
    """Return where a request came from; empty: unknown."""
    client = getattr(ctx.request_context.request, "client", None)
    return client.host if client is not None else ""


def plainly(function: Callable[P, R]) -> Callable[P, R]:
    """Have a tool tell failures that are known as one line with what to do.

    What nobody knows goes on: the client is told its tool alone, and the log the rest.
    """

    @functools.wraps(function)
    def reported(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ToolError, NotAllowed) as error:
            raise ToolError(str(error)) from None
        except Exception as error:
            failure = Failure.of(error)
            if failure.status is Status.INTERNAL:
                raise
            raise ToolError(visible(failure.line().removeprefix("tt: ").strip())) from None

    return reported
