"""Zones and subsets against real proxies: whose endpoints requests go to, when they leave the zone, and what is told of it. The
manifests are in manifests/locality.yaml; every service has the same four endpoints."""

import collections
import json

import pytest

from support import http
from support.endpoints import Plain, set_mood
from support.gamma import ROUTES
from support.mesh import Mesh, program
from support.waiting import until

PORT = 8080
SERVICES = ["zoned", "shared", "close", "kinds"]
ZONES = ["west-1", "west-2"]
VERSIONS = ["v1", "v2"]


def zone_flags(zone):
    return ["--zone", zone, "--region", "west"]


class PlacedMesh(Mesh):
    """`callers` are clients by zone, each with its local port for every service; `places` says where each workload is."""

    def __init__(self, directory):
        super().__init__(directory)
        self.callers, self.places = {}, {}

    def workloads(self, **wanted):
        return [workload for workload, place in self.places.items() if wanted.items() <= place.items()]

    def ask(self, zone, service, count, by="zone", **request):
        """How many of so many requests went to endpoints of each zone, or of each version."""
        caller, ports = self.callers[zone]

        def sent():
            return collections.Counter(
                {name: int(value) for name, value in caller.metrics().by(
                    "dst_workload", "request_total", direction="outbound", backend=service).items()})

        before = sent()
        for _ in range(count):
            assert http.get("127.0.0.1", ports[service], **request).status == 200
        after = sent() - before
        totals = collections.Counter()
        for workload, place in self.places.items():
            totals[place[by]] += after[workload.workload_name]
        return +totals


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    mesh = PlacedMesh(tmp_path_factory.mktemp("locality"))
    try:
        mesh.up((ROUTES / "locality.yaml").read_text())
        for zone in ZONES:
            for version in VERSIONS:
                labels = {"group": "place", "version": version}
                workload = mesh.run(f"{zone}-{version}", program("moody.py", PORT), port=PORT, own_address=True,
                                    labels=labels, flags=zone_flags(zone), wait=False)
                mesh.places[workload] = {"zone": zone, "version": version}
        for zone in ZONES:
            # One worker: a health check is one proxy's, and turns are each worker's.
            caller, *ports = mesh.client(*(f"{name}.shop:80" for name in SERVICES),
                                         flags=["--workers", "1", *zone_flags(zone)], name=f"client-{zone}")
            mesh.callers[zone] = caller, dict(zip(SERVICES, ports))
        for workload in mesh.places:
            workload.wait_until_ready()
        until(lambda: all(len(port["endpoints"]) == 4 and all(row["ready"] for row in port["endpoints"])
                          for port in mesh.json("endpoints", "-n", "shop") if port["service"] in SERVICES), "all are ready")
        for caller, ports in mesh.callers.values():
            for port in ports.values():
                mesh.wait_until_serving(port)
        yield mesh
    finally:
        mesh.stop()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("service", ["zoned", "close"])
def test_no_request_leaves_the_zone_while_it_is_healthy(placed, service, zone):
    assert placed.ask(zone, service, 40) == {zone: 40}
    caller, _ = placed.callers[zone]
    assert caller.metrics().sum("balancer_cross_zone_total", backend=service) == 0


def test_requests_leave_a_zone_that_fails_its_checks_and_return(placed):
    caller, _ = placed.callers["west-1"]

    def unhealthy():
        changes = caller.metrics().by("health", "endpoint_health_changes_total", backend="zoned")
        return changes.get("unhealthy", 0) - changes.get("healthy", 0)

    own = placed.workloads(zone="west-1")
    set_mood(own[0].address, PORT, "failing")
    until(lambda: unhealthy() == 1, "the checks found one")
    # Half of the zone is there and carries 70 % of its requests.
    shares = placed.ask("west-1", "zoned", 120)
    assert 12 <= shares["west-2"] <= 62
    set_mood(own[1].address, PORT, "failing")
    until(lambda: unhealthy() == 2, "the checks found both")
    assert placed.ask("west-1", "zoned", 20) == {"west-2": 20}
    assert caller.metrics().sum("balancer_cross_zone_total", backend="zoned") == 20 + shares["west-2"]
    for workload in own:
        set_mood(workload.address, PORT, "good")
    until(lambda: unhealthy() == 0, "the checks brought both back")
    assert placed.ask("west-1", "zoned", 20) == {"west-1": 20}


def test_a_distribution_shares_the_requests_of_a_zones_clients(placed):
    shares = placed.ask("west-1", "shared", 200)
    assert 30 <= shares["west-2"] <= 95
    # There is none for the other zone.
    assert placed.ask("west-2", "shared", 20) == {"west-2": 20}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_header_names_the_subset(placed, version):
    assert placed.ask("west-1", "kinds", 20, by="version", headers={"x-version": version}) == {version: 20}


def test_requests_without_the_header_go_to_the_default_subset(placed):
    assert placed.ask("west-1", "kinds", 20, by="version") == {"v1": 20}


def test_a_route_shares_requests_among_subsets_by_filters_of_its_backends(placed):
    shares = placed.ask("west-1", "kinds", 40, by="version", path="/split")
    assert abs(shares["v2"] - 10) <= 2, shares


def test_a_subset_that_nobody_is_in_is_answered_503(placed):
    _, ports = placed.callers["west-1"]
    answer = http.get("127.0.0.1", ports["kinds"], headers={"x-version": "v9"})
    assert answer.status == 503
    done = placed.apus("why", "--from", "client", "--to", "http://kinds.shop/", "-H", "x-version: v9", "-o", "json",
                       check=False)
    told = json.loads(done.stdout)
    assert "no endpoint of kinds.shop:80 has the version that the request names" in told["failures"][0]["reason"]


def test_the_tool_tells_zones_priorities_subsets_and_shares(placed):
    caller, _ = placed.callers["west-2"]
    [port] = placed.json("endpoints", "zoned.shop", "--from", caller.workload_name)
    rows = {(row["zone"], row["labels"]["version"]): (row["priority"], row["share"]) for row in port["endpoints"]}
    assert rows == {("west-1", "v1"): (1, 0), ("west-1", "v2"): (1, 0), ("west-2", "v1"): (0, 0.5), ("west-2", "v2"): (0, 0.5)}
    text = placed.apus("endpoints", "zoned.shop", "--from", caller.workload_name).stdout
    assert "PRIORITY" in text and "ZONE" in text and "group=place,version=v1" in text
    told = placed.json("why", "--from", caller.workload_name, "--to", "http://close.shop/")
    assert {row["zone"]: row["share"] for row in told["backends"][0]["endpoints"]} == {"west-1": 0, "west-2": 0.5}
    assert [row["policy"] for row in told["backends"][0]["policy"]] == ["Service shop/close"]
    told = placed.json("why", "--from", caller.workload_name, "--to", "http://kinds.shop/", "-H", "x-version: v2")
    assert {row["subset"]: row["share"] for row in told["backends"][0]["endpoints"]} == {"v1": 0, "v2": 0.5}


def test_a_program_outside_apus_run_is_an_endpoint_while_its_own_check_goes_well(placed):
    outside = Plain(placed, "127.67.3.1", PORT)
    placed.write("outside.yaml", f"""
apiVersion: v1
kind: Service
metadata: {{ name: outside, namespace: shop }}
spec: {{ selector: {{ app: outside }}, ports: [{{ port: 80, targetPort: {PORT} }}] }}
---
apiVersion: mesh.apus.dev/v1alpha1
kind: Workload
metadata: {{ name: outside, namespace: shop, labels: {{ app: outside }} }}
spec:
  address: {outside.address}
  zone: west-2
  ports: [{{ port: {PORT} }}]
  healthCheck: {{ http: {{ path: /health }}, interval: 100ms, timeout: 2s }}
""")
    caller, _ = placed.callers["west-1"]
    url = "http://outside.shop/"
    until(lambda: http.via_proxy(caller.address, url).status == 200, "it serves")
    conditions = {each["type"]: each for each in placed.json("get", "workload", "outside")["status"]["conditions"]}
    assert (conditions["Meshed"]["status"], conditions["Meshed"]["reason"]) == ("False", "Plaintext")
    assert conditions["Accepted"]["message"] == "an endpoint of outside.shop:80"
    [row] = placed.json("endpoints", "outside.shop")[0]["endpoints"]
    assert (row["zone"], row.get("identity")) == ("west-2", None)

    def changes():
        return caller.metrics().by("health", "endpoint_health_changes_total", backend="outside")

    set_mood(outside.address, PORT, "failing")
    until(lambda: changes().get("unhealthy"), "the check found it")
    set_mood(outside.address, PORT, "good")
    until(lambda: changes().get("healthy"), "the check brought it back")
    assert http.via_proxy(caller.address, url).status == 200


def test_analyze_tells_of_subsets_that_nobody_is_in(placed):
    placed.write("lost.yaml", """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: lost, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: kinds }]
  rules:
    - matches: [{ path: { value: /lost } }]
      filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Version, value: v9 }] } }]
      backendRefs: [{ name: kinds, port: 80 }]
""")

    def findings():
        every = json.loads(placed.apus("analyze", "-o", "json", check=False).stdout)["problems"]
        return [finding for finding in every if finding["code"] == "APUS0420"]

    found = until(findings, "the finding")
    assert [finding["object"] for finding in found] == ["HTTPRoute shop/lost"]
    assert "v1, v2" in found[0]["fix"]
