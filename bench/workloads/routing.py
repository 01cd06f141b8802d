"""What many services and many rules cost."""

import random

from harness import generators
from harness.accounting import Meter
from harness.rounds import order
from peers import topology
from workloads.base import Metric, Workload
from workloads.mesh import Mesh

SERVICES, RULES_EACH = 1000, 10
RULES = 1000
# Gateway API: rules of one HTTPRoute.
RULES_PER_ROUTE = 16
# Requests that the load chooses from.
CHOICES = 4000
CONNECTIONS = 32


class Routing(Workload):
    """One mesh with a service that has one rule, one that has a thousand, and a thousand that have ten each. Their
    programs are the same, and so are the request lines' lengths, give or take two bytes: what differs is what the
    client's proxy has to look at. Only that proxy is counted."""

    letter, name = "k", "routing"
    title = f"Routing: 1 rule, {RULES:,} rules of one service, {SERVICES:,} services with {RULES_EACH} rules"
    topology = topology.ROUTES
    metrics = (
        Metric("many_rules", "1,000 rules / one", 3), Metric("many_services", "1,000 services / one", 3),
        Metric("cpu_us_one", "CPU us/request, one rule", 2), Metric("cpu_us_rules", "CPU us/request, 1,000 rules", 2),
        Metric("cpu_us_services", "CPU us/request, 1,000 services", 2),
    )
    has_floor = False
    compares_peers = False

    def open(self, kind, lab):
        return RoutedMesh.open(kind(self.topology, lab.context, lab.backends))

    def sample(self, subject, lab, seconds):
        costs, last = {}, {}
        subject.rounds += 1
        for name in order(list(subject.scripts), subject.rounds):
            script = subject.scripts[name]
            with Meter(subject, lab.backends, seconds / len(subject.scripts)) as meter:
                load = generators.wrk(f"http://{subject.door}/", CONNECTIONS, meter.seconds, script=script)
            costs[name] = meter.cpu * 1e6 / load["requests"]
            last = {**meter.common(load["load_cpu_seconds"]), "load_cpu_seconds": load["load_cpu_seconds"]}
        return {
            **last, **{f"cpu_us_{name}": cost for name, cost in costs.items()},
            "many_rules": costs["rules"] / costs["one"], "many_services": costs["services"] / costs["one"],
        }


class RoutedMesh(Mesh):
    def documents(self):
        text = "".join(service("one", 1)) + "".join(service("rules", RULES))
        text += "".join("".join(service(f"s{number}", RULES_EACH)) for number in range(SERVICES))
        return {"mesh.yaml": text}

    def start(self):
        super().start()
        chance = random.Random(1)
        targets = {
            "one": [("one", 0)] * CHOICES,
            "rules": [("rules", chance.randrange(RULES)) for _ in range(CHOICES)],
            "services": [(f"s{chance.randrange(SERVICES)}", chance.randrange(RULES_EACH)) for _ in range(CHOICES)],
        }
        for name, chosen in targets.items():
            self.write_script(name, [f"http://{host}.bench/rule/{rule}/items" for host, rule in chosen])


def service(name, rules):
    """A service and its routes, as documents of YAML."""
    yield f"""---
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: bench }}
spec:
  selector: {{ app: echo }}
  ports: [{{ name: bench, port: 80, targetPort: @BACKEND_PORT@, appProtocol: http }}]
"""
    for first in range(0, rules, RULES_PER_ROUTE):
        yield f"""---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: {name}-{first}, namespace: bench }}
spec:
  parentRefs: [{{ kind: Service, group: "", name: {name} }}]
  rules:
"""
        for rule in range(first, min(first + RULES_PER_ROUTE, rules)):
            yield (f"  - matches: [{{ path: {{ type: PathPrefix, value: /rule/{rule} }} }}]\n"
                   f"    backendRefs: [{{ name: {name}, port: 80 }}]\n")
