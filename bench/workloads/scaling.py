"""Two workers against one."""

from harness import generators
from harness.accounting import Meter
from harness.cgroups import CPUQuota, quota_unavailable
from harness.context import BOTH_CORES
from peers import topology
from workloads.base import Metric, Workload

# Of one core, for each worker. Two workers and what they need of load and backend then fit into two cores.
WORKER_SHARE = 0.35


class Scaling(Workload):
    """One worker may use 35 % of a core, two workers 70 %: the proxy stays the bottleneck and the load generator has cores to
    spare. What two workers lose against twice one is what they lose to each other: locks, shared cache lines, an uneven
    share of the connections. A sample says something while `cores used` is near the quota."""

    letter, name = "j", "scaling"
    title = f"Two workers against one, HTTP/1.1, each worker limited to {WORKER_SHARE:.0%} of a core"
    topology = topology.HTTP1
    metrics = (
        Metric("scaling", "two / one", 2, is_better_low=False),
        Metric("rate_one", "requests/s, one", 0, is_better_low=False),
        Metric("rate_two", "requests/s, two", 0, is_better_low=False),
        Metric("cpu_us_one", "CPU us/request, one"), Metric("cpu_us_two", "CPU us/request, two"),
        Metric("busy_one", "cores used, one", 2), Metric("busy_two", "cores used, two", 2),
        Metric("load_busy", "cores used by the load, two", 2),
    )
    has_floor = False

    def unavailable(self, lab):
        return quota_unavailable()

    def open(self, kind, lab):
        teams = []
        try:
            for workers in (1, 2):
                teams.append(Team(kind(self.topology, lab.context, lab.backends, workers, BOTH_CORES)))
                teams[-1].start()
        except BaseException:
            self.close(teams)
            raise
        return teams

    def close(self, subject):
        for team in subject:
            team.stop()

    def sample(self, subject, lab, seconds):
        one, two = (self.load_team(team, lab, seconds) for team in subject)
        return {
            "scaling": two["rate"] / one["rate"], "rate_one": one["rate"], "rate_two": two["rate"],
            "cpu_us_one": one["cpu_us"], "cpu_us_two": two["cpu_us"],
            "busy_one": one["proxy_busy"], "busy_two": two["proxy_busy"], "load_busy": two["load_busy"],
            "loaded_rss_kib": two["loaded_rss_kib"], "load_cpu_seconds": two["load_cpu_seconds"],
        }

    def load_team(self, team, lab, seconds):
        lab.backends.use_core(BOTH_CORES)
        try:
            with Meter(team.peer, lab.backends, seconds) as meter:
                load = generators.wrk(f"http://{team.peer.address}/", 64, seconds, BOTH_CORES)
        finally:
            lab.backends.use_core()
        return {
            **load, **meter.common(load["load_cpu_seconds"]),
            "rate": load["requests_per_second"], "cpu_us": meter.cpu * 1e6 / load["requests"],
        }


class Team:
    """A peer and the quota its processes live under."""

    def __init__(self, peer):
        self.peer = peer
        self.quota = CPUQuota(f"apus-bench-{peer.id}", WORKER_SHARE * peer.workers)

    def start(self):
        self.peer.start()
        self.peer.wait_until_ready()
        self.quota.hold(self.peer.pids())

    def stop(self):
        try:
            self.peer.stop()
        finally:
            self.quota.remove()
