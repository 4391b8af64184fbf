"""The tail of a writer's claimed records, as router and guard stream them to the executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tradingtools.codec.claims import batch_from_payload
from tradingtools.rpc.streams import Tail
from tradingtools.storage.postgres import journal
from tradingtools.storage.postgres.pool import Pool
from tradingtools.v1 import common_pb2 as pb


async def claim_tail(pool: Pool, role: str, partition: int) -> Tail[pb.OrderBatch]:
    """Return a tail over the journal: what this process appends, and before it what the journal
    has.

    Args:
        pool: of the deciding database.
        role: ``router`` or ``guard``.
        partition: of follower wallets.
    """

    async def load(after: int, limit: int) -> list[tuple[int, pb.OrderBatch]]:
        records = await journal.claimed_after(pool, role, partition, after, limit)
        return [(seq, batch_from_payload(seq, ns, payload)) for seq, ns, payload in records]

    return Tail(await journal.last_claimed(pool, role, partition), load)


ORDERS_PER_MESSAGE = 200


def messages(
    after: int, batches: Iterable[pb.OrderBatch]
) -> Iterator[tuple[int, list[pb.OrderBatch]]]:
    """Yield what goes into a message each, with the cursor to resume after it.

    Claims that are there together go together: each message costs both ends more than a claim in
    it. A large claim is cut; until its last piece the cursor stays before it, so that a reader that
    loses the stream in between gets it again from its start.

    Args:
        after: the cursor before the first claim.
        batches: whole claims, in the journal's order.
    """
    together: list[pb.OrderBatch] = []
    size = 0
    for reached, piece in _pieces(after, batches):
        if together and size + len(piece.orders) > ORDERS_PER_MESSAGE:
            yield after, together
            together, size = [], 0
        together.append(piece)
        size += len(piece.orders)
        after = reached
    if together:
        yield after, together


def _pieces(after: int, batches: Iterable[pb.OrderBatch]) -> Iterator[tuple[int, pb.OrderBatch]]:
    for batch in batches:
        orders = batch.orders
        if len(orders) <= ORDERS_PER_MESSAGE:
            yield batch.journal_seq, batch
            after = batch.journal_seq
            continue
        for start in range(0, len(orders), ORDERS_PER_MESSAGE):
            piece = pb.OrderBatch()
            piece.CopyFrom(batch)
            del piece.orders[start + ORDERS_PER_MESSAGE :]
            del piece.orders[:start]
            last = start + ORDERS_PER_MESSAGE >= len(orders)
            yield (batch.journal_seq if last else after), piece
        after = batch.journal_seq
