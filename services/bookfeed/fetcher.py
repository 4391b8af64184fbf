"""Fetch over REST what the socket does not send: markets and first books.

Books that are there are looked at, and asked for again, by `rest_books`. Calls for one asset share
one fetch; what the venue does not know is asked for ever more seldom. A copy may wait for what is
asked for on demand: it has connections of its own, and never queues behind what is kept up to date.
"""

from __future__ import annotations

import asyncio

import structlog

from services.bookfeed import metrics, questions
from services.bookfeed.catalogue import Catalogue
from services.bookfeed.core.book_state import BookState, Status
from services.bookfeed.core.snapshot_audit import RestBook, first_time_ms
from services.bookfeed.core.watchlist import Interest
from services.bookfeed.hub import Hub, now_ms
from services.bookfeed.questions import RequestSlots
from services.bookfeed.rest_books import TICK_SECONDS, RestBooks, is_overtaken, rest_book
from tradingtools.domain import errors
from tradingtools.v1 import bookfeed_service_pb2 as pb
from tradingtools.venues.polymarket.clob_api import ClobApi
from tradingtools.venues.polymarket.instruments import (
    HIGHEST_FEE_RATE_MICROS,
    ClobMarket,
    GammaMarket,
)
from tradingtools.venues.polymarket.market_channel import BookMessage

_UNKNOWN_MS = 5_000
_RETRY_MS = 1_000
_PAUSE_MAX_MS = 60_000
_UNKNOWN_MAX = 10_000
_BEHIND_AT_ONCE = 4
"""Questions of each kind for which nothing new has to wait."""
_log = structlog.get_logger("bookfeed")


class Unsaid(errors.Unavailable):
    """The CLOB has answered, and neither it nor Gamma says whether a market is open."""


class Fetcher:
    """Queries REST; the answers go into the hub.

    Args:
        lanes: to the venue.
        hub: takes the answers.
        interest: what is wanted.
        catalogue: markets that need no question.
        market_ttl_ms: how old what is known of a market may get.
        look_ms: between two looks at a book.
        quiet_ms: how long a book from REST alone counts as fresh.
        at_once: connections of a lane to one host.
    """

    def __init__(
        self,
        lanes: RequestSlots,
        hub: Hub,
        interest: Interest,
        catalogue: Catalogue,
        *,
        market_ttl_ms: int,
        look_ms: int,
        quiet_ms: int,
        at_once: int,
    ) -> None:
        self._api, self._on_demand = lanes
        self._hub = hub
        self._interest = interest
        self._catalogue = catalogue
        self._ttl_ms = market_ttl_ms
        self._under_way: dict[str, asyncio.Task[None]] = {}
        """What somebody waits for."""
        self._behind: set[asyncio.Task[None]] = set()
        self._due_ms: dict[str, int] = {}
        self._unknown_ms: dict[str, int] = {}
        self._pauses_ms: dict[str, int] = {}
        """Of assets that the venue was asked for in vain: how long they wait."""
        self._warming: set[str] = set()
        # Who waits for Gamma, which may hang, holds up no book and nobody of another kind.
        self._firsts = asyncio.Semaphore(at_once)
        # One question each, of hundreds at once: their answers would hold the event loop.
        self._listed = asyncio.Semaphore(_BEHIND_AT_ONCE)
        self._agains = asyncio.Semaphore(_BEHIND_AT_ONCE)
        self._rules = asyncio.Semaphore(_BEHIND_AT_ONCE)
        self._gammas = asyncio.Semaphore(_BEHIND_AT_ONCE)
        self._soon = asyncio.Semaphore(_BEHIND_AT_ONCE)
        self._looks = RestBooks(
            self._api,
            hub,
            asyncio.Semaphore(at_once),
            self.refresh_soon,
            look_ms=look_ms,
            quiet_ms=quiet_ms,
        )

    @property
    def busy(self) -> set[str]:
        """Return assets that are being fetched."""
        return self._under_way.keys() | self._warming

    def unseen(self, asset_id: str, believed: str) -> pb.Mark | None:
        """Return a mark without a book, by the catalogue; None: it does not know the asset, or has
        it in another condition than it is believed to be in."""
        market = self._catalogue.market(asset_id, believed)
        metrics.UNSEEN.add(1, {"listed": market is not None})
        if market is None:
            return None
        return pb.Mark(asset_id=asset_id, status=pb.BOOK_STATUS_UNSEEN, market=market)

    def fetch_soon(self, asset_id: str) -> None:
        """Have an asset's book fetched behind, and watched."""
        self._interest.touch(asset_id, now_ms())
        listed = self._catalogue.market(asset_id)
        if listed is not None and self._hub.market(asset_id) is None:
            # The socket's first book is a mark at once: it has not to wait for REST's.
            self._hub.track(asset_id)
            self._hub.set_market(asset_id, listed)
        if not self._fetched_recently(asset_id):
            self._warming.add(asset_id)
            task = asyncio.create_task(self._first(asset_id))
            self._behind.add(task)
            task.add_done_callback(self._behind.discard)

    async def ensure(self, asset_id: str, condition_id: str = "") -> None:
        """Fetch book and market; concurrent calls for an asset share one fetch.

        Args:
            asset_id: of the outcome.
            condition_id: that whoever asks believes it to have; not relied upon.

        Raises:
            NotFound: the venue knows no such asset.
            Unavailable: the venue does not answer, or nothing says whether a market without a book
                is open.
        """
        self._check_known(asset_id)
        task = self._under_way.get(asset_id) or self._begin(asset_id, condition_id)
        # Shielded: one caller that gives up must not take the answer from the others.
        await asyncio.shield(task)

    def _begin(self, asset_id: str, condition_id: str) -> asyncio.Task[None]:
        # None that is fetched behind is joined: it may be waiting for its turn.
        task = asyncio.create_task(self._fetch(asset_id, condition_id, self._on_demand))
        self._under_way[asset_id] = task
        task.add_done_callback(lambda done: self._ended(asset_id, done))
        return task

    def refresh_soon(self, asset_id: str) -> None:
        """Request the asset's market again: it may have changed."""
        self._due_ms[asset_id] = 0

    async def run(self) -> None:
        """Keep every tracked asset's market known and every book looked at, for ever.

        A book in doubt is resynced.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                now = now_ms()
                for asset_id, tracked in self._hub.tracked.items():
                    due_ms = self._due_ms.get(asset_id)
                    if (due_ms or 0) <= now and not self._fetched_recently(asset_id):
                        self._due_ms[asset_id] = self._next_due_ms(asset_id, now)
                        self._warming.add(asset_id)
                        group.create_task(self._warm(asset_id, soon=due_ms == 0))
                    work = self._looks.due(asset_id, tracked, now)
                    if work is not None:
                        group.create_task(work)
                self._hub.notice_statuses()
                for gone in self._due_ms.keys() - self._hub.tracked.keys():
                    del self._due_ms[gone]
                    self._pauses_ms.pop(gone, None)
                await asyncio.sleep(TICK_SECONDS)

    def _ended(self, asset_id: str, done: asyncio.Task[None]) -> None:
        self._under_way.pop(asset_id, None)
        if not done.cancelled() and done.exception() is not None:
            metrics.FETCHES.add(1, {"outcome": type(done.exception()).__name__})

    def _fetched_recently(self, asset_id: str) -> bool:
        return asset_id in self._under_way or asset_id in self._warming

    def _next_due_ms(self, asset_id: str, now: int) -> int:
        # Many may be new, or be asked for anew, at the same time: not all of them again together.
        spread = not self._due_ms.get(asset_id)
        return first_time_ms(asset_id, now, self._ttl_ms) if spread else now + self._ttl_ms

    async def _warm(self, asset_id: str, *, soon: bool) -> None:
        try:
            if self._hub.market(asset_id) is None:
                await self._fetch_behind(asset_id)
            else:
                await self._refresh(asset_id, self._soon if soon else self._gammas)
            self._pauses_ms.pop(asset_id, None)
        except errors.TradingError as error:
            self._due_ms[asset_id] = now_ms() + self._pause_ms(asset_id, error)
            _log.warning("market not known; trying again", asset=asset_id, error=str(error))
        finally:
            self._warming.discard(asset_id)

    async def _first(self, asset_id: str) -> None:
        try:
            await self._fetch_behind(asset_id)
        except errors.TradingError as error:
            _log.warning("book not fetched behind", asset=asset_id, error=str(error))
        finally:
            self._warming.discard(asset_id)

    async def _fetch_behind(self, asset_id: str) -> None:
        """Fetch book and market in turn; raises as `ensure`."""
        async with self._turn(asset_id):
            task = self._under_way.get(asset_id)
            if task is not None:
                await asyncio.shield(task)
                return
            try:
                self._check_known(asset_id)
                await self._fetch(asset_id, "", self._api)
            except errors.TradingError as error:
                metrics.FETCHES.add(1, {"outcome": type(error).__name__})
                raise

    def _turn(self, asset_id: str) -> asyncio.Semaphore:
        if asset_id in self._pauses_ms:
            return self._agains
        return self._firsts if self._catalogue.market(asset_id) is None else self._listed

    def _pause_ms(self, asset_id: str, error: errors.TradingError) -> int:
        """Return the pause, longer each time that the venue answers and does not know; a venue that
        is away may be back at any moment."""
        if not isinstance(error, errors.NotFound | Unsaid):
            return _RETRY_MS
        least_ms = _UNKNOWN_MS if isinstance(error, errors.NotFound) else _RETRY_MS
        pause_ms = min(max(2 * self._pauses_ms.get(asset_id, 0), least_ms), _PAUSE_MAX_MS)
        self._pauses_ms[asset_id] = pause_ms
        return pause_ms

    async def _fetch(self, asset_id: str, believed: str, api: ClobApi) -> None:
        listed = self._catalogue.market(asset_id)
        if listed is not None and await self._fetch_book(asset_id, listed, api):
            return
        before, tracked = self._hub.market(asset_id), self._hub.tracked.get(asset_id)
        before_ns = tracked.received_ns if tracked else 0
        reply, gamma, condition, rules = await asyncio.gather(
            questions.book(api, asset_id),
            questions.gamma(api, asset_id),
            questions.condition(api, asset_id),
            questions.rules_of(api, asset_id, believed),
        )
        book = reply.book
        known = _first(
            book.condition_id if book else "",
            condition if isinstance(condition, str) else "",
            gamma.condition_id if gamma else "",
        )
        if known is None:
            if isinstance(condition, errors.Unavailable):
                raise condition
            self._remember_unknown(asset_id)
            raise _unknown(asset_id)
        if book is None and gamma is None and self._hub.market(asset_id) is None:
            # Closed would end exits for good, open would let entries out.
            raise Unsaid(
                f"neither a book nor Gamma says whether {asset_id} trades",
                dependency="venue",
                retry_after_ms=str(_RETRY_MS),
            )
        market = rules if rules is not None and known == believed else None
        if market is None:
            market = await api.market(known)
        # Before anybody can look: what is tracked and not wanted is dropped.
        self._interest.touch(asset_id, now_ms())
        self._take(self._hub.track(asset_id), reply, before_ns)
        self._due_ms[asset_id] = first_time_ms(asset_id, now_ms(), self._ttl_ms)
        self._learn(asset_id, known, market, gamma, book, before)
        self._hub.changed(asset_id)
        metrics.FETCHES.add(1, {"outcome": "found"})

    async def _fetch_book(self, asset_id: str, listed: pb.MarketInfo, api: ClobApi) -> bool:
        """Fetch the book alone of a market that the catalogue knows; False: it has to be asked for.

        What the venue says of the market besides comes soon, behind.
        """
        before, tracked = self._hub.market(asset_id), self._hub.tracked.get(asset_id)
        before_ns = tracked.received_ns if tracked else 0
        reply = await questions.book(api, asset_id)
        book = reply.book
        if book is None or book.condition_id != listed.condition_id:
            return False
        self._interest.touch(asset_id, now_ms())
        self._take(self._hub.track(asset_id), reply, before_ns)
        if self._hub.market(asset_id) is before and (before is None or before == listed):
            fresh = pb.MarketInfo()
            fresh.CopyFrom(listed)
            fresh.tick_micros = book.tick_micros or listed.tick_micros
            fresh.min_size_micros = book.min_size_micros or listed.min_size_micros
            self._hub.set_market(asset_id, fresh)
        self._hub.changed(asset_id)
        self._due_ms.setdefault(asset_id, 0)
        metrics.FETCHES.add(1, {"outcome": "found"})
        return True

    def _take(self, tracked: BookState, reply: questions.RestReply, before_ns: int) -> None:
        """Take REST's book, asked for when the last thing heard was of ``before_ns``."""
        book = reply.book
        if tracked.on_socket:
            # The socket's book is older than REST's only if nothing came since REST was queried:
            # changes were not collected meanwhile.
            if book is None or tracked.resyncing or tracked.received_ns != before_ns:
                return
        elif is_overtaken(tracked, book.book_ms if book else 0, before_ns):
            return
        answer = rest_book(book) if book else RestBook((), (), tracked.book_ms)
        tracked.end_resync(answer, now_ms=reply.at_ms, received_ns=reply.received_ns)

    async def _refresh(self, asset_id: str, gammas: asyncio.Semaphore) -> None:
        before = self._hub.market(asset_id)
        if before is None:
            return
        async with self._rules:
            market = await self._api.market(before.condition_id)
        if self._hub.market(asset_id) is not None:
            # It waits for no Gamma.
            self._learn(asset_id, before.condition_id, market, None, None, before)
        async with gammas:
            gamma = await questions.gamma(self._api, asset_id)
        if gamma is not None and self._hub.market(asset_id) is not None:
            self._learn(asset_id, before.condition_id, market, gamma, None, before)

    def _learn(
        self,
        asset_id: str,
        condition_id: str,
        market: ClobMarket,
        gamma: GammaMarket | None,
        book: BookMessage | None,
        before: pb.MarketInfo | None,
    ) -> None:
        """Take what REST says, asked when `before` was known.

        What the socket said stays said, and what Gamma does not say this time stays known.
        """
        fresh = market_info(asset_id, condition_id, market, gamma, book)
        now = self._hub.market(asset_id)
        if now is not None:
            fresh.closed = fresh.closed or now.closed
            fresh.neg_risk = fresh.neg_risk or now.neg_risk
            if before is not None and now.tick_micros != before.tick_micros:
                fresh.tick_micros = now.tick_micros
            if now.HasField("payout_micros") and not fresh.HasField("payout_micros"):
                fresh.payout_micros = now.payout_micros
            if gamma is None:
                fresh.title, fresh.category = now.title, now.category
                fresh.outcome = fresh.outcome or now.outcome
                if market.fee_rate_micros is None:
                    fresh.fee_rate_micros = now.fee_rate_micros
                if now.HasField("end_ms"):
                    fresh.end_ms = now.end_ms
        self._hub.set_market(asset_id, fresh)

    def _check_known(self, asset_id: str) -> None:
        """Raise NotFound for an asset of which the venue knew nothing a moment ago."""
        if now_ms() < self._unknown_ms.get(asset_id, 0):
            raise _unknown(asset_id)

    def _remember_unknown(self, asset_id: str) -> None:
        now = now_ms()
        if len(self._unknown_ms) >= _UNKNOWN_MAX:
            self._unknown_ms = {a: t for a, t in self._unknown_ms.items() if t > now}
        if len(self._unknown_ms) < _UNKNOWN_MAX:
            self._unknown_ms[asset_id] = now + _UNKNOWN_MS


def market_info(
    asset_id: str,
    condition_id: str,
    market: ClobMarket,
    gamma: GammaMarket | None,
    book: BookMessage | None,
) -> pb.MarketInfo:
    """Return what the answers say together; a fee that nobody says is the highest one."""
    rate = market.fee_rate_micros
    if rate is None and gamma is not None:
        rate = gamma.fee_rate_micros
    outcome = market.outcomes.get(asset_id) or (gamma.outcomes.get(asset_id) if gamma else None)
    return pb.MarketInfo(
        asset_id=asset_id,
        condition_id=condition_id,
        tick_micros=(book.tick_micros if book else None) or market.tick_micros,
        min_size_micros=(book.min_size_micros if book else None) or market.min_size_micros,
        fee_rate_micros=HIGHEST_FEE_RATE_MICROS if rate is None else rate,
        category=gamma.category if gamma else "other",
        closed=gamma is not None and gamma.closed,
        payout_micros=gamma.payouts.get(asset_id) if gamma else None,
        end_ms=gamma.end_ms if gamma else None,
        title=gamma.title if gamma else "",
        outcome=outcome or "",
        neg_risk=bool(book.neg_risk) if book else (gamma.neg_risk if gamma else False),
    )


def _first(*texts: str) -> str | None:
    return next((text for text in texts if text), None)


def _unknown(asset_id: str) -> errors.NotFound:
    return errors.NotFound(f"the venue knows no asset {asset_id}", kind="asset", id=asset_id)


def usable(status: Status) -> bool:
    """Return whether a book with this status says anything about the present."""
    return status in (Status.FRESH, Status.EMPTY)
