"""The control port: what tests and operators tell the exchange, and what they ask.

Bound to loopback beside the exchange and no part of what OKX serves. Bodies are JSON; an unknown
field is refused, because a misspelt wish must not look like a granted one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from paper.okx.core.amounts import ONE, exact, show
from paper.okx.core.auth import Key
from paper.okx.core.exchange import Exchange
from paper.okx.core.faults import Fault, take
from paper.okx.core.instruments import Instrument
from paper.okx.desk import Desk
from paper.okx.feed.drivers import Feeding
from paper.okx.hub import Hub
from paper.okx.journal import Journal
from paper.okx.publisher import Publisher
from paper.okx.wire.envelope import Json
from paper.okx.wishes import (
    AccountWish,
    BookWish,
    DepositWish,
    DropWish,
    FaultWish,
    FundingWish,
    PriceWish,
    PrintWish,
    PushesWish,
    RunningWish,
    StateWish,
)

T = TypeVar("T")


class Control:
    """Handlers of the control port."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        desk: Desk,
        keys: dict[str, Key],
        hub: Hub,
        publisher: Publisher,
        journal: Journal,
        feeding: Feeding,
        now_ms: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._world = exchange.world
        self._desk = desk
        self._keys = keys
        self._hub = hub
        self._publisher = publisher
        self._journal = journal
        self._feeding = feeding
        self._now_ms = now_ms
        self._faults: tuple[Fault, ...] = ()
        self._count = 0

    def next_fault(self, op: str, path: str) -> Fault | None:
        """The fault of a request that has come."""
        chosen, self._faults = take(self._faults, op, path)
        return chosen

    def has_account(self, name: str) -> bool:
        """Return whether there is such an account."""
        return name in self._world.ledger.accounts

    def open_account(self, wish: AccountWish) -> None:
        """Add an account. Raises ValueError naming what is wrong."""
        if self.has_account(wish.name):
            raise ValueError(f"name: there is an account {wish.name}")
        amounts = {currency: exact(text) for currency, text in wish.deposits.items()}
        self._exchange.open_account(wish.name, mode=wish.mode, level=wish.level)
        for currency, amount in amounts.items():
            self._exchange.deposit(wish.name, currency, amount, self._now_ms())
        for key in wish.keys:
            self._keys[key.apiKey] = Key(
                api_key=key.apiKey,
                secret=key.secret,
                passphrase=key.passphrase,
                account=wish.name,
                permissions=key.permissions,
                demo=key.demo,
                ip=key.ip,
            )

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[_say_what_is_wrong])
        app.router.add_get("/health", self._health)
        app.router.add_get("/journal", self._show_journal)
        app.router.add_get("/ledger", self._show_ledger)
        app.router.add_delete("/faults", self._clear)
        wishes: tuple[tuple[str, type[msgspec.Struct], Callable[..., Json]], ...] = (
            ("/accounts", AccountWish, self._open),
            ("/deposits", DepositWish, self._deposit),
            ("/faults", FaultWish, self._fault),
            ("/pushes", PushesWish, self._pushes),
            ("/drop", DropWish, self._drop),
            ("/books", BookWish, self._book),
            ("/prints", PrintWish, self._print),
            ("/marks", PriceWish, self._mark),
            ("/indexes", PriceWish, self._index),
            ("/funding", FundingWish, self._fund),
            ("/states", StateWish, self._state),
            ("/running", RunningWish, self._run),
        )
        for path, kind, handler in wishes:
            app.router.add_post(path, self._wish(kind, handler))
        return app

    def _wish(
        self, kind: type[T], handler: Callable[[T], Json]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.Response:
            wish = msgspec.json.decode(await request.read(), type=kind)
            answer = handler(wish)
            self._publisher.flush(self._now_ms())
            return web.json_response(answer)

        return handle

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _show_journal(self, request: web.Request) -> web.Response:
        after, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "1000"))
        body = msgspec.json.encode(self._journal.after(after, min(limit, 10_000)))
        return web.Response(body=body, content_type="application/json")

    async def _show_ledger(self, _: web.Request) -> web.Response:
        ledger, marks = self._world.ledger, self._world.marks
        shown = {
            currency: {
                "putIn": show(amount),
                "total": show(ledger.total(currency, marks)),
                "fees": show(ledger.fees[currency]),
                "insurance": show(ledger.insurance[currency]),
                "market": show(ledger.market[currency]),
            }
            for currency, amount in ledger.put_in.items()
        }
        return web.json_response(shown)

    async def _clear(self, _: web.Request) -> web.Response:
        self._faults = ()
        for toward in (self._hub.hold_ms, self._hub.lose, self._hub.repeat, self._publisher.skip):
            toward.clear()
        return web.json_response({})

    def _open(self, wish: AccountWish) -> Json:
        self.open_account(wish)
        return {"name": wish.name}

    def _deposit(self, wish: DepositWish) -> Json:
        self._exchange.deposit(
            self._account(wish.account), wish.ccy, exact(wish.amt), self._now_ms()
        )
        return {}

    def _fault(self, wish: FaultWish) -> Json:
        self._count += 1
        fault = Fault(
            number=self._count,
            kind=wish.kind,
            op=wish.op,
            times=wish.times,
            ms=wish.ms,
            code=wish.code,
            status=wish.status,
            skip=wish.skip,
        )
        self._faults = (*self._faults, fault)
        return {"number": fault.number}

    def _pushes(self, wish: PushesWish) -> Json:
        account = self._account(wish.account)
        self._hub.hold_ms[account] = wish.hold_ms
        self._hub.repeat[account] = wish.repeat
        self._hub.lose[account] = wish.lose
        self._hub.jumble(account, holds=wish.jumble)
        return {}

    def _drop(self, wish: DropWish) -> Json:
        return {"dropped": self._hub.drop(wish.account)}

    def _book(self, wish: BookWish) -> Json:
        of, now_ms = self._instrument(wish.instId), self._now_ms()
        if wish.sequence == "gap":
            self._publisher.skip[of.inst_id] = 1
        elif wish.sequence == "quiet":
            self._publisher.quiet(of.inst_id, now_ms)
        elif wish.sequence == "reset":
            self._publisher.reset(of.inst_id, 1, now_ms)
        if wish.bids is not None or wish.asks is not None:
            if wish.bids is None or wish.asks is None:
                raise ValueError("bids and asks: give both, an empty list for an empty side")
            sides = [
                [(of.ticks(price), of.lots(size)) for price, size in side]
                for side in (wish.bids, wish.asks)
            ]
            self._exchange.market_book(of.inst_id, sides[0], sides[1], now_ms)
        return {}

    def _print(self, wish: PrintWish) -> Json:
        of = self._instrument(wish.instId)
        price, lots = of.ticks(wish.px), of.lots(wish.sz)
        self._exchange.market_print(of.inst_id, wish.side, price, lots, self._now_ms())
        return {}

    def _mark(self, wish: PriceWish) -> Json:
        of = self._instrument(wish.instId)
        self._exchange.mark(of.inst_id, of.ticks(wish.px), self._now_ms())
        return {}

    def _index(self, wish: PriceWish) -> Json:
        self._world.indexes[wish.instId] = exact(wish.px)
        self._publisher.index_changed(wish.instId, self._now_ms())
        return {}

    def _fund(self, wish: FundingWish) -> Json:
        funding = self._world.funding.get(self._instrument(wish.instId).inst_id)
        if funding is None:
            raise ValueError("instId: it has no funding")
        now_ms = self._now_ms()
        funding.rate = exact(wish.rate) * 10**9 // ONE
        self._publisher.funding_changed(wish.instId, now_ms)
        if wish.due:
            funding.at_ms = now_ms
            self._exchange.at(now_ms)
        return {}

    def _state(self, wish: StateWish) -> Json:
        of = self._instrument(wish.instId)
        self._exchange.set_state(of.inst_id, wish.state, self._now_ms())
        return {}

    def _run(self, wish: RunningWish) -> Json:
        if wish.feed is not None:
            (self._feeding.running.set if wish.feed else self._feeding.running.clear)()
        if wish.limits is not None:
            self._desk.limited = wish.limits
        if wish.parts is not None:
            if not 1 <= wish.parts <= 100:
                raise ValueError("parts: must be from 1 to 100")
            self._exchange.trading.parts = wish.parts
        return {}

    def _account(self, name: str) -> str:
        if name not in self._world.ledger.accounts:
            raise ValueError(f"account: there is no {name!r}")
        return name

    def _instrument(self, name: str) -> Instrument:
        of = self._world.instruments.get(name)
        if of is None:
            raise ValueError(f"instId: there is no {name!r}")
        return of


@web.middleware
async def _say_what_is_wrong(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (ValueError, msgspec.MsgspecError) as error:
        return web.json_response({"error": str(error)}, status=400)
