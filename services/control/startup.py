"""Start-up that both of control's processes share."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.control.auth.rate_limiter import Limiter, Rates
from services.control.auth.rotation import read_tokens
from services.control.auth.tokens import Token, TokenError
from services.control.settings import Settings
from services.control.users.access import Deployment
from tradingtools.runtime.process import Startup
from tradingtools.storage.postgres.pool import Pool, open_pool
from tradingtools.storage.redis.client import open_redis

_REDIS_SECONDS = 1.0
_AUDIENCE = re.compile(r"[A-Za-z0-9._:/-]{1,64}")


def tokens_of(settings: Settings) -> tuple[Token, ...]:
    """The active tokens. Raises Startup."""
    if not settings.tokens and not settings.tokens_file:
        raise Startup(
            "TT_CONTROL_TOKENS: required and not set; TT_CONTROL_TOKENS_FILE will do, too"
        )
    try:
        return read_tokens(settings.tokens, settings.tokens_file)
    except TokenError as error:
        both = "TT_CONTROL_TOKENS, TT_CONTROL_TOKENS_FILE"
        name = both if settings.tokens_file else "TT_CONTROL_TOKENS"
        raise Startup(f"{name}: {error}") from None


def deployment_of(settings: Settings) -> Deployment | None:
    """Return whose access tokens are good; None: nobody can log in. Raises Startup."""
    if not _AUDIENCE.fullmatch(settings.login_audience):
        raise Startup("TT_CONTROL_LOGIN_AUDIENCE: has to be 1 to 64 letters, digits and .-_:/")
    if not settings.login_secret:
        return None
    if not re.fullmatch("[0-9a-f]{64}", settings.login_secret):
        raise Startup("TT_CONTROL_LOGIN_SECRET: has to be 64 hex digits, lower case")
    return Deployment(bytes.fromhex(settings.login_secret), settings.login_audience)


def limiter_of(settings: Settings) -> Limiter:
    """Counts who asks at one of the two ports."""
    return Limiter(
        Rates(
            token=settings.token_rate, address=settings.address_rate, refused=settings.refused_rate
        )
    )


def require_urls(settings: Settings) -> None:
    """Refuse to start without the stores. Raises Startup."""
    for name in ("database_url", "redis_url"):
        if not getattr(settings.shared, name):
            raise Startup(f"TT_{name.upper()}: required and not set")


class Pools(Protocol):
    """``open_pool`` of the database that the settings name."""

    def __call__(
        self, *, size: int = ..., planned_once: bool = ..., statement_seconds: int = ...
    ) -> AbstractAsyncContextManager[Pool]: ...


def open_pools(settings: Settings) -> Pools:
    """Opens pools of connections to PostgreSQL."""
    return partial(
        open_pool,
        settings.shared.database_url,
        name="control",
        size=settings.pool_size,
        silence_seconds=settings.shared.database_silence_seconds,
        prompt=True,
    )


def open_wake_ups(settings: Settings) -> redis.Redis:
    """A client of Redis for wake-ups; they may be lost, and no answer waits for several tries."""
    return open_redis(
        settings.shared.redis_url,
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
