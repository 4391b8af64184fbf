"""LeaderService: decode, rank, encode."""

from __future__ import annotations

from datetime import UTC, datetime

from services.control import paging
from services.control.leaders import codec, rules
from services.control.leaders.store import Leaders, LeaderSnapshot
from services.control.messages import Fields
from tradingtools.domain.errors import InvalidField, NotFound
from tradingtools.rpc.headers import Context
from tradingtools.v1 import leader_service_pb2 as pb
from tradingtools.v1 import leader_service_pb2_grpc as pb_grpc

_NO_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
"""Leaders are ordered by a figure, not by time."""


class LeaderServicer(pb_grpc.LeaderServiceServicer):
    """Leaders and their statistics.

    Args:
        leaders: enrichment's snapshots.
    """

    def __init__(self, leaders: Leaders) -> None:
        self._leaders = leaders
        self._version = ""
        self._by_window: dict[str, list[rules.Figures]] = {}

    async def ListLeaders(
        self, request: pb.ListLeadersRequest, context: Context
    ) -> pb.ListLeadersResponse:
        """A page of leaders, ranked."""
        desired = rules.LeaderQuery(
            sort=request.sort or rules.DEFAULT_SORT,
            min_trades=request.min_trades,
            min_resolved=request.min_resolved,
            category=request.category,
            evidence=request.evidence,
        )
        window = request.window or rules.DEFAULT_WINDOW
        scope = f"leaders:{window}:{desired}"
        after = _after(scope, request.page_token)
        snapshot = await self._leaders.newest()
        found, more = rules.page(
            rules.ranked(self._figures(snapshot, window), desired),
            after,
            paging.size(request.page_size),
        )
        answer: Fields = {
            "leaders": [codec.leader(snapshot.by_wallet[of[3]], days=False) for of in found],
            "snapshot": snapshot.version,
        }
        if snapshot.as_of_ms is not None:
            answer["as_of"] = codec.instant(snapshot.as_of_ms)
        if more:
            gap, without, figure, wallet = found[-1]
            place = f"{int(gap)}{int(without)}"
            answer["next_page_token"] = paging.encode(
                scope, _NO_INSTANT, place, repr(figure), wallet
            )
        return pb.ListLeadersResponse(**answer)

    def _figures(self, snapshot: LeaderSnapshot, window: str) -> list[rules.Figures]:
        """Figures of a snapshot's leaders in a window, made once for each."""
        if self._version != snapshot.version:
            self._version, self._by_window = snapshot.version, {}
        if window not in self._by_window:
            self._by_window[window] = [
                codec.figures(leader, window) for leader in snapshot.by_wallet.values()
            ]
        return self._by_window[window]

    async def GetLeader(self, request: pb.GetLeaderRequest, context: Context) -> pb.Leader:
        """One with his days."""
        wallet = request.wallet.lower()
        snapshot = await self._leaders.newest()
        found = snapshot.by_wallet.get(wallet)
        if found is None:
            raise NotFound(f"no leader {wallet}", kind="leader", id=wallet)
        return pb.Leader(**codec.leader(found, days=True))


def _after(scope: str, token: str) -> rules.Rank | None:
    """The last rank of the page before; raises InvalidField."""
    key = paging.decode(scope, token, 3)
    if key is None:
        return None
    place, figure, wallet = key[1]
    try:
        return rules.Rank((int(place[:1]), int(place[1:]), float(figure), wallet))
    except ValueError:
        expected = "a token from the page before of the same list"
        raise InvalidField(
            f"pageToken: expected {expected}", field="pageToken", expected=expected
        ) from None
