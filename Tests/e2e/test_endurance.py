"""A day of certificate renewals and a thousand configuration updates in one minute of load, and no request is lost."""

import time

import pytest

from support import http, manifests
from support.load import Http1, Http2, SteadyLoad
from support.mesh import METRICS_PORT
from support.metrics import Metrics
from support.waiting import free_port, until

RENEWALS, UPDATES, RATE = 24, 1000, 750
# Renewed at half of it, 10 % earlier or later: a day's renewals (at 12 h) in about 36 seconds.
LIFETIME_SECONDS = 3


def route(number):
    """Weights and a header that change with every number; every second one has one rule more."""
    extra = """
        - matches:
            - path: { type: Exact, value: /extra }
          backendRefs: [{ name: orders-v1, port: 80 }]
        """ if number % 2 else ""
    return manifests.http_route("orders", manifests.text(extra) + manifests.text(f"""
        - filters:
            - type: ResponseHeaderModifier
              responseHeaderModifier: {{ set: [{{ name: x-revision, value: "{number}" }}] }}
          backendRefs:
            - {{ name: orders-v1, port: 80, weight: {1 + number % 7} }}
            - {{ name: orders-v2, port: 80, weight: {1 + number % 5} }}
        """))


def endpoint(name, port):
    return manifests.text(f"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: {name}
          namespace: shop
          labels:
            kubernetes.io/service-name: orders-v2
        addressType: IPv4
        ports:
          - name: main
            port: {port}
        endpoints:
          - addresses: [127.0.0.1]
        """)


def version(workload):
    return int(Metrics(http.get(workload.address, METRICS_PORT, "/metrics").text).sum("config_version"))


class Updates:
    """Changes one manifest at a time and waits until the client's proxy has the version that it makes."""

    def __init__(self, mesh, client, second_port):
        self.mesh, self.client, self.second_port, self.number = mesh, client, second_port, 0

    def one(self):
        before = version(self.client)
        self.number += 1
        if self.number % 4 == 1:
            self.mesh.write("second.yaml", endpoint("orders-v2-second", self.second_port))
        elif self.number % 4 == 3:
            (self.mesh.manifests / "second.yaml").unlink()
        else:
            self.mesh.write("route.yaml", route(self.number))
        until(lambda: version(self.client) > before, f"update {self.number} arrived", 15, interval=0.002)


# A minute on a machine of its own; more where others work, too.
@pytest.mark.timeout(400)
def test_a_days_renewals_and_a_thousand_updates_lose_nothing(mesh, say):
    plain = "  selector:\n    app: orders-v2\n"
    mesh.up(
        manifests.service("orders"), manifests.service("orders-v1"), manifests.service("orders-v2").replace(plain, ""),
        certificate_lifetime=LIFETIME_SECONDS)
    ports = [free_port(), free_port()]
    mesh.plain_nginx(*ports)
    mesh.write("first.yaml", endpoint("orders-v2-first", ports[0]))
    mesh.write("route.yaml", route(0))
    servers = [mesh.nginx("orders-v1", "ok") for _ in range(2)]
    client, port = mesh.client("orders.shop:80")
    until(lambda: http.get("127.0.0.1", port).headers.get("x-revision") == "0", "the route is in force")

    loads = [SteadyLoad(Http1, port, "orders.shop", RATE, clients=32, posts=5), SteadyLoad(Http2, port, "orders.shop", RATE)]
    with loads[0], loads[1]:
        for load in loads:
            load.after(500)
        began, first = time.monotonic(), version(client)
        updates = Updates(mesh, client, ports[1])
        while updates.number < UPDATES:
            updates.one()
        took = time.monotonic() - began
        arrived = version(client) - first
        for workload in [client, *servers]:
            until(lambda: workload.metrics().sum("identity_cert_refresh_total") > RENEWALS,
                  f"{RENEWALS} renewals of {workload.name}", 90)
        for load in loads:
            load.after(500)
    # A thousand versions came, each made by one change, and the last one is what decides.
    assert arrived >= UPDATES
    last = UPDATES - UPDATES % 2
    assert http.get("127.0.0.1", port).headers["x-revision"] == str(last)
    assert client.metrics().sum("discovery_rejected_total") == 0
    renewals = [int(w.metrics().sum("identity_cert_refresh_total")) - 1 for w in (client, *servers)]
    say(f"{arrived} versions in {took:.0f} s, renewals {renewals}")
    for load in loads:
        say(str(load))
        assert load.problems == {}, str(load)
