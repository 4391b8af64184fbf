"""Positions compared again and again with what the exchange says is held; see core/positions."""

from __future__ import annotations

import asyncio
from functools import partial

import psycopg
import structlog

from services.bots.core import positions, risk
from services.bots.core.positions import Difference
from services.bots.core.risk import Closed
from services.bots.store import Gap
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, database_away, outlast
from tradingtools import clock
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import ReadError

LOOK_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 1.0
"""As long as a difference is not certain."""
_SIDES: tuple[Side, Side] = ("BUY", "SELL")
_log = structlog.get_logger("bots")


class Positions:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
    """

    def __init__(self, wallet: Wallet, sending: Sending) -> None:
        self._wallet = wallet
        self._sending = sending
        self._known: dict[str, Difference] = {}
        self._proven: set[str] = set()
        """Instruments of which nothing was missing once; before that, doubt alone opens none."""
        self._told: dict[str, Gap] = {}
        """Certain differences, as they were written."""

    async def follow(self) -> None:
        """Compare for ever, whenever all bots that may hold something are here."""
        self._told = await outlast(self._gaps, "the comparison of positions")
        while True:
            await self._wallet.whole.wait()
            try:
                await self._compare()
            except psycopg.OperationalError as error:
                database_away("the comparison of positions", error)
            certain = all(one in self._told for one in self._known)
            await asyncio.sleep(LOOK_SECONDS if certain else LOOK_AGAIN_SECONDS)

    async def _gaps(self) -> dict[str, Gap]:
        return await self._wallet.store.gaps(self._wallet.lease.wallet_id)

    async def _compare(self) -> None:
        before = self._believed()
        try:
            account = await self._wallet.venue.accounts.state()
        except ReadError as error:
            _log.warning("positions were not read", why=str(error))
            return
        if not self._wallet.whole.is_set():
            return
        concerned = {**self._told, **self._believed()}
        known = self._wallet.instruments.items()
        # Shares that were paid out are nobody's position, whenever they are redeemed.
        instruments = [one for key, one in known if key in concerned and one.payout is None]
        told = positions.held(account, instruments)
        now = clock.now_ms()
        self._known = positions.compared(before, self._believed(), told, self._known, now)
        await self._act(now)
        self._proven.update(key for key in told if not self._is_missing(key))

    def _is_missing(self, instrument_id: str) -> bool:
        known = self._known.get(instrument_id)
        return known is not None and known.missing > 0

    def _believed(self) -> dict[str, int]:
        return positions.believed(bot.holdings for bot in self._wallet.bots.values())

    async def _act(self, now_ms: int) -> None:
        able = self._wallet.venue.gateway.capabilities
        settles = max(positions.SETTLES_MS, able.horizon_ms)
        explained = await self._gaps()
        closed: Closed = {}
        lacking = set()
        for instrument_id, one in self._known.items():
            certain = now_ms - one.since_ms >= settles or instrument_id in self._told
            if not certain and instrument_id in self._proven:
                continue
            gap = Gap(
                instrument_id=instrument_id,
                believed=one.believed,
                held=one.held,
                missing=one.missing,
                explained=_is_explained(explained.get(instrument_id), one),
            )
            if certain:
                await self._tell(gap)
            if gap.missing:
                lacking.add(instrument_id)
            if gap.missing and not gap.explained:
                closed.update(self._closed(gap))
        for instrument_id in set(self._told) - set(self._known):
            await self._wallet.store.gap_closed(self._wallet.lease, instrument_id)
            del self._told[instrument_id]
            _log.info("a position is what bots believe again", instrument=instrument_id)
        for bot in self._wallet.bots.values():
            self._sending.tell(bot, partial(bot.missing, dict(closed), frozenset(lacking)))

    async def _tell(self, gap: Gap) -> None:
        if self._told.get(gap.instrument_id) == gap:
            return
        bots = [
            bot.setup.bot_id
            for bot in self._wallet.bots.values()
            if gap.instrument_id in bot.setup.instruments
        ]
        await self._wallet.store.gap(self._wallet.lease, gap, bots if gap.missing else ())
        self._told[gap.instrument_id] = gap
        if not gap.missing:
            _log.warning(
                "a stranger's position is in this account; it is left alone",
                wallet=self._wallet.lease.wallet_id,
                instrument=gap.instrument_id,
            )
        elif not gap.explained:
            _log.error(
                "the exchange holds less than bots believe: nothing opens there",
                wallet=self._wallet.lease.wallet_id,
                instrument=gap.instrument_id,
                believed=gap.believed,
                held=gap.held,
            )

    def _closed(self, gap: Gap) -> Closed:
        of = self._wallet.instruments[gap.instrument_id]
        text = (
            f"the exchange holds {of.size_text(gap.held)} of the {of.size_text(gap.believed)}"
            f" {gap.instrument_id} that fills make"
        )
        why = risk.breach(risk.RiskLimit.POSITION_MISSING, text)
        return {(gap.instrument_id, side): why for side in _SIDES}


def _is_explained(kept: Gap | None, now: Difference) -> bool:
    """Return whether a person has explained this very difference."""
    if kept is None or not kept.explained:
        return False
    return kept.held - kept.believed == now.held - now.believed
