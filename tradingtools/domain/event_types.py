"""Every type of event, and which one each transition of an order or a trigger is.

One table that the log's writer, the documentation and the tests share: a transition without an
entry fails a test. None says that no reader would care, and the comment says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tradingtools.domain.bot_order_states import LEGAL, BotOrderState
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.order_states import OrderState
from tradingtools.domain.trigger_states import TriggerStatus


class EventType(StrEnum):
    """The types of events; the values are what readers see."""

    LEADER_TRADED = "leader.traded"
    COPY_SKIPPED = "copy.skipped"
    ORDER_PLACED = "order.placed"
    ORDER_PARTIALLY_FILLED = "order.partially_filled"
    ORDER_FILLED = "order.filled"
    ORDER_FILL_REVERSED = "order.fill_reversed"
    ORDER_SETTLED = "order.settled"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_FAILED = "order.failed"
    ORDER_UNKNOWN = "order.unknown"
    ORDER_LOST = "order.lost"
    ORDER_DEAD = "order.dead"
    ORDER_RESURRECTED = "order.resurrected"
    POSITION_OPENED = "position.opened"
    POSITION_CLOSED = "position.closed"
    POSITION_CORRECTED = "position.corrected"
    POSITION_RESOLVED = "position.resolved"
    TRIGGER_CREATED = "trigger.created"
    TRIGGER_CHANGED = "trigger.changed"
    TRIGGER_ARMED = "trigger.armed"
    TRIGGER_SUSPENDED = "trigger.suspended"
    TRIGGER_FIRED = "trigger.fired"
    TRIGGER_STUCK = "trigger.stuck"
    TRIGGER_DONE = "trigger.done"
    TRIGGER_CANCELLED = "trigger.cancelled"
    TRIGGER_RESOLVED = "trigger.resolved"
    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    SUBSCRIPTION_PAUSED = "subscription.paused"
    SUBSCRIPTION_RESUMED = "subscription.resumed"
    SUBSCRIPTION_DELETED = "subscription.deleted"
    SUBSCRIPTION_RESYNCED = "subscription.resynced"
    SUBSCRIPTION_PERFORMANCE_ACTION = "subscription.performance_action"
    WALLET_FUNDED = "wallet.funded"
    HALT_SET = "halt.set"
    HALT_CLEARED = "halt.cleared"
    BREAKER_OPENED = "breaker.opened"
    BREAKER_PROBED = "breaker.probed"
    BREAKER_CLOSED = "breaker.closed"
    OPERATOR_ACTED = "operator.acted"
    MESSAGE_QUARANTINED = "message.quarantined"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_ENABLED = "webhook.enabled"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_DELETED = "webhook.deleted"
    CREDENTIALS_ADDED = "credentials.added"
    CREDENTIALS_REPLACED = "credentials.replaced"
    CREDENTIALS_CHECKED = "credentials.checked"
    CREDENTIALS_RETIRED = "credentials.retired"
    BOT_CREATED = "bot.created"
    BOT_CHANGED = "bot.changed"
    BOT_CHANGE_REFUSED = "bot.change_refused"
    BOT_POSITION_MISSING = "bot.position_missing"
    BOT_POSITION_CORRECTED = "bot.position_corrected"
    BOT_COMMANDED = "bot.commanded"
    BOT_STARTED = "bot.started"
    BOT_RESUMED = "bot.resumed"
    BOT_TAKEN_OVER = "bot.taken_over"
    BOT_PAUSED = "bot.paused"
    BOT_STOPPED = "bot.stopped"
    BOT_RISK_STOPPED = "bot.risk_stopped"
    BOT_ERROR = "bot.error"
    BOT_GIVEN_UP = "bot.given_up"
    BOT_ORDER_FILLED = "bot.order_filled"
    BOT_ORDER_FILL_REVERSED = "bot.order_fill_reversed"
    BOT_ORDER_REJECTED = "bot.order_rejected"
    BOT_ORDER_UNKNOWN = "bot.order_unknown"
    BOT_ORDER_RESOLVED = "bot.order_resolved"
    BOT_ORDER_LOST = "bot.order_lost"
    BOT_ORDER_DEAD = "bot.order_dead"
    BOT_ORDER_RESURRECTED = "bot.order_resurrected"
    RISK_LIMIT_REACHED = "risk.limit_reached"
    RISK_LIMIT_LEFT = "risk.limit_left"
    RISK_CHANGED = "risk.changed"
    RISK_KILL_SWITCH_SET = "risk.kill_switch_set"
    RISK_KILL_SWITCH_DONE = "risk.kill_switch_done"
    RISK_KILL_SWITCH_CLEARED = "risk.kill_switch_cleared"
    ENGINE_STARTED = "engine.started"
    ENGINE_STOPPED = "engine.stopped"
    ENGINE_DEGRADED = "engine.degraded"
    ENGINE_RECOVERED = "engine.recovered"


_E, _S, _T = EventType, OrderState, TriggerStatus

MEANINGS: Final[Mapping[EventType, str]] = {
    _E.LEADER_TRADED: "A leader's trade was taken up; one event a row of his transaction.",
    _E.COPY_SKIPPED: "A follower does not copy a leader's trade, or not now, and why. It may still"
    " be copied when a reason ends: then order events follow.",
    _E.ORDER_PLACED: "insiders-api has accepted an order.",
    _E.ORDER_PARTIALLY_FILLED: "A trade has filled a part of an order.",
    _E.ORDER_FILLED: "A trade has filled the last of an order; its settlement follows.",
    _E.ORDER_FILL_REVERSED: "A fill has failed to settle; its shares and money are back.",
    _E.ORDER_SETTLED: "An order was filled whole, and every fill is final.",
    _E.ORDER_CANCELLED: "The venue has ended an order with less than its size filled, or nothing:"
    " `filledSize` is final.",
    _E.ORDER_FAILED: "An order has ended without a standing fill: it was refused, never sent, or"
    " its fills were undone.",
    _E.ORDER_UNKNOWN: "Nobody answers for an order; it is looked for. Its money stays reserved.",
    _E.ORDER_LOST: "An order provably does not exist; its money is free again.",
    _E.ORDER_DEAD: "Nobody can say what became of an order; a person has to find out.",
    _E.ORDER_RESURRECTED: "An order that had ended has appeared after all. The wallet buys nothing"
    " until a person has looked.",
    _E.POSITION_OPENED: "A wallet holds shares of an outcome where it held none.",
    _E.POSITION_CLOSED: "A wallet holds no more shares of an outcome.",
    _E.POSITION_CORRECTED: "A position was set to what is really held; `detail` says why.",
    _E.POSITION_RESOLVED: "A market has resolved, and a position was paid out.",
    _E.TRIGGER_CREATED: "A trigger was made, by a caller or for a new position.",
    _E.TRIGGER_CHANGED: "A caller has changed a trigger.",
    _E.TRIGGER_ARMED: "A trigger watches its price; again, when it had done so before.",
    _E.TRIGGER_SUSPENDED: "A trigger's book cannot be trusted; nothing fires meanwhile.",
    _E.TRIGGER_FIRED: "A trigger has fired; its order is claimed.",
    _E.TRIGGER_STUCK: "Nobody knows what became of a trigger's order; nothing is sent beside it.",
    _E.TRIGGER_DONE: "A trigger has sold what it was to sell.",
    _E.TRIGGER_CANCELLED: "A trigger has ended without firing.",
    _E.TRIGGER_RESOLVED: "A trigger's market has resolved.",
    _E.SUBSCRIPTION_CREATED: "A follower follows a leader.",
    _E.SUBSCRIPTION_CHANGED: "The terms of a subscription were changed.",
    _E.SUBSCRIPTION_PAUSED: "A subscription buys nothing; exits go on.",
    _E.SUBSCRIPTION_RESUMED: "A subscription buys again.",
    _E.SUBSCRIPTION_DELETED: "A subscription has ended; what it holds follows the leader out.",
    _E.SUBSCRIPTION_RESYNCED: "A resync of a subscription was executed.",
    _E.SUBSCRIPTION_PERFORMANCE_ACTION: "A performance rule has stopped a subscription or moved its"
    " scale; `after.performance_action` has the rule and its evidence.",
    _E.WALLET_FUNDED: "Money was put into a wallet's budget, or taken out.",
    _E.HALT_SET: "Orders are halted, for all, a wallet, a leader or a market.",
    _E.HALT_CLEARED: "A halt has ended.",
    _E.BREAKER_OPENED: "A server that the engine depends on fails; nothing is sent to it.",
    _E.BREAKER_PROBED: "One order tries whether that server is back.",
    _E.BREAKER_CLOSED: "That server is back.",
    _E.OPERATOR_ACTED: "An operator has done something that has no event of its own.",
    _E.MESSAGE_QUARANTINED: "A message could not be handled and was set aside.",
    _E.WEBHOOK_CREATED: "A webhook endpoint was made.",
    _E.WEBHOOK_CHANGED: "The terms of a webhook endpoint were changed, or its secret was rotated.",
    _E.WEBHOOK_ENABLED: "A webhook endpoint gets events again.",
    _E.WEBHOOK_DISABLED: "A webhook endpoint gets no more events: a caller has said so, it has"
    " answered 410, or it has taken nothing for five days.",
    _E.WEBHOOK_DELETED: "A webhook endpoint was deleted.",
    _E.CREDENTIALS_ADDED: "A trading wallet was added.",
    _E.CREDENTIALS_REPLACED: "Other credentials have taken the place of a trading wallet's.",
    _E.CREDENTIALS_CHECKED: "An exchange was asked about a trading wallet's credentials; `reason`"
    " says what is wrong with them, empty: nothing.",
    _E.CREDENTIALS_RETIRED: "A trading wallet's credentials were erased.",
    _E.BOT_CREATED: "A bot was made; it is idle until a person starts it.",
    _E.BOT_CHANGED: "A person has changed settings or limits of a bot; `reason` says which.",
    _E.BOT_CHANGE_REFUSED: "A running bot cannot go by a change: `reason` says why. It goes by its"
    " settings and limits of before.",
    _E.BOT_POSITION_MISSING: "The exchange holds less of an instrument than the bots of a wallet"
    " have bought: nothing opens there.",
    _E.BOT_POSITION_CORRECTED: "The exchange goes on holding less than a bot has bought, with no"
    " order under way: the bot's holding follows, and nothing opens there until a person explains.",
    _E.BOT_COMMANDED: "A person wants something of a bot: `command` says what. What becomes of it"
    " has an event of its own.",
    _E.BOT_STARTED: "A bot trades: its account is read and its orders are reconciled.",
    _E.BOT_RESUMED: "A bot trades again after a pause or a stop by risk.",
    _E.BOT_TAKEN_OVER: "An engine has taken over a bot that traded, after a death, a restart or a"
    " drain; `actor` is the engine.",
    _E.BOT_PAUSED: "A bot waits: none of its orders may fill any more.",
    _E.BOT_STOPPED: "A bot has ended: none of its orders may fill any more. What it holds stays.",
    _E.BOT_RISK_STOPPED: "A limit was reached: a bot cancels its orders and stays until a person"
    " resumes it. `reason` has the limit with its numbers.",
    _E.BOT_ERROR: "A bot cannot go on; `reason` says why. Its orders are cancelled.",
    _E.BOT_GIVEN_UP: "A person has stopped a bot that risk has stopped, or that cannot go on: it"
    " stays in that state, and nobody waits for it.",
    _E.BOT_ORDER_FILLED: "A trade has filled an order of a bot, or a part of it.",
    _E.BOT_ORDER_FILL_REVERSED: "A fill of a bot has failed to settle; it is taken back.",
    _E.BOT_ORDER_REJECTED: "An exchange has refused an order of a bot. Of refusals of one slot with"
    " one code the first is told, until an order stands there again.",
    _E.BOT_ORDER_UNKNOWN: "Nobody answers for an order of a bot; it is looked for, and stays"
    " reserved.",
    _E.BOT_ORDER_RESOLVED: "What became of an order of a bot that was unknown, dead or resurrected:"
    " `state` says it.",
    _E.BOT_ORDER_LOST: "An order of a bot provably does not exist; its reservation is free again.",
    _E.BOT_ORDER_DEAD: "Nobody can say what became of an order of a bot; a person has to find out."
    " It stays reserved.",
    _E.BOT_ORDER_RESURRECTED: "An order of a bot that had ended has appeared after all. The bot"
    " stops by risk.",
    _E.ENGINE_STARTED: "A process has started; `detail` says when it had ended without a word.",
    _E.ENGINE_STOPPED: "A process was told to end.",
    _E.ENGINE_DEGRADED: "Something that a process depends on does not answer.",
    _E.ENGINE_RECOVERED: "It answers again.",
    _E.RISK_LIMIT_REACHED: "A limit of many bots, or one of a bot that stops it or lets nothing"
    " open, is reached. Told once until it is reached anew.",
    _E.RISK_LIMIT_LEFT: "A limit of many bots is not reached any more.",
    _E.RISK_CHANGED: "A person has set or removed limits of many bots.",
    _E.RISK_KILL_SWITCH_SET: "A person has set the kill switch: bots cancel everything, close what"
    " they hold and stay stopped.",
    _E.RISK_KILL_SWITCH_DONE: "Every wallet is done with the kill switch: nothing rests, nothing is"
    " held, and nothing that had left before can arrive any more.",
    _E.RISK_KILL_SWITCH_CLEARED: "A person has cleared the kill switch: bots may be resumed.",
}
"""What each type tells, for people."""

ORDER_EVENTS: Final[Mapping[tuple[OrderState | None, OrderState], EventType | None]] = {
    # Its leader.traded and the decision tell of it; nothing has left yet.
    (None, _S.CLAIMED): None,
    # Durable that it may leave; it follows within milliseconds what became of it.
    (_S.CLAIMED, _S.SUBMITTING): None,
    (_S.UNKNOWN, _S.SUBMITTING): None,
    (_S.CLAIMED, _S.FAILED): _E.ORDER_FAILED,
    (_S.SUBMITTING, _S.SUBMITTED): _E.ORDER_PLACED,
    (_S.SUBMITTING, _S.FAILED): _E.ORDER_FAILED,
    (_S.SUBMITTING, _S.UNKNOWN): _E.ORDER_UNKNOWN,
    (_S.UNKNOWN, _S.SUBMITTED): _E.ORDER_PLACED,
    (_S.UNKNOWN, _S.LOST): _E.ORDER_LOST,
    (_S.UNKNOWN, _S.DEAD): _E.ORDER_DEAD,
    (_S.DEAD, _S.SUBMITTED): _E.ORDER_PLACED,
    # Told by the booking that closes it, after its fills; order.cancelled when a rest was killed.
    (_S.SUBMITTED, _S.CONFIRMED): _E.ORDER_SETTLED,
    # order.cancelled when nothing was filled, order.failed when a fill was undone.
    (_S.SUBMITTED, _S.FAILED): _E.ORDER_FAILED,
    (_S.SUBMITTED, _S.DEAD): _E.ORDER_DEAD,
    (_S.LOST, _S.RESURRECTED): _E.ORDER_RESURRECTED,
    (_S.FAILED, _S.RESURRECTED): _E.ORDER_RESURRECTED,
    (_S.CONFIRMED, _S.RESURRECTED): _E.ORDER_RESURRECTED,
    (_S.DEAD, _S.CONFIRMED): _E.ORDER_SETTLED,
    (_S.DEAD, _S.FAILED): _E.ORDER_FAILED,
    (_S.RESURRECTED, _S.CONFIRMED): _E.ORDER_SETTLED,
    (_S.RESURRECTED, _S.FAILED): _E.ORDER_FAILED,
}

TRIGGER_EVENTS: Final[Mapping[tuple[TriggerStatus, TriggerStatus], EventType | None]] = {
    (_T.WAITING, _T.ARMED): _E.TRIGGER_ARMED,
    (_T.WAITING, _T.CANCELLED): _E.TRIGGER_CANCELLED,
    (_T.WAITING, _T.RESOLVED): _E.TRIGGER_RESOLVED,
    (_T.ARMED, _T.SUSPENDED): _E.TRIGGER_SUSPENDED,
    (_T.ARMED, _T.TRIGGERED): _E.TRIGGER_FIRED,
    (_T.ARMED, _T.CANCELLED): _E.TRIGGER_CANCELLED,
    (_T.ARMED, _T.RESOLVED): _E.TRIGGER_RESOLVED,
    (_T.SUSPENDED, _T.ARMED): _E.TRIGGER_ARMED,
    (_T.SUSPENDED, _T.CANCELLED): _E.TRIGGER_CANCELLED,
    (_T.SUSPENDED, _T.RESOLVED): _E.TRIGGER_RESOLVED,
    # trigger.fired has told of it, and its order's events tell how it goes on.
    (_T.TRIGGERED, _T.CLOSING): None,
    (_T.TRIGGERED, _T.NEEDS_CONFIRM): _E.TRIGGER_STUCK,
    (_T.TRIGGERED, _T.DONE): _E.TRIGGER_DONE,
    (_T.TRIGGERED, _T.ARMED): _E.TRIGGER_ARMED,
    (_T.TRIGGERED, _T.RESOLVED): _E.TRIGGER_RESOLVED,
    (_T.CLOSING, _T.NEEDS_CONFIRM): _E.TRIGGER_STUCK,
    (_T.CLOSING, _T.DONE): _E.TRIGGER_DONE,
    (_T.CLOSING, _T.RESOLVED): _E.TRIGGER_RESOLVED,
    (_T.CLOSING, _T.ARMED): _E.TRIGGER_ARMED,
    # The unknown order has ended; the next slice's events tell how it goes on.
    (_T.NEEDS_CONFIRM, _T.CLOSING): None,
    (_T.NEEDS_CONFIRM, _T.DONE): _E.TRIGGER_DONE,
    (_T.NEEDS_CONFIRM, _T.ARMED): _E.TRIGGER_ARMED,
    (_T.NEEDS_CONFIRM, _T.RESOLVED): _E.TRIGGER_RESOLVED,
}

SUBSCRIPTION_EVENTS: Final[Mapping[str, EventType | None]] = {
    "create": _E.SUBSCRIPTION_CREATED,
    "update": _E.SUBSCRIPTION_CHANGED,
    "pause": _E.SUBSCRIPTION_PAUSED,
    "resume": _E.SUBSCRIPTION_RESUMED,
    "delete": _E.SUBSCRIPTION_DELETED,
    # A question; nothing changes.
    "preview resync": None,
    "execute resync": _E.SUBSCRIPTION_RESYNCED,
    "performance action": _E.SUBSCRIPTION_PERFORMANCE_ACTION,
}
"""By the action of a control change."""

HALT_EVENTS: Final[Mapping[str, EventType]] = {
    "halt": _E.HALT_SET,
    "unhalt": _E.HALT_CLEARED,
}
"""By the action of a control change."""

WEBHOOK_EVENTS: Final[Mapping[str, EventType]] = {
    "created": _E.WEBHOOK_CREATED,
    "changed": _E.WEBHOOK_CHANGED,
    "enabled": _E.WEBHOOK_ENABLED,
    "disabled": _E.WEBHOOK_DISABLED,
    "deleted": _E.WEBHOOK_DELETED,
}
"""By what was done to an endpoint."""

CREDENTIALS_EVENTS: Final[Mapping[str, EventType | None]] = {
    "added": _E.CREDENTIALS_ADDED,
    "replaced": _E.CREDENTIALS_REPLACED,
    "checked": _E.CREDENTIALS_CHECKED,
    "retired": _E.CREDENTIALS_RETIRED,
    # A rotation of master keys does it to all wallets at once, and changes nothing for anybody.
    "rewrapped": None,
}
"""By what was done to a trading wallet."""

ENGINE_EVENTS: Final[Mapping[str, EventType]] = {
    "started": _E.ENGINE_STARTED,
    "stopped": _E.ENGINE_STOPPED,
    "degraded": _E.ENGINE_DEGRADED,
    "recovered": _E.ENGINE_RECOVERED,
}
"""By what a process says of itself."""

BREAKER_EVENTS: Final[Mapping[str, EventType]] = {
    "OPEN": _E.BREAKER_OPENED,
    "HALF_OPEN": _E.BREAKER_PROBED,
    "CLOSED": _E.BREAKER_CLOSED,
}

BOT_EVENTS: Final[Mapping[BotState, EventType | None]] = {
    # bot.created tells of it.
    BotState.IDLE: None,
    # On the way to a state that is told.
    BotState.STARTING: None,
    BotState.PAUSING: None,
    BotState.STOPPING: None,
    # bot.resumed or bot.taken_over, by the state before.
    BotState.RUNNING: _E.BOT_STARTED,
    BotState.PAUSED: _E.BOT_PAUSED,
    BotState.STOPPED: _E.BOT_STOPPED,
    BotState.RISK_STOPPED: _E.BOT_RISK_STOPPED,
    BotState.ERROR: _E.BOT_ERROR,
}
"""By the state that a bot comes to."""

BOT_WORDS: Final[Mapping[str, EventType]] = {
    "created": _E.BOT_CREATED,
    "changed": _E.BOT_CHANGED,
    "change_refused": _E.BOT_CHANGE_REFUSED,
    "position_missing": _E.BOT_POSITION_MISSING,
    "position_corrected": _E.BOT_POSITION_CORRECTED,
}
"""By what a person or an engine says; every other word is a command."""

RISK_EVENTS: Final[Mapping[str, EventType]] = {
    "SET": _E.RISK_CHANGED,
    "LEFT": _E.RISK_LIMIT_LEFT,
}
"""By what becomes of a limit; every other action is what reaching it does."""

KILL_SWITCH_EVENTS: Final[Mapping[str, EventType]] = {
    "FLATTEN_AND_STOP": _E.RISK_KILL_SWITCH_SET,
    "DONE": _E.RISK_KILL_SWITCH_DONE,
    "CLEARED": _E.RISK_KILL_SWITCH_CLEARED,
}
"""By what becomes of a kill switch."""

_B = BotOrderState
_SILENT: Final[frozenset[tuple[BotOrderState | None, BotOrderState]]] = frozenset(
    {
        # A quote comes and goes many times a second: GET /bots/{id}/orders has each of them.
        (None, _B.INTENDED),
        (_B.INTENDED, _B.SUBMITTING),
        (_B.SUBMITTING, _B.OPEN),
        (_B.SUBMITTING, _B.CANCELLED),
        (_B.SUBMITTING, _B.EXPIRED),
        (_B.OPEN, _B.CANCELLED),
        (_B.OPEN, _B.EXPIRED),
        # Its fills tell of it, each with what is filled by then.
        (_B.SUBMITTING, _B.PARTIALLY_FILLED),
        (_B.SUBMITTING, _B.FILLED),
        (_B.OPEN, _B.PARTIALLY_FILLED),
        (_B.OPEN, _B.FILLED),
        (_B.PARTIALLY_FILLED, _B.OPEN),
        (_B.PARTIALLY_FILLED, _B.FILLED),
        (_B.PARTIALLY_FILLED, _B.CANCELLED),
        (_B.PARTIALLY_FILLED, _B.EXPIRED),
    }
)
_BY_TARGET: Final[Mapping[BotOrderState, EventType]] = {
    _B.REJECTED: _E.BOT_ORDER_REJECTED,
    _B.UNKNOWN: _E.BOT_ORDER_UNKNOWN,
    _B.LOST: _E.BOT_ORDER_LOST,
    _B.DEAD: _E.BOT_ORDER_DEAD,
    _B.RESURRECTED: _E.BOT_ORDER_RESURRECTED,
}

BOT_ORDER_EVENTS: Final[Mapping[tuple[BotOrderState | None, BotOrderState], EventType | None]] = {
    move: None if move in _SILENT else _BY_TARGET.get(move[1], _E.BOT_ORDER_RESOLVED)
    for move in sorted(LEGAL, key=str)
}
"""By the transition of a bot's order; what is silent is not written either."""
