"""A stop-loss that fires when the bench says so: armed over REST, reached by a book that falls.

Its shares are told as bought by hand; its market is not the one in which leaders trade.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from bench.scene import Scene
from bench.system import BenchError
from tradingtools_client import ApiError, Client, Unreachable, models

_ABOVE, _BELOW = "0.6", "0.4"
_PRICE = "0.5"
_SHARES = "100"
_DEEP = "100000"
_ARMED_SECONDS = 20.0
_POLL_SECONDS = 0.05


class Stop:
    """One wallet's stop-loss, armed again for each round."""

    def __init__(self, here: Scene, rest: Client, venue: httpx.AsyncClient) -> None:
        self._scene = here
        self._rest = rest
        self._venue = venue
        self._names = secrets.token_hex(8)
        self.wallet = "0x" + secrets.token_hex(20)

    async def arm(self) -> None:
        """Have shares and a stop-loss below the present bid. Raises BenchError."""
        await self._pin(_ABOVE)
        try:
            made = await asyncio.to_thread(self._create)
            deadline = time.monotonic() + _ARMED_SECONDS
            while made["status"] != "TRIGGER_STATUS_ARMED":
                if time.monotonic() > deadline:
                    raise BenchError(f"the stop-loss is not armed but {made['status']}")
                await asyncio.sleep(_POLL_SECONDS)
                made = await asyncio.to_thread(self._rest.get_trigger, made["id"])
        except (ApiError, Unreachable) as error:
            raise BenchError(f"arming a stop-loss: {error}") from error

    async def fall(self) -> None:
        """Let the bid fall below it."""
        await self._pin(_BELOW)

    def _create(self) -> models.Trigger:
        asset = self._scene.other_asset
        return self._rest.create_trigger(
            {
                "wallet": self.wallet,
                "conditionId": asset.condition_id,
                "assetId": asset.asset_id,
                "triggerType": "TRIGGER_TYPE_STOP_LOSS",
                "triggerPrice": _PRICE,
                "manualLot": {
                    "followerUserId": self._names,
                    "followerWalletId": self._names,
                    "heldSize": _SHARES,
                },
            }
        )

    async def _pin(self, bid: str) -> None:
        book = {
            "bids": [{"price": bid, "size": _DEEP}],
            "asks": [{"price": "0.7", "size": _DEEP}],
        }
        answer = await self._venue.put(f"/books/{self._scene.other_asset.asset_id}", json=book)
        if answer.status_code != httpx.codes.OK:
            raise BenchError(f"the venue does not move a book: {answer.text[:200]}")


@asynccontextmanager
async def stop_loss(here: Scene) -> AsyncIterator[Stop]:
    """A wallet with a stop-loss."""
    rest = here.engine.client()
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{here.venue.control}", trust_env=False, timeout=30.0
        ) as venue:
            yield Stop(here, rest, venue)
    finally:
        rest.close()
