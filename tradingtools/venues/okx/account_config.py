"""The modes of an account and the permissions of its key, as `/account/config` tells them. Pure."""

from __future__ import annotations

import msgspec

from tradingtools.venues.okx.wire import WireError, decode_rows

_LEVELS = {
    "1": "Spot",
    "2": "Futures",
    "3": "Multi-currency margin",
    "4": "Portfolio margin",
}
_SUPPORTED = frozenset({"1", "2"})


class AccountConfig(msgspec.Struct, frozen=True, rename="camel"):
    """The account behind a key."""

    uid: str
    acct_lv: str
    pos_mode: str
    perm: str
    main_uid: str = ""

    @property
    def permissions(self) -> frozenset[str]:
        """Return the key's permissions."""
        return frozenset(part.strip() for part in self.perm.split(",") if part.strip())


_CONFIGS = msgspec.json.Decoder(list[AccountConfig])


def read_config(data: msgspec.Raw) -> AccountConfig:
    """Return the account of an answer. Raises WireError."""
    rows = decode_rows(data, _CONFIGS)
    if len(rows) != 1:
        raise WireError(f"an answer has {len(rows)} accounts")
    return rows[0]


def refusals(config: AccountConfig) -> tuple[str, ...]:
    """Return why an account cannot be traded here; empty: it can."""
    found = []
    if config.acct_lv not in _SUPPORTED:
        name = _LEVELS.get(config.acct_lv, config.acct_lv)
        found.append(f"account mode is {name}: it must be Spot or Futures")
    if config.pos_mode != "net_mode":
        found.append(f"position mode is {config.pos_mode}: it must be net_mode")
    if "withdraw" in config.permissions:
        found.append("the key may withdraw: it must not")
    if "trade" not in config.permissions:
        found.append("the key may not trade")
    return tuple(found)
