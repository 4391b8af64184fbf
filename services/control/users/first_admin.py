"""The first admin, whom nobody who has logged in can make."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from services.control.auth.interceptor import TokenInterceptor
from services.control.auth.tokens import Caller
from services.control.users.passwords import Passwords, one_time
from services.control.users.store import ChangedBy, NewUser, Users
from tradingtools.domain.errors import NotAllowed
from tradingtools.domain.permissions import Role
from tradingtools.rpc.admission import address_of
from tradingtools.rpc.headers import Context
from tradingtools.v1 import user_service_pb2 as pb
from tradingtools.v1 import user_service_pb2_grpc as pb_grpc


class CreatedAdmin(NamedTuple):
    """A first admin, and what he logs in with once."""

    user_id: str
    one_time_password: str


class FirstAdmin:
    """Make the first admin.

    Args:
        users: as they are stored.
        passwords: hashes his.
    """

    def __init__(self, users: Users, passwords: Passwords) -> None:
        self._users = users
        self._passwords = passwords

    async def make(self, name: str, caller: Caller, address: str) -> CreatedAdmin:
        """Make one.

        Args:
            name: of the user.
            caller: whose token of a program it is.
            address: of the caller.

        Raises:
            NotAllowed: the caller is a person.
            WrongState: there is an admin who may log in.
            Conflict: the name is taken.
        """
        if caller.role is not None:
            raise NotAllowed("the first admin is made with an operator's token, not by a person")
        made = CreatedAdmin(f"usr_{secrets.token_hex(16)}", one_time())
        new = NewUser(made.user_id, name, Role.ADMIN, (), b"")
        hash_ = await self._passwords.hashed(made.one_time_password)
        await self._users.create(new, hash_, ChangedBy(caller.id, address), first=True)
        return made


class FirstAdminServicer(pb_grpc.FirstAdminServiceServicer):
    """FirstAdminService, on the internal port.

    Args:
        first_admin: makes him.
        inside: of the port; knows who calls.
    """

    def __init__(self, first_admin: FirstAdmin, inside: TokenInterceptor) -> None:
        self._first_admin = first_admin
        self._inside = inside

    async def CreateFirstAdmin(
        self, request: pb.CreateFirstAdminRequest, context: Context
    ) -> pb.CreateFirstAdminResponse:
        """Make one."""
        made = await self._first_admin.make(
            request.name, self._inside.caller(context), address_of(context.peer())
        )
        return pb.CreateFirstAdminResponse(
            user_id=made.user_id, one_time_password=made.one_time_password
        )
