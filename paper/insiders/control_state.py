"""State that the control port sets, capabilities, books and faults; it survives a restart.

A test that kills this process must find it misbehaving as before. The server reads it for each
request, the control port changes it; the settings are only what it starts with.
"""

from __future__ import annotations

import msgspec

from paper.insiders.books import Books, parse_book, show_book
from paper.insiders.core.admission import Capabilities
from paper.insiders.core.faults import Fault, FaultPlan, Route, plan
from paper.insiders.core.model import MarketBook
from paper.insiders.exchange import Exchange
from paper.insiders.store import Store
from paper.insiders.tables import journal
from paper.insiders.wire import parse_capabilities, show_capabilities

_BOOK = "book:"
_json = msgspec.json.encode


class ControlState:
    """The switches, in memory for the hot path and in the store for the next life."""

    def __init__(self, *, store: Store, exchange: Exchange, books: Books) -> None:
        self._store = store
        self._exchange = exchange
        self._books = books
        self.faults: tuple[Fault, ...] = ()

    async def restore(self) -> None:
        """Take up what an earlier life of this process was told."""
        control = await self._store.run(journal.all_control)
        for name, text in control.items():
            if name == "capabilities":
                given = msgspec.json.decode(text, type=dict[str, object])
                self._exchange.capabilities = parse_capabilities(given, self.capabilities)
            elif name == "faults":
                self.faults = msgspec.json.decode(text, type=tuple[Fault, ...])
            elif name.startswith(_BOOK):
                asset_id = name.removeprefix(_BOOK)
                given = msgspec.json.decode(text, type=dict[str, object])
                self._books.reported[asset_id] = parse_book(asset_id, given)

    @property
    def capabilities(self) -> Capabilities:
        """The four switches now."""
        return self._exchange.capabilities

    async def set_capabilities(self, capabilities: Capabilities) -> None:
        """Set the four switches."""
        await self._save("capabilities", _json(show_capabilities(capabilities)).decode())
        self._exchange.capabilities = capabilities

    def book(self, asset_id: str) -> MarketBook | None:
        """The book that was told of an asset."""
        return self._books.reported.get(asset_id)

    async def set_book(self, book: MarketBook) -> None:
        """Override the book of an asset."""
        await self._save(_BOOK + book.asset_id, _json(show_book(book)).decode())
        self._books.reported[book.asset_id] = book

    async def forget_book(self, asset_id: str) -> None:
        """Go back to the source's book."""
        await self._save(_BOOK + asset_id, None)
        self._books.reported.pop(asset_id, None)

    async def set_faults(self, faults: tuple[Fault, ...]) -> None:
        """Replace the faults."""
        await self._save("faults", _json(faults).decode())
        self.faults = faults

    def next_plan(self, route: Route, body: str) -> FaultPlan:
        """Return what happens to the request that has just arrived; uses up what it takes."""
        if not self.faults:
            return FaultPlan()
        chosen, self.faults = plan(self.faults, route, body)
        text = _json(self.faults).decode()
        self._store.submit(lambda db: journal.put_control(db, "faults", text))
        return chosen

    async def _save(self, name: str, value: str | None) -> None:
        await self._store.run(lambda db: journal.put_control(db, name, value))
