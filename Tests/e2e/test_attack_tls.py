"""Attacks on the mesh's TLS, each against live proxies: refused, counted under its own reason, and told in the log
with who did it."""

import contextlib
import re
import select
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support import early_data, http, manifests, peer
from support.certificates import Authority
from support.forged import CLIENT, SERVER, Leaf, forge
from support.forward import HOST, Credentials, Forward, TestBackend
from support.mesh import Mesh
from support.metrics import Metrics
from support.waiting import accepts, free_port, until

IMPOSTOR = "127.66.200.1"
WEB = "spiffe://cluster.local/ns/shop/sa/web"
LEDGER = "spiffe://cluster.local/ns/shop/sa/ledger"

# What a client of the mesh port shows, and the reason under which it is refused; None: accepted.
CLIENTS = {
    "P-256": (Leaf((WEB,)), None),
    "P-384": (Leaf((WEB,), key="p384"), None),
    "Ed25519": (Leaf((WEB,), key="ed25519"), None),
    "RSA of 2,048 bits": (Leaf((WEB,), key="rsa2048"), None),
    "RSA of 1,024 bits": (Leaf((WEB,), key="rsa1024"), "weak_key"),
    "expired": (Leaf((WEB,), starts=-7200, ends=-3600), "expired"),
    "not yet valid": (Leaf((WEB,), starts=600), "not_yet_valid"),
    "another trust domain": (Leaf(("spiffe://evil.example/ns/shop/sa/web",)), "wrong_trust_domain"),
    "self-signed": (Leaf((WEB,), is_self_signed=True), "unknown_authority"),
    "self-signed authority": (Leaf((WEB,), is_self_signed=True, is_authority=True, may_sign=True), "unknown_authority"),
    "CA:TRUE": (Leaf((WEB,), is_authority=True), "wrong_usage"),
    "may sign certificates": (Leaf((WEB,), may_sign=True), "wrong_usage"),
    "signed by a leaf": (Leaf((WEB,), by_leaf=LEDGER), "wrong_usage"),
    "for servers only": (Leaf((WEB,), purposes=(SERVER,)), "wrong_usage"),
    "two identities": (Leaf((WEB, LEDGER)), "malformed_identity"),
    "no identity": (Leaf(), "malformed_identity"),
    "line breaks in the identity": (Leaf(("spiffe://cluster.local/ns/shop/sa/web\napus-proxy[x] error: forged",)),
                                    "malformed_identity"),
}
# What a server shows to a proxy that calls `ledger`.
SERVERS = {
    "stolen from another account": (Leaf((WEB,)), "identity_mismatch"),
    "another trust domain": (Leaf(("spiffe://evil.example/ns/shop/sa/ledger",)), "wrong_trust_domain"),
    "CA:TRUE": (Leaf((LEDGER,), is_authority=True), "wrong_usage"),
    "for clients only": (Leaf((LEDGER,), purposes=(CLIENT,)), "wrong_usage"),
    "expired": (Leaf((LEDGER,), starts=-7200, ends=-3600), "expired"),
    "not yet valid": (Leaf((LEDGER,), starts=600), "not_yet_valid"),
    "RSA of 1,024 bits": (Leaf((LEDGER,), key="rsa1024"), "weak_key"),
    "self-signed": (Leaf((LEDGER,), is_self_signed=True), "unknown_authority"),
    "RSA of 2,048 bits": (Leaf((LEDGER,), key="rsa2048"), None),
    "Ed25519": (Leaf((LEDGER,), key="ed25519"), None),
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    made = Mesh(tmp_path_factory.mktemp("attack"))
    try:
        yield made.up(manifests.service("orders"), manifests.service("ledger"),
                      manifests.workload("ledger", IMPOSTOR, "ledger"))
    finally:
        made.stop()


@pytest.fixture(scope="module")
def orders(mesh):
    return mesh.serve("orders")


@pytest.fixture(scope="module")
def caller(mesh):
    return mesh.client("ledger.shop:80")


class Refusals:
    """Counts and log of one proxy's refusals, from here on."""

    def __init__(self, direction, metrics, log):
        self.direction, self.metrics, self.log = direction, metrics, log
        self.before, self.log_start = self.counts(), len(log())

    def counts(self):
        return self.metrics().by("reason", "tls_handshake_failures_total", direction=self.direction)

    def grew(self):
        return {reason: count for reason, count in self.counts().items() if count > self.before.get(reason, 0)}

    def must_be(self, reason, words=""):
        grew = until(self.grew, f"a refusal counted as {reason}")
        assert set(grew) == {reason}, grew
        # Lines of one reason come at most once a second; the next one says how many it stands for.
        line = re.compile(rf"warning: TLS .*: {reason}: .*{words}")
        until(lambda: line.search(self.log(), self.log_start) or line.search(self.log()), f"a log line {line.pattern}")


def client_context(mesh, files=None, protocols=("h2",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_verify_locations(str(mesh.state / "ca" / "root.cert.pem"))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if files:
        context.load_cert_chain(*map(str, files))
    return context


def file_name(case):
    return re.sub(r"\W", "-", case)


@pytest.mark.parametrize("case", CLIENTS)
def test_what_a_client_shows_at_the_mesh_port(mesh, orders, case):
    leaf, reason = CLIENTS[case]
    chain, key, serial = forge(Authority.of_mesh(mesh.state), mesh.directory, file_name(f"client {case}"), leaf)
    context = client_context(mesh, (chain, key))
    refusals = Refusals("inbound", orders.metrics, orders.log)
    if reason is None:
        assert until(lambda: peer.request(orders.address, context, 8080, "orders.shop:80") == 200, "an answer")
        assert not refusals.grew()
        return
    with pytest.raises((ssl.SSLError, OSError)):
        peer.request(orders.address, context, 8080, "orders.shop:80")
    refusals.must_be(reason, "serial number")
    assert "\napus-proxy[x] error: forged" not in orders.log()


@pytest.mark.parametrize("case", SERVERS)
def test_what_a_server_shows_to_a_proxy_that_calls_it(mesh, caller, case):
    leaf, reason = SERVERS[case]
    client, port = caller
    chain, key, _ = forge(Authority.of_mesh(mesh.state), mesh.directory, file_name(f"server {case}"), leaf)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(str(chain), str(key))
    refusals = Refusals("outbound", client.metrics, client.log)
    with contextlib.closing(peer.MeshServer(IMPOSTOR, context)) as server:
        if reason is None:
            until(lambda: http.get(HOST, port).status == 200, "the peer's answer")
            return
        answer = http.get(HOST, port)
        assert answer.status == 503 and "TLS failure" in answer.text and server.answered == 0
    refusals.must_be(reason)


def forged_server(mesh):
    chain, key, _ = forge(Authority.of_mesh(mesh.state), mesh.directory, "held-down", Leaf((LEDGER,)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(chain), str(key))
    return context


def test_a_server_that_holds_a_proxy_down_to_tls_1_2(mesh, caller):
    client, port = caller
    context = forged_server(mesh)
    context.set_alpn_protocols(["h2"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    refusals = Refusals("outbound", client.metrics, client.log)
    with contextlib.closing(peer.MeshServer(IMPOSTOR, context)) as server:
        assert http.get(HOST, port).status == 503 and server.answered == 0
    # It says itself that there is nothing that both speak.
    refusals.must_be("refused_by_peer")


def test_a_server_that_answers_in_tls_1_2_though_nobody_offered_it(caller):
    """A ServerHello without `supported_versions` is one of TLS 1.2 (RFC 8446, section 4.1.3): what somebody in between
    would make of it."""
    client, port = caller
    hello = b"\x03\x03" + bytes(32) + b"\0" + b"\xc0\x2b" + b"\0" + b"\0\0"
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    refusals = Refusals("outbound", client.metrics, client.log)
    with socket.create_server((IMPOSTOR, 15008), reuse_port=True) as listener:
        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message)
                        connection.recv(65536)

        threading.Thread(target=answer, daemon=True).start()
        assert http.get(HOST, port).status == 503
        refusals.must_be("unsupported_version")
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("offer", [["http/1.1"], []])
def test_a_server_that_agrees_on_another_protocol_or_on_none(mesh, caller, offer):
    client, port = caller
    context = forged_server(mesh)
    if offer:
        context.set_alpn_protocols(offer)
    refusals = Refusals("outbound", client.metrics, client.log)
    with contextlib.closing(peer.MeshServer(IMPOSTOR, context)) as server:
        assert http.get(HOST, port).status == 503 and server.answered == 0
    refusals.must_be("no_common_protocol")


@pytest.fixture
def good(mesh):
    chain, key, _ = forge(Authority.of_mesh(mesh.state), mesh.directory, "good", Leaf((WEB,)))
    return client_context(mesh, (chain, key))


def test_a_client_that_is_held_down_to_tls_1_2(mesh, orders, good):
    good.minimum_version = good.maximum_version = ssl.TLSVersion.TLSv1_2
    refusals = Refusals("inbound", orders.metrics, orders.log)
    with pytest.raises((ssl.SSLError, OSError)):
        peer.request(orders.address, good, 8080, "orders.shop:80")
    refusals.must_be("unsupported_version")


@pytest.mark.parametrize("offer", [["http/1.1"], []])
def test_a_client_that_agrees_on_another_protocol_or_on_none(mesh, orders, offer):
    chain, key, _ = forge(Authority.of_mesh(mesh.state), mesh.directory, "alpn", Leaf((WEB,)))
    context = client_context(mesh, (chain, key), offer)
    refusals = Refusals("inbound", orders.metrics, orders.log)
    with pytest.raises((ssl.SSLError, OSError)):
        peer.request(orders.address, context, 8080, "orders.shop:80")
    refusals.must_be("no_common_protocol")


def test_a_client_that_agrees_on_http2_and_speaks_http1(orders, good):
    def errors():
        return orders.metrics().sum("protocol_errors_total", direction="inbound")

    before, logged = errors(), len(orders.log())
    with socket.create_connection((orders.address, 15008), timeout=5) as raw, good.wrap_socket(raw) as secured:
        secured.sendall(b"GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n")
        answer = b""
        with contextlib.suppress(OSError):
            while piece := secured.recv(65536):
                answer += piece
    assert b"HTTP/1.1" not in answer
    until(lambda: errors() > before, "a protocol error counted")
    line = r"HTTP of 127\.\S+ refused \(http2_connection_error\): no HTTP/2 preface"
    until(lambda: re.search(line, orders.log()[logged:]), "a line")


def test_a_client_without_a_certificate_and_one_that_speaks_no_tls(mesh, orders):
    refusals = Refusals("inbound", orders.metrics, orders.log)
    with pytest.raises((ssl.SSLError, OSError)):
        peer.request(orders.address, client_context(mesh), 8080, "orders.shop:80")
    refusals.must_be("no_certificate")
    refusals = Refusals("inbound", orders.metrics, orders.log)
    with socket.create_connection((orders.address, 15008), timeout=5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: orders.shop\r\n\r\n")
        with contextlib.suppress(OSError):
            raw.recv(4096)
    refusals.must_be("protocol_error")


# MARK: What only openssl's own client can be made to do


def s_client(address, *flags, typed="", until_there=None):
    """`openssl s_client`, with `typed` as its input, until it ends or a file is there. Returns what it said."""
    command = ["openssl", "s_client", "-connect", address, *map(str, flags)]
    with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0) as process:
        process.stdin.write(typed.encode())
        said, deadline = b"", time.monotonic() + 10
        while time.monotonic() < deadline and not (until_there and until_there.exists()):
            if select.select([process.stdout], [], [], 0.2)[0]:
                piece = process.stdout.read(65536)
                if not piece:
                    break
                said += piece
        process.kill()
    return said.decode(errors="replace")


def test_early_data_that_may_be_a_replay(mesh, orders):
    chain, key, _ = forge(Authority.of_mesh(mesh.state), mesh.directory, "early", Leaf((WEB,)))
    session, request = mesh.directory / "session.pem", mesh.directory / "early.bin"
    flags = ["-cert", chain, "-key", key, "-alpn", "h2", "-tls1_3"]
    address = f"{orders.address}:15008"

    said = s_client(address, *flags, "-sess_out", session, until_there=session)
    assert session.exists(), said
    session.write_text(early_data.promise(session.read_text()))
    request.write_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    refusals = Refusals("inbound", orders.metrics, orders.log)
    said = s_client(address, *flags, "-sess_in", session, "-early_data", request)
    assert "Early data was rejected" in said, said
    refusals.must_be("early_data")


@pytest.fixture(scope="module")
def forward(tmp_path_factory):
    """A proxy that asks clients for certificates of an authority of our own, which may have others below it."""
    directory, metrics_port = tmp_path_factory.mktemp("forward"), free_port()
    with TestBackend(directory) as backend:
        credentials = Credentials.make(directory)
        authority = Authority.foreign()
        (directory / "clients.pem").write_bytes(authority.pem())
        flags = [*credentials.flags, "--forward-tls-client-ca", directory / "clients.pem", "--metrics-port", metrics_port]
        with Forward(backend.port, directory / "proxy.log", *flags) as proxy:
            until(lambda: accepts(HOST, metrics_port), "the proxy serves its metrics")
            # A forward listener serves outbound traffic.
            yield proxy, credentials, authority, directory, lambda: Refusals(
                "outbound", lambda: Metrics(http.get(HOST, metrics_port, "/metrics").text), proxy.log_path.read_text)


def hello(proxy, context):
    with socket.create_connection((HOST, proxy.port), timeout=5) as raw, context.wrap_socket(raw) as secured:
        secured.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return secured.recv(4096)


@pytest.mark.parametrize("host, reason", [("cluster.local", None), ("other.local", "name_constraint")])
def test_an_authority_that_signs_a_name_which_it_may_not(forward, host, reason):
    proxy, credentials, authority, directory, refusals = forward
    context = credentials.context(["http/1.1"])
    context.load_cert_chain(*map(str, forge(authority, directory, f"below-{host}", Leaf((WEB,), constrained_to=host))[:2]))
    seen = refusals()
    if reason is None:
        assert b"200 OK" in hello(proxy, context)
        return
    with pytest.raises((ssl.SSLError, OSError)):
        hello(proxy, context)
    seen.must_be(reason, "serial number")


def test_renegotiation(forward):
    proxy, _, authority, directory, refusals = forward
    chain, key, _ = forge(authority, directory, "renegotiates", Leaf((WEB,)))
    seen = refusals()
    said = s_client(f"{HOST}:{proxy.port}", "-tls1_2", "-cert", chain, "-key", key, typed="R\n")
    assert "RENEGOTIATING" in said, said
    seen.must_be("renegotiation")
