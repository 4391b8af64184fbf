"""Followers' wallets at the venue gateway, and redemptions: as `paper.insiders` does it.

Before it: the exchange, which moves cash and shares by matches. Amounts in micros.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable

from launcher.core import evidence as facts
from paper.insiders.core.admission import KeyUse, check_key
from paper.insiders.core.amounts import ONE, format_amount
from paper.insiders.core.model import MarketBook, RedeemRequest, Redemption, Rejection
from paper.insiders.core.requests import parse_redeem
from paper.insiders.wire import Answer, refuse, show_positions, show_redemption

_AS_OF = "2027-01-15T08:00:00.000Z"


class Wallets:
    """Cash and shares.

    Args:
        book: of an asset, now; None: it has none.
        idempotency: whether a key redeems once.
        cash_micros: what each wallet begins with.
    """

    def __init__(
        self, book: Callable[[str], MarketBook | None], *, idempotency: bool, cash_micros: int
    ) -> None:
        self._book = book
        self._idempotency = idempotency
        self.cash: defaultdict[str, int] = defaultdict(lambda: cash_micros)
        self.shares: defaultdict[tuple[str, str], int] = defaultdict(int)
        """By wallet and asset."""
        self._redemptions: list[Redemption] = []
        self.hand_trades: list[facts.GatewayHandTrade] = []

    def move(self, proxy: str, asset: str, cash: int, shares: int) -> None:
        """Move both by a match, or back."""
        self.cash[proxy] += cash
        self.shares[proxy, asset] += shares

    def sell_by_hand(self, proxy: str, asset: str, shares: int) -> None:
        """Its owner sells shares, past the engine. What he gets is nobody's business here."""
        self.move(proxy, asset, 0, -shares)
        done = facts.GatewayHandTrade(
            follower_proxy=proxy, asset_id=asset, shares_micros=-shares, cash_micros=0
        )
        self.hand_trades.append(done)

    def balance(self, proxy: str) -> Answer:
        """GET the cash of a wallet."""
        cash = format_amount(self.cash[proxy])
        return Answer(payload={"followerProxy": proxy, "cash": cash, "asOf": _AS_OF})

    def positions(self, proxy: str) -> Answer:
        """GET its shares."""
        held = show_positions(
            [(asset, condition, size) for asset, condition, size in self._held(proxy) if size]
        )
        return Answer(payload={"followerProxy": proxy, "positions": held, "asOf": _AS_OF})

    def redeem(self, key: str, body: bytes) -> Answer:
        """POST a redemption."""
        try:
            return Answer(payload=show_redemption(self._redeem(key, body)))
        except Rejection as rejection:
            return refuse(rejection)

    def _redeem(self, key: str, body: bytes) -> Redemption:
        digest = hashlib.sha256(body).hexdigest()
        first = next((done for done in self._redemptions if done.key == key), None)
        replay = check_key(
            None if first is None else KeyUse(body_sha256=first.body_sha256, purpose="REDEEM"),
            KeyUse(body_sha256=digest, purpose="REDEEM"),
            voided=False,
            idempotency=self._idempotency,
        )
        if replay and first is not None:
            return first
        request = parse_redeem(body)
        done = Redemption(
            key=key,
            body_sha256=digest,
            proxy=request.proxy,
            condition_id=request.condition_id,
            payout=self._pay_out(request),
        )
        self._redemptions.append(done)
        return done

    def _pay_out(self, request: RedeemRequest) -> int:
        held = [
            (asset, size)
            for asset, condition, size in self._held(request.proxy)
            if condition == request.condition_id and size > 0
        ]
        if not held:
            raise Rejection(400, "NOTHING_TO_REDEEM", "the wallet holds no shares of it")
        paid = 0
        for asset, size in held:
            book = self._book(asset)
            if book is None or book.payout is None:
                raise Rejection(400, "MARKET_NOT_RESOLVED", "the market has no payout yet")
            paid += size * book.payout // ONE
        for asset, size in held:
            self.shares[request.proxy, asset] -= size
        self.cash[request.proxy] += paid
        return paid

    def _held(self, proxy: str) -> list[tuple[str, str, int]]:
        found = []
        for (owner, asset), size in self.shares.items():
            book = self._book(asset)
            if owner == proxy and book is not None:
                found.append((asset, book.condition_id or "", size))
        return found

    def account(
        self,
    ) -> tuple[tuple[facts.GatewayWallet, ...], tuple[facts.GatewayRedemption, ...]]:
        """Its own account of everything."""
        shares: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (proxy, asset), size in self.shares.items():
            shares[proxy][asset] = size
        wallets = tuple(
            facts.GatewayWallet(follower_proxy=proxy, cash_micros=cash, shares=shares[proxy])
            for proxy, cash in self.cash.items()
        )
        redemptions = tuple(
            facts.GatewayRedemption(
                redeem_key=done.key,
                follower_proxy=done.proxy,
                condition_id=done.condition_id,
                payout_micros=done.payout,
            )
            for done in self._redemptions
        )
        return wallets, redemptions
