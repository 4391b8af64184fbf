"""Headers of a request, as the edge hands them to a servicer."""

from __future__ import annotations

import re
from typing import Any

import grpc

from tradingtools.domain.errors import InvalidField
from tradingtools.domain.permissions import Permission, exchanges_of, some_of
from tradingtools.rpc.admission import values_of

IDENTITY = "x-tt-identity"
"""Whose call it is, as the edge has it from control; from outside it is stripped."""
Context = grpc.aio.ServicerContext[Any, Any]
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}")
_CLIENT_NAME = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")


def header_of(context: Context, name: str) -> str | None:
    """Return a request header; several of one name are joined by commas, as HTTP has it."""
    found = values_of(context.invocation_metadata(), name)
    return ", ".join(found) if found else None


def caller_of(context: Context) -> str:
    """Return the id of the token that a call behind the edge came with; empty: there is none."""
    return (header_of(context, IDENTITY) or "").partition(":")[0]


def exchanges_of_caller(context: Context) -> frozenset[str] | None:
    """Return the exchanges that a person behind the edge is operator of; None: all."""
    _, scope, reach = [*(header_of(context, IDENTITY) or "").split(":"), "", ""][:3]
    return some_of(exchanges_of(reach)) if scope == Permission.PERSON else None


def client_name(context: Context) -> str:
    """Return the program that a caller says it is, for the audit; empty: it says nothing.

    Raises:
        InvalidField: it is too long, or has other characters than visible ASCII and spaces.
    """
    given = header_of(context, "client-name")
    if given is not None and not _CLIENT_NAME.fullmatch(given):
        expected = "1 to 64 visible ASCII characters, spaces within"
        raise InvalidField(
            f"Client-Name: expected {expected}", field="Client-Name", expected=expected
        )
    return given or ""


def idempotency_key(context: Context) -> str | None:
    """Return what makes a create repeatable; None: nothing. Raises InvalidField."""
    given = header_of(context, "idempotency-key")
    if given is not None and not _IDEMPOTENCY_KEY.fullmatch(given):
        expected = "1 to 128 visible ASCII characters"
        raise InvalidField(
            f"Idempotency-Key: expected {expected}", field="Idempotency-Key", expected=expected
        )
    return given
