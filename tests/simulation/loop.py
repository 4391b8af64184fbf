"""An event loop in which time is a number and a seed says which process goes next.

asyncio promises that callbacks of one loop run in the order in which they were given; the services
may rely on it, so within a process that order is kept. Between processes nothing is promised: each
has a loop of its own in reality. Here each has a queue of its own, and whenever several have
something to do, the seed draws. Time passes only when nobody has anything to do, and then at once.

A process that is frozen (a SIGSTOP, a long pause) keeps its queue and its timers, and runs nothing.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import threading
from asyncio import base_events, futures
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, NoReturn

PROCESS: ContextVar[str] = ContextVar("process", default="world")
"""The simulated process in which code runs; tasks and callbacks inherit it."""
WALL_START_NS = 1_800_000_000 * 10**9


_WAKE_UP = futures._set_result_unless_cancelled  # type: ignore[attr-defined]
"""What `asyncio.sleep` has a timer call."""
_NOWHERE = Context()
"""Of a timer that only wakes somebody up: it runs nothing of its own."""
_MANY_TASKS = 64
"""More of a process than this are looked through for those that have ended."""


class _Turn:
    """Waits until the others of the process had their turn."""

    def __await__(self) -> Generator[None, None, None]:
        yield


_A_TURN = _Turn()


class Stalled(Exception):
    """Nobody has anything to do, now or later."""


class _Handle(list[Any]):
    """A call that is due, as `asyncio.Handle`: [instant, number, callback, arguments, context].

    A list, because a simulated second makes hundreds and orders them by instant and number: what
    is made, compared and taken apart in C is most of the loop's time less.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """Not to be called any more."""
        self[2] = None

    def cancelled(self) -> bool:
        """Return whether it is not to be called any more."""
        return self[2] is None

    def when(self) -> float:
        """The instant of a timer."""
        return float(self[0])


class _Task(asyncio.Task[Any]):
    """A task with a hash that does not depend on its address: sets of tasks keep their order."""

    __slots__ = ("number",)

    number: int

    def __hash__(self) -> int:
        return self.number


class _Future(asyncio.Future[Any]):
    """A future with such a hash."""

    __slots__ = ("number",)

    number: int

    def __hash__(self) -> int:
        return self.number


class VirtualLoop(base_events.BaseEventLoop):
    """The loop. It is also the clock that `tradingtools.clock` is replaced by.

    Args:
        rng: draws which process goes next.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._numbers = 0
        self._queues: defaultdict[str, deque[_Handle]] = defaultdict(deque)
        self._active: list[deque[_Handle]] = []
        """Of the processes that have something to do and may."""
        self._frozen: set[str] = set()
        self._timers: list[_Handle] = []
        self._tasks: dict[str, list[asyncio.Task[Any]]] = {}
        """Of each process, oldest first; some have ended."""
        self._thread = threading.get_ident()
        self.skews_ns: dict[str, int] = {}
        """How much a process's wall clock is ahead; not in it: nothing."""
        self.steps = 0
        self.set_exception_handler(lambda _loop, _context: None)

    # The clock.

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def wall_ns(self) -> int:
        """Wall time, as PostgreSQL has it."""
        return WALL_START_NS + int(self._now * 1e9)

    def time_ns(self) -> int:
        """Wall time, as the process has it that asks."""
        return self.wall_ns() + self.skews_ns.get(PROCESS.get(), 0)

    def monotonic_ns(self) -> int:
        """Nanoseconds since the beginning."""
        return int(self._now * 1e9)

    get_debug = staticmethod(bool)
    """It is not; every task and future asks for it."""

    # Giving work.

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        """Queue a callback behind those of its process."""
        if context is None:
            context = copy_context()
        handle = _Handle((self._now, 0, callback, args, context))
        self._queue(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        """The same; there are no other threads."""
        if threading.get_ident() != self._thread:
            self._forbidden()
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> _Handle:
        """Queue a callback for so many seconds from now."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> _Handle:
        """Queue a callback for an instant; those of one instant keep their order."""
        if callback is _WAKE_UP:
            context = _NOWHERE
        elif context is None:
            context = copy_context()
        self._numbers += 1
        timer = _Handle((when, self._numbers, callback, args, context))
        heapq.heappush(self._timers, timer)
        return timer

    def sleep(self, seconds: float) -> Awaitable[None]:
        """`asyncio.sleep`, for who has the loop at hand and need not look for it."""
        if seconds <= 0:
            return _A_TURN
        future = self.create_future()
        # Should whoever sleeps be cancelled, so is the future, and time does not stop for it.
        self.call_at(self._now + seconds, _WAKE_UP, future, None)
        return future

    def create_future(self) -> asyncio.Future[Any]:
        """A future."""
        future = _Future(loop=self)
        self._numbers += 1
        future.number = self._numbers
        return future

    def create_task(  # type: ignore[override]
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """A task of the process that asks, or of its context's."""
        self._numbers += 1
        task = _Task.__new__(_Task)
        # Before its first use in a set, which is in the initialiser.
        task.number = self._numbers
        task.__init__(coro, loop=self, name=name, context=context)  # type: ignore[misc]
        process = PROCESS.get() if context is None else context.get(PROCESS, "world")
        tasks = self._tasks.setdefault(process, [])
        if len(tasks) > _MANY_TASKS:
            tasks[:] = [known for known in tasks if not known.done()]
        tasks.append(task)
        return task

    def tasks_of(self, process: str) -> list[asyncio.Task[Any]]:
        """The tasks of a process that have not ended, oldest first."""
        return [task for task in self._tasks.get(process, ()) if not task.done()]

    # Running.

    def freeze(self, process: str) -> None:
        """Let a process run nothing until `thaw`."""
        self._frozen.add(process)
        queue = self._queues[process]
        self._active[:] = [other for other in self._active if other is not queue]

    def thaw(self, process: str) -> None:
        """Let it go on."""
        self._frozen.discard(process)
        queue = self._queues[process]
        if queue and not any(other is queue for other in self._active):
            self._active.append(queue)

    def _queue(self, handle: _Handle) -> None:
        process = handle[4].get(PROCESS, "world")
        queue = self._queues[process]
        if not queue and process not in self._frozen:
            self._active.append(queue)
        queue.append(handle)

    def _run_once(self) -> None:
        active, draw = self._active, self._rng.random
        while not self._stopping:  # type: ignore[attr-defined]
            if not active:
                self._pass_time()
                continue
            at = int(draw() * len(active)) if len(active) > 1 else 0
            queue = active[at]
            _, _, callback, args, context = queue.popleft()
            if not queue:
                active[at] = active[-1]
                active.pop()
            if callback is None:
                continue
            self.steps += 1
            try:
                context.run(callback, *args)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - go on
                self.call_exception_handler({"message": "a callback failed", "exception": error})

    def _pass_time(self) -> None:
        timers, now = self._timers, -1.0
        while timers and (timers[0][0] <= now or now < 0):
            handle = heapq.heappop(timers)
            when, _, callback, args, _ = handle
            if callback is None or (callback is _WAKE_UP and args[0].cancelled()):
                continue
            if now < 0:
                self._now = now = max(self._now, when)
            if callback is _WAKE_UP:
                # It runs nothing of the process; who has slept waits for his turn behind it.
                future, result = args
                future.set_result(result)
            else:
                self._queue(handle)
        if now < 0:
            raise Stalled("nobody has anything to do")

    # What would leave the simulation.

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> NoReturn:
        """There are no threads."""
        self._forbidden()

    def _forbidden(self) -> NoReturn:
        raise RuntimeError("a simulated process may not use threads")

    def _process_events(self, event_list: Any) -> None:
        """There is no I/O."""

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, and close the loop."""
        try:
            return self.run_until_complete(main)
        finally:
            self.run_until_complete(self.shutdown_asyncgens())
            self.close()
