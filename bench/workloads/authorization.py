"""What a thousand AuthorizationPolicies cost a request that five of them concern."""

from harness import generators
from harness.accounting import Meter, descendants
from harness.rounds import order
from peers import topology
from peers.apus import is_proxy
from workloads.base import Metric, Workload
from workloads.mesh import Mesh

SERVICES, POLICIES_EACH = 200, 5
CONNECTIONS = 32


class Authorization(Workload):
    """One mesh with two services of the same program: policies concern one of them, and 199 others. The proxies of
    the client and of both servers are counted."""

    letter, name = "p", "authorization"
    title = f"Authorization: no policy, and {SERVICES * POLICIES_EACH:,} across {SERVICES} services"
    topology = topology.ROUTES
    metrics = (
        Metric("guarded", "1,000 policies / none", 3), Metric("cpu_us_free", "CPU us/request, no policy", 2),
        Metric("cpu_us_guarded", "CPU us/request, 1,000 policies", 2),
    )
    has_floor = False
    compares_peers = False

    def open(self, kind, lab):
        return GuardedMesh.open(kind(self.topology, lab.context, lab.backends))

    def sample(self, subject, lab, seconds):
        costs, last = {}, {}
        subject.rounds += 1
        for name in order(list(subject.scripts), subject.rounds):
            with Meter(subject, lab.backends, seconds / len(subject.scripts)) as meter:
                load = generators.wrk(f"http://{subject.door}/", CONNECTIONS, meter.seconds, script=subject.scripts[name])
            costs[name] = meter.cpu * 1e6 / load["requests"]
            last = {**meter.common(load["load_cpu_seconds"]), "load_cpu_seconds": load["load_cpu_seconds"]}
        return {**last, **{f"cpu_us_{name}": cost for name, cost in costs.items()}, "guarded": costs["guarded"] / costs["free"]}


class GuardedMesh(Mesh):
    def served(self):
        return [("free", self.peer.core), ("guarded", self.peer.core)]

    def documents(self):
        names = ["guarded", *(f"s{number}" for number in range(SERVICES - 1))]
        return {"mesh.yaml": service("free") + "".join(map(service, names)) + "".join(
            policy(name, number) for name in names for number in range(POLICIES_EACH))}

    def start(self):
        super().start()
        for name in ("free", "guarded"):
            self.write_script(name, [f"http://{name}.bench/orders/{number}" for number in range(100, 200)])

    def pids(self):
        return [pid for process in (self.client, *self.servers) for pid in descendants(process.pid) if is_proxy(pid)]


def service(name):
    return f"""---
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: bench }}
spec:
  selector: {{ app: {name} }}
  ports: [{{ name: bench, port: 80, targetPort: @BACKEND_PORT@, appProtocol: http }}]
"""


def policy(name, number):
    """Two that deny something else, and three lists of callers of which the last has the client."""
    deny = "{ from: [{ namespaces: [evil] }] }, { to: [{ methods: [DELETE], paths: [{ prefix: /admin }] }] }"
    account = "client" if number == POLICIES_EACH - 1 else f"caller-{number}"
    orders = "{ methods: [GET], paths: [{ template: '/orders/{id}' }] }"
    allow = f"{{ from: [{{ serviceAccounts: [{account}] }}], to: [{orders}] }}"
    action, rules = ("deny", deny) if number < 2 else ("allow", allow)
    return f"""---
apiVersion: mesh.apus.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {{ name: {name}-{number}, namespace: bench }}
spec:
  targetRefs: [{{ group: "", kind: Service, name: {name} }}]
  action: {action}
  rules: [{rules}]
"""
