"""212 old subscriptions of all odd kinds: planned, applied, killed, verified, taken back."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from cli.core.migration import plan
from cli.errors import Failure
from cli.migration.source import read
from tests.cli.old_subscriptions import KINDS, NUMBER, generated, plain
from tests.cli.world import Said, World
from tests.control.edge import ROOT
from tests.support.prepared import Popen
from tradingtools.domain.money import parse_exact, to_text

MAPPING = ROOT / "docs" / "migration-v1.yaml"
RULES = yaml.safe_load(MAPPING.read_text())


@pytest.fixture(scope="module")
def booking(running: World) -> Iterator[None]:
    """What confirm does with lots, on the edge's database."""
    command = [sys.executable, "-m", "tests.cli.booking", running.edge.database_url]
    process = Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    process.terminate()
    process.wait(60)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The generated subscriptions as a file."""
    path = tmp_path / "old.json"
    path.write_text(json.dumps(generated()[0]))
    return path


def _v1(running: World, source: Path, *options: str) -> Said:
    journal = source.parent / "journal"
    return running.tt(
        "migrate", "v1", "--from", str(source), "--mapping", str(MAPPING), "--journal",
        str(journal), *options,
    )  # fmt: skip


def test_each_kind_becomes_what_it_is_to_become_and_the_report_says_why(
    running: World, source: Path
) -> None:
    olds, verdicts = generated()
    assert len(olds) == NUMBER
    reported = running.json(
        "migrate", "v1", "--from", str(source), "--mapping", str(MAPPING),
        "--journal", str(source.parent / "journal"), "--report", str(source.parent / "report"),
    )  # fmt: skip
    made = reported["plan"]
    assert [line["verdict"] for line in made["lines"]] == verdicts
    for line in made["lines"]:
        assert bool(line["refused"]) == (line["verdict"] == "REFUSED"), line
        assert (line["body"] == {}) == (line["verdict"] != "CREATED")
        assert line["verdict"] != "CREATED" or line["body"]["paused"] is True
    assert (made["before"]["subscriptions"], made["after"]["subscriptions"]) == (
        NUMBER, Counter(verdicts)["CREATED"],
    )  # fmt: skip
    kept = json.loads((source.parent / "report" / "plan.json").read_text())
    assert kept["plan"] == made
    text = (source.parent / "report" / "plan.md").read_text()
    assert made["hash"] in text
    for words in (
        "unknown field maxDailyLossUsd: it may be a limit",
        "0.5 USDC is below the smallest order of 1 USDC: nothing would ever be copied",
        "is dead: nobody trades with that wallet",
        "_id twice occurs 2 times",
        "a transaction is copied once a wallet",
        "fixedAmount: 3.1415926535 becomes 3.141592, rounded down",
        "settings.minTargetUsd: 25.0000001 becomes 25.000001, rounded up",
        "v1 says 10 shares, the chain has 4.25",
        "nothing says that the chain has the 12.5 shares",
        "it had ended (CANCELLED)",
        "its 3 positions stay in the wallet, and nobody sells them",
    ):
        assert words in text, words
    assert _v1(running, source, "--json").json == reported, "the same each time"
    (count,) = running.database.execute(
        "select count(*) as n from subscription where follower_user_id like 'user-%-'"
    ).fetchall()
    assert count["n"] == 0


def _parted(url: str) -> tuple[str, str]:
    """Return a database's URL without its password, and that."""
    whole = urlsplit(url)
    password = whole.password or ""
    return whole._replace(netloc=whole.netloc.replace(f":{password}@", "@")).geturl(), password


def test_a_password_is_never_on_the_command_line(
    running: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every user of the machine sees the command lines of all others."""
    whole = running.edge.database_url
    bare, password = _parted(whole)
    question = "select 1 as one"
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    for url in (whole, f"{bare}?password={password}"):
        with pytest.raises(Failure, match="seen by every user"):
            read(url, question)
    with pytest.raises(Failure, match="no password supplied"):
        read(bare, question)
    monkeypatch.setenv("PGPASSWORD", password)
    assert read(bare, question) == [{"one": 1}]
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setattr(sys, "stdin", mock.Mock(isatty=lambda: True))
    monkeypatch.setattr("getpass.getpass", lambda _question: password)
    assert read(bare, question) == [{"one": 1}]


def test_applied_killed_applied_again_verified_resumed_and_taken_back(
    running: World, source: Path, booking: None
) -> None:
    planned = _v1(running, source, "--json").json
    chosen, batch = planned["plan"]["hash"], planned["batch"]
    folder = source.parent / "journal"
    other = _v1(running, source, "--apply", "--plan", "0" * 64)
    assert (other.status, chosen in other.err) == (5, True)
    assert not folder.exists()
    for lines in (2, 40):
        _killed_after(running, source, chosen, folder / f"{batch}.ndjson", lines)
    done = _v1(running, source, "--apply", "--plan", chosen)
    assert done.status == 0, done.err
    desired = planned["plan"]["after"]
    assert _counted(running, "PAUSED") == (desired["subscriptions"], 0)
    assert _lots(running) == (desired["positions"], desired["shares"], desired["cost"])
    assert _bought(running) == 0, "nothing is bought"
    options = ("--journal", str(folder))
    assert running.json("migrate", "verify", batch, *options)["differences"] == []
    again = _v1(running, source, "--apply", "--plan", chosen)
    assert (again.status, _counted(running, "PAUSED")) == (0, (desired["subscriptions"], 0))
    # The keys are of batch and old id: a lost journal makes nothing twice.
    (folder / f"{batch}.ndjson").unlink()
    assert _v1(running, source, "--apply", "--plan", chosen).status == 0
    assert _counted(running, "PAUSED") == (desired["subscriptions"], 0)
    resumed = running.json("migrate", "resume", batch, *options, "--yes")
    assert len(resumed["steps"]) == desired["active"]
    assert running.json("migrate", "verify", batch, *options)["differences"] == []
    _one_differs(running, batch, options)
    back = running.json("migrate", "rollback", batch, *options, "--yes")
    assert len(back["steps"]) == desired["subscriptions"]
    assert _counted(running, "DELETED") == (desired["subscriptions"], 0)
    assert _lots(running)[0] == 0, "and the shares are still in the wallets"
    assert running.json("migrate", "rollback", batch, *options, "--yes") == back, "once more"
    second = _v1(running, source, "--json").json["batch"]
    assert second == f"{batch}-2"
    assert _v1(running, source, "--apply", "--plan", chosen).status == 0
    assert _lots(running) == (desired["positions"], desired["shares"], desired["cost"])
    assert running.json("migrate", "verify", second, *options)["differences"] == []


def _one_differs(running: World, batch: str, options: tuple[str, ...]) -> None:
    """Somebody changes a setting and a lot: both are named, to the micro."""
    (lot,) = running.database.execute(
        "select * from lot where shares_micros = 1 and by_hand_micros > 0 limit 1"
    ).fetchall()
    sub = lot["origin"]
    running.edge.call("PATCH", f"/subscriptions/{sub}", json={"limits": {"maxPerTrade": "51"}})
    key = [lot["origin"], lot["asset_id"]]
    change = "update lot set shares_micros = %s where origin = %s and asset_id = %s"
    running.database.execute(change, [2, *key])
    reported = running.json("migrate", "verify", batch, *options, status=1)["differences"]
    assert {(one["subscriptionId"], one["what"], one["found"]) for one in reported} == {
        (sub, "limits.maxPerTrade", "51"),
        (sub, "limits.maxSlippage", "None"),
        (sub, f"position {lot['asset_id']}", "('0.000002', '0.000001')"),
    }
    running.database.execute(change, [1, *key])


def _killed_after(running: World, source: Path, chosen: str, journal: Path, lines: int) -> None:
    """Kill -9 an apply when it has written down so many steps."""
    process = subprocess.Popen(
        [ROOT / "tt", "migrate", "v1", "--from", source, "--mapping", MAPPING, "--apply", "--plan",
         chosen, "--journal", journal.parent],
        env=running.environ | {"PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    try:
        while not journal.exists() or len(journal.read_text().splitlines()) < lines:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _counted(running: World, state: str) -> tuple[int, int]:
    """How many migrated ones are in a state, and in how many pairs there is more than one."""
    rows = running.database.execute(
        "select follower_proxy, leader from subscription where follower_wallet_id like 'privy-%%'"
        " and state = %s", [state],
    ).fetchall()  # fmt: skip
    pairs = Counter((row["follower_proxy"], row["leader"]) for row in rows)
    return len(rows), sum(1 for count in pairs.values() if count > 1)


def _lots(running: World) -> tuple[int, str, str]:
    (row,) = running.database.execute(
        "select count(*) as n, coalesce(sum(shares_micros), 0)::bigint as shares,"
        " coalesce(sum(cost_micros), 0)::bigint as cost from lot where by_hand_micros > 0"
    ).fetchall()
    return int(row["n"]), to_text(int(row["shares"])), to_text(int(row["cost"]))


def _bought(running: World) -> int:
    (row,) = running.database.execute(
        "select count(*) as n from orders o join subscription s on s.id = o.subscription_id"
        " where s.follower_wallet_id like 'privy-%'"
    ).fetchall()
    return int(row["n"])


def test_a_csv_and_a_database_say_the_same_as_json(
    running: World, tmp_path: Path, database_url: str
) -> None:
    change, _ = KINDS["held"]
    draw = random.Random(5)  # noqa: S311 - the same each time
    old = plain(draw, 7)
    change(old, draw)
    (tmp_path / "old.json").write_text(json.dumps({"subscriptions": [old]}))
    flat = {
        "_id": old["_id"], "userId": old["userId"], "privyWalletId": old["privyWalletId"],
        "proxyWallet": old["proxyWallet"], "targetWallet": old["targetWallet"], "status": "ACTIVE",
        "copyMode": "FIXED", "fixedAmount": old["fixedAmount"], "settings.maxTradeUsd": "50",
        "settings.slippageBps": "300", "name": "",
    }  # fmt: skip
    positions = json.dumps(old["positions"]).replace('"', '""')
    (tmp_path / "old.csv").write_text(
        ",".join([*flat, "positions"]) + "\n"
        + ",".join([*map(str, flat.values()), f'"{positions}"']) + "\n"
    )  # fmt: skip
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            'create table "CopySubscription" (_id text, "userId" text, "privyWalletId" text,'
            ' "proxyWallet" text, "targetWallet" text, status text, "copyMode" text,'
            ' "fixedAmount" numeric, settings jsonb, positions jsonb)'
        )
        connection.execute(
            'insert into "CopySubscription" values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)',
            [*list(flat.values())[:8], json.dumps(old["settings"]), json.dumps(old["positions"])],
        )
    hashes = set()
    bare, password = _parted(database_url)
    for where in (tmp_path / "old.json", tmp_path / "old.csv", bare):
        said = running.tt(
            "migrate", "v1", "--from", str(where), "--mapping", str(MAPPING), "--json",
            PGPASSWORD=password,
        )  # fmt: skip
        assert said.status == 0, said.err
        hashes.add(said.json["plan"]["hash"])
    assert len(hashes) == 1


def test_what_following_would_have_cost_is_said_or_said_not_to_be_known(
    running: World, source: Path
) -> None:
    said = _v1(running, source, "--days", "7")
    assert "is not known: the log of events has no buy of these leaders" in said.out
    leader = json.loads(source.read_text())[0]["targetWallet"]
    rows = [
        {"leader_tx": f"0x{number:064x}", "leader": leader, "asset_id": "7", "side": "BUY",
         "condition_id": "0x" + "c0" * 32, "size_micros": 100_000_000, "price_micros": price,
         "count": 1, "source": "FEED", "traded_ms": 1}
        for number, price in ((1, 500_000), (2, 250_000))
    ]  # fmt: skip
    payload = json.dumps({"orders": [], "decisions": [], "rows": rows, "traceparent": ""})
    running.database.execute(
        "insert into journal (kind, role, record_key, partition, epoch, payload, order_count)"
        " values ('CLAIMED', 'router', 'a leader', 0, 1, %s, 0)", [payload.encode()],
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while (cost := _v1(running, source, "--days", "7", "--json").json["cost"])["trades"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    amount = parse_exact(str(json.loads(source.read_text())[0]["fixedAmount"]))
    assert parse_exact(cost["before"]) == parse_exact(cost["after"]) == 2 * amount


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"positionz": {}}, "no such name: positionz"),
        ({"id": None}, "id is missing"),
        ({"fields": {"leader": {}}}, "fields.leader: expected `from`"),
    ],
)
def test_a_mapping_that_is_wrong_is_named(
    running: World, source: Path, change: dict[str, Any], words: str
) -> None:
    path = source.parent / "mapping.yaml"
    wrong = {name: rule for name, rule in (RULES | change).items() if rule is not None}
    path.write_text(yaml.safe_dump(wrong))
    said = running.tt("migrate", "v1", "--from", str(source), "--mapping", str(path))
    assert (said.status, words in said.err) == (2, True), said.err


def test_shares_that_two_subscriptions_of_a_wallet_claim_are_given_once() -> None:
    olds, _ = generated()
    first = next(old for old in olds if old.get("positions") and old["status"] == "ACTIVE")
    second = first | {"_id": "second", "targetWallet": "0x" + "5" * 40}
    made = plan(RULES, [first, second])
    taken = [sum(parse_exact(one.size) for one in line.positions) for line in made.lines]
    chain = sum(parse_exact(one["chainBalance"]) for one in first["positions"])
    assert (sum(taken), taken[1]) == (chain, 0)
    assert any("the chain has none left" in words for words in made.lines[1].changed)
