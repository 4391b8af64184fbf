"""What a wallet traded and holds, by the Data API's second version.

Pages are walked by cursor, never by offset: a row that arrives between two pages would shift the
offsets, a row would be read twice, and a count of equal rows would be too high. Before: `http`.
After: ingest's catch-up.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingtools.adapters.polymarket.http import Http
from tradingtools.adapters.polymarket.trades import (
    RowError,
    TradeRow,
    decode_data_row,
    decode_page,
    decode_position,
)
from tradingtools.domain import errors

PAGE = 500
PAGES_MAX = 40


@dataclass(frozen=True, slots=True)
class Trades:
    """Rows, newest first; what could not be read, with its reason; whether all pages were read."""

    rows: tuple[TradeRow, ...]
    rejected: tuple[tuple[str, bytes], ...]
    complete: bool


class DataApi:
    """Asks the Data API. Every call may raise Unavailable or NotFound."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def trades(self, wallet: str, since_ms: int) -> Trades:
        """Every trade of a wallet from the second of ``since_ms`` on, its maker fills included."""
        rows: list[TradeRow] = []
        rejected: list[tuple[str, bytes]] = []
        params = {
            "user": wallet,
            # Left to its default this hides the fills in which the wallet was the maker.
            "taker_only": "false",
            "start": str(since_ms // 1000),
            "limit": str(PAGE),
        }
        for _ in range(PAGES_MAX):
            bodies, following = self._page(await self._http.get("/v2/trades", params))
            for body in bodies:
                try:
                    row = decode_data_row(body)
                except RowError as error:
                    rejected.append((error.reason, bytes(body)))
                    continue
                if row.leader == wallet and row.traded_ms >= since_ms // 1000 * 1000:
                    rows.append(row)
            if following is None:
                return Trades(tuple(rows), tuple(rejected), complete=True)
            params["cursor"] = following
        return Trades(tuple(rows), tuple(rejected), complete=False)

    async def positions(self, wallet: str) -> dict[str, int]:
        """Shares held of each asset, 1e-6.

        Raises:
            Unavailable: also for a position that cannot be read, and for more pages than we walk:
                a baseline with a hole would read as "holds nothing".
        """
        held: dict[str, int] = {}
        params = {"user": wallet, "limit": str(PAGE)}
        for _ in range(PAGES_MAX):
            bodies, following = self._page(await self._http.get("/v2/positions", params))
            for body in bodies:
                try:
                    asset, size = decode_position(body)
                except RowError as error:
                    raise _unreadable(str(error)) from error
                held[asset] = size
            if following is None:
                return held
            params["cursor"] = following
        raise _unreadable(f"more than {PAGES_MAX} pages")

    @staticmethod
    def _page(body: bytes) -> tuple[list[bytes], str | None]:
        try:
            rows, following = decode_page(body)
        except RowError as error:
            raise _unreadable(str(error)) from error
        return [bytes(row) for row in rows], following


def _unreadable(detail: str) -> errors.Unavailable:
    return errors.Unavailable(f"data api: {detail}", dependency="data api", retry_after_ms="1000")
