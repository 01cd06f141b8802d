"""The programs behind the proxies. One of each kind serves the whole run, on the load's core; an idle one costs nothing."""

import os
import pathlib
import socket
import sys
import urllib.request

from harness.context import LOAD_CORE, find
from harness.generators import run
from harness.processes import Processes

LARGE_BYTES = 1 << 20


class Backends:
    def __init__(self, context):
        self.context = context
        self.processes = Processes("the backend", context.work / "backends.log")
        self.port = {kind: context.next_port() for kind in ("http1", "http2", "grpc", "tcp")}

    def start(self):
        files = self.context.work / "files"
        files.mkdir()
        (files / "large").write_bytes(bytes(range(256)) * (LARGE_BYTES // 256))
        # A unary gRPC message of 64 bytes with its five-byte prefix: what h2load posts.
        (self.context.work / "grpc-request.bin").write_bytes(b"\0" + (64).to_bytes(4, "big") + b"x" * 64)
        configuration = self.context.render("backend-nginx.conf", "backend-nginx.conf", BACKEND_PORT=self.port["http1"])
        self.processes.spawn(LOAD_CORE, [find("nginx"), "-c", configuration])
        for kind in ("http2", "grpc", "tcp"):
            self.processes.spawn(LOAD_CORE, [self.context.loadgen, f"{kind}-backend", f"127.0.0.1:{self.port[kind]}"])
        for kind, probe in PROBES.items():
            address = f"127.0.0.1:{self.port[kind]}"
            self.processes.wait_until(lambda probe=probe, address=address: probe(self.context, address))

    def pids(self):
        return self.processes.pids()

    def use_core(self, core=LOAD_CORE):
        """Moves the programs, for a workload that is not pinned as the others are."""
        for pid in self.pids():
            os.sched_setaffinity(pid, {int(number) for number in core.split(",")})

    def stop(self):
        self.processes.stop()


def answers_http1(context, address):
    del context
    with urllib.request.urlopen(f"http://{address}/", timeout=2) as response:
        return response.status == 200


def h2load_succeeds(url, *options):
    output, _ = run(["h2load", "-n1", "-c1", *options, url], 5)
    return "1 succeeded" in output and "1 2xx" in output


def answers_http2(context, address):
    del context
    return h2load_succeeds(f"http://{address}/")


def grpc_options(context):
    return (f"--data={context.work / 'grpc-request.bin'}", "-H", "content-type: application/grpc", "-H", "te: trailers")


def answers_grpc(context, address):
    """Whether a real gRPC client is content: h2load, which makes the load, looks at neither the message nor the trailers."""
    del context
    run([sys.executable, str(pathlib.Path(__file__).with_name("grpc_probe.py")), address], 10)
    return True


def answers_tcp(context, address):
    del context
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        connection.sendall(b"Eready?")
        return connection.recv(6, socket.MSG_WAITALL) == b"ready?"


PROBES = {"http1": answers_http1, "http2": answers_http2, "grpc": answers_grpc, "tcp": answers_tcp}
