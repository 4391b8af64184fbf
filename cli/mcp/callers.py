"""Ask the engine whose token a request over HTTP shows: the engine's tokens are those of this
server.

They are of one surface: the server does nothing with a token but the REST calls that its owner
could make himself, so it is no other audience.
"""

from __future__ import annotations

from contextvars import ContextVar

import anyio.to_thread
from mcp.server.auth.provider import AccessToken

from tradingtools_client import ApiError, Client, Session

address: ContextVar[str] = ContextVar("address", default="")
"""Where the request came from that is being judged; empty: unknown."""


class Callers:
    """Verifies tokens.

    Args:
        url: of REST.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose token it is; None: nobody's, withdrawn, or no longer valid.

        Raises:
            ApiError, Unreachable: the engine cannot say so now.
        """
        return await anyio.to_thread.run_sync(self._verify, token)

    def _verify(self, token: str) -> AccessToken | None:
        if not (token.isascii() and token.isprintable()):
            return None
        # A token may be good from some networks alone.
        headers = {"X-Forwarded-For": address.get()} if address.get() else {}
        client = Client(Session(self._url, token, headers=headers, tries=2))
        try:
            caller = client.get_caller()
        except ApiError as error:
            if error.status in (401, 403, 429):
                return None
            raise
        finally:
            client.close()
        scopes = [caller["scope"], *filter(None, [caller["role"]])]
        return AccessToken(token=token, client_id=caller["id"], scopes=scopes)
