"""The account of one wallet: its orders, fills, money and shares, and what happens to it.

Reading is the only thing that resolves a doubt, so whatever cannot be read in full is an error and
never a shorter list. Before: `order_transport`, the Data API. After: who owns the wallet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from tradingtools import clock
from tradingtools.domain import errors
from tradingtools.domain.money import MICROS
from tradingtools.tasks import run_in_background
from tradingtools.venues.polymarket import numbers, order_requests
from tradingtools.venues.polymarket.account_rows import (
    Facts,
    OrderRow,
    Owner,
    RowUnreadable,
    TradeRow,
    fills,
    report,
)
from tradingtools.venues.polymarket.data_api import DataApi
from tradingtools.venues.polymarket.order_index import OrderIndex, TradingWallet
from tradingtools.venues.polymarket.order_requests import FIRST_PAGE, LAST_PAGE, ClobRequest
from tradingtools.venues.polymarket.order_transport import NoAnswer, PrivateClob, SigningError
from tradingtools.venues.polymarket.trading_instruments import instrument_id
from tradingtools.venues.polymarket.user_socket import UserSocket
from tradingtools.venues.trading import (
    AccountEvent,
    AccountPosition,
    AccountState,
    Balance,
    CancelOrder,
    Fill,
    FundingPayment,
    OrderReport,
    ReadError,
)

SETTLES_WITHIN_MS = 600_000
"""A trade that was matched earlier has been settled, or has failed."""
_PAGES_MAX = 200

Row = TypeVar("Row")


class _Page(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw] | None
    next_cursor: str


class _Balance(msgspec.Struct, frozen=True):
    balance: msgspec.Raw


_PAGE = msgspec.json.Decoder(_Page)
_BALANCE = msgspec.json.Decoder(_Balance)
_ORDER = msgspec.json.Decoder(OrderRow)
_TRADE = msgspec.json.Decoder(TradeRow)
_UNREADABLE = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
    numbers.NumberError,
    RowUnreadable,
)


class PolymarketAccounts:
    """Reads the account of one wallet.

    Args:
        clob: signs and sends requests.
        data_api: knows the shares, which the CLOB does not list.
        socket: the user channel.
        wallet: whose account.
        api_key: the key's name.
        facts: what is known of an asset.
        index: our orders by hash, shared with the gateway.
    """

    def __init__(
        self,
        clob: PrivateClob,
        data_api: DataApi,
        socket: UserSocket,
        *,
        wallet: TradingWallet,
        api_key: str,
        facts: Facts,
        index: OrderIndex,
    ) -> None:
        self._clob = clob
        self._data_api = data_api
        self._socket = socket
        self._wallet = wallet
        self._owner = Owner(api_key=api_key, address=wallet.address)
        self._facts = facts
        self._index = index

    async def open_orders(self) -> Sequence[OrderReport]:
        """Return all resting orders, strangers' too. Raises ReadError."""
        rows = await self._pages(order_requests.open_orders, _ORDER)
        return [_read(report, row, self._index) for row in rows]

    async def find(self, order: CancelOrder) -> OrderReport | None:
        """Return the order, resting or ended; None: the venue says that there is none. Raises
        ReadError."""
        found = order.venue_order_id or self._index.venue_order_id(order.order_id)
        if not found:
            raise ReadError("neither the order's hash nor the order is known")
        status, body = await self._ask(order_requests.order(found), (200, 404))
        if status == 404 or body.strip() in (b"", b"null", b"{}"):
            return None
        row = _decoded(_ORDER, body)
        if row.id != found:
            raise ReadError("the answer is about another order")
        return _read(report, row, self._index)

    async def fills(self, since_ms: int) -> Sequence[Fill]:
        """Return every fill from that instant of the venue's clock on, oldest first; earlier ones
        that may have failed since are among them. Raises ReadError."""
        after_s = max(0, since_ms - SETTLES_WITHIN_MS) // 1000

        def requested(cursor: str) -> ClobRequest:
            return order_requests.trades(self._wallet.address, after_s=after_s, cursor=cursor)

        found: list[Fill] = []
        for row in await self._pages(requested, _TRADE):
            try:
                found += fills(row, self._owner, self._index, self._facts)
            except RowUnreadable as error:
                raise ReadError(str(error)) from None
        return sorted(found, key=lambda fill: fill.venue_ms)

    async def funding(self, since_ms: int) -> Sequence[FundingPayment]:  # noqa: ARG002
        """Return nothing: shares pay no funding."""
        return ()

    async def state(self) -> AccountState:
        """Return USDC, less what resting buys may cost, and the shares that are held. Raises
        ReadError."""
        at_ms = clock.now_ms()
        resting = await self.open_orders()
        _, body = await self._ask(order_requests.balance(self._wallet.signature_type), (200,))
        try:
            total = int(numbers.text(_decoded(_BALANCE, body).balance))
            held = await self._data_api.positions(self._wallet.address.lower())
        except ValueError as error:
            raise ReadError(f"balance: {error}") from None
        except (errors.Unavailable, errors.NotFound) as error:
            raise ReadError(str(error)) from error
        bound = sum(
            -(-(order.size - order.filled_size) * order.price // MICROS)
            for order in resting
            if order.side == "BUY"
        )
        usdc = Balance(
            currency="USDC",
            total=Decimal(total).scaleb(-6),
            available=Decimal(max(0, total - bound)).scaleb(-6),
        )
        positions = tuple(
            AccountPosition(
                instrument_id=instrument_id(asset), size=held[asset].size_micros, entry_price=None
            )
            for asset in sorted(held)
        )
        return AccountState(balances=(usdc,), positions=positions, venue_ms=at_ms)

    async def events(self) -> AsyncIterator[AccountEvent]:
        """Tell what happens to the wallet, beginning with Connected, for ever."""
        queue: asyncio.Queue[AccountEvent] = asyncio.Queue()
        run = self._socket.run(queue.put_nowait, self._owner, self._index, self._facts)
        async with run_in_background(run):
            while True:
                yield await queue.get()

    async def _pages(
        self, requested: Callable[[str], ClobRequest], decoder: msgspec.json.Decoder[Row]
    ) -> list[Row]:
        rows: list[Row] = []
        cursor = FIRST_PAGE
        for _ in range(_PAGES_MAX):
            _, body = await self._ask(requested(cursor), (200,))
            page = _decoded(_PAGE, body)
            rows += [_decoded(decoder, raw) for raw in page.data or []]
            cursor = page.next_cursor
            if cursor in (LAST_PAGE, ""):
                return rows
        raise ReadError(f"more than {_PAGES_MAX} pages")

    async def _ask(self, request: ClobRequest, good: tuple[int, ...]) -> tuple[int, bytes]:
        try:
            answer = await self._clob.send(request)
        except SigningError as error:
            raise ReadError(f"not signed: {error}") from error
        if isinstance(answer, NoAnswer):
            raise ReadError(f"{request.path}: {answer.detail}")
        if answer.status not in good:
            raise ReadError(f"{request.path}: status {answer.status}")
        return answer.status, answer.body


def _decoded(decoder: msgspec.json.Decoder[Row], body: bytes | msgspec.Raw) -> Row:
    try:
        return decoder.decode(body)
    except _UNREADABLE as error:
        raise ReadError(str(error)) from None


def _read(
    reader: Callable[[OrderRow, OrderIndex], OrderReport], row: OrderRow, index: OrderIndex
) -> OrderReport:
    try:
        return reader(row, index)
    except RowUnreadable as error:
        raise ReadError(str(error)) from None
