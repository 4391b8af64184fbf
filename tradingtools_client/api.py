"""The calls of the REST surface. Generated from docs/openapi.json by `make proto`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from tradingtools_client import models
from tradingtools_client.session import ServerSentEvent, Session, segment


class Client:
    """One method for each operation, and `all_...` for each list.

    Every one raises ApiError when it is refused and Unreachable when there is no answer.

    Args:
        session: with the edge's URL and a token.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def create_subscription(
        self, body: models.CreateSubscriptionRequest, *, idempotency_key: str | None = None
    ) -> models.Subscription:
        """Create a subscription. Repeatable under one Idempotency-Key header: one row, same
        answer. 400 INVALID_FIELD; 409 REQUEST_ID_REUSED when the key came with another body.

        Needs scope manage.
        """
        found: models.Subscription = self._session.create("/subscriptions", body, idempotency_key)
        return found

    def list_subscriptions(
        self,
        *,
        follower_proxy: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListSubscriptionsResponse:
        """The subscriptions of a follower's wallet, or of all, oldest first, with live statistics.

        Needs scope read.
        """
        found: models.ListSubscriptionsResponse = self._session.call(
            "GET",
            "/subscriptions",
            query={"followerProxy": follower_proxy, "pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_subscriptions(
        self, *, follower_proxy: str | None = None, page_size: int | None = None
    ) -> Iterator[models.Subscription]:
        """Page by page what `list_subscriptions` lists."""
        page_token = ""
        while True:
            page = self.list_subscriptions(
                follower_proxy=follower_proxy, page_size=page_size, page_token=page_token
            )
            yield from page["subscriptions"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_subscription(self, id_: str) -> models.Subscription:
        """One subscription with live statistics. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.Subscription = self._session.call("GET", f"/subscriptions/{segment(id_)}")
        return found

    def update_subscription(
        self, id_: str, body: models.UpdateSubscriptionRequest, *, if_match: str | None = None
    ) -> models.Subscription:
        """Change sizing, limits, filters or exits. May be repeated: what changes nothing leaves
        the version. 404 NOT_FOUND; 409 CONFLICT on another version; 400 WRONG_STATE when
        deleted.

        Needs scope manage.
        """
        found: models.Subscription = self._session.call(
            "PATCH", f"/subscriptions/{segment(id_)}", body=body, if_match=if_match
        )
        return found

    def delete_subscription(self, id_: str, *, if_match: str | None = None) -> models.Subscription:
        """Stop entries for good. Exits and triggers of what is held go on. May be repeated.

        Needs scope manage.
        """
        found: models.Subscription = self._session.call(
            "DELETE", f"/subscriptions/{segment(id_)}", if_match=if_match
        )
        return found

    def pause_subscription(self, id_: str, *, if_match: str | None = None) -> models.Subscription:
        """Stop entries. When this has answered, no entry is sent any more. May be repeated. 400
        WRONG_STATE when deleted.

        Needs scope manage.
        """
        found: models.Subscription = self._session.call(
            "POST", f"/subscriptions/{segment(id_)}/pause", if_match=if_match
        )
        return found

    def resume_subscription(self, id_: str, *, if_match: str | None = None) -> models.Subscription:
        """Allow entries again. May be repeated. 400 WRONG_STATE when deleted.

        Needs scope manage.
        """
        found: models.Subscription = self._session.call(
            "POST", f"/subscriptions/{segment(id_)}/resume", if_match=if_match
        )
        return found

    def list_subscription_fills(
        self, id_: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> models.ListSubscriptionFillsResponse:
        """Fills, newest first.

        Needs scope read.
        """
        found: models.ListSubscriptionFillsResponse = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/fills",
            query={"pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_subscription_fills(
        self, id_: str, *, page_size: int | None = None
    ) -> Iterator[models.Fill]:
        """Page by page what `list_subscription_fills` lists."""
        page_token = ""
        while True:
            page = self.list_subscription_fills(id_, page_size=page_size, page_token=page_token)
            yield from page["fills"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def list_subscription_decisions(
        self,
        id_: str,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        reason: str | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        copied: bool | None = None,
        leader_tx: str | None = None,
    ) -> models.ListSubscriptionDecisionsResponse:
        """Each leader trade and what became of it, newest first.

        Needs scope read.
        """
        found: models.ListSubscriptionDecisionsResponse = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/decisions",
            query={
                "pageSize": page_size,
                "pageToken": page_token,
                "reason": reason,
                "fromMs": from_ms,
                "toMs": to_ms,
                "copied": copied,
                "leaderTx": leader_tx,
            },
        )
        return found

    def all_subscription_decisions(
        self,
        id_: str,
        *,
        page_size: int | None = None,
        reason: str | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        copied: bool | None = None,
        leader_tx: str | None = None,
    ) -> Iterator[models.Decision]:
        """Page by page what `list_subscription_decisions` lists."""
        page_token = ""
        while True:
            page = self.list_subscription_decisions(
                id_,
                page_size=page_size,
                page_token=page_token,
                reason=reason,
                from_ms=from_ms,
                to_ms=to_ms,
                copied=copied,
                leader_tx=leader_tx,
            )
            yield from page["decisions"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_health(self) -> models.Health:
        """Whether the process answers. No token.

        Needs no token.
        """
        found: models.Health = self._session.call("GET", "/health")
        return found

    def get_readiness(self) -> models.Readiness:
        """Whether its dependencies answer; 503 when not. No token.

        Needs no token.
        """
        found: models.Readiness = self._session.call("GET", "/ready")
        return found

    def get_engine_health(self) -> models.EngineHealth:
        """Which parts of the engine serve, since when, and how far behind they are. From memory:
        it answers whatever is away. 503 UNAVAILABLE: nobody has told control where they are, or
        it has just begun.

        Needs scope read.
        """
        found: models.EngineHealth = self._session.call("GET", "/health/engine")
        return found

    def get_caller(self) -> models.Caller:
        """Who calls, as his token says.

        Needs scope read.
        """
        found: models.Caller = self._session.call("GET", "/caller")
        return found

    def get_open_api(self) -> dict[str, Any]:
        """This surface as an OpenAPI 3.1 document.

        Needs scope read.
        """
        found: dict[str, Any] = self._session.call("GET", "/openapi.json")
        return found

    def list_subscription_positions(
        self,
        id_: str,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        condition_id: str | None = None,
        open_: bool | None = None,
    ) -> models.ListSubscriptionPositionsResponse:
        """Positions with their account, by market and outcome. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.ListSubscriptionPositionsResponse = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/positions",
            query={
                "pageSize": page_size,
                "pageToken": page_token,
                "conditionId": condition_id,
                "open": open_,
            },
        )
        return found

    def all_subscription_positions(
        self,
        id_: str,
        *,
        page_size: int | None = None,
        condition_id: str | None = None,
        open_: bool | None = None,
    ) -> Iterator[models.Position]:
        """Page by page what `list_subscription_positions` lists."""
        page_token = ""
        while True:
            page = self.list_subscription_positions(
                id_,
                page_size=page_size,
                page_token=page_token,
                condition_id=condition_id,
                open_=open_,
            )
            yield from page["positions"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_subscription_drift(
        self, id_: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> models.GetSubscriptionDriftResponse:
        """What would be held if every copy had worked, beside what is held and what the wallet is
        said to hold, with the reasons, by market and outcome. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.GetSubscriptionDriftResponse = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/drift",
            query={"pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_get_subscription_drift(
        self, id_: str, *, page_size: int | None = None
    ) -> Iterator[models.Drift]:
        """Page by page what `get_subscription_drift` lists."""
        page_token = ""
        while True:
            page = self.get_subscription_drift(id_, page_size=page_size, page_token=page_token)
            yield from page["outcomes"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def create_resync(self, id_: str, *, idempotency_key: str | None = None) -> models.Resync:
        """Preview of a resync. REQUESTED when the lines take longer: read it again. 404 NOT_FOUND;
        400 WRONG_STATE when the subscription is deleted.

        Needs scope manage.
        """
        found: models.Resync = self._session.create(
            f"/subscriptions/{segment(id_)}/resync", None, idempotency_key
        )
        return found

    def list_resyncs(
        self, id_: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> models.ListResyncsResponse:
        """The resyncs of a subscription, newest first. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.ListResyncsResponse = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/resyncs",
            query={"pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_resyncs(self, id_: str, *, page_size: int | None = None) -> Iterator[models.Resync]:
        """Page by page what `list_resyncs` lists."""
        page_token = ""
        while True:
            page = self.list_resyncs(id_, page_size=page_size, page_token=page_token)
            yield from page["resyncs"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_resync(self, id_: str) -> models.Resync:
        """404 NOT_FOUND.

        Needs scope read.
        """
        found: models.Resync = self._session.call("GET", f"/resyncs/{segment(id_)}")
        return found

    def execute_resync(self, id_: str, *, if_match: str | None = None) -> models.Resync:
        """Do exactly what a preview shows, or nothing; may be repeated. EXECUTING when it takes
        longer: read it again. 404 NOT_FOUND; 400 WRONG_STATE while there are no lines; 409
        CONFLICT when the preview is stale, with what has changed.

        Needs scope manage.
        """
        found: models.Resync = self._session.call(
            "POST", f"/resyncs/{segment(id_)}/execution", if_match=if_match
        )
        return found

    def list_follower_orders(
        self,
        *,
        follower_proxy: str | None = None,
        subscription: str | None = None,
        state: list[
            Literal[
                "ORDER_STATE_CLAIMED",
                "ORDER_STATE_SUBMITTING",
                "ORDER_STATE_SUBMITTED",
                "ORDER_STATE_CONFIRMED",
                "ORDER_STATE_FAILED",
                "ORDER_STATE_UNKNOWN",
                "ORDER_STATE_LOST",
                "ORDER_STATE_DEAD",
                "ORDER_STATE_RESURRECTED",
            ]
        ]
        | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListFollowerOrdersResponse:
        """Orders of a wallet, a subscription or of all, newest first.

        Needs scope read.
        """
        found: models.ListFollowerOrdersResponse = self._session.call(
            "GET",
            "/orders",
            query={
                "followerProxy": follower_proxy,
                "subscription": subscription,
                "state": state,
                "pageSize": page_size,
                "pageToken": page_token,
            },
        )
        return found

    def all_follower_orders(
        self,
        *,
        follower_proxy: str | None = None,
        subscription: str | None = None,
        state: list[
            Literal[
                "ORDER_STATE_CLAIMED",
                "ORDER_STATE_SUBMITTING",
                "ORDER_STATE_SUBMITTED",
                "ORDER_STATE_CONFIRMED",
                "ORDER_STATE_FAILED",
                "ORDER_STATE_UNKNOWN",
                "ORDER_STATE_LOST",
                "ORDER_STATE_DEAD",
                "ORDER_STATE_RESURRECTED",
            ]
        ]
        | None = None,
        page_size: int | None = None,
    ) -> Iterator[models.FollowerOrder]:
        """Page by page what `list_follower_orders` lists."""
        page_token = ""
        while True:
            page = self.list_follower_orders(
                follower_proxy=follower_proxy,
                subscription=subscription,
                state=state,
                page_size=page_size,
                page_token=page_token,
            )
            yield from page["orders"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_follower_order(self, id_: str) -> models.FollowerOrder:
        """One order, with the instant of each hop. 404 NOT_FOUND, also until its claim has become
        rows: a moment.

        Needs scope read.
        """
        found: models.FollowerOrder = self._session.call("GET", f"/orders/{segment(id_)}")
        return found

    def list_leaders(
        self,
        *,
        sort: Literal[
            "", "copyability", "edge", "profit", "roi", "winRate", "sharpe", "volume", "trades"
        ]
        | None = None,
        window: Literal["", "1d", "7d", "30d", "90d", "all"] | None = None,
        min_trades: int | None = None,
        min_resolved: int | None = None,
        category: str | None = None,
        evidence: bool | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListLeadersResponse:
        """Leaders, ranked. From the newest snapshot of enrichment, which `asOf` dates. 503
        UNAVAILABLE when Redis is away and none was read before.

        Needs scope read.
        """
        found: models.ListLeadersResponse = self._session.call(
            "GET",
            "/leaders",
            query={
                "sort": sort,
                "window": window,
                "minTrades": min_trades,
                "minResolved": min_resolved,
                "category": category,
                "evidence": evidence,
                "pageSize": page_size,
                "pageToken": page_token,
            },
        )
        return found

    def all_leaders(
        self,
        *,
        sort: Literal[
            "", "copyability", "edge", "profit", "roi", "winRate", "sharpe", "volume", "trades"
        ]
        | None = None,
        window: Literal["", "1d", "7d", "30d", "90d", "all"] | None = None,
        min_trades: int | None = None,
        min_resolved: int | None = None,
        category: str | None = None,
        evidence: bool | None = None,
        page_size: int | None = None,
    ) -> Iterator[models.Leader]:
        """Page by page what `list_leaders` lists."""
        page_token = ""
        while True:
            page = self.list_leaders(
                sort=sort,
                window=window,
                min_trades=min_trades,
                min_resolved=min_resolved,
                category=category,
                evidence=evidence,
                page_size=page_size,
                page_token=page_token,
            )
            yield from page["leaders"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_leader(self, wallet: str) -> models.Leader:
        """One leader with his days. 404 NOT_FOUND: the newest snapshot does not know him. 503 as
        above.

        Needs scope read.
        """
        found: models.Leader = self._session.call("GET", f"/leaders/{segment(wallet)}")
        return found

    def get_subscription_performance(
        self,
        id_: str,
        *,
        interval: Literal["", "1h", "1d"] | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
    ) -> models.SubscriptionPerformance:
        """Equity, realised, marked and drawdown as a series. What was booked is exact to the micro
        at any instant. 404 NOT_FOUND; 400 INVALID_FIELD when there would be too many points.

        Needs scope read.
        """
        found: models.SubscriptionPerformance = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/performance",
            query={"interval": interval, "fromMs": from_ms, "toMs": to_ms},
        )
        return found

    def list_subscription_copy_quality(
        self,
        id_: str,
        *,
        by: Literal["", "order", "market", "hour"] | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.CopyQuality:
        """Slippage, delay, filled part, fees and tracking error of the copies of a time. 404
        NOT_FOUND; 400 INVALID_FIELD when there are more than 10,000 in it.

        Needs scope read.
        """
        found: models.CopyQuality = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/copy-quality",
            query={
                "by": by,
                "fromMs": from_ms,
                "toMs": to_ms,
                "pageSize": page_size,
                "pageToken": page_token,
            },
        )
        return found

    def all_subscription_copy_quality(
        self,
        id_: str,
        *,
        by: Literal["", "order", "market", "hour"] | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        page_size: int | None = None,
    ) -> Iterator[models.CopyGroup]:
        """Page by page what `list_subscription_copy_quality` lists."""
        page_token = ""
        while True:
            page = self.list_subscription_copy_quality(
                id_, by=by, from_ms=from_ms, to_ms=to_ms, page_size=page_size, page_token=page_token
            )
            yield from page["groups"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def list_copy_quality(
        self,
        *,
        follower_proxy: str,
        by: Literal["", "subscription", "leader", "market", "hour", "order"] | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.CopyQuality:
        """The same of all subscriptions of a follower's wallet.

        Needs scope read.
        """
        found: models.CopyQuality = self._session.call(
            "GET",
            "/copy-quality",
            query={
                "followerProxy": follower_proxy,
                "by": by,
                "fromMs": from_ms,
                "toMs": to_ms,
                "pageSize": page_size,
                "pageToken": page_token,
            },
        )
        return found

    def all_copy_quality(
        self,
        *,
        follower_proxy: str,
        by: Literal["", "subscription", "leader", "market", "hour", "order"] | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        page_size: int | None = None,
    ) -> Iterator[models.CopyGroup]:
        """Page by page what `list_copy_quality` lists."""
        page_token = ""
        while True:
            page = self.list_copy_quality(
                follower_proxy=follower_proxy,
                by=by,
                from_ms=from_ms,
                to_ms=to_ms,
                page_size=page_size,
                page_token=page_token,
            )
            yield from page["groups"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_subscription_missed_copies(
        self, id_: str, *, from_ms: int | str | None = None, to_ms: int | str | None = None
    ) -> models.MissedCopiesReport:
        """What each reason has cost or saved: filters, limits, orders that found nobody. 404
        NOT_FOUND; 400 INVALID_FIELD when there are more than 10,000 skipped trades, or orders,
        in that time.

        Needs scope read.
        """
        found: models.MissedCopiesReport = self._session.call(
            "GET",
            f"/subscriptions/{segment(id_)}/missed-copies",
            query={"fromMs": from_ms, "toMs": to_ms},
        )
        return found

    def get_missed_copies(
        self,
        *,
        follower_proxy: str,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
    ) -> models.MissedCopiesReport:
        """The same of all subscriptions of a follower's wallet.

        Needs scope read.
        """
        found: models.MissedCopiesReport = self._session.call(
            "GET",
            "/missed-copies",
            query={"followerProxy": follower_proxy, "fromMs": from_ms, "toMs": to_ms},
        )
        return found

    def get_leader_simulation(
        self,
        wallet: str,
        *,
        amount: str | None = None,
        ratio: str | None = None,
        subscription_id: str | None = None,
        max_per_trade: str | None = None,
        max_per_market: str | None = None,
        max_slippage: str | None = None,
        budget: str | None = None,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        delay_seconds: int | None = None,
        fee_rate: str | None = None,
    ) -> models.LeaderSimulation:
        """What a follower would have made of a leader. INVALID_ARGUMENT: not exactly one form of
        sizing, or the time is no time. NOT_FOUND: no such subscription. RESOURCE_EXHAUSTED:
        another one is being computed. UNAVAILABLE: the analytical store does not answer, or it
        takes too long.

        Needs scope read.
        """
        found: models.LeaderSimulation = self._session.call(
            "GET",
            f"/leaders/{segment(wallet)}/simulation",
            query={
                "amount": amount,
                "ratio": ratio,
                "subscriptionId": subscription_id,
                "maxPerTrade": max_per_trade,
                "maxPerMarket": max_per_market,
                "maxSlippage": max_slippage,
                "budget": budget,
                "fromMs": from_ms,
                "toMs": to_ms,
                "delaySeconds": delay_seconds,
                "feeRate": fee_rate,
            },
        )
        return found

    def get_backtest(self, body: models.GetBacktestRequest) -> models.Backtest:
        """What other settings would have made of recorded trades. Errors as of a simulation;
        UNAVAILABLE: nothing is recorded here.

        Needs scope read.
        """
        found: models.Backtest = self._session.call("POST", "/backtests", body=body)
        return found

    def get_settings_preview(
        self, id_: str, body: models.GetSettingsPreviewRequest
    ) -> models.SettingsPreview:
        """What a change of settings would have made of the last day. NOT_FOUND: no such
        subscription. Other errors as of a backtest.

        Needs scope read.
        """
        found: models.SettingsPreview = self._session.call(
            "POST", f"/subscriptions/{segment(id_)}/settings-preview", body=body
        )
        return found

    def create_trigger(
        self, body: models.CreateTriggerRequest, *, idempotency_key: str | None = None
    ) -> models.Trigger:
        """Create a trigger. Repeatable under one Idempotency-Key header. 404 when the subscription
        is not this wallet's.

        Needs scope manage.
        """
        found: models.Trigger = self._session.create("/triggers", body, idempotency_key)
        return found

    def list_triggers(
        self,
        *,
        wallet: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        status: list[
            Literal[
                "TRIGGER_STATUS_WAITING",
                "TRIGGER_STATUS_ARMED",
                "TRIGGER_STATUS_TRIGGERED",
                "TRIGGER_STATUS_CLOSING",
                "TRIGGER_STATUS_NEEDS_CONFIRM",
                "TRIGGER_STATUS_DONE",
                "TRIGGER_STATUS_CANCELLED",
                "TRIGGER_STATUS_SUSPENDED",
                "TRIGGER_STATUS_RESOLVED",
            ]
        ]
        | None = None,
    ) -> models.ListTriggersResponse:
        """The triggers of a wallet, oldest first.

        Needs scope read.
        """
        found: models.ListTriggersResponse = self._session.call(
            "GET",
            "/triggers",
            query={
                "wallet": wallet,
                "pageSize": page_size,
                "pageToken": page_token,
                "status": status,
            },
        )
        return found

    def all_triggers(
        self,
        *,
        wallet: str | None = None,
        page_size: int | None = None,
        status: list[
            Literal[
                "TRIGGER_STATUS_WAITING",
                "TRIGGER_STATUS_ARMED",
                "TRIGGER_STATUS_TRIGGERED",
                "TRIGGER_STATUS_CLOSING",
                "TRIGGER_STATUS_NEEDS_CONFIRM",
                "TRIGGER_STATUS_DONE",
                "TRIGGER_STATUS_CANCELLED",
                "TRIGGER_STATUS_SUSPENDED",
                "TRIGGER_STATUS_RESOLVED",
            ]
        ]
        | None = None,
    ) -> Iterator[models.Trigger]:
        """Page by page what `list_triggers` lists."""
        page_token = ""
        while True:
            page = self.list_triggers(
                wallet=wallet, page_size=page_size, page_token=page_token, status=status
            )
            yield from page["triggers"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_trigger(self, id_: str) -> models.Trigger:
        """One trigger. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.Trigger = self._session.call("GET", f"/triggers/{segment(id_)}")
        return found

    def update_trigger(
        self, id_: str, body: models.UpdateTriggerRequest, *, if_match: str | None = None
    ) -> models.Trigger:
        """Change its terms. 400 WRONG_STATE once it has fired; 409 CONFLICT on another version.
        May be repeated: what changes nothing leaves the version.

        Needs scope manage.
        """
        found: models.Trigger = self._session.call(
            "PATCH", f"/triggers/{segment(id_)}", body=body, if_match=if_match
        )
        return found

    def delete_trigger(self, id_: str, *, if_match: str | None = None) -> models.Trigger:
        """Cancel a trigger. 400 WRONG_STATE once it has fired. May be repeated: a cancelled one is
        returned as it is.

        Needs scope manage.
        """
        found: models.Trigger = self._session.call(
            "DELETE", f"/triggers/{segment(id_)}", if_match=if_match
        )
        return found

    def list_trigger_history(
        self, id_: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> models.ListTriggerHistoryResponse:
        """Everything that happened to it, oldest first.

        Needs scope read.
        """
        found: models.ListTriggerHistoryResponse = self._session.call(
            "GET",
            f"/triggers/{segment(id_)}/history",
            query={"pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_trigger_history(
        self, id_: str, *, page_size: int | None = None
    ) -> Iterator[models.TriggerHistoryEntry]:
        """Page by page what `list_trigger_history` lists."""
        page_token = ""
        while True:
            page = self.list_trigger_history(id_, page_size=page_size, page_token=page_token)
            yield from page["entries"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def create_simple_trigger(
        self, body: models.CreateSimpleTriggerRequest, *, idempotency_key: str | None = None
    ) -> models.SimpleTrigger:
        """Create a take-profit or stop-loss in the product backend's shape. Repeatable under one
        Idempotency-Key header. 404 when the subscription is not this wallet's.

        Needs scope manage.
        """
        found: models.SimpleTrigger = self._session.create(
            "/simple-triggers", body, idempotency_key
        )
        return found

    def list_simple_triggers(
        self, *, wallet_address: str, page_size: int | None = None, page_token: str | None = None
    ) -> models.ListSimpleTriggersResponse:
        """The take-profits and stop-losses of a wallet in that shape, oldest first. A page may be
        shorter than asked for, since other kinds have no such shape; the last one has no token.

        Needs scope read.
        """
        found: models.ListSimpleTriggersResponse = self._session.call(
            "GET",
            "/simple-triggers",
            query={"walletAddress": wallet_address, "pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_simple_triggers(
        self, *, wallet_address: str, page_size: int | None = None
    ) -> Iterator[models.SimpleTrigger]:
        """Page by page what `list_simple_triggers` lists."""
        page_token = ""
        while True:
            page = self.list_simple_triggers(
                wallet_address=wallet_address, page_size=page_size, page_token=page_token
            )
            yield from page["triggers"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_sealing_key(self) -> models.SealingKey:
        """Get the key to seal credentials to. May be repeated at will. 503 UNAVAILABLE without a
        signer.

        Needs scope read.
        """
        found: models.SealingKey = self._session.call("GET", "/sealing-key")
        return found

    def create_wallet(
        self, body: models.CreateWalletRequest, *, idempotency_key: str | None = None
    ) -> models.Wallet:
        """Add a wallet; the exchange is asked whether its credentials work. May be repeated under
        the same Idempotency-Key. 400 INVALID_FIELD names what is wrong with them: an OKX key
        that may withdraw, an account in another mode than Spot or Futures with net positions, a
        wrong passphrase. 409 CONFLICT when another active wallet has the name or the account.
        503 UNAVAILABLE when the exchange does not say; nothing is kept then.

        Needs scope manage.
        """
        found: models.Wallet = self._session.create("/wallets", body, idempotency_key)
        return found

    def list_wallets(
        self,
        *,
        exchange: str | None = None,
        state: Literal["WALLET_STATE_UNSPECIFIED", "WALLET_STATE_ACTIVE", "WALLET_STATE_RETIRED"]
        | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListWalletsResponse:
        """List wallets. May be repeated at will.

        Needs scope read.
        """
        found: models.ListWalletsResponse = self._session.call(
            "GET",
            "/wallets",
            query={
                "exchange": exchange,
                "state": state,
                "pageSize": page_size,
                "pageToken": page_token,
            },
        )
        return found

    def all_wallets(
        self,
        *,
        exchange: str | None = None,
        state: Literal["WALLET_STATE_UNSPECIFIED", "WALLET_STATE_ACTIVE", "WALLET_STATE_RETIRED"]
        | None = None,
        page_size: int | None = None,
    ) -> Iterator[models.Wallet]:
        """Page by page what `list_wallets` lists."""
        page_token = ""
        while True:
            page = self.list_wallets(
                exchange=exchange, state=state, page_size=page_size, page_token=page_token
            )
            yield from page["wallets"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_wallet(self, id_: str) -> models.Wallet:
        """Get a wallet. May be repeated at will.

        Needs scope read.
        """
        found: models.Wallet = self._session.call("GET", f"/wallets/{segment(id_)}")
        return found

    def delete_wallet(self, id_: str) -> models.Wallet:
        """Retire a wallet: its credentials are erased for good, and nothing is signed for it any
        more. Orders that rest at the exchange stay there. 409 WRONG_STATE when it is retired.

        Needs scope manage.
        """
        found: models.Wallet = self._session.call("DELETE", f"/wallets/{segment(id_)}")
        return found

    def rotate_wallet(self, id_: str, body: models.RotateWalletRequest) -> models.Wallet:
        """Put other credentials of the same account in the place of those that there are, or have
        their data key wrapped anew. 409 CONFLICT when the edition is another one by now.

        Needs scope manage.
        """
        found: models.Wallet = self._session.call(
            "POST", f"/wallets/{segment(id_)}/rotate", body=body
        )
        return found

    def check_wallet(self, id_: str) -> models.Wallet:
        """Ask the exchange whether the credentials still work; "problem" of the answer says it.
        503 UNAVAILABLE when the exchange does not say; nothing is changed then.

        Needs scope manage.
        """
        found: models.Wallet = self._session.call("POST", f"/wallets/{segment(id_)}/check")
        return found

    def list_exchanges(self) -> models.ListExchangesResponse:
        """List exchanges. May be repeated at will.

        Needs scope read.
        """
        found: models.ListExchangesResponse = self._session.call("GET", "/exchanges")
        return found

    def create_bot(
        self, body: models.CreateBotRequest, *, idempotency_key: str | None = None
    ) -> models.Bot:
        """Create a bot; it is IDLE until it is started. May be repeated under the same
        Idempotency-Key. 400 INVALID_FIELD names what does not fit. 404 NOT_FOUND when the
        tenant has no such wallet. 400 WRONG_STATE when the wallet is retired, 409 CONFLICT when
        the tenant has a bot of this name.

        Needs scope manage.
        """
        found: models.Bot = self._session.create("/bots", body, idempotency_key)
        return found

    def list_bots(
        self,
        *,
        wallet_id: str | None = None,
        state: Literal[
            "BOT_STATE_UNSPECIFIED",
            "BOT_STATE_IDLE",
            "BOT_STATE_STARTING",
            "BOT_STATE_RUNNING",
            "BOT_STATE_PAUSING",
            "BOT_STATE_PAUSED",
            "BOT_STATE_STOPPING",
            "BOT_STATE_STOPPED",
            "BOT_STATE_RISK_STOPPED",
            "BOT_STATE_ERROR",
        ]
        | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        exchange: str | None = None,
        strategy: str | None = None,
    ) -> models.ListBotsResponse:
        """List bots. May be repeated at will.

        Needs scope read.
        """
        found: models.ListBotsResponse = self._session.call(
            "GET",
            "/bots",
            query={
                "walletId": wallet_id,
                "state": state,
                "pageSize": page_size,
                "pageToken": page_token,
                "exchange": exchange,
                "strategy": strategy,
            },
        )
        return found

    def all_bots(
        self,
        *,
        wallet_id: str | None = None,
        state: Literal[
            "BOT_STATE_UNSPECIFIED",
            "BOT_STATE_IDLE",
            "BOT_STATE_STARTING",
            "BOT_STATE_RUNNING",
            "BOT_STATE_PAUSING",
            "BOT_STATE_PAUSED",
            "BOT_STATE_STOPPING",
            "BOT_STATE_STOPPED",
            "BOT_STATE_RISK_STOPPED",
            "BOT_STATE_ERROR",
        ]
        | None = None,
        page_size: int | None = None,
        exchange: str | None = None,
        strategy: str | None = None,
    ) -> Iterator[models.Bot]:
        """Page by page what `list_bots` lists."""
        page_token = ""
        while True:
            page = self.list_bots(
                wallet_id=wallet_id,
                state=state,
                page_size=page_size,
                page_token=page_token,
                exchange=exchange,
                strategy=strategy,
            )
            yield from page["bots"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_bot(self, id_: str) -> models.Bot:
        """Get a bot. May be repeated at will.

        Needs scope read.
        """
        found: models.Bot = self._session.call("GET", f"/bots/{segment(id_)}")
        return found

    def update_bot(
        self, id_: str, body: models.UpdateBotRequest, *, if_match: str | None = None
    ) -> models.Bot:
        """Change settings or limits of a bot. Its engine takes them between two events: quotes are
        placed anew by them, and what its strategy remembers stays. May be repeated: what
        changes nothing leaves the version. 404 NOT_FOUND; 409 CONFLICT on another version; 400
        INVALID_FIELD names what does not fit, or cannot change any more since the bot has
        begun.

        Needs scope manage.
        """
        found: models.Bot = self._session.call(
            "PATCH", f"/bots/{segment(id_)}", body=body, if_match=if_match
        )
        return found

    def start_bot(self, id_: str, *, if_match: str | None = None) -> models.Bot:
        """Want a bot to run that is IDLE, STOPPED or in ERROR. 400 WRONG_STATE when it has to be
        resumed.

        Needs scope manage.
        """
        found: models.Bot = self._session.call(
            "POST", f"/bots/{segment(id_)}/start", if_match=if_match
        )
        return found

    def stop_bot(self, id_: str, *, if_match: str | None = None) -> models.Bot:
        """Want a bot to cancel its orders and to stop; what it holds stays. Possible in every
        state.

        Needs scope manage.
        """
        found: models.Bot = self._session.call(
            "POST", f"/bots/{segment(id_)}/stop", if_match=if_match
        )
        return found

    def pause_bot(self, id_: str, *, if_match: str | None = None) -> models.Bot:
        """Want a running bot to cancel its orders and to wait. 400 WRONG_STATE when it does not
        run.

        Needs scope manage.
        """
        found: models.Bot = self._session.call(
            "POST", f"/bots/{segment(id_)}/pause", if_match=if_match
        )
        return found

    def resume_bot(
        self, id_: str, body: models.ResumeBotRequest, *, if_match: str | None = None
    ) -> models.Bot:
        """Want a bot to go on that is paused, or, with a reason, one in RISK_STOPPED. 400
        WRONG_STATE when it is neither.

        Needs scope manage.
        """
        found: models.Bot = self._session.call(
            "POST", f"/bots/{segment(id_)}/resume", body=body, if_match=if_match
        )
        return found

    def list_bot_orders(
        self,
        id_: str,
        *,
        unsettled: bool | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListBotOrdersResponse:
        """List orders of a bot. May be repeated at will.

        Needs scope read.
        """
        found: models.ListBotOrdersResponse = self._session.call(
            "GET",
            f"/bots/{segment(id_)}/orders",
            query={"unsettled": unsettled, "pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_bot_orders(
        self, id_: str, *, unsettled: bool | None = None, page_size: int | None = None
    ) -> Iterator[models.BotOrder]:
        """Page by page what `list_bot_orders` lists."""
        page_token = ""
        while True:
            page = self.list_bot_orders(
                id_, unsettled=unsettled, page_size=page_size, page_token=page_token
            )
            yield from page["orders"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def settle_bot_order(self, id_: str, body: models.SettleBotOrderRequest) -> models.BotOrder:
        """Settle an order in state DEAD or RESURRECTED, which nobody could: what it has filled is
        booked at its own price by the bot's engine, and its reservation ends. 400 WRONG_STATE
        when its exchange may still tell, 400 INVALID_FIELD when it cannot have filled that
        much. May be repeated.

        Needs scope manage.
        """
        found: models.BotOrder = self._session.call(
            "POST", f"/bots/{segment(id_)}/settle-order", body=body
        )
        return found

    def explain_bot_position(
        self, id_: str, body: models.ExplainBotPositionRequest
    ) -> models.ExplainBotPositionResponse:
        """Explain that the exchange holds less of an instrument than the fills of the wallet's
        bots make: they open there again, and their holdings follow the account as soon as no
        order is under way. 404 NOT_FOUND when nothing is missing. May be repeated.

        Needs scope manage.
        """
        found: models.ExplainBotPositionResponse = self._session.call(
            "POST", f"/bots/{segment(id_)}/explain-position", body=body
        )
        return found

    def list_bot_fills(
        self, id_: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> models.ListBotFillsResponse:
        """List fills of a bot. May be repeated at will.

        Needs scope read.
        """
        found: models.ListBotFillsResponse = self._session.call(
            "GET",
            f"/bots/{segment(id_)}/fills",
            query={"pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_bot_fills(self, id_: str, *, page_size: int | None = None) -> Iterator[models.BotFill]:
        """Page by page what `list_bot_fills` lists."""
        page_token = ""
        while True:
            page = self.list_bot_fills(id_, page_size=page_size, page_token=page_token)
            yield from page["fills"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def create_signal(
        self, body: models.CreateSignalRequest, *, idempotency_key: str | None = None
    ) -> models.Signal:
        """Tell a signal to the running bots of a tenant that trade by it; they hear it within a
        second. May be repeated at will. 409 CONFLICT when another signal has its id, 400
        INVALID_FIELD when its times do not fit.

        Needs scope manage.
        """
        found: models.Signal = self._session.create("/signals", body, idempotency_key)
        return found

    def list_signals(
        self,
        *,
        instrument_id: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListSignalsResponse:
        """List signals, the last received first. May be repeated at will.

        Needs scope read.
        """
        found: models.ListSignalsResponse = self._session.call(
            "GET",
            "/signals",
            query={"instrumentId": instrument_id, "pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_signals(
        self, *, instrument_id: str | None = None, page_size: int | None = None
    ) -> Iterator[models.Signal]:
        """Page by page what `list_signals` lists."""
        page_token = ""
        while True:
            page = self.list_signals(
                instrument_id=instrument_id, page_size=page_size, page_token=page_token
            )
            yield from page["signals"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def list_bot_positions(self, id_: str) -> models.ListBotPositionsResponse:
        """List positions of a bot with their marks. May be repeated at will. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.ListBotPositionsResponse = self._session.call(
            "GET", f"/bots/{segment(id_)}/positions"
        )
        return found

    def list_bot_pnl(
        self,
        id_: str,
        *,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        step: Literal["PNL_STEP_UNSPECIFIED", "PNL_STEP_MINUTE", "PNL_STEP_HOUR", "PNL_STEP_DAY"]
        | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListBotPnlResponse:
        """List what a bot had made, minute by minute. May be repeated at will. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.ListBotPnlResponse = self._session.call(
            "GET",
            f"/bots/{segment(id_)}/pnl",
            query={
                "fromMs": from_ms,
                "toMs": to_ms,
                "step": step,
                "pageSize": page_size,
                "pageToken": page_token,
            },
        )
        return found

    def all_bot_pnl(
        self,
        id_: str,
        *,
        from_ms: int | str | None = None,
        to_ms: int | str | None = None,
        step: Literal["PNL_STEP_UNSPECIFIED", "PNL_STEP_MINUTE", "PNL_STEP_HOUR", "PNL_STEP_DAY"]
        | None = None,
        page_size: int | None = None,
    ) -> Iterator[models.BotPnlPoint]:
        """Page by page what `list_bot_pnl` lists."""
        page_token = ""
        while True:
            page = self.list_bot_pnl(
                id_,
                from_ms=from_ms,
                to_ms=to_ms,
                step=step,
                page_size=page_size,
                page_token=page_token,
            )
            yield from page["points"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def list_bot_events(
        self, id_: str, *, page_size: int | None = None, page_token: str | None = None
    ) -> models.ListBotEventsResponse:
        """List events of a bot. May be repeated at will. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.ListBotEventsResponse = self._session.call(
            "GET",
            f"/bots/{segment(id_)}/events",
            query={"pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_bot_events(
        self, id_: str, *, page_size: int | None = None
    ) -> Iterator[models.BotEvent]:
        """Page by page what `list_bot_events` lists."""
        page_token = ""
        while True:
            page = self.list_bot_events(id_, page_size=page_size, page_token=page_token)
            yield from page["events"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_bot_explanation(self, id_: str) -> models.BotExplanation:
        """Explain why a bot quotes what it quotes, or nothing. May be repeated at will. 404
        NOT_FOUND.

        Needs scope read.
        """
        found: models.BotExplanation = self._session.call("GET", f"/bots/{segment(id_)}/explain")
        return found

    def list_strategies(self) -> models.ListStrategiesResponse:
        """List strategies with their settings. May be repeated at will.

        Needs scope read.
        """
        found: models.ListStrategiesResponse = self._session.call("GET", "/strategies")
        return found

    def get_strategy(self, name: str) -> models.Strategy:
        """Get a strategy with its settings. May be repeated at will. 404 NOT_FOUND.

        Needs scope read.
        """
        found: models.Strategy = self._session.call("GET", f"/strategies/{segment(name)}")
        return found

    def get_portfolio(self, *, tenant: str | None = None) -> models.Portfolio:
        """Get what all bots hold and have made. May be repeated at will.

        Needs scope read.
        """
        found: models.Portfolio = self._session.call("GET", "/portfolio", query={"tenant": tenant})
        return found

    def list_risk_limits(self, *, tenant: str | None = None) -> models.ListRiskLimitsResponse:
        """List limits. May be repeated at will.

        Needs scope read.
        """
        found: models.ListRiskLimitsResponse = self._session.call(
            "GET", "/risk/limits", query={"tenant": tenant}
        )
        return found

    def set_risk_limits(self, body: models.SetRiskLimitsRequest) -> models.RiskLimits:
        """Set the limits of a scope; its losses are counted from now on. May be repeated. 400
        INVALID_FIELD names what does not fit the scope. 404 NOT_FOUND when the tenant has no
        such wallet.

        Needs scope manage.
        """
        found: models.RiskLimits = self._session.call("PUT", "/risk/limits", body=body)
        return found

    def get_risk_usage(self, *, tenant: str | None = None) -> models.GetRiskUsageResponse:
        """Get how much of each scope is used. May be repeated at will.

        Needs scope read.
        """
        found: models.GetRiskUsageResponse = self._session.call(
            "GET", "/risk/usage", query={"tenant": tenant}
        )
        return found

    def list_risk_breaches(
        self,
        *,
        tenant: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListRiskBreachesResponse:
        """List limits that were reached. May be repeated at will.

        Needs scope read.
        """
        found: models.ListRiskBreachesResponse = self._session.call(
            "GET",
            "/risk/breaches",
            query={"tenant": tenant, "pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_risk_breaches(
        self, *, tenant: str | None = None, page_size: int | None = None
    ) -> Iterator[models.RiskBreach]:
        """Page by page what `list_risk_breaches` lists."""
        page_token = ""
        while True:
            page = self.list_risk_breaches(
                tenant=tenant, page_size=page_size, page_token=page_token
            )
            yield from page["breaches"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def set_kill_switch(self, body: models.SetKillSwitchRequest) -> models.KillSwitch:
        """Have all bots of a tenant, or of one of its exchanges, cancel their orders and close
        what they hold. May be repeated: one that stands is answered as it is.

        Needs scope manage.
        """
        found: models.KillSwitch = self._session.call("POST", "/risk/kill-switch", body=body)
        return found

    def list_kill_switches(self, *, tenant: str | None = None) -> models.ListKillSwitchesResponse:
        """List kill switches with their progress. May be repeated at will.

        Needs scope read.
        """
        found: models.ListKillSwitchesResponse = self._session.call(
            "GET", "/risk/kill-switch", query={"tenant": tenant}
        )
        return found

    def get_kill_switch(self, id_: str) -> models.KillSwitch:
        """Get a kill switch with its progress. May be repeated at will.

        Needs scope read.
        """
        found: models.KillSwitch = self._session.call("GET", f"/risk/kill-switch/{segment(id_)}")
        return found

    def clear_kill_switch(self, id_: str) -> models.KillSwitch:
        """Clear a kill switch: bots may be resumed, each by a person. May be repeated.

        Needs scope manage.
        """
        found: models.KillSwitch = self._session.call("DELETE", f"/risk/kill-switch/{segment(id_)}")
        return found

    def list_bot_engines(self) -> models.ListBotEnginesResponse:
        """List engines and the wallets that each has. May be repeated at will.

        Needs scope read.
        """
        found: models.ListBotEnginesResponse = self._session.call("GET", "/engines")
        return found

    def drain_bot_engine(self, name: str) -> models.BotEngine:
        """Want an engine to hand its wallets over and to take none; it is DRAINED once it has
        none. May be repeated at will. 404 NOT_FOUND when no engine of this name has ever
        registered.

        Needs scope manage.
        """
        found: models.BotEngine = self._session.call("POST", f"/engines/{segment(name)}/drain")
        return found

    def undrain_bot_engine(self, name: str) -> models.BotEngine:
        """Let a drained engine take wallets again. May be repeated at will. 404 NOT_FOUND as for a
        drain.

        Needs scope manage.
        """
        found: models.BotEngine = self._session.call("POST", f"/engines/{segment(name)}/undrain")
        return found

    def log_in(self, body: models.LogInRequest) -> models.LoginTokens:
        """Log in with a password. No token. 401 UNAUTHENTICATED: the password is wrong, or nobody
        has the name, or he is disabled. 429 LIMIT_REACHED: too many have failed. 400
        INVALID_FIELD newPassword: the password is a one-time password, or the new one is
        refused. 503 UNAVAILABLE: login is not set up here, or too many log in at once.

        Needs no token.
        """
        found: models.LoginTokens = self._session.call("POST", "/auth/login", body=body)
        return found

    def refresh(self, body: models.RefreshRequest) -> models.LoginTokens:
        """Take the next tokens of a session. No access token. Not to be repeated: a refresh token
        that comes a second time ends the session. 401 UNAUTHENTICATED: it was used, or the
        session is over.

        Needs no token.
        """
        found: models.LoginTokens = self._session.call("POST", "/auth/refresh", body=body)
        return found

    def log_out(self) -> models.LogOutResponse:
        """End the caller's session. May be repeated, as long as its access token is known.

        Needs scope person.
        """
        found: models.LogOutResponse = self._session.call("POST", "/auth/logout")
        return found

    def get_login_keys(self) -> models.LoginKeys:
        """Get the keys that access tokens are verified with (a JWKS). No token. May be repeated at
        will.

        Needs no token.
        """
        found: models.LoginKeys = self._session.call("GET", "/auth/keys")
        return found

    def list_sessions(self, *, user_id: str | None = None) -> models.ListSessionsResponse:
        """List sessions that go on. May be repeated at will. 403 NOT_ALLOWED: another one's.

        Needs scope person.
        """
        found: models.ListSessionsResponse = self._session.call(
            "GET", "/auth/sessions", query={"userId": user_id}
        )
        return found

    def delete_session(self, id_: str) -> models.DeleteSessionResponse:
        """End a session: one's own, or, as an admin, any. 404 NOT_FOUND: there is none that goes
        on.

        Needs scope person.
        """
        found: models.DeleteSessionResponse = self._session.call(
            "DELETE", f"/auth/sessions/{segment(id_)}"
        )
        return found

    def create_user(
        self, body: models.CreateUserRequest, *, idempotency_key: str | None = None
    ) -> models.CreatedUser:
        """Create a user with a one-time password. Repeatable under one Idempotency-Key. 409
        CONFLICT: the name is taken. 400 INVALID_FIELD exchanges: only an operator has some.

        Needs scope administer.
        """
        found: models.CreatedUser = self._session.create("/users", body, idempotency_key)
        return found

    def list_users(
        self, *, page_size: int | None = None, page_token: str | None = None
    ) -> models.ListUsersResponse:
        """List users. May be repeated at will.

        Needs scope administer.
        """
        found: models.ListUsersResponse = self._session.call(
            "GET", "/users", query={"pageSize": page_size, "pageToken": page_token}
        )
        return found

    def all_users(self, *, page_size: int | None = None) -> Iterator[models.User]:
        """Page by page what `list_users` lists."""
        page_token = ""
        while True:
            page = self.list_users(page_size=page_size, page_token=page_token)
            yield from page["users"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def get_user(self, id_: str) -> models.User:
        """Get a user. May be repeated at will.

        Needs scope administer.
        """
        found: models.User = self._session.call("GET", f"/users/{segment(id_)}")
        return found

    def update_user(self, id_: str, body: models.UpdateUserRequest) -> models.User:
        """Change a user's role, exchanges, or whether he may log in; from the next request on. May
        be repeated. 409 WRONG_STATE: nobody would be an admin any more.

        Needs scope administer.
        """
        found: models.User = self._session.call("PATCH", f"/users/{segment(id_)}", body=body)
        return found

    def reset_password(self, id_: str) -> models.OneTimePassword:
        """Give a user a one-time password, and end his sessions. Repeated, it gives another one.

        Needs scope administer.
        """
        found: models.OneTimePassword = self._session.call(
            "POST", f"/users/{segment(id_)}/reset-password"
        )
        return found

    def list_user_events(
        self,
        *,
        user_id: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> models.ListUserEventsResponse:
        """List logins, failures and changes. May be repeated at will.

        Needs scope administer.
        """
        found: models.ListUserEventsResponse = self._session.call(
            "GET",
            "/user-events",
            query={"userId": user_id, "pageSize": page_size, "pageToken": page_token},
        )
        return found

    def all_user_events(
        self, *, user_id: str | None = None, page_size: int | None = None
    ) -> Iterator[models.UserEvent]:
        """Page by page what `list_user_events` lists."""
        page_token = ""
        while True:
            page = self.list_user_events(
                user_id=user_id, page_size=page_size, page_token=page_token
            )
            yield from page["events"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def list_event_page(
        self,
        *,
        after: int | str | None = None,
        types: str | None = None,
        wallet: str | None = None,
        subscription: str | None = None,
        limit: int | None = None,
    ) -> models.ListEventPageResponse:
        """List events after a number, oldest first. May be repeated at will.

        Needs scope read.
        """
        found: models.ListEventPageResponse = self._session.call(
            "GET",
            "/events",
            query={
                "after": after,
                "types": types,
                "wallet": wallet,
                "subscription": subscription,
                "limit": limit,
            },
        )
        return found

    def follow_events(
        self,
        *,
        after: int | str | None = None,
        types: str | None = None,
        wallet: str | None = None,
        subscription: str | None = None,
    ) -> Iterator[ServerSentEvent]:
        """Follow the log as server-sent events, in its order, at least once over reconnects: "id"
        is the sequence to resume after, "event" the type, "data" a CloudEvent. A comment comes
        when nothing happens. The stream ends after about a minute, or when it is not read for a
        while; resume it with Last-Event-ID. 429 LIMIT_REACHED when too many follow.

        Needs scope read.
        """
        found: Iterator[ServerSentEvent] = self._session.follow(
            "/events/stream",
            query={"after": after, "types": types, "wallet": wallet, "subscription": subscription},
        )
        return found

    def create_webhook_endpoint(
        self, body: models.CreateWebhookEndpointRequest, *, idempotency_key: str | None = None
    ) -> models.WebhookEndpoint:
        """Create an endpoint; it gets what happens from now on. May be repeated under the same
        Idempotency-Key; the secret is shown the first time alone. 429 LIMIT_REACHED when there
        are too many.

        Needs scope manage.
        """
        found: models.WebhookEndpoint = self._session.create(
            "/webhook-endpoints", body, idempotency_key
        )
        return found

    def list_webhook_endpoints(self) -> models.ListWebhookEndpointsResponse:
        """List all endpoints. May be repeated at will.

        Needs scope read.
        """
        found: models.ListWebhookEndpointsResponse = self._session.call("GET", "/webhook-endpoints")
        return found

    def get_webhook_endpoint(self, id_: str) -> models.WebhookEndpoint:
        """Get an endpoint. May be repeated at will.

        Needs scope read.
        """
        found: models.WebhookEndpoint = self._session.call(
            "GET", f"/webhook-endpoints/{segment(id_)}"
        )
        return found

    def update_webhook_endpoint(
        self, id_: str, body: models.UpdateWebhookEndpointRequest
    ) -> models.WebhookEndpoint:
        """Change an endpoint, enable or disable it. May be repeated.

        Needs scope manage.
        """
        found: models.WebhookEndpoint = self._session.call(
            "PATCH", f"/webhook-endpoints/{segment(id_)}", body=body
        )
        return found

    def delete_webhook_endpoint(self, id_: str) -> models.WebhookEndpoint:
        """Delete an endpoint with its secrets and its deliveries; answers with what it was.

        Needs scope manage.
        """
        found: models.WebhookEndpoint = self._session.call(
            "DELETE", f"/webhook-endpoints/{segment(id_)}"
        )
        return found

    def rotate_webhook_secret(self, id_: str) -> models.WebhookEndpoint:
        """Make a new secret. For a day messages are signed with both. Each call makes another one.

        Needs scope manage.
        """
        found: models.WebhookEndpoint = self._session.call(
            "POST", f"/webhook-endpoints/{segment(id_)}/rotate"
        )
        return found

    def test_webhook_endpoint(self, id_: str) -> models.WebhookDelivery:
        """Post a message of type webhook.test at once, and tell what came of it.

        Needs scope manage.
        """
        found: models.WebhookDelivery = self._session.call(
            "POST", f"/webhook-endpoints/{segment(id_)}/test"
        )
        return found

    def list_webhook_deliveries(
        self, id_: str, *, page_token: str | None = None, page_size: int | None = None
    ) -> models.ListWebhookDeliveriesResponse:
        """List attempts to deliver. May be repeated at will.

        Needs scope read.
        """
        found: models.ListWebhookDeliveriesResponse = self._session.call(
            "GET",
            f"/webhook-endpoints/{segment(id_)}/deliveries",
            query={"pageToken": page_token, "pageSize": page_size},
        )
        return found

    def all_webhook_deliveries(
        self, id_: str, *, page_size: int | None = None
    ) -> Iterator[models.WebhookDelivery]:
        """Page by page what `list_webhook_deliveries` lists."""
        page_token = ""
        while True:
            page = self.list_webhook_deliveries(id_, page_token=page_token, page_size=page_size)
            yield from page["deliveries"]
            page_token = page["nextPageToken"]
            if not page_token:
                return

    def replay_webhook_events(
        self, id_: str, body: models.ReplayWebhookEventsRequest
    ) -> models.WebhookEndpoint:
        """Deliver events of the past again, with the ids that they have; what happens now comes
        after them. 429 LIMIT_REACHED when four replays are under way.

        Needs scope manage.
        """
        found: models.WebhookEndpoint = self._session.call(
            "POST", f"/webhook-endpoints/{segment(id_)}/replay", body=body
        )
        return found
