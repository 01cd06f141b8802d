"""Latency that proxies add, at a constant rate far below what they can do."""

from harness import generators
from peers import topology
from workloads.base import Metric, Workload

PERCENTILES = ("p50", "p90", "p99", "p99_9")
RATE, CONNECTIONS = 1000, 16


class Latency(Workload):
    """Open loop: every request counts from the moment it was due. Added latency is what a peer's percentile has over that
    of the direct connection in the same round."""

    letter, name = "f", "latency"
    title = f"One proxy, latency added at {RATE} requests/s"
    topology, share = topology.HTTP1, 5 / 3
    metrics = tuple(
        [Metric(f"added_{point}_us", f"added {point.replace('_', '.')} us", 0) for point in PERCENTILES]
        + [Metric(f"{point}_us", f"{point.replace('_', '.')} us", 0) for point in PERCENTILES]
        + [Metric("send_lag_p99_us", "sent late p99 us", 0)])

    def load(self, subject, lab, seconds):
        options = (f"--rate={RATE}", f"--connections={CONNECTIONS}", "--warmup=0.5")
        return generators.loadgen(lab.context, "latency", subject.address, seconds, *options)

    def costs(self, load, meter):
        # A tick of CPU accounting is 10 ms: too coarse for what so few requests cost.
        return {}

    def finish_round(self, samples):
        floor = samples.get("direct")
        for name, sample in samples.items():
            for point in PERCENTILES:
                is_known = floor is not None and name != "direct"
                sample[f"added_{point}_us"] = sample[f"{point}_us"] - floor[f"{point}_us"] if is_known else None


class MeshLatency(Latency):
    name, title = "mesh-latency", f"Two proxies with mutual TLS 1.3, latency added at {RATE} requests/s"
    topology = topology.MESH_HTTP
