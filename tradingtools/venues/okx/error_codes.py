"""The codes of OKX and what each of them has us do: one table for `code` and `sCode`. Pure.

A row says what an answer with that code proves. Only a code of this table proves anything: one
that is not here is UNKNOWN, and an order it was about is looked up, never sent again.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto


class Action(Enum):
    """The conclusion from an answer."""

    DONE = auto()
    """Taken. Of a cancel and an amend: received; whether it was done is told by the order."""
    SOME = auto()
    """Each row has a code of its own, which counts."""
    LATER = auto()
    """Provably not taken: a limit of requests. It may go again after a pause, before its time."""
    CLOCK = auto()
    """Provably not taken: our time is off. The offset is measured, then it may go again."""
    EXPIRED = auto()
    """Provably not taken: its `expTime` had passed."""
    REFUSE = auto()
    """Provably not taken, and the same request never will be."""
    FUNDS = auto()
    """Provably not taken: money or margin is missing."""
    LIMIT = auto()
    """Provably not taken: an amount, a price or a count is beyond a limit of the venue."""
    INSTRUMENT = auto()
    """Provably not taken: the instrument is not trading. Instruments are read again."""
    ACCOUNT = auto()
    """Provably not taken: the account is frozen, restricted or in another mode. A person."""
    CREDENTIALS = auto()
    """Provably not taken: the key is wrong or may not do this. Nothing more is sent; a person."""
    ENDED = auto()
    """The order is not there any more: cancel or amend came too late. It is read how it ended."""
    READ = auto()
    """Proves nothing: it may have been done. Resolved by reading alone."""
    RECONNECT = auto()
    """The connection is about to end: a new one, subscribed and read before it is trusted."""


ROWS: dict[str, tuple[Action, str]] = {
    "0": (Action.DONE, "done"),
    "1": (Action.SOME, "every row failed"),
    "2": (Action.SOME, "some rows failed"),
    # General.
    "4088": (Action.ACCOUNT, "identity has to be verified again"),
    "50000": (Action.REFUSE, "body is empty"),
    "50001": (Action.READ, "service unavailable"),
    "50002": (Action.REFUSE, "body is not JSON"),
    "50004": (Action.READ, "endpoint timed out"),
    "50005": (Action.READ, "API offline"),
    "50006": (Action.REFUSE, "content type is not JSON"),
    "50007": (Action.ACCOUNT, "account blocked"),
    "50008": (Action.CREDENTIALS, "user does not exist"),
    "50009": (Action.ACCOUNT, "account suspended by a liquidation"),
    "50010": (Action.REFUSE, "user id is empty"),
    "50011": (Action.LATER, "too many requests"),
    "50012": (Action.ACCOUNT, "account status invalid"),
    "50013": (Action.READ, "system busy"),
    "50014": (Action.REFUSE, "parameter is empty"),
    "50015": (Action.REFUSE, "one of two parameters is required"),
    "50016": (Action.REFUSE, "parameters do not match"),
    "50017": (Action.ACCOUNT, "position frozen by auto-deleveraging"),
    "50018": (Action.ACCOUNT, "currency frozen by auto-deleveraging"),
    "50019": (Action.ACCOUNT, "account frozen by auto-deleveraging"),
    "50020": (Action.ACCOUNT, "position frozen by a liquidation"),
    "50021": (Action.ACCOUNT, "currency frozen by a liquidation"),
    "50022": (Action.ACCOUNT, "account frozen by a liquidation"),
    "50023": (Action.INSTRUMENT, "funding is being settled"),
    "50024": (Action.REFUSE, "two parameters exclude each other"),
    "50025": (Action.REFUSE, "too many values of a parameter"),
    "50026": (Action.READ, "system error"),
    "50027": (Action.ACCOUNT, "account may not trade"),
    "50028": (Action.ACCOUNT, "orders are not taken"),
    "50035": (Action.CREDENTIALS, "API key has to be bound to an address"),
    "50036": (Action.EXPIRED, "expTime is in the past"),
    "50037": (Action.REFUSE, "expTime is too far ahead"),
    "50038": (Action.REFUSE, "not in demo trading"),
    "50039": (Action.REFUSE, "parameter before is not supported"),
    "50040": (Action.LATER, "too frequent"),
    "50044": (Action.REFUSE, "broker type is missing"),
    "50061": (Action.LATER, "orders of the sub-account: limit reached"),
    "50062": (Action.REFUSE, "feature unavailable"),
    "50071": (Action.READ, "client order id exists"),
    # The key and its headers.
    "50100": (Action.CREDENTIALS, "API frozen"),
    "50101": (Action.CREDENTIALS, "key is of another environment"),
    "50102": (Action.CLOCK, "timestamp expired"),
    "50103": (Action.CREDENTIALS, "OK-ACCESS-KEY is empty"),
    "50104": (Action.CREDENTIALS, "OK-ACCESS-PASSPHRASE is empty"),
    "50105": (Action.CREDENTIALS, "OK-ACCESS-PASSPHRASE is wrong"),
    "50106": (Action.CREDENTIALS, "OK-ACCESS-SIGN is empty"),
    "50107": (Action.CREDENTIALS, "OK-ACCESS-TIMESTAMP is empty"),
    "50108": (Action.CREDENTIALS, "exchange id does not exist"),
    "50109": (Action.CREDENTIALS, "exchange domain does not exist"),
    "50110": (Action.CREDENTIALS, "address is not on the key's list"),
    "50111": (Action.CREDENTIALS, "OK-ACCESS-KEY is wrong"),
    "50112": (Action.CLOCK, "OK-ACCESS-TIMESTAMP is wrong"),
    "50113": (Action.CREDENTIALS, "signature is wrong"),
    "50114": (Action.CREDENTIALS, "authorization is wrong"),
    "50115": (Action.REFUSE, "request method is wrong"),
    "50119": (Action.CREDENTIALS, "key does not exist"),
    "50120": (Action.CREDENTIALS, "key may not do this"),
    "50121": (Action.CREDENTIALS, "key may not be used from here"),
    # Placing.
    "51000": (Action.REFUSE, "parameter is wrong"),
    "51001": (Action.INSTRUMENT, "instrument does not exist"),
    "51002": (Action.INSTRUMENT, "instrument is not of this index"),
    "51003": (Action.REFUSE, "ordId or clOrdId is required"),
    "51004": (Action.LIMIT, "amount above the tier's limit"),
    "51005": (Action.LIMIT, "amount above the limit"),
    "51006": (Action.LIMIT, "price outside the limits"),
    "51007": (Action.REFUSE, "less than one contract"),
    "51008": (Action.FUNDS, "balance or margin is missing"),
    "51009": (Action.ACCOUNT, "placing is blocked"),
    "51010": (Action.ACCOUNT, "account is in another mode"),
    "51011": (Action.READ, "ordId exists"),
    "51012": (Action.INSTRUMENT, "token does not exist"),
    "51014": (Action.INSTRUMENT, "index does not exist"),
    "51015": (Action.REFUSE, "instrument is not of this type"),
    "51016": (Action.READ, "clOrdId exists"),
    "51017": (Action.LIMIT, "borrowing above the limit"),
    "51018": (Action.ACCOUNT, "no net short positions"),
    "51019": (Action.ACCOUNT, "no net long positions"),
    "51020": (Action.REFUSE, "amount below the minimum"),
    "51021": (Action.INSTRUMENT, "not listed yet"),
    "51022": (Action.INSTRUMENT, "suspended"),
    "51023": (Action.REFUSE, "position does not exist"),
    "51024": (Action.ACCOUNT, "trading account blocked"),
    "51025": (Action.LIMIT, "too many orders"),
    "51026": (Action.INSTRUMENT, "type is not of this index"),
    "51027": (Action.INSTRUMENT, "expired"),
    "51028": (Action.INSTRUMENT, "under delivery"),
    "51029": (Action.INSTRUMENT, "being settled"),
    "51030": (Action.INSTRUMENT, "funding is being settled"),
    "51031": (Action.LIMIT, "price outside the closing range"),
    "51032": (Action.ACCOUNT, "all positions are being closed"),
    "51033": (Action.LIMIT, "amount of the pair at its limit"),
    "51037": (Action.ACCOUNT, "only orders that lower the risk"),
    "51038": (Action.ACCOUNT, "an order that lowers the risk is there"),
    "51039": (Action.ACCOUNT, "leverage is fixed in this mode"),
    "51040": (Action.ACCOUNT, "margin of long options is fixed"),
    "51041": (Action.ACCOUNT, "position mode must be net"),
    "51044": (Action.REFUSE, "order type takes no stop"),
    "51046": (Action.REFUSE, "take-profit below the order's price"),
    "51047": (Action.REFUSE, "stop-loss above the order's price"),
    "51048": (Action.REFUSE, "take-profit above the order's price"),
    "51049": (Action.REFUSE, "stop-loss below the order's price"),
    "51050": (Action.REFUSE, "take-profit below the best ask"),
    "51051": (Action.REFUSE, "stop-loss above the best ask"),
    "51052": (Action.REFUSE, "take-profit above the best bid"),
    "51053": (Action.REFUSE, "stop-loss below the best bid"),
    "51054": (Action.READ, "request timed out"),
    "51056": (Action.REFUSE, "not allowed"),
    "51058": (Action.REFUSE, "no position"),
    "51100": (Action.REFUSE, "amount below the minimum"),
    "51101": (Action.LIMIT, "amount of one order above the limit"),
    "51102": (Action.LIMIT, "too many pending orders"),
    "51103": (Action.LIMIT, "too many pending orders of the index"),
    "51104": (Action.LIMIT, "pending amount of the index above the limit"),
    "51105": (Action.LIMIT, "amount of the contract above the limit"),
    "51106": (Action.LIMIT, "amount of the index above the limit"),
    "51107": (Action.LIMIT, "holding above the limit"),
    "51108": (Action.LIMIT, "position too large to close at market"),
    "51109": (Action.LIMIT, "no offer"),
    "51110": (Action.INSTRUMENT, "only limit orders once the auction begins"),
    "51111": (Action.REFUSE, "batch is too long"),
    "51112": (Action.LIMIT, "more to close than is available"),
    "51113": (Action.LATER, "closing at market too frequent"),
    "51115": (Action.REFUSE, "pending closing orders are in the way"),
    "51116": (Action.LIMIT, "price above the limit"),
    "51117": (Action.LIMIT, "too many pending closing orders"),
    "51118": (Action.REFUSE, "amount below the minimum of one order"),
    "51119": (Action.FUNDS, "balance is missing"),
    "51120": (Action.REFUSE, "quantity below the minimum"),
    "51121": (Action.REFUSE, "quantity is no multiple of the lot"),
    "51122": (Action.LIMIT, "price below the minimum"),
    "51124": (Action.INSTRUMENT, "only limit orders in the auction"),
    "51125": (Action.REFUSE, "pending orders that reduce and reverse"),
    "51126": (Action.REFUSE, "pending orders that reduce"),
    "51127": (Action.FUNDS, "available balance is 0"),
    "51128": (Action.ACCOUNT, "account is in another mode"),
    "51129": (Action.LIMIT, "position and orders at their limit"),
    "51130": (Action.REFUSE, "margin currency is wrong"),
    "51131": (Action.FUNDS, "balance is missing"),
    "51132": (Action.LIMIT, "position below the minimum"),
    "51133": (Action.ACCOUNT, "reduce-only is not for spot in this mode"),
    "51134": (Action.LIMIT, "nothing left to close"),
    "51135": (Action.LIMIT, "closing price above the limit"),
    "51136": (Action.LIMIT, "closing price below the limit"),
    "51137": (Action.LIMIT, "opening price above the limit"),
    "51138": (Action.LIMIT, "opening price below the limit"),
    "51139": (Action.ACCOUNT, "reduce-only is not for spot in this mode"),
    "51145": (Action.ACCOUNT, "isolated margin is moved by hand"),
    "51147": (Action.ACCOUNT, "equity too small for options"),
    "51148": (Action.LIMIT, "reduce-only would enlarge the position"),
    "51149": (Action.READ, "order timed out"),
    "51150": (Action.REFUSE, "too many decimals"),
    "51156": (Action.ACCOUNT, "lead trader in another mode"),
    "51159": (Action.ACCOUNT, "lead trader holds the other direction"),
    "51162": (Action.ACCOUNT, "lead trader has open orders"),
    "51163": (Action.ACCOUNT, "lead trader holds positions"),
    "51166": (Action.ACCOUNT, "not for lead traders"),
    "51169": (Action.LIMIT, "no position in this direction to close"),
    "51174": (Action.LIMIT, "too many pending orders"),
    "51185": (Action.LIMIT, "order's value above the limit"),
    "51201": (Action.LIMIT, "value of a market order above the limit"),
    "51202": (Action.LIMIT, "amount of a market order above the limit"),
    "51203": (Action.LIMIT, "amount above the limit"),
    "51204": (Action.REFUSE, "price of a limit order is empty"),
    "51205": (Action.REFUSE, "reduce-only is not available"),
    "51206": (Action.REFUSE, "a reduce-only order is in the way"),
    # Cancelling.
    "51400": (Action.ENDED, "cancel: order does not exist"),
    "51401": (Action.ENDED, "cancel: order is cancelled"),
    "51402": (Action.ENDED, "cancel: order is filled"),
    "51403": (Action.REFUSE, "cancel: order type cannot be cancelled"),
    "51404": (Action.INSTRUMENT, "cancel: not in this phase of the auction"),
    "51405": (Action.ENDED, "cancel: no pending orders"),
    "51406": (Action.REFUSE, "cancel: too many orders"),
    "51407": (Action.REFUSE, "cancel: ordId or clOrdId is required"),
    "51408": (Action.REFUSE, "cancel: instrument is another one"),
    "51409": (Action.REFUSE, "cancel: instrument is required"),
    "51410": (Action.READ, "cancel: is under way"),
    "51411": (Action.CREDENTIALS, "mass cancel is not permitted"),
    "51412": (Action.ENDED, "cancel: order was triggered"),
    "51413": (Action.REFUSE, "cancel: order type is of another path"),
    "51415": (Action.REFUSE, "trigger by the last price alone"),
    # Amending.
    "51500": (Action.REFUSE, "amend: price or size is required"),
    "51501": (Action.REFUSE, "amend: too many orders"),
    "51502": (Action.FUNDS, "amend: margin is missing"),
    "51503": (Action.ENDED, "amend: order does not exist"),
    "51506": (Action.REFUSE, "amend: not for this order type"),
    "51508": (Action.INSTRUMENT, "amend: not in the auction"),
    "51509": (Action.ENDED, "amend: order is cancelled"),
    "51510": (Action.ENDED, "amend: order is filled"),
    "51511": (Action.LIMIT, "amend: post-only would take"),
    "51512": (Action.REFUSE, "amend: an order twice in a batch"),
    "51513": (Action.LATER, "amend: three are under way"),
    # Reading.
    "51600": (Action.REFUSE, "status not found"),
    "51601": (Action.REFUSE, "status and ordId exclude each other"),
    "51602": (Action.REFUSE, "status or ordId is required"),
    "51603": (Action.ENDED, "order does not exist"),
    "51607": (Action.LATER, "file is being made"),
    "51732": (Action.ACCOUNT, "identity is not verified far enough"),
    "51733": (Action.ACCOUNT, "under risk control"),
    "51734": (Action.ACCOUNT, "country is not supported"),
    "51735": (Action.ACCOUNT, "not for sub-accounts"),
    "51736": (Action.FUNDS, "balance is missing"),
    "52000": (Action.DONE, "no updates"),
    # Spot and margin.
    "54000": (Action.INSTRUMENT, "margin trading unavailable"),
    "54001": (Action.ACCOUNT, "borrowing is of another mode"),
    "54008": (Action.ACCOUNT, "stopped by a mass cancel"),
    "54009": (Action.REFUSE, "outside the range"),
    "54011": (Action.INSTRUMENT, "pre-market: only reducing before delivery"),
    "54084": (Action.LIMIT, "slippage above the limit"),
    "54085": (Action.REFUSE, "slippage limit outside the range"),
    # Settings of the account.
    "59000": (Action.REFUSE, "positions or orders are open"),
    "59001": (Action.REFUSE, "borrowings are open"),
    "59004": (Action.REFUSE, "instruments of different types"),
    "59005": (Action.REFUSE, "first margin is too small"),
    "59100": (Action.REFUSE, "leverage: positions are open"),
    "59101": (Action.REFUSE, "leverage: isolated orders are open"),
    "59102": (Action.LIMIT, "leverage above the maximum"),
    "59103": (Action.FUNDS, "leverage too low for the margin"),
    "59104": (Action.LIMIT, "leverage too high for what is borrowed"),
    "59105": (Action.LIMIT, "leverage below the minimum"),
    "59106": (Action.LIMIT, "margin above the tier"),
    "59107": (Action.REFUSE, "leverage: cross orders are open"),
    "59108": (Action.FUNDS, "leverage too low for the margin"),
    "59109": (Action.FUNDS, "equity below the margin afterwards"),
    "59110": (Action.REFUSE, "tgtCcy is not for this type"),
    "59111": (Action.ACCOUNT, "leverage is of another mode"),
    "59112": (Action.REFUSE, "leverage: orders are open"),
    "59200": (Action.FUNDS, "balance is missing"),
    "59201": (Action.FUNDS, "balance is negative"),
    "59216": (Action.ENDED, "position does not exist"),
    "59300": (Action.ENDED, "margin: position does not exist"),
    "59301": (Action.LIMIT, "margin above the limit"),
    "59302": (Action.REFUSE, "margin: closing orders are open"),
    "59401": (Action.LIMIT, "holdings at their limit"),
    "59402": (Action.INSTRUMENT, "no instrument is live"),
    "59506": (Action.CREDENTIALS, "key does not exist"),
    "59508": (Action.ACCOUNT, "sub-account is suspended"),
    # Sockets.
    "60001": (Action.CREDENTIALS, "login: key is empty"),
    "60002": (Action.CREDENTIALS, "login: signature is empty"),
    "60003": (Action.CREDENTIALS, "login: passphrase is empty"),
    "60004": (Action.CLOCK, "login: timestamp is wrong"),
    "60005": (Action.CREDENTIALS, "login: key is wrong"),
    "60006": (Action.CLOCK, "login: timestamp expired"),
    "60007": (Action.CREDENTIALS, "login: signature is wrong"),
    "60008": (Action.REFUSE, "login is not for public channels"),
    "60009": (Action.CREDENTIALS, "login failed"),
    "60010": (Action.DONE, "logged in already"),
    "60011": (Action.RECONNECT, "not logged in"),
    "60012": (Action.REFUSE, "request is illegal"),
    "60013": (Action.REFUSE, "arguments are wrong"),
    "60014": (Action.LATER, "too many requests"),
    "60015": (Action.RECONNECT, "closed after 30 seconds of silence"),
    "60016": (Action.RECONNECT, "buffer is full"),
    "60017": (Action.REFUSE, "path is wrong"),
    "60018": (Action.REFUSE, "channel does not exist"),
    "60019": (Action.REFUSE, "op is wrong"),
    "60020": (Action.LIMIT, "too many subscriptions of the key"),
    "60021": (Action.REFUSE, "not for several accounts"),
    "60022": (Action.CREDENTIALS, "some logins failed"),
    "60023": (Action.LATER, "too many logins"),
    "60024": (Action.CREDENTIALS, "login: passphrase is wrong"),
    "60025": (Action.LIMIT, "too many subscriptions of the token"),
    "60026": (Action.REFUSE, "key and token exclude each other"),
    "60027": (Action.REFUSE, "parameter is empty"),
    "60028": (Action.REFUSE, "not on this path"),
    "60029": (Action.CREDENTIALS, "channel wants a higher tier"),
    "60030": (Action.CREDENTIALS, "channel wants a higher tier"),
    "60031": (Action.REFUSE, "not for several accounts"),
    "60032": (Action.CREDENTIALS, "key does not exist"),
    "63999": (Action.READ, "internal error"),
    "64000": (Action.REFUSE, "parameter uly is gone"),
    "64001": (Action.REFUSE, "channel is on the business path"),
    "64002": (Action.REFUSE, "channel is not on the business path"),
    "64003": (Action.CREDENTIALS, "channel wants a higher tier"),
    "64008": (Action.RECONNECT, "service upgrade, the connection ends"),
    # Reasons of a closed socket.
    "1009": (Action.RECONNECT, "closed: message too long"),
    "4001": (Action.CREDENTIALS, "closed: login failed"),
    "4002": (Action.RECONNECT, "closed: request is wrong"),
    "4003": (Action.RECONNECT, "closed: more than 100 subscriptions"),
    "4004": (Action.RECONNECT, "closed after 30 seconds of silence"),
    "4005": (Action.RECONNECT, "closed: buffer is full"),
    "4006": (Action.RECONNECT, "closed"),
    "4007": (Action.CREDENTIALS, "closed: key was changed or deleted"),
    "4008": (Action.RECONNECT, "closed: too many subscriptions"),
}
"""The conclusion and a few words, by the code."""

UNUSED: tuple[tuple[int, int, str], ...] = (
    (51072, 51074, "orders of spot lead traders"),
    (51090, 51099, "take-profit and stop-loss attached to an order"),
    (51250, 51371, "algo orders and trading bots"),
    (55100, 55199, "trading bots"),
    (56000, 56099, "block trades"),
    (58000, 58399, "funding account, transfers and withdrawals"),
    (59128, 59128, "lead traders"),
    (59260, 59263, "lead traders"),
    (59303, 59313, "borrowing"),
    (59410, 59414, "borrowing"),
    (59500, 59505, "administration of keys"),
    (59507, 59507, "transfers between sub-accounts"),
    (59509, 59699, "brokers and sub-accounts"),
    (70000, 70599, "block trades"),
)
"""Ranges of documented codes of paths that are never called here, both ends included."""

NOT_TAKEN = frozenset(
    {
        Action.LATER,
        Action.CLOCK,
        Action.EXPIRED,
        Action.REFUSE,
        Action.FUNDS,
        Action.LIMIT,
        Action.INSTRUMENT,
        Action.ACCOUNT,
        Action.CREDENTIALS,
    }
)
"""Each proves that nothing was done."""
AGAIN = frozenset({Action.LATER, Action.CLOCK})
"""Each allows the same request once more, before its time."""


def action_of(code: str) -> Action:
    """Return what is done about a code; of one that is not in the table, READ."""
    row = ROWS.get(code)
    return row[0] if row is not None else Action.READ


def meaning_of(code: str) -> str:
    """Return a few words of our own about a code, for a person."""
    row = ROWS.get(code)
    if row is not None:
        return row[1]
    return next((what for low, high, what in UNUSED if _within(code, low, high)), "not documented")


def documented() -> Iterator[str]:
    """Yield every code that has a row."""
    yield from ROWS


def _within(code: str, low: int, high: int) -> bool:
    return code.isdecimal() and len(code) <= 6 and low <= int(code) <= high
