"""Two persons for what moves money by hand: the second one makes the very same call.

Before it: a call on the internal port that may be made. After it: the call is carried out, or its
caller is told that somebody else has to ask for it, too.
"""

from __future__ import annotations

import hashlib

from google.protobuf.message import Message

from services.control.auth.tokens import Caller
from services.control.store import Store, queries
from tradingtools.domain.errors import WrongState

_SQL = queries("operators/approvals")


class Approvals:
    """Requests of one person that a second one has to approve.

    Args:
        store: of control.
        desired: False: one person is enough.
    """

    def __init__(self, store: Store, *, desired: bool) -> None:
        self._store = store
        self._desired = desired

    async def require(self, by: Caller, kind: str, subject: str, request: Message) -> None:
        """Let a call on that two persons have made; whoever repeats it then is let on as well.

        Args:
            by: whose token it is.
            kind: of what it changes, for the audit.
            subject: what it changes.
            request: the same, byte for byte, of both.

        Raises:
            WrongState: nobody else has asked for it within an hour, or the caller is a user whom
                somebody else made, changed or gave a password within a day.
        """
        if not self._desired:
            return
        requested = request.SerializeToString(deterministic=True)
        digest = hashlib.sha256(requested).digest()
        named = {"kind": kind, "digest": digest}
        reported = {"by": by.id, "request": digest.hex()}
        async with self._store.change(by, "grpc: token") as change:
            # An admin could make his own second person.
            judged = await change.row(_SQL["newcomer"], by=by.id)
            if judged is not None and judged["newcomer"]:
                raise WrongState(
                    "another user made or changed this one, or reset its password, within a day:"
                    " it neither asks nor approves until then",
                    kind=kind, id=subject, state="ASKED",
                )  # fmt: skip
            known = await change.row(_SQL["present"], **named)
            if known is not None and known["approved_by"] is not None:
                return
            if known is None:
                await change.rows(_SQL["ask"], **named, by=by.id)
                await change.record("ask", kind, subject, before=None, after=reported)
            elif known["asked_by"] != by.id and _same_kind(known["asked_by"], by.id):
                await change.rows(_SQL["approve"], **named, by=by.id)
                before = {"by": known["asked_by"], "request": digest.hex()}
                await change.record("approve", kind, subject, before=before, after=reported)
                return
        raise WrongState(
            "a second person has to make the same call within an hour: two users, or two tokens of"
            " other ids",
            kind=kind, id=subject, state="ASKED",
        )  # fmt: skip


def _same_kind(one: str, other: str) -> bool:
    """Judge whether both are users, or both tokens: whoever holds a token may be a user, too."""
    return one.startswith("@") == other.startswith("@")
