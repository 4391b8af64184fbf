"""The orders that an exchange has taken from bots, judged by its journal and the database."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import accumulate
from typing import Any

from services.bots.core.permit import number_of
from tests.bots.world import Bots

PLACING = frozenset(
    {"order", "batch-orders", "POST /api/v5/trade/order", "POST /api/v5/trade/batch-orders"}
)
_LEASE_LOG = """
create table lease_log (at timestamptz default clock_timestamp(), epoch bigint, until timestamptz);
create function log_lease() returns trigger language plpgsql security definer as $$
begin
    -- Whoever knows that its owner is dead may end it: what has left is on its way still.
    insert into lease_log (epoch, until) select new.epoch, new.until
    where tg_op = 'INSERT' or new.epoch <> old.epoch or new.until >= old.until
        or new.incarnation <> old.incarnation;
    return new;
end $$;
create trigger log_lease after insert or update on trading_wallet_lease
    for each row execute function log_lease();
"""


def log_leases(world: Bots) -> None:
    """Keep each lease of the one wallet from now on: the table has the last one alone."""
    world.rows(_LEASE_LOG)


def wrongs(world: Bots, most: Mapping[str, int]) -> list[str]:
    """Return what is wrong, once all bots have stopped; nothing: all is as promised.

    Args:
        world: after the end of its bots.
        most: contracts that a position never passes, by instrument of the exchange.
    """
    bots = [bot_id for (bot_id,) in world.rows("select id from bot")]
    taken = list(_taken(world.okx.journal(), bots))
    return [
        *([] if taken else ["nothing was accepted"]),
        *_doubled(taken),
        *_after_lease(world, taken, bots),
        *_without_permit(world, taken, bots),
        *_forgotten(world, bots),
        *_misbooked(world, bots),
        *_beyond(world, bots, most),
        *([] if world.okx.conserved() else ["money came or went"]),
    ]


def _taken(journal: Iterable[Mapping[str, Any]], bots: list[str]) -> Iterator[tuple[str, int]]:
    """Yield client order ids that were accepted, with the instant in nanoseconds."""
    for one in journal:
        if one["kind"] != "asked" or one["what"] not in PLACING or not one["answer"]:
            continue
        for row in one["answer"]["data"]:
            order_id = row.get("clOrdId", "")
            if row["sCode"] == "0" and _owner(order_id, bots):
                yield order_id, one["at_ns"]


def _owner(order_id: str, bots: list[str]) -> str:
    return next((one for one in bots if order_id.startswith(one)), "")


def _number(order_id: str, bots: list[str]) -> tuple[int, int]:
    found = number_of(order_id, _owner(order_id, bots))
    assert found is not None, order_id
    return found


def _doubled(taken: Iterable[tuple[str, int]]) -> Iterator[str]:
    for order_id, count in Counter(order_id for order_id, _ in taken).items():
        if count > 1:
            yield f"{order_id} was accepted {count} times"


def _after_lease(world: Bots, taken: list[tuple[str, int]], bots: list[str]) -> Iterator[str]:
    nanoseconds = "(extract(epoch from {}) * 1000000)::bigint * 1000"
    leases = world.rows(
        f"select {nanoseconds.format('at')}, epoch, {nanoseconds.format('until')} from lease_log"
        " order by at"
    )
    begins = [at for at, _, _ in leases]
    for order_id, at_ns in taken:
        of = _number(order_id, bots)[0]
        _, epoch, until_ns = leases[bisect_right(begins, at_ns) - 1]
        if epoch != of or at_ns > until_ns:
            yield f"{order_id} was accepted under the lease {epoch}, {(at_ns - until_ns) / 1e9} s"


def _without_permit(world: Bots, taken: list[tuple[str, int]], bots: list[str]) -> Iterator[str]:
    permits = defaultdict(list)
    for bot_id, epoch, first, last, given in world.rows(
        "select bot_id, epoch, first_number, last_number, extract(epoch from given_at)"
        " from bot_permit"
    ):
        permits[bot_id, epoch].append((first, last, given))
    for order_id, at_ns in taken:
        epoch, number = _number(order_id, bots)
        found = permits[_owner(order_id, bots), epoch]
        if not any(first <= number <= last and at_ns / 1e9 > at for first, last, at in found):
            yield f"{order_id} was accepted without a permit"


def _forgotten(world: Bots, bots: list[str]) -> Iterator[str]:
    known = {
        order_id: (Decimal(filled) / 10**8, state, settled)
        for order_id, filled, state, settled in world.rows(
            "select order_id, filled, state, settled from bot_order"
        )
    }
    for order_id, (_, state, settled) in known.items():
        if state in ("DEAD", "RESURRECTED") or not settled:
            yield f"{order_id} is {state}"
    for one in world.resting():
        if _owner(one["clOrdId"], bots):
            yield f"{one['clOrdId']} rests"
    for one in world.history():
        order_id, filled = one["clOrdId"], Decimal(one["accFillSz"] or "0")
        # One that ended without a fill before anybody wrote it is nothing to anybody.
        booked = known[order_id][0] if order_id in known else Decimal(0)
        if _owner(order_id, bots) and booked != filled:
            yield f"{order_id} has filled {filled}, its row has {booked}"


def _misbooked(world: Bots, bots: list[str]) -> Iterator[str]:
    reported = Counter((one["clOrdId"], Decimal(one["fillSz"])) for one in _fills(world, bots))
    booked = Counter(
        (order_id, Decimal(size) / 10**8)
        for order_id, size in world.rows("select order_id, size from bot_fill where not undone")
    )
    yield from (f"{one} was filled and not booked" for one in reported - booked)
    yield from (f"{one} was booked and not filled" for one in booked - reported)
    held = world.position()
    believed = sum((world.booked(one) for one in bots), Decimal(0))
    if held != believed:
        yield f"the exchange holds {held}, the bots' fills make {believed}"


def _beyond(world: Bots, bots: list[str], most: Mapping[str, int]) -> Iterator[str]:
    signed = defaultdict(list)
    for one in _fills(world, bots):
        size = Decimal(one["fillSz"])
        signed[one["instId"]].append(size if one["side"] == "buy" else -size)
    for name, sizes in signed.items():
        worst = max(map(abs, accumulate(sizes)))
        if worst > most[name]:
            yield f"{name} stood at {worst}, {most[name]} at most was wanted"


def _fills(world: Bots, bots: list[str]) -> list[dict[str, str]]:
    """Return the exchange's fills of the bots' orders, oldest first."""
    found: list[dict[str, str]] = []
    after = ""
    while True:
        page = world.requested(f"trade/fills-history?instType=SWAP&limit=100{after}")
        found += page
        if len(page) < 100:
            return [one for one in reversed(found) if _owner(one["clOrdId"], bots)]
        after = f"&after={page[-1]['billId']}"
