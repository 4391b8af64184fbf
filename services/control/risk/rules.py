"""Limits of a scope as a client sets them: which fit it, and what its subject has to be. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.control.parsing import refuse
from tradingtools.domain.portfolio_risk import EVERY, SCOPE_RULES, RiskScope, ScopeLimit

_S = RiskScope
_SUBJECTS: Final[Mapping[RiskScope, tuple[re.Pattern[str], str]]] = {
    _S.WALLET: (re.compile(r"wal_[0-9a-f]{32}"), "the id of a trading wallet"),
    _S.EXCHANGE: (re.compile(r"okx|polymarket"), "okx or polymarket"),
    _S.PORTFOLIO: (re.compile(r""), "none: it is about all bots of the tenant"),
    _S.GROUP: (re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}"), "a name"),
    _S.MARKET: (
        re.compile(r"\*|(okx|polymarket):[A-Za-z0-9_.-]{1,80}"),
        f'an instrument, "polymarket:<condition>", or "{EVERY}" for each market',
    ),
}


def check(
    scope: RiskScope, subject: str, instruments: Sequence[str], values: Mapping[ScopeLimit, int]
) -> None:
    """Check that limits fit their scope.

    Raises:
        InvalidField: the subject is none of the scope, a limit does not go with it, instruments are
            named of anything but a group, or a concentration has no gross limit to be a part of.
    """
    pattern, expected = _SUBJECTS[scope]
    if not pattern.fullmatch(subject):
        raise refuse("subject", expected)
    if scope is _S.GROUP and values and not instruments:
        raise refuse("instruments", "one at least, of a group")
    if scope is not _S.GROUP and instruments:
        raise refuse("instruments", "none: only a group has them")
    if len(set(instruments)) < len(instruments):
        raise refuse("instruments", "each of them once")
    for limit in values:
        if scope not in SCOPE_RULES[limit].scopes:
            raise refuse(f"limits.{_name(limit)}", f"none: not of a {scope.lower()}")
    if ScopeLimit.MAX_CONCENTRATION in values and ScopeLimit.MAX_GROSS not in values:
        raise refuse("limits.maxGross", "a limit, of which maxConcentration is a part")


def exchange_of(limits: Mapping[str, Any], wallets: Mapping[str, str]) -> str:
    """Return the exchange that limits are about; empty: they are about several.

    Args:
        limits: with "scope", "subject" and "instruments".
        wallets: exchanges by wallet.
    """
    subject = str(limits["subject"])
    match RiskScope(limits["scope"]):
        case RiskScope.WALLET:
            return wallets.get(subject, "")
        case RiskScope.EXCHANGE:
            return subject
        case RiskScope.MARKET:
            return subject.partition(":")[0] if subject != EVERY else ""
        case RiskScope.GROUP:
            found = {one.partition(":")[0] for one in limits["instruments"]}
            return found.pop() if len(found) == 1 else ""
        case RiskScope.PORTFOLIO:
            return ""


def _name(text: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), text)
