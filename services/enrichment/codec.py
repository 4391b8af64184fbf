"""Statistics of leaders as documents of the contract."""

from __future__ import annotations

import msgspec
from google.protobuf.json_format import ParseDict

from services.enrichment.core.values import LeaderStatistics
from tradingtools.v1 import enrichment_pb2 as pb


def document(statistics: LeaderStatistics, version: str) -> pb.LeaderStatistics:
    """Return statistics as the document of a snapshot; what is not known stays absent."""
    fields = {
        **msgspec.to_builtins(statistics),
        "version": version,
        "latency_class": f"LATENCY_CLASS_{statistics.latency_class}",
        "gaps": [f"EVIDENCE_GAP_{gap}" for gap in statistics.gaps],
    }
    return ParseDict(fields, pb.LeaderStatistics())
