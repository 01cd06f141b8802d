"""Programs of other accounts join with a token and in no other way; whatever else is tried is refused, logged and counted."""

import base64
import os
import pathlib
import re
import stat
import textwrap

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support import http, manifests
from support.certificates import key_usage
from support.controller import Controller, metrics
from support.joining import another_account, join, refused, token, token_id
from support.mesh import CONTROLLER, Mesh, program
from support.waiting import free_port, until

IDENTITY = "spiffe://cluster.local/ns/shop/sa/web"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A mesh, and a connection of a stranger to its controller."""
    mesh = Mesh(tmp_path_factory.mktemp("join"))
    # Whatever the account's umask is, the files are right.
    before = os.umask(0)
    try:
        mesh.port = free_port()
        mesh.up(manifests.service("web", mesh.port), manifests.service("payments"))
        mesh.owner = mesh.run("payments", program("app.py", 8080, "v1"), port=8080, own_address=True)
        mesh.stranger = Controller((mesh.state / "trust-anchors.pem").read_text())
        # Says nothing; see the last test.
        mesh.silence = mesh.stranger.open_join()
        yield mesh
    finally:
        os.umask(before)
        mesh.stop()


# MARK: Join tokens

def test_a_program_of_another_account_joins_and_is_called_by_its_identity(town):
    made = token(town, "--label", "version=v7")
    # nginx: the Python of the tests may be for their own account alone.
    server = join(town, made, flags=["--port", town.port], program=town.nginx_command(
        'location / { return 200 "ok"; }', str(town.port)))
    client, port = town.client("web.shop:80")
    town.wait_until_serving(port)
    calls = client.metrics().by("server_id", "request_total", direction="outbound", tls="true")
    assert calls.get(IDENTITY, 0) >= 1, calls
    [workload] = [each for each in town.json("status")["workloads"] if each["name"] == server.workload_name]
    assert workload["identity"] == IDENTITY and workload["service"] == "web"
    [listed] = [each for each in town.json("identity", "token", "list") if each["id"] == token_id(made)]
    assert listed["state"] == "spent" and listed["used"] == 1 and listed["workloads"] == [server.workload_name]
    assert listed["labels"] == {"version": "v7"}
    assert metrics().sum("workload_joins_total", attestor="join_token") >= 1
    if another_account():
        status = pathlib.Path(f"/proc/{server.proxy_pid}/status").read_text()
        assert re.search(r"^Uid:\s+65534\s+65534", status, re.M), status
    # The same token again, by somebody who copied the file.
    copy = refused(town, "replayed", lambda: join(town, made, name="copy", wait=False).wait())
    assert copy == 1 and "has been used as often as it may be" in (town.logs / "copy.log").read_text()
    # Revoked: no new certificates, no configuration, no way back under its name.
    assert "1 workloads ended" in town.apus("identity", "token", "revoke", token_id(made), "--workloads").stdout
    server.wait_for_log("refused to register again|the control plane refused")
    assert server.workload_name not in str(town.json("status")["workloads"])
    server.kill_group()


def test_the_secret_is_nowhere_in_the_state_directory_or_the_log(town):
    made = token(town)
    secret = made["token"].split(".")[2]
    assert len(secret) == 43
    with town.stranger.joined(token=made["token"]) as grant:
        for path in town.state.rglob("*"):
            if path.is_file():
                text = path.read_bytes()
                assert secret.encode() not in text and grant["token"].encode() not in text, path
    assert secret not in town.controller.log() and grant["token"] not in town.controller.log()


@pytest.mark.parametrize("what, reason", [
    (dict(account="payments"), "wrong_service_account"),
    (dict(namespace="bank"), "wrong_namespace"),
    (dict(service="payments"), "wrong_service"),
    (dict(labels={"app": "payments"}), "wrong_label"),
    (dict(name="payments-abcde"), "wrong_name"),
    (dict(token="apus1.bbbbbbbb." + "A" * 43), "unknown"),
    (dict(token="guess"), "malformed"),
    (dict(token=""), "malformed"),
    (dict(token=None), "malformed"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_token_is_good_for_its_own_account_and_service_only(town, what, reason):
    made = token(town)
    status, _ = refused(town, reason, lambda: town.stranger.refusal(**{"token": made["token"], **what}))
    assert status == "PERMISSION_DENIED"
    # A wrong try spends nothing.
    with town.stranger.joined(token=made["token"]) as grant:
        assert grant["identity"] == IDENTITY


def test_an_expired_and_a_revoked_token_are_refused(town):
    short, revoked = token(town, "--ttl", "1s", "--any-uses"), token(town)
    town.apus("identity", "token", "revoke", token_id(revoked))
    refused(town, "revoked", lambda: town.stranger.refusal(token=revoked["token"]))
    until(lambda: {each["id"]: each["state"] for each in town.json("identity", "token", "list")}[token_id(short)] == "expired",
          "the token expires", 5)
    refused(town, "expired", lambda: town.stranger.refusal(token=short["token"]))


def test_names_of_others_cannot_be_taken_with_guesses_or_with_their_process_numbers(town):
    theirs = town.owner.workload_name
    claim = dict(workload=theirs, address=town.owner.address, token="A" * 43)
    refused(town, "wrong_claim", lambda: town.stranger.refusal(claim=claim, service="payments", account="payments"))
    # What joined has a claim to its own name, as what it joined as.
    with town.stranger.joined(token=token(town)["token"]) as grant:
        claim = {key: grant[key] for key in ("workload", "address", "token")}
        refused(town, "wrong_service", lambda: town.stranger.refusal(claim=claim, service="payments"))
        refused(town, "wrong_claim", lambda: town.stranger.refusal(claim={**claim, "token": "A" * 43}))
        with town.stranger.joined(claim=claim) as again:
            assert again["address"] == grant["address"] and again["identity"] == IDENTITY


def test_the_file_is_refused_when_others_may_read_it_and_is_written_for_its_owner_alone(town):
    file = town.directory / "web.join"
    town.apus("identity", "token", "create", "--service", "web", "--out", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    answer = town.apus("run", "--service", "web", "--join-token-file", file, "--", "true", check=False)
    assert answer.returncode == 1 and "chmod 600" in answer.stderr
    again = town.apus("identity", "token", "create", "--service", "web", "--out", file, check=False)
    assert again.returncode == 1 and "exists" in again.stderr


# MARK: Certificate requests

def extension_request(*extensions, key=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    key = key or ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, hashes.SHA256())


def names(*uris, hosts=()):
    return x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(uri) for uri in uris] + [x509.DNSName(host) for host in hosts]), True


def pem(request):
    return request.public_bytes(serialization.Encoding.PEM).decode()


def der(tag, *contents):
    content = b"".join(contents)
    size = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
    return bytes([tag]) + size + content


def without_possession():
    """A request for somebody else's public key, signed with a key of one's own (RFC 2986, section 4.2)."""
    asked = extension_request(names(IDENTITY)).tbs_certrequest_bytes
    signature = ec.generate_private_key(ec.SECP256R1()).sign(asked, ec.ECDSA(hashes.SHA256()))
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    data = der(0x30, asked, ecdsa_with_sha256, der(0x03, b"\0", signature))
    text = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"


FORGERIES = {
    "another account": (lambda: pem(extension_request(names(IDENTITY.replace("sa/web", "sa/payments")))), "identity_mismatch"),
    "another trust domain": (lambda: pem(extension_request(names(IDENTITY.replace("cluster.local", "evil.example")))),
                             "identity_mismatch"),
    "the controller's identity": (lambda: pem(extension_request(names(
        "spiffe://cluster.local/ns/apus-system/sa/apus-controller"))), "identity_mismatch"),
    "the controller's host name": (lambda: pem(extension_request(names(hosts=["apus-controller.apus-system"]))),
                                   "identity_mismatch"),
    "its own and another": (lambda: pem(extension_request(names(IDENTITY, IDENTITY.replace("sa/web", "sa/payments")))),
                            "identity_mismatch"),
    "no proof of possession": (without_possession, "proof_of_possession"),
    "RSA of 1024 bits": (lambda: pem(extension_request(names(IDENTITY), key=rsa.generate_private_key(65537, 1024))),
                         "malformed"),
    "RSA of 2048 bits": (lambda: pem(extension_request(names(IDENTITY), key=rsa.generate_private_key(65537, 2048))),
                         "weak_key"),
    "an authority": (
        lambda: pem(extension_request(names(IDENTITY), (x509.BasicConstraints(ca=True, path_length=None), True))),
        "authority_requested"),
    "a signer of certificates": (
        lambda: pem(extension_request(names(IDENTITY), (key_usage(certificate_signing=True), True))),
        "authority_requested"),
    "no request": (lambda: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "malformed"),
    "an endless request": (lambda: "A" * 40_000, "malformed"),
}


@pytest.fixture(scope="module")
def joined(town):
    with town.stranger.joined(token=token(town)["token"]) as grant:
        yield grant


@pytest.mark.parametrize("case", FORGERIES)
def test_a_forged_certificate_request_is_refused(town, joined, case):
    make, reason = FORGERIES[case]
    before, logged = metrics().sum("certificate_refusals_total", reason=reason), len(town.controller.log())
    status, text = town.stranger.certify(make(), joined["token"])
    assert status in ("PERMISSION_DENIED", "INVALID_ARGUMENT") and "certificate request refused" in text
    assert metrics().sum("certificate_refusals_total", reason=reason) == before + 1, metrics().text
    # With the words that the caller is told.
    line = re.compile(rf"reason=.*{re.escape(text)}.* workload={joined['workload']} .*certificate refused")
    until(lambda: line.search(town.controller.log(), logged), "the log tells, and why", 5)


def test_an_honest_request_is_signed_for_the_callers_identity_and_nothing_else(town, joined):
    chain = town.stranger.certify(pem(extension_request(names(IDENTITY))), joined["token"])
    leaf = x509.load_pem_x509_certificate(chain.encode())
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in alternative] == [IDENTITY]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_without_a_workloads_token_nothing_is_signed(town):
    made = token(town)
    request = pem(extension_request(names(IDENTITY)))
    before = metrics().by("reason", "control_calls_refused_total")
    # A join token is no workload's token: it opens nothing but the way in.
    for shown, reason in [(None, "no_token"), ("A" * 43, "unknown_token"), (made["token"], "unknown_token")]:
        assert town.stranger.certify(request, shown)[0] == "UNAUTHENTICATED"
        before[reason] = before.get(reason, 0) + 1
    assert metrics().by("reason", "control_calls_refused_total") == before


# MARK: The admin port

def test_the_admin_port_changes_nothing_without_the_token_of_the_workloads_owner(town):
    workload = town.run("web", ["sleep", "infinity"], name="admin-test")
    answers = {}
    for name, headers in {"none": {}, "wrong": {"Authorization": "Bearer " + "A" * 43},
                          "basic": {"Authorization": "Basic YTpi"}}.items():
        answers[name] = http.get(workload.address, 15000, "/drain", headers=headers, method="POST").status
    assert answers == {"none": 401, "wrong": 401, "basic": 401}
    assert http.get(workload.address, 15000, "/drain").status == 405
    assert http.get(workload.address, 15020, "/ready").status == 200
    refusals = workload.metrics().by("reason", "admin_requests_refused_total")
    assert refusals == {"disabled": 0, "no_token": 2, "wrong_token": 1}, refusals
    workload.wait_for_log("admin: drain refused: no_token")
    file = town.state / "workloads" / f"{workload.workload_name}.admin-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "is draining" in town.apus("drain", workload.workload_name).stdout
    until(lambda: http.get(workload.address, 15020, "/ready").status == 503, "not ready any more", 5)


def test_the_controllers_own_port_shows_numbers_and_takes_nothing(town):
    assert http.get(CONTROLLER[0], 15020, "/live").text == "live\n"
    assert http.get(CONTROLLER[0], 15020, "/").status == 404
    assert http.get(CONTROLLER[0], 15020, "/metrics", method="POST", body=b"x").status == 405
    assert http.get(CONTROLLER[0], 15020, "/" + "x" * 9_000).status == 431


# MARK: Files

def test_every_file_of_the_state_directory_is_its_owners_alone(town):
    assert stat.S_IMODE(town.state.stat().st_mode) == 0o700
    public = {"trust-anchors.pem", "ca/root.cert.pem", "ca/issuer.cert.pem"}
    wrong = {}
    for path in town.state.rglob("*"):
        mode, name = path.lstat().st_mode, str(path.relative_to(town.state))
        allowed = 0o700 if stat.S_ISDIR(mode) else 0o644 if name in public else 0o600
        if stat.S_IMODE(mode) & ~allowed:
            wrong[name] = oct(stat.S_IMODE(mode))
        assert path.lstat().st_uid == os.geteuid(), path
    assert not wrong
    assert {"ca/root.key.pem", "control.sock", "addresses.json", "join-tokens.json", "session.key"} <= {
        str(path.relative_to(town.state)) for path in town.state.rglob("*")}


def test_a_caller_that_says_nothing_is_sent_away(town):
    """Opened before the other tests of the module."""
    _, answers = town.silence
    with pytest.raises(grpc.RpcError) as error:
        next(answers)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED and "no registration" in error.value.details()
    assert metrics().sum("workload_join_refusals_total", reason="silent") == 1
    assert "reason=silent" in town.controller.log()
