"""The run's client: subscriptions and triggers over REST through Envoy, as a product would.

It knows only the public routes and a token, by way of ``tradingtools_client``. A fill that it sees
for the first time in a lot makes it guard that lot with a take-profit and a stop-loss.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator

from launcher.core.followers import Bought, idempotency_key, subscriptions, triggers
from launcher.core.paper_bot import MAX_USDC, NAME, TENANT, market_maker
from launcher.core.summary import RankedLeader
from tradingtools.codec import sealing
from tradingtools.domain.credentials import OkxCredentials
from tradingtools.domain.money import MICROS, parse_exact
from tradingtools_client import Client as RestClient
from tradingtools_client import Session
from tradingtools_client.models import CreateWalletRequest, Leader, Subscription

_PAGE = 100


class Client:
    """Drives one run; every method raises the client's ApiError and Unreachable."""

    def __init__(self, url: str, token: str, run_id: str) -> None:
        self._rest = RestClient(Session(url, token))
        self._run_id = run_id
        self._guarded: set[tuple[str, str]] = set()
        self._turns: Iterator[Subscription] = iter(())
        self.subscriptions: list[Subscription] = []

    def close(self) -> None:
        """Close the connections."""
        self._rest.close()

    def subscribe(self, leaders: tuple[str, ...], followers: int) -> None:
        """Create the run's subscriptions; repeating it changes nothing."""
        for body in subscriptions(leaders, followers, self._run_id):
            key = idempotency_key(self._run_id, body["leader"], body["follower"]["followerProxy"])
            self.subscriptions.append(self._rest.create_subscription(body, idempotency_key=key))
        self._turns = itertools.cycle(self.subscriptions)

    def guard_new_lots(self, subscriptions_count: int) -> None:
        """Look at the next few subscriptions and guard the newest lot of each that is not yet.

        One of each: many at once, on a busy machine a second for each trigger, would keep the view
        and Ctrl-C waiting for minutes.
        """
        for _ in range(min(subscriptions_count, len(self.subscriptions))):
            for bought in self._bought(next(self._turns)):
                lot = (bought.subscription_id, bought.asset_id)
                if lot not in self._guarded:
                    self._guard(bought)
                    self._guarded.add(lot)
                    break

    def ranked(self, most: int) -> tuple[RankedLeader, ...]:
        """Return the leaders with the best records, the best first."""
        found = self._rest.list_leaders(window="all", page_size=most)
        return tuple(_ranked(leader) for leader in found["leaders"])

    def show_bot(self, credentials: OkxCredentials) -> str:
        """Let a bot make a market for a wallet of its own, unless the run has it; return its id."""
        for one in self._rest.all_bots():
            if one["name"] == NAME:
                return one["id"]
        wallet = self._rest.create_wallet(
            self._sealed(credentials), idempotency_key=f"{self._run_id}-wallet"
        )
        bot = self._rest.create_bot(
            market_maker(wallet["id"]), idempotency_key=f"{self._run_id}-bot"
        )
        self._rest.start_bot(bot["id"])
        return bot["id"]

    def _sealed(self, credentials: OkxCredentials) -> CreateWalletRequest:
        key = self._rest.get_sealing_key()
        bound = sealing.for_new(TENANT, NAME, "okx", "live", MAX_USDC * MICROS)
        sealed = sealing.seal(credentials, base64.b64decode(key["publicKey"]), bound)
        return {
            "name": NAME,
            "exchange": "okx",
            "environment": "live",
            "tenant": TENANT,
            "maxOrder": str(MAX_USDC),
            "keyId": key["keyId"],
            "sealed": base64.b64encode(sealed).decode(),
        }

    def _guard(self, bought: Bought) -> None:
        for body in triggers(bought):
            key = idempotency_key(
                self._run_id, bought.subscription_id, bought.asset_id, body["triggerType"]
            )
            self._rest.create_trigger(body, idempotency_key=key)

    def _bought(self, subscription: Subscription) -> Iterator[Bought]:
        newest = self._rest.list_subscription_fills(subscription["id"], page_size=_PAGE)
        for fill in newest["fills"]:
            if fill["side"] == "SIDE_BUY":
                yield Bought(
                    subscription_id=subscription["id"],
                    wallet=subscription["follower"]["followerProxy"],
                    condition_id=fill["conditionId"],
                    asset_id=fill["assetId"],
                    price_micros=parse_exact(fill["price"]),
                )


def _ranked(leader: Leader) -> RankedLeader:
    whole = next(part for part in leader["performance"] if part["window"] == "all")
    return RankedLeader(
        wallet=leader["wallet"],
        trades=whole["trades"],
        realised=whole["realised"],
        roi=f"{whole['roi']:.1%}" if "roi" in whole else "",
        win_rate=f"{whole['winRate']:.0%}" if "winRate" in whole else "",
        gaps=len(leader["gaps"]),
    )
