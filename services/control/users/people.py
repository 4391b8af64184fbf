"""Find the person of an access token: the token by its signature, what he may do by his row.

A disabled user, an ended session and another role count from the next request on, at both of
control's ports.
"""

from __future__ import annotations

from services.control.auth.tokens import Caller, person
from services.control.store import Store, queries
from services.control.users import access
from tradingtools import clock
from tradingtools.domain.errors import Unauthenticated
from tradingtools.domain.permissions import Role

_SQL = queries("users/people")


class People:
    """People who have logged in.

    Args:
        store: of sessions; None: nobody can log in here.
        deployment: whose tokens are good; None: nobody's.
    """

    def __init__(self, store: Store | None, deployment: access.Deployment | None) -> None:
        self._store = store
        self._deployment = deployment

    async def known(self, authorization: str) -> Caller | None:
        """Return the person whose access token a request has; None: it has none.

        Raises:
            Unauthenticated: the token is not ours, has expired, or its session is over.
            Unavailable: the database does not answer.
        """
        token = access.token_of(authorization)
        if not token:
            return None
        if self._store is None or self._deployment is None:
            raise Unauthenticated("nobody can log in here")
        session = access.session_of(self._deployment, token, clock.now_ms() / 1000)
        rows = await self._store.found(_SQL["person"], id=session)
        if not rows:
            raise Unauthenticated("the session is over")
        row = rows[0]
        exchanges = [name for name in str(row["exchanges"]).split(",") if name]
        return person(str(row["name"]), Role(str(row["role"])), exchanges, session)
