"""Rules of users: their exchanges and their passwords. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.control.parsing import refuse
from tradingtools.domain.permissions import Role
from tradingtools.v1 import user_service_pb2 as pb

IDLE_S = 7 * 24 * 3600
"""A session that nobody refreshes for so long is over."""
LONGEST_S = 30 * 24 * 3600
"""However often it is refreshed."""
ONE_TIME_S = 24 * 3600
NONE = "none"
ROLES = {pb.ROLE_ADMIN: Role.ADMIN, pb.ROLE_OPERATOR: Role.OPERATOR, pb.ROLE_VIEWER: Role.VIEWER}


def exchanges(role: Role, given: Sequence[str]) -> list[str]:
    """Return the exchanges of a user.

    Raises:
        InvalidField: one is named twice, "none" stands beside another one, or he is no operator.
    """
    if len(set(given)) < len(given):
        raise refuse("exchanges", "each of them once")
    if NONE in given and len(given) > 1:
        raise refuse("exchanges", f'exchanges, or "{NONE}" alone')
    found = sorted(name for name in given if name != NONE)
    if found and role is not Role.OPERATOR:
        raise refuse("exchanges", f"none: a user with the role {role} has no list of exchanges")
    return found


def check_new_password(name: str, old: str, new: str) -> None:
    """Let a new password on. Raises InvalidField; nothing of either is reported."""
    if new == old:
        raise refuse("newPassword", "another one than the password")
    if name in new.lower() and len(new) - len(name) < _REST:
        raise refuse("newPassword", "more than the name of the user")


_REST = 8
"""What a new password has beside the name of its user."""
