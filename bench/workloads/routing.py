"""What many services and many rules cost."""

import json
import os
import random

from harness import generators
from harness.accounting import Meter, descendants
from harness.context import LOAD_CORE, BenchError
from harness.rounds import order
from peers import topology
from peers.apus import is_proxy, wait_for_file
from workloads.base import Metric, Workload

SERVICES, RULES_EACH = 1000, 10
RULES = 1000
# Gateway API: rules of one HTTPRoute.
RULES_PER_ROUTE = 16
# Requests that the load chooses from.
CHOICES = 4000
CONNECTIONS = 32


class Routing(Workload):
    """One mesh with a service that has one rule, one that has a thousand, and a thousand that have ten each. Their programs are the same, and so are
    the request lines' lengths, give or take two bytes: what differs is what the client's proxy has to look at. Only that proxy is counted."""

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
        mesh = Mesh(kind(self.topology, lab.context, lab.backends))
        try:
            mesh.start()
        except BaseException:
            mesh.stop()
            raise
        return mesh

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


class Mesh:
    """A controller, a workload and a client, whose proxy is loaded by its door for HTTP proxy requests."""

    def __init__(self, peer):
        self.peer = peer
        self.context = peer.context
        self.scripts, self.door, self.client = {}, None, None
        self.rounds = 0

    def start(self):
        manifests = self.context.work / f"{self.peer.id}-manifests"
        manifests.mkdir()
        documents = ["".join(service("one", 1)), "".join(service("rules", RULES))]
        documents += ["".join(service(f"s{number}", RULES_EACH)) for number in range(SERVICES)]
        text = "".join(documents).replace("@BACKEND_PORT@", str(self.peer.backend_port))
        (manifests / "mesh.yaml").write_text(text)
        state = self.context.work / f"{self.peer.id}-state"
        environment = {**os.environ, "APUS_STATE_DIR": str(state)}
        apus, spawn = self.peer.program(self.context), self.peer.processes.spawn
        spawn(LOAD_CORE, [apus, "up", "-f", str(manifests)], env=environment)
        wait_for_file(state / "control.sock")
        told = self.context.work / f"{self.peer.id}-door"
        run = [apus, "run", "--namespace", "bench", "--workers", "1"]
        # The server's sidecar shares the load's core: it is not what is measured.
        spawn(LOAD_CORE, [*run, "--service", "echo", "--port", str(self.peer.backend_port), "--",
                          "sleep", "infinity"], env=environment)
        self.client = spawn(self.peer.core, [*run, "--service", "client", "--", "sh", "-c", f'echo "$http_proxy" > {told}.new; '
                                             f"mv {told}.new {told}; exec sleep infinity"], env=environment)
        wait_for_file(told)
        self.door = told.read_text().strip().removeprefix("http://").rstrip("/")
        self.write_scripts()

    def write_scripts(self):
        chance = random.Random(1)
        targets = {
            "one": [("one", 0)] * CHOICES,
            "rules": [("rules", chance.randrange(RULES)) for _ in range(CHOICES)],
            "services": [(f"s{chance.randrange(SERVICES)}", chance.randrange(RULES_EACH)) for _ in range(CHOICES)],
        }
        for name, chosen in targets.items():
            path = self.context.work / f"{self.peer.id}-{name}.lua"
            lines = ",\n".join(json.dumps(f"http://{host}.bench/rule/{rule}/items") for host, rule in chosen)
            path.write_text(
                f"local urls = {{{lines}}}\nlocal requests, turn = {{}}, 0\n"
                "function init(args)\n  for i, url in ipairs(urls) do\n"
                '    requests[i] = wrk.format("GET", url, {Host = url:match("//([^/]+)")})\n  end\nend\n'
                "function request()\n  turn = turn % #requests + 1\n  return requests[turn]\nend\n")
            self.scripts[name] = path

    def pids(self):
        """The client's proxy alone."""
        found = [pid for pid in descendants(self.client.pid) if is_proxy(pid)]
        if len(found) != 1:
            raise BenchError(f"the client has {len(found)} proxies, not one")
        return found

    def rss_kib(self):
        return self.peer.rss_kib()

    def stop(self):
        self.peer.stop()


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
