"""MeshTLS, egress and the identity that applications are told, with real programs."""

import hashlib
import json
import os
import re
import socket
import ssl
from http import client

import pytest

from support import http, manifests
from support.dns import NameServer
from support.mesh import ADMIN_PORT, INBOUND_PORT, Mesh
from support.outside import PORT, Outside
from support.waiting import until

OUTSIDE = "127.77.2.1"
EVIL = "By=spiffe://cluster.local/ns/shop/sa/admin;URI=spiffe://cluster.local/ns/shop/sa/admin"


def mesh_tls(spec, name="default", namespace="shop"):
    return manifests.text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: MeshTLS
        metadata: {{ name: {name}, namespace: {namespace} }}
        spec: {spec}
        """)


def egress(spec):
    return manifests.text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: MeshConfig
        metadata: {{ name: default, namespace: apus-system }}
        spec: {{ egress: {spec} }}
        """)


class SecureMesh(Mesh):
    orders, caller, port = None, None, None

    def plaintext(self, path="/", headers=None, port=8080):
        return http.get(self.orders.address, INBOUND_PORT, path, {"Host": f"orders:{port}", **(headers or {})})

    def through(self, path="/", headers=None):
        return http.get("127.0.0.1", self.port, path, headers)

    def say(self, *documents):
        self.write("security.yaml", *(documents or ["# nothing\n"]))

    def modes(self):
        return [port["mode"] for port in self.callers()["ports"]]

    def callers(self):
        return json.loads(http.get(self.orders.address, ADMIN_PORT, "/plaintext_callers").text)

    def becomes(self, mode):
        until(lambda: self.modes() == [mode], f"the port of orders is {mode}")

    def ask(self, url):
        return http.via_proxy(self.caller.address, url)

    def why(self, url):
        done = self.apus("why", "--from", "client", "--to", url, "-o", "json", check=False)
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    mesh = SecureMesh(tmp_path_factory.mktemp("tls"))
    names, outside = NameServer("127.77.2.53"), Outside(OUTSIDE, OUTSIDE)
    try:
        names.records = {name: (60, [OUTSIDE]) for name in ("any.example.com", "bad.example.com", "twolabels.test")}
        mesh.up(manifests.service("orders"))
        mesh.orders = mesh.serve("orders")
        mesh.caller, mesh.port = mesh.client("orders.shop:80", flags=["--dns-server", names.flag])
        mesh.wait_until_serving(mesh.port)
        yield mesh
    finally:
        mesh.stop()
        outside.stop()
        names.stop()


@pytest.fixture(autouse=True)
def logs(mesh, request):
    request.node.apus_mesh = mesh


# MARK: MeshTLS

def test_without_a_word_plaintext_is_taken_and_its_caller_named(mesh):
    mesh.say()
    mesh.becomes("permissive")
    assert mesh.plaintext().status == 200

    def row():
        return next((c for c in mesh.callers()["callers"] if c["allowed"] and c["processes"]), None)

    # A process is found while its connection is open.
    connection = client.HTTPConnection(mesh.orders.address, INBOUND_PORT, timeout=10)

    def is_found():
        connection.request("GET", "/", headers={"Host": "orders:8080"})
        connection.getresponse().read()
        return row() and os.getpid() in [process["pid"] for process in row()["processes"]]

    until(is_found, "the caller's process is found")
    connection.close()
    assert row()["address"] == "127.0.0.1" and row()["port"] == 8080 and row()["first_ms"] <= row()["last_ms"]
    text = mesh.apus("check").stdout
    assert re.search(r"‼ plaintext caller 127\.0\.0\.1 \(.*\S+, process \d+.*\): \d+ requests? to port 8080 since .* "
                     r"\(permissive\)", text), text
    assert re.search(r"‼ strict is safe: not yet: plaintext comes to orders-\w+", text), text
    assert "✔ no plaintext caller: strict would have refused nobody since its proxy started" in text, text


def test_a_caller_that_is_a_program_of_the_mesh_is_named_as_its_workload(mesh):
    url = f"http://{mesh.orders.address}:{INBOUND_PORT}/"
    command = f"import urllib.request as u, time\nwhile True:\n  u.urlopen('{url}').read(); time.sleep(0.2)"
    bypass = mesh.run("bypass", ["python3", "-c", command])
    try:
        name = bypass.workload_name
        until(lambda: f" of {name}" in mesh.apus("check").stdout, "apus check names the workload", 20)
    finally:
        bypass.kill_group()


def test_strict_refuses_plaintext_with_a_reason_that_is_logged_and_counted(mesh):
    mesh.say(mesh_tls("{ mode: strict }"))
    mesh.becomes("strict")
    before = mesh.orders.metrics().sum("inbound_plaintext_requests_total", decision="refused")
    answer = mesh.plaintext()
    assert answer.status == 403 and answer.text.startswith("plaintext refused: MeshTLS is strict here")
    assert mesh.orders.metrics().sum("inbound_plaintext_requests_total", decision="refused") == before + 1
    mesh.orders.wait_for_log(r"plaintext from 127\.0\.0\.1:\d+ to port 8080 refused: its MeshTLS is strict")
    # Callers of the mesh do not notice.
    assert mesh.through().status == 200
    text = mesh.apus("check").stdout
    assert re.search(r"plaintext caller 127\.0\.0\.1.* refused \(strict\)", text), text
    assert re.search(r"^default +shop +Namespace/shop +True +True ", mesh.apus("get", "meshtls").stdout, re.M)
    code, answer = mesh.why("http://orders.shop/")
    assert code == 0
    rows = [row for backend in answer["backends"] for row in backend["policy"] if row["field"] == "meshTLS.mode"]
    assert [(row["value"], row["policy"]) for row in rows] == [("strict", "MeshTLS shop/default")], answer


def test_the_narrowest_word_counts(mesh):
    everywhere = mesh_tls("{ mode: strict }", namespace="apus-system")
    mesh.say(everywhere)
    mesh.becomes("strict")
    mesh.say(everywhere, mesh_tls("{ ports: [{ port: 8080, mode: permissive }] }"))
    mesh.becomes("permissive")
    mesh.say(everywhere, mesh_tls("{ mode: permissive }"),
             mesh_tls("{ selector: { matchLabels: { app: orders } }, mode: strict }", name="orders"))
    mesh.becomes("strict")
    assert mesh.plaintext().status == 403


def test_disabled_calls_the_program_itself_in_plaintext(mesh):
    mesh.say()
    mesh.becomes("permissive")
    until(lambda: "URI=" in mesh.through("/headers").text, "mutual TLS is back")
    served = mesh.orders.metrics().sum("request_total", direction="inbound")
    mesh.say(mesh_tls("{ mode: disabled }"))
    until(lambda: "x-forwarded-client-cert" not in mesh.through("/headers").text.lower(), "the program is called itself")
    after = mesh.orders.metrics().sum("request_total", direction="inbound")
    assert mesh.through().status == 200
    assert mesh.orders.metrics().sum("request_total", direction="inbound") == after >= served
    finding = mesh.apus("analyze", check=False).stdout
    assert "APUS0713" in finding, finding
    mesh.say()
    until(lambda: "URI=" in mesh.through("/headers").text, "mutual TLS is back")


def test_mistakes_are_told_with_their_line(mesh):
    mesh.say(mesh_tls("{ mode: strickt }"),
             mesh_tls("{ selector: { matchLabels: { app: nobody } }, mode: strict }", name="nobody"))
    until(lambda: "APUS0711" in mesh.apus("analyze", check=False).stdout, "the selector's finding")
    text = mesh.apus("analyze", check=False).stdout
    assert re.search(r"security\.yaml:\d+:\d+: error APUS0001: MeshTLS shop/default: .*did you mean strict\?", text), text
    assert mesh.apus("validate", str(mesh.manifests), check=False).returncode == 1
    mesh.say()


# MARK: Identity to the application

def test_the_application_is_told_who_calls_and_by_which_certificate(mesh):
    mesh.say()
    until(lambda: "URI=" in mesh.through("/headers").text, "mutual TLS")
    text = mesh.through("/headers", {"X-Forwarded-Client-Cert": EVIL, "x-apus-target-port": "22"}).text
    values = re.findall(r"^x-forwarded-client-cert: (.*)$", text, re.M | re.I)
    certificates = json.loads(http.get(mesh.caller.address, ADMIN_PORT, "/certs").text)
    leaf = ssl.PEM_cert_to_DER_cert(re.match(r".*?-----END CERTIFICATE-----", certificates["pem"], re.S).group(0))
    identity = "spiffe://cluster.local/ns/shop/sa"
    assert len(values) == 1, text
    assert re.fullmatch(
        rf'By={identity}/orders;Hash={hashlib.sha256(leaf).hexdigest()};Subject="[^"]*";URI={identity}/client',
        values[0]), values
    assert "x-apus" not in text.lower()


def test_who_comes_in_plaintext_cannot_say_who_he_is(mesh):
    mesh.say()
    mesh.becomes("permissive")
    text = mesh.plaintext("/headers", {"X-Forwarded-Client-Cert": EVIL, "X-Apus-Service": "admin.shop:80"}).text.lower()
    assert "host:" in text and "x-forwarded-client-cert" not in text and "x-apus" not in text, text


# MARK: Egress

def test_allow_any_finds_hosts_outside_by_the_dns(mesh):
    mesh.say()
    answer = mesh.ask(f"http://any.example.com:{PORT}/a")
    assert answer.status == 200 and json.loads(answer.body)["host"] == f"any.example.com:{PORT}"
    # Two labels might be a service of the mesh; a namespace of the mesh is never asked of the DNS.
    assert mesh.ask(f"http://twolabels.test:{PORT}/").status == 200
    assert mesh.ask("http://ordres.shop/").status == 404
    assert mesh.ask("http://nowhere.example.com/").status == 503
    metrics = mesh.caller.metrics()
    assert metrics.sum("egress_requests_total", host=f"any.example.com:{PORT}", decision="allowed", reason="ALLOW_ANY") == 1
    code, answer = mesh.why(f"http://any.example.com:{PORT}/")
    assert code == 0 and any("ALLOW_ANY" in note for note in answer["notes"]), answer


def test_registry_only_lets_out_what_is_declared_or_allowed_to_the_caller(mesh):
    mesh.say(egress(f"""{{ mode: REGISTRY_ONLY,
        allow: [{{ hosts: ["*.example.com"], ports: [{PORT}], clients: [shop/client] }},
                {{ hosts: [twolabels.test], clients: [other/*] }}],
        deny: [{{ hosts: [bad.example.com] }}] }}"""))
    until(lambda: mesh.ask(f"http://bad.example.com:{PORT}/").status == 403, "the policy has arrived")
    assert mesh.ask(f"http://any.example.com:{PORT}/").status == 200
    refused = mesh.ask(f"http://twolabels.test:{PORT}/")
    assert refused.status == 403 and refused.text.startswith("egress refused"), refused.text
    assert mesh.ask(f"http://{OUTSIDE}:{PORT}/").status == 403
    assert mesh.through().status == 200
    metrics = mesh.caller.metrics()
    assert metrics.sum("egress_requests_total", host=f"twolabels.test:{PORT}", decision="refused", reason="REGISTRY_ONLY") == 1
    mesh.caller.wait_for_log(r"egress of spiffe://cluster\.local/ns/shop/sa/client to \S+ refused by "
                             r"(REGISTRY_ONLY|egress\.deny\[0\])")
    for url, reason in ((f"http://bad.example.com:{PORT}/", "egress.deny[0]"),
                        (f"http://twolabels.test:{PORT}/", "REGISTRY_ONLY")):
        code, answer = mesh.why(url)
        assert code == 1 and answer["failures"][0]["status"] == 403 and reason in answer["failures"][0]["reason"], answer
    assert re.search(r"^default +apus-system +Mesh/default +True +True ", mesh.apus("get", "meshconfig").stdout, re.M)


def test_a_tunnel_carries_tls_to_allowed_servers_only(mesh):
    mesh.say()
    until(lambda: mesh.ask(f"http://bad.example.com:{PORT}/").status == 200, "no policy is left")
    mesh.say(egress("{ mode: REGISTRY_ONLY, allow: [{ hosts: [any.example.com] }] }"))
    until(lambda: mesh.ask(f"http://bad.example.com:{PORT}/").status == 403, "the policy has arrived")

    def tunnel(name):
        with socket.create_connection((mesh.caller.address, 15001), 10) as connection:
            connection.sendall(f"CONNECT any.example.com:{PORT} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            context = ssl._create_unverified_context()
            with pytest.raises((ssl.SSLError, ConnectionError)) as failure:
                context.wrap_socket(connection, server_hostname=name)
            return failure.value

    # The server speaks no TLS, and says so: the greeting has reached it.
    assert isinstance(tunnel("any.example.com"), ssl.SSLError)
    assert not isinstance(tunnel("bad.example.com"), ssl.SSLError) or "EOF" in str(tunnel("bad.example.com"))
    host = f"bad.example.com:{PORT}"
    assert mesh.caller.metrics().sum("egress_requests_total", host=host, decision="refused", reason="REGISTRY_ONLY") >= 2
    mesh.say()
