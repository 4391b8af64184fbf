"""The account by REST: configuration, balance, positions, leverage, margin, fees, bills."""

from __future__ import annotations

from paper.okx.call import Call, Route, per_2s
from paper.okx.core import funds
from paper.okx.core.amounts import ONE, exact, show
from paper.okx.core.codes import Refusal
from paper.okx.core.exchange import Exchange
from paper.okx.core.instruments import Instrument
from paper.okx.core.margin import Position
from paper.okx.rest_public import PublicRest
from paper.okx.wire import accounts, positions
from paper.okx.wire.envelope import Json, done

_MODES = ("cross", "isolated")


class AccountRest:
    """Handlers of `/api/v5/account`."""

    def __init__(self, exchange: Exchange, public: PublicRest) -> None:
        self._exchange = exchange
        self._world = exchange.world
        self._public = public

    def routes(self) -> list[Route]:
        """The routes with their limits."""
        read = (
            ("config", self._config, 5),
            ("balance", self._balance, 10),
            ("positions", self._positions, 10),
            ("leverage-info", self._leverage, 20),
            ("trade-fee", self._fees, 5),
            ("bills", self._bills, 5),
            ("bills-archive", self._bills, 5),
            ("instruments", self._public.instruments, 20),
            ("max-size", self._max_size, 20),
            ("max-avail-size", self._max_avail_size, 20),
        )
        write = (
            ("set-leverage", self._set_leverage, 20),
            ("set-position-mode", self._set_position_mode, 5),
            ("position/margin-balance", self._move_margin, 20),
        )
        return [
            *(
                Route(method="GET", path=f"/api/v5/account/{p}", handler=h, limit=per_2s(n))
                for p, h, n in read
            ),
            *(
                Route(
                    method="POST",
                    path=f"/api/v5/account/{p}",
                    handler=h,
                    trade=True,
                    limit=per_2s(n),
                )
                for p, h, n in write
            ),
        ]

    def _config(self, call: Call) -> Json:
        account = self._world.account(call.account)
        key = call.key
        permissions = () if key is None else key.permissions
        return done([accounts.config_row(account, permissions, "" if key is None else key.ip)])

    def _balance(self, call: Call) -> Json:
        account = self._world.account(call.account)
        desired = [one for one in call.query.get("ccy", "").split(",") if one]
        return done([accounts.balance_row(self._world, account, desired)])

    def _positions(self, call: Call) -> Json:
        account = self._world.account(call.account)
        return done(
            [
                positions.position_row(self._world, account, position)
                for position in account.positions.values()
                if position.lots and self._is_wanted(call, position)
            ]
        )

    def _is_wanted(self, call: Call, position: Position) -> bool:
        of = position.instrument
        names = [one for one in call.query.get("instId", "").split(",") if one]
        ids = [one for one in call.query.get("posId", "").split(",") if one]
        return (
            call.query.get("instType", "") in ("", of.kind)
            and (not names or of.inst_id in names)
            and (not ids or self._world.shown_id(position.pos_id) in ids)
        )

    def _contract(self, name: str) -> Instrument:
        of = self._world.instruments.get(name)
        if of is None or not of.is_contract:
            raise Refusal("51001")
        return of

    def _leverage(self, call: Call) -> Json:
        mode = call.needs("mgnMode")
        if mode not in _MODES:
            raise Refusal("51000", "mgnMode")
        account = self._world.account(call.account)
        names = [one for one in call.needs("instId").split(",") if one]
        return done(
            [
                accounts.leverage_row(self._contract(name), mode, account.leverage(name, mode))
                for name in names
            ]
        )

    def _set_leverage(self, call: Call) -> Json:
        row = call.row
        name, mode, text = (str(row.get(one, "")) for one in ("instId", "mgnMode", "lever"))
        if mode not in _MODES:
            raise Refusal("51000", "mgnMode")
        if str(row.get("posSide", "")) not in ("", "net"):
            raise Refusal("51000", "posSide")
        of = self._contract(name)
        try:
            leverage, rest = divmod(exact(text), ONE)
        except ValueError:
            raise Refusal("51000", "lever") from None
        if rest:
            raise Refusal("51000", "lever")
        self._exchange.set_leverage(call.account, name, mode, leverage, call.now_ms)
        return done([accounts.leverage_row(of, mode, leverage)])

    def _set_position_mode(self, call: Call) -> Json:
        mode = str(call.row.get("posMode", ""))
        if mode != "net_mode":
            # Only net positions are kept here.
            raise Refusal("51000", "posMode")
        return done([{"posMode": mode}])

    def _move_margin(self, call: Call) -> Json:
        row = call.row
        kind = str(row.get("type", ""))
        if kind not in ("add", "reduce"):
            raise Refusal("51000", "type")
        try:
            amount = exact(str(row.get("amt", "")))
        except ValueError:
            raise Refusal("51000", "amt") from None
        if amount <= 0:
            raise Refusal("51000", "amt")
        name = str(row.get("instId", ""))
        of = self._contract(name)
        position = self._exchange.move_margin(
            call.account, name, amount if kind == "add" else -amount, call.now_ms
        )
        return done(
            [
                {
                    "amt": show(amount),
                    "ccy": of.settle,
                    "instId": name,
                    "leverage": str(position.leverage),
                    "posSide": "net",
                    "type": kind,
                }
            ]
        )

    def _fees(self, call: Call) -> Json:
        kind = call.needs("instType")
        return done([accounts.fee_row(self._world.account(call.account), kind, call.now_ms)])

    def _bills(self, call: Call) -> Json:
        desired = call.query
        after = desired.get("after", "")
        found = [
            accounts.bill_row(self._world, bill)
            for bill in reversed(self._world.bills[call.account])
            if desired.get("ccy", "") in ("", bill.currency)
            and desired.get("type", "") in ("", bill.kind)
            and (not after.isdigit() or int(self._world.shown_id(bill.bill_id)) < int(after))
        ]
        return done(found[:100])

    def _max_avail_size(self, call: Call) -> Json:
        mode = call.needs("tdMode")
        rows = []
        for name in call.needs("instId").split(","):
            of = self._world.instruments.get(name)
            if of is None:
                raise Refusal("51001")
            buy, sell = self._free(call.account, of, mode)
            rows.append({"availBuy": show(buy), "availSell": show(sell), "instId": name})
        return done(rows)

    def _max_size(self, call: Call) -> Json:
        mode = call.needs("tdMode")
        rows = []
        for name in call.needs("instId").split(","):
            of = self._world.instruments.get(name)
            if of is None:
                raise Refusal("51001")
            buy, sell = self._free(call.account, of, mode)
            if of.is_contract:
                account = self._world.account(call.account)
                unit = of.notional(1, self._world.marks[name])
                leverage = account.leverage(name, mode)
                rate = account.fees.rate(contract=True, maker=False)
                each = unit * (10**6 + rate * leverage) // (leverage * 10**6) + 1
                buy = sell = buy // each * of.lot
            rows.append(
                {"ccy": of.settle, "instId": name, "maxBuy": show(buy), "maxSell": show(sell)}
            )
        return done(rows)

    def _free(self, name: str, of: Instrument, mode: str) -> tuple[int, int]:
        """Return what buys and sells of an instrument may bind."""
        account, orders = self._world.account(name), self._world.open_orders(name)
        count = funds.available if mode == "cross" else funds.available_cash
        marks = self._world.marks
        buy = max(0, count(account, orders, of.settle, marks))
        if of.is_contract:
            return buy, buy
        return buy, max(0, count(account, orders, of.base, marks))
