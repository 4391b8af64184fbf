"""The edge's access log: no query, and no path that may be a token.

Part of `envoy_config`. People paste a token where an id belongs, and Envoy cannot write a part of a
path: of such a request there is a line without it. The token's id is there where the authorization
was asked and let the request on; who was refused is in control's security log.
"""

from __future__ import annotations

from typing import Any

# In the path itself: the query is written nowhere. An address has 40 digits.
_LONG_HEX = "[^?]*[0-9A-Fa-f]{41,}.*"
_LINE = {
    "at": "%START_TIME%",
    "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "token": "%REQ(X-TT-TOKEN)%",
    "verb": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
    "path": "%PATH(NQ:ORIG_OR_PATH):256%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}
_PATHS = (":path", "x-envoy-original-path")


def access_logs() -> list[dict[str, Any]]:
    """Two logs, of which each request is in one."""
    return [
        _log(
            _LINE, {"and_filter": {"filters": [_maybe_token(name, not_=True) for name in _PATHS]}}
        ),
        _log(
            {**_LINE, "path": "***"},
            {"or_filter": {"filters": [_maybe_token(name) for name in _PATHS]}},
        ),
    ]


def _maybe_token(name: str, *, not_: bool = False) -> dict[str, Any]:
    return {
        "header_filter": {
            "header": {
                "name": name,
                "string_match": {"safe_regex": {"regex": _LONG_HEX}},
                "invert_match": not_,
                "treat_missing_header_as_empty": True,
            }
        }
    }


def _log(line: dict[str, str], of: dict[str, Any]) -> dict[str, Any]:
    stdout = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": of,
        "typed_config": {"@type": stdout, "log_format": {"json_format": line}},
    }
