"""From what a caller wrote to values that may be stored: canonical ids, micros, cross-field rules.

The contracts' patterns have been checked before; here text becomes exact integers, and what no
pattern can say is refused with the field's path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from tradingtools.domain import ids, money
from tradingtools.domain.copy_settings import (
    CopySettings,
    DoubtfulBook,
    StartMode,
    Tier,
    from_json,
    to_json,
)
from tradingtools.domain.errors import InvalidField
from tradingtools.domain.order import Follower
from tradingtools.domain.trigger_types import Rung, TriggerType

MAX_RATIO_MICROS = 100 * money.MICROS
_ETAG = re.compile('"([1-9][0-9]{0,17})"')
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,128}")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerTerms:
    """When a trigger fires and for how much; None: absent. Amounts in micros."""

    price_micros: int | None = None
    size_micros: int | None = None
    """Shares; None: whatever the lot holds."""
    callback_micros: int | None = None
    callback_ppm: int | None = None
    fire_at_ms: int | None = None
    rungs: tuple[Rung, ...] | None = None
    break_even: bool | None = None
    two_ticks: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualLot:
    """What a follower says to have bought by hand, and who the follower is."""

    user_id: str
    wallet_id: str
    held_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrigger:
    """A trigger to be made."""

    wallet: str
    condition_id: str
    asset_id: str
    trigger_type: TriggerType
    terms: TriggerTerms
    origin: str
    """The subscription, or MANUAL."""
    manual: ManualLot | None = None


def refuse(field: str, expected: str) -> InvalidField:
    """The error for a field: its path in camelCase, and what was expected."""
    return InvalidField(f"{field}: expected {expected}", field=field, expected=expected)


def amount(text: str, field: str) -> int:
    """Decimal text to micros, zero or more. Raises InvalidField."""
    try:
        micros = money.parse_exact(text)
    except money.AmountError as error:
        raise InvalidField(f"{field}: {error}", field=field, expected="a decimal string") from None
    if micros < 0:
        raise refuse(field, "zero or more")
    return micros


def optional_amount(text: str | None, field: str) -> int | None:
    """As ``amount``; absent stays absent."""
    return None if text is None else amount(text, field)


def canonical(parse: Callable[[str], str], text: str, field: str) -> str:
    """An id in its one spelling. Raises InvalidField."""
    try:
        return parse(text)
    except ids.IdError as error:
        raise InvalidField(f"{field}: {error}", field=field, expected=str(error)) from None


def fixed_amount(text: str, field: str) -> int:
    """The same USDC for each copy, micros: more than zero."""
    micros = amount(text, field)
    if micros == 0:
        raise refuse(field, "more than 0")
    return micros


def factor(text: str, field: str) -> int:
    """A factor in micros: more than zero, at most 100."""
    micros = amount(text, field)
    if not 0 < micros <= MAX_RATIO_MICROS:
        raise refuse(field, "more than 0 and at most 100")
    return micros


def fraction(text: str | None, field: str) -> int | None:
    """A price or a fraction in micros: 0 to 1; absent stays absent."""
    micros = optional_amount(text, field)
    if micros is not None and micros > money.MICROS:
        raise refuse(field, "at most 1")
    return micros


def ascending(tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """Tiers as given; each must begin above the one before."""
    for number, (before, after) in enumerate(pairwise(tiers), 1):
        if after.from_micros <= before.from_micros:
            raise refuse(f"sizing.tiers.tiers[{number}].fromNotional", "more than the one before")
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
        raise refuse("filters.minPrice", "at most filters.maxPrice")
    waits = made.on_doubtful_book is DoubtfulBook.WAIT
    if made.doubtful_book_wait_ms is not None and not waits:
        raise refuse("limits.doubtfulBookWaitMs", "onDoubtfulBook DOUBTFUL_BOOK_WAIT beside it")
    return made


def new_subscription(
    *,
    follower: Follower,
    leader: str,
    groups: Iterable[Group],
    shadow: bool,
    start: StartMode = StartMode.BASELINE,
) -> NewSubscription:
    """Check the fields against each other; a wallet cannot follow itself."""
    proxy = canonical(ids.wallet, follower.proxy, "follower.followerProxy")
    leader = canonical(ids.wallet, leader, "leader")
    if leader == proxy:
        raise refuse("leader", "another wallet than the follower's")
    if shadow and start is not StartMode.BASELINE:
        raise refuse("start", "START_MODE_BASELINE for a shadow: it buys nothing")
    given = tuple(groups)
    columns: dict[str, object] = {}
    for group in given:
        columns |= group.columns
    return NewSubscription(
        follower=Follower(user_id=follower.user_id, wallet_id=follower.wallet_id, proxy=proxy),
        leader=leader,
        columns=columns,
        settings=settings_of(CopySettings(shadow=shadow, start=start), given),
    )


def within_one(text: str | None, field: str) -> int | None:
    """A price or fraction between 0 and 1, both excluded, in micros; absent stays absent."""
    micros = optional_amount(text, field)
    if micros is not None and not 0 < micros < money.MICROS:
        raise refuse(field, "more than 0 and less than 1")
    return micros


def trigger_size(text: str | None) -> int | None:
    """Shares to sell in micros, more than zero; absent: whatever the lot holds."""
    micros = optional_amount(text, "size")
    if micros == 0:
        raise refuse("size", "more than 0, or absent for the whole lot")
    return micros


def idempotency_key(text: str) -> str:
    """The Idempotency-Key header's value; raises InvalidField."""
    if not _IDEMPOTENCY_KEY.fullmatch(text):
        raise refuse("Idempotency-Key", "1 to 128 visible ASCII characters")
    return text


def if_match(text: str) -> int:
    """The version in an If-Match header, one quoted number as an ETag is; raises InvalidField."""
    found = _ETAG.fullmatch(text)
    if found is None:
        raise refuse("If-Match", 'one ETag as it was answered, such as "3"')
    return int(found[1])
