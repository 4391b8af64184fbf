"""The account of one wallet: orders, fills, balances and positions, read and told.

Reading is the only thing that resolves an order whose place was not answered, so a page that cannot
be read is an error and never a shorter list. Before: `rest_client`, `private_socket`. After: who
owns the wallet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from tradingtools import clock
from tradingtools.tasks import run_in_background
from tradingtools.venues.okx import questions
from tradingtools.venues.okx.account_frames import (
    BillRow,
    FillRow,
    OrderStateRow,
    UnknownInstrument,
    read_fills,
    read_funding,
    read_orders,
)
from tradingtools.venues.okx.balances import AccountBook
from tradingtools.venues.okx.catalogue import TYPES, OkxInstruments
from tradingtools.venues.okx.error_codes import Action, action_of
from tradingtools.venues.okx.private_socket import PrivateSocket
from tradingtools.venues.okx.requests import RestRequest
from tradingtools.venues.okx.rest_client import OkxRest, Refused
from tradingtools.venues.okx.wire import WireError, decode_rows
from tradingtools.venues.trading import (
    AccountEvent,
    AccountState,
    CancelOrder,
    Fill,
    FundingPayment,
    OrderReport,
    ReadError,
)

_RECENT_MS = 3 * 86_400_000 - 60_000
"""Fills that are older are in another list."""
_PAGES_MAX = 200
_BILL_IDS = msgspec.json.Decoder(list[BillRow])
_FILL_IDS = msgspec.json.Decoder(list[FillRow])
_ORDER_IDS = msgspec.json.Decoder(list[OrderStateRow])
Found = TypeVar("Found")


class OkxAccounts:
    """The port of accounts.

    Args:
        rest: of the wallet.
        instruments: read anew when a row is about one that is not known.
        tag: that our orders carry.
        socket: tells what happens; None: `events` is not asked for.
    """

    def __init__(
        self,
        rest: OkxRest,
        instruments: OkxInstruments,
        tag: str,
        socket: PrivateSocket | None = None,
    ) -> None:
        self._rest = rest
        self._instruments = instruments
        self._tag = tag
        self._socket = socket

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return all resting orders, strangers' too. Raises ReadError."""
        return await self._orders(questions.open_orders)

    async def find(self, order: CancelOrder) -> OrderReport | None:
        """Return the order, resting or ended; None: the venue says that there is none.

        An order that ended without a fill is found for two hours.

        Raises:
            ReadError: no answer, or one that is about another order.
        """
        try:
            answer = await self._rest.ask(questions.order(order))
        except Refused as error:
            if action_of(error.code) is Action.ENDED:
                return None
            raise
        found = [report async for report in self._read(self._reports, answer.data)]
        if len(found) != 1 or not _same(found[0], order):
            raise ReadError(f"order {order.order_id}: the answer is about another one")
        return found[0]

    async def fills(self, since_ms: int) -> Sequence[Fill]:
        """Return every fill from that instant of the venue's clock on, oldest first.

        Raises:
            ReadError: a page did not come.
        """
        venue_ms = self._rest.venue_clock.at(clock.now_ms())
        if venue_ms - since_ms < _RECENT_MS:
            found = await self._fills(partial(questions.fills, since_ms))
        else:
            found = []
            for inst_type in TYPES:
                found += await self._fills(partial(questions.fills_history, inst_type, since_ms))
        return sorted(found, key=lambda fill: fill.venue_ms)

    async def funding(self, since_ms: int) -> Sequence[FundingPayment]:
        """Return the funding payments since, of the last seven days, oldest first.

        Raises:
            ReadError: a page did not come.
        """
        found: list[FundingPayment] = []
        after = ""
        for _ in range(_PAGES_MAX):
            answer = await self._rest.ask(questions.funding_bills(since_ms, after))
            ids = [row.bill_id for row in _rows(answer.data, _BILL_IDS)]
            found += [one async for one in self._read(self._payments, answer.data)]
            if len(ids) < questions.PAGE:
                break
            after = ids[-1]
        else:
            raise ReadError(f"more than {_PAGES_MAX} pages of bills")
        return sorted(
            (one for one in found if one.venue_ms >= since_ms), key=lambda one: one.venue_ms
        )

    async def history(self, since_ms: int) -> Sequence[OrderReport]:
        """Return the ended ones of the orders that were made since, of the last seven days.

        Raises:
            ReadError: a page did not come.
        """
        found: list[OrderReport] = []
        for inst_type in TYPES:
            found += await self._orders(partial(questions.order_history, inst_type, since_ms))
        return sorted(found, key=lambda report: report.venue_ms)

    async def state(self) -> AccountState:
        """Return balances and positions. Raises ReadError."""
        account = AccountBook(self._instruments.directory)
        await self.load(account)
        return account.state

    async def load(self, account: AccountBook) -> None:
        """Read balances and positions into an account. Raises ReadError."""
        balances = await self._rest.ask(questions.balance())
        positions = await self._rest.ask(questions.positions())
        try:
            account.balances(balances.data, whole=True)
            await self._positions(account, positions.data)
        except WireError as error:
            raise ReadError(str(error)) from None

    async def missed(
        self, account: AccountBook, since_ms: int, resting: Collection[OrderReport]
    ) -> list[AccountEvent]:
        """Return what may have been missed: fills, ended orders, resting ones, the account.

        Args:
            account: is loaded, too.
            since_ms: by the venue's clock.
            resting: orders that were told last as resting.

        Raises:
            ReadError: part of it did not come.
        """
        # An order that ends while this is read is in one list or the other: resting ones first.
        still = await self.open_orders()
        ended = list(await self.history(since_ms))
        known = {one.venue_order_id for one in (*still, *ended)}
        # The history goes by when an order was made: older ones are asked for one by one.
        for report in resting:
            if report.venue_order_id not in known:
                ended += await self._found(report)
        fills = await self.fills(since_ms)
        await self.load(account)
        return [*fills, *still, *ended, account.state]

    async def _found(self, report: OrderReport) -> Sequence[OrderReport]:
        listing = self._instruments.directory.get(report.instrument_id.partition(":")[2])
        if listing is None:
            return ()
        found = await self.find(
            CancelOrder(
                order_id=report.order_id,
                venue_order_id=report.venue_order_id,
                instrument=listing.instrument,
                not_after_ms=0,
            )
        )
        return () if found is None else (found,)

    async def events(self) -> AsyncIterator[AccountEvent]:
        """Tell what happens to the wallet, beginning with Connected, for ever."""
        if self._socket is None:
            raise ValueError("there is no socket")
        queue: asyncio.Queue[AccountEvent | None] = asyncio.Queue()
        async with run_in_background(self._fill(self._socket, queue)):
            while (event := await queue.get()) is not None:
                yield event

    async def _fill(self, socket: PrivateSocket, queue: asyncio.Queue[AccountEvent | None]) -> None:
        try:
            await socket.run(queue.put_nowait, self)
        finally:
            # Whoever waits for the next event has to hear of a defect.
            queue.put_nowait(None)

    async def _positions(self, account: AccountBook, data: msgspec.Raw) -> None:
        while True:
            try:
                account.positions(data, whole=True)
                return
            except UnknownInstrument as error:
                await self._instruments.learn(error.symbol)

    async def _orders(self, page: Callable[[str], RestRequest]) -> list[OrderReport]:
        found: list[OrderReport] = []
        after = ""
        for _ in range(_PAGES_MAX):
            answer = await self._rest.ask(page(after))
            ids = [row.ord_id for row in _rows(answer.data, _ORDER_IDS)]
            found += [report async for report in self._read(self._reports, answer.data)]
            if len(ids) < questions.PAGE:
                return found
            after = ids[-1]
        raise ReadError(f"more than {_PAGES_MAX} pages of orders")

    async def _fills(self, page: Callable[[str], RestRequest]) -> list[Fill]:
        found: list[Fill] = []
        after = ""
        for _ in range(_PAGES_MAX):
            answer = await self._rest.ask(page(after))
            ids = [row.bill_id for row in _rows(answer.data, _FILL_IDS)]
            found += [fill async for fill in self._read(self._trades, answer.data)]
            if len(ids) < questions.PAGE:
                return found
            after = ids[-1]
        raise ReadError(f"more than {_PAGES_MAX} pages of fills")

    async def _read(
        self, reader: Callable[[msgspec.Raw], Iterable[Found]], data: msgspec.Raw
    ) -> AsyncIterator[Found]:
        while True:
            try:
                found = list(reader(data))
                break
            except UnknownInstrument as error:
                await self._instruments.learn(error.symbol)
            except WireError as error:
                raise ReadError(str(error)) from None
        for one in found:
            yield one

    def _reports(self, data: msgspec.Raw) -> Iterable[OrderReport]:
        for news in read_orders(data, self._instruments.directory, self._tag):
            yield news.report

    def _payments(self, data: msgspec.Raw) -> Iterable[FundingPayment]:
        return read_funding(data, self._instruments.directory)

    def _trades(self, data: msgspec.Raw) -> Iterable[Fill]:
        return read_fills(data, self._instruments.directory, self._tag)


def _rows(data: msgspec.Raw, decoder: msgspec.json.Decoder[list[Found]]) -> list[Found]:
    try:
        return decode_rows(data, decoder)
    except WireError as error:
        raise ReadError(str(error)) from None


def _same(report: OrderReport, order: CancelOrder) -> bool:
    if order.venue_order_id:
        return report.venue_order_id == order.venue_order_id
    return report.order_id == order.order_id
