"""Errors that mean something to a caller.

Raised by cores, stores and servicers; `rpc/errors.py` has the one table that turns them
into status codes. The reasons are the values of ``ErrorReason`` in the contracts.
"""

from __future__ import annotations


class TradingError(Exception):
    """Base of every error that a caller may see.

    Args:
        message: one sentence for people, without secrets.
        metadata: what machines need; keys as documented at the reason.
    """

    reason = "INTERNAL"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidField(TradingError):
    """A field is missing, malformed or out of range. Metadata: field, expected."""

    reason = "INVALID_FIELD"


class UnknownField(TradingError):
    """The body has a field that the request does not know. Metadata: field."""

    reason = "UNKNOWN_FIELD"


class MalformedBody(TradingError):
    """The body is not what a request looks like."""

    reason = "MALFORMED_BODY"


class NotFound(TradingError):
    """No such resource. Metadata: kind, id."""

    reason = "NOT_FOUND"


class MethodNotAllowed(TradingError):
    """The path exists, but does not take this HTTP method. Metadata: allow."""

    reason = "METHOD_NOT_ALLOWED"


class WrongState(TradingError):
    """The resource's state does not allow this. Metadata: kind, id, state."""

    reason = "WRONG_STATE"


class Conflict(TradingError):
    """Somebody else changed it first. Metadata: kind, id."""

    reason = "CONFLICT"


class RequestIdReused(TradingError):
    """The idempotency key came with another request before."""

    reason = "REQUEST_ID_REUSED"


class Unauthenticated(TradingError):
    """No valid token. Every client gets the same sentence.

    Args:
        why: for the log.
        message: another sentence, for callers that are no clients.
    """

    reason = "UNAUTHENTICATED"

    def __init__(self, why: str, message: str = "a valid bearer token is required") -> None:
        super().__init__(message)
        self.why = why


class NotAllowed(TradingError):
    """The token's scope does not reach this call."""

    reason = "NOT_ALLOWED"


class LimitReached(TradingError):
    """Too many requests or a full queue. Metadata: retry_after_ms."""

    reason = "LIMIT_REACHED"


class Unavailable(TradingError):
    """A dependency is not there. Metadata: dependency, retry_after_ms."""

    reason = "UNAVAILABLE"


class CursorOutOfRange(TradingError):
    """The cursor is of another incarnation of the stream. Metadata: cursor."""

    reason = "CURSOR_OUT_OF_RANGE"
