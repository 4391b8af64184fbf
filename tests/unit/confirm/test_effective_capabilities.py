"""Test what insiders-api is taken to promise: the settings bound it, and silence ends."""

from __future__ import annotations

import pytest

from services.confirm.core.effective_capabilities import WRITTEN, of_settings, taken
from services.confirm.settings import Settings
from tradingtools.settings import SettingError, load
from tradingtools.venues.ports import Capabilities

ALL = Capabilities(True, True, True, True, 500)
NONE = Capabilities(False, False, False, False, 0)


def test_all_combinations_can_be_written() -> None:
    assert len(set(WRITTEN)) == 16
    assert {"----", "A-C-", "ABCD"} <= set(WRITTEN)
    assert of_settings("A-C-", 7) == Capabilities(True, False, True, False, 7)
    assert of_settings("", 7) is None


def test_without_settings_the_answer_is_taken() -> None:
    assert taken(None, ALL, waited=False) == ALL
    assert taken(None, ALL, waited=True) == ALL


@pytest.mark.parametrize("said", WRITTEN)
@pytest.mark.parametrize("reported", WRITTEN)
def test_the_answer_only_takes_away(said: str, reported: str) -> None:
    found = taken(of_settings(said, 400), of_settings(reported, 500), waited=True)
    both = "".join(a if a == b else "-" for a, b in zip(said, reported, strict=True))
    assert found == of_settings(both, 500)


def test_silence_proves_nothing_early_and_adds_no_promise() -> None:
    said = of_settings("ABCD", 400)
    assert taken(said, None, waited=False) is None
    assert taken(None, None, waited=False) is None
    assert taken(said, None, waited=True) == said
    assert taken(None, None, waited=True) == NONE


def test_what_is_written_otherwise_is_refused_by_name() -> None:
    given = {
        "TT_CONFIRM_EXECUTOR_TARGET": "h:1", "TT_CONFIRM_INSIDERS_URL": "http://h",
        "TT_CONFIRM_PROMISES": "DCBA",
    }  # fmt: skip
    with pytest.raises(SettingError, match="TT_CONFIRM_PROMISES"):
        load(Settings, "confirm", given)
