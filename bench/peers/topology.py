"""How proxies are put between a client and a program. A peer knows how to run each; a workload names the one it loads."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Topology:
    name: str
    backend: str          # the kind of program behind: http1, http2, grpc or tcp
    is_pair: bool = False  # two proxies with mutual TLS 1.3 between them
    is_tls: bool = False   # the client speaks TLS
    is_mutual: bool = False  # and shows a certificate

    @property
    def files(self):
        """The configurations of the pair, the server's side first, or the one."""
        return (f"{self.name}-b", f"{self.name}-a") if self.is_pair else (self.name,)


HTTP1 = Topology("http1", "http1")
HTTP2 = Topology("http2", "http2")
TLS = Topology("tls", "http1", is_tls=True)
# Only Apus has a configuration for it.
MUTUAL = Topology("mutual", "http1", is_tls=True, is_mutual=True)
MESH_HTTP = Topology("mesh-http", "http1", is_pair=True)
MESH_GRPC = Topology("mesh-grpc", "grpc", is_pair=True)
MESH_TCP = Topology("mesh-tcp", "tcp", is_pair=True)
# A mesh of many services and rules; only Apus is compared, with itself.
ROUTES = Topology("routes", "http1", is_pair=True)
