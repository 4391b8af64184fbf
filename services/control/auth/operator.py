"""Who an operator is, for the audit: the best of what a call says about him."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.control.auth.tokens import OPERATOR, Caller
from services.control.parsing import refuse

HEADER = "x-tt-operator"
"""Metadata in which somebody without token and certificate says who he is."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_UNFIT = re.compile(r"[^A-Za-z0-9._@ :/=,+-]")
_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Operator:
    """Whom the audit names, and how he was known."""

    caller: Caller
    source: str


UNNAMED = Operator(OPERATOR, "grpc")
"""Whoever reached the internal port and said nothing."""


def identify(token: Caller | None, certificate: Sequence[str], said: Sequence[str]) -> Operator:
    """The operator behind a call.

    Args:
        token: whose it was; None: there was none, and none was needed.
        certificate: names in the one that he showed, checked by TLS; the first counts.
        said: values of :data:`HEADER`; nobody has checked them.

    Raises:
        InvalidField: what he said is no name.
    """
    if token is not None:
        return Operator(token, "grpc: token")
    if certificate:
        # Never refused: an authority has signed it, and he may be about to stop everything.
        name = _UNFIT.sub("?", certificate[0])[:_NAME_LENGTH] or "?"
        return Operator(Caller(name, OPERATOR.scope), "grpc: certificate")
    if not said:
        return UNNAMED
    if len(said) > 1 or not _NAME.fullmatch(said[0]):
        raise refuse(HEADER, "one name of 1 to 64 of a-z, A-Z, 0-9, dot, _, @ and -")
    return Operator(Caller(said[0], OPERATOR.scope), "grpc: said")
