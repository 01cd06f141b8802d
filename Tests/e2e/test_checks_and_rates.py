"""Active health checks and rate limits of TrafficPolicies, against real proxies of several workers."""

import collections

import pytest

from support import http, manifests
from support.endpoints import Plain, set_mood
from support.mesh import Mesh, program
from support.waiting import until

PORT = 8080
PATHS = ["mesh", "plain"]
# Ejection by requests is off, so that whatever leaves an endpoint out is a check.
CHECKED = """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: TrafficPolicy
    metadata: {{ name: {name}, namespace: shop }}
    spec:
      targetRefs: [{{ group: "", kind: Service, name: {name} }}]
      outliers: {{ enabled: false }}
      balancer: {{ algorithm: random, panicPercent: 0 }}
      healthCheck: {{ http: {{ path: /health }}, interval: 100ms, timeout: 2s }}
    """
LIMITED = """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: TrafficPolicy
    metadata: { name: limited, namespace: shop }
    spec:
      targetRefs: [{ group: "", kind: Service, name: limited }]
      rateLimits: [{ requests: 20, period: 1h, caller: true }]
    ---
    apiVersion: mesh.apus.dev/v1alpha1
    kind: TrafficPolicy
    metadata: { name: tenants, namespace: shop }
    spec:
      targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: tenants }]
      rateLimits: [{ requests: 5, period: 1h, header: x-tenant }]
    """


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("checks"))
    try:
        plain = manifests.service("plain").replace("  selector:\n    app: plain\n", "")
        addresses = ", ".join(f"{{ addresses: [127.67.1.{n}] }}" for n in (1, 2, 3))
        slice = manifests.text(f"""
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {{ name: plain, namespace: shop, labels: {{ kubernetes.io/service-name: plain }} }}
            addressType: IPv4
            ports: [{{ name: main, port: {PORT} }}]
            endpoints: [{addresses}]
            """)
        mesh.up(manifests.service("mesh"), plain, slice, manifests.service("limited"),
                manifests.service("tenants").replace("app: tenants", "app: mesh"),
                manifests.http_route("tenants", "- backendRefs: [{ name: mesh, port: 80 }]\n"), manifests.text(LIMITED),
                *(manifests.text(CHECKED.format(name=name)) for name in PATHS))
        workloads = [mesh.run("mesh", program("moody.py", PORT), port=PORT, own_address=True, wait=False) for _ in range(3)]
        mesh.addresses = {"plain": [Plain(mesh, f"127.67.1.{n}", PORT).address for n in (1, 2, 3)],
                          "mesh": [workload.wait_until_ready().address for workload in workloads]}
        mesh.run("limited", program("moody.py", PORT), port=PORT, own_address=True)
        targets = ["mesh.shop:80", "plain.shop:80", "limited.shop:80", "tenants.shop:80"]
        mesh.caller, *ports = mesh.client(*targets, flags=["--workers", "3"])
        mesh.ports = dict(zip(["mesh", "plain", "limited", "tenants"], ports))
        for port in ports[:2]:
            mesh.wait_until_serving(port)
        yield mesh
    finally:
        mesh.stop()


def changes(mesh, backend):
    return mesh.caller.metrics().by("health", "endpoint_health_changes_total", backend=backend)


@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_that_fails_its_checks_gets_no_request_of_any_worker(checked, path):
    bad, port = checked.addresses[path][1], checked.ports[path]
    until(lambda: checked.caller.metrics().sum("health_checks_total", backend=path, result="success") >= 6, "checks go well")
    set_mood(bad, PORT, "failing")
    until(lambda: changes(checked, path) == {"unhealthy": 1}, "the checks found it")
    # A new connection for each request: some for every worker.
    answers = collections.Counter(http.get("127.0.0.1", port).status for _ in range(60))
    assert answers == {200: 60}
    set_mood(bad, PORT, "good")
    until(lambda: changes(checked, path) == {"unhealthy": 1, "healthy": 1}, "the checks brought it back")
    metrics = checked.caller.metrics()
    assert metrics.sum("outlier_ejections_total", backend=path) == 0
    assert metrics.sum("health_checks_total", backend=path, result="failure") >= 3
    # Checks are no requests.
    assert metrics.sum("request_total", backend=path, direction="outbound") < 100


def statuses(port, count, **headers):
    """Each over a connection of its own, so that workers have some each."""
    return collections.Counter(http.get("127.0.0.1", port, headers=headers).status for _ in range(count))


def test_callers_of_a_service_are_limited_each_for_itself(checked):
    port = checked.ports["limited"]
    until(lambda: http.get("127.0.0.1", port).status == 200, "a good answer")
    statuses(port, 30)
    refused = http.get("127.0.0.1", port)
    assert refused.status == 429 and refused.text.startswith("rate limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 180
    assert refused.headers["ratelimit-limit"] == "20" and refused.headers["ratelimit-remaining"] == "0"
    metrics = checked.caller.metrics()
    assert metrics.sum("response_total", dst_service="limited", status_code="200", direction="outbound") == 20
    assert metrics.sum("response_total", dst_service="limited", response_flag="RL", direction="outbound") == 12
    # Another identity has a bucket of its own.
    other, other_port = checked.client("limited.shop:80", flags=["--service-account", "other"])
    until(lambda: http.get("127.0.0.1", other_port).status == 200, "another caller is served")


def test_values_of_a_header_are_limited_by_the_clients_proxy(checked):
    port = checked.ports["tenants"]
    until(lambda: http.get("127.0.0.1", port, headers={"x-tenant": "first"}).status == 200, "a good answer")
    for tenant in ("a", "b"):
        assert statuses(port, 12, **{"x-tenant": tenant}) == {200: 5, 429: 7}
    assert checked.caller.metrics().sum("rate_limited_total", key="header", backend="tenants") == 14
