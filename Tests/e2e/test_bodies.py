"""Bodies of 1 GiB pass both proxies in flat memory, whatever their framing and direction."""

import socket
import subprocess
import threading

import pytest

from support import http, manifests
from support.mesh import resident_kib

GIBIBYTE = 1 << 30
LIMIT_KIB = 64 * 1024


class MemoryWatch:
    """The largest resident set of some processes while the block runs."""

    def __init__(self, *pids):
        self.pids, self.peak, self.stopping = pids, 0, threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        while not self.stopping.wait(0.02):
            self.peak = max([self.peak, *map(resident_kib, self.pids)])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


@pytest.fixture
def path(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    return port, MemoryWatch(server.proxy_pid, client.proxy_pid)


def test_a_gibibyte_down(path):
    port, memory = path
    with memory:
        output = subprocess.run(
            ["curl", "--silent", "--fail", "--output", "/dev/null", "--write-out", "%{size_download}", "--max-time", "90",
             f"http://127.0.0.1:{port}/bytes/{GIBIBYTE}"], capture_output=True, text=True, check=True).stdout
    assert output == str(GIBIBYTE)
    assert 0 < memory.peak < LIMIT_KIB


def test_a_gibibyte_up_with_a_length(path, mesh):
    port, memory = path
    file = mesh.directory / "sparse"
    with open(file, "wb") as sparse:
        sparse.truncate(GIBIBYTE)
    with memory:
        output = subprocess.run(["curl", "--silent", "--fail", "--max-time", "90", "--upload-file", str(file),
                                 f"http://127.0.0.1:{port}/upload"], capture_output=True, text=True, check=True).stdout
    assert output.split()[0] == str(GIBIBYTE)
    assert 0 < memory.peak < LIMIT_KIB


def test_a_gibibyte_up_in_chunks(path):
    port, memory = path
    with memory:
        output = subprocess.run(
            f"head -c {GIBIBYTE} /dev/zero | curl --silent --fail --max-time 90 -T - http://127.0.0.1:{port}/upload",
            shell=True, capture_output=True, text=True, check=True).stdout
    assert output.split()[0] == str(GIBIBYTE)
    assert 0 < memory.peak < LIMIT_KIB


def test_a_reader_that_stops_reading_does_not_fill_the_proxies(path):
    port, memory = path
    with memory, socket.create_connection(("127.0.0.1", port)) as raw:
        raw.settimeout(20)
        raw.sendall(f"GET /bytes/{GIBIBYTE} HTTP/1.1\r\nHost: orders.shop\r\n\r\n".encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")
        # Another request on the same proxies goes through while the first one stands still.
        for _ in range(20):
            assert http.get("127.0.0.1", port, "/bytes/1000000").status == 200
    assert 0 < memory.peak < LIMIT_KIB
