"""The kill switch over the bots of two exchanges, on real parts: flat, swept again, told as done.

The exchanges are asked what rests and what is held; the engine's rows say how far it thinks it is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from launcher.temporary import create_database
from tests.bots import clob_world
from tests.bots.clob_world import MICROS, ClobBots, clob_bots
from tests.bots.world import Bots, at_okx, okx_wallet, until
from tests.paper_clob.harness import CONDITION
from tests.paper_okx import harness as okx
from tests.signer import world as signers
from tradingtools.domain.errors import Unavailable

_log = logging.getLogger(__name__)
KILL = f"kil_{7:032x}"
ACCOUNTS = tuple(f"acc{number}" for number in range(5))
AT_OKX = AT_CLOB = 50
HOLDING = 30
"""So many bots at least hold something when the kill switch is set."""
WITHIN_SECONDS = 1_200.0
CLOB_LAST_MS = 300_000
"""Generous: what left for a CLOB may arrive for minutes after the last permit."""


@pytest.fixture
def url(postgres_server: str, migrated_template: str) -> str:
    return create_database(postgres_server, template=migrated_template)


def killed(world: Any) -> int:
    """Set the kill switch for everything; return when, in milliseconds."""
    world.rows(
        "insert into kill_switch (id, tenant, exchange, reason, actor)"
        " values (%s, 'default', '', 'prices are wrong', 'me')",
        KILL,
    )
    return time.time_ns() // 1_000_000


def phases(world: Any) -> dict[str, str]:
    return dict(world.rows("select wallet_id, phase from kill_switch_wallet"))


def after_prints(far: ClobBots, size: str) -> int:
    """Let strangers take what rests beside a half; return how many bots hold something."""
    for side, price in (("SELL", "0.45"), ("BUY", "0.55")):
        far.notify("/prints", condition=CONDITION, side=side, price=price, size=size)
    return holding(far)


def slowly(far: ClobBots) -> int:
    """Do the same, and let a hundred bots hear of it."""
    time.sleep(2)
    return after_prints(far, "100")


def dust(far: ClobBots) -> None:
    """Check that nothing is held but less than the least order of each bot."""
    until(lambda: far.held() == far.booked(), "the books' equality with the exchange")
    signed = "sum(case when (side = 'BUY') = not undone then size else -size end)"
    rows = far.rows(
        f"select bot_id, {signed} from bot_fill where venue = 'polymarket'"
        " group by bot_id, instrument_id"
    )
    assert all(0 <= size < 5 * MICROS for _, size in rows), rows


def makers(far: ClobBots, first: int, count: int) -> None:
    for number in range(first, first + count):
        far.bot(f"mm{number:010}")


def holding(world: Any) -> int:
    signed = "sum(case when (side = 'BUY') = not undone then size else -size end)"
    rows = world.rows(
        f"select bot_id from bot_fill group by bot_id, instrument_id having {signed} <> 0"
    )
    return len({bot for (bot,) in rows})


def test_a_kill_switch_sells_shares_cancels_and_sweeps_after_the_last_arrival(
    url: str, tmp_path: Path
) -> None:
    """The short form: the second sweep is awaited, which takes minutes at this exchange."""
    with clob_bots(url, tmp_path) as far:
        makers(far, 1, 3)
        engine = far.engine()
        engine.start()
        try:
            until(lambda: after_prints(far, "10") >= 2, "bots that hold something")
            at_ms = killed(far)
            until(lambda: phases(far).get(far.wallet) == "SECOND_SWEEP", "the second sweep")
            assert far.far()["resting"] == []
            dust(far)
            ((last_ms,),) = far.rows(
                "select (extract(epoch from last_arrival_at) * 1000)::bigint"
                " from kill_switch_wallet"
            )
            ((permit_ms,),) = far.rows(
                "select (extract(epoch from max(expires_at)) * 1000)::bigint from bot_permit"
            )
            assert last_ms >= max(at_ms, permit_ms) + CLOB_LAST_MS
            assert far.rows("select 1 from kill_switch where done_at is not null") == []
            states = far.rows("select distinct state from bot")
            assert states == [("RISK_STOPPED",)]
            assert "wallet failed" not in engine.log.read_text()
        finally:
            engine.stop()


def patiently(add: Callable[[], Coroutine[Any, Any, str]]) -> str:
    """Add a wallet; a machine that is busy keeps the signer from answering in time."""
    for _ in range(10):
        with contextlib.suppress(Unavailable):
            return str(signers.run(add()))
    raise AssertionError("the signer does not answer")


@pytest.fixture
def both(url: str, tmp_path: Path) -> Iterator[tuple[Bots, ClobBots]]:
    """Run both exchanges and one signer, with five wallets at one and one at the other."""
    for name in ("okx", "clob", "signer"):
        (tmp_path / name).mkdir(mode=0o700)
    with ExitStack() as stack:
        live = stack.enter_context(okx.okx(tmp_path / "okx", feed="seeded", step_ms="3000"))
        clob_url, control = stack.enter_context(clob_world.exchange(tmp_path / "clob", "10000"))
        for account in ACCOUNTS:
            live.account(account)
        signer = stack.enter_context(
            signers.running(
                url,
                tmp_path / "signer",
                TT_SIGNER_OKX_URL=live.rest,
                SSL_CERT_FILE=str(live.authority),
                TT_SIGNER_CLOB_URL=clob_url,
            )
        )
        venue = {**clob_world.at_clob(clob_url), **at_okx(live), "TT_BOTS_VENUES": "okx,polymarket"}
        wallets = {one: patiently(partial(okx_wallet, signer, one)) for one in ACCOUNTS}
        near = Bots(
            signer, tmp_path, live, wallet=wallets[ACCOUNTS[0]], wallets=wallets, venue=venue
        )
        far = ClobBots(
            signer, tmp_path, clob_url, control,
            wallet=patiently(partial(clob_world.added, signer)), venue=venue,
        )  # fmt: skip
        clob_world.levels(far, "2000")
        yield near, far


@pytest.mark.long
@pytest.mark.timeout(2_400)
def test_a_hundred_bots_of_two_exchanges_are_flat_swept_again_and_told_as_done(
    both: tuple[Bots, ClobBots],
) -> None:
    near, far = both
    for number in range(AT_OKX):
        near.bot(f"mm{number:010}", wallet=near.wallets[ACCOUNTS[number % len(ACCOUNTS)]])
    makers(far, AT_OKX, AT_CLOB)
    engine = near.engine(TT_BOTS_LEASE_MS="20000", TT_BOTS_WRITE_MS="1000", TT_BOTS_CAPACITY="200")
    engine.start()
    try:
        running = "select count(*) from bot where state = 'RUNNING'"
        until(lambda: near.rows(running) == [(AT_OKX + AT_CLOB,)], "all bots", WITHIN_SECONDS)
        until(lambda: slowly(far) >= HOLDING, "holdings", WITHIN_SECONDS)
        resting = len(far.far()["resting"]) + sum(len(near.resting(one)) for one in ACCOUNTS)
        started, held = killed(near), holding(near)
        _log.info("killed: %d bots hold something, %d orders rest", held, resting)
        _walk(near, far, started)
        assert "wallet failed" not in engine.log.read_text()
    finally:
        engine.stop()


def _walk(near: Bots, far: ClobBots, started: int) -> None:
    seen: dict[str, dict[str, int]] = {}

    def passed(phase: str, wallets: int) -> bool:
        now = time.time_ns() // 1_000_000
        found = phases(near)
        for wallet, one in found.items():
            seen.setdefault(wallet, {}).setdefault(one, now - started)
        after = ("DONE",) if phase == "DONE" else (phase, "DONE")
        return sum(one in after for one in found.values()) == wallets

    everyone = len(ACCOUNTS) + 1
    until(lambda: passed("SECOND_SWEEP", everyone), "all flat", WITHIN_SECONDS)
    _log.info("all flat after %d ms", time.time_ns() // 1_000_000 - started)
    assert far.far()["resting"] == []
    dust(far)
    for account in ACCOUNTS:
        assert near.resting(account) == []
        assert near.position(account) == 0
    until(lambda: passed("DONE", everyone), "all done", WITHIN_SECONDS)
    for wallet, one in sorted(seen.items()):
        _log.info("%s: %s", wallet, json.dumps(one))
    rows = near.rows(
        "select p.last_arrival_at < p.changed_at, k.done_at >= p.changed_at"
        " from kill_switch k join kill_switch_wallet p on p.kill_id = k.id"
    )
    assert rows == [(True, True)] * everyone
    states = near.rows("select state, count(*) from bot group by state")
    assert states == [("RISK_STOPPED", AT_OKX + AT_CLOB)]
    reported = "select action from risk_event where limit_name = 'kill_switch'"
    assert near.rows(reported) == [("DONE",)]
    assert far.far()["resting"] == []
    dust(far)
