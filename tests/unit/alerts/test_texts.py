"""Texts of messages, and the events that rules want."""

from __future__ import annotations

import msgspec

from services.alerts import rules_file
from services.alerts.core.grouping import Counts, Kind
from services.alerts.core.open_alerts import Group, Notice
from services.alerts.core.rules import Rule
from services.alerts.core.signals import Event, facts_of, of_event
from services.alerts.core.texts import Links, Message, message
from services.alerts.targets import headline, slack_form

SHIPPED = rules_file.load(None)
LINKS = Links(console="https://console.example.org", runbook="docs/alerts.md")


def event(kind: str, subject: str, **data: object) -> Event:
    return Event(type=kind, subject=subject, at_ms=0, data=msgspec.json.encode(data).decode())


def lost(number: int, size: str = "100") -> Event:
    wallet = f"0x{number % 2:040x}"
    return event(
        "order.lost", f"orders/key-{number}", orderId=f"key-{number}", purpose="ENTRY", side="BUY",
        size=size, limit="0.55", reason="NOT_FOUND", follower={"followerProxy": wallet},
    )  # fmt: skip


def worded(name: str, *events: Event, kind: Kind = Kind.FIRING) -> Message:
    rule = SHIPPED.rules[name]
    group = Group(
        rule=name, key="", counts=Counts(firing=len(events), untold=len(events)), total=len(events)
    )
    facts = tuple(facts_of(one) for one in events)
    return message(Notice(kind=kind, rule=rule, group=group, alerts=facts, at_ms=1), LINKS)


def test_one_lost_order_says_what_whose_how_much_and_where() -> None:
    told = worded("order-lost", lost(1))
    assert told.title == "An order is lost: 55 USDC were not traded (NOT_FOUND)"
    assert "BUY 100 shares at 0.55, 55 USDC, wallet 0x0000000000000000000000000000000000000001" in (
        told.body
    )
    assert "https://console.example.org/orders/key-1" in told.body
    assert "What to do: " in told.body
    assert told.body.endswith("docs/alerts.md#order-lost")


def test_many_are_summed_and_five_are_shown() -> None:
    told = worded("order-lost", *map(lost, range(500)))
    assert told.title == "500 orders are lost: 27500 USDC were not traded (NOT_FOUND)"
    assert told.body.count("\n- ") == 5
    assert "... and 495 more." in told.body
    assert "2 wallets" in told.body


def test_an_end_says_that_it_is_over() -> None:
    told = worded("order-lost", lost(1), kind=Kind.RESOLVED)
    assert told.title.startswith("Over: ")
    assert "No more orders were lost" in told.body
    assert "What to do" not in told.body


def test_a_fact_that_is_missing_keeps_nobody_from_being_told() -> None:
    told = worded("order-lost", event("order.lost", "orders/x"))
    assert "(not known)" in told.title


def test_slack_reads_text_as_text() -> None:
    told = worded("halt", event("halt.set", "halts/GLOBAL:", after={"reason": "<!channel> & <b>"}))
    form = slack_form(told, again=True)
    assert "<!channel>" not in str(form)
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in form["text"]
    assert "Perhaps told before" in form["attachments"][0]["text"]


def test_a_headline_is_one_line_whatever_a_fact_holds() -> None:
    told = worded(
        "halt", event("halt.set", "halts/GLOBAL:", after={"reason": "a\r\nBcc: b\u2028c"})
    )
    assert "a Bcc: b c" in headline(told)
    assert len(headline(told).splitlines()) == 1
    assert slack_form(told, again=False)["text"] == f"*{headline(told)}*"


def rule(**changes: object) -> Rule:
    fields: dict[str, object] = {
        "name": "r", "severity": "warning", "events": ("order.lost",), "title": "t",
        "titles": "t", "todo": "t", "ended": "t", **changes,
    }  # fmt: skip
    return Rule(**fields)  # type: ignore[arg-type]


def test_conditions_look_at_fields_of_the_event() -> None:
    def wanted(**changes: object) -> bool:
        return bool(list(of_event(lost(1), [rule(**changes)])))

    assert wanted()
    assert wanted(where={"side": ("BUY", "SELL")})
    assert not wanted(where={"side": ("SELL",)})
    assert wanted(unless={"purpose": ("GUARD_EXIT",)})
    assert not wanted(unless={"side": ("BUY",)})
    assert wanted(above={"money": "54.999999"})
    assert not wanted(above={"money": "55"})
    assert not wanted(above={"follower.followerProxy": "1"}), "no amount is above nothing"
    assert not wanted(events=("order.dead",))


def test_what_ends_an_alert_does_so_by_its_subject() -> None:
    (ended,) = of_event(
        event("order.settled", "orders/a"), [rule(events=("order.dead",), until=("order.settled",))]
    )
    assert (ended.began, ended.key) == (False, "orders/a")
