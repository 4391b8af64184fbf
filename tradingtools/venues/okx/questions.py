"""The questions that are asked of OKX over REST, as values. Pure."""

from __future__ import annotations

from urllib.parse import urlencode

from tradingtools.venues.okx.limits import Charge, Scope
from tradingtools.venues.okx.requests import RestRequest, cancel_fields
from tradingtools.venues.trading import CancelOrder

PAGE = 100


def account_config() -> RestRequest:
    """Return the question for the account's modes and the key's permissions."""
    return _get("/api/v5/account/config", Charge(Scope.ACCOUNT_CONFIG))


def balance() -> RestRequest:
    """Return the question for all balances."""
    return _get("/api/v5/account/balance", Charge(Scope.BALANCE))


def positions() -> RestRequest:
    """Return the question for all positions."""
    return _get("/api/v5/account/positions", Charge(Scope.POSITIONS))


def order(requested: CancelOrder) -> RestRequest:
    """Return the question for one order, pending or ended. Raises RequestError."""
    symbol = requested.instrument.symbol
    charge = Charge(Scope.ORDER, symbol)
    if requested.venue_order_id:
        return _get("/api/v5/trade/order", charge, instId=symbol, ordId=requested.venue_order_id)
    fields = cancel_fields(requested)
    return _get("/api/v5/trade/order", charge, instId=symbol, clOrdId=str(fields["clOrdId"]))


def open_orders(after: str = "") -> RestRequest:
    """Return the question for the page of pending orders that are older than an `ordId`."""
    return _get(
        "/api/v5/trade/orders-pending", Charge(Scope.OPEN_ORDERS), after=after, limit=str(PAGE)
    )


def order_history(inst_type: str, since_ms: int, after: str = "") -> RestRequest:
    """Return the question for a page of ended orders of a type, of those made since."""
    return _get(
        "/api/v5/trade/orders-history",
        Charge(Scope.ORDER_HISTORY),
        instType=inst_type,
        begin=str(since_ms),
        after=after,
        limit=str(PAGE),
    )


def fills(since_ms: int, after: str = "") -> RestRequest:
    """Return the question for a page of fills of the last three days, newest first.

    Args:
        since_ms: by the venue's clock.
        after: `billId` of the last one of the page before; empty: the first page.
    """
    return _get(
        "/api/v5/trade/fills",
        Charge(Scope.FILLS),
        begin=str(since_ms),
        after=after,
        limit=str(PAGE),
    )


def fills_history(inst_type: str, since_ms: int, after: str = "") -> RestRequest:
    """Return the question for a page of fills of the last three months, by type."""
    return _get(
        "/api/v5/trade/fills-history",
        Charge(Scope.FILLS_HISTORY),
        instType=inst_type,
        begin=str(since_ms),
        after=after,
        limit=str(PAGE),
    )


def funding_bills(since_ms: int, after: str = "") -> RestRequest:
    """Return the question for a page of funding payments of the last seven days, newest first."""
    return _get(
        "/api/v5/account/bills",
        Charge(Scope.BILLS),
        type="8",
        begin=str(since_ms),
        after=after,
        limit=str(PAGE),
    )


def venue_time() -> RestRequest:
    """Return the question for the venue's clock."""
    return _get("/api/v5/public/time", Charge(Scope.TIME), public=True)


def instruments(inst_type: str) -> RestRequest:
    """Return the question for all instruments of a type."""
    charge = Charge(Scope.INSTRUMENTS, inst_type)
    return _get("/api/v5/public/instruments", charge, public=True, instType=inst_type)


def book(symbol: str, depth: int = 400) -> RestRequest:
    """Return the question for a whole book."""
    return _get(
        "/api/v5/market/books", Charge(Scope.BOOK), public=True, instId=symbol, sz=str(depth)
    )


def _get(path: str, charge: Charge, /, *, public: bool = False, **query: str) -> RestRequest:
    requested = urlencode({name: value for name, value in query.items() if value})
    return RestRequest(
        method="GET",
        path=f"{path}?{requested}" if requested else path,
        signed=not public,
        charges=(charge,),
    )
