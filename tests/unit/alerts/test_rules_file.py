"""Files of rules: what is wrong is named by file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.alerts import rules_file

RULE = """rules:
  - name: mine
    severity: warning
    events: [order.failed]
    title: an order has failed
    titles: orders have failed
    todo: look
    ended: over
"""


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("rules: [", "f:1: is not YAML"),
        ("rules: 3", "f:1: rules: Expected `array`, got `int`"),
        ("ruls: []", "f:1: ruls: Object contains unknown field `ruls`"),
        (RULE.replace("warning", "loud"), "f:3: rules[0].severity: Invalid enum value 'loud'"),
        (RULE.replace("todo: look", "tudo: look"), "f:7: rules[0].tudo:"),
        (RULE.replace("    todo: look\n", ""), "f:2: rules[0].todo: Object missing required field"),
        (RULE.replace("order.failed", "order.eaten"), "f:4: rules[0].events[0]: no event is of"),
        (RULE + "    probe: disk\n", "f:2: rules[0]: one of events and probe is needed"),
        (RULE.replace("events: [order.failed]", "probe: disk"), "percent: needed with the probe"),
        (RULE + "    usdc: 5\n", "f:9: rules[0].usdc: does not go with"),
        (RULE + "    for_seconds: -1\n", "f:9: rules[0].for_seconds: Expected `int` >= 0"),
        (RULE + "    above: {size: much}\n", "f:9: rules[0].above.size: 'much'"),
        (RULE + RULE.removeprefix("rules:\n"), "f:9: rules[1].name: 'mine' is there before"),
        (RULE + "    targets: [nobody]\n", "f:9: rules[0].targets[0]: no target is called"),
        ("without: [order-eaten]", "f:1: without[0]: no shipped rule is called 'order-eaten'"),
        ("targets:\n  - name: a\n", "f:2: targets[0]: one of url and url_file is needed"),
        ("quiet_hours: {begin: '22', end: '07:00'}", "f:1: quiet_hours.begin: '22' is not a time"),
        ("quiet_hours: {begin: '22:00', end: '22:00'}", "quiet_hours.end: is the same as begin"),
        ("quiet_hours: {begin: '22:00', end: '07:00', zone: Mars/A}", "'Mars/A' is no time zone"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, statuses: str) -> None:
    file = tmp_path / "f"
    file.write_text(text)
    with pytest.raises(rules_file.FileError) as refused:
        rules_file.load(file)
    assert statuses in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_own_rule_replaces_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(RULE.replace("mine", "order-lost") + "without: [halt]\n")
    rules = rules_file.load(file)
    assert rules.rules["order-lost"].events == ("order.failed",)
    assert "halt" not in rules.rules
    assert "order-dead" in rules.rules


def test_a_url_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("slack+https://h/x\n")
    file = tmp_path / "own.yaml"
    file.write_text(f"targets: [{{name: ops, url_file: {tmp_path}/secret}}]")
    assert rules_file.urls(rules_file.load(file), ("json://h",)).keys() == {"target-1", "ops"}
    (tmp_path / "secret").unlink()
    with pytest.raises(rules_file.FileError, match="ops"):
        rules_file.urls(rules_file.load(file), ())
