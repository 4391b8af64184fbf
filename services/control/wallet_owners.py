"""The owner of a follower's wallet: it belongs to one user and wallet id once it has been seen.

Orders leave for insiders-api with these ids. Two users who give the same wallet would trade, and
sell, what belongs to one of them.
"""

from __future__ import annotations

from services.control.auth.operator import Operator
from services.control.parsing import refuse
from services.control.store import Change, Row, Store, queries
from tradingtools.domain.errors import NotFound
from tradingtools.domain.order import Follower

KIND = "wallet"

_SQL = queries("wallet_owners")


async def hold(change: Change, follower: Follower, place: str) -> None:
    """See a wallet with its ids, in the transaction of the change that names them.

    Args:
        change: under way.
        follower: as it was given; the wallet in its one spelling.
        place: the field with the ids, for the error.

    Raises:
        InvalidField: the wallet was seen with another user or wallet id.
    """
    await change.rows(
        _SQL["note"],
        proxy=follower.proxy,
        user_id=follower.user_id,
        wallet_id=follower.wallet_id,
    )
    known = await change.row(_SQL["get"], proxy=follower.proxy)
    assert known is not None  # noqa: S101 - noted just above, and never deleted
    # Whose it is, the answer does not say.
    for field, given in (("UserId", follower.user_id), ("WalletId", follower.wallet_id)):
        if known["follower_user_id" if field == "UserId" else "follower_wallet_id"] != given:
            raise refuse(
                f"{place}.follower{field}",
                "what the wallet was first seen with; an operator may move it",
            )


class Identities:
    """The wallets in a store, for operators."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def move(self, by: Operator, follower: Follower, reason: str) -> Row:
        """Give a wallet to another user and wallet id; what it has already changes nothing.

        Raises:
            NotFound: the wallet was never seen.
        """
        ids = {"user_id": follower.user_id, "wallet_id": follower.wallet_id}
        async with self._store.change(by.caller, by.source) as change:
            before = await change.row(_SQL["get"], proxy=follower.proxy)
            if before is None:
                raise NotFound(f"no wallet {follower.proxy}", kind=KIND, id=follower.proxy)
            await change.rows(_SQL["move"], proxy=follower.proxy, **ids)
            after = await change.row(_SQL["get"], proxy=follower.proxy)
            assert after is not None  # noqa: S101 - found just above, under the control lock
            if after != before:
                await change.record(
                    "move", KIND, follower.proxy, before=before, after={**after, "reason": reason}
                )
        return after
