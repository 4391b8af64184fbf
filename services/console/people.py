"""People who logged in by name and password: their tokens, kept on this side of the session.

A cookie is shown by many requests at once, and a refresh token works once, so no cookie has one.
Before: a login. After: `rest` and `operators`, which show the access token of now.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec
import structlog
from cryptography.fernet import Fernet, InvalidToken

from services.console.operators import Refused
from tradingtools.domain.errors import Unauthenticated

_EARLY_S = 60
"""So long before its end an access token is refreshed."""
_SESSION = re.compile(r"[0-9a-f]{32}")
_log = structlog.get_logger("console")


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a person's session."""

    access: str
    refresh: str
    expires_s: float

    @property
    def is_good(self) -> bool:
        """Return whether the access token outlives what is asked with it now."""
        return time.time() < self.expires_s - _EARLY_S


class Edge(Protocol):
    """Answer calls of the console's own."""

    async def ask(
        self, verb: str, path: str, body: Mapping[str, str] | None, address: str, token: str
    ) -> Mapping[str, Any]:
        """Return the answer, as ``Rest.ask``."""


class People:
    """Log people in at the edge, and know their access tokens.

    Args:
        rest: the edge.
        seal: what is written.
        directory: keeps tokens over a start, for all consoles that share it; None: they are in this
            process alone.
        seconds: after which a session is over, whoever uses it.
    """

    def __init__(self, rest: Edge, seal: Fernet, directory: Path | None, seconds: int) -> None:
        self._rest = rest
        self._seal = seal
        self._directory = directory
        self._held: dict[str, Tokens] = {}
        self._renewing: dict[str, asyncio.Task[str]] = {}
        if directory is not None:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in directory.iterdir():
                if path.stat().st_mtime < time.time() - seconds:
                    path.unlink(missing_ok=True)

    async def log_in(self, login: Mapping[str, str], address: str) -> Tokens:
        """Return the tokens of a login.

        Args:
            login: ``user``, ``password`` and perhaps ``newPassword``.
            address: of the browser.

        Raises:
            Unauthenticated: nobody has this name and password.
            Refused: control says no for another reason, in its own words.
            aiohttp.ClientError, TimeoutError: the edge does not answer.
        """
        return await self._requested("/auth/login", login, address)

    async def keep(self, session: str, tokens: Tokens) -> None:
        """Keep the tokens of a session that begins."""
        path = self._path(session)
        if path is not None:
            await asyncio.to_thread(_replace, path, self._seal.encrypt(msgspec.json.encode(tokens)))
        self._held[session] = tokens

    async def access(self, session: str, address: str) -> str:
        """Return the access token of a session.

        Raises:
            Unauthenticated: the session is over.
            Refused, aiohttp.ClientError, TimeoutError: as ``log_in``.
        """
        held = self._held.get(session)
        if held is not None and held.is_good:
            return held.access
        task = self._renewing.get(session)
        if task is None:
            task = asyncio.create_task(self._renewed(session, address))
            self._renewing[session] = task
            task.add_done_callback(lambda _: self._renewing.pop(session, None))
        # A page that goes away in between leaves no used token behind.
        return await asyncio.shield(task)

    async def end(self, session: str, address: str) -> None:
        """End a session at the edge, as far as that answers, and forget its tokens."""
        try:
            token = await self.access(session, address)
            await self._rest.ask("POST", "/auth/logout", None, address, token)
        except (Unauthenticated, Refused, aiohttp.ClientError, TimeoutError) as error:
            _log.warning("session not ended at the edge", why=type(error).__name__)
        finally:
            self._forget(session)

    async def _renewed(self, session: str, address: str) -> str:
        async with self._alone(session):
            # Another console may have been quicker.
            kept = await asyncio.to_thread(self._read, session)
            if kept is None:
                raise Unauthenticated("the session is over")
            if not kept.is_good:
                try:
                    kept = await self._requested(
                        "/auth/refresh", {"refreshToken": kept.refresh}, address
                    )
                except Unauthenticated:
                    self._forget(session)
                    raise
                await self.keep(session, kept)
            self._held[session] = kept
            return kept.access

    async def _requested(self, path: str, body: Mapping[str, str], address: str) -> Tokens:
        answer: Any = await self._rest.ask("POST", path, body, address, "")
        return Tokens(
            access=answer["accessToken"],
            refresh=answer["refreshToken"],
            expires_s=datetime.fromisoformat(answer["expiresAt"]).timestamp(),
        )

    @asynccontextmanager
    async def _alone(self, session: str) -> AsyncIterator[None]:
        """Hold the session's lock among all consoles that share the directory."""
        path = self._path(session)
        if path is None:
            yield
            return
        lock = await asyncio.to_thread(_locked, path.with_suffix(".lock"))
        try:
            yield
        finally:
            os.close(lock)

    def _read(self, session: str) -> Tokens | None:
        path = self._path(session)
        if path is None:
            return self._held.get(session)
        try:
            return msgspec.json.decode(self._seal.decrypt(path.read_bytes()), type=Tokens)
        except (FileNotFoundError, InvalidToken, msgspec.DecodeError):
            return None

    def _forget(self, session: str) -> None:
        self._held.pop(session, None)
        path = self._path(session)
        if path is not None:
            path.unlink(missing_ok=True)

    def _path(self, session: str) -> Path | None:
        if self._directory is None:
            return None
        if not _SESSION.fullmatch(session):
            raise Unauthenticated("the session is over")
        return self._directory / session


def _locked(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _replace(path: Path, text: bytes) -> None:
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
