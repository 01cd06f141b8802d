"""The controller has its issuers signed by an authority outside the mesh, and renewed in time."""

import re
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from support import controller, manifests
from support.mesh import BINARIES, Mesh
from support.signer import PEM, VAULT_PATH, Signer
from support.traffic import Traffic
from support.waiting import until

TOKEN = "s3cret-t0ken"
# Seconds that workloads' certificates live, and the first issuer of the signer: it is renewed after 60 to 66 % of that.
LEAVES, FIRST = 5, 14


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    with Signer(TOKEN, tmp_path_factory.mktemp("signer")) as made:
        yield made


@pytest.fixture(scope="module")
def mesh(signer, tmp_path_factory):
    """Its signer is not available yet."""
    made = Mesh(tmp_path_factory.mktemp("signed"))
    made.token, made.roots = made.directory / "token", made.directory / "roots.pem"
    made.token.write_text(TOKEN + "\n")
    made.token.chmod(0o600)
    authority = made.directory / "authority.pem"
    for path in (authority, made.roots):
        path.write_bytes(signer.root.public_bytes(PEM))
    made.flags = ["--signer", signer.url, "--signer-token-file", made.token, "--signer-ca", authority,
                  "--signer-root", made.roots]
    signer.failure = lambda key: (503, {}, b"down for maintenance\n")
    try:
        yield made.up(manifests.service("orders"), certificate_lifetime=LEAVES, flags=made.flags)
    finally:
        made.stop()


def status(mesh):
    return mesh.json("identity", "status")


def settled(mesh, seconds=20):
    return until(lambda: (found := status(mesh)) and "rotation" not in found and found, "no rotation", seconds)


def restart_controller(mesh, flags=None):
    mesh.controller.kill_group()
    mesh.up(certificate_lifetime=LEAVES, flags=flags or mesh.flags)


def test_a_mesh_whose_signer_is_away_says_so_and_goes_over_to_it_when_it_is_back(mesh, signer):
    found = until(lambda: (found := status(mesh))["renewal"].get("problem") and found, "the failure is told")
    assert found["source"] == "generated" and found["renewal"]["signer"] == signer.url
    assert "cannot sign now (503); it says: down for maintenance" in found["renewal"]["problem"]
    checked = mesh.apus("check", check=False).stdout
    line = r"the signer renews the issuer: .* left; \d+ attempts? failed: the signer cannot sign now"
    assert re.search(line, checked), checked
    signer.failure, signer.days = None, FIRST / 86400
    found = until(lambda: (found := status(mesh))["source"] == "external" and "rotation" not in found and found,
                  "its issuer", 20)
    assert [c["subject"] for c in found["anchors"]] == ["CN=Company root"] and not found["rootKeyPresent"]
    assert [c["subject"] for c in found["issuer"]] == ["CN=Mesh issuer", "CN=Company meshes"]
    assert "problem" not in found["renewal"] and "the signer renews the issuer: " in mesh.apus("check", check=False).stdout
    assert len(set(signer.keys)) == 1, "one key, however often it was asked"
    written = [mesh.controller.log_path, *(path for path in mesh.state.rglob("*") if path.is_file())]
    assert not any(TOKEN in path.read_text(errors="replace") for path in written)


def failures(signer):
    """What a signer gets wrong, and a part of what is said of it."""
    other = ec.generate_private_key(ec.SECP256R1())
    chain = signer.chain

    def of(issuer):
        return 200, {}, chain(issuer)

    stranger = Signer.__new__(Signer)
    stranger.days = 90
    stranger.use_new_root("Another root")
    constrained = x509.NameConstraints([x509.UniformResourceIdentifier("example.com")], None)
    clients_only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return {
        "its own words": (lambda key: (403, {}, f"\x1b[2J{TOKEN} is wrong".encode()), "403.*it says: .2J.token. is wrong"),
        "a redirect": (lambda key: (302, {"Location": "http://127.0.0.1:1/"}, b""), "redirect .302., which is not followed"),
        "a page": (lambda key: (200, {}, b"<html>please log in</html>"), "its chain is empty|not certificates"),
        "too much": (lambda key: (200, {}, b"x" * 70_000), "more than 65536 bytes"),
        "another key": (lambda key: of(signer.sign(other.public_key())), "not the key of the chain"),
        "no authority": (lambda key: of(signer.sign(key, ca=False)), "is not an authority"),
        "an expired one": (lambda key: of(signer.sign(key, days=-1)), "has expired"),
        "one that ends at once": (lambda key: of(signer.sign(key, days=3 / 86400)), "before the certificates that it signs"),
        "other names": (lambda key: of(signer.sign(key, extensions=[constrained])), "may not sign for spiffe://cluster.local"),
        "other purposes": (lambda key: of(signer.sign(key, extensions=[clients_only])), "extendedKeyUsage"),
        "another root": (lambda key: (200, {}, stranger.chain(stranger.sign(key))), "CN=Another root.*--signer-root"),
    }


def test_whatever_the_signer_gets_wrong_the_issuer_in_force_stays(mesh, signer):
    before = status(mesh)
    try:
        for name, (failure, text) in failures(signer).items():
            signer.failure = failure
            refused = mesh.apus("identity", "rotate", "--issuer", check=False)
            assert refused.returncode == 1 and re.search(text, refused.stderr), (name, refused)
            assert TOKEN not in refused.stderr and "\x1b" not in refused.stderr, name
    finally:
        signer.failure = None
    after = status(mesh)
    assert (after["signer"], after["anchors"][0]["keyID"]) == (before["signer"], before["anchors"][0]["keyID"])
    assert "problem" not in after["renewal"], "a person's attempts put off nothing"
    counted = controller.metrics()
    assert counted.sum("issuer_requests_total", result="unusable") >= 7
    assert counted.sum("issuer_requests_total", result="refused") == 2
    mesh.token.chmod(0o644)
    refused = mesh.apus("identity", "rotate", "--issuer", check=False)
    assert refused.returncode == 1 and "everybody on this machine can read" in refused.stderr
    mesh.token.chmod(0o600)


def test_an_issuer_of_the_signer_is_renewed_by_itself_under_load(mesh, signer):
    first = status(mesh)
    signer.days = 90
    mesh.workloads = [mesh.nginx("orders", "one", "one")]
    client, port = mesh.client("orders.shop:80")
    mesh.workloads.append(client)
    mesh.ports = [port]
    mesh.wait_until_serving(port)
    with Traffic(mesh):
        until(lambda: status(mesh)["signer"] != first["signer"], "the next issuer", 20)
        after = settled(mesh)
    assert after["anchors"][0]["keyID"] == first["anchors"][0]["keyID"] and after["source"] == "external"
    assert 50 < (after["renewal"]["due"] - first["renewal"]["due"]) / 86400 < 61
    assert re.search(r"renewal   in 5\dd.* by https://127.0.0.1", mesh.apus("identity", "status").stdout)


def test_a_controller_that_dies_while_the_signer_signs_asks_for_the_same_key_again(mesh, signer):
    asked, answers = threading.Event(), threading.Event()

    def slowly(key):
        asked.set()
        answers.wait(20)
        return 200, {}, signer.chain(signer.sign(key))

    signer.failure, before = slowly, len(signer.keys)
    command = [str(BINARIES / "apus"), "identity", "rotate", "--issuer"]
    with subprocess.Popen(command, env=mesh.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as waiting:
        assert asked.wait(20)
        restart_controller(mesh)
        waiting.wait(20)
    signer.failure = None
    answers.set()
    assert (mesh.state / "ca" / "pending-signer.key.pem").stat().st_mode & 0o777 == 0o600
    mesh.apus("identity", "rotate", "--issuer", timeout=60)
    assert len(signer.keys) == before + 2 and signer.keys[-1] == signer.keys[-2]
    assert not (mesh.state / "ca" / "pending-signer.key.pem").exists()


def test_the_signer_s_next_root_is_trusted_once_it_is_in_the_file_and_replaces_the_old_under_load(mesh, signer):
    signer.use_new_root("Company root 2")
    refused = mesh.apus("identity", "rotate", "--issuer", check=False)
    assert refused.returncode == 1 and "CN=Company root 2" in refused.stderr and "--signer-root" in refused.stderr
    refused = mesh.apus("identity", "rotate", "--root", check=False)
    assert refused.returncode == 1 and "the root is the signer's" in refused.stderr
    mesh.roots.write_bytes(signer.root.public_bytes(PEM) + mesh.roots.read_bytes())
    with Traffic(mesh):
        mesh.apus("identity", "rotate", "--issuer", timeout=60)
    assert [c["subject"] for c in status(mesh)["anchors"]] == ["CN=Company root 2"]


def test_a_signer_that_speaks_as_vault_does(mesh):
    with Signer(TOKEN) as vault:
        mesh.roots.write_bytes(vault.root.public_bytes(PEM))
        flags = ["--signer", vault.url.rstrip("/") + VAULT_PATH, "--signer-dialect", "vault", "--signer-token-file", mesh.token,
                 "--signer-root", mesh.roots, "--signer-lifetime", "720h"]
        restart_controller(mesh, flags)
        mesh.token.write_text("old")
        refused = mesh.apus("identity", "rotate", "--issuer", check=False)
        assert refused.returncode == 1 and f"renew {mesh.token}; it says: permission denied" in refused.stderr
        mesh.token.write_text(TOKEN)
        mesh.apus("identity", "rotate", "--issuer", timeout=60)
        found = status(mesh)
    assert found["source"] == "external" and 29 < found["issuer"][0]["secondsLeft"] / 86400 <= 30
