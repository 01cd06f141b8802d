"""A mesh of real processes: one controller, workloads under `apus run`, and what they say."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys

from .metrics import Metrics
from .waiting import accepts, free_port, until
from . import http

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARIES = pathlib.Path(os.environ.get("APUS_BIN_DIR", ROOT / ".build" / "release"))
PROGRAMS = pathlib.Path(__file__).resolve().parent.parent / "programs"
CONTROLLER = ("127.66.0.1", 15010)
PROXY_PORT, INBOUND_PORT, MESH_PORT, METRICS_PORT, ADMIN_PORT = 15001, 15006, 15008, 15020, 15000
NAMESPACE = "shop"


def program(name, *arguments):
    """The command line of one of our test programs, run by the Python that runs the tests."""
    return [sys.executable, str(PROGRAMS / name), *map(str, arguments)]


def process_table():
    table = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            name, rest = text.split("(", 1)[1].rsplit(")", 1)
            if rest.split()[0] != "Z":
                table[int(entry.name)] = (name, int(rest.split()[1]))
    return table


def descendants(pid):
    """(pid, command name) of everything below a process."""
    table, found, queue = process_table(), [], [pid]
    while queue:
        parent = queue.pop()
        for child, (name, its_parent) in table.items():
            if its_parent == parent:
                found.append((child, name))
                queue.append(child)
    return found


def resident_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+)", text, re.M).group(1))


class Process:
    """A process group of its own, with its output in a file."""

    def __init__(self, name, command, log, environment, **options):
        self.name, self.log_path = name, log
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
                start_new_session=True, **options)

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_log(self, pattern, seconds=15):
        return until(lambda: re.search(pattern, self.log()), f"{self.name} says /{pattern}/", seconds)

    def signal(self, number):
        self.popen.send_signal(number)

    def kill_group(self):
        """SIGKILL to the process and all that it started, at once: a power cut in miniature."""
        family = [pid for pid, _ in descendants(self.pid)]
        for pid in [self.pid, *family]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.popen.wait()

    def wait(self, seconds=20):
        return self.popen.wait(seconds)

    @property
    def is_running(self):
        return self.popen.poll() is None


class Workload(Process):
    """`apus run` with its sidecar and its program."""

    _address = None

    @property
    def address(self):
        if self._address is None:
            self._address = self.wait_for_log(r"(\S+) is in the mesh at (127\.66\.\d+\.\d+)").group(2)
        return self._address

    @property
    def workload_name(self):
        return self.wait_for_log(r"(\S+) is in the mesh at (127\.66\.\d+\.\d+)").group(1)

    def wait_until_ready(self):
        until(lambda: self.is_running or self.wait_for_exit_error(), f"{self.name} lives")
        until(lambda: http.get(self.address, METRICS_PORT, "/ready").status == 200, f"{self.name} ready", 20)
        return self

    def wait_for_exit_error(self):
        raise RuntimeError(f"{self.name} exited with {self.popen.returncode}:\n{self.log()}")

    def metrics(self):
        return Metrics(http.get(self.address, METRICS_PORT, "/metrics").text)

    @property
    def proxy_pid(self):
        found = [pid for pid, name in descendants(self.pid) if name == "apus-proxy"]
        assert found, f"{self.name} has no proxy process"
        return found[0]

    @property
    def program_pids(self):
        return [pid for pid, name in descendants(self.pid) if name != "apus-proxy"]


class Mesh:
    """One controller on a directory of manifests, with a state directory of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.manifests = directory / "manifests"
        # Short: the path of the control socket has a limit of 107 bytes.
        self.state = pathlib.Path(f"/tmp/apus-e2e-{os.getpid()}-{directory.name[:20]}")
        self.logs = directory / "logs"
        self.manifests.mkdir()
        self.logs.mkdir()
        self.processes, self.controller, self.after_stop = [], None, []

    # MARK: Environment and tool

    @property
    def environment(self):
        keep = {key: value for key, value in os.environ.items() if key.lower() not in ("http_proxy", "https_proxy", "no_proxy")}
        return {**keep, "APUS_STATE_DIR": str(self.state), "PATH": f"{BINARIES}:{keep.get('PATH', '')}:/usr/sbin"}

    def apus(self, *arguments, check=True, timeout=30):
        completed = subprocess.run(
            [str(BINARIES / "apus"), *map(str, arguments)], env=self.environment, capture_output=True, text=True,
            timeout=timeout, stdin=subprocess.DEVNULL)
        if check and completed.returncode != 0:
            raise RuntimeError(f"apus {' '.join(map(str, arguments))}: exit {completed.returncode}\n"
                               f"{completed.stdout}{completed.stderr}")
        return completed

    def json(self, *arguments):
        return json.loads(self.apus(*arguments, "-o", "json").stdout)

    # MARK: Manifests

    def write(self, name, *documents):
        """Puts a file in place in one step, as careful editors do."""
        temporary = self.manifests / f".{name}.tmp"
        temporary.write_text("---\n".join(documents))
        temporary.rename(self.manifests / name)

    # MARK: Processes

    def start(self, name, command, kind=Process, **options):
        process = kind(name, command, self.logs / f"{name}.log", self.environment, **options)
        self.processes.append(process)
        return process

    def up(self, *documents, certificate_lifetime=None, flags=()):
        """Starts the controller on these manifests and waits until it answers. A lifetime is in seconds."""
        if documents:
            self.write("mesh.yaml", *documents)
        command = [BINARIES / "apus", "up", "-f", self.manifests, *(["--", *flags] if flags else [])]
        if certificate_lifetime:
            command = [BINARIES / "apus-controller", "--manifests", self.manifests, "--state-dir", self.state,
                       "--certificate-lifetime", certificate_lifetime, *flags]
        self.controller = self.start("controller", command)

        def answers():
            if not self.controller.is_running:
                raise RuntimeError(f"apus up ended at once:\n{self.controller.log()}")
            return accepts(*CONTROLLER) and self.apus("status", "-o", "json", check=False).returncode == 0

        until(answers, "the controller answers", 20)
        return self

    def run(self, service, command, *, port=None, namespace=NAMESPACE, listen=None, labels=None, own_address=False,
            name=None, flags=(), wait=True):
        """`apus run`. `listen` maps {local port: "service.namespace:port"} on 127.0.0.1."""
        arguments = [BINARIES / "apus", "run", "--service", service, "--namespace", namespace]
        if port:
            arguments += ["--port", port]
        if own_address:
            arguments += ["--app-address", "workload"]
        for local, target in (listen or {}).items():
            arguments += ["--listen", f"127.0.0.1:{local}={target}"]
        for key, value in (labels or {}).items():
            arguments += ["--label", f"{key}={value}"]
        count = sum(1 for process in self.processes if isinstance(process, Workload))
        workload = self.start(name or f"{service}-{count}", [*arguments, *flags, "--", *command], Workload)
        if wait:
            workload.wait_until_ready()
            if port:
                address = workload.address if own_address else "127.0.0.1"
                until(lambda: accepts(address, port), f"{service}'s program accepts")
        return workload

    def client(self, *targets, **options):
        """A workload that serves nothing and has a local port for each target. Returns it and the ports."""
        ports = [free_port() for _ in targets]
        workload = self.run("client", ["sleep", "infinity"], listen=dict(zip(ports, targets)), **options)
        return (workload, *ports)

    def serve(self, service, version="v1", **options):
        """A workload of our own HTTP program, on its own loopback address at 8080 as a pod has it."""
        return self.run(service, program("app.py", 8080, version), port=8080, own_address=True, **options)

    def nginx_command(self, server, *listens):
        """The command line of an nginx in the foreground with one `server` that listens on these."""
        directory = self.directory / f"nginx-{listens[0].split()[0]}"
        (directory / "tmp").mkdir(parents=True)
        directory.chmod(0o755)
        temporary = " ".join(f"{kind}_temp_path {directory}/tmp;" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        lines = " ".join(f"listen 127.0.0.1:{listen} backlog=4096;" for listen in listens)
        (directory / "nginx.conf").write_text(f"""
            worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log stderr warn;
            events {{ worker_connections 8192; }}
            http {{ access_log off; keepalive_requests 1000000; {temporary}
              server {{ {lines} {server} }} }}""")
        return ["nginx", "-c", str(directory / "nginx.conf")]

    def nginx(self, service, body, version="v1", **options):
        port = free_port()
        command = self.nginx_command(
            f'add_header x-version {version} always; location / {{ default_type text/plain; return 200 "{body}"; }}', str(port))
        workload = self.run(service, command, port=port, **options)
        workload.port = port
        return workload

    def plain_nginx(self, *ports):
        """nginx outside the mesh."""
        process = self.start(f"nginx-{ports[0]}", self.nginx_command('location / { return 200 "ok"; }', *map(str, ports)))
        for port in ports:
            until(lambda: accepts("127.0.0.1", port), "nginx accepts")
        return process

    def wait_until_serving(self, port, path="/"):
        """Until a request through the mesh succeeds: endpoints travel to proxies after a workload is ready."""
        until(lambda: http.get("127.0.0.1", port, path).status < 400, f"a good answer on port {port}")

    # MARK: End

    def log_tails(self, lines=60):
        for process in self.processes:
            yield process.name, "\n".join(process.log().splitlines()[-lines:])

    def stop(self):
        for process in reversed(self.processes):
            if process.is_running:
                process.kill_group()
        for action in self.after_stop:
            action()
        subprocess.run(["rm", "-rf", str(self.state)], check=False)
