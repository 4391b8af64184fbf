"""Bots in PostgreSQL, as people make, want and see them.

No copy is decided by a bot, so nothing here takes the lock of the copies' settings.
"""

from __future__ import annotations

from psycopg.types.json import Jsonb

from services.control.bots import codec
from services.control.bots.codec import NewBot
from services.control.bots.rules import Command, refused
from services.control.paging import Key
from services.control.parsing import refuse
from services.control.preconditions import refuse_other_version
from services.control.store import Row, Store, queries
from tradingtools.domain.bot_order_states import FOR_OPERATORS
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.errors import Conflict, NotFound, RequestIdReused, WrongState
from tradingtools.v1 import bot_service_pb2 as pb

_SQL = queries("bots/queries")
_ONE = _SQL["bots"] + "\n" + _SQL["one"]
_PAGE = _SQL["bots"] + "\n" + _SQL["page"]


class Bots:
    """Bots in a store.

    Args:
        store: of the rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, actor: str, new: NewBot) -> str:
        """Make a bot that is IDLE; return its id, or that of what the same request made before.

        Args:
            actor: the id of the caller's token.
            new: what is asked for.

        Raises:
            NotFound: the tenant has no such wallet.
            InvalidField: an instrument is of another exchange than the wallet.
            WrongState: the wallet is retired.
            Conflict: the name is taken.
            RequestIdReused: the key came with another request.
        """
        known = await self._known(new)
        if known is not None:
            return known
        await self._check_wallet(new)
        made = await self._store.write(
            _SQL["create"],
            id=new.id, tenant=new.tenant, name=new.name, wallet_id=new.wallet_id,
            strategy=new.strategy, config=Jsonb(new.config), instruments=list(new.instruments),
            limits=Jsonb(new.limits), request_key=new.request_key, request_hash=new.request_hash,
            actor=actor,
        )  # fmt: skip
        if made:
            return str(made[0]["id"])
        # Another request was faster: the same one, one for the name, or the wallet's end.
        known = await self._known(new)
        if known is not None:
            return known
        await self._check_wallet(new)
        raise Conflict(f"another bot is called {new.name}", kind="bot", field="name")

    async def want(
        self, command: Command, bot_id: str, actor: str, *, version: int | None, reason: str = ""
    ) -> Row:
        """Give a command; what is wanted already changes nothing. Return the bot.

        Raises:
            NotFound: there is no such bot.
            Conflict: it has another version.
            WrongState: the command does not fit its state, or a kill switch is set.
            InvalidField: it needs a reason.
        """
        if command.desired == "RUNNING":
            await self._check_kill(bot_id)
        reasoned = bool(reason) or not command.reasoned
        restarts = str(command.restarts or "") if reasoned else ""
        states = [str(one) for one in command.states if reasoned or one is not command.restarts]
        moved = await self._store.write(
            _SQL["want"],
            id=bot_id, desired=command.desired, states=states, restarts=restarts, word=command.word,
            actor=actor, reason=reason, version=version,
        )  # fmt: skip
        row = await self.one(bot_id)
        if not moved:
            refuse_other_version("bot", row, version)
        state = BotState(row["state"])
        if not moved and state not in command.states:
            raise refused(command, bot_id, state)
        if not moved and state is command.restarts and not reasoned:
            raise refuse("reason", f"why a bot in {state} is resumed")
        return row

    async def change(self, request: pb.UpdateBotRequest, actor: str, version: int | None) -> Row:
        """Change settings or limits; what is so already changes nothing. Return the bot.

        Raises:
            NotFound: there is no such bot.
            Conflict: it has another version.
            InvalidField: a setting does not fit, or cannot change any more.
        """
        while True:
            row = await self.one(request.id)
            refuse_other_version("bot", row, version)
            config, limits, reason = codec.changed(request, row)
            if not reason:
                return row
            moved = await self._store.write(
                _SQL["change"],
                id=request.id, version=row["version"], config=Jsonb(config), limits=Jsonb(limits),
                actor=actor, reason=reason,
            )  # fmt: skip
            if moved:
                return await self.one(request.id)

    async def _check_kill(self, bot_id: str) -> None:
        found = await self._store.rows(_SQL["killed"], id=bot_id)
        if found:
            kill = found[0]["id"]
            raise WrongState(
                f"bot {bot_id} is under kill switch {kill}: clear it first",
                kind="kill switch", id=kill, state="SET",
            )  # fmt: skip

    async def one(self, bot_id: str) -> Row:
        """Return a bot. Raises NotFound, Unavailable."""
        rows = await self._store.rows(_ONE, id=bot_id)
        if not rows:
            raise NotFound(f"no bot {bot_id}", kind="bot", id=bot_id)
        return rows[0]

    async def page(
        self,
        *,
        wallet: str,
        state: str,
        exchange: str,
        strategy: str,
        after: Key | None,
        limit: int,
        among: frozenset[str] | None = None,
    ) -> list[Row]:
        """Return bots after a place, the oldest first.

        Args:
            wallet: of them; empty: any.
            state: of them; empty: any.
            exchange: of their wallets; empty: any.
            strategy: of them; empty: any.
            after: the last one of the page before; None: from the first one on.
            limit: at most so many.
            among: exchanges whose bots there are for the caller; None: all.
        """
        at, (last,) = after or (None, [""])
        return await self._store.rows(
            _PAGE,
            wallet=wallet,
            state=state,
            exchange=exchange,
            strategy=strategy,
            at=at,
            after=last,
            limit=limit,
            exchanges=None if among is None else sorted(among),
        )

    async def orders(
        self, bot_id: str, *, unsettled: bool, before: Key | None, limit: int
    ) -> list[Row]:
        """Return orders before a place, the newest first. Raises NotFound: no such bot."""
        await self._known_bot(bot_id)
        at, (last,) = before or (None, [""])
        return await self._store.rows(
            _SQL["orders"], bot=bot_id, unsettled=unsettled, at=at, after=last, limit=limit
        )

    async def settle(self, request: pb.SettleBotOrderRequest, actor: str) -> Row:
        """Write an operator's word on an order that nobody could settle. Return the order.

        Raises:
            NotFound: the bot has no such order.
            InvalidField: it cannot have filled that much.
            WrongState: its exchange may still tell, or it has ended.
        """
        row = await self._order(request.id, request.order_id)
        filled = codec.size_units("filled", request.filled, row["instrument"])
        done = await self._store.write(
            _SQL["settle"],
            bot=request.id, order_id=request.order_id, filled=filled, reported=request.filled,
            states=sorted(FOR_OPERATORS), actor=actor, reason=request.reason,
        )  # fmt: skip
        row = await self._order(request.id, request.order_id)
        if not done and row["state"] not in FOR_OPERATORS:
            raise WrongState(
                f"order {request.order_id} is {row['state']}: nobody has to settle it",
                kind="order", id=request.order_id, state=row["state"],
            )  # fmt: skip
        if not done:
            raise refuse("filled", "at least what is booked, at most the order's size")
        return row

    async def _order(self, bot_id: str, order_id: str) -> Row:
        rows = await self._store.rows(_SQL["order"], bot=bot_id, order_id=order_id)
        if not rows:
            raise NotFound(f"bot {bot_id} has no order {order_id}", kind="order", id=order_id)
        return rows[0]

    async def explain(self, request: pb.ExplainBotPositionRequest, actor: str) -> None:
        """Write where a position went that the exchange does not have.

        Raises:
            NotFound: there is no such bot, or nothing is missing there.
        """
        await self._known_bot(request.id)
        done = await self._store.write(
            _SQL["explain"],
            bot=request.id, instrument=request.instrument_id, actor=actor, reason=request.reason,
        )  # fmt: skip
        if not done:
            raise NotFound(
                f"nothing is missing of {request.instrument_id}", kind="position",
                id=request.instrument_id,
            )  # fmt: skip

    async def fills(self, bot_id: str, before: int | None, limit: int) -> list[Row]:
        """Return fills that were booked before one, the last first. Raises NotFound."""
        await self._known_bot(bot_id)
        return await self._store.rows(_SQL["fills"], bot=bot_id, before=before, limit=limit)

    async def _known_bot(self, bot_id: str) -> None:
        if not await self._store.rows(_SQL["state"], id=bot_id):
            raise NotFound(f"no bot {bot_id}", kind="bot", id=bot_id)

    async def _known(self, new: NewBot) -> str | None:
        if new.request_key is None:
            return None
        rows = await self._store.rows(_SQL["known"], request_key=new.request_key)
        if not rows:
            return None
        if bytes(rows[0]["request_hash"]) != new.request_hash:
            raise RequestIdReused(
                "Idempotency-Key: was used with another request", field="Idempotency-Key"
            )
        return str(rows[0]["id"])

    async def _check_wallet(self, new: NewBot) -> None:
        rows = await self._store.rows(_SQL["wallet"], id=new.wallet_id)
        if not rows or rows[0]["tenant"] != new.tenant:
            raise NotFound(
                f"{new.tenant} has no wallet {new.wallet_id}", kind="wallet", id=new.wallet_id
            )
        if rows[0]["state"] != "ACTIVE":
            raise WrongState(
                f"wallet {new.wallet_id} is {rows[0]['state']}",
                kind="wallet", id=new.wallet_id, state=rows[0]["state"],
            )  # fmt: skip
        exchange = str(rows[0]["exchange"])
        for place, one in enumerate(new.instruments):
            if one.partition(":")[0] != exchange:
                raise refuse(f"instruments[{place}]", f"one of its wallet's exchange, {exchange}")
