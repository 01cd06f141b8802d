"""Apus, from this tree's build: one proxy by its command line, or a real mesh of a controller and two sidecars."""

import os
import pathlib
import time

from harness.context import LOAD_CORE, BenchError
from peers import topology
from peers.base import Peer

PROGRAMS = ("apus", "apus-controller", "apus-proxy")
APP_PROTOCOLS = {"http1": "http", "grpc": "grpc", "tcp": "tcp"}


class Apus(Peer):
    name, title = "apus", "Apus"
    notes = {
        topology.MESH_HTTP: "hop in HTTP/2", topology.MESH_GRPC: "hop in HTTP/2",
        topology.MESH_TCP: "hop in HTTP/2 tunnels, as in the mesh; the peers' is plain TLS",
    }

    @classmethod
    def program(cls, context):
        found = [context.binaries / name for name in PROGRAMS]
        return str(found[0]) if all(path.exists() for path in found) else None

    @classmethod
    def version_command(cls, context):
        return [cls.program(context), "version"]

    def commands(self):
        """One proxy. What is not said has its default, as for users."""
        command = [str(self.context.binaries / "apus-proxy"), "--forward", f"{self.address}=127.0.0.1:{self.backend_port}",
                   "--workers", str(self.workers)]
        if self.topology.backend == "http2":
            command += ["--forward-protocol", "http2"]
        if self.topology.is_tls:
            command += ["--forward-tls-certificate", str(self.context.work / "server.pem"),
                        "--forward-tls-key", str(self.context.work / "server.key")]
        if self.topology.is_mutual:
            command += ["--forward-tls-client-ca", str(self.context.work / "ca.pem")]
        return [command]

    def start(self):
        if self.topology.is_pair:
            self.start_mesh()
        else:
            super().start()

    def start_mesh(self):
        manifests = self.context.work / f"{self.id}-manifests"
        manifests.mkdir()
        self.render("apus-mesh.yaml", "mesh", APP_PROTOCOL=APP_PROTOCOLS[self.topology.backend])
        (self.context.work / f"{self.id}-mesh.yaml").rename(manifests / "mesh.yaml")
        state = self.context.work / f"{self.id}-state"
        environment = {**os.environ, "APUS_STATE_DIR": str(state)}
        apus = self.program(self.context)
        # The controller carries no request: it stays off the proxies' core.
        self.processes.spawn(LOAD_CORE, [apus, "up", "-f", str(manifests)], env=environment)
        wait_for_file(state / "control.sock")
        # The sidecars inherit the proxies' core. The programs beside them only wait: the backend is the one all peers use.
        run = [apus, "run", "--namespace", "bench", "--workers", str(self.workers)]
        server = [*run, "--service", "echo", "--port", str(self.backend_port), "--", "sleep", "infinity"]
        client = [*run, "--service", "client", "--listen", f"{self.address}=echo.bench:80", "--", "sleep", "infinity"]
        self.processes.spawn(self.core, server, env=environment)
        self.processes.spawn(self.core, client, env=environment)

    def pids(self):
        """Only the proxies: the controller and `apus run` carry no request."""
        return [pid for pid in super().pids() if is_proxy(pid)]


def is_proxy(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "apus-proxy"
    except FileNotFoundError:
        return False


def wait_for_file(path, seconds=30):
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise BenchError(f"apus up made no {path.name} within {seconds} s")
        time.sleep(0.05)
