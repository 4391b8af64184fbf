"""Each transition that there is has its event, or a reason in the table to have none."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from services.control.bots.rules import WISHES
from services.events.core.derive import derive
from services.events.core.payloads import payload_of
from services.events.core.sources import (
    BotFacts,
    BotMoved,
    BotOrderMoved,
    BreakerMoved,
    ControlChanged,
    CredentialsChanged,
    ProcessMoved,
    RiskMoved,
    WebhookChanged,
)
from services.executor.core.breaker import BreakerState
from tools import event_tables
from tradingtools.domain import (
    bot_order_states,
    bot_states,
    event_types,
    order_states,
    trigger_states,
)
from tradingtools.domain.bot_order_states import BotOrderState
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.event import cloud_event
from tradingtools.domain.event_types import EventType
from tradingtools.storage.postgres import schema

_ROOT = Path(__file__).resolve().parents[3]
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_transition_of_an_order_is_in_the_table() -> None:
    assert set(event_types.ORDER_EVENTS) == order_states.LEGAL


def test_every_transition_of_a_trigger_is_in_the_table() -> None:
    assert set(event_types.TRIGGER_EVENTS) == trigger_states.TRANSITIONS


def test_only_what_is_told_elsewhere_has_no_event() -> None:
    silent = {move for move, kind in event_types.ORDER_EVENTS.items() if kind is None}
    states = {target.value for _, target in silent}
    assert states == {"CLAIMED", "SUBMITTING"}


def test_every_type_says_what_it_tells_and_has_data() -> None:
    assert set(event_types.MEANINGS) == set(EventType)
    for kind in EventType:
        assert payload_of(kind).__doc__


def test_the_documents_are_those_of_the_code() -> None:
    for name, text in event_tables.documents().items():
        committed = (event_tables.DOCS / name).read_text(encoding="utf-8")
        assert committed == text, "run python -m tools.event_tables"


def test_a_told_event_fits_what_asyncapi_says_of_it() -> None:
    document = json.loads(event_tables.documents()["asyncapi.json"])
    kinds = {str(kind) for kind in EventType}
    assert set(document["components"]["messages"]) == {*kinds, "webhook.test"}
    assert set(document["channels"]["stream"]["messages"]) == kinds
    row = BreakerMoved(
        number=1, at=_AT, dependency="d", from_state="OPEN", to_state="CLOSED", reason="r"
    )
    (event,) = derive(row)
    schema = document["components"]["messages"][event.type]["payload"]
    schema |= {"components": document["components"]}
    reported = json.loads(cloud_event(1, event))
    assert list(Draft202012Validator(schema).iter_errors(reported)) == []
    wrong: list[dict[str, object]] = [
        {"type": "order.filled"}, {"specversion": "0.3"}, {"id": 1}, {"data": {}},
    ]  # fmt: skip
    for one in wrong:
        assert list(Draft202012Validator(schema).iter_errors({**reported, **one})) != [], one


def test_types_are_named_as_subject_and_verb() -> None:
    for kind in EventType:
        subject, _, verb = kind.partition(".")
        assert subject.isalpha(), kind
        assert verb.replace("_", "").isalpha(), kind


def test_every_state_of_a_breaker_is_told() -> None:
    assert set(event_types.BREAKER_EVENTS) == {str(state) for state in BreakerState}
    for state in BreakerState:
        row = BreakerMoved(
            number=1, at=_AT, dependency="d", from_state="", to_state=str(state), reason=""
        )
        assert [event.type for event in derive(row)] == [event_types.BREAKER_EVENTS[str(state)]]


def _recorded(folder: str, kind: str) -> set[str]:
    """The actions that control writes about subjects of a kind, read from its sources."""
    found: set[str] = set()
    for path in (_ROOT / "services" / "control" / folder).rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        found.update(re.findall(rf'\.record\(\s*"([a-z ]+)",\s*{kind}', source))
        # What is audited together is made first.
        found.update(re.findall(rf'Entry\(\s*action="([a-z ]+)",\s*kind={kind}', source))
    return found


def test_subscription_actions_are_events_or_listed_as_silent() -> None:
    written = _recorded("", "[A-Za-z_.]+")
    own = {action for action in written if "resync" in action or "performance" in action}
    assert own == {"preview resync", "execute resync", "performance action"}
    # The others go through one function, which takes the action from its caller.
    store = "".join(
        path.read_text() for path in (_ROOT / "services/control/subscriptions").glob("*.py")
    )
    others = {
        action for action in ("create", "update", "pause", "resume", "delete")
        if f'"{action}"' in store
    }  # fmt: skip
    assert own | others == set(event_types.SUBSCRIPTION_EVENTS)
    for action, kind in event_types.SUBSCRIPTION_EVENTS.items():
        reported = [event.type for event in derive(_change("subscription", action))]
        assert reported == ([] if kind is None else [kind]), action


def test_both_ends_of_a_halt_are_told() -> None:
    halting = schema.text("subscriptions")
    assert "'engine', 'halt', 'halt'" in halting, "the engine halts by the same action"
    assert {"halt", "unhalt"} <= _recorded("", "KIND")
    for action, kind in event_types.HALT_EVENTS.items():
        assert [event.type for event in derive(_change("halt", action))] == [kind]


_BOT = BotFacts(
    bot_id="b", tenant="default", name="n", wallet_id="w", exchange="okx", strategy="grid"
)


def _of_bot(what: str, before: str = "") -> list[str]:
    row = BotMoved(number=1, at=_AT, bot=_BOT, what=what, before=before, actor="a", reason="r")
    return [event.type for event in derive(row)]


def test_every_step_of_a_bot_is_told_when_it_arrives() -> None:
    assert set(event_types.BOT_EVENTS) == set(BotState)
    passing = {BotState.STARTING, BotState.PAUSING, BotState.STOPPING}
    for _, target in bot_states.TRANSITIONS:
        reported = _of_bot(target)
        assert reported == [] if target in passing | {BotState.IDLE} else len(reported) == 1, target
    # From each state of rest a bot goes on by another name.
    assert _of_bot("RUNNING") == _of_bot("RUNNING", "STOPPED") == ["bot.started"]
    assert _of_bot("RUNNING", "ERROR") == ["bot.started"]
    assert _of_bot("RUNNING", "PAUSED") == _of_bot("RUNNING", "RISK_STOPPED") == ["bot.resumed"]
    assert _of_bot("RUNNING", "RUNNING") == ["bot.taken_over"]


def test_a_bot_that_waits_for_a_person_is_given_up_by_a_stop() -> None:
    # It has no way to STOPPED, where bot.stopped would tell of it.
    for state in (BotState.RISK_STOPPED, BotState.ERROR):
        assert (state, BotState.STOPPED) not in bot_states.TRANSITIONS
        assert _of_bot("stopped", state) == ["bot.given_up"]
    assert _of_bot("stopped", "RUNNING") == ["bot.commanded"]


def test_every_word_of_a_person_about_a_bot_is_told() -> None:
    assert _of_bot("created") == ["bot.created"]
    assert _of_bot("changed") == ["bot.changed"]
    assert _of_bot("change_refused") == ["bot.change_refused"]
    assert _of_bot("position_missing") == ["bot.position_missing"]
    assert _of_bot("position_corrected") == ["bot.position_corrected"]
    for word in WISHES:
        row = BotMoved(number=1, at=_AT, bot=_BOT, what=word, before="", actor="a", reason="")
        (event,) = derive(row)
        assert (event.type, json.loads(event.data)["command"]) == ("bot.commanded", word)


def test_an_order_of_a_bot_is_told_when_a_person_has_to_know() -> None:
    assert set(event_types.BOT_ORDER_EVENTS) == bot_order_states.LEGAL
    quoting = {
        BotOrderState.INTENDED, BotOrderState.SUBMITTING, BotOrderState.OPEN,
        BotOrderState.PARTIALLY_FILLED, None,
    }  # fmt: skip
    news = {"REJECTED": "rejected", "UNKNOWN": "unknown", "LOST": "lost", "DEAD": "dead",
            "RESURRECTED": "resurrected"}  # fmt: skip
    for source, target in bot_order_states.LEGAL:
        row = BotOrderMoved(
            number=1, at=_AT, bot=_BOT, order_id="o", slot="bid", instrument_id="okx:X",
            side="BUY", price="1", size="2", filled="0", from_state=source or "",
            to_state=target, code="",
        )  # fmt: skip
        reported = [event.type for event in derive(row)]
        if target in news:
            assert reported == [f"bot.order_{news[target]}"], (source, target)
        elif source in quoting:
            assert reported == [], "no flood by quotes"
        else:
            assert reported == ["bot.order_resolved"], (source, target)


@pytest.mark.parametrize(
    ("limit", "action", "reported", "acts"),
    [
        ("max_gross", "REDUCE_ONLY", "risk.limit_reached", "REDUCE_ONLY"),
        ("max_gross", "LEFT", "risk.limit_left", ""),
        ("limits", "SET", "risk.changed", ""),
        ("kill_switch", "FLATTEN_AND_STOP", "risk.kill_switch_set", "FLATTEN_AND_STOP"),
        ("kill_switch", "DONE", "risk.kill_switch_done", ""),
        ("kill_switch", "CLEARED", "risk.kill_switch_cleared", ""),
    ],
)
def test_what_becomes_of_a_limit_is_told(limit: str, action: str, reported: str, acts: str) -> None:
    row = RiskMoved(
        number=1, at=_AT, tenant="default", scope="WALLET", subject="wal_1", limit_name=limit,
        action=action, detail="7 USDC of 6",
    )  # fmt: skip
    (event,) = derive(row)
    # Each limit of a scope begins and ends by itself.
    assert event.subject == f"risk/default/WALLET/wal_1/{limit}"
    data = json.loads(event.data)
    assert (event.type, data["limit"], data.get("action", "")) == (reported, limit, acts)


def _change(kind: str, action: str) -> ControlChanged:
    return ControlChanged(
        number=1, at=_AT, actor="a", source="s", action=action, kind=kind, subject="x",
        before=None, after=None,
    )  # fmt: skip


def _allowed(subject: str, table: str) -> set[str]:
    """The actions that a table's check allows."""
    made = schema.text(subject).partition(f"create table {table} (")[2].partition(");\n")[0]
    return set(re.findall(r"'([a-z]+)'", made.partition("check (action in")[2].partition(")")[0]))


def test_what_is_done_to_webhooks_and_what_processes_say_is_told() -> None:
    assert set(event_types.WEBHOOK_EVENTS) == _allowed("webhooks", "webhook_event")
    assert set(event_types.ENGINE_EVENTS) == _allowed("processes", "process_event")
    for action, kind in event_types.WEBHOOK_EVENTS.items():
        changed = WebhookChanged(
            number=1, at=_AT, endpoint_id="whk_1", action=action, url="u", actor="a", reason="r"
        )
        assert [event.type for event in derive(changed)] == [kind]
    assert set(event_types.CREDENTIALS_EVENTS) == _allowed("wallets", "wallet_event")
    for action, reported in event_types.CREDENTIALS_EVENTS.items():
        done = CredentialsChanged(
            number=1, at=_AT, wallet_id="wal_1", action=action, name="n", exchange="okx",
            environment="live", account="7", actor="a", reason="",
        )  # fmt: skip
        assert [event.type for event in derive(done)] == ([] if reported is None else [reported])
    for action, kind in event_types.ENGINE_EVENTS.items():
        moved = ProcessMoved(number=1, at=_AT, process="router", action=action, detail="")
        assert [event.type for event in derive(moved)] == [kind]


def test_every_type_of_the_design_is_there() -> None:
    assert {
        "order.placed", "order.partially_filled", "order.filled", "order.cancelled", "order.failed",
        "order.lost", "order.dead", "order.resurrected", "copy.skipped", "position.opened",
        "position.closed", "position.corrected", "trigger.armed", "trigger.fired",
        "trigger.suspended", "trigger.stuck", "subscription.created", "subscription.changed",
        "subscription.paused", "subscription.resumed", "subscription.deleted", "leader.traded",
        "halt.set", "halt.cleared", "breaker.opened", "breaker.closed", "engine.started",
        "engine.stopped", "engine.degraded", "message.quarantined", "webhook.disabled",
    } <= {str(kind) for kind in EventType}  # fmt: skip


def test_an_event_of_an_endpoint_tells_others_no_path() -> None:
    url = "https://hooks.example.org:8443/services/T0/s3cret?key=k3y"
    changed = WebhookChanged(
        number=1, at=_AT, endpoint_id="whk_1", action="created", url=url, actor="a", reason=""
    )
    (event,) = derive(changed)
    assert '"url":"https://hooks.example.org:8443"' in event.data
    assert "s3cret" not in event.data
    assert "k3y" not in event.data
