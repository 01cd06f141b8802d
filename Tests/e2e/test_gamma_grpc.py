"""GRPCRoute against real proxies: the mesh profile of the Gateway API's conformance tests and its extended features.

The routes are in manifests/gamma-grpc.yaml. Every call is a real one of grpcio, through two proxies.
"""

import collections
import json

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.gamma import GammaMesh, ROUTES, service
from support.mesh import program
from support.waiting import until

PARENTS = ["weight", "modify", "methods", "empty"]
BACKENDS = ["grpc-v1", "grpc-v2"]


@pytest.fixture(scope="module")
def mesh_with_routes(tmp_path_factory):
    mesh = GammaMesh(tmp_path_factory.mktemp("grpc"))
    try:
        services = [service(name, app_protocol="grpc") for name in BACKENDS + PARENTS]
        mesh.up(*services, (ROUTES / "gamma-grpc.yaml").read_text())
        for name in BACKENDS:
            mesh.run(name, program("grpc_server.py", 8080, name), port=8080, own_address=True)
        mesh.caller, mesh.ports = mesh.connect(BACKENDS + PARENTS)
        for name in BACKENDS:
            with channel(mesh, name) as opened:
                until(lambda: answers(opened), f"{name} answers")
        yield mesh
    finally:
        mesh.stop()


def channel(mesh, name):
    """One connection of its own."""
    return grpc.insecure_channel(f"127.0.0.1:{mesh.ports[name]}", options=[
        ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)])


def answers(opened):
    try:
        return opened.unary_unary("/test.Echo/Unary")(b"x", timeout=20) == b"x"
    except grpc.RpcError:
        return False


@pytest.fixture
def open_channel(mesh_with_routes, request):
    request.node.apus_mesh = mesh_with_routes
    opened = []

    def connect(name):
        opened.append(channel(mesh_with_routes, name))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def code(call, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=20)
    return caught.value.code()


def server_of(call):
    return dict(call.trailing_metadata())["x-name"]


def test_calls_of_one_connection_are_shared_by_weight(open_channel):
    unary = open_channel("weight").unary_unary("/test.Echo/Unary")
    shares = collections.Counter(server_of(unary.with_call(b"x", timeout=20)[1]) for _ in range(500))
    # One connection is on one worker, which deals its shares out evenly.
    assert set(shares) == set(BACKENDS) and abs(shares["grpc-v1"] - 350) <= 3, shares


@pytest.mark.parametrize("sent, expected", [
    ([("x-test-case", "set"), ("x-header-set", "old")], {"x-header-set": ["new"]}),
    ([("x-test-case", "set")], {"x-header-set": ["new"]}),
    ([("x-test-case", "add"), ("x-header-add", "old")], {"x-header-add": ["old", "new"]}),
    ([("x-test-case", "remove"), ("x-header-remove", "old"), ("x-other", "kept")],
     {"x-header-remove": [], "x-other": ["kept"]}),
    ([("x-test-case", "multi-1"), ("x-header-set-2", "old"), ("x-header-add-2", "old"), ("x-header-remove-2", "old")],
     {"x-header-set-1": ["new"], "x-header-set-2": ["new"], "x-header-add-1": ["new"], "x-header-add-2": ["old", "new"],
      "x-header-remove-2": [], "x-from-route": ["yes"]})])
def test_metadata_is_set_added_and_removed(open_channel, sent, expected):
    unary = open_channel("modify").unary_unary("/test.Echo/Unary")
    # The server sends what it got back, in the initial metadata.
    _, call = unary.with_call(b"x", timeout=20, metadata=[("x-do", "metadata"), *sent])
    got = {name: [part.strip() for key, value in call.initial_metadata() if key == name for part in value.split(",")]
           for name in expected}
    assert got == expected


def test_a_call_that_no_header_rule_takes_is_unimplemented(open_channel):
    assert code(open_channel("modify").unary_unary("/test.Echo/Unary"), b"x") is grpc.StatusCode.UNIMPLEMENTED


def test_methods_choose_the_backend(open_channel):
    opened = open_channel("methods")
    assert server_of(opened.unary_unary("/test.Echo/Unary").with_call(b"x", timeout=20)[1]) == "grpc-v1"
    assert opened.stream_unary("/test.Echo/Collect")(iter([b"abc"]), timeout=20) == b"3"
    assert json.loads(opened.unary_unary("/test.Echo/State")(b"", timeout=20))["cancelled"] == 0
    check = health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert check.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method, expected", [
    # Not `Unary` with a capital letter, not another service, not a longer name.
    ("/test.Echo/unary", grpc.StatusCode.UNIMPLEMENTED), ("/test.Other/Unary", grpc.StatusCode.UNIMPLEMENTED),
    ("/test.Echo/UnaryX", grpc.StatusCode.UNIMPLEMENTED), ("/test.Echo/Chat", grpc.StatusCode.UNIMPLEMENTED),
    # The service of its backend does not exist.
    ("/test.Echo/Produce", grpc.StatusCode.UNAVAILABLE)])
def test_calls_that_no_rule_or_no_backend_takes(open_channel, method, expected):
    assert code(open_channel("methods").unary_unary(method), b"x") is expected


def test_a_route_without_rules_takes_no_call(open_channel):
    assert code(open_channel("empty").unary_unary("/test.Echo/Unary"), b"x") is grpc.StatusCode.UNIMPLEMENTED


def test_the_status_says_which_kind_gave_way(mesh_with_routes):
    def accepted(kind, name):
        parent, = mesh_with_routes.json("get", kind, name)["status"]["parents"]
        return next((c["status"], c["reason"]) for c in parent["conditions"] if c["type"] == "Accepted")

    assert accepted("grpcroute", "methods") == ("True", "Accepted")
    assert accepted("httproute", "methods") == ("False", "RouteReasonConflicted")
    table = mesh_with_routes.apus("get", "grpcroute").stdout
    reason = "BackendNotFound: spec.rules[0].backendRefs[2]: there is no Service shop/grpc-v3; with weight 0"
    assert f"shop/weight: {reason}" in table
