"""The requests of bots on their way to the exchange and the database, and the answers back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial

import psycopg
import structlog

from services.bots import metrics
from services.bots.core.bot import AnyBot
from services.bots.core.permit import Permit
from services.bots.core.requests import LookUp, PermitRequest, Request
from services.bots.risk_store import DeniedError
from services.bots.store import LostError
from services.bots.wallet.shared import READ_AGAIN_SECONDS, Wallet, database_away
from tradingtools import clock
from tradingtools.domain.bot_order_states import PendingRequest
from tradingtools.tasks import cancel_all
from tradingtools.venues.ports import Meaning
from tradingtools.venues.trading import AmendOrder, CancelOrder, NewOrder, ReadError, Receipt

_NOT_WRITTEN = Receipt(
    meaning=Meaning.NOT_ACCEPTED, code="NOT_WRITTEN", detail="the database does not answer"
)
_log = structlog.get_logger("bots")


class Sending:
    """See the module.

    Args:
        wallet: whose bots they are.
        write: makes durable what the bots have, at a venue where an order that nobody wrote down
            would be a stranger's.
    """

    def __init__(self, wallet: Wallet, write: Callable[[], Awaitable[None]]) -> None:
        self._wallet = wallet
        self._write = write
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._orders: set[asyncio.Task[None]] = set()
        """Those of them that change orders at the exchange."""
        self._permits: list[tuple[AnyBot, PermitRequest]] = []
        """Not being written yet."""
        self._permitting = False

    def act(self, bot: AnyBot, requests: Iterable[Request]) -> None:
        """Send what a bot asks for; each answer goes back to it."""
        for one in requests:
            if isinstance(one, PermitRequest):
                self._permits.append((bot, one))
                if not self._permitting:
                    self._permitting = True
                    self._start(self._write_permits())
            elif isinstance(one, LookUp):
                self.look(bot, one.order)
            else:
                task = self._start(self._send(bot, one))
                self._orders.add(task)
                task.add_done_callback(self._orders.discard)

    def notify(self, bot: AnyBot, step: Callable[[int], Iterable[Request]]) -> None:
        """Let a bot take something, as of now, and send what it asks for.

        A defect of one bot ends that bot: its orders are cancelled, the others go on.
        """
        now = clock.now_ms()
        try:
            requests = step(now)
        except Exception as error:  # noqa: BLE001 - one bot must not stop a wallet's others
            known = bot.failure is not None
            requests = bot.fail(error, now)
            if not known:
                _log.error("a bot failed", bot=bot.setup.bot_id, exc_info=error)
        self.act(bot, requests)

    def look(self, bot: AnyBot, order: CancelOrder) -> None:
        """Read an order at the venue; its bot is told what was found."""
        self._start(self._look(bot, order))

    @property
    def busy(self) -> bool:
        """Return whether a request about an order is not answered yet."""
        return bool(self._orders)

    async def close(self) -> None:
        """End everything that is under way; what left is found by whoever reconciles."""
        await cancel_all([*self._tasks])

    def check(self) -> None:
        """Raise what has ended a request before it was sent, such as a lost wallet."""
        if self._failure is not None:
            raise self._failure

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()

    async def _write_permits(self) -> None:
        """Write the permits that bots wait for; those that come meanwhile are written together."""
        try:
            while self._permits:
                together, self._permits = self._permits, []
                await self._permit(together)
        finally:
            self._permitting = False

    async def _permit(self, together: Sequence[tuple[AnyBot, PermitRequest]]) -> None:
        wallet, requests = self._wallet, [one for _, one in together]
        started = clock.monotonic_ns()
        try:
            answers = await wallet.store.permits(wallet.lease, wallet.tenant, requests)
        except (psycopg.Error, LostError) as error:
            if len(together) > 1 and not isinstance(error, psycopg.OperationalError | LostError):
                # What is wrong with one of them keeps no other bot waiting.
                for alone in together:
                    await self._permit([alone])
                return
            # Nothing leaves without it. Who renews the lease finds out whether the wallet is lost.
            bots = sorted({one.permit.bot_id for one in requests})
            _log.warning("permits were not written", bots=bots, why=str(error))
            for bot, one in together:
                bot.denied(one.permit)
                metrics.PERMIT.observe_ns(clock.monotonic_ns() - started, "false")
            return
        took = clock.monotonic_ns() - started
        for (bot, one), answer in zip(together, answers, strict=True):
            if isinstance(answer, DeniedError):
                metrics.SHARES.add(1, {"given": False})
                self.notify(bot, partial(_deny, bot, one.permit, str(answer)))
                continue
            metrics.PERMIT.observe_ns(took, "true")
            if answer is not None:
                metrics.SHARES.add(1, {"given": True})
            self.notify(bot, partial(_grant, bot, one.permit, answer))

    async def _send(self, bot: AnyBot, one: NewOrder | AmendOrder | CancelOrder) -> None:
        gateway, started = self._wallet.venue.gateway, clock.monotonic_ns()
        if isinstance(one, NewOrder):
            if gateway.capabilities.order_id_known_before:
                gateway.register_order(one)
            written = not gateway.capabilities.order_id_known_before or await self._is_written()
            kind = PendingRequest.PLACE
            receipt = await gateway.place(one) if written else _NOT_WRITTEN
        elif isinstance(one, AmendOrder):
            kind, receipt = PendingRequest.AMEND, await gateway.amend(one)
        else:
            self._recognise(bot, one.order_id)
            kind, receipt = PendingRequest.CANCEL, await gateway.cancel(one)
        metrics.sent(one.instrument.venue, kind, receipt.meaning, clock.monotonic_ns() - started)
        self.notify(bot, lambda now: bot.answered(one.order_id, kind, receipt, now))

    def _recognise(self, bot: AnyBot, order_id: str) -> None:
        """Have the venue's words on an order told by our id, which it may have forgotten by now."""
        mine = bot.orders.get(order_id)
        if mine is not None and self._wallet.venue.gateway.capabilities.order_id_known_before:
            self._wallet.venue.gateway.register_order(mine.order)

    def register_order(self) -> None:
        """Have the venue's words on all orders that are not settled told by our ids."""
        for bot in self._wallet.bots.values():
            for order_id in bot.orders:
                self._recognise(bot, order_id)

    async def _is_written(self) -> bool:
        """Make durable what is about to leave; return False when the database does not answer."""
        try:
            await self._write()
        except psycopg.OperationalError as error:
            database_away("an order that was to leave", error)
            return False
        return True

    async def _look(self, bot: AnyBot, order: CancelOrder) -> None:
        self._recognise(bot, order.order_id)
        while True:
            requested = clock.now_ms()
            try:
                report = await self._wallet.venue.accounts.find(order)
                break
            except ReadError:
                await asyncio.sleep(READ_AGAIN_SECONDS)
        if report is None:
            name = order.order_id
            self.notify(bot, lambda now: bot.not_found(name, requested_ms=requested, now_ms=now))
        else:
            self.notify(bot, lambda now: bot.reported(report, now, read_ms=requested))


def _grant(bot: AnyBot, given: Permit, share: int | None, now_ms: int) -> Iterable[Request]:
    return bot.granted(given, now_ms, share)


def _deny(bot: AnyBot, denied: Permit, why: str, now_ms: int) -> Iterable[Request]:
    return bot.denied(denied, why, now_ms)
