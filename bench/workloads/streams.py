"""Opaque TCP through two proxies with mutual TLS: bulk and small messages."""

from harness import generators
from peers import topology
from workloads.base import Metric, Workload


class Bulk(Workload):
    """Four connections receive what the program behind sends as fast as it can."""

    letter, name = "e", "tcp-bulk"
    title = "Two proxies with mutual TLS 1.3, opaque TCP, bulk, 4 connections"
    topology = topology.MESH_TCP
    metrics = (
        Metric("gbit_per_second", "Gbit/s", 2, is_better_low=False),
        Metric("cpu_seconds_per_gb", "CPU s/GB", 2),
    )

    def load(self, subject, lab, seconds):
        load = generators.loadgen(lab.context, "bulk", subject.address, seconds, "--connections=4", "--warmup=0.5")
        return {**load, "gbit_per_second": load["bytes_per_second"] * 8 / 1e9}

    def costs(self, load, meter):
        return {"cpu_seconds_per_gb": meter.cpu * 1e9 / load["all_bytes"] if meter.pids else None}


class Messages(Workload):
    """64 bytes there and back, one message under way on each connection."""

    letter, name = "e", "tcp-messages"
    title = "Two proxies with mutual TLS 1.3, opaque TCP, 64-byte messages there and back, 64 connections"
    topology = topology.MESH_TCP
    metrics = (
        Metric("cpu_us_per_message", "CPU us/message"),
        Metric("messages_per_second", "messages/s", 0, is_better_low=False),
        Metric("p50_us", "p50 us", 0), Metric("p99_us", "p99 us", 0),
    )

    def load(self, subject, lab, seconds):
        return generators.loadgen(
            lab.context, "pingpong", subject.address, seconds, "--connections=64", "--bytes=64", "--warmup=0")

    def costs(self, load, meter):
        return {"cpu_us_per_message": meter.cpu * 1e6 / load["messages"] if meter.pids else None}
