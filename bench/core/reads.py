"""Outcomes of reads over REST: answers told apart and counted. Pure.

Before it: bytes of a connection. After it: a line of the report.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

_LATE_SECONDS = 1.0
_HEAD_END = b"\r\n\r\n"


class Answer(Enum):
    """The answer to a read."""

    RIGHT = auto()
    LIMITED = auto()
    """429: this caller asks too often."""
    UNAVAILABLE = auto()
    """503: an edge says so when control gets no core for two seconds."""
    WRONG = auto()


_ANSWERS = {b"200": Answer.RIGHT, b"429": Answer.LIMITED, b"503": Answer.UNAVAILABLE}


def scan(data: bytes) -> Answer | None:
    """Return what an HTTP/1.1 answer of known length says; None while a part of it is missing."""
    head_end = data.find(_HEAD_END)
    if head_end < 0:
        return None
    head = data[:head_end].lower()
    _, _, rest = head.partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip()
    if not length.isdigit():
        return Answer.WRONG
    if len(data) < head_end + len(_HEAD_END) + int(length):
        return None
    return _ANSWERS.get(head[9:12], Answer.WRONG)


class Tally(msgspec.Struct, kw_only=True):
    """Reads of one stretch or of several."""

    requested: int = 0
    """That the rate demands; what was not even sent is asked, too."""
    right: int = 0
    late: int = 0
    """Right, but more than a second after it was due."""
    limited: int = 0
    unavailable: int = 0
    wrong: int = 0
    seconds: float = 0.0
    cpu_seconds: dict[str, float] = {}
    """Of a core, by who used it meanwhile."""

    def count(self, answer: Answer, after_seconds: float) -> None:
        """One answer, so long after it was due."""
        match answer:
            case Answer.RIGHT:
                self.right += 1
                self.late += after_seconds > _LATE_SECONDS
            case Answer.LIMITED:
                self.limited += 1
            case Answer.UNAVAILABLE:
                self.unavailable += 1
            case Answer.WRONG:
                self.wrong += 1

    def __add__(self, other: Tally) -> Tally:
        """Both stretches as one."""
        counted = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__struct_fields__
            if name != "cpu_seconds"
        }
        names = self.cpu_seconds | other.cpu_seconds
        spent = {n: self.cpu_seconds.get(n, 0.0) + other.cpu_seconds.get(n, 0.0) for n in names}
        return Tally(**counted, cpu_seconds=spent)

    @property
    def answered(self) -> float:
        """Right answers a second."""
        return self.right / self.seconds if self.seconds else 0.0

    def cpu_ms(self, who: str) -> float:
        """Milliseconds of a core a right answer."""
        return self.cpu_seconds.get(who, 0.0) * 1000 / self.right if self.right else 0.0
