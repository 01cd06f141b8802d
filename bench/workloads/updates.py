"""How soon an edit of one route reaches a proxy, and whether it costs requests."""

import http.client
import random
import statistics
import threading
import time

from harness import generators
from harness.accounting import Meter
from harness.context import BenchError
from peers import topology
from workloads.base import Metric, Workload
from workloads.mesh import Mesh

SERVICES = 5000
EDITED = 7
CONNECTIONS = 32
# Between two edits: at rest not in step with anything, and under load fast enough for many of them.
PAUSE, PAUSE_UNDER_LOAD = (0.05, 0.15), 0.05


class Updates(Workload):
    """One file for each of 5,000 services with a route. An edit of one of them, from the rename that puts it in place
    to the first response that the client's proxy gives by it; then edits while wrk asks for that service, where a
    single bad response ends the run."""

    letter, name = "l", "updates"
    title = f"Updates: one route of {SERVICES:,} services"
    topology = topology.ROUTES
    metrics = (
        Metric("update_ms", "median ms to a response by the new rule", 1), Metric("update_ms_worst", "worst ms", 1),
        Metric("edits_under_load", "edits under load", 0, is_better_low=False),
        Metric("requests_under_load", "requests, none lost", 0, is_better_low=False),
    )
    has_floor = False
    compares_peers = False

    def open(self, kind, lab):
        return EditedMesh.open(kind(self.topology, lab.context, lab.backends))

    def sample(self, subject, lab, seconds):
        with Meter(subject, lab.backends, seconds / 2) as meter:
            stop, edits = threading.Event(), []
            editor = threading.Thread(target=lambda: edits.extend(subject.edit_until(stop)))
            editor.start()
            try:
                load = generators.wrk(f"http://{subject.door}/", CONNECTIONS, meter.seconds, script=subject.scripts["edited"])
            finally:
                stop.set()
                editor.join()
        took = subject.times(seconds / 2)
        return {
            **meter.common(load["load_cpu_seconds"]), "load_cpu_seconds": load["load_cpu_seconds"],
            "update_ms": statistics.median(took), "update_ms_worst": max(took),
            "edits_under_load": len(edits), "requests_under_load": load["requests"],
        }


class EditedMesh(Mesh):
    def __init__(self, peer):
        super().__init__(peer)
        self.version, self.chance = 0, random.Random(1)

    def documents(self):
        return {f"s{number}.yaml": service(number, 0) for number in range(SERVICES)}

    def start(self):
        super().start()
        self.write_script("edited", [f"http://s{EDITED}.bench/items"])
        self.wait_for_version(0, 30)

    def edit(self):
        self.version += 1
        self.write(f"s{EDITED}.yaml", service(EDITED, self.version))

    def edit_until(self, stop):
        while not stop.wait(PAUSE_UNDER_LOAD):
            self.edit()
            yield self.version

    def times(self, seconds):
        """Milliseconds of every edit."""
        self.wait_for_version(self.version, 10)
        took, end = [], time.monotonic() + seconds
        while not took or time.monotonic() < end:
            time.sleep(self.chance.uniform(*PAUSE))
            started = time.monotonic()
            self.edit()
            self.wait_for_version(self.version, 10)
            took.append((time.monotonic() - started) * 1e3)
        return took

    def wait_for_version(self, version, seconds):
        """Asks until a response is by the route's version."""
        deadline = time.monotonic() + seconds
        connection = http.client.HTTPConnection(self.door, timeout=seconds)
        while True:
            connection.request("GET", f"http://s{EDITED}.bench/items")
            response = connection.getresponse()
            response.read()
            if response.status == 200 and response.getheader("x-version") == str(version):
                return connection.close()
            if time.monotonic() > deadline:
                raise BenchError(f"version {version} of a route is not in force after {seconds} s")


def service(number, version):
    """A service and its route, which tells its version to clients."""
    return f"""apiVersion: v1
kind: Service
metadata: {{ name: s{number}, namespace: bench }}
spec:
  selector: {{ app: echo }}
  ports: [{{ name: bench, port: 80, targetPort: @BACKEND_PORT@, appProtocol: http }}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: s{number}, namespace: bench }}
spec:
  parentRefs: [{{ kind: Service, group: "", name: s{number} }}]
  rules:
  - filters:
    - {{ type: ResponseHeaderModifier, responseHeaderModifier: {{ set: [{{ name: x-version, value: "{version}" }}] }} }}
    backendRefs: [{{ name: s{number}, port: 80 }}]
"""
