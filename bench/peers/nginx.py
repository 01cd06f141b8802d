"""nginx, from Debian."""

import pathlib

from harness.context import find
from peers import topology
from peers.base import Peer

# Debian's libnginx-mod-stream.
STREAM_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")


class Nginx(Peer):
    name, title = "nginx", "nginx"
    notes = {
        topology.MESH_HTTP: "hop in HTTP/1.1 (nginx speaks no HTTP/2 to an HTTP upstream)",
        topology.HTTP2: "upstream through the gRPC module, one stream per connection",
        topology.MESH_GRPC: "hop through the gRPC module, one stream per connection",
    }

    @classmethod
    def program(cls, context):
        return find("nginx") if STREAM_MODULE.exists() else None

    @classmethod
    def version_command(cls, context):
        return [cls.program(context), "-v"]

    def commands(self):
        return [
            [find("nginx"), "-c", self.render(f"nginx-{file}.conf", file, STREAM_MODULE=STREAM_MODULE)]
            for file in self.topology.files
        ]
