"""Word what a contract expects of a field: protovalidate's own are patterns of characters.

A pattern has words in one table, the rest of the rules says them itself, so that a new field needs
none of its own. Whoever adds a pattern adds its words; a test finds the one without.

Before it: a field's rules, or a violation of them (`validation`). After it: ``expected`` of
INVALID_FIELD.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from buf.validate import validate_pb2
from tradingtools.rpc import validation
from tradingtools.rpc.validation import Violation

REQUIRED = "is required"
_DECIMAL = "a decimal string in quotes, such as"
_UP_TO_78 = 'a string of up to 78 digits, such as "7132"'
_NAME = "a name of a to z, digits and -, up to 63"
_HASH = "0x and 64 hex digits"
_WALLET = "a wallet: 0x and 40 hex digits"
_KEY = "the keyId of GET /sealing-key, 32 hex digits"
_INSTRUMENT = 'an exchange and its name there, such as "okx:BTC-USDT-SWAP"'
_EXCHANGE = '"okx" or "polymarket"'
_USER = "a name of 1 to 30 of a to z, digits, dot and -"
PATTERNS = {
    "^[1-9][0-9]{0,77}$": _UP_TO_78,
    "^[!-~]+$": "visible ASCII only",
    "^[!-~]{1,128}$": "1 to 128 characters, visible ASCII only",
    "^0x[0-9a-fA-F]{40}$": _WALLET,
    "^(0x[0-9a-fA-F]{40})?$": f"{_WALLET}; or empty",
    "^0x[0-9a-fA-F]{64}$": _HASH,
    "^(0x[0-9a-fA-F]{64})?$": f"{_HASH}; or empty",
    "^(0x[0-9a-fA-F]{40}|0x[0-9a-fA-F]{64})?$": "0x and 40 or 64 hex digits; or empty",
    "^[0-9a-f]{64}$": "64 hex digits, lower case",
    "^([0-9a-f]{64})?$": "next_page_token of the page before; or empty",
    "^([1-9][0-9]{0,17})?$": "next_page_token of the page before; or empty",
    "^sub_[0-9a-f]{32}$": "sub_ and 32 hex digits",
    "^(sub_[0-9a-f]{32})?$": "sub_ and 32 hex digits; or empty",
    "^rsy_[0-9a-f]{32}$": "rsy_ and 32 hex digits",
    "^prf_[0-9a-f]{32}$": "prf_ and 32 hex digits",
    "^(sub_[0-9a-f]{32}:[0-9]{1,78}:(BUY|SELL))?$": "next_page_token of the page before; or empty",
    "^trg_[0-9a-f]{32}$": "trg_ and 32 hex digits",
    "^(sell)?$": '"sell", or empty',
    "^[A-Z_]{0,64}$": "a reason code: A to Z and _, up to 64; or empty",
    "^[A-Z_]{1,32}$": "a rule: A to Z and _, 1 to 32",
    "^[a-z]{0,20}$": "a to z, up to 20; or empty",
    "^[a-z][a-z-]{0,49}$": "a to z and -, up to 50",
    "^[a-z][a-z0-9-]{0,62}$": _NAME,
    "^([a-z][a-z0-9-]{0,62})?$": f"{_NAME}; or empty",
    "^[0-9]{0,19}$": "up to 19 digits",
    r"^[a-z]{1,20}\.([a-z_]{1,40}|[*])$": 'a type of event, such as "order.filled" or "order.*"',
    r"^([a-z]{1,20}\.([a-z_]{1,40}|[*])|[*]\.[*])$": 'a type of event, "order.*", or "*.*" for all',
    "^https?://[!-~]+$": "a URL",
    "^whk_[0-9a-f]{32}$": "whk_ and 32 hex digits",
    "^wal_[0-9a-f]{32}$": "wal_ and 32 hex digits",
    "^(wal_[0-9a-f]{32})?$": "wal_ and 32 hex digits, or empty",
    "^usr_[0-9a-f]{32}$": "usr_ and 32 hex digits",
    "^(usr_[0-9a-f]{32})?$": "usr_ and 32 hex digits; or empty",
    "^ses_[0-9a-f]{32}$": "ses_ and 32 hex digits",
    "^ttr_[0-9a-f]{64}$": "a refresh token: ttr_ and 64 hex digits",
    "^[a-z0-9][a-z0-9.-]{0,29}$": _USER,
    "^(okx|polymarket|none)$": f'{_EXCHANGE}, or "none" alone',
    "^(NEVER|SOLD|BUDGET)$": '"NEVER", "SOLD" or "BUDGET"',
    "^[a-z0-9]{12}$": "12 of a to z and digits",
    "^kil_[0-9a-f]{32}$": "kil_ and 32 hex digits",
    "^[a-z]+(-[0-9]{1,4})?$": 'an engine: a to z, and perhaps - and a number, such as "bots-2"',
    "^[a-z_]{1,40}$": "a strategy: a to z and _, up to 40",
    "^[a-z_]{0,40}$": "a strategy: a to z and _, up to 40; or empty",
    "^[a-z0-9]{1,32}$": "an order's id: a to z and digits, up to 32",
    "^[a-zA-Z0-9*:._-]{0,100}$": "its subject: letters, digits, *, :, dot, _ and -, up to 100",
    "^(okx|polymarket):[A-Za-z0-9_.-]{1,80}$": _INSTRUMENT,
    "^((okx|polymarket):[A-Za-z0-9_.-]{1,80})?$": f"{_INSTRUMENT}; or empty",
    "^[0-9a-f]{32}$": _KEY,
    "^([0-9a-f]{32})?$": f"{_KEY}; or empty",
    "^[A-Za-z0-9+/]+={0,2}$": "Base64",
    "^([A-Za-z0-9+/]+={0,2})?$": "Base64, or empty",
    "^(okx|polymarket)$": _EXCHANGE,
    "^(okx|polymarket)?$": f"{_EXCHANGE}, or empty",
    "^(live|demo)?$": '"live" or "demo", or empty',
    "^([a-z0-9-]{1,32})?$": "a to z, digits and -, up to 32; or empty",
    "^[a-zA-Z0-9][a-zA-Z0-9 ._-]{0,63}$": "1 to 64 of letters, digits, space, dot, _ and -",
    "^[a-z_.,*]{0,1000}$": 'types of events parted by commas, such as "order.*,copy.skipped"',
    "^[A-Za-z0-9._:-]{1,100}$": "1 to 100 of a to z, A to Z, digits, dot, _, : and -",
    "^[A-Za-z0-9._:-]{1,64}$": "1 to 64 of a to z, A to Z, digits, dot, _, : and -",
    "^[A-Za-z0-9._-]{1,64}$": "1 to 64 of a to z, A to Z, digits, dot, _ and -",
    "^[a-z0-9][a-z0-9 _-]{0,62}$": "a category: a to z, digits, space, _ and -, up to 63",
    "^([a-z0-9][a-z0-9 _-]{0,62})?$": "a category: a to z, digits, space, _ and -; or empty",
    r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$": f'{_DECIMAL} "25", 0 or more, at most six decimals',
    r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?$": f'{_DECIMAL} "25000", at most six decimals',
    r"^(0|[1-9][0-9]{0,5})(\.[0-9]{1,6})?$": f'{_DECIMAL} "1.2", 0 or more, less than a million',
    r"^[1-9][0-9]{0,2}(\.[0-9]{1,6})?$": f'{_DECIMAL} "4", at least 1 and at most 100',
    r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,6})?$": f'{_DECIMAL} "0.1", more than 0 and at most 100',
    r"^(0|[1-9][0-9]?)(\.[0-9]{1,6})?$": f'{_DECIMAL} "0.2", 0 or more and less than 100',
    r"^0(\.[0-9]{1,6})?$": f'{_DECIMAL} "0.02", 0 or more and less than 1',
    r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$": f'{_DECIMAL} "0.02", 0 to 1',
    r"^(0(\.[0-9]{1,6})?|1)$": f'{_DECIMAL} "0.25", 0 to 1',
    r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,18})?$": f'{_DECIMAL} "0.5", 0 or more, at most 18 decimals',
    r"^(0|1)(\.[0-9]{1,6})?$": f'{_DECIMAL} "0.5", 0 to 1',
    r"^0\.[0-9]{1,6}$": f'{_DECIMAL} "0.1", more than 0 and less than 1',
    r"^(0\.[0-9]{1,6})?$": f'{_DECIMAL} "0.1", more than 0 and less than 1',
    r"^(1|0\.[0-9]{1,6})?$": f'{_DECIMAL} "0.5", more than 0 and at most 1',
}
"""Every pattern of the contracts."""

_INTEGERS = {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64}


def violated(found: Violation) -> str:
    """Return what was expected where a request broke a rule."""
    if found.choice is not None:
        names = ", ".join(field.json_name for field in found.choice.fields)
        return f"{REQUIRED}: exactly one of {names}"
    if found.rule == validation.REQUIRED or found.field is None:
        return REQUIRED
    if found.rule == validation.MAX_ITEMS:
        return f"at most {found.bound} elements"
    if found.rule == validation.MIN_ITEMS:
        return f"at least {found.bound} elements"
    # Zero of a field without presence: nobody gave it, or as good as nobody.
    if not found.value and not found.field.has_presence and not found.field.is_repeated:
        return f"{REQUIRED}: {of(found.field)}"
    return of(found.field)


@cache
def of(field: FieldDescriptor) -> str:
    """Return what a value of the field, or each of its values, has to be; empty: anything of its
    type."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    if field.is_repeated:
        rules = rules.repeated.items
    kind = rules.WhichOneof("type")
    if field.enum_type is not None:
        return _names(field.enum_type, rules.enum)
    if kind == "string":
        return _string(rules.string)
    if kind is not None and _is_number(field):
        whole = "a whole number" if field.type in _INTEGERS else "a number"
        return f"{whole}{_range(getattr(rules, kind))}"
    return ""


def _names(enum: EnumDescriptor, rules: validate_pb2.EnumRules) -> str:
    allowed = getattr(rules, "in")
    names = [
        value.name
        for value in enum.values
        if (not allowed or value.number in allowed) and value.number not in rules.not_in
    ]
    return f"one of {', '.join(names)}"


def _string(rules: validate_pb2.StringRules) -> str:
    if getattr(rules, "in"):
        return f"one of {', '.join(getattr(rules, 'in'))}"
    low, high = rules.min_len, rules.max_len
    length = f"{low} to {high} characters" if low else f"at most {high} characters"
    pattern = PATTERNS.get(rules.pattern, f"what matches {rules.pattern}")
    return ", ".join([length] * bool(high) + [pattern] * bool(rules.pattern))


def _range(rules: Any) -> str:
    given = {rule.name: value for rule, value in rules.ListFields()}
    if "gte" in given and "lte" in given:
        zero = ", not 0" if 0 in given.get("not_in", ()) else ""
        return f" from {_plain(given['gte'])} to {_plain(given['lte'])}{zero}"
    words = {"gt": " more than", "gte": " of at least", "lt": " less than", "lte": " of at most"}
    return "".join(f"{words[name]} {_plain(given[name])}" for name in words if name in given)


def _plain(bound: float) -> str:
    return f"{bound:f}".rstrip("0").rstrip(".") if isinstance(bound, float) else str(bound)


def _is_number(field: FieldDescriptor) -> bool:
    return field.type in _INTEGERS or field.type == FieldDescriptor.TYPE_DOUBLE
