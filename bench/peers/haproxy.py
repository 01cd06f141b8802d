"""HAProxy, from Debian."""

from harness.context import find
from peers import topology
from peers.base import Peer


class HAProxy(Peer):
    name, title = "haproxy", "HAProxy"
    notes = {topology.MESH_HTTP: "hop in HTTP/2", topology.MESH_GRPC: "hop in HTTP/2"}

    @classmethod
    def version_command(cls, context):
        return [cls.program(context), "-v"]

    def commands(self):
        return [
            [find("haproxy"), "-db", "-f", self.render(f"haproxy-{file}.cfg", file)]
            for file in self.topology.files
        ]
