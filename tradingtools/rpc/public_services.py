"""The services whose RPCs have routes at the edge, by the process behind it: one list for Envoy's
routes, for the gate that admits requests and for the processes that serve them."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor

from tradingtools.v1 import (
    bot_engine_service_pb2,
    bot_report_service_pb2,
    bot_service_pb2,
    control_service_pb2,
    event_service_pb2,
    holding_service_pb2,
    leader_service_pb2,
    quality_service_pb2,
    risk_service_pb2,
    simulation_service_pb2,
    trigger_service_pb2,
    user_service_pb2,
    wallet_service_pb2,
    webhook_service_pb2,
)

CONTROL_SERVICES: tuple[ServiceDescriptor, ...] = (
    control_service_pb2.DESCRIPTOR.services_by_name["ControlService"],
    holding_service_pb2.DESCRIPTOR.services_by_name["HoldingService"],
    leader_service_pb2.DESCRIPTOR.services_by_name["LeaderService"],
    quality_service_pb2.DESCRIPTOR.services_by_name["QualityService"],
    simulation_service_pb2.DESCRIPTOR.services_by_name["SimulationService"],
    trigger_service_pb2.DESCRIPTOR.services_by_name["TriggerService"],
    wallet_service_pb2.DESCRIPTOR.services_by_name["WalletService"],
    bot_service_pb2.DESCRIPTOR.services_by_name["BotService"],
    bot_report_service_pb2.DESCRIPTOR.services_by_name["BotReportService"],
    risk_service_pb2.DESCRIPTOR.services_by_name["RiskService"],
    bot_engine_service_pb2.DESCRIPTOR.services_by_name["BotEngineService"],
    user_service_pb2.DESCRIPTOR.services_by_name["LoginService"],
    user_service_pb2.DESCRIPTOR.services_by_name["UserService"],
)
"""Served by control."""
BEHIND: dict[str, ServiceDescriptor] = {
    "events": event_service_pb2.DESCRIPTOR.services_by_name["EventFeedService"],
    "webhooks": webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
}
"""Served by other processes."""
PUBLIC_SERVICES: tuple[ServiceDescriptor, ...] = (*CONTROL_SERVICES, *BEHIND.values())
"""All of them; no other RPC has a route."""
