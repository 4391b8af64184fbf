"""The tail of a writer's claimed records, as router and guard stream them to the executor."""

from __future__ import annotations

from tradingtools.adapters.postgres import journal
from tradingtools.adapters.postgres.pool import Pool
from tradingtools.codec.claims import batch_from_payload
from tradingtools.runtime.streams import Tail
from tradingtools.v1 import common_pb2 as pb


async def claim_tail(pool: Pool, role: str, partition: int) -> Tail[pb.OrderBatch]:
    """A tail over the journal: what this process appends, and before it what the journal has.

    Args:
        pool: of the deciding database.
        role: ``router`` or ``guard``.
        partition: of follower wallets.
    """

    async def load(after: int, limit: int) -> list[tuple[int, pb.OrderBatch]]:
        records = await journal.claimed_after(pool, role, partition, after, limit)
        return [(seq, batch_from_payload(seq, ns, payload)) for seq, ns, payload in records]

    return Tail(await journal.last_claimed(pool, role, partition), load)
