"""Test what a run consists of, as values: the settings that join the processes, and what is
shown."""

from __future__ import annotations

import configparser
from dataclasses import replace

import pytest

from launcher.core import programs as core
from launcher.core.followers import Bought, subscriptions, triggers
from launcher.core.summary import INSTANTS, hops, percentile, usdc
from launcher.core.supervisor_config import Places, render

PORTS = {name: 20_000 + offset for offset, name in enumerate(core.PORTS)}
LAYOUT = core.Layout(
    python="/venv/python",
    directory="/state",
    ports=PORTS,
    embedded_postgres=True,
    embedded_redis=True,
    paper_insiders=True,
    paper_venue=True,
)
PLACES = Places(
    root="/root dir",
    directory="/state",
    logs="/state/logs",
    socket="/state/100%.sock",
    python="/venv/python",
    as_root=True,
)


def _programs(layout: core.Layout, metrics_port: int = 0) -> list[core.Program]:
    return core.programs(
        layout,
        postgres=(("postgres", "-D", "/state/a b"), "nobody"),
        valkey=("valkey",),
        envoy=("envoy",),
        metrics_port=metrics_port,
        edge_nice=10,
    )


def test_every_target_is_where_its_process_listens() -> None:
    settings = core.environment(LAYOUT, {}, token_digest="d", operator_digest="o")
    assert settings["TT_ROUTER_INGEST_TARGET"] == settings["TT_INGEST_LISTEN"]
    assert settings["TT_EXECUTOR_GUARD_TARGET"] == settings["TT_GUARD_LISTEN"]
    assert settings["TT_INSIDERS_BOOKFEED_TARGET"] == settings["TT_BOOKFEED_LISTEN"]
    listens = [value for name, value in settings.items() if name.endswith("_LISTEN")]
    assert len(set(listens)) == len(core.ENGINE) + len(core.CONTROL_PORTS) + len(
        [core.CONSOLE_PORT]
    )


def test_the_environment_wins_and_targets_follow_it() -> None:
    given = {"TT_INGEST_LISTEN": "127.0.0.1:7000", "TT_INGEST_RTDS_URL": "ws://elsewhere", "A": ""}
    settings = core.environment(LAYOUT, given, token_digest="d", operator_digest="o")
    assert settings["TT_ROUTER_INGEST_TARGET"] == "127.0.0.1:7000"
    assert settings["TT_INGEST_RTDS_URL"] == "ws://elsewhere"


def test_real_servers_are_left_alone() -> None:
    real = replace(
        LAYOUT,
        embedded_postgres=False,
        embedded_redis=False,
        paper_insiders=False,
        paper_venue=False,
    )
    given = {"TT_DATABASE_URL": "postgresql://db/x", "TT_CONTROL_TOKENS": "a:read:b"}
    settings = core.environment(real, given, token_digest="d", operator_digest="o")
    assert settings["TT_DATABASE_URL"] == "postgresql://db/x"
    assert settings["TT_CONTROL_TOKENS"] == "a:read:b,launcher:manage:d,operator:operate:o"
    assert not [name for name in settings if name.startswith(("TT_VENUE", "TT_INSIDERS"))]
    assert "TT_INGEST_RTDS_URL" not in settings
    assert [program.name for program in _programs(real)] == [*core.ENGINE, "envoy"]


@pytest.mark.parametrize("given", ["7000", "host:", "host:x", "host:0", "host:70000"])
def test_a_malformed_address_is_named(given: str) -> None:
    with pytest.raises(core.AddressError, match="TT_GUARD_LISTEN"):
        core.environment(LAYOUT, {"TT_GUARD_LISTEN": given}, token_digest="d", operator_digest="o")


def test_the_supervisor_reads_what_was_written() -> None:
    parser = configparser.RawConfigParser()
    made = _programs(LAYOUT, metrics_port=9000)
    parser.read_string(render(made, PLACES))
    assert parser["unix_http_server"]["file"] == "/state/100%%.sock"
    assert parser["group:stores"]["programs"] == "postgres,valkey"
    priorities = [int(parser[f"group:{group}"]["priority"]) for group in core.GROUPS]
    assert priorities == sorted(priorities)
    postgres = parser["program:postgres"]
    assert postgres["stopsignal"] == "INT"
    assert "--user nobody" in postgres["command"]
    assert "'/state/a b'" in postgres["command"]
    assert "--environment /state/environment/postgres.json" in postgres["command"]
    metrics = {one.environment["TT_METRICS_PORT"] for one in made if one.environment}
    assert len(metrics) == len(core.ENGINE) + 2, "each process has a metrics port of its own"


def test_each_process_is_given_its_own_and_what_all_share() -> None:
    given = {
        "PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "a", "LAUNCHER_PARENT_PID": "1",
        "TT_DATABASE_URL": "owner", "TT_REDIS_URL": "redis", "TT_LOG_LEVEL": "info",
        "TT_ROUTER_DATABASE_URL": "router", "TT_GUARD_PARTITION": "0", "TT_CONTROL_TOKENS": "t",
        "TT_LAUNCHER_INSIDERS_URL": "x", "TT_ENGINE_CALLERS": "c",
    }  # fmt: skip
    shared = {"PATH": "/bin", "TT_LOG_LEVEL": "info", "TT_ENGINE_CALLERS": "c"}
    assert core.own_environment("", given) == {"PATH": "/bin"}
    assert core.own_environment("router", given) == {
        **shared, "TT_REDIS_URL": "redis", "TT_ROUTER_DATABASE_URL": "router",
    }  # fmt: skip
    assert core.own_environment("executor", given) == {**shared, "TT_DATABASE_URL": "owner"}
    assert core.own_environment("venue", given) == shared


def test_only_those_stand_back_whom_no_order_waits_for() -> None:
    back = {program.name: program.nice for program in _programs(LAYOUT) if program.nice}
    assert back == {"control": 10, "enrichment": 10, "envoy": 10}


def test_followers_differ_and_are_the_same_for_the_same_run() -> None:
    bodies = list(subscriptions(("0xa", "0xb"), 5, "run"))
    wallets = {body["follower"]["followerProxy"] for body in bodies}
    assert len(wallets) == 10
    assert bodies == list(subscriptions(("0xa", "0xb"), 5, "run"))
    assert {next(iter(body["sizing"])) for body in bodies} == {"fixed", "ratio"}


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (500_000, ["0.515", "0.48"]),
        (993_000, ["0.953"]),  # no room above
        (9_000, ["0.019"]),  # no room below
    ],
)
def test_triggers_lie_around_the_fill_and_within_bounds(price: int, expected: list[str]) -> None:
    bought = Bought(
        subscription_id="s", wallet="w", condition_id="c", asset_id="1", price_micros=price
    )
    assert [body["triggerPrice"] for body in triggers(bought)] == expected


def test_the_signer_runs_where_a_run_has_it() -> None:
    with_signer = replace(LAYOUT, optional=("signer",), signer_socket="/s/signer/socket")
    for layout, has_it in ((LAYOUT, False), (with_signer, True)):
        found = core.environment(layout, {}, token_digest="d", operator_digest="o")
        assert ("signer" in {program.name for program in _programs(layout)}) == has_it
        assert ("signer=" in found["TT_ALERTS_PROCESSES"]) == has_it
        assert found.get("TT_CONTROL_SIGNER_SOCKET") == found.get("TT_SIGNER_SOCKET")
        assert ("TT_SIGNER_MASTER_KEY_FILE" in found) == has_it
        own = core.own_environment("router", found)
        assert not [name for name in own if "SIGNER" in name], "nobody else is told of its keys"


def test_every_process_gets_the_addresses_of_this_run() -> None:
    layout = replace(LAYOUT, embedded_redis=False, paper_venue=False)
    environ = {"TT_GUARD_LISTEN": "10.0.0.1:7000", "TT_CONTROL_METRICS_PORT": "9999"}
    reported = core.process_ports(layout, _programs(layout, metrics_port=9_400), environ)
    left_out = ("valkey", "guard", *core.OPTIONAL, "paper_okx", "paper_okx_control")
    served = {name: PORTS[name] for name in core.PORTS if name not in left_out}
    assert reported == {
        **{name: port for name, port in served.items() if "venue" not in name},
        "guard": 7000,
        "insiders_metrics": 9_400,
        **{f"{name}_metrics": 9_401 + at for at, name in enumerate(core.ENGINE)},
        "control_metrics": 9999,
    }


def test_percentiles_are_nearest_rank() -> None:
    assert [percentile(range(1, 101), p) for p in (50, 99)] == [50, 99]
    assert percentile([7], 99) == 7


def test_hops_skip_orders_without_both_instants() -> None:
    row = dict.fromkeys(INSTANTS, 0)
    found = hops([row | {"received_ns": 1_000_000, "routed_ns": 3_500_000}, row])
    assert [(hop.name, hop.p50_ms, hop.number) for hop in found] == [("decide", 2.5, 1)]


def test_amounts_for_people() -> None:
    assert [usdc(micros) for micros in (1_239_999, -5_000, 0)] == ["1.23", "-0.00", "0.00"]


def test_bots_of_a_run_trade_at_its_paper_okx() -> None:
    layout = replace(LAYOUT, optional=("signer", "bots"), paper_okx=True)
    found = core.environment(layout, {}, token_digest="d", operator_digest="o")
    assert found["TT_BOTS_VENUES"] == "okx"
    assert found["TT_BOTS_OKX_URL"] == found["TT_SIGNER_OKX_URL"]
    assert found["TT_BOTS_OKX_URL"].endswith(f":{PORTS['paper_okx']}")
    program = next(one for one in _programs(layout) if one.name == "paper_okx")
    assert (program.group, program.command[-1]) == ("world", "paper.okx")
    assert "paper_okx" not in {one.name for one in _programs(LAYOUT)}
    # LIVE=1: by the exchange's own feed, as the venue of copies.
    assert found["TT_PAPER_OKX_FEED"] == "seeded"
    real = core.environment(
        replace(layout, paper_venue=False), {}, token_digest="d", operator_digest="o"
    )
    assert real["TT_PAPER_OKX_FEED"] == "live"
    own = core.own_environment("paper_okx", found)
    assert own["TT_PAPER_OKX_PORT"] == str(PORTS["paper_okx"])
    assert "TT_PAPER_OKX_PORT" not in core.own_environment("bots", found)
