"""The console's HTTP: pages, the session, and calls that go on to REST and to operators."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from services.console.core import origin
from services.console.core.addresses import Network, address_of
from services.console.files import File
from services.console.operators import Operators, Refused, refused
from services.console.people import People
from services.console.rest import FORWARDED, Rest, unavailable
from services.console.sessions import COOKIE, SECRET, NewSessionSecret, Session, Sessions, fresh
from tradingtools import clock, login_codes
from tradingtools.domain.attempts import Attempts
from tradingtools.domain.errors import (
    InvalidField,
    LimitReached,
    MalformedBody,
    NotAllowed,
    NotFound,
    TradingError,
    Unauthenticated,
)
from tradingtools.rpc.errors import as_trading_error

_BODY_BYTES = 65_536
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_log = structlog.get_logger("console")
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    "server": "tradingtools",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Parts that the handlers share.

    Attributes:
        files: of the pages, by path.
        sessions: seal and open cookies.
        rest: hands calls on to the edge.
        operators: calls control's internal port.
        people: know the tokens of who logged in by name and password.
        hosts: names under which people open the console.
        trusted: networks of the proxies before it.
        attempts: bound how often a login fails.
        directory: where codes that log in once are left; None: there are none.
        seconds: that a cookie is kept by a browser.
    """

    files: Mapping[str, File]
    sessions: Sessions
    rest: Rest
    operators: Operators
    people: People
    hosts: frozenset[str]
    trusted: tuple[Network, ...]
    attempts: Attempts
    directory: Path | None
    seconds: int

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=_BODY_BYTES, middlewares=[self._around])
        app.on_response_prepare.append(_secure)
        app.add_routes([
            web.get("/", _to_console),
            web.get("/console", _to_console),
            web.get("/console/session", self._session),
            web.post("/console/session", self._log_in),
            web.delete("/console/session", self._log_out),
            web.route("*", "/console/api/{target:.*}", self._rest_call),
            web.post("/console/operators/{name}", self._operator_call),
            web.get("/console/{name:.*}", self._file),
        ])  # fmt: skip
        return app

    @web.middleware
    async def _around(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        why = origin.refusal(request.method, headers, self.hosts)
        if why:
            _log.warning("request refused", why=why)
            return _answer(refused(NotAllowed(why)))
        try:
            return await handler(request)
        except TradingError as error:
            return _answer(refused(error))
        except Refused as error:
            return _answer(error)
        except web.HTTPRequestEntityTooLarge:
            return _answer(
                Refused(413, refused(MalformedBody("the body is larger than 64 KiB")).body)
            )
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _answer(Refused(error.status, refused(NotFound("no such page or call")).body))
        except (aiohttp.ClientError, TimeoutError):
            return unavailable("the edge does not answer")
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - of ours; the page is told a number
            return _answer(refused(as_trading_error(error, request.path)))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"] or "index.html"
        file = self.files.get(name)
        if file is None:
            raise NotFound("no such page")
        headers = {"etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return web.Response(status=304, headers=headers)
        body = file.body
        if file.compressed and "gzip" in request.headers.get("accept-encoding", ""):
            body, headers["content-encoding"] = file.compressed, "gzip"
        headers["content-type"] = file.content_type
        return web.Response(body=body, headers=headers)

    async def _session(self, request: web.Request) -> web.StreamResponse:
        return _reported(await self._describe(await self._of(request), self._address(request)))

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        """Begin a session; no token of the one before stays, which may be another person's."""
        before, address = self._open(request), self._address(request)
        wait = self.attempts.begin(address, clock.monotonic())
        if wait:
            raise LimitReached(
                "too many logins have failed", retry_after_ms=str(math.ceil(wait * 1000))
            )
        given = _given(await request.read())
        shown = [] if "user" in given else self._shown_by(given)
        try:
            started = await self._begin(given, shown, address)
            said = await self._describe(await self._shown(started.session, address), address)
        except (Refused, aiohttp.ClientError, TimeoutError):
            # Nobody has said that the tokens are wrong: a link is good for another try.
            self.attempts.forget(address)
            if self.directory is not None and "code" in given:
                login_codes.put_back(self.directory, given["code"], shown, time.time())
            raise
        self.attempts.forget(address)
        if before:
            await self._end(before, address)
        response = _reported({**said, "secret": started.secret})
        response.set_cookie(
            COOKIE,
            self.sessions.seal(started.session),
            max_age=self.seconds,
            path="/console/",
            httponly=True,
            samesite="Strict",
            secure=request.url.host not in _LOCAL,
        )
        return response

    async def _begin(
        self, given: Mapping[str, Any], shown: Sequence[str], address: str
    ) -> NewSessionSecret:
        """Return a session of a person, or with the tokens that were shown, each for its port.

        Raises:
            Unauthenticated: nobody has that password or token.
        """
        if "user" in given:
            started = fresh(person=True)
            tokens = await self.people.log_in(_person(given), address)
            await self.people.keep(started.session.id, tokens)
            return started
        rest = operator = ""
        for token in shown:
            # An operator's token is shown to the port that it is for, and to nobody on the way of
            # REST; that port knows REST's tokens, too, and lets them do nothing.
            if await self._operator(token):
                operator = token
            elif await self.rest.caller(token, address):
                rest = token
            else:
                raise Unauthenticated("nobody has this token, or it is withdrawn")
        return fresh(rest, operator)

    def _shown_by(self, given: Mapping[str, Any]) -> list[str]:
        """Return the tokens that a login shows itself, or by its code, which is spent then."""
        if "code" not in given:
            return _tokens(given)
        code = given["code"]
        found = (
            login_codes.take(self.directory, code, time.time())
            if self.directory is not None and isinstance(code, str)
            else []
        )
        if not found:
            raise Unauthenticated("the code was used, is too old, or is none")
        return found

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        session = self._open(request)
        if session:
            await self._end(session, self._address(request))
        response = web.json_response({})
        response.del_cookie(COOKIE, path="/console/", httponly=True, samesite="Strict")
        return response

    async def _end(self, session: Session, address: str) -> None:
        await asyncio.to_thread(self.sessions.end, session, time.time())
        if session.person:
            await self.people.end(session.id, address)

    async def _rest_call(self, request: web.Request) -> web.StreamResponse:
        session = await self._of(request)
        if not session.rest:
            raise NotAllowed("this session has no token of REST")
        before, _, target = request.raw_path.partition("/console/api/")
        if before:
            raise NotFound("no such route")
        return await self.rest.hand_on(
            request, f"/{target}", session.id, session.rest, self._address(request)
        )

    async def _operator_call(self, request: web.Request) -> web.StreamResponse:
        session = await self._of(request)
        if not session.operator:
            raise NotAllowed("this session has no operator's token")
        name = request.match_info["name"]
        answer = await self.operators.call(name, await request.read(), session.operator)
        return web.Response(
            body=answer, content_type="application/json", headers={"cache-control": "no-store"}
        )

    async def _describe(self, session: Session, address: str) -> dict[str, Any]:
        """Return who a session is, as far as its tokens still are somebody's."""
        rest = await self.rest.caller(session.rest, address) if session.rest else None
        operator = await self._operator(session.operator) if session.operator else None
        if rest is None and operator is None:
            raise Unauthenticated("the tokens of this session are withdrawn")
        return {"rest": rest, "operator": operator}

    async def _operator(self, token: str) -> Mapping[str, str] | None:
        if not self.operators.served:
            return None
        try:
            answer = await self.operators.call("GetOperator", b"{}", token)
        except Refused as error:
            if error.status in (401, 403):
                return None
            raise
        found: Mapping[str, str] = json.loads(answer)
        return found

    async def _of(self, request: web.Request) -> Session:
        session = self._open(request)
        if session is None:
            raise Unauthenticated("nobody is logged in")
        return await self._shown(session, self._address(request))

    async def _shown(self, session: Session, address: str) -> Session:
        """Return a session with the tokens that it shows now. Raises Unauthenticated, Refused."""
        if not session.person:
            return session
        token = await self.people.access(session.id, address)
        return replace(session, rest=token, operator=token if self.operators.served else "")

    def _open(self, request: web.Request) -> Session | None:
        cookie, secret = request.cookies.get(COOKIE, ""), request.headers.get(SECRET, "")
        return self.sessions.open(cookie, secret, time.time()) if cookie else None

    def _address(self, request: web.Request) -> str:
        forwarded = ",".join(request.headers.getall(FORWARDED, []))
        return address_of(request.remote or "", forwarded, self.trusted)


def _given(body: bytes) -> dict[str, Any]:
    """Return the object that a login sends; empty: it is none."""
    try:
        given: Any = json.loads(body)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _person(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the name and the passwords of a login. Raises InvalidField."""
    found = {name: given[name] for name in ("user", "password", "newPassword") if name in given}
    for name, text in found.items():
        if not isinstance(text, str):
            raise InvalidField(f"{name}: expected text", field=name, expected="text")
    return found


def _tokens(given: Mapping[str, Any]) -> list[str]:
    """Return the tokens of a login. Raises InvalidField."""
    tokens = given.get("tokens")
    if (
        not isinstance(tokens, list)
        or not 1 <= len(tokens) <= 2
        or not all(isinstance(token, str) and 1 <= len(token) <= 128 for token in tokens)
        or not all(token.isascii() and token.isprintable() for token in tokens)
    ):
        raise InvalidField("one or two tokens", field="tokens", expected="one or two tokens")
    return tokens


def _reported(said: dict[str, Any]) -> web.Response:
    return web.json_response(said, headers={"cache-control": "no-store"})


async def _to_console(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/console/")


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _answer(error: Refused) -> web.Response:
    return web.Response(
        status=error.status,
        body=error.body,
        content_type="application/json",
        headers={"cache-control": "no-store"},
    )
