"""Messages of the contracts, as their constructors take them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

Fields = dict[str, Any]
"""A message by the names of its fields: enums by their names, instants as datetime, messages as
fields of their own. What is None or not there is not set."""


def timestamp(at: datetime) -> Timestamp:
    """Return an instant as the contracts carry it."""
    message = Timestamp()
    message.FromDatetime(at)
    return message
