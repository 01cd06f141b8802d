"""A mesh of many services, whose proxies are loaded by their doors for HTTP proxy requests."""

import json
import os

from harness.accounting import descendants
from harness.context import LOAD_CORE, BenchError
from peers.apus import is_proxy, wait_for_file


class Mesh:
    """A controller, a workload and a client. Subclasses say what the manifests are."""

    def __init__(self, peer):
        self.peer = peer
        self.context = peer.context
        self.manifests = self.context.work / f"{self.peer.id}-manifests"
        self.scripts, self.door, self.client = {}, None, None
        self.rounds = 0

    @classmethod
    def open(cls, peer):
        mesh = cls(peer)
        try:
            mesh.start()
        except BaseException:
            mesh.stop()
            raise
        return mesh

    def documents(self):
        """File names and texts. `@BACKEND_PORT@` is filled in."""
        raise NotImplementedError

    def served(self):
        """Services with a workload, and the core of its sidecar. By default it shares the load's: it is not what is
        measured."""
        return [("echo", LOAD_CORE)]

    def write(self, name, text):
        """Puts a file in place in one step."""
        temporary = self.manifests / f".{name}.new"
        temporary.write_text(text.replace("@BACKEND_PORT@", str(self.peer.backend_port)))
        temporary.rename(self.manifests / name)

    def start(self):
        self.manifests.mkdir()
        for name, text in self.documents().items():
            self.write(name, text)
        state = self.context.work / f"{self.peer.id}-state"
        environment = {**os.environ, "APUS_STATE_DIR": str(state)}
        apus, spawn = self.peer.program(self.context), self.peer.processes.spawn
        spawn(LOAD_CORE, [apus, "up", "-f", str(self.manifests)], env=environment)
        wait_for_file(state / "control.sock")
        told = self.context.work / f"{self.peer.id}-door"
        run = [apus, "run", "--namespace", "bench", "--workers", "1"]
        self.servers = [
            spawn(core, [*run, "--service", name, "--port", str(self.peer.backend_port), "--", "sleep", "infinity"],
                  env=environment)
            for name, core in self.served()]
        self.client = spawn(self.peer.core, [*run, "--service", "client", "--", "sh", "-c", f'echo "$http_proxy" > {told}.new; '
                                             f"mv {told}.new {told}; exec sleep infinity"], env=environment)
        wait_for_file(told)
        self.door = told.read_text().strip().removeprefix("http://").rstrip("/")

    def write_script(self, name, urls):
        """Lua for wrk that asks for one URL after the other."""
        path = self.context.work / f"{self.peer.id}-{name}.lua"
        lines = ",\n".join(map(json.dumps, urls))
        path.write_text(
            f"local urls = {{{lines}}}\nlocal requests, turn = {{}}, 0\n"
            "function init(args)\n  for i, url in ipairs(urls) do\n"
            '    requests[i] = wrk.format("GET", url, {Host = url:match("//([^/]+)")})\n  end\nend\n'
            "function request()\n  turn = turn % #requests + 1\n  return requests[turn]\nend\n")
        self.scripts[name] = path

    def pids(self):
        """The client's proxy alone."""
        found = [pid for pid in descendants(self.client.pid) if is_proxy(pid)]
        if len(found) != 1:
            raise BenchError(f"the client has {len(found)} proxies, not one")
        return found

    def rss_kib(self):
        return self.peer.rss_kib()

    def stop(self):
        self.peer.stop()
