"""Many slow clients hold connections, not the mesh."""

import contextlib
import select
import socket
import time

from support import http, manifests
from support.mesh import resident_kib
from support.waiting import until

SLOW = 10_000
HEADER_TIMEOUT_SECONDS = 10


def test_ten_thousand_slow_heads_are_cut_off_while_normal_traffic_goes_on(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    with contextlib.ExitStack() as stack:
        slow = []
        for _ in range(SLOW):
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            raw.sendall(b"GET / HTTP/1.1\r\nHost: orders.shop\r\nX-Never-En")
            slow.append(raw)
        opened = time.monotonic()
        with http.Load(port, pause=0.01) as load:
            load.after(200)
            assert resident_kib(client.proxy_pid) < 200 * 1024
            # All are answered or closed by the header timeout, without any help of theirs.
            poller = select.poll()
            for raw in slow:
                poller.register(raw.fileno(), select.POLLIN)
            waiting = {raw.fileno() for raw in slow}
            while waiting:
                assert time.monotonic() - opened < HEADER_TIMEOUT_SECONDS + 15, f"{len(waiting)} connections still open"
                for descriptor, _ in poller.poll(500):
                    waiting.discard(descriptor)
                    poller.unregister(descriptor)
            load.after(100)
        assert load.bad == []
    hits = client.metrics().by("limit", "limit_hits_total")
    assert any("header" in name.lower() and value >= SLOW / 2 for name, value in hits.items()), hits


def exchange(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := raw.recv(65536):
                answer += piece
    return answer


def test_heads_over_their_limits_are_refused_with_the_right_status(mesh):
    mesh.up(manifests.service("orders"))
    client, port = mesh.client("orders.shop:80")
    start = b"GET / HTTP/1.1\r\nHost: orders.shop\r\n"
    assert exchange(port, start + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    assert exchange(port, start + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n").startswith(b"HTTP/1.1 431 ")
    assert exchange(port, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 414 ")
    assert exchange(port, b"GET / HTTP/9.9\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 505 ")
    until(lambda: client.metrics().sum("protocol_errors_total") + client.metrics().sum("limit_hits_total") >= 4, "all counted")
