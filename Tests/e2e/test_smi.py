"""SMI's traffic kinds against real proxies: splits by weight and by HTTPRouteGroup, and what the status says of each kind;
names of services and headless ones.

The manifests are in manifests/smi.yaml; a service for each root stands beside them.
"""

import collections

import pytest

from support import http
from support.gamma import PROTOCOLS, gamma_mesh


@pytest.fixture(scope="module")
def split_mesh(tmp_path_factory):
    with gamma_mesh(tmp_path_factory.mktemp("smi"), "smi.yaml", ["weighted"]) as mesh:
        _, mesh.names = mesh.connect(["weighted-name", "headless"])
        yield mesh


@pytest.fixture
def mesh(split_mesh, request):
    request.node.apus_mesh = split_mesh
    return split_mesh


def version(answer):
    return answer.said["version"] if answer.said else answer.status


def test_a_split_weighs_its_leaves_and_leaves_out_one_that_does_not_exist(mesh):
    counted = collections.Counter(version(mesh.ask("weighted")) for _ in range(100))
    assert set(counted) == {"v1", "v2"} and abs(counted["v1"] - 75) <= 6, counted


CASES = [
    ("/", {}, "GET", "v1"), ("/", {"x-cohort": "beta"}, "GET", "v2"), ("/", {"X-Cohort": "beta"}, "PUT", "v2"),
    ("/", {"x-cohort": "betas"}, "GET", "v1"), ("/", {"x-cohort": "alpha beta"}, "GET", "v1"),
    ("/", {"User-Agent": "Firefox/1", "x-os": "bsd"}, "GET", "v2"), ("/", {"User-Agent": "Firefox/1"}, "GET", "v1"),
    ("/", {"User-Agent": "Firefox/1", "x-os": "linux2"}, "GET", "v1"),
    ("/orders/17", {}, "GET", "v2"), ("/orders/17", {}, "POST", "v1"), ("/orders/x", {}, "GET", "v1"),
    # The specification anchors paths at their beginning only.
    ("/orders/17/items", {}, "GET", "v2"), ("/metricsfoo", {}, "DELETE", "v2"), ("/v1/metrics", {}, "GET", "v1"),
    ("/?p=/metrics", {}, "GET", "v1"), ("/metrics?a=b", {}, "POST", "v2"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_split_with_matches_takes_what_a_group_matches_and_the_root_the_rest(mesh, protocol):
    wrong = [case for case in CASES if version(
        mesh.ask("echo-v1", case[0], case[1], method=case[2], protocol=protocol)) != case[3]]
    assert wrong == []


def test_the_rule_of_a_split_shows_in_metrics(mesh):
    mesh.ask("echo-v1", "/metrics")
    routes = mesh.caller.metrics().by("route_name", "response_total", direction="outbound", dst_service="echo-v1")
    assert {"trafficsplit/shop/beta", "service/shop/echo-v1"} <= set(routes)


def test_the_status_says_what_applies_of_each_kind(mesh):
    splits = {item["metadata"]["name"]: item for item in mesh.json("get", "trafficsplit")["items"]}
    assert splits["beta"]["apiVersion"] == "split.smi-spec.io/v1alpha4"
    conditions = {name: {it["type"]: it for it in item["status"]["parents"][0]["conditions"]} for name, item in splits.items()}
    assert conditions["beta"]["Accepted"]["message"] == "splits ports 80, 8080 of shop/echo-v1"
    assert conditions["beta"]["ResolvedRefs"]["status"] == "True"
    assert conditions["weighted"]["ResolvedRefs"]["reason"] == "BackendNotFound"

    def message(kind, name):
        item = mesh.json("get", kind, name)
        assert item["apiVersion"] == "specs.smi-spec.io/v1alpha4"
        return item["status"]["conditions"][0]["message"]

    assert message("httproutegroup", "beta") == "matches for TrafficSplit shop/beta"
    assert message("udproute", "gossip").startswith("the mesh carries TCP only")
    assert message("tcproute", "any").startswith("no TrafficTarget names it")
    table = mesh.apus("get", "httproutegroup").stdout
    assert "old-beta" in table and "True" in table
    warnings = mesh.apus("status").stdout
    assert "UDPRoute shop/gossip" in warnings


def test_a_name_of_a_service_is_routed_as_the_service_is(mesh):
    counted = collections.Counter(version(mesh.ask("weighted-name", ports=mesh.names)) for _ in range(40))
    assert set(counted) == {"v1", "v2"} and abs(counted["v1"] - 30) <= 6, counted


def test_a_headless_service_is_reached_by_its_name(mesh):
    assert {version(mesh.ask("headless", ports=mesh.names)) for _ in range(4)} == {"v2"}


def test_each_endpoint_of_a_headless_service_has_a_name(mesh):
    workloads = [workload["name"] for workload in mesh.json("status")["workloads"] if workload["service"] == "echo-v2"]
    assert workloads
    for name in workloads:
        answer = http.via_proxy(mesh.caller.address, f"http://{name}.headless.shop.svc.cluster.local/")
        assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert http.via_proxy(mesh.caller.address, "http://nobody.headless.shop.svc/").status == 404
