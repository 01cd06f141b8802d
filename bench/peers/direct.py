"""No proxy at all: the floor that every proxy's latency and throughput stand on."""

from peers import topology
from peers.base import Peer


class Direct(Peer):
    name, title = "direct", "direct"
    refusals = {topology.TLS: "the program behind speaks no TLS"}

    @property
    def address(self):
        return f"127.0.0.1:{self.backend_port}"

    @classmethod
    def program(cls, context):
        return "direct"

    @classmethod
    def version_command(cls, context):
        return None

    def commands(self):
        return []
