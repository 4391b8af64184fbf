"""Log in, refresh and log out: guesses are bounded, and every answer about a guess is the same."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from services.control.auth.rate_limiter import network as network_of
from services.control.store import Row
from services.control.users import access, rules
from services.control.users.passwords import Passwords
from services.control.users.store import NewSession, Users
from services.control.users.throttle import Throttle
from tradingtools import clock
from tradingtools.domain.errors import InvalidField, LimitReached, Unauthenticated, Unavailable
from tradingtools.runtime import instruments

_OUTCOMES = ("logged_in", "failed", "throttled", "refreshed", "refresh_refused")
_log = structlog.get_logger("logins")
_logins = instruments.counter(
    "tradingtools.control",
    "control.logins",
    "logins and refreshes of people, by outcome",
    instruments.each(outcome=_OUTCOMES),
)
_REFRESH_PREFIX = "ttr_"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGrant:
    """Tokens that a login or a refresh answers with."""

    access_token: str
    expires_s: int
    refresh_token: str
    session: str
    session_expires: datetime
    user: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A login as it was asked for; its text shows no password."""

    name: str
    password: str
    new_password: str
    address: str
    client: str

    def __repr__(self) -> str:
        return f"Attempt({self.name!r}, {self.address!r})"


class Logins:
    """Logins of people.

    Args:
        users: as they are stored.
        deployment: whose tokens are given; None: nobody can log in here.
        passwords: hashes and verifies.
        monotonic: a clock that never goes back, in seconds.
    """

    def __init__(
        self,
        users: Users,
        deployment: access.Deployment | None,
        passwords: Passwords,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._deployment = deployment
        self._passwords = passwords
        self._monotonic = monotonic
        self._throttle = Throttle()

    async def log_in(self, attempt: Attempt) -> TokenGrant:
        """Begin a session.

        Raises:
            Unauthenticated: nobody has this name and password, or he is disabled.
            LimitReached: too many have failed.
            InvalidField: a new password is missing or refused.
            Unavailable: nobody can log in here, too many log in at once, or no database.
        """
        deployment = self._set_up()
        network = network_of(attempt.address)
        found = await self._users.login(attempt.name, network)
        usual = bool(found and found["usual"])
        wait = self._throttle.begin(attempt.name, network, usual=usual, now_s=self._monotonic())
        if wait:
            _logins.add(1, {"outcome": "throttled"})
            _log.warning("login throttled", address=attempt.address)
            raise LimitReached(
                "too many logins have failed", retry_after_ms=str(math.ceil(wait * 1000))
            )
        try:
            given = await self._judged(deployment, attempt, network, found)
        except Unauthenticated:
            raise
        except Exception:
            # Nobody has said that the password is wrong. Who hangs up has had his guess.
            self._throttle.forget(attempt.name, network, usual=usual)
            raise
        self._throttle.forget(attempt.name, network, usual=usual)
        _logins.add(1, {"outcome": "logged_in"})
        return given

    async def _judged(
        self, deployment: access.Deployment, attempt: Attempt, network: str, found: Row | None
    ) -> TokenGrant:
        verdict = await self._passwords.verify(attempt.password, found["hash"] if found else None)
        if found is None or not verdict.right or found["disabled"] or found["too_old"]:
            raise await self._failed(found, attempt)
        new = attempt.new_password
        if new:
            rules.check_new_password(attempt.name, attempt.password, new)
        elif found["one_time"]:
            expected = "a password of your own: this one is for one login"
            raise InvalidField(
                f"newPassword: expected {expected}", field="newPassword", expected=expected
            )
        hash_ = None
        if new or verdict.again:
            hash_ = await self._passwords.hashed(new or attempt.password)
        session, refresh = f"ses_{secrets.token_hex(16)}", _fresh()
        started = NewSession(session, _digest(refresh), attempt.address, network, attempt.client)
        until = await self._users.begin(found, started, hash_=hash_, changes=bool(new))
        if until is None:
            raise await self._failed(found, attempt)
        return self._given(deployment, found, session, refresh, until)

    async def _failed(self, found: Row | None, attempt: Attempt) -> Unauthenticated:
        _logins.add(1, {"outcome": "failed"})
        await self._users.failed(found["id"] if found else None, attempt.address)
        return Unauthenticated("wrong user or password")

    async def refresh(self, token: str, address: str) -> TokenGrant:
        """Return the next tokens of a session. Raises Unauthenticated, Unavailable."""
        deployment, following = self._set_up(), _fresh()
        row = await self._users.refresh(_digest(token), _digest(following), address)
        if row is None:
            _logins.add(1, {"outcome": "refresh_refused"})
            raise Unauthenticated("the refresh token was used, or its session is over")
        _logins.add(1, {"outcome": "refreshed"})
        user = {**row, "id": row["user_id"]}
        return self._given(deployment, user, row["id"], following, row["expires_at"])

    def _set_up(self) -> access.Deployment:
        if self._deployment is None:
            raise Unavailable("nobody can log in here: TT_CONTROL_LOGIN_SECRET is not set")
        return self._deployment

    @staticmethod
    def _given(
        deployment: access.Deployment, user: Row, session: str, refresh: str, until: datetime
    ) -> TokenGrant:
        now_s = clock.now_ms() // 1000
        return TokenGrant(
            access_token=access.sign(deployment, user["id"], session, now_s),
            expires_s=now_s + access.LIFE_S,
            refresh_token=refresh,
            session=session,
            session_expires=until,
            user=user,
        )


def _fresh() -> str:
    return _REFRESH_PREFIX + secrets.token_hex(32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
