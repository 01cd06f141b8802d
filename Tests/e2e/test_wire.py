"""Between proxies there is only TLS 1.3: seen from the wire, by capturing the loopback interface."""

import os
import socket
import ssl
import struct
import uuid

import pytest

from support import http, manifests
from support.capture import Capture
from support.certificates import Authority, client_context
from support.mesh import MESH_PORT
from support.waiting import until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a raw packet socket needs root")
TLS_1_3 = 0x0304


def server_hello_version(payload):
    """The version that a ServerHello at the start of these bytes selects."""
    assert payload[0] == 0x16 and payload[5] == 0x02, "not a ServerHello"
    position = 5 + 4 + 2 + 32
    position += 1 + payload[position] + 2 + 1
    end = position + 2 + struct.unpack_from("!H", payload, position)[0]
    position += 2
    while position < end:
        kind, length = struct.unpack_from("!HH", payload, position)
        if kind == 43:
            return struct.unpack_from("!H", payload, position + 4)[0]
        position += 4 + length
    return None


@needs_root
def test_only_tls_1_3_passes_between_proxies(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    marker = f"marker-{uuid.uuid4().hex}"
    with Capture() as capture:
        client, port = mesh.client("orders.shop:80")
        mesh.wait_until_serving(port)
        for number in range(50):
            answer = http.get("127.0.0.1", port, f"/{marker}/{number}", headers={"X-Secret": marker})
            assert answer.status == 200 and marker in answer.text
        assert http.get("127.0.0.1", port, "/upload", method="POST", body=marker * 100).status == 200
        http.via_proxy(client.address, f"http://orders.shop/{marker}")
        # The capture is behind the wire by a little: wait for the last request to show.
        until(lambda: len(capture.ports_with(marker.encode())) >= 4, "the marker on the plaintext hops")

    # The capture sees plaintext where there must be some: client to its proxy, and proxy to its application.
    in_the_clear = capture.ports_with(marker.encode())
    assert any(8080 in ports for ports in in_the_clear) and any(port in ports for ports in in_the_clear)
    # ... and nowhere else: every such flow touches the client's listeners or the application's port.
    assert all({8080, port, 15001} & set(ports) for ports in in_the_clear), in_the_clear
    flows = capture.flows(MESH_PORT)
    assert flows, "no connection on the mesh port was captured"
    for (source, destination), payload in flows.items():
        assert payload[0] == 0x16 and payload[1] == 0x03, (source, destination, payload[:16])
        if source[1] == MESH_PORT:
            assert server_hello_version(payload) == TLS_1_3
    assert server.metrics().sum("request_total", direction="inbound") >= 50


def test_plaintext_to_the_mesh_port_is_refused(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    with socket.create_connection((server.address, MESH_PORT), timeout=5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: orders.shop\r\nx-apus-target-port: 8080\r\n\r\n")
        answer = b""
        try:
            while piece := raw.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
    assert b"HTTP/" not in answer
    until(lambda: server.metrics().sum("tls_handshake_failures_total", direction="inbound") >= 1, "the refusal counted")


def test_tls_1_2_to_the_mesh_port_is_refused(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    files = Authority.of_mesh(mesh.state).issue(mesh.directory, "old", "spiffe://cluster.local/ns/shop/sa/client")
    context = client_context(mesh.state, files)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection((server.address, MESH_PORT),
                                  timeout=5) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw)


def test_the_caller_is_known_by_its_certificate_not_by_what_it_says(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    _, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    http.get("127.0.0.1", port, headers={"l5d-client-id": "spiffe://cluster.local/ns/shop/sa/admin"})
    callers = server.metrics().by("client_id", "request_total", direction="inbound")
    assert set(callers) == {"spiffe://cluster.local/ns/shop/sa/client"}, callers
