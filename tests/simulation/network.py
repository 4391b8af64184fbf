"""gRPC between simulated processes: the real stubs and servicers, without a wire.

As over HTTP/2 the messages of one stream keep their order and a few of them may be under way; a
stream breaks when an end dies or the storm cuts it, and what was under way is lost. Messages travel
as bytes, so that no two processes ever share one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, NoReturn

import grpc
from grpc.aio import AioRpcError, Metadata

from tests.simulation.loop import PROCESS, VirtualLoop
from tests.simulation.storm import Storm
from tradingtools.domain.errors import TradingError
from tradingtools.rpc.errors import CODES

_HOP_SECONDS = 0.0005
_WINDOW = 8
"""Messages of a stream that may be under way or unread."""


def _broken(code: grpc.StatusCode, why: str) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), details=why)


def _status(error: Exception) -> grpc.StatusCode:
    if isinstance(error, TradingError):
        return CODES[error.reason]
    return error.code if isinstance(error, _Aborted) else grpc.StatusCode.INTERNAL


class _Aborted(Exception):
    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code.name)
        self.code = code


class _Context:
    """The part of grpc.aio.ServicerContext that servicers use."""

    async def abort(self, code: grpc.StatusCode, _details: str = "") -> NoReturn:
        """End the call."""
        raise _Aborted(code)


class _Listener:
    """A server: its process and its methods."""

    def __init__(self, context: contextvars.Context) -> None:
        self.context = context
        self.process = context[PROCESS]
        self.handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Part of grpc.aio.Server; the registered ones are the same."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Called by the generated code."""
        for name, handler in handlers.items():
            self.handlers[f"/{service}/{name}"] = handler

    async def set_serving(self, serving: bool) -> None:
        """Nobody asks."""


class _Call:
    """One call: a stream, or a single answer."""

    def __init__(self, network: Network, client: str, request: bytes, decode: Any) -> None:
        self._network = network
        self._decode = decode
        self.client = client
        self.server = ""
        self.request = request
        self.task: asyncio.Task[Any] | None = None
        self._ready: deque[bytes] = deque()
        self._under_way = 0
        self._arrives = 0.0
        self._end: object = None
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    # The server's side.

    async def send(self, message: bytes) -> None:
        """Put a message on its way; waits while too many are."""
        while len(self._ready) + self._under_way >= _WINDOW and self._end is None:
            self._room.clear()
            await self._room.wait()
        self._under_way += 1
        self._network.later(self._latency(), self._deliver, message)

    def _latency(self) -> float:
        """In order: not before the message in front."""
        network = self._network
        seconds = network.hop()
        if network.storm.hits("stream slow"):
            seconds += network.storm.rng.random() * 2
        self._arrives = max(self._arrives, network.loop.time() + seconds)
        return self._arrives - network.loop.time()

    def _deliver(self, message: bytes) -> None:
        self._under_way -= 1
        if self._end is None:
            if self._network.storm.hits("stream cut"):
                self.finish(_broken(grpc.StatusCode.UNAVAILABLE, "cut"))
                return
            self._ready.append(message)
            self._changed.set()

    def end(self, how: object) -> None:
        """The server has nothing more to say; this travels like a message."""
        self._network.later(self._latency(), self.finish, how)

    def finish(self, how: object) -> None:
        """The client learns of the end; what has arrived may still be read."""
        if self._end is None:
            self._end = how
            self._changed.set()
            self._room.set()
            if self.task is not None:
                self.task.cancel()
            self._network.calls.pop(self, None)

    # The client's side.

    async def read(self) -> Any:
        """The next message, or EOF. Raises AioRpcError."""
        while not self._ready:
            if self._end is not None:
                if isinstance(self._end, Exception):
                    raise self._end
                return grpc.aio.EOF
            self._changed.clear()
            await self._changed.wait()
        message = self._ready.popleft()
        self._room.set()
        return self._decode(message)

    def cancel(self) -> None:
        """The client is not interested any more."""
        self._network.later(self._network.hop(), self.finish, grpc.aio.EOF)


class Network:
    """Listeners by target, and the calls between processes.

    Args:
        loop: whose time passes.
        storm: what goes wrong.
    """

    def __init__(self, loop: VirtualLoop, storm: Storm) -> None:
        self.loop = loop
        self.storm = storm
        self.calls: dict[_Call, None] = {}
        self._listeners: dict[str, list[_Listener]] = {}
        self._own = contextvars.copy_context()
        self._own.run(PROCESS.set, "network")

    def hop(self) -> float:
        """Seconds from one process to another."""
        return self.storm.delay(_HOP_SECONDS)

    def later(self, seconds: float, what: Callable[..., object], *arguments: object) -> None:
        """Do something that belongs to no process."""
        self.loop.call_later(seconds, what, *arguments, context=self._own)

    @asynccontextmanager
    async def serving(
        self,
        listen: str,
        services: Sequence[str],
        register: Callable[[Any], None],
        **_options: Any,
    ) -> AsyncIterator[_Listener]:
        """Takes the place of `transport.serving`."""
        listener = _Listener(contextvars.copy_context())
        register(listener)
        # The newest is found; when it goes, the one that it came in front of.
        self._listeners.setdefault(listen, []).append(listener)
        try:
            yield listener
        finally:
            if listener in self._listeners[listen]:
                self._listeners[listen].remove(listener)

    def channel(self, target: str, *, newest: bool = False) -> _Channel:
        """Takes the place of `transport.channel`."""
        return _Channel(self, target)

    def sever(self, process: str) -> None:
        """A process is gone: its calls break, and nobody finds it any more."""
        for target, listeners in self._listeners.items():
            self._listeners[target] = [one for one in listeners if one.process != process]
        for call in list(self.calls):
            if call.server == process:
                self.later(
                    self.hop(), call.finish, _broken(grpc.StatusCode.UNAVAILABLE, "reset by peer")
                )
                if call.task is not None:
                    call.task.cancel()
            elif call.client == process:
                self.later(self.hop(), call.finish, grpc.aio.EOF)

    def open(self, target: str, method: str, call: _Call) -> None:
        """Bring a call to its server."""
        self.calls[call] = None
        self.later(self.hop(), self._arrive, target, method, call)

    def _arrive(self, target: str, method: str, call: _Call) -> None:
        listeners = self._listeners.get(target)
        if not listeners:
            call.finish(_broken(grpc.StatusCode.UNAVAILABLE, f"nobody listens on {target}"))
            return
        listener = listeners[-1]
        call.server = listener.process
        call.task = self.loop.create_task(
            self._serve(listener.handlers[method], call), context=listener.context.copy()
        )

    async def _serve(self, handler: Any, call: _Call) -> None:
        try:
            request = handler.request_deserializer(call.request)
            if handler.unary_unary is not None:
                answer = await handler.unary_unary(request, _Context())
                await call.send(handler.response_serializer(answer))
            else:
                async with aclosing(handler.unary_stream(request, _Context())) as responses:
                    async for response in responses:
                        await call.send(handler.response_serializer(response))
        except Exception as error:  # noqa: BLE001 - as the interceptor does: a status
            call.end(_broken(_status(error), f"{type(error).__name__}: {error}"))
            return
        call.end(grpc.aio.EOF)


class _Channel:
    """The part of grpc.aio.Channel that generated stubs use."""

    def __init__(self, network: Network, target: str) -> None:
        self._network = network
        self._target = target

    async def close(self) -> None:
        """Nothing is held."""

    def unary_stream(
        self, method: str, request_serializer: Any, response_deserializer: Any, **_options: Any
    ) -> Callable[..., _Call]:
        """A method that answers with a stream."""

        def open_call(request: Any, timeout: float | None = None) -> _Call:
            encoded = request_serializer(request)
            call = _Call(self._network, PROCESS.get(), encoded, response_deserializer)
            self._network.open(self._target, method, call)
            return call

        return open_call

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Any, **_options: Any
    ) -> Callable[..., Any]:
        """A method with one answer."""
        stream = self.unary_stream(method, request_serializer, response_deserializer)

        async def ask(
            request: Any,
            timeout: float = 10.0,  # noqa: ASYNC109
            metadata: Any = None,
        ) -> Any:
            if self._network.storm.hits("call lost"):
                raise _broken(grpc.StatusCode.UNAVAILABLE, "lost")
            call = stream(request)
            try:
                async with asyncio.timeout(timeout):
                    answer = await call.read()
            except TimeoutError:
                raise _broken(grpc.StatusCode.DEADLINE_EXCEEDED, "too late") from None
            finally:
                call.cancel()
            if answer is grpc.aio.EOF:
                raise _broken(grpc.StatusCode.UNAVAILABLE, "no answer")
            return answer

        return ask
