"""Signals of people and programs, told to the running bots of a wallet that trade by them.

They are read by their age, not from a place on, so that none is missed whose transaction ended
late; a bot hears each once, by its id. Without such a bot nothing is read.
"""

from __future__ import annotations

import asyncio
from functools import partial

import psycopg

from services.bots.core.bot import AnyBot
from services.bots.core.strategy import SignalEvent
from services.bots.wallet.sending import Sending
from services.bots.wallet.shared import Wallet, database_away
from tradingtools.domain.bot_states import BotState
from tradingtools.domain.strategies import SignalConfig

POLL_SECONDS = 0.4


class Signals:
    """See the module.

    Args:
        wallet: whose bots they are.
        sending: of the wallet.
    """

    def __init__(self, wallet: Wallet, sending: Sending) -> None:
        self._wallet = wallet
        self._sending = sending
        self._reported: dict[tuple[str, str], AnyBot] = {}
        """By bot and signal; a bot that begins anew hears them again, and knows those it heard."""

    async def follow(self) -> None:
        """Tell signals as they come, for ever."""
        while True:
            listening = self._listening()
            try:
                if listening:
                    await self._notify(listening)
            except psycopg.OperationalError as error:
                database_away("signals", error)
            await asyncio.sleep(POLL_SECONDS)

    def _listening(self) -> dict[str, tuple[AnyBot, SignalConfig]]:
        return {
            bot_id: (bot, bot.setup.config)
            for bot_id, bot in self._wallet.bots.items()
            if isinstance(bot.setup.config, SignalConfig) and bot.life is BotState.RUNNING
        }

    async def _notify(self, listening: dict[str, tuple[AnyBot, SignalConfig]]) -> None:
        found = await self._wallet.store.signals(
            self._wallet.lease.wallet_id,
            sorted({config.instrument_id for _, config in listening.values()}),
            max(config.max_age_ms for _, config in listening.values()),
        )
        named = {one.signal_id for one in found}
        self._reported = {key: bot for key, bot in self._reported.items() if key[1] in named}
        for signal in found:
            for bot_id, (bot, config) in listening.items():
                self._notify_one(bot_id, bot, config, signal)

    def _notify_one(
        self, bot_id: str, bot: AnyBot, config: SignalConfig, signal: SignalEvent
    ) -> None:
        key = bot_id, signal.signal_id
        if config.instrument_id != signal.instrument_id or self._reported.get(key) is bot:
            return
        self._reported[key] = bot
        self._sending.notify(bot, partial(bot.received, signal))
