"""Check subscriptions. Pure.

The contracts' patterns have been checked before. Here text becomes exact integers, and what no
pattern can say is refused, naming the field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from services.control import parsing
from tradingtools.domain import ids, money
from tradingtools.domain.copy_settings import (
    CopySettings,
    DoubtfulBook,
    StartMode,
    Tier,
    from_json,
    to_json,
)
from tradingtools.domain.order import Follower
from tradingtools.domain.performance import Performance
from tradingtools.domain.subscription import SubscriptionState

MAX_RATIO_MICROS = 100 * money.MICROS


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group of a request: columns as named here, and the group's share of the settings.

    A group that is given replaces all of its settings; what it leaves out becomes absent.
    """

    columns: dict[str, object]
    names: frozenset[str]
    """The settings that belong to the group."""
    settings: dict[str, object]
    """Those that are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A subscription to be made."""

    follower: Follower
    leader: str
    columns: dict[str, object]
    settings: CopySettings
    state: SubscriptionState

    @property
    def performance(self) -> Performance:
        """Return its performance rules."""
        return msgspec.convert(self.columns["performance"], Performance)


def fixed_amount(text: str, field: str) -> int:
    """The same USDC for each copy, micros: more than zero."""
    micros = parsing.amount(text, field)
    if micros == 0:
        raise parsing.refuse(field, "more than 0")
    return micros


def factor(text: str, field: str) -> int:
    """A factor in micros: more than zero, at most 100."""
    micros = parsing.amount(text, field)
    if not 0 < micros <= MAX_RATIO_MICROS:
        raise parsing.refuse(field, "more than 0 and at most 100")
    return micros


def fraction(text: str | None, field: str) -> int | None:
    """A price or a fraction in micros: 0 to 1; absent stays absent."""
    micros = parsing.optional_amount(text, field)
    if micros is not None and micros > money.MICROS:
        raise parsing.refuse(field, "at most 1")
    return micros


def ascending(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Tiers as given; each must begin above the one before."""
    for number, (before, after) in enumerate(pairwise(tiers), 1):
        if after.from_micros <= before.from_micros:
            raise parsing.refuse(
                f"sizing.tiers.tiers[{number}].fromNotional", "more than the one before"
            )
    return tiers


def settings_of(before: CopySettings, groups: Iterable[Group]) -> CopySettings:
    """The settings once each group has replaced its share of them.

    Raises:
        InvalidField: the price band is empty, or a wait is given that nobody waits.
    """
    values = to_json(before)
    for group in groups:
        values = {name: v for name, v in values.items() if name not in group.names}
        values |= group.settings
    made = from_json(values)
    low, high = made.min_price_micros, made.max_price_micros
    if low is not None and high is not None and low > high:
        raise parsing.refuse("filters.minPrice", "at most filters.maxPrice")
    waits = made.on_doubtful_book is DoubtfulBook.WAIT
    if made.doubtful_book_wait_ms is not None and not waits:
        raise parsing.refuse(
            "limits.doubtfulBookWaitMs", "onDoubtfulBook DOUBTFUL_BOOK_WAIT beside it"
        )
    return made


def new_subscription(
    *,
    follower: Follower,
    leader: str,
    groups: Iterable[Group],
    shadow: bool,
    start: StartMode = StartMode.BASELINE,
    paused: bool = False,
) -> NewSubscription:
    """Check the fields against each other; a wallet cannot follow itself."""
    proxy = parsing.canonical(ids.wallet, follower.proxy, "follower.followerProxy")
    leader = parsing.canonical(ids.wallet, leader, "leader")
    if leader == proxy:
        raise parsing.refuse("leader", "another wallet than the follower's")
    if shadow and start is not StartMode.BASELINE:
        raise parsing.refuse("start", "START_MODE_BASELINE for a shadow: it buys nothing")
    if paused and start is not StartMode.BASELINE:
        raise parsing.refuse("paused", "false with START_MODE_MIRROR: that buys at once")
    given = tuple(groups)
    columns: dict[str, object] = {}
    for group in given:
        columns |= group.columns
    if shadow and columns["performance"]:
        raise parsing.refuse("performance", "nothing for a shadow: it has no result")
    return NewSubscription(
        follower=Follower(user_id=follower.user_id, wallet_id=follower.wallet_id, proxy=proxy),
        leader=leader,
        columns=columns,
        settings=settings_of(CopySettings(shadow=shadow, start=start), given),
        state=SubscriptionState.PAUSED if paused else SubscriptionState.ACTIVE,
    )
