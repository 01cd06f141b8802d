"""Peers prove who they are, or are refused, each reason counted under its own name."""

import contextlib
import re
import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from support import http, manifests, peer
from support.certificates import Authority, client_context, server_context
from support.waiting import until

# An address no `apus run` is given: the local mesh hands out 127.66.0.2 and up.
IMPOSTOR = "127.66.200.1"
IDENTITY = "spiffe://cluster.local/ns/shop/sa/ledger"
OTHER = "spiffe://cluster.local/ns/shop/sa/other"

# How a certificate is made, and the reason under which it is refused; None: accepted.
SERVERS = {
    "good": (dict(identity=IDENTITY), None),
    "expired": (dict(identity=IDENTITY, starts=-7200, ends=-3600), "expired"),
    "foreign": (dict(identity=IDENTITY, foreign=True), "unknown_authority"),
    "wrong-account": (dict(identity=OTHER), "identity_mismatch"),
    "no-identity": (dict(identity=None), "malformed_identity"),
    # Clocks of two machines may differ by 20 seconds.
    "starts-in-15-s": (dict(identity=IDENTITY, starts=15), None),
    "starts-in-60-s": (dict(identity=IDENTITY, starts=60), "not_yet_valid"),
    "ended-10-s-ago": (dict(identity=IDENTITY, starts=-600, ends=-10), None),
    "ended-60-s-ago": (dict(identity=IDENTITY, starts=-600, ends=-60), "expired"),
}
CLIENTS = {**SERVERS, "wrong-account": (dict(identity=OTHER), None), "none": (None, "no_certificate")}


def issue(mesh, name, identity, foreign=False, **validity):
    authority = Authority.foreign() if foreign else Authority.of_mesh(mesh.state)
    return authority.issue(mesh.directory, name, identity, **validity)


@pytest.mark.parametrize("case", SERVERS)
def test_a_server_is_accepted_only_with_the_identity_its_workload_must_have(mesh, case):
    made, reason = SERVERS[case]
    mesh.up(manifests.service("ledger"), manifests.workload("ledger", IMPOSTOR, "ledger"))
    context = server_context(mesh.state, issue(mesh, case, **made))
    with contextlib.closing(peer.MeshServer(IMPOSTOR, context)) as server:
        client, port = mesh.client("ledger.shop:80")
        if reason is None:
            answer = until(lambda: (got := http.get("127.0.0.1", port)).status == 200 and got, "the peer's answer")
            assert answer.text == "from the impostor\n"
            assert client.metrics().by("server_id", "request_total", direction="outbound", tls="true").get(IDENTITY, 0) >= 1
        else:
            answer = http.get("127.0.0.1", port)
            assert answer.status == 503 and "TLS failure" in answer.text, answer
            assert server.answered == 0
            reasons = client.metrics().by("reason", "tls_handshake_failures_total", direction="outbound")
            assert reasons.get(reason, 0) >= 1 and set(reasons) == {reason}, reasons


@pytest.mark.parametrize("case", CLIENTS)
def test_a_client_of_the_mesh_port_is_accepted_only_with_a_certificate_of_the_mesh(mesh, case):
    made, reason = CLIENTS[case]
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    context = client_context(mesh.state, issue(mesh, case, **made) if made else None)

    def call():
        return peer.request(server.address, context, 8080, "orders.shop:80")

    if reason is None:
        assert until(lambda: call() == 200, "an answer at the mesh port")
    else:
        with pytest.raises((ssl.SSLError, OSError)):
            call()
        reasons = until(lambda: server.metrics().by("reason", "tls_handshake_failures_total", direction="inbound"), "counted")
        assert reasons.get(reason, 0) >= 1, reasons


def test_identity_prints_the_chain_and_the_time_left(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    identity = "spiffe://cluster.local/ns/shop/sa/orders"
    text = mesh.apus("identity", server.workload_name).stdout
    assert identity in text and re.search(r"not after .*\((1d00|2[34])h.* left\)", text), text
    [printed] = mesh.json("identity", server.workload_name)
    assert printed["report"]["chain"][0]["subject_uri"] == identity
    assert printed["report"]["trust_anchors"]
    assert mesh.apus("identity", "orders", "--pem").stdout.startswith("-----BEGIN CERTIFICATE-----")
    key = mesh.state / "ca" / "root.key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert mesh.state.stat().st_mode & 0o077 == 0


def test_a_root_of_an_earlier_version_signs_on_until_it_is_replaced_by_a_root_and_an_issuer(mesh):
    # One authority, which signed workloads' certificates itself and allows none below it.
    directory = mesh.state / "ca"
    directory.mkdir(parents=True, mode=0o700)
    mesh.state.chmod(0o700)
    old = Authority.foreign(path_length=0)
    (directory / "root.cert.pem").write_bytes(old.pem())
    (directory / "root.key.pem").touch(mode=0o600)
    (directory / "root.key.pem").write_bytes(old.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    [shown] = mesh.json("identity", server.workload_name)
    assert [c["issuer"] for c in shown["report"]["chain"]] == ["CN=another authority"]
    assert "the root signs workloads' certificates itself" in mesh.apus("check", check=False).stdout
    refused = mesh.apus("identity", "rotate", "--issuer", check=False)
    assert refused.returncode == 1 and "allows no issuer below it" in refused.stderr
    with http.Load(port) as load:
        mesh.apus("identity", "rotate", "--root", timeout=60)
        load.after(20)
    assert load.bad == []
    [shown] = mesh.json("identity", server.workload_name)
    assert len(shown["report"]["chain"]) == 2 and len(shown["report"]["trust_anchors"]) == 1
    assert not (directory / "root.key.pem").exists()


def test_certificates_are_renewed_at_half_their_life_without_a_failed_request(mesh):
    mesh.up(manifests.service("orders"), certificate_lifetime=6)
    server = mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    with http.Load(port, connections=8) as load:
        first = {side: side.metrics().sum("identity_cert_expiration_timestamp_seconds") for side in (client, server)}
        for side in (client, server):
            until(lambda: side.metrics().sum("identity_cert_refresh_total") >= 3, "two renewals", 20)
            assert side.metrics().sum("identity_cert_expiration_timestamp_seconds") > first[side]
        load.after(200)
    assert load.bad == []
