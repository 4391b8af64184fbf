"""The control port: what tests and operators tell the exchange, and what they ask.

Bound to loopback beside the exchange and no part of what OKX serves. Bodies are JSON; an unknown
field is refused, because a misspelt wish must not look like a granted one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from paper.okx.commands import (
    AccountCommand,
    BookCommand,
    DepositCommand,
    DropCommand,
    FaultCommand,
    FundingCommand,
    PriceCommand,
    PrintCommand,
    PushesCommand,
    RunningCommand,
    StateCommand,
)
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

    def open_account(self, command: AccountCommand) -> None:
        """Add an account. Raises ValueError naming what is wrong."""
        if self.has_account(command.name):
            raise ValueError(f"name: there is an account {command.name}")
        amounts = {currency: exact(text) for currency, text in command.deposits.items()}
        self._exchange.open_account(command.name, mode=command.mode, level=command.level)
        for currency, amount in amounts.items():
            self._exchange.deposit(command.name, currency, amount, self._now_ms())
        for key in command.keys:
            self._keys[key.apiKey] = Key(
                api_key=key.apiKey,
                secret=key.secret,
                passphrase=key.passphrase,
                account=command.name,
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
            ("/accounts", AccountCommand, self._open),
            ("/deposits", DepositCommand, self._deposit),
            ("/faults", FaultCommand, self._fault),
            ("/pushes", PushesCommand, self._pushes),
            ("/drop", DropCommand, self._drop),
            ("/books", BookCommand, self._book),
            ("/prints", PrintCommand, self._print),
            ("/marks", PriceCommand, self._mark),
            ("/indexes", PriceCommand, self._index),
            ("/funding", FundingCommand, self._fund),
            ("/states", StateCommand, self._state),
            ("/running", RunningCommand, self._run),
        )
        for path, kind, handler in wishes:
            app.router.add_post(path, self._command(kind, handler))
        return app

    def _command(
        self, kind: type[T], handler: Callable[[T], Json]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.Response:
            command = msgspec.json.decode(await request.read(), type=kind)
            answer = handler(command)
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

    def _open(self, command: AccountCommand) -> Json:
        self.open_account(command)
        return {"name": command.name}

    def _deposit(self, command: DepositCommand) -> Json:
        self._exchange.deposit(
            self._account(command.account), command.ccy, exact(command.amt), self._now_ms()
        )
        return {}

    def _fault(self, command: FaultCommand) -> Json:
        self._count += 1
        fault = Fault(
            number=self._count,
            kind=command.kind,
            op=command.op,
            times=command.times,
            ms=command.ms,
            code=command.code,
            status=command.status,
            skip=command.skip,
        )
        self._faults = (*self._faults, fault)
        return {"number": fault.number}

    def _pushes(self, command: PushesCommand) -> Json:
        account = self._account(command.account)
        self._hub.hold_ms[account] = command.hold_ms
        self._hub.repeat[account] = command.repeat
        self._hub.lose[account] = command.lose
        self._hub.jumble(account, holds=command.jumble)
        return {}

    def _drop(self, command: DropCommand) -> Json:
        return {"dropped": self._hub.drop(command.account)}

    def _book(self, command: BookCommand) -> Json:
        of, now_ms = self._instrument(command.instId), self._now_ms()
        if command.sequence == "gap":
            self._publisher.skip[of.inst_id] = 1
        elif command.sequence == "quiet":
            self._publisher.quiet(of.inst_id, now_ms)
        elif command.sequence == "reset":
            self._publisher.reset(of.inst_id, 1, now_ms)
        if command.bids is not None or command.asks is not None:
            if command.bids is None or command.asks is None:
                raise ValueError("bids and asks: give both, an empty list for an empty side")
            sides = [
                [(of.ticks(price), of.lots(size)) for price, size in side]
                for side in (command.bids, command.asks)
            ]
            self._exchange.market_book(of.inst_id, sides[0], sides[1], now_ms)
        return {}

    def _print(self, command: PrintCommand) -> Json:
        of = self._instrument(command.instId)
        price, lots = of.ticks(command.px), of.lots(command.sz)
        self._exchange.market_print(of.inst_id, command.side, price, lots, self._now_ms())
        return {}

    def _mark(self, command: PriceCommand) -> Json:
        of = self._instrument(command.instId)
        self._exchange.mark(of.inst_id, of.ticks(command.px), self._now_ms())
        return {}

    def _index(self, command: PriceCommand) -> Json:
        self._world.indexes[command.instId] = exact(command.px)
        self._publisher.index_changed(command.instId, self._now_ms())
        return {}

    def _fund(self, command: FundingCommand) -> Json:
        funding = self._world.funding.get(self._instrument(command.instId).inst_id)
        if funding is None:
            raise ValueError("instId: it has no funding")
        now_ms = self._now_ms()
        funding.rate = exact(command.rate) * 10**9 // ONE
        self._publisher.funding_changed(command.instId, now_ms)
        if command.due:
            funding.at_ms = now_ms
            self._exchange.at(now_ms)
        return {}

    def _state(self, command: StateCommand) -> Json:
        of = self._instrument(command.instId)
        self._exchange.set_state(of.inst_id, command.state, self._now_ms())
        return {}

    def _run(self, command: RunningCommand) -> Json:
        if command.feed is not None:
            (self._feeding.running.set if command.feed else self._feeding.running.clear)()
        if command.limits is not None:
            self._desk.limited = command.limits
        if command.parts is not None:
            if not 1 <= command.parts <= 100:
                raise ValueError("parts: must be from 1 to 100")
            self._exchange.trading.parts = command.parts
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
