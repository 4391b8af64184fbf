"""Trades and positions of a wallet, by the Data API's second version.

Pages are walked by cursor, never by offset: a row that arrives between two pages would shift the
offsets, a row would be read twice, and a count of equal rows would be too high. Before: `http`.
After: ingest's catch-up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tradingtools.domain import errors
from tradingtools.venues.polymarket import numbers
from tradingtools.venues.polymarket.activity import KINDS, decode_activity
from tradingtools.venues.polymarket.http import Http
from tradingtools.venues.polymarket.trade_rows import decode_data_row, decode_page, decode_position
from tradingtools.venues.polymarket.unreadable import Answers
from tradingtools.venues.ports import Position, RowError, TradeRow

_POSITIONS = "/v2/positions"
_VALUE_PATH = "/v2/value"
PAGE = 500
PAGES_MAX = 40


_EVEN_THE_SMALLEST = {"filter_type": "TOKENS", "filter_amount": "0.000001"}


class _Worth(msgspec.Struct, frozen=True):
    proxy_wallet: str
    value: msgspec.Raw


class _Value(msgspec.Struct, frozen=True):
    data: _Worth


_VALUE = msgspec.json.Decoder(_Value)


@dataclass(frozen=True, slots=True)
class Trades:
    """Rows, newest first, and what could not be read, with its reason.

    ``reached_ms`` is None when all were read; else what is older than its second was not, and that
    second perhaps in part.
    """

    rows: tuple[TradeRow, ...]
    rejected: tuple[tuple[str, bytes], ...]
    reached_ms: int | None


class Unreadable(errors.Unavailable):
    """There is an answer, and it cannot be read: asking again at once is of no use."""


class DataApi:
    """Asks the Data API. Every call may raise Unavailable or NotFound."""

    def __init__(self, http: Http, answers: Answers | None = None) -> None:
        self._http = http
        self._answers = Answers() if answers is None else answers

    async def trades(self, wallet: str, since_ms: int, until_ms: int | None = None) -> Trades:
        """Return every trade of a wallet, its maker fills included.

        Args:
            wallet: whose.
            since_ms: from its second on.
            until_ms: to the end of its second; None: to the present.
        """
        # Left to their defaults these hide the fills in which the wallet was the maker, and the
        # smallest ones (below 0.01 shares; 0 means the default).
        desired = {"taker_only": "false", **_EVEN_THE_SMALLEST}
        return await self._rows("/v2/trades", desired, decode_data_row, wallet, since_ms, until_ms)

    async def movements(self, wallet: str, since_ms: int, until_ms: int | None = None) -> Trades:
        """Return what moved a wallet's shares without a trade; the arguments as of `trades`."""
        desired = {"type": ",".join(KINDS)}
        return await self._rows(
            "/v2/activity", desired, decode_activity, wallet, since_ms, until_ms
        )

    async def _rows(
        self,
        path: str,
        desired: dict[str, str],
        decode: Callable[[bytes], TradeRow | None],
        wallet: str,
        since_ms: int,
        until_ms: int | None,
    ) -> Trades:
        rows: list[TradeRow] = []
        rejected: list[tuple[str, bytes]] = []
        params = {"user": wallet, "start": str(since_ms // 1000), "limit": str(PAGE), **desired}
        if until_ms is not None:
            params["end"] = str(until_ms // 1000)
        for _ in range(PAGES_MAX):
            bodies, following = self._page(path, wallet, await self._http.get(path, params))
            refused: list[tuple[RowError, bytes]] = []
            for body in bodies:
                try:
                    row = decode(body)
                except RowError as error:
                    refused.append((error, body))
                    continue
                if row is None:
                    continue
                if row.leader == wallet and row.traded_ms >= since_ms // 1000 * 1000:
                    rows.append(row)
            self._note(path, wallet, len(bodies), [error for error, _ in refused])
            rejected += [(error.reason, body) for error, body in refused]
            if following is None:
                return Trades(tuple(rows), tuple(rejected), reached_ms=None)
            params["cursor"] = following
        # Where not one row can be read, there is nothing that a further walk would find.
        reached_ms = min((row.traded_ms for row in rows), default=since_ms)
        return Trades(tuple(rows), tuple(rejected), reached_ms)

    async def positions(self, wallet: str) -> dict[str, Position]:
        """Return what a wallet holds, by asset.

        Raises:
            Unreadable: a position cannot be read: a baseline with a hole would read as "holds
                nothing".
            Unavailable: there is no answer, or more pages than we walk.
        """
        held: dict[str, Position] = {}
        # What is hidden would read as "holds nothing", too.
        params = {"user": wallet, "limit": str(PAGE), "include_archived": "true"}
        params |= _EVEN_THE_SMALLEST
        for _ in range(PAGES_MAX):
            answer = await self._http.get(_POSITIONS, params)
            bodies, following = self._page(_POSITIONS, wallet, answer)
            refused = []
            for body in bodies:
                try:
                    asset, position = decode_position(body)
                except RowError as error:
                    refused.append(error)
                    continue
                held[asset] = position
            self._note(_POSITIONS, wallet, len(bodies), refused)
            if refused:
                raise _unreadable(str(refused[0]))
            if following is None:
                return held
            params["cursor"] = following
        raise errors.Unavailable(
            f"data api: more than {PAGES_MAX} pages", dependency="data api", retry_after_ms="1000"
        )

    async def value(self, wallet: str) -> int:
        """Return what a wallet's positions are worth, USDC 1e-6. Its cash is no part of it.

        Raises Unavailable, also for an answer that is none or about another wallet.
        """
        body = await self._http.get(_VALUE_PATH, {"user": wallet})
        try:
            worth = _VALUE.decode(body).data
            value = numbers.rounded("value", numbers.text(worth.value))
            if worth.proxy_wallet.lower() != wallet:
                raise numbers.NumberError("value is that of another wallet")
        except (msgspec.DecodeError, UnicodeDecodeError, numbers.NumberError) as error:
            self._answers.note(_VALUE_PATH, wallet, refused=1, why=str(error))
            raise _unreadable(str(error)) from error
        self._answers.note(_VALUE_PATH, wallet, read=1)
        return value

    def _page(self, path: str, wallet: str, body: bytes) -> tuple[list[bytes], str | None]:
        try:
            rows, following = decode_page(body)
        except RowError as error:
            self._answers.note(path, wallet, refused=1, why=str(error))
            raise _unreadable(str(error)) from error
        return [bytes(row) for row in rows], following

    def _note(self, path: str, wallet: str, rows: int, refused: list[RowError]) -> None:
        self._answers.note(
            path,
            wallet,
            read=rows - len(refused),
            refused=len(refused),
            why=str(refused[0]) if refused else "",
        )


def _unreadable(detail: str) -> Unreadable:
    return Unreadable(f"data api: {detail}", dependency="data api", retry_after_ms="1000")
