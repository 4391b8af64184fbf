"""One wallet at OKX, put together: its orders, its account, its instruments, one set of limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tradingtools.tasks import run_in_background
from tradingtools.venues.okx import dead_man
from tradingtools.venues.okx.accounts import OkxAccounts
from tradingtools.venues.okx.catalogue import OkxInstruments
from tradingtools.venues.okx.gateway import OkxGateway
from tradingtools.venues.okx.markets import TIMEOUT_MS, OkxMarkets, OkxVenue, open_markets
from tradingtools.venues.okx.private_socket import PrivateSocket
from tradingtools.venues.okx.rate_gate import RateGate, RateGates
from tradingtools.venues.okx.requests import Terms
from tradingtools.venues.okx.rest_client import OkxRest
from tradingtools.venues.okx.signing import Credentials
from tradingtools.venues.shared_feed import SharedFeed

__all__ = ["OkxVenue", "OkxWallet", "open_wallet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxWallet:
    """The ports of one wallet, and of its venue's markets."""

    orders: OkxGateway
    accounts: OkxAccounts
    instruments: OkxInstruments
    markets: SharedFeed
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
    markets: OkxMarkets | None = None,
    cancel_after_seconds: int = 0,
) -> AsyncIterator[OkxWallet]:
    """Open the connections of one wallet for the length of the block.

    Args:
        venue: its addresses.
        credentials: of the wallet; None: markets alone.
        terms: of its orders.
        orders_by_socket: over the private socket, which ``accounts.events()`` runs; else over REST.
        timeout_ms: for an answer.
        markets: that all wallets of a process share; None: it has its own.
        cancel_after_seconds: OKX cancels the wallet's orders when nothing was heard of this process
            for so long, 10 to 120; 0: they stand.
    """
    async with AsyncExitStack() as works:
        if markets is None:
            opening = open_markets(venue, timeout_ms=timeout_ms)
            markets = await works.enter_async_context(opening)
        gates = RateGates(address=markets.address)
        rest = OkxRest(
            markets.session,
            venue.rest_url,
            gates=gates,
            venue_clock=markets.venue_clock,
            learning=markets.learning,
            credentials=credentials,
            demo=venue.sockets.demo,
        )
        socket = None
        if credentials is not None:
            socket = PrivateSocket(
                venue.path("private"),
                spares=markets.spares,
                rest=rest,
                gates=gates,
                credentials=credentials,
                instruments=markets.instruments,
                tag=terms.tag,
            )
        orders = OkxGateway(
            rest,
            markets.instruments.directory,
            terms,
            socket=socket if orders_by_socket else None,
            timeout_ms=timeout_ms,
        )
        if cancel_after_seconds:
            armed = dead_man.keep_armed(orders, cancel_after_seconds)
            await works.enter_async_context(run_in_background(armed))
        yield OkxWallet(
            orders=orders,
            accounts=OkxAccounts(rest, markets.instruments, terms.tag, socket),
            instruments=markets.instruments,
            markets=markets.feed,
            rest=rest,
            limits=gates.user,
        )
