"""The run's client: subscriptions and triggers over REST through Envoy, as a product would.

It knows only the public routes and a token. A fill that it sees for the first time in a lot makes
it guard that lot with a take-profit and a stop-loss.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, cast

import httpx

from launcher.core.followers import Bought, Json, idempotency_key, subscriptions, triggers
from tradingtools.domain.money import parse_exact

_TRIES = 3
_PAGE = 100


class ClientError(Exception):
    """The REST surface refused a request; the message has its words."""


class Client:
    """Calls the REST surface of one run."""

    def __init__(self, url: str, token: str, run_id: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=10.0,
            trust_env=False,
        )
        self._run_id = run_id
        self._guarded: set[tuple[str, str]] = set()
        self._turns: Iterator[Json] = iter(())
        self.subscriptions: list[Json] = []
        self.triggers_created = 0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def subscribe(self, leaders: tuple[str, ...], followers: int) -> None:
        """Create the run's subscriptions; repeating it changes nothing. Raises ClientError."""
        for body in subscriptions(leaders, followers, self._run_id):
            key = idempotency_key(self._run_id, body["leader"], body["follower"]["followerProxy"])
            self.subscriptions.append(self._post("/subscriptions", body, key))
        self._turns = itertools.cycle(self.subscriptions)

    def guard_new_lots(self, subscriptions_count: int) -> None:
        """Look at the next few subscriptions and guard what they hold since the last look.

        Raises ClientError, httpx.HTTPError (the surface is away for a moment; come again).
        """
        for _ in range(min(subscriptions_count, len(self.subscriptions))):
            subscription = next(self._turns)
            for bought in self._bought(subscription):
                lot = (bought.subscription_id, bought.asset_id)
                if lot in self._guarded:
                    continue
                for body in triggers(bought):
                    key = idempotency_key(self._run_id, *lot, body["triggerType"])
                    self._post("/triggers", body, key)
                    self.triggers_created += 1
                self._guarded.add(lot)

    def _bought(self, subscription: Json) -> Iterator[Bought]:
        answer = self._http.get(
            f"/subscriptions/{subscription['id']}/fills", params={"pageSize": _PAGE}
        )
        if answer.is_server_error:
            answer.raise_for_status()
        if answer.status_code != httpx.codes.OK:
            raise ClientError(f"REST: {answer.status_code} {answer.text[:200]}")
        for fill in answer.json().get("fills", []):
            if fill["side"] == "SIDE_BUY":
                yield Bought(
                    subscription_id=subscription["id"],
                    wallet=subscription["follower"]["followerProxy"],
                    condition_id=fill["conditionId"],
                    asset_id=fill["assetId"],
                    price_micros=parse_exact(fill["price"]),
                )

    def _post(self, path: str, body: Json, key: str) -> Json:
        """POST under an idempotency key: what got no answer is asked again."""
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                if attempt == _TRIES:
                    raise
                continue
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR and attempt < _TRIES:
                continue
            if answer.status_code != httpx.codes.CREATED:
                raise ClientError(f"REST: POST {path}: {answer.status_code} {answer.text[:300]}")
            return cast("dict[str, Any]", answer.json())
        raise AssertionError("unreachable: the last try returns or raises")
