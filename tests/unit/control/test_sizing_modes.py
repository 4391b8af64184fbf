"""Each mode of sizing is answered in its message's field, and read from it as the same mode."""

from __future__ import annotations

import pytest

from services.control.subscriptions import settings_codec
from tradingtools.domain.subscription import SizingMode
from tradingtools.v1 import control_service_pb2 as control


@pytest.mark.parametrize("mode", SizingMode)
def test_a_mode_that_is_answered_is_read_again(mode: SizingMode) -> None:
    tiers = [{"from_micros": 0, "ratio_micros": 500_000}]
    settings = {"tiers": tiers} if mode is SizingMode.TIERS else {}
    row = {"sizing_mode": mode.value, "sizing_micros": 1_000_000, "settings": settings}
    answered = control.Sizing(**settings_codec._sizing(row))
    read = settings_codec.sizing_group(answered)
    assert read.columns["sizing_mode"] == mode.value
    assert {name: read.settings[name] for name in settings} == settings
