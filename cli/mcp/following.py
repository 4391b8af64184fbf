"""Tools about leaders: their records, and what following one would have made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from cli.core.answers import Json, visible
from cli.mcp.answers import PageAnswer, RecordAnswer, page_of, record_of
from cli.mcp.reading import Limit, PageToken
from cli.mcp.serving import Ctx, engine_of, plainly

_DAYS = 30
Leader = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$", description="The leader's wallet.")]
Usdc = Annotated[
    str, Field(pattern=r"^((0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?)?$", description="USDC; empty: none.")
]
Ratio = Annotated[
    str,
    Field(
        pattern=r"^((0|[1-9][0-9]{0,2})(\.[0-9]{1,6})?)?$",
        description="Factor on what the leader spends; empty: none.",
    ),
]
Fraction = Annotated[
    str, Field(pattern=r"^(0(\.[0-9]{1,6})?)?$", description="0.03 is 3 %; empty: 0.03.")
]


@plainly
def list_leaders(
    ctx: Ctx,
    sort: Literal[
        "copyability", "edge", "profit", "roi", "winRate", "sharpe", "volume", "trades"
    ] = "copyability",
    window: Literal["1d", "7d", "30d", "90d", "all"] = "90d",
    category: Annotated[str, Field(pattern="^[a-z0-9-]{0,40}$", description="Empty: all.")] = "",
    evidence_only: Annotated[
        bool, Field(description="Only those whose record is evidence that they are worth it.")
    ] = False,
    limit: Limit = 10,
    page: PageToken = "",
) -> PageAnswer:
    """Rank leaders by what followers would have got of their trades. `gaps` says why a record is no
    evidence; such leaders come last."""
    engine = engine_of(ctx)

    def fetch(rows: int) -> tuple[list[Json], str]:
        found = engine.rest.list_leaders(
            sort=sort, window=window, category=category or None, evidence=evidence_only or None,
            page_size=rows, page_token=page or None,
        )  # fmt: skip
        return [_leader(one, window) for one in found["leaders"]], found["nextPageToken"]

    return page_of(fetch, limit, ["other windows, categories, days: get_leader"])


_OF_A_LEADER = ("wallet", "score", "edge", "gaps", "latencyClass", "medianSize", "lastTradeAt")


def _leader(leader: Any, window: str) -> Json:
    reported = {name: leader[name] for name in _OF_A_LEADER if name in leader}
    of = next((dict(one) for one in leader["performance"] if one["window"] == window), {})
    return reported | {"performance": of}


@plainly
def get_leader(
    ctx: Ctx,
    wallet: Leader,
) -> RecordAnswer:
    """Get a leader: profit, win rate, drawdown in five windows, categories, what a copy one to ten
    seconds later would have cost (`copyability`), and the latest days."""
    found: Json = dict(engine_of(ctx).rest.get_leader(wallet))
    days = list(found.pop("days", []))
    left = [f"days: the latest {_DAYS} of {len(days)}"] if len(days) > _DAYS else []
    return record_of(found | {"daysNewestFirst": days[::-1][:_DAYS]}, left)


@plainly
def simulate_following(  # noqa: PLR0913, PLR0917 - as many settings
    ctx: Ctx,
    wallet: Leader,
    amount: Usdc = "",
    ratio: Ratio = "",
    strategy_id: Annotated[
        str, Field(pattern="^(sub_[0-9a-f]{32})?$", description="With the settings of this one.")
    ] = "",
    budget: Usdc = "",
    max_per_trade: Usdc = "",
    max_slippage: Fraction = "",
    days: Annotated[int, Field(ge=1, le=366, description="So many days back from now.")] = _DAYS,
    delay_seconds: Annotated[Literal[1, 3, 10], Field(description="After the leader.")] = 3,
) -> RecordAnswer:
    """Say what a follower would have made of a leader's trades, by the books that were recorded:
    exactly one of amount, ratio and strategy_id. `assumed` says what is assumed and not known. It
    is the past, and no promise."""
    since = datetime.now(UTC) - timedelta(days=days)
    found: Json = dict(
        engine_of(ctx).rest.get_leader_simulation(
            wallet, amount=amount or None, ratio=ratio or None,
            subscription_id=strategy_id or None, budget=budget or None,
            max_per_trade=max_per_trade or None, max_slippage=max_slippage or None,
            from_ms=int(since.timestamp() * 1000), delay_seconds=delay_seconds,
        )
    )  # fmt: skip
    assumed = [visible(sentence) for sentence in found.pop("unknown")]
    return record_of(found, said={"assumed": assumed})


TOOLS = (list_leaders, get_leader, simulate_following)
