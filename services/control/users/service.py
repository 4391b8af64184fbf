"""LoginService and UserService: read, decide, store, encode."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

from services.control import paging
from services.control.auth.tokens import Caller
from services.control.edge.interceptors import caller_of
from services.control.messages import Fields, timestamp
from services.control.parsing import refuse
from services.control.users import access, codec, keys, rules
from services.control.users.logins import Attempt, Logins, TokenGrant
from services.control.users.passwords import Passwords, one_time
from services.control.users.store import ChangedBy, NewUser, Users
from tradingtools import clock
from tradingtools.domain.errors import LimitReached, NotAllowed, NotFound
from tradingtools.domain.permissions import Permission
from tradingtools.rpc.headers import Context, client_name, header_of, idempotency_key
from tradingtools.v1 import user_service_pb2 as pb
from tradingtools.v1 import user_service_pb2_grpc as pb_grpc

_ADDRESS = "x-tt-address"
_LONGEST_NUMBER = 18


class LoginServicer(pb_grpc.LoginServiceServicer):
    """Sessions of people.

    Args:
        logins: begin and refresh them.
        users: as they are stored.
        deployment: whose keys are shown; None: there are none.
    """

    def __init__(self, logins: Logins, users: Users, deployment: access.Deployment | None) -> None:
        self._logins = logins
        self._users = users
        self._deployment = deployment

    async def LogIn(self, request: pb.LogInRequest, context: Context) -> pb.LoginTokens:
        """Begin one."""
        attempt = Attempt(
            name=request.user,
            password=request.password,
            new_password=request.new_password,
            address=_address(context),
            client=client_name(context),
        )
        try:
            return _tokens(await self._logins.log_in(attempt))
        except LimitReached as error:
            seconds = -(-int(error.metadata["retry_after_ms"]) // 1000)
            await context.send_initial_metadata((("retry-after", str(seconds)),))
            raise

    async def Refresh(self, request: pb.RefreshRequest, context: Context) -> pb.LoginTokens:
        """Go on with one."""
        return _tokens(await self._logins.refresh(request.refresh_token, _address(context)))

    async def LogOut(self, _request: pb.LogOutRequest, context: Context) -> pb.LogOutResponse:
        """End the caller's own."""
        caller = caller_of(context)
        await self._users.end(caller.session, _by(context), what="logged_out", others=False)
        return pb.LogOutResponse()

    async def GetLoginKeys(
        self, _request: pb.GetLoginKeysRequest, _context: Context
    ) -> pb.LoginKeys:
        """Return the public keys of access tokens."""
        if self._deployment is None:
            return pb.LoginKeys()
        found = keys.published(self._deployment.secret, clock.now_ms() / 1000)
        return pb.LoginKeys(keys=[pb.LoginKey(**key.jwk()) for key in found])

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """Return those that go on."""
        caller = caller_of(context)
        if request.user_id and not _administers(caller):
            raise NotAllowed("userId: only an admin looks at another one's sessions")
        rows = await self._users.sessions(request.user_id, caller.id)
        return pb.ListSessionsResponse(sessions=codec.sessions(rows, caller.session))

    async def DeleteSession(
        self, request: pb.DeleteSessionRequest, context: Context
    ) -> pb.DeleteSessionResponse:
        """End one of the caller, or as an admin any."""
        others = _administers(caller_of(context))
        by = _by(context)
        if not await self._users.end(request.id, by, what="session_ended", others=others):
            raise NotFound(f"no session {request.id}", kind="session", id=request.id)
        return pb.DeleteSessionResponse()


class UserServicer(pb_grpc.UserServiceServicer):
    """Users, for admins.

    Args:
        users: as they are stored.
        passwords: hashes them.
    """

    def __init__(self, users: Users, passwords: Passwords) -> None:
        self._users = users
        self._passwords = passwords

    async def CreateUser(self, request: pb.CreateUserRequest, context: Context) -> pb.CreatedUser:
        """Make one, with a one-time password."""
        role = rules.ROLES[request.role]
        exchanges = rules.exchanges(role, request.exchanges)
        key = idempotency_key(context)
        user_id = _new_id(caller_of(context), key)
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        known = None if key is None else await self._users.created_by(user_id, digest)
        password = ""
        if known is None:
            password = one_time()
            hash_ = await self._passwords.hashed(password)
            known = await self._users.create(
                NewUser(user_id, request.name, role, exchanges, digest), hash_, _by(context)
            )
        return pb.CreatedUser(
            user=pb.User(**codec.user(known)), one_time_password=password, id=user_id
        )

    async def ListUsers(
        self, request: pb.ListUsersRequest, _context: Context
    ) -> pb.ListUsersResponse:
        """Return a page, the oldest first."""
        size = paging.size(request.page_size)
        after = paging.decode("users", request.page_token, 1)
        rows = await self._users.page(after, size + 1)
        page = rows[:size]
        answer: Fields = {"users": [codec.user(row) for row in page]}
        if len(rows) > size:
            last = page[-1]
            answer["next_page_token"] = paging.encode("users", last["created_at"], last["id"])
        return pb.ListUsersResponse(**answer)

    async def GetUser(self, request: pb.GetUserRequest, _context: Context) -> pb.User:
        """Return one."""
        return pb.User(**codec.user(await self._users.one(request.id)))

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: Context) -> pb.User:
        """Change what he may do."""
        role = rules.ROLES[request.role] if request.HasField("role") else None
        disabled = request.disabled if request.HasField("disabled") else None
        row = await self._users.update(
            request.id, role, list(request.exchanges), disabled, _by(context)
        )
        return pb.User(**codec.user(row))

    async def ResetPassword(
        self, request: pb.ResetPasswordRequest, context: Context
    ) -> pb.OneTimePassword:
        """Give him a one-time password."""
        await self._users.one(request.id)
        password = one_time()
        until = await self._users.reset(
            request.id, await self._passwords.hashed(password), _by(context)
        )
        return pb.OneTimePassword(one_time_password=password, expires_at=timestamp(until))

    async def ListUserEvents(
        self, request: pb.ListUserEventsRequest, _context: Context
    ) -> pb.ListUserEventsResponse:
        """Return a page, the newest first."""
        size = paging.size(request.page_size)
        scope = f"user-events:{request.user_id}"
        key = paging.decode(scope, request.page_token, 1)
        before = None if key is None else _number(key[1][0])
        rows = await self._users.events(request.user_id, before, size + 1)
        page = rows[:size]
        answer: Fields = {"events": [codec.event(row) for row in page]}
        if len(rows) > size:
            last = str(page[-1]["id"])
            answer["next_page_token"] = paging.encode(scope, datetime.fromtimestamp(0, UTC), last)
        return pb.ListUserEventsResponse(**answer)


def _tokens(given: TokenGrant) -> pb.LoginTokens:
    return pb.LoginTokens(
        access_token=given.access_token,
        expires_at=timestamp(datetime.fromtimestamp(given.expires_s, UTC)),
        refresh_token=given.refresh_token,
        session_expires_at=timestamp(given.session_expires),
        session_id=given.session,
        user=given.user["name"],
        role=pb.Role.Value(codec.role(given.user["role"])),
        exchanges=given.user["exchanges"],
    )


def _new_id(caller: Caller, key: str | None) -> str:
    """Return the id of a user to make; the same one for the same key of the same caller."""
    if key is None:
        return f"usr_{secrets.token_hex(16)}"
    return f"usr_{hashlib.sha256(f'{caller.namespace}:{key}'.encode()).hexdigest()[:32]}"


def _administers(caller: Caller) -> bool:
    return Permission.ADMINISTER in caller.may


def _by(context: Context) -> ChangedBy:
    return ChangedBy(caller_of(context).id, _address(context))


def _address(context: Context) -> str:
    return header_of(context, _ADDRESS) or ""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise refuse("pageToken", "a token from the page before of the same list")
    return int(text)
