"""All endpoints and their lanes: what callers change, and what runs."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from msgspec import structs

from services.webhooks.core import lane as lanes
from services.webhooks.core.lane import WIDTH, Lane
from services.webhooks.core.verdict import Answer, verdict
from services.webhooks.runner import Parts, Runner, attempted, signing
from services.webhooks.sender import Message
from services.webhooks.store import Delivery, Endpoint, Key, Store
from tradingtools import clock
from tradingtools.domain.errors import LimitReached, NotFound
from tradingtools.domain.event import Event, cloud_event
from tradingtools.storage.postgres import event_log
from tradingtools.tasks import cancel_all

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
_ROTATION = timedelta(days=1)
_ITSELF = "webhooks"
_log = structlog.get_logger("webhooks")
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def _carried_through(
    change: Callable[Concatenate[Dispatcher, _Given], Coroutine[Any, Any, _Result]],
) -> Callable[Concatenate[Dispatcher, _Given], Coroutine[Any, Any, _Result]]:
    """Carry a change through although its caller leaves: no lane stands still half changed."""

    @wraps(change)
    async def carry(self: Dispatcher, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        task = asyncio.create_task(change(self, *args, **kwargs))
        self.changes.add(task)
        task.add_done_callback(self.changes.discard)
        return await asyncio.shield(task)

    return carry


class Dispatcher:
    """Runs the lanes of all enabled endpoints.

    Args:
        store: of endpoints.
        most: endpoints that there may be.
    """

    def __init__(self, store: Store, most: int) -> None:
        self._store = store
        self._most = most
        self._runners: dict[str, Runner] = {}
        self._parts: Parts | None = None
        self._changing = asyncio.Lock()
        self.changes: set[asyncio.Task[Any]] = set()
        """Under way."""
        self._endings: asyncio.Queue[tuple[str, str | BaseException]] = asyncio.Queue()
        self.some = asyncio.Event()
        """Set while an endpoint wants events."""

    def report(self, endpoint_id: str, reason: str | BaseException) -> None:
        """Have an endpoint disabled, or the process end of what a lane has died of; soon."""
        self._endings.put_nowait((endpoint_id, reason))

    async def begin(self, parts: Parts) -> None:
        """Run the lanes of what the store has."""
        self._parts = parts
        for endpoint, lane in await self._store.endpoints():
            self._put(endpoint, lane)

    async def run(self) -> None:
        """Disable what is to be disabled, for ever. Raises what a lane has died of."""
        while True:
            endpoint_id, reason = await self._endings.get()
            if isinstance(reason, BaseException):
                raise reason
            async with self._changing:
                runner = self._runners.get(endpoint_id)
                if runner is None or not runner.endpoint.enabled:
                    continue
                _log.error("a webhook is disabled", alert=True,
                           endpoint=endpoint_id, reason=reason)  # fmt: skip
                await self._change(
                    replace(runner.endpoint, enabled=False, disabled_reason=reason),
                    "disabled", _ITSELF, reason,
                )  # fmt: skip

    async def stop(self) -> None:
        """End all lanes."""
        await cancel_all(self.changes)
        for runner in self._runners.values():
            await runner.stop()

    def waited_ms(self) -> int:
        """Return how old the oldest event is that waits here; not counted is what waits for a
        receiver that fails, or is disabled.
        """
        since = [at for runner in self._runners.values() if (at := runner.waits_since) is not None]
        return clock.now_ms() - round(min(since).timestamp() * 1000) if since else 0

    def all(self) -> list[Runner]:
        """Return all endpoints with their lanes, the oldest first."""
        return sorted(self._runners.values(), key=lambda r: (r.endpoint.created_at, r.endpoint.id))

    def one(self, endpoint_id: str) -> Runner:
        """Return an endpoint with its lane. Raises NotFound."""
        runner = self._runners.get(endpoint_id)
        if runner is None:
            raise NotFound(
                f"no webhook endpoint {endpoint_id}", kind="webhook_endpoint", id=endpoint_id
            )
        return runner

    @_carried_through
    async def create(self, endpoint: Endpoint, actor: str, key: Key | None) -> tuple[Runner, str]:
        """Make an endpoint; return it and its secret, which is empty when it was there already.

        Raises:
            RequestIdReused: the key came with another request before.
            LimitReached: there are too many.
        """
        async with self._changing:
            known = await self._store.repeated(key) if key is not None else None
            if known is not None:
                return self.one(known), ""
            if len(self._runners) >= self._most:
                raise LimitReached(f"there are {self._most} webhook endpoints already")
            secret = fresh_secret()
            endpoint = replace(endpoint, secrets={secret: FOREVER})
            position = await event_log.newest(self._shared().pool)
            made = replace(
                endpoint, created_at=await self._store.create(endpoint, position, actor, key)
            )
            lane = Lane(position=position, width=WIDTH[made.ordering])
            return self._put(made, lane), secret

    @_carried_through
    async def update(
        self, endpoint_id: str, change: Callable[[Endpoint], Endpoint], actor: str
    ) -> Runner:
        """Change an endpoint to what becomes of it as it stands when other changes have ended."""
        async with self._changing:
            before = self.one(endpoint_id).endpoint
            after = change(before)
            action = "changed"
            if before.enabled != after.enabled:
                action = "enabled" if after.enabled else "disabled"
            return await self._change(after, action, actor)

    @_carried_through
    async def delete(self, endpoint_id: str, actor: str) -> Endpoint:
        """Delete an endpoint; return what it was."""
        async with self._changing:
            runner = self.one(endpoint_id)
            try:
                await runner.stop()
                keeper = self._shared().keeper
                async with keeper.still():
                    await self._store.delete(runner.endpoint, actor)
                    keeper.forget(endpoint_id)
            except BaseException:
                self._put(runner.endpoint, runner.lane)
                raise
            del self._runners[endpoint_id]
            return runner.endpoint

    @_carried_through
    async def rotate(self, endpoint_id: str, actor: str) -> tuple[Runner, str]:
        """Make a new secret; return it. The ones before count for another day."""
        async with self._changing:
            runner = self.one(endpoint_id)
            secret = fresh_secret()
            await self._store.rotate(runner.endpoint, secret, actor)
            now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
            kept = {
                old: min(until, now + _ROTATION)
                for old, until in runner.endpoint.secrets.items()
                if now < until
            }
            runner.endpoint = replace(runner.endpoint, secrets={secret: FOREVER, **kept})
            return runner, secret

    async def test(self, endpoint_id: str) -> Delivery:
        """Post a message of no event, and return what came of it."""
        endpoint, parts = self.one(endpoint_id).endpoint, self._shared()
        at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        event = Event(
            log_number=0,
            # No row of the log has the number 0; the id is this message's alone.
            part=secrets.randbits(63),
            type="webhook.test",
            subject=f"webhook-endpoints/{endpoint_id}",
            at=at,
            data="{}",
        )
        message = Message(id=event.id, body=cloud_event(0, event))
        answer: Answer = await parts.sender.send(endpoint.url, signing(endpoint), message)
        made = attempted(event.id, event.type, 0, 1, answer, verdict(answer))
        parts.keeper.moved(endpoint_id, self.one(endpoint_id).lane, made)
        return made

    @_carried_through
    async def replay(self, endpoint_id: str, after: int, to: int | None) -> Runner:
        """Deliver a range of the log again. Raises LimitReached: too many are under way."""
        async with self._changing:
            runner = self.one(endpoint_id)
            if len(runner.lane.replays) >= lanes.REPLAYS:
                raise LimitReached(f"{lanes.REPLAYS} replays of this endpoint are under way")
            runner.replay(after, runner.lane.position if to is None else to)
            await self._shared().keeper.write()
            return runner

    async def _change(
        self, endpoint: Endpoint, action: str, actor: str, reason: str = ""
    ) -> Runner:
        runner = self.one(endpoint.id)
        try:
            await runner.stop()
            # What has been delivered is written before anybody reads how far it is.
            await self._shared().keeper.write()
            await self._store.update(endpoint, action, actor, reason)
        except BaseException:
            self._put(runner.endpoint, runner.lane)
            raise
        lane = runner.lane
        if action == "enabled":
            # Five days count anew, and what waits is tried at once.
            pending = {n: lanes.Pending(attempts=p.attempts) for n, p in lane.pending.items()}
            lane = structs.replace(lane, failing_since_ms=None, pending=pending)
            self._shared().keeper.moved(endpoint.id, lane)
        return self._put(endpoint, lane)

    def _put(self, endpoint: Endpoint, lane: Lane) -> Runner:
        runner = self._runners[endpoint.id] = Runner(endpoint, lane, self._shared())
        if endpoint.enabled:
            runner.start()
            self.some.set()
        return runner

    def _shared(self) -> Parts:
        assert self._parts is not None  # noqa: S101 - set by begin, before anybody asks
        return self._parts


def fresh_secret() -> str:
    """Return a secret in the form of Standard Webhooks, of 256 bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
