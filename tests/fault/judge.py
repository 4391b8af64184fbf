"""The verdict on a world: the launcher's own invariants, on evidence from the far side.

`launcher/gather.py` and `launcher/core/invariants.py` do the work; what they cannot know comes from
the test: which leader trades there were, and when a pause was acknowledged.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from launcher import gather
from launcher.core.evidence import Evidence, LeaderTrade
from launcher.core.invariants import Breach, breaches
from services.control.store import queries
from tests.money_path.world import World
from tradingtools.domain.money import MICROS
from tradingtools.domain.order_states import OrderState
from tradingtools.v1 import ingest_service_pb2 as ingest_pb

_STATISTICS = queries("statistics/queries")
_QUALITY = queries("quality/queries")

CASH_USDC = 1_000_000
"""What a wallet begins with in a world that is judged."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A subscription that was paused: between these instants (ns) nothing new may be sent."""

    subscription_id: str
    acknowledged_ns: int
    resumed_ns: int | None


@dataclass(frozen=True, slots=True)
class Halted:
    """A wallet that was halted: between these instants (ns) no entry of it may be sent."""

    wallet: str
    acknowledged_ns: int
    cleared_ns: int


async def evidence(
    world: World, trades: Iterable[LeaderTrade], *, settled: bool = True
) -> Evidence:
    """Return what the database and the far side say."""
    found = await asyncio.to_thread(
        gather.gather,
        database_url=world.database_url,
        started_ms=0,
        insiders_control_url=world.control_url,
        venue_url="",
        default_cash_micros=CASH_USDC * MICROS,
        settled=settled,
    )
    return dataclasses.replace(found, leader_trades=tuple(trades))


def verdict(found: Evidence) -> list[Breach]:
    """Every invariant that does not hold.

    The books of a wallet with a DEAD order are not compared: nobody can know them, which is why a
    person was called.
    """
    if found.gateway is not None:
        unknown = {row.follower_proxy for row in found.orders if row.state == OrderState.DEAD}
        wallets = tuple(w for w in found.gateway.wallets if w.follower_proxy not in unknown)
        found = dataclasses.replace(
            found, gateway=dataclasses.replace(found.gateway, wallets=wallets)
        )
    return breaches(found)


def sent_while_paused(world: World, pauses: Iterable[Paused]) -> list[Breach]:
    """I8: no SUBMITTING commit of an entry after its pause was acknowledged."""
    found = []
    for pause in pauses:
        rows = world.sql(
            "select order_key from orders where subscription_id = %s and purpose = 'ENTRY'"
            " and submitting_ns > %s and (%s::bigint is null or submitting_ns < %s::bigint)",
            pause.subscription_id, pause.acknowledged_ns, pause.resumed_ns, pause.resumed_ns,
        )  # fmt: skip
        found += [
            Breach("I8 a pause is final", f"order {row['order_key']} was sent after its pause")
            for row in rows
        ]
    return found


def sent_while_halted(world: World, halted: Halted) -> list[Breach]:
    """No SUBMITTING commit of an entry between a halt's answer and its end."""
    rows = world.sql(
        "select order_key from orders where follower_proxy = %s and purpose = 'ENTRY'"
        " and submitting_ns > %s and submitting_ns < %s",
        halted.wallet, halted.acknowledged_ns, halted.cleared_ns,
    )  # fmt: skip
    return [
        Breach("a halt is final", f"order {row['order_key']} was sent after its wallet's halt")
        for row in rows
    ]


def still_reserved(world: World) -> list[Breach]:
    """I9: when no order is open, nothing is reserved but for orders a person has to look at."""
    rows = world.sql(
        "select r.order_key, o.state from reservation r join orders o using (order_key)"
        " where r.released_at is null and o.state not in ('DEAD', 'RESURRECTED')"
    )
    return [
        Breach("I9 nothing stays reserved", f"order {row['order_key']} ({row['state']})")
        for row in rows
    ]


def quarantine(world: World, unreadable: Collection[str], after: int) -> list[Breach]:
    """Return what cannot be handled is set aside, and nothing else is.

    Args:
        world: whose quarantine.
        unreadable: leader_tx of every row that cannot be handled.
        after: the last message that was set aside before these rows.
    """
    name = "the quarantine holds what cannot be handled"
    found, set_aside = [], set()
    for row in world.sql("select * from dead_letter where id > %s order by id", after):
        txs = set()
        if row["stream"] == "leader_trades":
            message = ingest_pb.StreamLeaderTradesResponse.FromString(row["payload"])
            txs = {trade.leader_tx for trade in message.trades}
        set_aside |= txs
        if not txs & set(unreadable):
            found.append(Breach(name, f"{row['stream']} {row['cursor']}: {row['reason']}"))
    found += [Breach(name, f"row {tx} is not in it") for tx in sorted(set(unreadable) - set_aside)]
    return found


def wrong_statistics(world: World) -> list[Breach]:
    """The sums that are kept are what adding everything up gives."""
    return [
        Breach("statistics are exact", f"{row['kept']} and not {row['scanned']}")
        for row in world.sql(_STATISTICS["differences"])
    ] + [
        Breach("hours are exact", f"{row['hours']} and not {row['lot']}")
        for row in world.sql(_QUALITY["differences"])
    ]


async def judge(
    world: World, trades: Iterable[LeaderTrade], pauses: Iterable[Paused] = ()
) -> list[Breach]:
    """Everything that does not hold once the dust has settled; empty is what is promised."""
    found = await evidence(world, trades)
    return [
        *verdict(found),
        *sent_while_paused(world, pauses),
        *still_reserved(world),
        *wrong_statistics(world),
    ]
