"""Every command through a real edge: what it does, and that its JSON is as its schema says."""

from __future__ import annotations

import fcntl
import json
import re
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import app, command
from tests.cli.world import World, call
from tests.control.leader_documents import leader, publish, withdraw
from tests.control.requests import (
    ASSET,
    put_decision,
    put_fill,
    put_lot,
    put_order,
    subscription_body,
    trigger_body,
)
from tests.replay import made as past
from tradingtools import login_codes
from tradingtools.domain.leader_trade import Side
from tradingtools.v1 import enrichment_pb2 as leaders_pb

Wallet = Callable[[], str]
_NS = 1_770_000_000_000_000_000


def made(running: World, wallet: str, **changes: Any) -> dict[str, Any]:
    """A subscription that `tt` has created."""
    body = json.dumps(subscription_body(wallet, **changes))
    found: dict[str, Any] = running.json("subs", "create", "-", stdin=body)
    return found


def test_subscriptions_are_made_listed_changed_paused_and_resumed(
    running: World, wallet: Wallet
) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    put_lot(running.database, proxy, sub)
    assert [one["id"] for one in running.json("subs", "list", "--wallet", proxy)] == [sub]
    assert sub in [one["id"] for one in running.json("subs", "list", "-n", "10000")]
    shown = running.json("subs", "show", sub)
    assert (shown["state"], shown["limits"]["maxPerTrade"]) == ("SUBSCRIPTION_STATE_ACTIVE", "50")
    changed = running.json(
        "subs", "edit", sub, "--set", "limits.maxPerTrade=", "--set", "limits.maxAgeMs=5000",
        "--set", "sizing.ratio.ratio=0.1", "--yes",
    )  # fmt: skip
    assert changed["limits"] == {"maxSlippage": "0.02", "maxAgeMs": 5000}
    assert changed["sizing"] == {"ratio": {"ratio": "0.1"}}
    assert running.json("subs", "pause", sub, "--yes")[0]["state"] == "SUBSCRIPTION_STATE_PAUSED"
    assert running.json("subs", "resume", sub, "-y")[0]["state"] == "SUBSCRIPTION_STATE_ACTIVE"
    text = running.tt("subs", "show", sub).out
    assert f"leader  0x{'be' * 20}" in text
    assert "maxAgeMs 5000" in text


def test_a_change_under_another_version_is_a_conflict(running: World, wallet: Wallet) -> None:
    sub = made(running, wallet())["id"]
    said = running.tt("subs", "edit", sub, "--set", "limits=5", "--yes")
    assert (said.status, "expected GROUP.NAME=VALUE" in said.err) == (2, True)
    refused = running.tt("subs", "edit", sub, "--set", "limits.maxPerTrad=5", "--yes")
    assert (refused.status, "limits.maxPerTrad" in refused.err) == (2, True)
    running.edge.call("DELETE", f"/subscriptions/{sub}")
    gone = running.tt("subs", "resume", sub, "--yes")
    assert (gone.status, "WRONG_STATE" in gone.err) == (5, True)


def test_orders_are_listed_and_an_orders_way_is_a_timeline(running: World, wallet: Wallet) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    key = put_order(
        running.database, proxy, sub, "CONFIRMED", received_ns=_NS + 1_000_000,
        routed_ns=_NS + 2_500_000, claimed_ns=_NS + 3_000_000, submitting_ns=_NS + 4_000_000,
        first_byte_ns=_NS + 5_250_000, filled_size_micros=3_000_000,
    )  # fmt: skip
    put_fill(running.database, key, "t1")
    assert running.json("perf", "show", sub)[-1]["fees"]
    assert [one["orders"] for one in running.json("perf", "quality", sub, "--by", "order")] == ["1"]
    assert "EQUITY" in running.tt("perf", "show", sub, "-i", "1d").out
    rows = running.json("orders", "list", "--wallet", proxy)
    assert [(row["orderKey"], row["state"]) for row in rows] == [(key, "ORDER_STATE_CONFIRMED")]
    assert running.json("orders", "list", "--wallet", proxy, "-s", "failed") == []
    assert running.json("orders", "list", "--open", "--wallet", proxy) == []
    assert running.json("orders", "show", key)["id"] == key
    text = running.tt("orders", "show", key, "--states").out
    assert "+1.5 ms  decided" in text
    assert "+1.25 ms  sent" in text
    assert "own time, from the frame to the first byte: 4.250 ms" in text


def test_why_a_follower_did_not_copy_is_said_with_numbers_and_what_to_do(
    running: World, wallet: Wallet
) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    tx = put_decision(running.database, proxy, sub)
    (row,) = running.json("subs", "decisions", sub, "--skipped", "--reason", "TOO_OLD")
    assert row["leaderTx"] == tx
    assert tx in running.tt("subs", "decisions", sub).out
    (one,) = running.json("why", tx)["decisions"]
    assert (one["outcome"], one["reason"], one["followerProxy"]) == ("NOT_COPIED", "TOO_OLD", proxy)
    text = running.tt("why", tx, "--wallet", proxy).out
    assert "bought 1.5 shares for 0.75 USDC, 0.5 each" in text
    assert "older than the maximum age when it was judged, or nearly so (61000 ms > 60000" in text
    assert "Raise limits.maxAgeMs" in text
    assert running.json("why", f"{sub}/{tx}") == running.json("why", tx) | {"asked": f"{sub}/{tx}"}
    assert running.tt("why", tx, "--sub", sub).out == text
    # A follower's own token knows no operators' calls.
    lone = running.environ | {"TT_OPERATOR": "", "TT_OPERATOR_TOKEN": ""}
    assert call("why", tx, "--wallet", proxy, environ=lone).out == text
    assert "--wallet or --sub" in call("why", tx, environ=lone).err


def test_why_a_held_back_order_failed_names_the_halt_and_how_to_lift_it(
    running: World, wallet: Wallet
) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    key = put_order(running.database, proxy, sub, "FAILED", reason="HALTED")
    tx = running.database.execute(
        "select leader_tx from orders where order_key = %s", [key]
    ).fetchall()[0]["leader_tx"]
    put_decision(
        running.database, proxy, sub, leader_tx=tx, copied=True, reason="", detail="",
        order_keys=[key],
    )  # fmt: skip
    running.tt("halt", "set", "--wallet", proxy, "-r", "a look at ticket 7")
    for what in (tx, key):
        (one,) = running.json("why", what)["decisions"]
        assert (one["outcome"], one["reason"]) == ("NOT_COPIED", "HALTED")
        assert f"tt halt clear --wallet {proxy}" in one["next"]
        assert any("a look at ticket 7" in sentence for sentence in one["sentences"])
    running.tt("halt", "clear", "--wallet", proxy)
    (one,) = running.json("why", tx)["decisions"]
    assert not any("halt clear" in step for step in one["next"])


def test_what_nobody_decided_about_says_whom_the_wallet_follows(
    running: World, wallet: Wallet
) -> None:
    proxy = wallet()
    made(running, proxy)
    said = running.tt("why", "0x" + "9" * 64, "--wallet", proxy)
    assert said.status == 3
    assert f"it follows 0x{'be' * 20} (active since" in said.err


def test_halts_are_set_listed_and_cleared_without_a_question(
    running: World, wallet: Wallet
) -> None:
    proxy = wallet()
    before = running.json("halt", "list")
    answer = running.json("halt", "set", "--wallet", proxy.upper().replace("X", "x"), "--reducing")
    assert (answer["halt"]["subject"], answer["halt"]["mode"]) == (proxy, "HALT_MODE_REDUCING")
    assert answer["halt"] in running.json("halt", "list")
    assert running.json("halt", "clear", "--wallet", proxy)["halts"] == before
    said = running.tt("halt", "set", "--all", "--wallet", proxy)
    assert (said.status, "exactly one" in said.err) == (2, True)
    assert "lift it with: tt halt clear --all" in running.tt("halt", "set", "--all").out
    assert running.tt("halt", "clear", "--all").status == 0


def test_triggers_are_made_listed_changed_and_cancelled(running: World, wallet: Wallet) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    put_lot(running.database, proxy, sub)
    body = json.dumps(trigger_body(proxy, sub))
    trigger = running.json("triggers", "create", "-", "--key", secrets.token_hex(8), stdin=body)
    identifier = trigger["id"]
    assert [one["id"] for one in running.json("triggers", "list", proxy)] == [identifier]
    assert running.json("triggers", "list", proxy, "-s", "done") == []
    edited = running.json("triggers", "edit", identifier, "--price", "0.8", "--yes")
    assert edited["triggerPrice"] == "0.8"
    assert running.json("triggers", "show", identifier)["version"] == edited["version"]
    assert "take_profit at 0.8" in running.tt("triggers", "show", identifier).out
    assert running.json("triggers", "cancel", identifier, "--yes")["status"].endswith("CANCELLED")


def test_events_are_listed_and_followed(running: World, wallet: Wallet) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    running.tt("subs", "pause", sub, "--yes")

    def listed(*options: str) -> list[str]:
        return [event["type"] for event in running.json("events", *options, "--sub", sub)]

    running.edge.happen(3)
    _until(lambda: len(listed()) == 2)
    assert listed("--after", "0") == ["subscription.created", "subscription.paused"]
    assert listed("-t", "order.*") == []
    assert listed("-t", "subscription.paused", "-n", "1") == ["subscription.paused"]
    followed = running.tt("events", "--follow", "--after", "0", "--sub", sub, "-n", "2", "--json")
    assert [json.loads(line)["type"] for line in followed.out.splitlines()] == listed()
    text = running.tt("events", "-f", "--after", "0", "-t", "subscription.*", "-n", "1").out
    assert "subscription.created" in text


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_dead_letters_are_listed_and_replayed(running: World) -> None:
    running.edge.happen(1, word="guard-0", reason="ValueError: no")
    (letter,) = running.json("dead-letters", "list", "--reader", "guard-0")
    assert letter["reason"] == "ValueError: no"
    requested = running.json("dead-letters", "replay", letter["id"], "--yes")
    assert "replayRequestedAt" in requested
    assert "waits for its reader" in running.tt("dead-letters", "list", "--reader", "guard-0").out
    assert running.tt("dead-letters", "replay", "999999", "--yes").status == 3


def test_breakers_are_listed_and_reset(running: World) -> None:
    running.database.execute(
        "insert into breaker (dependency, state, reason) values ('insiders-api', 'OPEN', 'no')"
    )
    (breaker,) = running.json("breakers", "list")
    assert breaker["state"] == "BREAKER_STATE_OPEN"
    status = running.json("status", status=1)
    assert status["openBreakers"] == ["insiders-api"]
    assert running.json("breakers", "reset", "insiders-api", "--yes")["state"].endswith("CLOSED")
    assert running.json("status")["status"] == "serving"
    assert [part["name"] for part in status["parts"]] == ["events"]


def test_webhooks_are_made_tested_switched_and_deleted(running: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/hook"
    created = running.json("webhooks", "create", url, "-t", "order.*", "-d", "tests")
    identifier = created["id"]
    assert created["secret"]
    assert identifier in [one["id"] for one in running.json("webhooks", "list")]
    assert running.json("webhooks", "test", identifier, status=1)["outcome"] != "delivered"
    # It is written down behind the answer.
    _until(lambda: len(running.json("webhooks", "deliveries", identifier)) == 1)
    assert running.json("webhooks", "replay", identifier, "--after", "0", "-y")["id"] == identifier
    assert running.json("webhooks", "disable", identifier, "--yes")["enabled"] is False
    assert running.json("webhooks", "enable", identifier)["enabled"] is True
    assert running.json("webhooks", "rotate", identifier, "-y")["secret"] != created["secret"]
    assert running.json("webhooks", "delete", identifier, "--yes")["id"] == identifier
    assert identifier not in [one["id"] for one in running.json("webhooks", "list")]


def test_top_counts_what_happens_and_how_long_orders_take(running: World, wallet: Wallet) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    key = put_order(
        running.database, proxy, sub, "CLAIMED", received_ns=_NS, claimed_ns=_NS + 3_000_000
    )
    # The log is some way behind what it tells.
    _until(lambda: bool(running.json("events", "--sub", sub)))
    poll = running.json("top", "--once", "--window", "600")
    assert poll["openOrders"]["CLAIMED"] >= 1
    assert poll["perSecond"]["subscription.created"] > 0
    assert [part["name"] for part in poll["parts"]] == ["events"]
    running.database.execute("delete from orders where order_key = %s", [key])
    assert "events a second, over 600 s" in running.tt("top", "--once", "--window", "600").out


def test_leaders_are_ranked_and_shown(running: World) -> None:
    best, lucky = (leader(f"0x{number:040x}") for number in (0xA1, 0xA2))
    best.score, lucky.score = 0.2, 9.0
    lucky.gaps.append(leaders_pb.EVIDENCE_GAP_FEW_RESOLVED)
    publish(running.edge.environment["TT_REDIS_URL"], lucky, best)
    try:
        ranked = running.json("leaders", "top")
        assert [one["wallet"] for one in ranked] == [best.wallet, lucky.wallet]
        assert [one["wallet"] for one in running.json("leaders", "top", "--evidence")] == [
            best.wallet
        ]
        assert running.json("leaders", "show", lucky.wallet)["gaps"] == ranked[1]["gaps"]
        assert "few resolved" in running.tt("leaders", "show", lucky.wallet).out
        assert "few resolved" in running.tt("leaders", "top", "-w", "7d").out
        assert running.tt("leaders", "show", "0x" + "7" * 40).status == 3
    finally:
        withdraw(running.edge.environment["TT_REDIS_URL"])


def test_an_address_of_the_console_logs_in_once(running: World, tmp_path: Path) -> None:
    assert "no run on this machine" in running.tt("console").err
    note = {"rest_url": "http://edge", "ports": {}, "console_url": "http://pages/console/"}
    (tmp_path / "run.json").write_text(json.dumps(note))
    (tmp_path / "token").write_text("a1")
    (tmp_path / "operator-token").write_text("0e")
    (tmp_path / "console").mkdir(mode=0o700)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reported = running.json("console", TT_URL="", TT_LAUNCHER_STATE_DIR=str(tmp_path))
    url, _, code = reported["url"].partition("#code=")
    assert url == "http://pages/console/"
    assert login_codes.take(tmp_path / "console", code, time.time()) == ["a1", "0e"]
    assert login_codes.take(tmp_path / "console", code, time.time()) == []


@pytest.mark.parametrize(
    "arguments",
    [("subs", "pause", "sub_" + "0" * 32), ("subs", "resume", "sub_" + "0" * 32),
     ("triggers", "cancel", "trg_" + "0" * 32), ("breakers", "reset", "insiders-api"),
     ("dead-letters", "replay", "1"), ("webhooks", "delete", "whk_" + "0" * 32),
     ("webhooks", "disable", "whk_" + "0" * 32), ("webhooks", "rotate", "whk_" + "0" * 32)],
)  # fmt: skip
def test_what_cannot_be_taken_back_is_not_done_unasked(
    running: World, arguments: tuple[str, ...]
) -> None:
    """Nobody is at the terminal: without --yes nothing happens."""
    said = running.tt(*arguments)
    assert (said.status, "--yes does it" in said.err) == (8, True)


def test_lists_are_csv_and_ndjson_too(running: World, wallet: Wallet) -> None:
    proxy = wallet()
    sub = made(running, proxy)["id"]
    rows = running.tt("subs", "list", "--wallet", proxy, "-o", "csv").out.splitlines()
    assert rows[0] == "subscription,wallet,leader,state,copies,profit"
    assert rows[1].startswith(f"{sub},{proxy},0x{'be' * 20},active,25 USDC,")
    (line,) = running.tt("subs", "list", "--wallet", proxy, "-o", "ndjson").out.splitlines()
    assert json.loads(line)["id"] == sub
    flat = running.tt("subs", "show", sub, "-o", "csv").out.splitlines()
    assert "sizing.fixed.amount" in flat[0]
    assert ASSET not in flat[0]


def test_other_settings_and_leaders_of_the_past_are_tried(
    running: World, wallet: Wallet, tmp_path: Path
) -> None:
    """A settings file, a change of a subscription, a leader of the analytical store."""
    leader, at = "0x" + "7a" * 20, int(time.time() * 1000) - 3_600_000
    rows = [("0x01", "71", "BUY", "100", at, "0.5"), ("0x02", "71", "SELL", "50", at + 1000, "0.6")]
    past.analytics(
        running.directory / "analytics", {"polymarket.trades": past.history(leader, rows)}
    )
    trades = [past.traded(1, Side.BUY, 100, at_ms=at, leader=leader)]
    past.record(running.directory / "recording", trades)
    reported = running.json("leaders", "simulate", leader, "--amount", "10", "--delay", "3")
    assert (reported["trades"], reported["outcome"]["copied"]) == (2, 2)
    text = running.tt("leaders", "simulate", leader, "--ratio", "0.1").out
    assert "USDC spent, fees included" in text
    assert "what is assumed, and what is not known:" in text
    assert "of 1 outcomes nobody told a price" in text
    sub = made(running, wallet(), leader=leader)["id"]
    change = ("--set", "filters.minLeaderNotional=60")
    shown = running.json("subs", "preview", sub, *change)
    assert (shown["current"]["copied"], shown["proposed"]["copied"]) == (1, 0)
    assert "refused: LEADER_TOO_SMALL" in running.tt("subs", "preview", sub, *change).out
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"sizing": {"fixed": {"amount": "10"}}}))
    tried = running.json("backtest", "--leader", leader, "--settings", str(file))
    assert (tried["trades"], tried["outcome"]["copied"]) == (1, 1)
    requested = ("backtest", "--leader", leader, "--settings", str(file))
    assert (
        "recorded 20"
        in running.tt(*requested, "--from", time.strftime("%Y-%m-%d", time.gmtime(at // 1000))).out
    )
    wrong = running.tt(*requested, "--from", "monday")
    assert (wrong.status, "expected YYYY-MM-DD" in wrong.err) == (2, True)


def test_every_command_is_called_here_or_beside_what_it_asks() -> None:
    """Check what a new command is to be: with a schema, and through a real edge."""
    here = Path(__file__).parent
    others = (
        "backup/test_backup.py",
        "control/test_bots.py",
        "control/test_engines.py",
        "control/test_risk.py",
        "signer/test_rest.py",
    )
    beside = [here.parent / one for one in others]
    own = (*here.glob("test_*.py"), here / "conftest.py", here / "people.py")
    texts = "".join(path.read_text() for path in (*own, *beside))
    texts = re.sub(r"json\((edge,)?\s*", "json(", texts)
    for section in app.SECTIONS.values():
        for name in section:
            verbs = command.verbs_of(app.module_of(name))
            for verb in verbs:
                words = [name] if verb == name else [name, verb]
                requested = ", ".join(f'"{word}"' for word in words)
                assert f"json({requested}" in texts, words
            assert verbs or name in ("help", "schema", "mcp")
