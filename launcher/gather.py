"""Collect the evidence of a run: our rows in one snapshot, and the journals of venue and gateway.

Reads only. The paper insiders-api is asked on its control port, the venue on its public Data API:
neither is asked what we think of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import psycopg
from psycopg.rows import dict_row

from launcher import web
from launcher.core import evidence as facts
from launcher.state import EVIDENCE
from tradingtools.domain.money import parse_exact
from tradingtools.storage.postgres.sql import load_queries

QUERIES = load_queries(Path(__file__).with_name("evidence.sql"))
_PAGE = 10_000
_TIMEOUT_SECONDS = 30.0
Json = dict[str, Any]


class GatherError(Exception):
    """The evidence cannot be had; the message is one line that says whose."""


def gather(
    *,
    database_url: str,
    started_ms: int,
    insiders_control_url: str,
    venue_url: str,
    default_cash_micros: int,
    settled: bool,
) -> facts.Evidence:
    """Everything that the invariants look at.

    Args:
        database_url: of the engine's PostgreSQL.
        started_ms: rows from then on belong to the run.
        insiders_control_url: of the paper insiders-api; empty: a real one, not looked at.
        venue_url: of the replay; empty: live feeds, not looked at.
        default_cash_micros: what a wallet begins with at the paper insiders-api.
        settled: whether nothing is going on any more.

    Raises:
        GatherError: a store or a venue gateway does not answer.
    """
    notes = []
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=web.context()) as http:
            rows = _rows(database_url, started_ms)
            gateway = None
            if insiders_control_url:
                gateway = _gateway_state(http, insiders_control_url, default_cash_micros)
            else:
                notes.append("a real insiders-api: its books were not compared")
            trades = None
            if venue_url:
                leaders = sorted({row.leader for row in rows["subscriptions"]})
                trades = tuple(t for one in leaders for t in _leader_trades(http, venue_url, one))
            else:
                notes.append("live feeds: the leaders' trades were not compared")
    except psycopg.Error as error:
        raise GatherError(f"database: {' '.join(str(error).split())}") from None
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise GatherError(f"venue gateway: {type(error).__name__}: {error}") from None
    return facts.Evidence(
        **rows, gateway=gateway, leader_trades=trades, settled=settled, notes=tuple(notes)
    )


def _rows(database_url: str, started_ms: int) -> Json:
    kinds = {
        "orders": facts.OrderRow,
        "events": facts.EventRow,
        "fills": facts.FillRow,
        "decisions": facts.DecisionRow,
        "subscriptions": facts.SubscriptionRow,
        "lots": facts.LotRow,
        "triggers": facts.TriggerRow,
        "redemptions": facts.RedemptionRow,
        "balances": facts.BalanceRow,
        "reservations": facts.ReservationRow,
        "control_changes": facts.ControlChange,
    }
    since = {"since": datetime.fromtimestamp(started_ms / 1000, UTC)}
    with psycopg.connect(
        database_url,
        row_factory=dict_row,
        connect_timeout=5,
        options="-c default_transaction_isolation=repeatable\\ read"
        " -c default_transaction_read_only=on",
    ) as connection:
        found: Json = {
            name: msgspec.convert(
                connection.execute(QUERIES[name], since).fetchall(),
                type=list[kind],  # type: ignore[valid-type]
            )
            for name, kind in kinds.items()
        }
        unbuilt = connection.execute(QUERIES["journal_unbuilt"], since).fetchone()
    return {**found, "journal_unbuilt": unbuilt["unbuilt"] if unbuilt else 0}


def _get(http: httpx.Client, url: str, **query: int | str) -> Any:
    answer = http.get(url, params=query)
    answer.raise_for_status()
    # Amounts there are strings, or numbers that we must not read as floats.
    return json.loads(answer.content, parse_float=str)


def _gateway_state(http: httpx.Client, url: str, default_cash_micros: int) -> facts.GatewayState:
    state = cast("Json", _get(http, f"{url}/state"))
    return facts.GatewayState(
        orders=tuple(_gateway_order(order) for order in state["orders"]),
        posts=tuple(_posts(http, url)),
        wallets=tuple(
            facts.GatewayWallet(
                follower_proxy=wallet["followerProxy"],
                cash_micros=parse_exact(wallet["cash"]),
                shares={p["assetId"]: parse_exact(p["size"]) for p in wallet["positions"]},
            )
            for wallet in state["balances"]
        ),
        default_cash_micros=default_cash_micros,
        enforces_not_after=state["capabilities"]["notAfter"],
        redemptions=tuple(
            facts.GatewayRedemption(
                redeem_key=one["idempotencyKey"],
                follower_proxy=one["followerProxy"],
                condition_id=one["conditionId"],
                payout_micros=parse_exact(one["payout"]),
            )
            for one in state["redemptions"]
        ),
        hand_trades=tuple(
            facts.GatewayHandTrade(
                follower_proxy=one["followerProxy"],
                asset_id=one["assetId"],
                shares_micros=_signed(one, "size", "BUY"),
                cash_micros=_signed(one, "notional", "SELL"),
            )
            for one in state["handTrades"]
        ),
    )


def _signed(trade: Json, name: str, comes_in: str) -> int:
    """Below zero where it goes out of the wallet."""
    micros = parse_exact(trade[name])
    return micros if trade["side"] == comes_in else -micros


def _gateway_order(order: Json) -> facts.GatewayOrder:
    return facts.GatewayOrder(
        order_key=order["idempotencyKey"],
        follower_proxy=order["followerProxy"],
        asset_id=order["assetId"],
        side=order["side"],
        size_micros=parse_exact(order["size"]),
        limit_micros=parse_exact(order["limitPrice"]),
        closed=order["closed"],
        filled_size_micros=parse_exact(order["filledSize"]),
        filled_notional_micros=parse_exact(order["filledNotional"]),
        fee_micros=parse_exact(order["fee"]),
        accepted_ms=_milliseconds(order["acceptedAt"]),
        trades=tuple(
            facts.GatewayTrade(
                trade_id=trade["tradeId"],
                size_micros=parse_exact(trade["size"]),
                notional_micros=parse_exact(trade["notional"]),
                fee_micros=parse_exact(trade["fee"]),
                status=trade["status"],
            )
            for trade in order["trades"]
        ),
    )


def _milliseconds(text: str) -> int:
    instant = datetime.fromisoformat(text)
    return int(instant.replace(microsecond=0).timestamp()) * 1000 + instant.microsecond // 1000


def _posts(http: httpx.Client, url: str) -> Iterator[facts.GatewayPost]:
    after = 0
    while True:
        page = cast("Json", _get(http, f"{url}/journal", after=after, limit=_PAGE))
        for entry in page["entries"]:
            if entry["path"] in ("/api/trade/buy", "/api/trade/sell") and entry["key"]:
                yield facts.GatewayPost(
                    order_key=entry["key"],
                    body_hash=entry["bodySha256"],
                    ledger=entry["ledger"],
                )
        if len(page["entries"]) < _PAGE:
            return
        after = page["last"]


def _leader_trades(http: httpx.Client, url: str, leader: str) -> Iterator[facts.LeaderTrade]:
    seen: set[tuple[str, str, str]] = set()
    offset = 0
    while True:
        page = cast(
            "list[Json]",
            _get(
                http, f"{url}/data/trades",
                user=leader, takerOnly="false", limit=_PAGE, offset=offset,
            ),
        )  # fmt: skip
        for row in page:
            key = (row["transactionHash"].lower(), row["asset"], row["side"])
            if key not in seen:
                seen.add(key)
                yield facts.LeaderTrade(
                    leader_tx=key[0],
                    leader=leader,
                    asset_id=key[1],
                    side=key[2],
                    traded_ms=int(row["timestamp"]) * 1000,
                )
        if len(page) < _PAGE:
            return
        offset += len(page)


def keep(directory: Path, evidence: facts.Evidence) -> None:
    """Keep the evidence of a finished run in its state directory."""
    temporary = directory / f"{EVIDENCE}.tmp"
    temporary.write_bytes(msgspec.json.encode(evidence))
    temporary.replace(directory / EVIDENCE)


def kept(directory: Path) -> facts.Evidence:
    """The evidence of a finished run. Raises GatherError: it left none."""
    try:
        return msgspec.json.decode((directory / EVIDENCE).read_bytes(), type=facts.Evidence)
    except FileNotFoundError:
        raise GatherError(
            f"{directory}: this run ended without keeping its evidence; continue it with"
            f" `make run STATE={directory}`"
        ) from None
    except msgspec.DecodeError as error:
        raise GatherError(f"{directory / EVIDENCE}: {error}") from None
