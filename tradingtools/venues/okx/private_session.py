"""The private socket of one wallet as a state machine: login, subscribe, read, trust. Pure.

What happens before everything that was missed has been read, is kept and told after it: nobody
hears of an order's end before hearing of the order. Whatever cannot be read renews the connection,
since what it told has to be read by REST then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import msgspec

from tradingtools.venues.okx.account_frames import UnknownInstrument, read_orders
from tradingtools.venues.okx.balances import AccountBook
from tradingtools.venues.okx.error_codes import Action, action_of, meaning_of
from tradingtools.venues.okx.instruments import Directory
from tradingtools.venues.okx.signing import ApiKey
from tradingtools.venues.okx.wire import (
    Argument,
    Event,
    OperationAnswer,
    Push,
    WireError,
    decode_frame,
)
from tradingtools.venues.trading import AccountEvent, Connected

CHANNELS = (
    Argument(channel="orders", inst_type="ANY"),
    Argument(channel="account"),
    Argument(channel="positions", inst_type="ANY"),
    Argument(channel="liquidation-warning", inst_type="ANY"),
)


class SessionState(Enum):
    """The progress of a connection."""

    LOGIN = auto()
    SUBSCRIBING = auto()
    READING = auto()
    """Everything is told by now, and what was missed is being read."""
    TRUSTED = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Send:
    """A frame that has to be sent."""

    frame: str


@dataclass(frozen=True, slots=True)
class StartCatchUp:
    """Ask for a reading by REST of all that was missed, for `PrivateSession.caught_up`."""


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Something happened to the wallet."""

    event: AccountEvent


@dataclass(frozen=True, slots=True)
class ReadFills:
    """A fill was told without its fee: fills have to be read by REST, and told."""


@dataclass(frozen=True, slots=True)
class ReadInstruments:
    """Something is about an instrument that is not known: it has to be learnt, then `again`."""

    push: Push
    symbol: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An operation has its answer."""

    answer: OperationAnswer


@dataclass(frozen=True, slots=True)
class Renew:
    """The connection is over; a new one is needed.

    Attributes:
        detail: for a person.
        action: of the code behind it; CLOCK and CREDENTIALS want more than a new connection.
    """

    detail: str
    action: Action = Action.RECONNECT


Effect = Send | StartCatchUp | EmitEvent | ReadFills | ReadInstruments | Answered | Renew


class PrivateSession:
    """One connection.

    Args:
        directory: the instruments.
        account: balances and positions, which outlive the connection.
        tag: that our orders carry.
    """

    def __init__(self, directory: Directory, account: AccountBook, tag: str) -> None:
        self.state = SessionState.LOGIN
        self._directory = directory
        self._account = account
        self._tag = tag
        self._missing = {one.channel for one in CHANNELS}
        self._retained: list[Push] = []

    def login(self, api_key: ApiKey, *, timestamp: int, signature: str) -> str:
        """Return the first frame."""
        argument = {
            "apiKey": api_key.key,
            "passphrase": api_key.passphrase,
            "timestamp": str(timestamp),
            "sign": signature,
        }
        return msgspec.json.encode({"op": "login", "args": [argument]}).decode()

    def receive(self, frame: bytes) -> list[Effect]:
        """Take a frame. Return what has to be done, in order."""
        if self.state is SessionState.OVER:
            return []
        try:
            read = decode_frame(frame)
        except WireError as error:
            return self._over(f"it cannot be read: {error}")
        match read:
            case None:
                return []
            case Event():
                return self._on_event(read)
            case OperationAnswer():
                return [Answered(read)]
            case Push():
                if self.state is SessionState.TRUSTED:
                    return self._on_push(read)
                self._retained.append(read)
                return []

    def again(self, push: Push) -> list[Effect]:
        """Take a push once more, after instruments were read."""
        return self._on_push(push)

    def caught_up(self, missed: Sequence[AccountEvent], venue_ms: int) -> list[Effect]:
        """Take what was read by REST, and tell it, and what has come meanwhile."""
        if self.state is not SessionState.READING:
            return []
        self.state = SessionState.TRUSTED
        kept, self._retained = self._retained, []
        effects: list[Effect] = [EmitEvent(Connected(venue_ms=venue_ms))]
        effects += [EmitEvent(event) for event in missed]
        for push in kept:
            effects += self._on_push(push)
        return effects

    def _on_event(self, event: Event) -> list[Effect]:
        match event.event:
            case "login" if event.code == "0" and self.state is SessionState.LOGIN:
                self.state = SessionState.SUBSCRIBING
                return [Send(subscription("subscribe", CHANNELS))]
            case "subscribe" if event.arg is not None:
                self._missing.discard(event.arg.channel)
                if self._missing or self.state is not SessionState.SUBSCRIBING:
                    return []
                self.state = SessionState.READING
                return [StartCatchUp()]
            case "error" if event.id:
                answer = OperationAnswer(id=event.id, op="", code=event.code, msg=event.msg)
                return [Answered(answer)]
            case "error" | "login":
                return self._over(f"{event.code} {meaning_of(event.code)}", event.code)
            case "notice" if action_of(event.code) is Action.RECONNECT:
                return self._over(meaning_of(event.code))
            case "channel-conn-count-error":
                return self._over("too many connections of the channel")
            case _:
                return []

    def _on_push(self, push: Push) -> list[Effect]:
        try:
            return self._read(push)
        except UnknownInstrument as error:
            return [ReadInstruments(push, error.symbol)]
        except WireError as error:
            return self._over(f"it cannot be read: {error}")

    def _read(self, push: Push) -> list[Effect]:
        match push.arg.channel:
            case "orders":
                return self._read_orders(push)
            case "account":
                self._account.balances(push.data)
            case "positions":
                self._account.positions(push.data)
            case "liquidation-warning":
                return [EmitEvent(warning) for warning in self._account.warnings(push.data)]
            case _:
                return []
        return [EmitEvent(self._account.state)]

    def _read_orders(self, push: Push) -> list[Effect]:
        # Everything is read before anything is told: a row that cannot be read tells nothing twice.
        effects: list[Effect] = []
        for news in list(read_orders(push.data, self._directory, self._tag)):
            if news.fill is not None:
                effects.append(EmitEvent(news.fill))
            effects.append(EmitEvent(news.report))
            if news.forced is not None:
                effects.append(EmitEvent(news.forced))
            if news.fill_untold:
                effects.append(ReadFills())
        return effects

    def _over(self, detail: str, code: str = "") -> list[Effect]:
        self.state = SessionState.OVER
        return [Renew(detail, action_of(code) if code else Action.RECONNECT)]


def subscription(op: str, arguments: tuple[Argument, ...]) -> str:
    """Return the frame that subscribes or unsubscribes."""
    return msgspec.json.encode({"op": op, "args": arguments}).decode()
