"""Keep what `tt login` got: the tokens of one session at each engine, in a file of its owner.

A refresh token works once, so the file is read, used and written under a lock: two calls of `tt` at
once make one refresh. The next tokens are written before anything uses them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cli.errors import Failure, Status

_EARLY_S = 60
"""So long before its end an access token is refreshed."""
_AGAIN = "log in again: tt login"


class StoredSession(msgspec.Struct, rename="camel", kw_only=True):
    """A session that goes on."""

    url: str
    """Of the engine: its tokens are shown to nobody else."""
    user: str
    access_token: str
    refresh_token: str
    expires_s: float


@dataclass(frozen=True, slots=True)
class Logins:
    """The session at one engine.

    Args:
        directory: of the files.
        url: of the engine.
    """

    directory: Path
    url: str

    @classmethod
    def at(cls, url: str, environ: Mapping[str, str] = os.environ) -> Logins:
        """Return that of the user of this machine."""
        base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        return cls(Path(base) / "tt" / "logins", url)

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.directory / f"{hashlib.sha256(self.url.encode()).hexdigest()[:32]}.json"

    def kept(self) -> StoredSession | None:
        """Return the session; None: nobody has logged in. Raises Failure: it cannot be read."""
        try:
            with os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                found = os.fstat(file.fileno())
                if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                    raise Failure(f"{self.path}: others can read or change it", Status.NO_ACCESS,
                                  _AGAIN)  # fmt: skip
                kept = msgspec.json.decode(file.read(), type=StoredSession)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failure(f"{self.path}: {error.strerror}", Status.NO_ACCESS) from None
        except msgspec.MsgspecError:
            raise Failure(f"{self.path}: is damaged", Status.NO_ACCESS, _AGAIN) from None
        return kept if kept.url == self.url else None

    def keep(self, tokens: Mapping[str, Any]) -> StoredSession:
        """Keep what a login or a refresh has answered; return it."""
        kept = self._kept_of(tokens)
        with self.locked():
            self._write(kept)
        return kept

    def forget(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def access_token(self) -> str:
        """Return a token of the next minute; empty: nobody has logged in here.

        Raises:
            Failure: the session is over, or its engine does not answer.
        """
        kept = self.kept()
        if kept is None or _is_good(kept):
            return kept.access_token if kept else ""
        with self.locked():
            # Another call of `tt` may have been quicker.
            kept = self.kept()
            if kept is None or _is_good(kept):
                return kept.access_token if kept else ""
            return self._refreshed(kept)

    def _refreshed(self, kept: StoredSession) -> str:
        from tradingtools_client import ApiError, Client, Session

        # Once: a second try would show a token that the first may have used.
        client = Client(Session(self.url, "", tries=1))
        try:
            tokens: Any = client.refresh({"refreshToken": kept.refresh_token})
        except ApiError as error:
            if error.status != 401:
                raise
            self.forget()
            raise Failure("the session is over", Status.NO_ACCESS, _AGAIN) from None
        finally:
            client.close()
        fresh = self._kept_of(tokens)
        self._write(fresh)
        return fresh.access_token

    def _kept_of(self, tokens: Mapping[str, Any]) -> StoredSession:
        return StoredSession(
            url=self.url,
            user=tokens["user"],
            access_token=tokens["accessToken"],
            refresh_token=tokens["refreshToken"],
            expires_s=datetime.fromisoformat(tokens["expiresAt"]).timestamp(),
        )

    def _write(self, kept: StoredSession) -> None:
        draft = self.path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the file. Raises Failure: its directory cannot be written."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Failure(f"{self.directory}: {error.strerror}", Status.NO_ACCESS) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _is_good(kept: StoredSession) -> bool:
    return time.time() < kept.expires_s - _EARLY_S
