"""Copies for a market that nobody watches beside copies for one that is, in turns in one run.

The venue answers REST after 25 ms. Three kinds of a leader's buys take turns: in a known market, in
one that nobody has watched before, and in such a one for a follower who asks something of its book.
A second engine without a catalogue shows what the first one saves.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from bench import feed, hops
from bench.core.figures import spread
from bench.core.sheet import Figure, times
from bench.feed import Asset
from bench.scene import Scene, scene
from bench.system import BenchError
from tradingtools.domain.money import parse_exact, to_text
from tradingtools_client import ApiError, Unreachable

_REST_MS = 25
_ROUNDS = 40
_GOAL_MS = 3.0
_NOISE = 100
_POST_SECONDS = 20.0
_RETENTION_SECONDS = 60.0
_WATCH_NOTHING = {"TT_BOOKFEED_WATCH_TRADED": "0", "TT_BOOKFEED_WATCH_LEADERS": "0"}
_NO_CATALOGUE = {"TT_BOOKFEED_CATALOGUE_STANDS_MS": "100"}
_CHOOSY = "0x" + "c" * 40


async def measure(factor: float, say: Callable[[str], None]) -> list[Figure]:
    """A run of its own.

    Args:
        factor: on the usual number of rounds.
        say: told what takes its time.

    Raises:
        BenchError: and what the launcher raises.
    """
    rounds = max(3, int(_ROUNDS * factor))
    figures: list[Figure] = []
    for name, more in (("catalogue", {}), ("no catalogue", _NO_CATALOGUE)):
        async with scene([1], say, {**_WATCH_NOTHING, **more}, rest_ms=_REST_MS) as here:
            await _choosy(here)
            await _retained(Path(here.engine.prepared.environ["TT_BOOKFEED_CATALOGUE_FILE"]))
            say(f"{name}: known, cold, and cold with a spread wanted, {rounds} rounds")
            figures += await _turns(here, name, rounds)
    return figures


async def _turns(here: Scene, name: str, rounds: int) -> list[Figure]:
    kinds = ("known", "cold", "cold, spread wanted")
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    sent: dict[str, list[str]] = {kind: [] for kind in kinds}
    unwatched = _assets(here.venue.at, here.asset)
    here.feed.noise = _NOISE
    for _ in range(rounds):
        for kind in kinds:
            asset = here.asset if kind == "known" else next(unwatched)
            leader = _CHOOSY if kind.endswith("wanted") else here.leader(1)
            frame = feed.frame(leader, asset)
            started, came = await here.burst([frame], 1)
            taken[kind].append((came[-1] - started) / 1e6)
            sent[kind].append(feed.transaction(frame))
            await here.quiet()
    here.idle()
    under = f"REST at {_REST_MS} ms, {name}"
    figures: list[Figure] = []
    for kind in kinds:
        figures += times(f"POST, {kind}", under, taken[kind])
        found = await asyncio.to_thread(hops.of_trades, here.engine.database_url, sent[kind])
        figures += [
            Figure(what=f"{kind}: {hop.name}, p50", under=under, value=hop.p50_ms, unit="ms")
            for hop in found
        ]
    later = spread(taken["cold"]).p50 - spread(taken["known"]).p50
    goal = _GOAL_MS if name == "catalogue" else None
    figures.append(
        Figure(what="cold later by, p50", under=under, value=later, unit="ms", goal=goal)
    )
    return figures


async def _choosy(here: Scene) -> None:
    """A leader of his own, whose follower wants a spread. Raises BenchError."""
    rest = here.engine.client()
    try:
        await asyncio.to_thread(
            rest.create_subscription,
            {
                "follower": {
                    "followerUserId": secrets.token_hex(8),
                    "followerWalletId": secrets.token_hex(8),
                    "followerProxy": "0x" + secrets.token_hex(20),
                },
                "leader": _CHOOSY,
                "sizing": {"fixed": {"amount": "10"}},
                # The venue's books move while they are asked for.
                "limits": {"maxSlippage": "0.9", "maxSpread": "1", "minDepthFraction": "0"},
            },
        )
    except (ApiError, Unreachable) as error:
        raise BenchError(f"creating a subscription: {error}") from error
    finally:
        rest.close()
    here.side.arrivals.expect(1)
    deadline = time.monotonic() + _POST_SECONDS
    while time.monotonic() < deadline:
        await here.feed.send([feed.frame(_CHOOSY, here.asset)])
        try:
            await here.arrived(1, 1.0)
            break
        except BenchError:
            continue
    await here.quiet()


async def _retained(path: Path) -> None:
    """Until the engine has read the list of markets to its end. Raises BenchError."""
    deadline = time.monotonic() + _RETENTION_SECONDS
    while not await asyncio.to_thread(path.exists):
        if time.monotonic() > deadline:
            raise BenchError(f"no list of markets after {_RETENTION_SECONDS:.0f} s")
        await asyncio.sleep(0.05)


def _assets(venue: str, known: Asset) -> Iterator[Asset]:
    """One asset of each market but the known one's, at a price of its middle."""
    cursor = ""
    with httpx.Client(base_url=f"http://{venue}", trust_env=False, timeout=10.0) as client:
        while True:
            params = {"limit": "100", **({"after_cursor": cursor} if cursor else {})}
            page = client.get("/gamma/markets/keyset", params=params).json()
            for market in page["markets"]:
                price = parse_exact(_first(market["outcomePrices"])) // 10_000 * 10_000
                if market["conditionId"] != known.condition_id and 100_000 <= price <= 900_000:
                    yield Asset(
                        asset_id=_first(market["clobTokenIds"]),
                        condition_id=market["conditionId"],
                        price=to_text(price),
                        title=market["question"],
                    )
            cursor = page["next_cursor"]
            if not cursor:
                raise BenchError("the venue has too few markets for so many rounds")


def _first(inside: str) -> str:
    return inside.strip("[]").split(",")[0].strip('" ')
