"""Bots made from their rows: with the orders, holdings and losses of their former lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from services.bots.core.bot import AnyBot, Bot
from services.bots.core.holding import Holding, booked, paid_funding
from services.bots.core.risk import Closed, Equity, LimitError, RiskLimits, limits_of
from services.bots.core.risk.limits import check_currency
from services.bots.core.risk.shares import Shares
from services.bots.core.setup import Setup
from services.bots.store import BotRow, Gap, Settings
from services.bots.strategies import registry
from services.bots.strategies.idle import Idle
from services.bots.wallet.gaps import closings
from services.bots.wallet.shared import Wallet, answered
from tradingtools import clock
from tradingtools.domain import strategies
from tradingtools.domain.instrument import Instrument
from tradingtools.venues.ports import Side
from tradingtools.venues.trading import Fill, NewOrder

INHERITS_MS = 5_000
"""How long quotes that were handed over stand, at most, until their strategy has its books."""


class SetupError(ValueError):
    """A bot that does not fit its wallet or venue; the text names the field."""


async def make(wallet: Wallet, row: BotRow, *, number: int) -> AnyBot:
    """Return a bot that has everything of its former lives, and has sent nothing.

    It is read while the account is opened, and made once that is.

    Args:
        wallet: whose bot it is.
        row: as people want it and as it stood last.
        number: of its next order.

    Raises:
        ConfigError: its settings do not fit its strategy.
        SetupError: it does not fit its wallet or venue.
    """
    await _note_unread(wallet, row.bot_id)
    await _find_instruments(wallet, row.instruments)
    strategy = registry.strategy(row.strategy)
    shares = Shares(await wallet.store.risk.shares_of(row.bot_id), wallet.rates)
    setup = setup_of(wallet, row, shares)
    config, instruments = setup.config, setup.instruments
    before = registry.state(row.strategy, row.strategy_state)
    await _recognise(wallet, row.bot_id)
    known = [(slot, one) for _, slot, one in await wallet.store.unsettled([row.bot_id])]
    holdings = await _held(wallet, row.bot_id, instruments)
    gaps = (await wallet.store.gaps(wallet.lease.wallet_id)).values()
    await wallet.connected.wait()
    bot: AnyBot = Bot(
        setup,
        strategy,
        strategy.begin(config) if before is None else before,
        orders_=known,
        holdings=holdings,
        number=number,
        equity=None if row.equity is None else Equity(**row.equity),
        lease_until_ms=wallet.lease.until_ms if wallet.sound.is_set() else 0,
        inherits_until_ms=clock.now_ms() + INHERITS_MS if wallet.lease.clean else 0,
    )
    _let_lack(bot, gaps)
    return bot


async def make_rest(wallet: Wallet, row: BotRow, *, number: int) -> AnyBot:
    """Return a bot that wants nothing, for one whose settings or state cannot be read.

    Its orders are its own all the same: they are cancelled, and their fills booked. What it holds
    is closed at those of its limits that can be read.
    """
    await _note_unread(wallet, row.bot_id)
    await _recognise(wallet, row.bot_id)
    known = [(slot, one) for _, slot, one in await wallet.store.unsettled([row.bot_id])]
    for _, order in known:
        wallet.instruments.setdefault(order.order.instrument.id, order.order.instrument)
    instruments = {one: of for one in row.instruments if (of := wallet.instruments.get(one))}
    instruments |= {one.order.instrument.id: one.order.instrument for _, one in known}
    # What it holds of an instrument that its venue has no more is its own, too.
    traded = {one.id: one for one in await wallet.store.traded(row.bot_id)}
    setup = Setup(
        bot_id=row.bot_id,
        epoch=wallet.lease.epoch,
        config=None,
        instruments=instruments,
        capabilities={one.venue: wallet.venue.gateway.capabilities for one in instruments.values()},
        limits=_readable_limits(row, {**traded, **instruments}),
        version=row.version,
    )
    await wallet.connected.wait()
    bot = Bot(
        setup,
        Idle(),
        # Written back as it was.
        row.strategy_state,
        orders_=known,
        holdings=await _held(wallet, row.bot_id, {**traded, **instruments}),
        number=number,
        equity=None if row.equity is None else Equity(**row.equity),
        lease_until_ms=wallet.lease.until_ms if wallet.sound.is_set() else 0,
    )
    for one in traded.values():
        bot.know(one)
    return bot


def _readable_limits(row: BotRow, instruments: Mapping[str, Instrument]) -> RiskLimits:
    """Return those limits of a bot that can be read: what it holds goes on losing."""
    mine = [instruments[one] for one in row.instruments if one in instruments]
    readable: dict[str, str] = {}
    for name, text in row.limits.items() if mine else ():
        try:
            check_currency(limits_of({name: text}, mine[0]), instruments.values())
        except LimitError:
            continue
        readable[name] = text
    return limits_of(readable, mine[0]) if readable else RiskLimits()


def _let_lack(bot: AnyBot, gaps: Iterable[Gap]) -> None:
    """Have nothing opened where something was missing in a former life, before it is compared."""
    closed: Closed = {}
    missing = [one for one in gaps if one.missing]
    for gap in missing:
        instrument = bot.instruments.get(gap.instrument_id)
        if instrument is not None and not gap.explained:
            closed.update(closings(gap, instrument))
    bot.lack(closed, frozenset(one.instrument_id for one in missing))


async def _recognise(wallet: Wallet, bot_id: str) -> None:
    """Have the venue's words on a bot's orders told by our ids."""
    gateway = wallet.venue.gateway
    if not gateway.capabilities.order_id_known_before:
        return
    sent = await wallet.store.lately(bot_id)
    # What a hash depends on is looked up, also of instruments that the bot trades no more.
    symbols = sorted({one.instrument.symbol for one in sent})
    if symbols:
        await answered(wallet.venue.instruments.find, symbols)
    for one in sent:
        gateway.register_order(one)


def setup_of(wallet: Wallet, row: BotRow, shares: Shares | None) -> Setup[Any]:
    """Return what a bot goes by, as people want it; its instruments are known.

    Args:
        wallet: whose bot it is.
        row: as people want it.
        shares: of the limits of many bots, which its engine keeps.

    Raises:
        ConfigError: its settings do not fit its strategy.
        SetupError: its limits do not fit its instruments.
    """
    instruments = {one: wallet.instruments[one] for one in row.instruments}
    first = next(iter(instruments.values()))
    try:
        limits = limits_of(row.limits, first)
        check_currency(limits, instruments.values())
    except LimitError as error:
        raise SetupError(str(error)) from None
    config = strategies.config(row.strategy, row.config)
    wallet.settings[row.bot_id] = Settings(
        version=row.version, config=row.config, limits=row.limits
    )
    return Setup(
        bot_id=row.bot_id,
        epoch=wallet.lease.epoch,
        config=config,
        instruments=instruments,
        capabilities={first.venue: wallet.venue.gateway.capabilities},
        limits=limits,
        version=row.version,
        shares=shares,
    )


def found_order(
    order_id: str, instrument: Instrument, side: Side, price: int, size: int
) -> NewOrder:
    """Return an order that was found at the venue, as it would have been sent."""
    return NewOrder(
        order_id=order_id,
        instrument=instrument,
        side=side,
        price=price,
        size=size,
        not_after_ms=clock.now_ms(),
    )


async def instrument_of(wallet: Wallet, instrument_id: str) -> Instrument:
    """Return an instrument. Raises SetupError: the venue has none of this name."""
    await _find_instruments(wallet, [instrument_id])
    return wallet.instruments[instrument_id]


async def _note_unread(wallet: Wallet, bot_id: str) -> None:
    since = await wallet.store.unread_since(bot_id, wallet.lease)
    if since is not None:
        wallet.unread_ms[bot_id] = since


async def _find_instruments(wallet: Wallet, ids: Iterable[str]) -> None:
    missing = [one for one in ids if one not in wallet.instruments]
    if not missing:
        return
    symbols = [one.partition(":")[2] for one in missing]
    for found in await answered(wallet.venue.instruments.find, symbols):
        wallet.instruments[found.id] = found
    unknown = sorted(set(missing) - set(wallet.instruments))
    if unknown:
        raise SetupError(f"instruments: the venue has no {unknown[0]}")


async def _held(
    wallet: Wallet, bot_id: str, instruments: Mapping[str, Instrument]
) -> dict[str, Holding]:
    held: dict[str, Holding] = {}
    for fill in await wallet.store.fills(bot_id):
        instrument = instruments.get(fill.instrument_id)
        if instrument is None:
            raise SetupError(f"instruments: {fill.instrument_id} is held and not among them")
        before = held.get(fill.instrument_id, Holding())
        held[fill.instrument_id] = booked(before, instrument, _as_booked(fill))
        wallet.booked_ms = max(wallet.booked_ms, fill.venue_ms)
    for instrument_id, amount in (await wallet.store.funding(bot_id)).items():
        held[instrument_id] = paid_funding(held.get(instrument_id, Holding()), amount)
    return held


def _as_booked(fill: Fill) -> Fill:
    """Return a fill as it moves the holding: an undone one the other way."""
    if not fill.undone:
        return fill
    return replace(fill, side="SELL" if fill.side == "BUY" else "BUY", fee=-fill.fee)
