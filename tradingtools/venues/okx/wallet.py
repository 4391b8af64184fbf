"""One wallet at OKX, put together: its orders, its account, its instruments, one set of limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from tradingtools.tasks import alongside
from tradingtools.venues.okx import dead_man
from tradingtools.venues.okx.accounts import OkxAccounts
from tradingtools.venues.okx.catalogue import OkxInstruments
from tradingtools.venues.okx.connection import Endpoint
from tradingtools.venues.okx.gateway import OkxGateway
from tradingtools.venues.okx.instruments import Directory
from tradingtools.venues.okx.market_feed import OkxMarketFeed
from tradingtools.venues.okx.private_socket import PrivateSocket
from tradingtools.venues.okx.rate_gate import RateGate, RateGates
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.rest_client import OkxRest, open_session
from tradingtools.venues.okx.signing import Credentials
from tradingtools.venues.okx.venue_clock import VenueClock

TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxVenue:
    """The venue's addresses."""

    rest_url: str
    """``https://www.okx.com``, of demo trading too."""
    sockets: Endpoint
    """``wss://ws.okx.com:8443/ws/v5``; of demo trading ``wss://wspap.okx.com:8443/ws/v5``."""

    def path(self, name: str) -> Endpoint:
        """Return the sockets' path public or private."""
        return replace(self.sockets, url=f"{self.sockets.url.rstrip('/')}/{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxWallet:
    """The ports of one wallet, and of its venue's markets."""

    orders: OkxGateway
    accounts: OkxAccounts
    instruments: OkxInstruments
    markets: OkxMarketFeed
    rest: OkxRest
    limits: RateGate
    """Of its user's requests."""


@asynccontextmanager
async def open_wallet(
    venue: OkxVenue,
    credentials: Credentials | None,
    terms: Terms,
    *,
    orders_by_socket: bool = False,
    timeout_ms: int = TIMEOUT_MS,
    address: RateGate | None = None,
    cancel_after_seconds: int = 0,
) -> AsyncIterator[OkxWallet]:
    """Open the connections of one wallet for the length of the block.

    Args:
        venue: its addresses.
        credentials: of the wallet; None: markets alone.
        terms: of its orders.
        orders_by_socket: over the private socket, which ``accounts.events()`` runs; else over REST.
        timeout_ms: for an answer.
        address: the limits of our address, which all wallets of a process share; None: it has one.
        cancel_after_seconds: OKX cancels the wallet's orders when nothing was heard of this process
            for so long, 10 to 120; 0: they stand.
    """
    gates = RateGates(address=address if address is not None else RateGate())
    venue_clock, directory = VenueClock(), Directory()
    async with open_session(timeout_ms=timeout_ms, tls=venue.sockets.tls) as session:
        rest = OkxRest(
            session,
            venue.rest_url,
            gates=gates,
            venue_clock=venue_clock,
            credentials=credentials,
            demo=venue.sockets.demo,
        )
        instruments = OkxInstruments(rest, directory)
        socket = None
        if credentials is not None:
            socket = PrivateSocket(
                venue.path("private"),
                rest=rest,
                gates=gates,
                credentials=credentials,
                instruments=instruments,
                tag=terms.tag,
            )
        orders = OkxGateway(
            rest,
            directory,
            terms,
            socket=socket if orders_by_socket else None,
            timeout_ms=timeout_ms,
        )
        async with AsyncExitStack() as works:
            await works.enter_async_context(alongside(rest.keep_time()))
            if cancel_after_seconds:
                armed = dead_man.keep_armed(orders, cancel_after_seconds)
                await works.enter_async_context(alongside(armed))
            yield OkxWallet(
                orders=orders,
                accounts=OkxAccounts(rest, instruments, terms.tag, socket),
                instruments=instruments,
                markets=OkxMarketFeed(
                    venue.path("public"), rest=rest, address=gates.address, directory=directory
                ),
                rest=rest,
                limits=gates.user,
            )
