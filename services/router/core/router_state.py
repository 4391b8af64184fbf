"""The router's state in memory: rebuilt on start, then kept by claims and events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace

from msgspec import structs

from services.router.core.caps import Exposure
from services.router.core.exit_plan import (
    LONGEST_PAUSE_MS,
    entry_ended,
    held_back,
    takes_of_later_fills,
)
from services.router.core.ledger import DAY_MS, Ledger
from services.router.core.pending_exits import PendingExits
from services.router.core.records import Awaited, Copy, LotView
from services.router.core.subscription_index import SubscriptionIndex
from tradingtools.domain import ids
from tradingtools.domain.halts import Halt
from tradingtools.domain.leader_facts import LeaderFacts
from tradingtools.domain.leader_trade import LeaderTrade, Side, TradeKey, merge
from tradingtools.domain.money import MICROS
from tradingtools.domain.reasons import Reason
from tradingtools.domain.subscription import Subscription

JUDGED_AGAIN = frozenset(
    {
        Reason.HALTED,
        Reason.WAITING_FOR_ENTRY,
        Reason.MARKET_UNKNOWN,
        Reason.ALREADY_SELLING,
        Reason.PRICE_OUT_OF_RANGE,
    }
)
"""Why an exit cannot be made now and may be later; an exit is never too late."""

_NOT_JUDGED_AGAIN = frozenset({Reason.NONE, Reason.ACCUMULATING, Reason.BELOW_MINIMUM})
"""What is said of an exit that is done unless a slice leaves something."""
_REPORTED_REASONS = frozenset({Reason.WAITING_FOR_ENTRY, Reason.ALREADY_SELLING})
"""Those of them that end with an order, which is reported: a book is not."""
_AGAIN_MS = 2_000


def again_ms(vain: int) -> int:
    """Return the pause after so many judgements in vain; it doubles."""
    return min(_AGAIN_MS << min(vain, 5), LONGEST_PAUSE_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperLot:
    """A shadow's paper position in an outcome: shares, and what they cost. Micros."""

    size_micros: int = 0
    cost_micros: int = 0


class RouterState:
    """One partition's leader trades, copies, and money."""

    def __init__(self) -> None:
        self.control_seq = 0
        """The last control change that the index reflects."""
        self.booked_to = 0
        """The newest booking that the ledger's lots reflect."""
        self.halts: AbstractSet[Halt] = frozenset()
        """What may send nothing at all."""
        self.index = SubscriptionIndex()
        self.leaders: Mapping[str, LeaderFacts] = {}
        """What the newest snapshot knows of the leaders whose followers filter by it."""
        self.ledger = Ledger()
        self.trades: dict[TradeKey, LeaderTrade] = {}
        self._copies: dict[TradeKey, dict[str, Copy]] = {}
        self._pending_exits = PendingExits()
        self.entry_owner: dict[str, str] = {}
        """The subscription that has claimed an entry, by copy key."""
        self.open_exits: dict[TradeKey, float] = {}
        """Sells with something left to sell, and when they are judged again (monotonic)."""
        self.entry_trade: dict[str, TradeKey] = {}
        """The leader trade behind an open entry."""
        self.awaiting: dict[str, dict[TradeKey, None]] = {}
        """The leader's sells that apply to what an open entry may still fill, oldest first."""
        self.paper: dict[tuple[str, str], PaperLot] = {}
        """By subscription and asset."""
        self.paper_cash: defaultdict[str, int] = defaultdict(int)
        """USDC that a shadow has got (less than zero: paid) on paper."""
        self._sells: defaultdict[tuple[str, str], dict[TradeKey, None]] = defaultdict(dict)
        """By leader and asset."""
        self._bought: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._left_ms: dict[tuple[str, str], int] = {}
        self._under_way: dict[TradeKey, list[LeaderTrade]] = {}
        self._in_use: Counter[TradeKey] = Counter()

    @property
    def copies(self) -> Mapping[TradeKey, Mapping[str, Copy]]:
        """Return what was decided, by leader trade and subscription."""
        return self._copies

    @property
    def exit_trade(self) -> Mapping[str, TradeKey]:
        """Return the leader trade behind each open exit order."""
        return self._pending_exits.sell_of

    @contextmanager
    def using(self, keys: Collection[TradeKey]) -> Iterator[None]:
        """Keep these trades, however old, while they are examined and claimed."""
        self._in_use.update(keys)
        try:
            yield
        finally:
            self._in_use -= Counter(keys)

    @contextmanager
    def under_way(self, trade: LeaderTrade) -> Iterator[None]:
        """Make a trade known to exits while it is claimed part after part."""
        claims = self._under_way.setdefault(trade.key, [])
        claims.append(trade)
        try:
            yield
        finally:
            # Others may claim it beside: a message that is replayed.
            claims.remove(trade)
            if not claims:
                del self._under_way[trade.key]

    def trade(self, key: TradeKey) -> LeaderTrade | None:
        """Return a leader trade, as far as it is known or under way."""
        claims = self._under_way.get(key)
        return claims[-1] if claims else self.trades.get(key)

    def with_known_rows(self, trade: LeaderTrade) -> LeaderTrade:
        """Return a leader trade merged with the rows that are known of it."""
        known = self.trades.get(trade.key)
        for row in known.rows.values() if known is not None else ():
            trade = merge(trade, row) or trade
        return trade

    def know(self, trade: LeaderTrade) -> None:
        """Keep a leader trade as it is now."""
        self.trades[trade.key] = trade
        if trade.key.side is Side.BUY:
            self._bought[trade.key.leader, trade.condition_id].add(trade.key.asset_id)
            return
        self._sells[trade.key.leader, trade.key.asset_id][trade.key] = None
        if trade.held_before_micros is None or trade.held_before_micros <= trade.size_micros:
            outcome = trade.key.leader, trade.key.asset_id
            self._left_ms[outcome] = max(trade.traded_ms, self._left_ms.get(outcome, 0))

    def open_sells(self, leader: str, asset_id: str) -> dict[TradeKey, dict[str, Copy]]:
        """Return a leader's unfinished sells of an outcome, with their unfinished copies."""
        return self._sells_with(leader, asset_id, self._is_open)

    def unsold(self, leader: str, asset_id: str) -> dict[TradeKey, dict[str, Copy]]:
        """Return the open sells, with copies that were too small to be sold."""
        return self._sells_with(
            leader, asset_id, lambda key, copy: copy.small_micros > 0 or self._is_open(key, copy)
        )

    def _sells_with(
        self, leader: str, asset_id: str, meant: Callable[[TradeKey, Copy], bool]
    ) -> dict[TradeKey, dict[str, Copy]]:
        found: dict[TradeKey, dict[str, Copy]] = {}
        for key in self._sells.get((leader, asset_id), ()):
            copies = self._copies.get(key, {})
            ids = self._pending_exits.of(key, copies, all_of_them=key in self.open_exits)
            unsold = {i: copies[i] for i in ids if meant(key, copies[i])}
            if unsold:
                found[key] = unsold
        return found

    def _is_open(self, key: TradeKey, copy: Copy) -> bool:
        if copy.reason in JUDGED_AGAIN:
            return True
        if any(self.exit_trade.get(order_key) == key for order_key in copy.order_keys):
            return True
        # A slice has left something, or nobody has looked since the start.
        may_go_on = copy.copied or copy.reason is Reason.NONE
        return may_go_on and copy.reason in _NOT_JUDGED_AGAIN and key in self.open_exits

    def left_ms(self, trade: LeaderTrade) -> int | None:
        """Return when the leader last sold all of a trade's outcome; None: not lately."""
        return self._left_ms.get((trade.key.leader, trade.key.asset_id))

    def exposures(self, trade: LeaderTrade, now_ms: int) -> Callable[[Subscription], Exposure]:
        """Return a function from a subscription to what limits its copy of a trade."""
        condition, asset = trade.condition_id, trade.key.asset_id
        bought = self._bought.get((trade.key.leader, condition), ())
        both = any(other != asset for other in bought) or any(
            other.key.leader == trade.key.leader
            and other.condition_id == condition
            and other.key.asset_id != asset
            for claims in self._under_way.values()
            for other in claims
        )
        return lambda s: self.ledger.exposure(s, condition, asset, now_ms, leader_on_both=both)

    def paper_lot(self, subscription_id: str, asset_id: str) -> LotView:
        """Return a shadow's lot as an exit sees it: nobody else sells of it."""
        lot = self.paper.get((subscription_id, asset_id), PaperLot())
        return LotView(
            shares_micros=lot.size_micros,
            free_micros=lot.size_micros,
            cost_micros=lot.cost_micros,
        )

    def put_copy(self, key: TradeKey, subscription_id: str, copy: Copy) -> None:
        """Keep what became of a leader trade for a subscription."""
        self._copies.setdefault(key, {})[subscription_id] = copy
        if key.side is Side.SELL:
            waits = copy.small_micros > 0 or copy.reason in JUDGED_AGAIN
            self._pending_exits.put(key, subscription_id, waits=waits)

    def slice_claimed(self, order_key: str, key: TradeKey, subscription_id: str) -> None:
        """Note an open exit order of a leader's sell."""
        self._pending_exits.slice_claimed(order_key, key, subscription_id)

    def slice_ended(self, order_key: str) -> TradeKey | None:
        """Note an exit order's end; return the leader's sell if it was open."""
        return self._pending_exits.slice_ended(order_key)

    def forget_copies(self) -> None:
        """Drop what was decided and what orders are of it: a rebuild follows."""
        self._copies, self.entry_trade = {}, {}
        self._pending_exits.clear()

    def note_copy(self, trade: LeaderTrade, copy: Copy, now_ms: int) -> None:
        """Take over a judgement: what it accrued, and what it moved on paper.

        The copy of before, noted again, undoes it.
        """
        identifier, asset = copy.frozen.id, trade.key.asset_id
        before = self._copies.get(trade.key, {}).get(identifier) or Copy(frozen=copy.frozen)
        self.put_copy(trade.key, identifier, copy)
        self.note_awaited(trade.key, copy)
        accrued = copy.accrued_micros - before.accrued_micros
        if accrued:
            self.ledger.accrue(identifier, asset, accrued)
        size = copy.paper_size_micros - before.paper_size_micros
        cost = copy.paper_cost_micros - before.paper_cost_micros
        if not size and not cost:
            return
        moved = PaperLot(size_micros=size, cost_micros=cost)
        paid = copy.paper_notional_micros - before.paper_notional_micros
        self.move_paper(copy.frozen, trade.condition_id, asset, moved, paid)
        if trade.key.side is Side.BUY:
            day = now_ms // DAY_MS
            self.ledger.spent(identifier, day, moved.cost_micros)
            if copy.copied and not before.copied:
                self.ledger.bought(identifier, asset, trade.key.leader_tx, day)
            elif before.copied and not copy.copied:
                self.ledger.not_bought(identifier, asset, trade.key.leader_tx)

    def forget_copy(self, key: TradeKey, subscription_id: str) -> None:
        """Drop what became of a leader trade for one subscription."""
        copies = self._copies.get(key, {})
        copies.pop(subscription_id, None)
        self._pending_exits.put(key, subscription_id, waits=False)
        if not copies:
            self._copies.pop(key, None)

    def note_awaited(self, key: TradeKey, copy: Copy) -> None:
        """Find the exit again when an order that it awaits has ended."""
        for entry in copy.awaited:
            self.awaiting.setdefault(entry.order_key, {})[key] = None

    def with_portions(self, subscription_id: str, lot: LotView) -> LotView:
        """Return a lot with what the leader's earlier sells leave of its unresolved orders."""

        def left(orders: Iterable[Awaited]) -> tuple[Awaited, ...]:
            return tuple(
                replace(order, portion_micros=self._portion(subscription_id, order.order_key))
                for order in orders
            )

        return replace(lot, unresolved=left(lot.unresolved), sales=left(lot.sales))

    def _portion(self, subscription_id: str, order_key: str) -> int:
        portion = MICROS
        for key in self.awaiting.get(order_key, {}):
            copy = self.copies.get(key, {}).get(subscription_id)
            if copy is not None:
                portion -= takes_of_later_fills(self.trades[key], copy, order_key)
        return max(portion, 0)

    def entry_ended(
        self, subscription_id: str, order_key: str, filled_micros: int
    ) -> tuple[TradeKey, ...]:
        """Note an order's end; the exits that have to be judged again come back."""
        self.entry_trade.pop(order_key, None)
        keys = tuple(self.awaiting.pop(order_key, {}))
        for key in keys:
            copy = entry_ended(
                self._copies[key][subscription_id], order_key, filled_micros=filled_micros
            )
            self.put_copy(key, subscription_id, copy)
        return keys

    def left(self, order_keys: Iterable[str]) -> dict[TradeKey, dict[str, Copy]]:
        """Return copies of entries that were not sent because their leader has sold."""
        found: dict[TradeKey, dict[str, Copy]] = {}
        for order_key in order_keys:
            key = self.entry_trade.get(order_key)
            if key is None or self.trade(key) is None:
                continue
            for identifier, copy in self.copies.get(key, {}).items():
                if order_key in copy.order_keys:
                    found.setdefault(key, {})[identifier] = structs.replace(
                        copy, reason=Reason.LEADER_LEFT, detail="the leader sold before it was sent"
                    )
        return found

    def move_paper(
        self, owner: Subscription, condition_id: str, asset_id: str, moved: PaperLot, paid: int
    ) -> None:
        """Add to a shadow's lot and take what was paid from its money."""
        lot = self.paper.get((owner.id, asset_id), PaperLot())
        lot = PaperLot(
            size_micros=lot.size_micros + moved.size_micros,
            cost_micros=lot.cost_micros + moved.cost_micros,
        )
        self.paper[owner.id, asset_id] = lot
        self.paper_cash[owner.id] -= paid
        cash_account = self.ledger.cash_account_of(owner)
        self.ledger.hold(owner.id, cash_account, condition_id, asset_id, lot.cost_micros)
        self.ledger.cash(cash_account, self.paper_cash[owner.id])

    def judge_exit_in_ms(self, key: TradeKey, now_ms: int, vain: int = 0) -> int | None:
        """Return how soon a sell that could not be made is judged again after so many times in
        vain; None: it is made."""
        waits = [
            self._wait_ms(key, copy, max(copy.rest_until_ms - now_ms, 0), vain)
            for copy in self.copies.get(key, {}).values()
            if copy.reason in JUDGED_AGAIN
        ]
        return min(waits, default=None)

    def _wait_ms(self, key: TradeKey, copy: Copy, rest_ms: int, vain: int) -> int:
        if copy.reason is not Reason.HALTED:
            return rest_ms or again_ms(vain if copy.reason in _REPORTED_REASONS else 0)
        # The end of a halt is reported. It may have ended while this was judged.
        return LONGEST_PAUSE_MS if held_back(self.trades[key], copy, self.halts) else rest_ms

    def exits_without_halt(self) -> tuple[TradeKey, ...]:
        """Open exits that wait for the end of a halt that has ended."""
        return tuple(
            key
            for key in self.open_exits
            if any(
                copy.reason is Reason.HALTED and not held_back(self.trades[key], copy, self.halts)
                for copy in self.copies.get(key, {}).values()
            )
        )

    def _small(self) -> Iterator[TradeKey]:
        """Yield sells with a remainder for the next sell, of lots that are still held."""
        for key, identifier in self._pending_exits.waiting():
            copy = self._copies[key][identifier]
            if copy.small_micros and self.ledger.holds(identifier, key.asset_id):
                yield key

    def forget_before(self, oldest_ms: int) -> None:
        """Drop leader trades of before an instant, unless they are in use or an exit is open."""
        kept = {*self.open_exits, *self.exit_trade.values()}
        kept.update(self._in_use)
        kept.update(key for keys in self.awaiting.values() for key in keys)
        kept.update(self._small())
        old = [k for k, t in self.trades.items() if t.traded_ms < oldest_ms and k not in kept]
        for key in old:
            del self.trades[key]
            self._pending_exits.forget(key)
            for copy in self._copies.pop(key, {}).values():
                self.entry_owner.pop(
                    ids.entry_copy_key(key.leader_tx, copy.frozen.follower.proxy, key.asset_id),
                    None,
                )
        if old:
            self._bought.clear()
            self._sells.clear()
            self._left_ms.clear()
            for trade in self.trades.values():
                self.know(trade)
