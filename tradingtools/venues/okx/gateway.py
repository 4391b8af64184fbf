"""Orders of one wallet at OKX: placed once, amended, cancelled; over REST or over the socket.

Before: who owns the wallet, and has made durable what is to be sent. After: `rest_client` or
`private_socket`, by setting: never both, so that one id goes one way. An order whose place was not
answered is UNKNOWN, and reading alone resolves it (`accounts`): its id is no idempotency key, since
the venue takes it again once the first order has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from tradingtools.venues.okx import requests, verdicts
from tradingtools.venues.okx.error_codes import Action, action_of
from tradingtools.venues.okx.instruments import Directory, Listing
from tradingtools.venues.okx.private_socket import PrivateSocket
from tradingtools.venues.okx.requests import RequestError, RestRequest, SocketOperation, Terms
from tradingtools.venues.okx.rest_client import NoAnswer, OkxRest
from tradingtools.venues.okx.signing import SigningError
from tradingtools.venues.okx.verdicts import RequestedOrder, Verb, not_sent, refused_here, unknown
from tradingtools.venues.trading import (
    AmendOrder,
    CancelOrder,
    NewOrder,
    Receipt,
    TradingCapabilities,
)

CAPABILITIES = TradingCapabilities(
    resting=True,
    amend=True,
    post_only=True,
    not_after=True,
    unique_order_id=False,
    order_id_known_before=False,
    found_for_ms=2 * 3_600_000,
)


ByRest = Callable[[int], RestRequest]
BySocket = Callable[[int], SocketOperation]


class OkxGateway:
    """The port of orders.

    Args:
        rest: of the wallet.
        directory: the instruments.
        terms: of the wallet's orders.
        socket: orders go over it; None: over REST.
        timeout_ms: for an answer of the socket; that of REST is its session's.
    """

    def __init__(
        self,
        rest: OkxRest,
        directory: Directory,
        terms: Terms,
        *,
        socket: PrivateSocket | None = None,
        timeout_ms: int = 5_000,
    ) -> None:
        self._rest = rest
        self._directory = directory
        self._terms = terms
        self._socket = socket
        self._timeout_ms = timeout_ms

    @property
    def capabilities(self) -> TradingCapabilities:
        """Return what this venue can do."""
        return CAPABILITIES

    def register_order(self, order: NewOrder) -> str:  # noqa: ARG002
        """Return nothing: the venue knows an order by our own id."""
        return ""

    async def place(self, order: NewOrder) -> Receipt:
        """Send an order, once."""
        return (await self.place_batch([order]))[0]

    async def cancel(self, order: CancelOrder) -> Receipt:
        """Ask for the end of a resting order; it may be repeated.

        REJECTED with a code of `Action.ENDED` says that the venue has no such order now: its place
        may still be under way.
        """
        return (await self.cancel_batch([order]))[0]

    async def amend(self, change: AmendOrder) -> Receipt:
        """Ask for another price or size."""
        return (await self.amend_batch([change]))[0]

    async def place_batch(self, orders: Sequence[NewOrder]) -> Sequence[Receipt]:
        """Send at most 20 orders at once; each has a receipt of its own."""
        requested = tuple(RequestedOrder(verb=Verb.PLACE, order_id=one.order_id) for one in orders)
        deadline = min((one.not_after_ms for one in orders), default=0)
        return await self._send(
            requested,
            deadline,
            lambda venue_ms: requests.place(orders, self._terms, not_after_ms=venue_ms),
            lambda venue_ms: requests.place_by_socket(
                [(one, self._listing(one.instrument.symbol)) for one in orders],
                self._terms,
                not_after_ms=venue_ms,
            ),
        )

    async def cancel_batch(self, orders: Sequence[CancelOrder]) -> Sequence[Receipt]:
        """Ask for the end of at most 20 orders at once."""
        requested = tuple(
            RequestedOrder(
                verb=Verb.CANCEL, order_id=one.order_id, venue_order_id=one.venue_order_id
            )
            for one in orders
        )
        deadline = min((one.not_after_ms for one in orders), default=0)
        return await self._send(
            requested,
            deadline,
            lambda _: requests.cancel(orders),
            lambda _: requests.cancel_by_socket(
                [(one, self._listing(one.instrument.symbol)) for one in orders]
            ),
        )

    async def amend_batch(self, changes: Sequence[AmendOrder]) -> Sequence[Receipt]:
        """Ask for other prices or sizes of at most 20 orders at once."""
        requested = tuple(
            RequestedOrder(
                verb=Verb.AMEND,
                order_id=one.order_id,
                venue_order_id=one.venue_order_id,
                request_id=one.request_id,
            )
            for one in changes
        )
        deadline = min((one.not_after_ms for one in changes), default=0)
        return await self._send(
            requested,
            deadline,
            lambda venue_ms: requests.amend(changes, not_after_ms=venue_ms),
            lambda venue_ms: requests.amend_by_socket(
                [(one, self._listing(one.instrument.symbol)) for one in changes],
                not_after_ms=venue_ms,
            ),
        )

    async def cancel_all_after(self, seconds: int) -> Receipt:
        """Have the venue cancel all orders of our tag unless this is repeated in time.

        Args:
            seconds: 10 to 120; 0 disarms it.
        """
        return await self._set(lambda: requests.cancel_all_after(seconds, self._terms.tag))

    async def set_leverage(self, symbol: str, leverage: Decimal) -> Receipt:
        """Set the leverage of an instrument, at most its own."""
        return await self._set(
            lambda: requests.set_leverage(self._listing(symbol), leverage, self._terms.margin)
        )

    async def _send(
        self,
        requested: tuple[RequestedOrder, ...],
        not_after_ms: int,
        by_rest: ByRest,
        by_socket: BySocket,
    ) -> Sequence[Receipt]:
        """Send once; again, with a deadline made anew, after a refusal for our timestamp."""
        venue_clock = self._rest.venue_clock
        try:
            if not venue_clock.known and not await self._rest.ensure_clock():
                return _each(requested, not_sent("NO_TIME", "the venue's clock is not known"))
            receipts = await self._send_once(requested, not_after_ms, by_rest, by_socket)
            if all(action_of(one.code) is Action.CLOCK for one in receipts) and venue_clock.known:
                return await self._send_once(requested, not_after_ms, by_rest, by_socket)
        except RequestError as error:
            return _each(requested, refused_here("BAD_REQUEST", str(error)))
        except SigningError as error:
            return _each(requested, not_sent("NOT_SIGNED", str(error)))
        return receipts

    async def _send_once(
        self,
        requested: tuple[RequestedOrder, ...],
        not_after_ms: int,
        by_rest: ByRest,
        by_socket: BySocket,
    ) -> Sequence[Receipt]:
        venue_ms = self._rest.venue_clock.no_later(not_after_ms)
        if self._socket is None:
            return await self._over_rest(requested, by_rest(venue_ms), not_after_ms)
        return await self._over_socket(requested, self._socket, by_socket(venue_ms), not_after_ms)

    async def _over_rest(
        self, requested: tuple[RequestedOrder, ...], request: RestRequest, not_after_ms: int
    ) -> Sequence[Receipt]:
        answer = await self._rest.send(request, not_after_ms=not_after_ms)
        if isinstance(answer, NoAnswer):
            return _each(requested, _unanswered(answer))
        return verdicts.of_rest_batch(answer.status, answer.body, requested)

    async def _over_socket(
        self,
        requested: tuple[RequestedOrder, ...],
        socket: PrivateSocket,
        operation: SocketOperation,
        not_after_ms: int,
    ) -> Sequence[Receipt]:
        answer = await socket.operate(
            operation, not_after_ms=not_after_ms, timeout_ms=self._timeout_ms
        )
        if isinstance(answer, NoAnswer):
            return _each(requested, _unanswered(answer))
        return verdicts.of_socket(answer, requested)

    async def _set(self, request: Callable[[], RestRequest]) -> Receipt:
        try:
            answer = await self._rest.send(request())
        except RequestError as error:
            return refused_here("BAD_REQUEST", str(error))
        except SigningError as error:
            return not_sent("NOT_SIGNED", str(error))
        if isinstance(answer, NoAnswer):
            return _unanswered(answer)
        return verdicts.of_setting(answer.status, answer.body)

    def _listing(self, symbol: str) -> Listing:
        listing = self._directory.get(symbol)
        if listing is None:
            raise RequestError(f"{symbol} is not known")
        return listing


def _unanswered(answer: NoAnswer) -> Receipt:
    if answer.left:
        return unknown("NO_ANSWER", answer.detail)
    if answer.late:
        return refused_here("TOO_LATE", answer.detail)
    return not_sent("NOT_SENT", answer.detail)


def _each(requested: tuple[RequestedOrder, ...], receipt: Receipt) -> Sequence[Receipt]:
    return (receipt,) * len(requested)
