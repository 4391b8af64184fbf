"""A client of the REST surface: typed calls over httpx, for whoever drives Trading Tools.

`api` and `models` are generated from the OpenAPI document and hold nothing else's knowledge;
`session` speaks HTTP. Amounts are decimal strings, as they are on the wire.
"""

from tradingtools_client.api import Client
from tradingtools_client.session import ApiError, Session, Unreachable

__all__ = ["ApiError", "Client", "Session", "Unreachable"]
