"""New TLS 1.3 connections: full handshakes and resumed ones."""

from harness import generators
from peers import topology
from workloads.base import Metric, Workload


class Handshakes(Workload):
    """Connect, handshake (P-256 certificate, AES-128-GCM), one request, close; 32 at a time."""

    letter, name = "h", "handshakes"
    title = "New TLS 1.3 connections, full handshake and one request each"
    topology = topology.TLS
    metrics = (
        Metric("per_cpu_second", "connections/CPU second", 0, is_better_low=False),
        Metric("connections_per_second", "connections/s", 0, is_better_low=False),
        Metric("cpu_us_per_connection", "CPU us/connection", 0),
        Metric("resumed_share", "resumed", 2, is_better_low=False),
    )
    has_floor = False
    options = ()

    def load(self, subject, lab, seconds):
        options = ("--connections=32", "--sources=32", "--warmup=0", *self.options)
        load = generators.loadgen(lab.context, "handshakes", subject.address, seconds, *options)
        return {**load, "resumed_share": load["resumed"] / load["connections"]}

    def costs(self, load, meter):
        return {
            "per_cpu_second": load["connections"] / meter.cpu,
            "cpu_us_per_connection": meter.cpu * 1e6 / load["connections"],
        }


class Resumed(Handshakes):
    """The same with the ticket of the connection before. The generator fails the run when one is refused."""

    name, title = "resumed", "New TLS 1.3 connections, resumed by ticket and one request each"
    options = ("--resume",)
