"""A person gets each alert once, grouped, with an end, whatever is killed."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.alerts.world import World, eventually, has, world
from tradingtools.rpc import transport

pytestmark = pytest.mark.asyncio
WALLET = "0x" + "1" * 40


@pytest_asyncio.fixture
async def running(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose alerts read the log."""
    async with world(database_url, tmp_path) as made:
        made.start()
        await made.reading()
        yield made


def order(number: int, reason: str = "NOT_FOUND") -> dict[str, Any]:
    return {
        "orderId": f"key-{number}", "purpose": "ENTRY", "side": "BUY", "size": "100",
        "limit": "0.55", "reason": reason, "follower": {"followerProxy": WALLET},
    }  # fmt: skip


async def test_five_hundred_lost_orders_are_one_message_with_an_end(running: World) -> None:
    own = {"name": "order-lost", "severity": "critical", "events": ["order.lost"],
           "group_by": ["reason"], "ends_after_seconds": 3, "title": "{money} lost",
           "titles": "{count} orders are lost, {money} USDC ({reason})", "todo": "Ask.",
           "ended": "No more."}  # fmt: skip
    running.write_rules(rules=[own])
    await eventually(lambda: "rules read again" in running.statuses())
    for number in range(500):
        running.log.notify("order.lost", f"orders/key-{number}", **order(number))
    words = "500 orders are lost, 27500 USDC (NOT_FOUND)"
    await running.reported(f"[CRITICAL] {words}", f"[RESOLVED] Over: {words}")
    assert len(running.slack.bodies) == len(running.mailbox.mails) == 2
    opened, ended = running.mailbox.mails
    assert ended["In-Reply-To"] == ended["References"] == opened["Message-ID"]
    # RFC 5322 requires a date; a mailbox sorts by it, and filters distrust a mail without.
    assert opened["Date"].datetime <= ended["Date"].datetime
    for mail in (opened, ended):
        assert not mail.defects
        assert not [one for one in mail.values() if one.defects]


async def test_what_the_issue_names_is_told_and_its_end_is(running: World) -> None:
    log = running.log
    trigger: dict[str, Any] = {"triggerType": "STOP_LOSS", "assetId": "7132", "detail": "stale"}
    log.notify("order.dead", "orders/key-1", **order(1, "CONTRADICTION"))
    log.notify("breaker.opened", "breakers/insiders-api", ago=61, dependency="insiders-api",
             reason="five answers in a row were 503")  # fmt: skip
    log.notify("halt.set", "halts/GLOBAL:", actor="ann", subjectId="GLOBAL:",
             after={"mode": "HALTED", "reason": "prices look wrong"})  # fmt: skip
    log.notify("trigger.suspended", "triggers/trg_1", ago=31, follower={"followerProxy": WALLET},
             **trigger)  # fmt: skip
    log.notify(
        "webhook.disabled",
        "webhooks/we_1",
        endpointId="we_1",
        actor="webhooks",
        url="https://hooks.example.com/tt",
        reason="nothing taken for five days",
    )
    log.notify("message.quarantined", "messages/17", messageId="17", consumer="guard-0",
             stream="fills", reason="ValueError: no lot")  # fmt: skip
    log.notify("order.resurrected", "orders/key-2", **order(2))
    reported = [
        "Nobody knows what became of an order: 55 USDC stay reserved (CONTRADICTION)",
        "insiders-api has failed for 60 seconds: no order leaves",
        "Trading is halted: GLOBAL is HALTED (prices look wrong)",
        "A STOP_LOSS has been blind for 30 seconds",
        "A webhook endpoint was switched off: nothing taken for five days",
        "guard-0 could not handle a message and has set it aside: ValueError: no lot",
        "An order that had ended has appeared after all: 55 USDC",
    ]
    await running.reported(*reported)
    assert f"wallet {WALLET}" in "\n".join(running.slack.texts())
    assert "https://console.example.org/orders/key-1" in "\n".join(running.slack.texts())
    running.slack.bodies.clear()
    running.mailbox.mails.clear()
    log.notify("order.failed", "orders/key-1", **order(1))
    log.notify("breaker.closed", "breakers/insiders-api", dependency="insiders-api")
    log.notify("halt.cleared", "halts/GLOBAL:", actor="ann")
    log.notify("trigger.armed", "triggers/trg_1", **trigger)
    log.notify("webhook.enabled", "webhooks/we_1", endpointId="we_1")
    log.notify("operator.acted", "messages/17", action="replay")
    log.notify("order.settled", "orders/key-2", **order(2))
    await running.reported(*(f"[RESOLVED] Over: {title}" for title in reported))
    assert len(running.slack.bodies) == len(reported)
    # Whoever is started afresh goes on where his predecessor has committed.
    running.kill()
    running.start()
    log.notify("halt.set", "halts/A", subjectId="A", after={})
    await running.reported("[CRITICAL] Trading is halted: A")
    assert len(running.slack.bodies) == len(reported) + 1


async def test_what_is_over_before_its_time_calls_nobody(running: World) -> None:
    log = running.log
    # As when the process was away: both are old news, and a minute lies between now and then.
    log.notify("breaker.opened", "breakers/x", ago=300, dependency="x", reason="503")
    for _ in range(250):
        log.notify("leader.traded", "leaders/1", ago=299)
    log.notify("breaker.closed", "breakers/x", ago=298, dependency="x")
    log.notify("halt.set", "halts/A", subjectId="A", after={})
    await running.reported("Trading is halted: A")
    assert len(running.slack.bodies) == 1


async def test_a_process_that_does_not_serve_is_told_until_it_does(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        async with transport.serving("127.0.0.1:0", [], lambda _: None) as guard:
            await guard.set_serving(True)
            await guard.set_health("postgresql", serving=False)
            at = f"127.0.0.1:{guard.port}"
            made.start(TT_ALERTS_PROCESSES=f"guard={at}")
            down = "guard has not reached postgresql for 1 seconds"
            await made.reported(down)
            await guard.set_health("postgresql", serving=True)
            await made.reported(f"Over: {down}", f"[CRITICAL] {down}")
        dead = "guard does not serve: it does not answer"
        await made.reported(dead)
        async with transport.serving(at, [], lambda _: None) as guard:
            await guard.set_serving(True)
            await made.reported(f"Over: {dead}")


async def test_a_message_that_left_when_the_process_was_killed_says_so(running: World) -> None:
    running.slack.hold.clear()
    running.log.notify("halt.set", "halts/A", subjectId="A", after={})
    await asyncio.wait_for(running.slack.arrived.wait(), 40)
    running.log.notify("order.dead", "orders/key-1", **order(1))
    noted = "select 1 from alert_delivery where target = 'target-2' and state = 'SENT'"
    await eventually(lambda: len(running.sql(noted)) == 2)
    running.kill()
    running.slack.hold.set()
    running.start()
    await eventually(lambda: len(running.slack.bodies) == 3)
    first, again, other = running.slack.texts()
    assert "Perhaps told before" in again
    assert again.startswith(first)
    assert "Perhaps" not in other
    assert len(running.mailbox.mails) == 2, "what had been taken is not sent again"


async def test_kills_in_the_midst_neither_lose_nor_double(running: World) -> None:
    for number in range(400):
        running.log.notify("order.dead", f"orders/key-{number}", **order(number, f"R{number % 8}"))
        if number % 80 == 79:
            await asyncio.sleep(0.2)
            running.kill()
            running.start()
    titles = [f"[CRITICAL] Nobody knows what became of 50 orders: 2750 USDC stay reserved (R{n})"
              for n in range(8)]  # fmt: skip

    def counted() -> bool:
        sums = dict.fromkeys(range(8), 0)
        for body in running.slack.bodies:
            found = re.search(r"of (an|\d+) orders?: .*\(R(\d)\)", body["text"])
            assert found
            many = 1 if found[1] == "an" else int(found[1])
            sums[int(found[2])] = max(sums[int(found[2])], many)
        return all(many == 50 for many in sums.values())

    await eventually(counted)
    rows = running.sql("select rule, key, total, firing, pending, open from alert_group")
    assert [(row["total"], row["firing"], row["pending"], row["open"]) for row in rows] == [
        (50, 50, 0, True)
    ] * len(titles)
    ids = [str(mail["Message-ID"]) for mail in running.mailbox.mails]
    repeats = len(ids) - len(set(ids))
    marked = sum("Perhaps told before" in mail.get_content() for mail in running.mailbox.mails)
    assert repeats <= marked <= 5, "only what was under way when it was killed"


async def test_unavailable_target_is_notified_later_and_blocks_none(running: World) -> None:
    running.slack.answers[:] = [503, 429, 200]
    running.log.notify("halt.set", "halts/A", subjectId="A", after={})
    await eventually(lambda: len(running.mailbox.mails) == 1)
    await eventually(lambda: len(running.slack.bodies) == 1)
    assert "Perhaps" not in running.slack.texts()[0], "a refusal is no doubt"


async def test_retry_after_of_hours_blocks_no_target_and_is_capped(
    running: World,
) -> None:
    running.slack.answers[:] = [429]
    running.slack.retry_after = "9999"
    running.log.notify("halt.set", "halts/A", subjectId="A", after={})
    await eventually(partial(has, running.mailbox.subjects, "halted: A"))
    running.log.notify("order.dead", "orders/key-1", **order(1))
    await eventually(partial(has, running.mailbox.subjects, "Nobody knows"))
    # Its own messages keep their order.
    assert running.slack.answers == []
    assert running.slack.bodies == []
    (held,) = running.sql(
        "select extract(epoch from next_at - ended_at)::int as seconds from alert_delivery"
        " where attempts = 1 and state = 'DUE'"
    )
    assert held["seconds"] == 900
    # A restart does not make it wait for less.
    running.kill()
    running.start()
    await running.reading()
    running.log.notify("order.resurrected", "orders/key-2", **order(2))
    await eventually(partial(has, running.mailbox.subjects, "appeared after all"))
    assert running.slack.bodies == []
    running.sql("update alert_delivery set next_at = clock_timestamp() where state = 'DUE'")
    running.kill()
    running.start()
    await running.reported("halted: A", "Nobody knows", "appeared after all")
    assert "halted: A" in running.slack.titles()[0]


async def test_a_target_that_refuses_for_good_is_given_up_with_a_word(running: World) -> None:
    running.slack.answers[:] = [404]
    running.log.notify("halt.set", "halts/A", subjectId="A", after={})
    await eventually(lambda: "given_up=True" in running.statuses())
    running.log.notify("order.dead", "orders/key-1", **order(1))
    await eventually(lambda: len(running.slack.bodies) == 1)
    assert "services/T/B" not in running.statuses(), "the URL is a secret"


async def test_rules_are_read_again_and_wrong_ones_change_nothing(running: World) -> None:
    running.rules.write_text("rules: [{name: X}]")
    await eventually(lambda: "the rules are wrong" in running.statuses())
    assert "own.yaml:1: rules[0]" in running.statuses()
    running.log.notify("halt.set", "halts/A", subjectId="A", after={})
    await running.reported("Trading is halted: A")
    running.write_rules(without=["halt"])
    await eventually(lambda: "rules read again" in running.statuses())
    running.log.notify("halt.set", "halts/B", subjectId="B", after={})
    running.log.notify("order.dead", "orders/key-1", **order(1))
    await running.reported("Nobody knows what became of an order")
    assert len(running.slack.bodies) == 2


async def test_wrong_rules_stop_the_start_with_a_line(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path) as made:
        made.rules.write_text("rules:\n  - name: a\n    severity: loud\n")
        made.start()
        await eventually(lambda: "own.yaml:3: rules[0].severity" in made.statuses())
        assert made.kill(signal.SIGCONT) == 2


async def test_apprise_tells_whom_it_knows(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path) as made:
        made.start(TT_ALERTS_TARGETS=f"json://127.0.0.1:{made.http_port}/hook")
        await made.reading()
        made.log.notify("halt.set", "halts/A", subjectId="A", after={})
        await eventually(lambda: bool(made.slack.others))
        (path, body), *_ = made.slack.others
        assert path == "POST /hook"
        assert "[CRITICAL] Trading is halted: A" in body


async def test_without_a_target_the_log_shows_what_would_be_told(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        made.start(TT_ALERTS_TARGETS="")
        await made.reading()
        made.log.notify("halt.set", "halts/A", subjectId="A", after={})
        await eventually(lambda: "Trading is halted: A" in made.statuses())
        assert made.slack.bodies == []


async def test_the_heartbeat_beats_while_the_log_can_be_read(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as made:
        beat = f"http://127.0.0.1:{made.http_port}/beat"
        made.start(TT_ALERTS_HEARTBEAT_URL=beat, TT_ALERTS_HEARTBEAT_SECONDS="1")
        await made.reading()
        await eventually(lambda: ("GET /beat", "") in made.slack.others)
        made.kill()
        made.slack.others.clear()
        nowhere = "127.0.0.1:1"
        made.start(
            TT_ALERTS_HEARTBEAT_URL=beat, TT_ALERTS_HEARTBEAT_SECONDS="1",
            TT_ALERTS_EVENTS_TARGET=nowhere, TT_ALERTS_DISKS="/nowhere-at-all",
        )  # fmt: skip
        await eventually(lambda: "/nowhere-at-all" in made.statuses())
        assert made.slack.others == []
