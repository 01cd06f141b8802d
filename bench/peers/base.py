"""What all peers have in common: ports, processes, readiness, memory."""

import socket
import ssl
import urllib.request

from harness import accounting, backends
from harness.context import PROXY_CORE, find
from harness.processes import Processes

# Programs that listen on the same machine are asked directly, whatever http_proxy says.
OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))  # pylint: disable=protected-access


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Peer:
    """One or two proxy processes in one topology. A subclass says what runs; see `commands`."""

    name = ""    # on the command line and in results
    title = ""   # for people
    # Topologies this peer cannot serve, with the reason: they are left out and the report says why.
    refusals = {}
    # What a reader must know to compare: how its hop or its upstream is made.
    notes = {}
    # What to look for in the output of `version_command`.
    version_pattern = r"\d+\.\d+(?:\.\d+)?(?:[-+][\w.+~-]+)?"

    def __init__(self, topology, context, backends, workers=1, core=PROXY_CORE):
        self.topology, self.context, self.backends = topology, context, backends
        self.workers, self.core = workers, core
        self.port, self.hop_port = context.next_port(), context.next_port()
        self.processes = Processes(self.title, context.work / f"{self.id}.log")

    @property
    def id(self):
        return f"{self.name}-{self.topology.name}-{self.port}"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def backend_port(self):
        return self.backends.port[self.topology.backend]

    @classmethod
    def program(cls, context):
        """The path of the peer's program, or None when it is not installed."""
        del context
        return find(cls.name)

    @classmethod
    def version_command(cls, context):
        return [cls.program(context), "--version"]

    def commands(self):
        """The processes to start, the server's side of a pair first."""
        raise NotImplementedError

    def start(self):
        for command in self.commands():
            self.processes.spawn(self.core, command)

    def wait_until_ready(self):
        self.processes.wait_until(self.is_ready)

    def is_ready(self):
        if self.topology.is_mutual:
            # A probe that shows no certificate would be refused, and counted.
            return accepts(self.port)
        if self.topology.is_tls:
            with OPENER.open(f"https://{self.address}/", timeout=2) as response:
                return response.status == 200
        return backends.PROBES[self.topology.backend](self.context, self.address)

    def pids(self):
        """The proxy's own processes: what CPU time and memory are read from."""
        return self.processes.pids()

    def rss_kib(self):
        return sum(map(accounting.rss_kib, self.pids()))

    def stop(self):
        self.processes.stop()

    def render(self, template, suffix, **values):
        """A configuration file of this process; each process has its own, named after it."""
        extension = template.rsplit(".", 1)[1]
        return self.context.render(
            template, f"{self.id}-{suffix}.{extension}", PORT=self.port, HOP_PORT=self.hop_port,
            BACKEND_PORT=self.backend_port, WORKERS=self.workers, **values)
