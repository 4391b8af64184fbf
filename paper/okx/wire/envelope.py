"""The envelopes of answers."""

from __future__ import annotations

from collections.abc import Sequence

Json = dict[str, object]

ALL_FAILED = "All operations failed"
SOME_FAILED = "Bulk operation partially succeeded."


def done(data: Sequence[object]) -> Json:
    """A successful answer."""
    return {"code": "0", "data": list(data), "msg": ""}


def failed(code: str, message: str) -> Json:
    """A refusal of the whole request."""
    return {"code": code, "data": [], "msg": message}


def turned_away(code: str, message: str) -> Json:
    """A request that did not get as far as being read: no data."""
    return {"msg": message, "code": code}


def operations(rows: Sequence[Json], in_us: int, out_us: int) -> Json:
    """The answer to orders, cancels and amends: each row has its own code."""
    wrong = sum(row["sCode"] != "0" for row in rows)
    code = "0" if not wrong else "1" if wrong == len(rows) else "2"
    message = {"0": "", "1": ALL_FAILED, "2": SOME_FAILED}[code]
    return {
        "code": code,
        "data": list(rows),
        "inTime": str(in_us),
        "msg": message,
        "outTime": str(out_us),
    }
