"""Memory of idle connections."""

import json
import subprocess
import time

from harness.context import LOAD_CORE, BenchError
from harness.processes import pinned
from peers import topology
from workloads.base import Metric, Workload

CONNECTIONS = 10_000
# Proxies give memory back with a delay: buffers of a request that has ended, caches that are trimmed by a timer.
SETTLE_SECONDS = 2


class Idle(Workload):
    """10,000 connections, one request each, then nothing: what the proxy holds for them. Each sample has a fresh process,
    since memory that was once taken is rarely given back in full."""

    letter, name = "g", "idle"
    title = f"{CONNECTIONS:,} idle connections, plaintext HTTP/1.1"
    topology = topology.HTTP1
    metrics = (
        Metric("kib_per_connection", "KiB/connection", 2),
        Metric("rss_mib_before", "RSS before, MiB"), Metric("rss_mib_after", "RSS after, MiB"),
    )
    has_floor = False
    options = ()

    def open(self, kind, lab):
        return kind

    def close(self, subject):
        pass

    def warm_up(self, subject, lab):
        pass

    def sample(self, subject, lab, seconds):
        peer = super().open(subject, lab)
        try:
            return self.hold_connections(peer, lab)
        finally:
            peer.stop()

    def hold_connections(self, peer, lab):
        command = [lab.context.loadgen, "idle", peer.address, f"--connections={CONNECTIONS}", "--sources=8", *self.options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(pinned(LOAD_CORE, command), text=True, **pipes) as load:
            before = peer.rss_kib()
            said = load.stdout.readline()
            if not said:
                raise BenchError(f"{peer.title}: {load.stderr.read().strip()}")
            time.sleep(SETTLE_SECONDS)
            after = peer.rss_kib()
            answer, errors = load.communicate("\n", timeout=60)
        if load.returncode != 0 or json.loads(answer)["kept"] != CONNECTIONS:
            raise BenchError(f"{peer.title}: {errors.strip() or answer}")
        return {
            "kib_per_connection": (after - before) / CONNECTIONS,
            "rss_mib_before": before / 1024, "rss_mib_after": after / 1024, "loaded_rss_kib": after,
            "load_cpu_seconds": json.loads(answer)["load_cpu_seconds"],
        }


class IdleTLS(Idle):
    name, title = "idle-tls", f"{CONNECTIONS:,} idle connections, TLS 1.3"
    topology, options = topology.TLS, ("--tls",)
