"""Test that what `docs/api.md` tells a client to send is answered as it says."""

from __future__ import annotations

import json
import re

from tests.control.edge import ROOT, RunningEdge

_CALL = re.compile(
    r"curl -s \"\$EDGE(/\S+)\"(?:(?!```).)*?-d '(\{(?:(?!```).)*?\})'\n```", re.DOTALL
)

_BLOCK = re.DOTALL | re.MULTILINE


def test_every_create_in_the_text_is_answered_with_201(edge: RunningEdge) -> None:
    calls = _CALL.findall((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    known = ""
    for path, body in calls:
        answer = edge.call("POST", path, json=json.loads(body.replace("sub_…", known)))
        assert answer.status_code == 201, (path, body, answer.text)
        if path == "/subscriptions":
            known = answer.json()["id"]
    paths = [path for path, _ in calls]
    assert paths == [
        "/subscriptions",
        "/subscriptions",
        "/triggers",
        "/triggers",
        "/simple-triggers",
        "/signals",
    ]
    # One of each kind of lot.
    assert ["manualLot" in body for path, body in calls if path == "/triggers"] == [False, True]


def test_every_body_in_the_documents_has_its_content_type() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    calls = [it for text in texts for it in re.findall(r"^curl .*?(?=^curl |^```)", text, _BLOCK)]
    bodies = [call for call in calls if re.search(r"\s(-d|--data)\s", call)]
    assert len(bodies) > 8
    assert [it for it in bodies if "Content-Type: application/json" not in it] == []
