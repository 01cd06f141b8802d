"""Workloads of requests in a closed loop: HTTP/1.1, HTTP/2, gRPC, large responses."""

from harness import generators
from harness.backends import LARGE_BYTES, grpc_options
from peers import topology
from workloads.base import CPU_PER_REQUEST, REQUEST_RATE, Metric, Workload

MIB = LARGE_BYTES / (1 << 20)


class HTTP1(Workload):
    """wrk with keep-alive connections."""

    letter, name = "a", "http1"
    title = "One proxy, HTTP/1.1 keep-alive, 64 connections"
    topology, connections, path = topology.HTTP1, 64, "/"
    metrics = (CPU_PER_REQUEST, REQUEST_RATE, Metric("p50_ms", "p50 ms", 2), Metric("p99_ms", "p99 ms", 2))

    def load(self, subject, lab, seconds):
        return generators.wrk(f"http://{subject.address}{self.path}", self.connections, seconds)


class MeshHTTP1(HTTP1):
    letter, name = "b", "mesh-http1"
    title = "Two proxies with mutual TLS 1.3, HTTP/1.1 clients, 32 connections"
    topology, connections = topology.MESH_HTTP, 32


class HTTP2(Workload):
    """h2load, cleartext with prior knowledge."""

    letter, name = "c", "http2"
    title = "One proxy, HTTP/2 to HTTP/2, 8 connections x 32 streams"
    topology = topology.HTTP2
    # nginx's gRPC module opens a connection, with TLS on a hop, for every stream under way.
    lead = 1
    metrics = (CPU_PER_REQUEST, REQUEST_RATE, Metric("mean_ms", "mean ms", 2), Metric("max_ms", "max ms", 2))

    def load(self, subject, lab, seconds):
        return generators.h2load(f"http://{subject.address}/", 8, 32, seconds, self.lead)


class MeshGRPC(HTTP2):
    """h2load posts one message per call; the answer ends with trailers. Readiness is a call by a real client."""

    letter, name = "d", "mesh-grpc"
    title = "Two proxies with mutual TLS 1.3, gRPC unary, 8 connections x 32 calls"
    topology = topology.MESH_GRPC

    def load(self, subject, lab, seconds):
        url = f"http://{subject.address}/bench.Echo/Unary"
        return generators.h2load(url, 8, 32, seconds, self.lead, *grpc_options(lab.context))


class Large(Workload):
    """wrk reads responses of 1 MiB."""

    letter, name = "i", "large"
    title = "One proxy, 1 MiB responses, 8 connections"
    topology, share = topology.HTTP1, 2 / 3
    metrics = (Metric("cpu_us_per_mib", "CPU us/MiB", 0), Metric("mib_per_second", "MiB/s", 0, is_better_low=False))

    def load(self, subject, lab, seconds):
        load = generators.wrk(f"http://{subject.address}/large", 8, seconds)
        return {**load, "mib_per_second": load["requests_per_second"] * MIB}

    def costs(self, load, meter):
        return {"cpu_us_per_mib": meter.cpu * 1e6 / (load["requests"] * MIB) if meter.pids else None}


class MeshLarge(Large):
    name, title = "mesh-large", "Two proxies with mutual TLS 1.3, 1 MiB responses, 8 connections"
    topology = topology.MESH_HTTP
