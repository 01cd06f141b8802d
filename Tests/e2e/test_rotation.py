"""The mesh's authority is replaced, root and issuer, while requests go on and the controller dies at every step."""

import json
import re
import subprocess

import pytest

from support import http, manifests
from support.mesh import ADMIN_PORT, Mesh
from support.signer import PEM, Signer
from support.traffic import Traffic
from support.waiting import until
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Certificates live so long, in seconds: several are renewed in the ordinary way while the authority is replaced.
LIFETIME = 20


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    made = Mesh(tmp_path_factory.mktemp("rotation"))
    made.up(manifests.service("orders"), manifests.service("ledger"), certificate_lifetime=LIFETIME)
    made.workloads = [made.nginx("orders", "one", "one"), made.nginx("orders", "two", "two"), made.nginx("ledger", "three")]
    made.ports = []
    for target in ("orders.shop:80", "ledger.shop:80"):
        client, port = made.client(target)
        made.workloads.append(client)
        made.ports.append(port)
    for port in made.ports:
        made.wait_until_serving(port)
    try:
        yield made
    finally:
        made.stop()


def status(mesh):
    return mesh.json("identity", "status")


def restart_controller(mesh):
    """As a crash does it, with the next controller right behind."""
    mesh.controller.kill_group()
    mesh.up(certificate_lifetime=LIFETIME)


def certificates(workload):
    return json.loads(http.get(workload.address, ADMIN_PORT, "/certs").text)


def settled(mesh):
    return until(lambda: (found := status(mesh)) and "rotation" not in found and found, "the rotation's end", 40)


def paused(mesh, phase):
    def look():
        found = status(mesh).get("rotation")
        return found and found["phase"] == phase and found["paused"] and found
    return until(look, f"{phase} to wait for a word", 40)


def assert_all_use(mesh, report):
    for workload in mesh.workloads:
        found = certificates(workload)
        assert [c["subject"] for c in found["trust_anchors"]] == [c["subject"] for c in report["anchors"]], workload.name
        assert found["chain"][0]["issuer"] == found["chain"][1]["subject"] == report["issuer"][0]["subject"], workload.name


def test_the_root_is_replaced_under_load_though_the_controller_dies_at_every_step(mesh):
    before = status(mesh)
    with Traffic(mesh):
        mesh.apus("identity", "rotate", "--root", "--pause")
        restart_controller(mesh)
        assert status(mesh)["rotation"]["phase"] == "trust"
        paused(mesh, "trust")
        for workload in mesh.workloads:
            assert len(certificates(workload)["trust_anchors"]) == 2
        mesh.apus("identity", "rotate", "--continue", "--no-wait")
        restart_controller(mesh)
        paused(mesh, "reissue")
        mesh.apus("identity", "rotate", "--continue", "--no-wait")
        restart_controller(mesh)
        after = settled(mesh)
    assert after["anchors"][0]["keyID"] != before["anchors"][0]["keyID"] and len(after["anchors"]) == 1
    assert_all_use(mesh, after)
    keys = {path.name for path in (mesh.state / "ca").glob("*.key.pem")}
    assert len(keys) == 2 and "root.key.pem" not in keys


def test_the_issuer_is_replaced_under_load_though_the_controller_dies_in_between(mesh):
    before = status(mesh)
    with Traffic(mesh):
        mesh.apus("identity", "rotate", "--issuer", "--no-wait")
        restart_controller(mesh)
        after = settled(mesh)
    assert after["anchors"][0]["keyID"] == before["anchors"][0]["keyID"]
    assert after["signer"] != before["signer"]
    assert_all_use(mesh, after)


def test_the_command_shows_who_trusts_and_who_holds_until_it_is_done(mesh):
    shown = mesh.apus("identity", "rotate", "--root", timeout=60).stdout
    assert "rotation  of the root: " in shown, shown
    assert re.search(r"hold a leaf of [0-9a-f]{8} \d/5\n", shown) and "then " in shown, shown
    assert shown.rstrip().endswith("rotation  none"), shown


def test_a_step_that_would_break_a_workload_is_refused_and_the_rotation_can_be_turned_back(mesh):
    before = status(mesh)
    slow = mesh.workloads[1]
    mesh.apus("identity", "rotate", "--root", "--no-wait", "--pause")
    paused(mesh, "trust")
    subprocess.run(["kill", "-STOP", str(slow.proxy_pid)], check=True)
    try:
        # The bundle changes: whoever does not confirm it must be waited for.
        mesh.apus("identity", "revoke", "--identity", "shop/nobody")
        until(lambda: status(mesh)["rotation"]["blockers"] == [slow.workload_name], "the one that does not answer")
        for force in ([], ["--force"]):
            refused = mesh.apus("identity", "rotate", "--continue", *force, check=False)
            assert refused.returncode == 1 and f"would break {slow.workload_name}" in refused.stderr, refused
        second = mesh.apus("identity", "rotate", "--issuer", check=False)
        assert second.returncode == 1 and "a rotation is under way (trust)" in second.stderr, second
    finally:
        subprocess.run(["kill", "-CONT", str(slow.proxy_pid)], check=True)
    mesh.apus("identity", "rotate", "--abort")
    mesh.apus("identity", "restore", "--identity", "shop/nobody")
    after = settled(mesh)
    assert after["signer"] == before["signer"] and after["anchors"][0]["keyID"] == before["anchors"][0]["keyID"]


def test_an_issuer_signed_by_an_authority_outside_replaces_the_mesh_s_own(mesh):
    with Signer("s3cret") as signer:
        request = mesh.apus("identity", "csr").stdout
        assert request.startswith("-----BEGIN CERTIFICATE REQUEST-----")

        def sign(token):
            return subprocess.run(
                ["curl", "-sS", "--fail", "-H", "Content-Type: application/pkcs10", "-H", f"Authorization: Bearer {token}",
                 "--data-binary", "@-", signer.url], input=request, capture_output=True, text=True)
        assert sign("wrong").returncode == 22 and signer.refused == ["token"]
        chain = mesh.directory / "chain.pem"
        chain.write_text(sign("s3cret").stdout)
        with Traffic(mesh):
            report = json.loads(mesh.apus("identity", "rotate", "--certificate", chain, "-o", "json", timeout=60).stdout)
    assert report["source"] == "imported" and not report["rootKeyPresent"]
    assert [c["subject"] for c in report["issuer"]] == ["CN=Mesh issuer", "CN=Company meshes"]
    assert [c["subject"] for c in report["anchors"]] == ["CN=Company root"]
    for workload in mesh.workloads:
        assert len(certificates(workload)["chain"]) == 3, "leaf, issuer, intermediate"
    # The root's key is elsewhere: an issuer cannot be made here.
    refused = mesh.apus("identity", "rotate", "--issuer", check=False)
    assert refused.returncode == 1 and "the root's key is not in the state directory" in refused.stderr

    # Nor one that does not fit.
    key = ec.generate_private_key(ec.SECP256R1())
    key_file = mesh.directory / "issuer.key.pem"
    key_file.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    for issuer, text in ((signer.intermediate, "is not the key of"), (signer.sign(key.public_key(), days=-1), "has expired")):
        chain.write_bytes(signer.chain(issuer))
        refused = mesh.apus("identity", "rotate", "--certificate", chain, "--key", key_file, check=False)
        assert refused.returncode == 1 and text in refused.stderr, refused
    # And back to authorities of the mesh's own.
    mesh.apus("identity", "rotate", "--root", timeout=60)
    assert status(mesh)["source"] == "generated"


def test_every_certificate_is_in_the_list_with_who_asked_for_it(mesh):
    for workload in mesh.workloads:
        leaf = certificates(workload)["chain"][0]
        listed = mesh.json("identity", "list", workload.workload_name)
        [entry] = [entry for entry in listed if entry["serial"] == leaf["serial"].lower()]
        assert entry["requester"] == workload.workload_name and entry["identity"] == leaf["subject_uri"]
        assert entry["notAfter"] == leaf["not_after"] and not entry["revoked"]
    table = mesh.apus("identity", "list", "--valid").stdout
    assert table.startswith("SERIAL") and "shop/sa/orders" in table


def test_a_revoked_identity_gets_no_certificate_until_it_is_restored(mesh):
    client = mesh.workloads[-1]
    shown = mesh.apus("identity", "revoke", "--identity", "shop/client").stdout
    assert "spiffe://cluster.local/ns/shop/sa/client" in shown
    assert all(entry["revoked"] for entry in mesh.json("identity", "list", client.workload_name))
    # Its proxy is restarted, and asks anew.
    subprocess.run(["kill", "-KILL", str(client.proxy_pid)], check=True)
    mesh.controller.wait_for_log(r"shop/sa/client is revoked.*certificate refused")
    restart_controller(mesh)
    assert status(mesh)["deniedIdentities"] == ["spiffe://cluster.local/ns/shop/sa/client"], "it outlives the controller"
    mesh.apus("identity", "restore", "--identity", "shop/client")
    client.wait_until_ready()
    refused = mesh.apus("identity", "restore", "--identity", "shop/client", check=False)
    assert refused.returncode == 1 and "is not revoked" in refused.stderr

