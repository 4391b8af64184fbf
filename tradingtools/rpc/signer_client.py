"""A connection to the signer, for control and for the engines that trade wallets.

Before it: who wants a request signed. After it: the signer's Unix socket. Many may ask at once; a
broken connection is made again by the next one who asks. An answer that was lost says nothing: a
signature may have been written down, and asking again makes another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from tradingtools.domain import errors
from tradingtools.domain.signing import (
    Answer,
    Ask,
    GetHeaderSecrets,
    HeaderSecrets,
    Hello,
    OfEngine,
    PublicKey,
    Refused,
    Request,
    SealingKey,
    Signable,
    Signature,
    WalletChanged,
)
from tradingtools.rpc import callers, frames
from tradingtools.tasks import cancel_all

SECONDS = 9.0
"""For an answer: an exchange may have to be asked meanwhile."""
_A = TypeVar("_A")
_Waiting = dict[int, asyncio.Future[Answer]]
_AWAY = "the signer does not answer"
_ERRORS: Mapping[str, type[errors.TradingError]] = {
    kind.reason: kind for kind in errors.TradingError.__subclasses__()
}


class SignerClient:
    """Asks the signer.

    Args:
        path: of its socket; empty: there is no signer.
        token: by which it knows who asks; empty: this process's engine token.
    """

    def __init__(self, path: str, token: str = "") -> None:
        self._path = path
        self._token = token
        self._number = 0
        self._open: tuple[asyncio.StreamWriter, _Waiting] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    @property
    def configured(self) -> bool:
        """Return whether there is a signer to ask."""
        return bool(self._path)

    async def sign(self, request: Signable) -> str:
        """Return a signature. Raises TradingError: it is refused, or the signer is away."""
        return _only(Signature, await self.request(request)).signature

    async def header_secrets(self, request: HeaderSecrets) -> GetHeaderSecrets:
        """Return what has to travel in headers; keep it in memory alone. Raises as `sign`."""
        return _only(GetHeaderSecrets, await self.request(request))

    async def change(self, request: Ask) -> str:
        """Have a wallet added or changed; return its id. Raises as `sign`."""
        return _only(WalletChanged, await self.request(request)).wallet

    async def sealing_key(self) -> PublicKey:
        """Return the key that credentials are sealed to. Raises as `sign`."""
        return _only(PublicKey, await self.request(SealingKey()))

    async def request(self, request: Ask | OfEngine) -> Answer:
        """Return the signer's answer.

        Raises:
            Unavailable: it does not answer.
            TradingError: it refuses.
        """
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._request(request)
        except (TimeoutError, OSError, EOFError):
            raise errors.Unavailable(_AWAY, dependency="signer", retry_after_ms="1000") from None
        if isinstance(answer, Refused):
            raise _error(answer)
        return answer

    async def _request(self, request: Ask | OfEngine) -> Answer:
        writer, waiting = await self._connected()
        self._number += 1
        number = self._number
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting[number] = answer
        try:
            writer.write(frames.framed(Request(number=number, ask=request)))
            await writer.drain()
            return await answer
        finally:
            waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # Retrieved, also where writing failed first.

    async def _connected(self) -> tuple[asyncio.StreamWriter, _Waiting]:
        async with self._connecting:
            if self._open is not None and not self._open[0].is_closing():
                return self._open
            if not self._path:
                raise errors.Unavailable("no signer runs beside this engine", dependency="signer")
            reader, writer = await asyncio.open_unix_connection(self._path)
            writer.write(frames.framed(Hello(token=self._token or callers.own_token())))
            self._open = writer, {}
            self._reading = asyncio.create_task(_read(reader, *self._open))
            return self._open

    async def aclose(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            await cancel_all([self._reading])
        if self._open is not None:
            self._open[0].close()


async def _read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: _Waiting
) -> None:
    """Hand answers to who waits for them, until the connection ends."""
    try:
        while True:
            response = frames.responses.decode(await frames.read(reader))
            answer = waiting.get(response.number)
            if answer is not None and not answer.done():
                answer.set_result(response.answer)
    except (OSError, EOFError, msgspec.DecodeError, frames.TooLong):
        pass
    finally:
        writer.close()
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError(_AWAY))


def _only(kind: type[_A], answer: Answer) -> _A:
    if not isinstance(answer, kind):
        raise errors.Unavailable("the signer answers something else", dependency="signer")
    return answer


def _error(refused: Refused) -> errors.TradingError:
    if refused.reason == errors.Unauthenticated.reason:
        return errors.Unauthenticated(refused.message, message=refused.message)
    kind = _ERRORS.get(refused.reason, errors.TradingError)
    return kind(refused.message, **refused.metadata)
