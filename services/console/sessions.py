"""Sessions: the tokens of a person, sealed into a cookie that no script can read.

The process keeps nothing but the sessions that were logged out of: a start forgets nobody whose
cookie was sealed with the same key.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass

import msgspec
from cryptography.fernet import Fernet, InvalidToken

COOKIE = "tt_session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person who has logged in."""

    id: str
    rest: str = ""
    """Token of the edge; empty: none."""
    operator: str = ""
    """Token of the internal port; empty: none."""


class Sessions:
    """Seal and open cookies.

    Args:
        key: 64 hex digits; empty: a fresh one.
        seconds: after which a session is over.

    Raises:
        ValueError: the key is malformed.
    """

    def __init__(self, key: str, seconds: int) -> None:
        raw = bytes.fromhex(key) if key else secrets.token_bytes(32)
        if len(raw) != 32:
            raise ValueError("expected 64 hex digits")
        self._fernet = Fernet(base64.urlsafe_b64encode(raw))
        self._seconds = seconds
        self._over: dict[str, float] = {}

    def seal(self, session: Session) -> str:
        """Return the cookie of a session."""
        return self._fernet.encrypt(msgspec.json.encode(session)).decode("ascii")

    def open(self, cookie: str, now_s: float) -> Session | None:
        """Return the session of a cookie; None: it is not ours, too old, or logged out of."""
        try:
            text = self._fernet.decrypt_at_time(
                cookie.encode("ascii", "replace"), self._seconds, int(now_s)
            )
        except InvalidToken:
            return None
        session = msgspec.json.decode(text, type=Session)
        return None if session.id in self._over else session

    def end(self, session: Session, now_s: float) -> None:
        """Let a session's cookie open nothing any more."""
        self._over = {ended: until for ended, until in self._over.items() if until > now_s}
        self._over[session.id] = now_s + self._seconds


def fresh(rest: str, operator: str) -> Session:
    """Return a session that has just begun."""
    return Session(id=secrets.token_hex(16), rest=rest, operator=operator)
