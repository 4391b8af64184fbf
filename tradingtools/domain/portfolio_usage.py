"""The judging of shares: which limit one would pass, what is passed already, what is used. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tradingtools.domain.portfolio_risk import (
    COPIES_AGE_MS,
    PARTS,
    USAGE_AGE_MS,
    Ledger,
    LimitReached,
    Result,
    RiskScope,
    ScopeLimit,
    ScopeLimits,
    Share,
)

_S, _L = RiskScope, ScopeLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The use of a scope. Micros of USDC."""

    gross_micros: int
    long_micros: int
    """Longs less shorts that are held."""
    short_micros: int
    market: str
    """The largest one."""
    market_micros: int
    copies_micros: int
    """Of the largest market of a MARKET scope."""
    result_micros: int
    day_loss_micros: int
    drawdown_micros: int
    oldest_ms: int

    @property
    def net_micros(self) -> int:
        """Return the worse side."""
        return max(self.long_micros, self.short_micros, 0)


def usage(limits: ScopeLimits, ledger: Ledger) -> Usage:
    """Return how much of a scope is used; of every market, the largest one's."""
    shares = [one for one in ledger.shares if limits.covers(one)]
    by_market = _by_market(shares)
    totals = {m: used + _copies(limits, ledger, m) for m, used in by_market.items()}
    largest = max(totals, key=lambda one: (totals[one], one), default="")
    if limits.scope is _S.MARKET:
        shares = [one for one in shares if one.market == largest]
    result = sum(one.micros for one in ledger.results if _counts(limits, one))
    start = result if limits.day_start_micros is None else limits.day_start_micros
    peak = result if limits.peak_micros is None else max(limits.peak_micros, result)
    return Usage(
        gross_micros=sum(one.gross_micros for one in shares),
        long_micros=_net(shares, 1),
        short_micros=_net(shares, -1),
        market=largest,
        market_micros=by_market.get(largest, 0),
        copies_micros=_copies(limits, ledger, largest),
        result_micros=result,
        day_loss_micros=max(start - result, 0),
        drawdown_micros=peak - result,
        oldest_ms=max((one.age_ms or 0 for one in shares), default=0),
    )


def used(found: Usage, limit: ScopeLimit, limits: ScopeLimits) -> int | None:
    """Return what a scope uses of one of its limits, in micros; None: the limit has no use.

    Of the concentration it is the part of the largest market, in millionths.
    """
    most = limits.values.get(_L.MAX_GROSS)
    return {
        _L.MAX_GROSS: found.gross_micros,
        _L.MAX_NET: found.net_micros,
        _L.MAX_CONCENTRATION: found.market_micros * PARTS // most if most else 0,
        _L.MAX_DAILY_LOSS: found.day_loss_micros,
        _L.MAX_DRAWDOWN: found.drawdown_micros,
        _L.MAX_WITH_COPIES: found.market_micros + found.copies_micros,
    }.get(limit)


def refused(ledger: Ledger, share: Share) -> LimitReached | None:
    """Return the limit that a share would pass; None: it may be taken.

    A share that asks for no more than its bot has is never refused.

    Args:
        ledger: of the tenant, the bot's present share included.
        share: the whole share that the bot would have.
    """
    has = present(ledger, share)
    rises = share.long_micros > has.long_micros or share.short_micros > has.short_micros
    if not rises:
        return None
    raised = taken(ledger, share)
    for limits in ledger.limits:
        if not limits.covers(share):
            continue
        for found in _passed(limits, raised, share.market, more_than=True):
            side_falls = found.limit is _L.MAX_NET and not _toward(limits, raised, has, share)
            if found.concerns(share) and not side_falls:
                return found
    return None


def give(ledger: Ledger, need: Share, want: Share) -> Share | LimitReached:
    """Return the share that a bot gets: what it wants, or what it needs at least, or the limit."""
    if refused(ledger, want) is None:
        return want
    return refused(ledger, need) or need


def taken(ledger: Ledger, share: Share) -> Ledger:
    """Return the ledger after a bot has got a share in place of the one that it had."""
    others = [one for one in ledger.shares if _key(one) != _key(share)]
    return replace(ledger, shares=[*others, share])


def reached(ledger: Ledger) -> list[LimitReached]:
    """Return every limit of the tenant that is passed by marks, by copies, by losses or by age."""
    return [
        found
        for limits in ledger.limits
        for market in _markets(limits, ledger)
        for found in _passed(limits, ledger, market, more_than=False)
    ]


def present(ledger: Ledger, share: Share) -> Share:
    """Return the share that a bot has already, which may be nothing."""
    for one in ledger.shares:
        if _key(one) == _key(share):
            return one
    return Share(
        bot_id=share.bot_id,
        wallet_id=share.wallet_id,
        instrument_id=share.instrument_id,
        market=share.market,
    )


# ------------------------------------------------------------------------------------------ inside


def _key(share: Share) -> tuple[str, str]:
    return share.bot_id, share.instrument_id


def _markets(limits: ScopeLimits, ledger: Ledger) -> list[str]:
    """Return the markets to look at; of most scopes none in particular."""
    if limits.scope is not _S.MARKET:
        return [""]
    return sorted({one.market for one in ledger.shares if limits.covers(one)})


def _passed(
    limits: ScopeLimits, ledger: Ledger, market: str, *, more_than: bool
) -> Iterable[LimitReached]:
    """Yield the limits of a scope that are passed.

    Args:
        limits: of the scope.
        ledger: of the tenant.
        market: of a MARKET scope, the one to look at.
        more_than: an opening share is judged, so the losses that stop bots are left out.
    """
    values = limits.values
    own = market if limits.scope is _S.MARKET else ""
    shares = [one for one in ledger.shares if limits.covers(one) and own in ("", one.market)]
    gross = sum(one.gross_micros for one in shares)
    yield from _over(limits, _L.MAX_GROSS, gross, own)
    yield from _over(limits, _L.MAX_NET, max(_net(shares, 1), _net(shares, -1)), own)
    most = values.get(_L.MAX_GROSS)
    if most is not None and _L.MAX_CONCENTRATION in values:
        allowed = most * values[_L.MAX_CONCENTRATION] // PARTS
        for name, used in sorted(_by_market(shares).items()):
            if used > allowed:
                text = f"{_money(used)} USDC in {name} of {_money(allowed)}"
                yield LimitReached(
                    limits=limits, limit=_L.MAX_CONCENTRATION, market=name, detail=text
                )
    yield from _with_copies(limits, ledger, gross, own)
    oldest = max((one.age_ms or 0 for one in shares), default=0)
    if values and oldest > USAGE_AGE_MS:
        text = f"a bot's holdings were written {oldest} ms ago"
        yield LimitReached(limits=limits, limit=_L.STALE_USAGE, market=own, detail=text)
    if not more_than:
        yield from _losses(limits, ledger)


def _with_copies(
    limits: ScopeLimits, ledger: Ledger, gross: int, market: str
) -> Iterable[LimitReached]:
    most = limits.values.get(_L.MAX_WITH_COPIES)
    if most is None:
        return
    age = ledger.copies_age_ms
    if age is None or age > COPIES_AGE_MS:
        text = "what copies hold is not known" + ("" if age is None else f" since {age} ms")
        yield LimitReached(limits=limits, limit=_L.STALE_COPIES, market=market, detail=text)
        return
    copies = ledger.copies.get(market, 0)
    if gross + copies > most:
        text = f"{_money(gross)} USDC of bots and {_money(copies)} of copies of {_money(most)}"
        yield LimitReached(limits=limits, limit=_L.MAX_WITH_COPIES, market=market, detail=text)


def _losses(limits: ScopeLimits, ledger: Ledger) -> Iterable[LimitReached]:
    if not {_L.MAX_DAILY_LOSS, _L.MAX_DRAWDOWN} & set(limits.values):
        return
    used = usage(limits, ledger)
    for limit, loss in (
        (_L.MAX_DAILY_LOSS, used.day_loss_micros),
        (_L.MAX_DRAWDOWN, used.drawdown_micros),
    ):
        most = limits.values.get(limit)
        if most is not None and loss >= most and (loss or not most):
            text = f"a loss of {_money(loss)} USDC reaches {_money(most)}"
            yield LimitReached(limits=limits, limit=limit, detail=text)


def _over(limits: ScopeLimits, limit: ScopeLimit, used: int, market: str) -> Iterable[LimitReached]:
    most = limits.values.get(limit)
    if most is not None and used > most:
        text = f"{_money(used)} USDC of {_money(most)}"
        yield LimitReached(limits=limits, limit=limit, market=market, detail=text)


def _toward(limits: ScopeLimits, ledger: Ledger, has: Share, share: Share) -> bool:
    """Return whether the side that rises is one whose net is over the limit."""
    most = limits.values[_L.MAX_NET]
    shares = [one for one in ledger.shares if limits.covers(one)]
    longer = share.long_micros > has.long_micros and _net(shares, 1) > most
    return longer or (share.short_micros > has.short_micros and _net(shares, -1) > most)


def _net(shares: Iterable[Share], side: int) -> int:
    """Return shares of one side, less what is held on the other. 1: long, -1: short."""
    net = 0
    for one in shares:
        net += one.long_micros if side > 0 else one.short_micros
        net += min(one.held_micros * side, 0)
    return net


def _by_market(shares: Iterable[Share]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in shares:
        found[one.market] = found.get(one.market, 0) + one.gross_micros
    return found


def _copies(limits: ScopeLimits, ledger: Ledger, market: str) -> int:
    return ledger.copies.get(market, 0) if limits.scope is _S.MARKET else 0


def _counts(limits: ScopeLimits, result: Result) -> bool:
    if limits.scope is _S.WALLET:
        return result.wallet_id == limits.subject
    if limits.scope is _S.EXCHANGE:
        return result.exchange == limits.subject
    return limits.scope is _S.PORTFOLIO


def _money(micros: int) -> str:
    whole, part = divmod(abs(micros), PARTS)
    text = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micros < 0 else text
