"""Texts of messages, and the events that rules want."""

from __future__ import annotations

import msgspec

from services.alerts import rules_file
from services.alerts.core.grouping import Counts, Kind
from services.alerts.core.open_alerts import Group, Notice
from services.alerts.core.rules import Rule
from services.alerts.core.signals import Event, facts_of, of_event
from services.alerts.core.texts import Links, Message, message
from services.alerts.targets import headline, slack_payload

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
        rule=name, key="", counts=Counts(firing=len(events), pending=len(events)), total=len(events)
    )
    facts = tuple(facts_of(one) for one in events)
    return message(Notice(kind=kind, rule=rule, group=group, alerts=facts, at_ms=1), LINKS)


def test_one_lost_order_says_what_whose_how_much_and_where() -> None:
    reported = worded("order-lost", lost(1))
    assert reported.title == "An order is lost: 55 USDC were not traded (NOT_FOUND)"
    assert "BUY 100 shares at 0.55, 55 USDC, wallet 0x0000000000000000000000000000000000000001" in (
        reported.body
    )
    assert "https://console.example.org/orders/key-1" in reported.body
    assert "What to do: " in reported.body
    assert reported.body.endswith("docs/alerts.md#order-lost")


def test_many_are_summed_and_five_are_shown() -> None:
    reported = worded("order-lost", *map(lost, range(500)))
    assert reported.title == "500 orders are lost: 27500 USDC were not traded (NOT_FOUND)"
    assert reported.body.count("\n- ") == 5
    assert "... and 495 more." in reported.body
    assert "2 wallets" in reported.body


def test_an_end_says_that_it_is_over() -> None:
    reported = worded("order-lost", lost(1), kind=Kind.RESOLVED)
    assert reported.title.startswith("Over: ")
    assert "No more orders were lost" in reported.body
    assert "What to do" not in reported.body


def test_a_fact_that_is_missing_keeps_nobody_from_being_told() -> None:
    reported = worded("order-lost", event("order.lost", "orders/x"))
    assert "(not known)" in reported.title


def test_slack_reads_text_as_text() -> None:
    reported = worded(
        "halt", event("halt.set", "halts/GLOBAL:", after={"reason": "<!channel> & <b>"})
    )
    form = slack_payload(reported, again=True)
    assert "<!channel>" not in str(form)
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in form["text"]
    assert "Perhaps told before" in form["attachments"][0]["text"]


def test_a_headline_is_one_line_whatever_a_fact_holds() -> None:
    reported = worded(
        "halt", event("halt.set", "halts/GLOBAL:", after={"reason": "a\r\nBcc: b\u2028c"})
    )
    assert "a Bcc: b c" in headline(reported)
    assert len(headline(reported).splitlines()) == 1
    assert slack_payload(reported, again=False)["text"] == f"*{headline(reported)}*"


def rule(**changes: object) -> Rule:
    fields: dict[str, object] = {
        "name": "r", "severity": "warning", "events": ("order.lost",), "title": "t",
        "titles": "t", "todo": "t", "ended": "t", **changes,
    }  # fmt: skip
    return Rule(**fields)  # type: ignore[arg-type]


def test_conditions_look_at_fields_of_the_event() -> None:
    def desired(**changes: object) -> bool:
        return bool(list(of_event(lost(1), [rule(**changes)])))

    assert desired()
    assert desired(where={"side": ("BUY", "SELL")})
    assert not desired(where={"side": ("SELL",)})
    assert desired(unless={"purpose": ("GUARD_EXIT",)})
    assert not desired(unless={"side": ("BUY",)})
    assert desired(above={"money": "54.999999"})
    assert not desired(above={"money": "55"})
    assert not desired(above={"follower.followerProxy": "1"}), "no amount is above nothing"
    assert not desired(events=("order.dead",))


def test_what_ends_an_alert_does_so_by_its_subject() -> None:
    (ended,) = of_event(
        event("order.settled", "orders/a"), [rule(events=("order.dead",), until=("order.settled",))]
    )
    assert (ended.started, ended.key) == (False, "orders/a")


def risk(kind: str, limit: str, **data: str) -> Event:
    values = {
        "tenant": "default", "scope": "PORTFOLIO", "subject": "", "about": "all bots of default",
        "limit": limit, "detail": "ann: prices are wrong", **data,
    }  # fmt: skip
    subject = "/".join(("risk", "default", values["scope"], values["subject"], limit))
    return Event(
        type=f"risk.{kind}", subject=subject, at_ms=0, data=msgspec.json.encode(values).decode()
    )


def begun_and_ended(one: Event) -> dict[str, bool]:
    return {reported.rule: reported.started for reported in of_event(one, SHIPPED.rules.values())}


def test_kill_switch_is_notified_at_once_and_again_if_not_done() -> None:
    was_set = risk("kill_switch_set", "kill_switch", action="FLATTEN_AND_STOP")
    done, cleared = (risk(f"kill_switch_{one}", "kill_switch") for one in ("done", "cleared"))
    assert begun_and_ended(was_set) == {"kill-switch": True, "kill-switch-not-done": True}
    assert begun_and_ended(done) == {"kill-switch-not-done": False}
    assert begun_and_ended(cleared) == {"kill-switch": False, "kill-switch-not-done": False}
    assert SHIPPED.rules["kill-switch"].for_seconds == 0
    reported = worded("kill-switch", was_set)
    assert reported.title == (
        "The kill switch of all bots of default is set by ann: prices are wrong"
    )
    late = worded("kill-switch-not-done", was_set)
    assert late.title == "The kill switch of all bots of default is not done after 600 seconds"


def test_a_reached_limit_is_told_by_whose_it_is_and_ends_alone() -> None:
    wallet = {"scope": "WALLET", "subject": "wal_1", "about": "the wallet wal_1"}
    reached = risk("limit_reached", "max_gross", action="REDUCE_ONLY", **wallet)
    assert begun_and_ended(reached) == {"limit-reached": True}
    assert begun_and_ended(risk("limit_left", "max_net", **wallet)) == {"limit-reached": False}
    reported = worded("limit-reached", risk(
        "limit_reached", "max_gross", action="REDUCE_ONLY", **{**wallet, "detail": "7 USDC of 6"}
    ))  # fmt: skip
    assert reported.title == "max_gross of the wallet wal_1 is reached: 7 USDC of 6"
    own = {"scope": "BOT", "subject": "b1", "about": "the bot b1"}
    funding = risk("limit_reached", "max_funding_rate", action="REDUCE_ONLY", **own)
    assert begun_and_ended(funding) == {"bot-limit-reached": True}
    assert "tt bots edit b1" in worded("bot-limit-reached", funding).body
    # What stops a bot is told by its own rule.
    stops = risk("limit_reached", "max_drawdown", action="CANCEL_AND_STOP", **own)
    assert begun_and_ended(stops) == {}


def test_no_text_of_bots_lacks_a_fact() -> None:
    bot = {
        "botId": "b1", "tenant": "default", "name": "n", "walletId": "w", "exchange": "okx",
        "strategy": "grid", "actor": "bots-1", "reason": "why",
    }  # fmt: skip
    order = {
        "orderId": "o", "slot": "a", "instrumentId": "okx:X", "side": "BUY", "price": "1",
        "size": "2", "code": "NO_ANSWER",
    }  # fmt: skip
    for rule in SHIPPED.rules.values():
        for kind in rule.events:
            if kind.startswith("bot."):
                data = {**bot, **order} if kind.startswith("bot.order") else bot
                reported = worded(rule.name, event(kind, "bots/b1", **data))
                assert "(not known)" not in reported.title + reported.body, rule.name
