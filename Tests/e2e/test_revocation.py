"""Revocations from the controller to live connections: those of whom they name are cut within seconds, and nobody else's."""

import contextlib
import re
import socket

import pytest

from support import manifests
from support.mesh import Mesh, program
from support.waiting import free_port, until

# Within which a connection has to be gone once the command has returned. It takes milliseconds; machines are slow at times.
SECONDS = 5


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("revocation"))
    try:
        mesh.up(manifests.service("bank", app_protocol="tcp"))
        mesh.bank = mesh.run("bank", program("tcp_echo.py", 8080), port=8080, own_address=True, wait=False)
        mesh.ports, mesh.callers = {}, {}
        for name in ("web", "ledger"):
            mesh.ports[name] = free_port()
            mesh.callers[name] = mesh.run(name, ["sleep", "infinity"], wait=False, listen={mesh.ports[name]: "bank.shop:80"})
        for workload in (mesh.bank, *mesh.callers.values()):
            workload.wait_until_ready()
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(autouse=True)
def logs(mesh, request):
    request.node.apus_mesh = mesh


def says(connection, word=b"hello"):
    """Whether the program at the other end answers."""
    try:
        connection.sendall(word)
        return connection.recv(len(word)) == word
    except OSError:
        return False


def stream(mesh, caller):
    """A connection that is served."""
    def open_one():
        connection = socket.create_connection(("127.0.0.1", mesh.ports[caller]), timeout=10)
        if says(connection):
            return connection
        connection.close()
        return None
    return until(open_one, f"{caller} is served")


def is_cut(connection):
    connection.settimeout(SECONDS)
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(1) == b""
    return True


def ended(workload, reason):
    return workload.metrics().sum("tls_connections_ended_total", reason=reason)


def serial_of(mesh, workload):
    [entry] = [entry for entry in mesh.json("identity", "list", workload.workload_name) if not entry["revoked"]]
    return entry["serial"]


NAMES = {
    "identity": (lambda mesh: ("--identity", "shop/web"), "identity_denied"),
    "serial": (lambda mesh: ("--serial", serial_of(mesh, mesh.callers["web"])), "revoked"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_revoked_caller_loses_its_live_connection_and_gets_no_other_until_it_is_restored(mesh, kind):
    name, reason = NAMES[kind]
    revoked, other = stream(mesh, "web"), stream(mesh, "ledger")
    before, logged = ended(mesh.bank, reason), len(mesh.bank.log())
    what = name(mesh)
    mesh.apus("identity", "revoke", *what)
    assert is_cut(revoked)
    assert ended(mesh.bank, reason) > before
    line = re.compile(rf"connection with spiffe://cluster\.local/ns/shop/sa/web at \S+ cut: {reason}: ")
    until(lambda: line.search(mesh.bank.log(), logged), "the log says who was cut, and why")
    # Nobody else has noticed.
    assert says(other)

    def refusals():
        return mesh.bank.metrics().sum("tls_handshake_failures_total", reason=reason)

    refused = refusals()
    with socket.create_connection(("127.0.0.1", mesh.ports["web"]), timeout=10) as again:
        assert not says(again)
    until(lambda: refusals() > refused, "its new connection is refused and counted")
    mesh.apus("identity", "restore", *what)
    stream(mesh, "web").close()
    assert says(other)
    revoked.close()
    other.close()


def test_a_revoked_server_loses_its_callers(mesh):
    streams = [stream(mesh, name) for name in mesh.callers]
    before = {name: ended(caller, "identity_denied") for name, caller in mesh.callers.items()}
    mesh.apus("identity", "revoke", "--identity", "shop/bank")
    for connection in streams:
        assert is_cut(connection)
    for name, caller in mesh.callers.items():
        assert ended(caller, "identity_denied") > before[name]
    mesh.apus("identity", "restore", "--identity", "shop/bank")
    for name in mesh.callers:
        stream(mesh, name).close()
