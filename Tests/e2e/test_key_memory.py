"""Where a proxy's private key stands in memory, and that a crash leaves no copy of it."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from support import http
from support.forward import HOST, Credentials, Forward, TestBackend, command
from support.mesh import descendants
from support.metrics import Metrics
from support.waiting import accepts, free_port, until


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("key-memory")


@pytest.fixture(scope="module")
def credentials(directory):
    return Credentials.make(directory)


def regions(pid):
    """(start, end, flags of VmFlags) of what the process may read and write."""
    found, current = [], None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if head := re.match(r"^([0-9a-f]+)-([0-9a-f]+) rw", line):
            current = (int(head.group(1), 16), int(head.group(2), 16))
        elif re.match(r"^[0-9a-f]+-[0-9a-f]+ ", line):
            current = None
        elif current and line.startswith("VmFlags:"):
            found.append((*current, line.split()[1:]))
    return found


def occurrences(pid, needles):
    """The flags of each region, once for every time that one of the needles stands in it."""
    found = []
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for start, end, flags in regions(pid):
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except OSError:
                continue
            for needle in needles:
                found += [flags] * content.count(needle)
    return found


def test_a_key_stands_in_locked_memory_alone(directory, credentials):
    key = serialization.load_pem_private_key(credentials.key.read_bytes(), None)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    # OpenSSL keeps numbers with the least significant byte first; the file has base64 of the other order.
    lines = credentials.key.read_bytes().splitlines()
    needles = [number, number[::-1], lines[1][8:56]]
    with TestBackend(directory) as backend, Forward(backend.port, directory / "memory.log", *credentials.flags) as proxy:
        with socket.create_connection((HOST, proxy.port), timeout=10) as raw, credentials.context(["h2"]).wrap_socket(raw):
            found = occurrences(proxy.process.pid, needles)
    assert found, "the key was not found at all: this test sees nothing"
    exposed = [flags for flags in found if not {"lo", "dd"} <= set(flags)]
    assert not exposed, f"{len(exposed)} of {len(found)} copies of the key are outside of locked memory: {exposed}"


def test_an_open_connection_takes_none_of_the_memory_for_keys(directory, credentials):
    """It is small: thousands of connections would fill it, and no handshake succeed any more."""
    metrics_port = free_port()
    flags = [*credentials.flags, "--metrics-port", metrics_port]
    with TestBackend(directory) as backend, Forward(backend.port, directory / "used.log", *flags) as proxy:
        until(lambda: accepts(HOST, metrics_port), "the proxy serves its metrics")

        def gauge(name):
            return Metrics(http.get(HOST, metrics_port, "/metrics").text).sum(name)

        with contextlib.ExitStack() as stack:
            def connect():
                raw = stack.enter_context(socket.create_connection((HOST, proxy.port), timeout=10))
                return stack.enter_context(credentials.context(["http/1.1"]).wrap_socket(raw))

            connect()
            until(lambda: gauge("key_memory_used_bytes") > 0, "there is a key")
            before = gauge("key_memory_used_bytes")
            opened = [connect() for _ in range(200)]
            for secured in opened:
                secured.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            # Their handshakes are done on the proxy's side, too.
            assert all(secured.recv(5) == b"HTTP/" for secured in opened)
            assert gauge("key_memory_used_bytes") == before < gauge("key_memory_bytes")


def crash(*flags):
    """A proxy that may leave a core file of any size gets SIGABRT. Whether it left one, and its limit."""
    def allow_core_files():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    port = free_port()
    # A debug build's run-time library would print a backtrace instead of dying of a signal that somebody else sent.
    process = subprocess.Popen(
        command("--forward", f"{HOST}:{port}={HOST}:1", *flags), preexec_fn=allow_core_files, stderr=subprocess.DEVNULL,
        env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})
    until(lambda: accepts(HOST, port), "the proxy accepts", 20)
    limit = re.search(r"Max core file size\s+(\S+)", pathlib.Path(f"/proc/{process.pid}/limits").read_text()).group(1)
    os.kill(process.pid, signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status), limit


def test_a_crash_leaves_no_core_file_unless_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != resource.RLIM_INFINITY and os.geteuid() != 0:
        pytest.skip("this user may not allow core files")
    assert crash() == (False, "0")
    dumped, limit = crash("--core-dumps", "allow")
    # Without this the first half could pass on a machine that writes no core files at all.
    assert limit == "unlimited" and dumped


def test_the_control_plane_leaves_no_core_file_of_its_authority(mesh):
    mesh.up()
    found = [pid for pid, name in descendants(mesh.controller.pid) if name.startswith("apus-control")]
    [controller] = found or [mesh.controller.pid]
    limits = pathlib.Path(f"/proc/{controller}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0", limits), limits
