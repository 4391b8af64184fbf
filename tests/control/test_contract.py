"""Contracts, permissions and the edge's configuration agree, RPC for RPC."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

import tradingtools.v1
from launcher import envoy_config
from services.control.edge import contract
from tradingtools.domain.permissions import EDGE_PORT, PERMISSIONS, Permission
from tradingtools.rpc.public_services import BEHIND, PUBLIC_SERVICES

EDGE = envoy_config.Edge(
    port=1,
    control_port=2,
    behind=dict.fromkeys(BEHIND, ("127.0.0.1", 3)),
    directory=Path("/x"),
)


def _services() -> list[ServiceDescriptor]:
    found: list[ServiceDescriptor] = []
    for module in pkgutil.iter_modules(tradingtools.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"tradingtools.v1.{module.name}").DESCRIPTOR
            found += file.services_by_name.values()
    return found


def _methods(services: list[ServiceDescriptor]) -> set[str]:
    return {f"/{service.full_name}/{m.name}" for service in services for m in service.methods}


def _manager() -> dict[str, Any]:
    config = yaml.safe_load(envoy_config.render(EDGE))
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    manager: dict[str, Any] = chain["filters"][-1]["typed_config"]
    return manager


PUBLIC = {method: p for method, p in PERMISSIONS.items() if p in EDGE_PORT}


def test_the_public_rpcs_are_those_of_the_edge_port() -> None:
    assert set(PUBLIC) == _methods(list(PUBLIC_SERVICES))


def test_what_changes_something_needs_manage() -> None:
    for method, permission in PUBLIC.items():
        if permission in (Permission.READ, Permission.MANAGE):
            reads = re.match("(Get|List|Follow)", method.rsplit("/", 1)[1]) is not None
            assert reads == (permission is Permission.READ), method
    public = [method for method, p in PERMISSIONS.items() if p is Permission.PUBLIC]
    assert sorted(method.rsplit("/", 1)[1] for method in public) == [
        "GetHealth", "GetLoginKeys", "GetReadiness", "LogIn", "Refresh",
    ]  # fmt: skip


def test_the_edge_routes_to_the_public_rpcs_and_to_nothing_else() -> None:
    routes = _manager()["route_config"]["virtual_hosts"][0]["routes"]
    public = _methods(list(PUBLIC_SERVICES))
    assert {route["match"].get("path") for route in routes[:-1]} == public
    assert routes[-1] == {"match": {"prefix": "/"}, "direct_response": {"status": 404}}
    assert not any("retry_policy" in str(route) for route in routes)
    internal = _methods(_services()) - public
    assert "/tradingtools.v1.OperatorService/SetHalt" in internal
    assert not any(method in envoy_config.render(EDGE) for method in internal)


def test_the_routes_of_gate_and_transcoder_are_the_same_services() -> None:
    names = [service.full_name for service in PUBLIC_SERVICES]
    transcoder = next(f for f in _manager()["http_filters"] if f["name"].endswith("transcoder"))
    assert transcoder["typed_config"]["services"] == names
    assert {route.method for route in contract.public_routes()} == set(PUBLIC)


def test_authorization_precedes_the_transcoder_and_fails_closed() -> None:
    filters = [f["name"].rsplit(".", 1)[1] for f in _manager()["http_filters"]]
    assert filters == [
        "rbac", "buffer", "lua", "jwt_authn", "ext_authz", "grpc_json_transcoder", "router",
    ]  # fmt: skip
    assert _manager()["http_filters"][4]["typed_config"]["failure_mode_allow"] is False
    assert not any("disabled" in f for f in _manager()["http_filters"])


def test_the_descriptor_set_holds_what_errors_are_made_of(tmp_path: Path) -> None:
    envoy_config.build_descriptors(tmp_path / "set.pb")
    found = FileDescriptorSet.FromString((tmp_path / "set.pb").read_bytes())
    names = [file.name for file in found.file]
    assert "google/rpc/error_details.proto" in names
    assert "tradingtools/v1/operator_service.proto" not in names
    for file in found.file:
        assert all(names.index(dep) < names.index(file.name) for dep in file.dependency)


def test_a_path_that_is_too_long_for_a_socket_is_named() -> None:
    edge = envoy_config.Edge(port=1, control_port=2, directory=Path("/" + "x" * 120))
    with pytest.raises(envoy_config.EdgeConfigError, match="too long"):
        envoy_config.render(edge)
