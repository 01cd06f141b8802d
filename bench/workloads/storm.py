"""A proxy that was restarted, and all its peers at once."""

import pathlib
import re

from harness import generators
from harness.context import BenchError
from peers import topology
from workloads.base import Metric, Workload

PEERS = 1_000
# Far more than it should take: a run that is slower has no number.
LONGEST_SECONDS = 60


def peak_rss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+)", text, re.M).group(1))


class Storm(Workload):
    """1,000 peers connect at the same moment to a proxy that has just started: mutual TLS 1.3, one request each. Each
    sample has a fresh process. One that refuses a peer, or closes a connection, ends the run."""

    letter, name = "m", "storm"
    title = f"{PEERS:,} peers with client certificates at once, after a restart"
    topology = topology.MUTUAL
    metrics = (
        Metric("recovered_seconds", "s until all are served", 2), Metric("p50_ms", "p50 ms", 0),
        Metric("peak_rss_mib", "peak RSS, MiB"), Metric("peak_kib_per_peer", "KiB/peer at the peak", 1),
    )
    has_floor = False
    compares_peers = False

    def open(self, kind, lab):
        return kind

    def close(self, subject):
        pass

    def warm_up(self, subject, lab):
        pass

    def sample(self, subject, lab, seconds):
        peer = super().open(subject, lab)
        try:
            return self.storm(peer, lab)
        finally:
            peer.stop()

    def storm(self, peer, lab):
        pids = peer.pids()
        if not pids:
            raise BenchError(f"{peer.title} is not running")
        before = sum(map(peak_rss_kib, pids))
        bundle = lab.context.work / "client.bundle.pem"
        options = (f"--connections={PEERS}", "--sources=16", f"--certificate={bundle}", "--tls")
        load = generators.loadgen(lab.context, "storm", peer.address, LONGEST_SECONDS, *options)
        peak = sum(map(peak_rss_kib, pids))
        return {
            **load, "p50_ms": load["p50_us"] / 1000, "peak_rss_mib": peak / 1024,
            "peak_kib_per_peer": (peak - before) / PEERS, "loaded_rss_kib": peer.rss_kib(),
        }
