"""HTTP as the REST surface speaks it: the token, errors as exceptions, and asking again.

Before it: the generated calls of `api`. After it: httpx. Every call may be repeated (a create under
its key), so one that got no answer is asked again; only a change under If-Match is not, since its
second try could not tell its own first from somebody else's change.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import httpx

_BUSY = frozenset({429, 502, 503, 504})
_LONGEST_WAIT_SECONDS = 5.0
_FIRST_WAIT_SECONDS = 0.1
_SILENCE_SECONDS = 45.0
"""Without even a comment for so long, a stream is opened again."""

_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")


class ApiError(Exception):
    """The surface refused a call, or could not do it.

    Attributes:
        status: of HTTP.
        reason: the ErrorReason in words, empty when what answered was not the surface.
        message: for people.
        metadata: what machines need, by reason; ``field`` and ``expected`` for instance.
    """

    def __init__(self, status: int, reason: str, message: str, metadata: Mapping[str, str]) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata)

    @property
    def temporary(self) -> bool:
        """Return whether the same call may succeed later."""
        return self.status in _BUSY


class Unreachable(Exception):
    """No answer: a change may or may not have happened."""


class ServerSentEvent(NamedTuple):
    """One event of a stream."""

    id: str
    """After which a stream resumes."""
    event: str
    """Its type."""
    data: str
    """JSON."""


class Session:
    """Calls one surface with one token; safe for several threads.

    Args:
        url: of the edge.
        token: 64 hex digits, or a person's access token; empty for health, readiness and logins. A
            function is asked at each request, for access tokens change every quarter of an hour.
        headers: further ones of each request, ``{"Client-Name": "a tool 1.2"}`` for instance.
        timeout: seconds that one try may take.
        tries: of a call that got no answer, or was told to come again.
        sleep: waits for seconds between two tries.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        tries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        def show(request: httpx.Request) -> httpx.Request:
            shown = token if isinstance(token, str) else token()
            if shown:
                request.headers["Authorization"] = f"Bearer {shown}"
            return request

        # Proxies of the environment are nobody to show the token to.
        self._http = httpx.Client(
            base_url=url, headers=headers, auth=show, timeout=timeout, trust_env=False
        )
        self._tries = tries
        self._sleep = sleep

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int | Sequence[str] | None] | None = None,
        body: object = None,
        if_match: str | None = None,
    ) -> Any:
        """Ask for what may be repeated; with ``if_match`` (a version) only once.

        Returns:
            The answer's JSON.

        Raises:
            ApiError: any answer that is no success.
            Unreachable: no answer.
        """
        headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
        tries = self._tries if if_match is None else 1
        return self._ask(verb, path, query, body, headers, tries)

    def create(self, path: str, body: object, key: str | None) -> Any:
        """Ask for a resource under an Idempotency-Key, one of its own when none is given.

        Raises:
            ApiError, Unreachable: see ``call``.
        """
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        return self._ask("POST", path, None, body, headers, self._tries)

    def follow(
        self, path: str, *, query: Mapping[str, str | int | None] | None = None
    ) -> Iterator[ServerSentEvent]:
        """Yield the events of a stream for ever, resuming after the last one when it ends.

        Raises:
            ApiError: the stream is refused; what is only busy is asked again.
        """
        params = {name: value for name, value in (query or {}).items() if value is not None}
        last = ""
        while True:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with self._http.stream(
                    "GET", path, params=params, headers=headers, timeout=_SILENCE_SECONDS
                ) as answer:
                    if not answer.is_success:
                        answer.read()
                        if answer.status_code not in _BUSY:
                            _refuse(answer)
                    else:
                        for event in _events(_lines(answer.iter_text())):
                            last = event.id or last
                            if event.data:
                                yield event
            except httpx.TransportError:
                pass
            self._sleep(1.0)

    def _ask(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str | int | Sequence[str] | None] | None,
        body: object,
        headers: Mapping[str, str],
        tries: int,
    ) -> Any:
        request = self._http.build_request(
            verb,
            path,
            params={name: value for name, value in (query or {}).items() if value is not None},
            json=body,
            headers=headers,
        )
        for attempt in range(1, tries + 1):
            wait = _FIRST_WAIT_SECONDS * 2**attempt
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                if attempt == tries:
                    raise Unreachable(f"{verb} {path}: {type(error).__name__}") from error
            else:
                if answer.is_success:
                    return answer.json()
                if answer.status_code not in _BUSY or attempt == tries:
                    _refuse(answer)
                wait = _seconds(answer.headers.get("retry-after", ""), wait)
            self._sleep(min(wait, _LONGEST_WAIT_SECONDS))
        raise AssertionError("unreachable: the last try returns or raises")


def _lines(texts: Iterator[str]) -> Iterator[str]:
    """Split at CR, LF and both, as server-sent events end lines; JSON may have what else
    ``splitlines`` takes for an end."""
    rest = ""
    for text in texts:
        # A CR at the end may be half of a CR LF.
        *lines, rest = _LINE_END.split(rest + text)
        yield from lines


def _events(lines: Iterator[str]) -> Iterator[ServerSentEvent]:
    """Read server-sent events; one that is cut off is none."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        told = {name: fields.get(name, [""]) for name in ("id", "event", "data")}
        fields = {}
        yield ServerSentEvent(told["id"][-1], told["event"][-1], "\n".join(told["data"]))


def segment(text: str) -> str:
    """A value as one segment of a path, whatever it holds."""
    return quote(text, safe="")


def _seconds(text: str, otherwise: float) -> float:
    return float(text) if text.isascii() and text.isdigit() else otherwise


def _refuse(answer: httpx.Response) -> NoReturn:
    try:
        body = answer.json()
        info = body["details"][0]
        error = ApiError(
            answer.status_code, info["reason"], body["message"], info.get("metadata", {})
        )
    except (ValueError, LookupError, TypeError):
        error = ApiError(answer.status_code, "", answer.text[:200], {})
    raise error
