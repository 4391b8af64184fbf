"""Failures as people and scripts get them: one line that says what to do, and an exit status."""

from __future__ import annotations

import os
import traceback
from enum import IntEnum
from typing import Any


class Status(IntEnum):
    """Exit statuses; `tt help` lists them."""

    OK = 0
    NOT_WELL = 1
    """Something that was asked about is not as it should be."""
    USAGE = 2
    """The command line, or a value in it, was refused."""
    NOT_FOUND = 3
    NO_ACCESS = 4
    """The token is missing, wrong, or of too small a scope."""
    CONFLICT = 5
    """Somebody has changed it meanwhile, or its state forbids it."""
    UNREACHABLE = 6
    """No answer, or not now: a change may have happened."""
    NO_PLACE = 7
    """No run and no profile to talk to."""
    DECLINED = 8
    """The question was answered with no."""
    INTERNAL = 70
    """A defect of `tt`."""


MEANINGS = {
    Status.OK: "done",
    Status.NOT_WELL: "what was asked about is not well",
    Status.USAGE: "the command line or a value was refused",
    Status.NOT_FOUND: "not found",
    Status.NO_ACCESS: "the token is missing, wrong or of too small a scope",
    Status.CONFLICT: "changed meanwhile, or its state forbids it",
    Status.UNREACHABLE: "no answer; a change may have happened, all may be repeated",
    Status.NO_PLACE: "no run and no profile to talk to",
    Status.DECLINED: "asked, and answered with no",
    Status.INTERNAL: "a defect of tt",
}

_OF_HTTP = {
    400: Status.USAGE, 401: Status.NO_ACCESS, 403: Status.NO_ACCESS, 404: Status.NOT_FOUND,
    409: Status.CONFLICT, 412: Status.CONFLICT,
}  # fmt: skip
_OF_GRPC = {
    "INVALID_ARGUMENT": Status.USAGE, "UNAUTHENTICATED": Status.NO_ACCESS,
    "PERMISSION_DENIED": Status.NO_ACCESS, "NOT_FOUND": Status.NOT_FOUND,
    "ABORTED": Status.CONFLICT, "FAILED_PRECONDITION": Status.CONFLICT,
    "ALREADY_EXISTS": Status.CONFLICT,
}  # fmt: skip
_ADVICE = {
    Status.NO_ACCESS: "is the token the one of this engine, and of the right scope? `tt doctor`",
    Status.CONFLICT: "look at it again, then repeat",
    Status.UNREACHABLE: "is it running? `tt doctor` finds out what is wrong",
}


class Failure(Exception):
    """A failure of a kind that is known.

    Args:
        message: one line.
        status: of the process.
        advice: what to do; empty: that of the status.
        help_: the message is help, of many lines.
    """

    def __init__(
        self, message: str, status: Status, advice: str = "", *, help_: bool = False
    ) -> None:
        super().__init__(message)
        self.help = help_
        self.message = message
        self.status = status
        self.advice = advice or _ADVICE.get(status, "")

    def line(self) -> str:
        """Return the line for standard error; help, for a call without a command, is as it is."""
        if self.help:
            return self.message
        advice = f" ({self.advice})" if self.advice else ""
        # A server's words move no cursor.
        said = "".join(
            char if char.isprintable() else "?" for char in " ".join(self.message.split())
        )
        return f"tt: {said}{advice}\n"

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Return any exception as a failure; one that nobody knows is a defect."""
        if isinstance(error, Failure):
            return error
        name = type(error).__name__
        # By name: what raises them is imported only by who needs it.
        known = {
            "ApiError": _of_rest, "Unreachable": _of_silence, "_InactiveRpcError": _of_grpc,
            "_MultiThreadedRendezvous": _of_grpc,
        }.get(name)  # fmt: skip
        if known is not None:
            return known(error)
        if name == "Abort":
            return cls("nothing was done", Status.DECLINED)
        if hasattr(error, "format_message"):
            return _of_usage(error)
        if os.environ.get("TT_TRACEBACK"):
            traceback.print_exception(error)
        return cls(
            f"{name}: {error}", Status.INTERNAL,
            "a defect of tt; TT_TRACEBACK=1 shows where",
        )  # fmt: skip


def _of_rest(error: Any) -> Failure:
    field = error.metadata.get("field", "")
    status = _OF_HTTP.get(error.status, Status.UNREACHABLE)
    if error.reason == "WRONG_STATE":
        status = Status.CONFLICT
    text = error.message if not field or field in error.message else f"{field}: {error.message}"
    if error.status >= 500 and "incident" in error.metadata:
        text += f", incident {error.metadata['incident']}"
    return Failure(f"{text} [{error.status} {error.reason}]", status)


def _of_silence(error: Any) -> Failure:
    return Failure(f"no answer: {error}", Status.UNREACHABLE)


def _of_grpc(error: Any) -> Failure:
    code = error.code().name
    status = _OF_GRPC.get(code, Status.UNREACHABLE)
    return Failure(f"operators' port: {error.details()} [{code}]", status)


def _of_usage(error: Any) -> Failure:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return Failure(f"{context.get_help()}\n" if context else "", Status.USAGE, help_=True)
    path = context.command_path if context is not None else "tt"
    return Failure(error.format_message(), Status.USAGE, f"{path} --help")
