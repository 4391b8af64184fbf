"""Sessions: the tokens of a person, sealed into a cookie that no script can read.

A browser sends a cookie to every port of its host, so a cookie alone opens nothing: each request
shows a secret besides, which the page alone has. The process keeps nothing but its key and the
sessions that were logged out of.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from services.console.ended import Ended

COOKIE = "tt_session"
SECRET = "console-session"  # noqa: S105 - the name of a header
"""The header with the secret of a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person who has logged in."""

    id: str
    proof: str
    """SHA-256 of the secret that the page has, in hex."""
    rest: str = ""
    """Token of the edge; empty: none."""
    operator: str = ""
    """Token of the internal port; empty: none."""
    person: bool = False
    """He logged in by name and password: `people` know his tokens."""


class NewSessionSecret(NamedTuple):
    """A session that has just begun, and its secret, which nobody keeps here."""

    session: Session
    secret: str


class Sessions:
    """Seal and open cookies.

    Args:
        directory: keeps the key and the sessions that were logged out of; None: both are this
            process's alone.
        seconds: after which a session is over.
        now_s: seconds of the epoch.

    Raises:
        ValueError: the key that is kept is malformed.
        OSError: the directory cannot be used.
    """

    def __init__(self, directory: Path | None, seconds: int, now_s: float) -> None:
        self.fernet = Fernet(base64.urlsafe_b64encode(_key(directory)))
        """Seals what only consoles of this directory may read."""
        self._seconds = seconds
        self._ended = Ended(None if directory is None else directory / "ended", now_s)

    def seal(self, session: Session) -> str:
        """Return the cookie of a session."""
        return self.fernet.encrypt(msgspec.json.encode(session)).decode("ascii")

    def open(self, cookie: str, secret: str, now_s: float) -> Session | None:
        """Return the session of a cookie.

        Args:
            cookie: as a browser sent it.
            secret: as the page sent it.
            now_s: seconds of the epoch.

        Returns:
            None: the cookie is not ours, too old, or logged out of, or the secret is another one's.
        """
        try:
            text = self.fernet.decrypt_at_time(
                cookie.encode("ascii", "replace"), self._seconds, int(now_s)
            )
            session = msgspec.json.decode(text, type=Session)
        except (InvalidToken, msgspec.DecodeError):
            return None
        if not hmac.compare_digest(session.proof, _digest(secret)):
            return None
        return None if session.id in self._ended else session

    def end(self, session: Session, now_s: float) -> None:
        """Let a session's cookie open nothing any more, also after a start."""
        self._ended.add(session.id, now_s + self._seconds, now_s)


def fresh(rest: str = "", operator: str = "", *, person: bool = False) -> NewSessionSecret:
    """Return a session that has just begun."""
    secret = secrets.token_hex(16)
    session = Session(
        id=secrets.token_hex(16), proof=_digest(secret), rest=rest, operator=operator, person=person
    )
    return NewSessionSecret(session, secret)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(directory: Path | None) -> bytes:
    if directory is None:
        return secrets.token_bytes(32)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "key"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    raw = bytes.fromhex(path.read_text(encoding="ascii").strip())
    if len(raw) != 32:
        raise ValueError("expected 64 hex digits")
    return raw
