"""The way to insiders-api: what `InsidersClient` is to a service, with everything that happens.

A request may be refused, get lost, come late or twice; an answer may get lost, say nothing, or be
about another key. Requests that have left live on when their sender dies.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from paper.insiders.core.model import Side
from paper.insiders.wire import Answer as Told
from paper.insiders.wire import show_error
from tests.simulation.exchange import Exchange, Plans
from tests.simulation.history import History
from tests.simulation.loop import PROCESS, VirtualLoop
from tests.simulation.machine import Dead, Life, Machine
from tests.simulation.storm import Storm
from tradingtools import clock
from tradingtools.venues.insiders import connections
from tradingtools.venues.insiders.order_gateway import (
    Answer,
    ConnectionGone,
    NotSent,
    Ready,
    Unanswered,
)

_HOP_SECONDS = 0.004
PROMISE_MS = 250
"""The executor's `ASK_MS`. A promise that is withdrawn is kept for what leaves so soon after."""
_Ask = Callable[[], Told]


class FarAway:
    """Everything between the processes and the exchange.

    Args:
        exchange: the far side.
        loop: whose time passes.
        machine: whose processes ask.
        storm: what goes wrong.
        history: what happened.
    """

    def __init__(
        self,
        exchange: Exchange,
        loop: VirtualLoop,
        machine: Machine,
        storm: Storm,
        history: History,
    ) -> None:
        self.exchange = exchange
        self.loop = loop
        self.machine = machine
        self.storm = storm
        self.history = history
        self.down = False
        """Connections are refused."""
        self._withdrawn_at = math.inf
        self.contradicted: set[str] = set()
        """Keys about which it has said what cannot be."""
        self.several_lots: frozenset[str] = frozenset()
        """Wallets with more than one lot of an asset: their buys always settle. Otherwise one lot's
        exit may take another one's shares, and its own never come; see the ADR."""
        self._own = contextvars.copy_context()
        self._own.run(PROCESS.set, "insiders-api")

    def withdraw(self) -> None:
        """Withdraw the promise that one key is one order."""
        self._withdrawn_at = self.loop.time()
        self.exchange.withdraw()
        self.history.add("one key is not one order any more")

    def promised_now(self) -> bool:
        """Return whether one key is one order for what leaves now."""
        kept = self._withdrawn_at < self.loop.time() <= self._withdrawn_at + PROMISE_MS / 1000
        return kept or self.exchange.capabilities.idempotency

    @asynccontextmanager
    async def open_client(
        self, _base_url: str, _token: str = "", **_pool: int
    ) -> AsyncIterator[SimulatedClient]:
        """Takes the place of `open_client`."""
        yield SimulatedClient(self, self.machine.here())

    def hop(self) -> float:
        """Seconds from here to there, or back."""
        return self.storm.delay(_HOP_SECONDS)

    def later(self, seconds: float, what: Callable[..., object], *arguments: object) -> None:
        """Do something at the far side."""
        self.loop.call_later(seconds, what, *arguments, context=self._own)


class SimulatedClient:
    """`InsidersClient`, as the services see it."""

    def __init__(self, far: FarAway, life: Life) -> None:
        self._far = far
        self._life = life

    async def submit(
        self,
        side: str,
        order_key: str,
        body: bytes,
        timeout_ms: int,
        ready: Ready | None = None,
        *,
        leave_ms: int | None = None,
    ) -> Answer:
        """POST an order once. Raises NotSent, Unanswered, and what ``ready`` raises."""
        far, storm = self._far, self._far.storm
        far.machine.perhaps_killed(self._life, "killed at a request")
        way: Side = "BUY" if side == "buy" else "SELL"
        if storm.hits("post refused"):
            raise NotSent("connection refused")
        if ready is not None:
            await self._until_ready(ready, timeout_ms, leave_ms)
            if storm.hits("connection gone"):
                raise ConnectionGone("the connection ended")
        late = storm.hits("post late")
        plans = Plans(
            match_ms=int(3000 * storm.rng.random()) if storm.hits("matched later") else 0,
            settlement="failing" if self._may_fail(way, body) and storm.hits("trade fails")
            else "retrying" if storm.hits("trade retries") else "normal",
        )  # fmt: skip
        exchange, promised = far.exchange, far.promised_now()

        def place() -> Told:
            if storm.hits("server error before"):
                return Told(status=503, payload=show_error("UPSTREAM", "try later"))
            if storm.hits("rate limited"):
                payload = show_error("RATE_LIMITED", "slow down", retry_after_ms=200)
                return Told(status=429, payload=payload)
            reported = exchange.place(way, order_key, body, plans, promised=promised)
            far.history.add(f"POST {order_key[:8]} {reported.status} {reported.code or ''}")
            # Only what was accepted: the contract remembers no refusals, so a way that delivers
            # twice makes every refusal uncertain, and nobody can be safe from that.
            if reported.status == 200 and promised and storm.hits("post twice"):
                far.later(3 * storm.rng.random(), lambda: far.down or place())
            if storm.hits("server error after"):
                return Told(status=500, payload=show_error("INTERNAL", "something broke"))
            return reported

        lost, silent = storm.hits("post lost"), storm.hits("post lost silently")
        travel = far.hop() + (6 * storm.rng.random() if late else 0)
        answer = await self._ask(None if lost or silent else place, travel, timeout_ms, broken=lost)
        far.machine.perhaps_killed(self._life, "killed at an answer")
        return self._garbled(answer, order_key)

    def begin(
        self, side: str, order_key: str, body: bytes, timeout_ms: int
    ) -> asyncio.Future[Answer] | None:
        """POST an order once, on a connection that is ready; None: there is none."""
        if self._far.storm.hits("no connection ready"):
            return None
        return asyncio.ensure_future(self.submit(side, order_key, body, timeout_ms))

    async def _until_ready(self, ready: Ready, timeout_ms: int, leave_ms: int | None) -> None:
        """Wait for a connection, then for ``ready``."""
        storm = self._far.storm
        within_ms = timeout_ms if leave_ms is None else min(timeout_ms, leave_ms)
        at_hand = False
        if within_ms <= 0:
            raise ConnectionGone("it is too late to leave")
        try:
            async with asyncio.timeout(within_ms / 1000):
                if storm.hits("connection late"):
                    await asyncio.sleep(3 * storm.rng.random())
                at_hand = True
                await ready()
        except TimeoutError as error:
            fair = within_ms >= min(timeout_ms, connections._FAIR_MS)
            raise (NotSent if fair and not at_hand else ConnectionGone)(
                "not within the time"
            ) from error

    def _may_fail(self, side: Side, body: bytes) -> bool:
        """Return whether a match may fail to settle; of a buy, only while nobody can have its
        shares."""
        wallet = str(json.loads(body)["followerProxy"])
        far = self._far
        return side == "SELL" or (far.exchange.lags and wallet not in far.several_lots)

    def _garbled(self, answer: Answer, order_key: str) -> Answer:
        storm, body = self._far.storm, answer.body
        status = answer.status
        if storm.hits("another key in the answer"):
            body = body.replace(order_key.encode(), order_key[::-1].encode())
        elif storm.hits("answer cut short"):
            body = body[: len(body) // 2]
        elif storm.hits("proxy's error page"):
            status, body = 502, b"<html>Bad Gateway</html>"
        return replace(answer, status=status, body=body)

    async def order_by_key(self, order_key: str, timeout_ms: int) -> Answer:
        """GET what is known under a key. Raises NotSent, Unanswered."""
        answer = await self._question(lambda: self._far.exchange.by_key(order_key), timeout_ms)
        far = self._far
        if answer.status != 200 or not far.storm.hits("another size in the answer"):
            return answer
        far.contradicted.add(order_key)
        far.history.add(f"a contradiction about {order_key[:8]}")
        reported = {**json.loads(answer.body), "size": "999"}
        return replace(answer, body=json.dumps(reported).encode())

    async def void(self, order_key: str, timeout_ms: int) -> Answer:
        """Declare a key unusable unless it was used. Raises NotSent, Unanswered."""
        return await self._question(lambda: self._far.exchange.void(order_key), timeout_ms)

    async def capabilities(self, timeout_ms: int) -> Answer:
        """GET what this insiders-api promises. Raises NotSent, Unanswered."""
        return await self._question(self._far.exchange.promises, timeout_ms)

    async def redeem(self, redeem_key: str, body: bytes, timeout_ms: int) -> Answer:
        """POST a redemption once. Raises NotSent, Unanswered."""

        def pay() -> Told:
            reported = self._far.exchange.redeem(redeem_key, body)
            self._far.history.add(
                f"redeem {redeem_key[:8]} {reported.status} {reported.code or ''}"
            )
            return reported

        return await self._question(pay, timeout_ms)

    async def balance(self, proxy: str, timeout_ms: int) -> Answer:
        """GET a wallet's cash. Raises NotSent, Unanswered."""
        return await self._question(lambda: self._far.exchange.balance(proxy), timeout_ms)

    async def positions(self, proxy: str, timeout_ms: int) -> Answer:
        """GET a wallet's shares. Raises NotSent, Unanswered."""
        return await self._question(lambda: self._far.exchange.positions(proxy), timeout_ms)

    async def _question(self, ask: _Ask, timeout_ms: int) -> Answer:
        storm = self._far.storm
        if storm.hits("question refused"):
            raise NotSent("connection refused")
        travel = self._far.hop()
        if storm.hits("question slow"):
            travel += 4 * storm.rng.random()
        lost = storm.hits("question lost")
        return await self._ask(None if lost else ask, travel, timeout_ms, broken=lost)

    async def _ask(
        self, ask: _Ask | None, travel_seconds: float, timeout_ms: int, *, broken: bool
    ) -> Answer:
        """Send a request (None: it is lost on its way) and wait for its answer."""
        far = self._far
        if self._life.dead:
            raise Dead
        if far.down:
            await asyncio.sleep(far.hop())
            raise NotSent("connection refused")
        started = clock.now_ns()
        arrived: asyncio.Future[Told] = far.loop.create_future()

        def there() -> None:
            if far.down or ask is None:
                return
            reported = ask()
            if far.storm.hits("answer lost"):
                far.later(far.hop(), _fail, arrived)
            elif not far.storm.hits("answer lost silently"):
                slow = 3 * far.storm.rng.random() if far.storm.hits("answer slow") else 0
                far.later(far.hop() + slow, _give, arrived, reported)

        far.later(travel_seconds, there)
        if broken:
            far.later(travel_seconds + far.hop(), _fail, arrived)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                reported = await arrived
        except (TimeoutError, ConnectionError) as error:
            raise Unanswered(f"{type(error).__name__}: {error}", started) from error
        if self._life.dead:
            raise Dead
        return Answer(
            status=reported.status,
            body=reported.body,
            first_byte_ns=started,
            answered_ns=clock.now_ns(),
        )


def _give(arrived: asyncio.Future[Told], reported: Told) -> None:
    if not arrived.done():
        arrived.set_result(reported)


def _fail(arrived: asyncio.Future[Told]) -> None:
    if not arrived.done():
        arrived.set_exception(ConnectionError("reset by peer"))
