"""One `apus-proxy --forward` in front of an upstream: the smallest proxy there is, without a controller."""

import dataclasses
import pathlib
import signal
import ssl
import subprocess

from .certificates import Authority
from .mesh import BINARIES, program
from .waiting import accepts, free_port, until

HOST = "127.0.0.1"


@dataclasses.dataclass
class Credentials:
    """The files of a listener that speaks TLS, and what a client needs to speak with it."""

    certificate: pathlib.Path
    key: pathlib.Path
    authority: pathlib.Path
    client_files: tuple | None = None

    @classmethod
    def make(cls, directory):
        authority = Authority.foreign()
        certificate, key = authority.issue(directory, "listener", "https://listener.test/")
        root = directory / "root.pem"
        root.write_bytes(authority.pem())
        return cls(certificate, key, root, authority.issue(directory, "client", None))

    @property
    def flags(self):
        return ["--forward-tls-certificate", self.certificate, "--forward-tls-key", self.key]

    def context(self, protocols=("h2",), version=None, shows_certificate=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(str(self.authority))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if version:
            context.minimum_version = context.maximum_version = version
        if shows_certificate:
            context.load_cert_chain(*map(str, self.client_files))
        return context


def command(*arguments):
    return [str(BINARIES / "apus-proxy"), *map(str, arguments)]


class Forward:
    """A running proxy; use it in a `with` block. Its log goes to `log`, a file."""

    def __init__(self, upstream, log, *flags):
        self.port, self.upstream, self.log_path = free_port(), upstream, log
        mapping = f"{HOST}:{self.port}={HOST}:{upstream}"
        self.command = command("--forward", mapping, "--workers", 1, *flags)

    def __enter__(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: accepts(HOST, self.port) or self._ended(), "the forward listener accepts", 20)
        return self

    def _ended(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"apus-proxy ended with {self.process.returncode}:\n{self.log_path.read_text()}")

    def __exit__(self, *_):
        # A proxy that crashed or cannot drain fails the test that used it.
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert status == 0, f"apus-proxy ended with {status}:\n{self.log_path.read_text()}"


class TestBackend:
    """`programs/app.py` on a port of its own; use it in a `with` block."""

    __test__ = False

    def __init__(self, directory):
        self.port, self.log_path, self.log_position = free_port(), directory / "backend.log", 0

    def wait_for_log(self, text):
        """Until a line that no earlier call has waited for says `text`."""
        def appeared():
            at = self.log_path.read_text().find(text + "\n", self.log_position)
            if at >= 0:
                self.log_position = at + len(text)
            return at >= 0
        until(appeared, f"the backend says {text!r}")

    def __enter__(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(program("app.py", self.port, "v1"), stdin=subprocess.DEVNULL, stderr=log)
        until(lambda: accepts(HOST, self.port), "the backend listens")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
