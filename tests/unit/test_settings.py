"""A wrong setting stops the process with one line that names it and shows no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingtools.settings import PROCESSES, SettingError, SharedSettings, load, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One setting of each kind."""

    required: str = setting()
    listen: str = setting("127.0.0.1:0")
    count: int = setting(5, minimum=1, maximum=10)
    at_least: int = setting(5, minimum=1)
    at_most: int = setting(5, maximum=5)
    cap: int | None = setting(None, minimum=0)
    on: bool = setting(False)
    names: tuple[str, ...] = setting(())
    folder: Path | None = setting(None)  # noqa: RUF009
    mode: str = setting("a", choices=("a", "b"))
    url: str = setting("", schemes=("http", "https"))
    token: str = setting("", secret=True)
    pin: int = setting(1, minimum=1, maximum=9, secret=True)
    shared: SharedSettings = field(default_factory=SharedSettings)


def read(**environ: str) -> Sample:
    return load(Sample, "router", {"TT_ROUTER_REQUIRED": "x", **environ})


def complaint(environ: dict[str, str]) -> str:
    with pytest.raises(SettingError) as caught:
        load(Sample, "router", environ)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_hold_where_nothing_is_set() -> None:
    found = read(TT_ROUTER_COUNT="", HOME="/root", TTX="1")
    assert found == Sample(required="x")


def test_every_kind_is_read() -> None:
    found = read(
        TT_ROUTER_COUNT="10",
        TT_ROUTER_CAP="0",
        TT_ROUTER_ON="True",
        TT_ROUTER_NAMES=" a, ,b ",
        TT_ROUTER_FOLDER="/there",
        TT_ROUTER_MODE="b",
        TT_ROUTER_TOKEN="s",
        TT_DATABASE_URL="postgresql://u@h/d",
        TT_METRICS_PORT="65535",
    )
    assert (found.count, found.cap, found.on, found.names) == (10, 0, True, ("a", "b"))
    assert (found.folder, found.mode, found.token) == (Path("/there"), "b", "s")
    assert found.shared == SharedSettings(database_url="postgresql://u@h/d", metrics_port=65_535)


def test_a_shared_setting_may_be_meant_for_one_process() -> None:
    both = {"TT_LOG_LEVEL": "error", "TT_EXECUTOR_LOG_LEVEL": "info"}
    assert read(**both, TT_ROUTER_LOG_LEVEL="debug").shared.log_level == "debug"
    assert read(**both, TT_ROUTER_LOG_LEVEL="").shared.log_level == "error"
    wrong = {"TT_ROUTER_REQUIRED": "x", "TT_ROUTER_METRICS_PORT": "-1"}
    assert complaint(wrong).startswith("TT_ROUTER_METRICS_PORT: ")


def test_a_limit_with_a_default_is_taken_away_by_a_word() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Bounded:
        most: int | None = setting(7, minimum=1)
        plain: int = setting(3)

    def read_most(**values: str) -> int | None:
        return load(Bounded, "router", values).most

    assert (read_most(), read_most(TT_ROUTER_MOST="")) == (7, 7)
    assert read_most(TT_ROUTER_MOST="none") is None
    with pytest.raises(SettingError, match="TT_ROUTER_MOST: '0' is less than 1"):
        read_most(TT_ROUTER_MOST="0")
    with pytest.raises(SettingError, match="TT_ROUTER_PLAIN: 'none' is not a whole number"):
        read_most(TT_ROUTER_PLAIN="none")


def test_an_absent_limit_is_not_zero() -> None:
    assert (read().cap, read(TT_ROUTER_CAP="0").cap) == (None, 0)


@pytest.mark.parametrize(
    "name",
    [
        "TT_ROUTER_COUNTS",
        "TT_ROUTER_",
        "TT_ROUTER_SHARED",
        "TT_ROUTER_DATABASE",
        "TT_DATABASEURL",
        "TT_ROUTR_COUNT",
        "TT_",
        "TT_ROUTER_count",
    ],
)
def test_an_unknown_name_is_refused(name: str) -> None:
    assert complaint({"TT_ROUTER_REQUIRED": "x", name: "1"}) == f"{name}: no such setting"


@pytest.mark.parametrize("process", [name for name in PROCESSES if name != "ROUTER"])
def test_the_settings_of_others_are_theirs(process: str) -> None:
    assert read(**{f"TT_{process}_ANYTHING": "1"}).required == "x"


def test_a_missing_setting_is_named() -> None:
    assert complaint({}) == "TT_ROUTER_REQUIRED: required and not set"
    assert complaint({"TT_ROUTER_REQUIRED": ""}) == "TT_ROUTER_REQUIRED: required and not set"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("AT_MOST", "6", "TT_ROUTER_AT_MOST: '6' is more than 5"),
        ("COUNT", "0", "TT_ROUTER_COUNT: '0' is outside 1 to 10"),
        ("COUNT", "11", "TT_ROUTER_COUNT: '11' is outside 1 to 10"),
        ("AT_LEAST", "0", "TT_ROUTER_AT_LEAST: '0' is less than 1"),
        ("CAP", "-1", "TT_ROUTER_CAP: '-1' is less than 0"),
        ("COUNT", "1.0", "TT_ROUTER_COUNT: '1.0' is not a whole number"),
        ("COUNT", "a\nb", "TT_ROUTER_COUNT: 'a\\nb' is not a whole number"),
        ("ON", "yes", "TT_ROUTER_ON: 'yes' is not true or false"),
        ("MODE", "c", "TT_ROUTER_MODE: 'c' is not one of a, b"),
        ("URL", "h:1", "TT_ROUTER_URL: 'h:1' is not a URL (http or https://host[:port][/path])"),
        (
            "URL",
            "ws://h",
            "TT_ROUTER_URL: 'ws://h' is not a URL (http or https://host[:port][/path])",
        ),
        (
            "URL",
            "http://",
            "TT_ROUTER_URL: 'http://' is not a URL (http or https://host[:port][/path])",
        ),
        (
            "URL",
            "http://h:0",
            "TT_ROUTER_URL: 'http://h:0' is not a URL (http or https://host[:port][/path])",
        ),
        (
            "URL",
            "http://h ",
            "TT_ROUTER_URL: 'http://h ' is not a URL (http or https://host[:port][/path])",
        ),
        (
            "URL",
            "http://h?q",
            "TT_ROUTER_URL: 'http://h?q' is not a URL (http or https://host[:port][/path])",
        ),
        (
            "URL",
            "http://u:p@h",
            "TT_ROUTER_URL: (hidden) is not a URL (http or https://host[:port][/path])",
        ),
    ],
)
def test_a_wrong_value_is_named_and_shown(name: str, text: str, expected: str) -> None:
    assert complaint({"TT_ROUTER_REQUIRED": "x", f"TT_ROUTER_{name}": text}) == expected


@pytest.mark.parametrize(
    "text", ["1_0", " 5", "5 ", "\u0665", "+5", "0x5", "5e0", "--5", "9" * 5_000]
)
def test_only_plain_digits_are_a_number(text: str) -> None:
    message = complaint({"TT_ROUTER_REQUIRED": "x", "TT_ROUTER_AT_LEAST": text})
    assert message.startswith("TT_ROUTER_AT_LEAST: ")
    assert "is not a whole number" in message


def test_a_secret_is_shown_nowhere() -> None:
    secret = "7777777"
    message = complaint({"TT_ROUTER_REQUIRED": "x", "TT_ROUTER_PIN": secret})
    assert message == "TT_ROUTER_PIN: (hidden) is outside 1 to 9"
    assert secret not in complaint({"TT_ROUTER_REQUIRED": "x", "TT_ROUTER_PIN": secret + "x"})
    shown = repr(read(TT_ROUTER_TOKEN=secret, TT_DATABASE_URL=secret, TT_REDIS_URL=secret))
    assert secret not in shown


@given(st.dictionaries(st.sampled_from(["COUNT", "CAP", "ON", "MODE", "PIN"]), st.text()))
def test_any_text_is_read_or_refused_in_one_line(values: dict[str, str]) -> None:
    environ = {f"TT_ROUTER_{name}": text for name, text in values.items()}
    message = ""
    try:
        found = load(Sample, "router", {"TT_ROUTER_REQUIRED": "x", **environ})
    except SettingError as error:
        message = str(error)
    else:
        assert 1 <= found.count <= 10
        assert found.cap is None or found.cap >= 0
        assert found.mode in ("a", "b")
    assert len(message.splitlines()) <= 1
