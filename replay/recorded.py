"""Read the judgements of recorded days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import msgspec

from services.router.core.judgement import Decoder, Judgement
from tradingtools.storage import recordings

Damaged = Callable[[str], None]
"""Called with why a file ends before its end."""


def judgements(directory: Path, day: date, damaged: Damaged) -> Iterator[tuple[Decoder, Judgement]]:
    """Yield the judgements of a day, each with what is read of its recording.

    Args:
        directory: of the recordings.
        day: UTC.
        damaged: called with the file that cannot be read any further, and why.
    """
    for path in recordings.files(directory, day):
        decoder = Decoder()
        try:
            for record in recordings.records(path):
                judgement = decoder.read(record)
                if judgement is not None:
                    yield decoder, judgement
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            damaged(f"{path.name}: {error}")
