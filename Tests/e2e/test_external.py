"""Servers outside the mesh: ExternalServices with static endpoints, TLS to them, and BackendTLSPolicies, with servers whose
certificates are good, for another name, expired, or of an authority that nobody trusts."""

import collections
import concurrent.futures
import json
import socket
import ssl
import textwrap

import grpc
import pytest

from support import http, manifests
from support.certificates import Authority
from support.mesh import Mesh
from support.outside import PORT, Outside
from support.waiting import until

# What each server shows, and what becomes of a request to it.
REFUSED = {
    "wrong-name": ("name_mismatch", "for other names than the one expected"),
    "expired": ("expired", "has expired"),
    "stranger": ("unknown_authority", "of an authority that is not trusted here"),
    "plain": ("protocol_error", "does not speak TLS there"),
}
ADDRESSES = {name: f"127.77.0.{index}"
             for index, name in enumerate(["good", *REFUSED, "other", "sans", "slice", "calls", "old", "mutual"], 1)}


def config_map(name, pem, key="ca.crt"):
    return manifests.text(f"""
        apiVersion: v1
        kind: ConfigMap
        metadata: {{ name: {name}, namespace: shop }}
        data:
          {key}: |
        """) + textwrap.indent(pem, "    ")


def external(name, host, address, tls, namespace="shop", ports=""):
    return manifests.text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: ExternalService
        metadata: {{ name: {name}, namespace: {namespace} }}
        spec:
          hosts: [{host}]
          resolution: Static
          endpoints: [{{ address: {address} }}]
          ports:
            - {{ name: http, port: 80, targetPort: {PORT}{f', tls: {tls}' if tls else ''} }}
        """) + textwrap.indent(ports, "    ")


def policy(name, target, validation, kind="Service", section=None, created=None, version="v1"):
    group = "" if kind == "Service" else "mesh.apus.dev"
    sections = f", sectionName: {section}" if section else ""
    age = f", creationTimestamp: {created}" if created else ""
    return manifests.text(f"""
        apiVersion: gateway.networking.k8s.io/{version}
        kind: BackendTLSPolicy
        metadata: {{ name: {name}, namespace: shop{age} }}
        spec:
          targetRefs: [{{ group: "{group}", kind: {kind}, name: {target}{sections} }}]
          validation: {validation}
        """)


def sliced(name, address, ports="{ name: http, port: 80, appProtocol: http }"):
    """A Service whose only endpoint is outside the mesh."""
    return manifests.text(f"""
        apiVersion: v1
        kind: Service
        metadata: {{ name: {name}, namespace: shop }}
        spec: {{ ports: [{ports}] }}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {{ name: {name}-1, namespace: shop, labels: {{ kubernetes.io/service-name: {name} }} }}
        addressType: IPv4
        endpoints: [{{ addresses: [{address}] }}]
        ports: [{{ name: http, port: {PORT} }}]
        """)


TRUSTED = "{ caCertificateRefs: [{ group: '', kind: ConfigMap, name: authority }] }"


def validation(hostname="api.example.com", authority="authority", more=""):
    return f"{{ hostname: {hostname}, caCertificateRefs: [{{ group: '', kind: ConfigMap, name: {authority} }}]{more} }}"


def grpc_server(address, files):
    """Echoes; over TLS, which grpcio speaks with the ALPN name h2 only."""
    def say(request, context):
        context.set_trailing_metadata((("x-served", "outside"),))
        return request

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "outside.Echo", {"Say": grpc.unary_unary_rpc_method_handler(say)}),))
    chain, key = (path.read_bytes() for path in files)
    server.add_secure_port(f"{address}:{PORT}", grpc.ssl_server_credentials([(key, chain)]))
    server.start()
    return server


def shown(directory, authority, host):
    """What the proxy shows: a certificate for `host` in the files that manifests name."""
    authority.issue(directory, "client", None, hosts=[host])


class OutsideMesh(Mesh):
    caller, servers, channel, misnamed, calls = None, {}, None, None, None

    def ask(self, url, caller=None, headers=None):
        """The answer to a request that a program sends to its proxy; `said` is what the server says."""
        answer = http.via_proxy((caller or self.caller).address, url, headers)
        answer.said = json.loads(answer.body) if answer.headers.get("content-type") == "application/json" else None
        return answer

    def conditions(self, kind, name):
        status = self.json("get", kind, name, "-n", "shop")["status"]
        found = status.get("conditions") or status["ancestors"][0]["conditions"]
        return {one["type"]: (one["status"], one["reason"], one["message"]) for one in found}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    directory = tmp_path_factory.mktemp("outside")
    mesh = OutsideMesh(directory)
    authority, stranger = Authority.foreign(), Authority.foreign()
    files = {
        "good": authority.issue(directory, "good", None, hosts=["api.example.com"]),
        "wrong-name": authority.issue(directory, "wrong-name", None, hosts=["www.example.com", "*.example.org"]),
        "expired": authority.issue(directory, "expired", None, starts=-7200, ends=-3600, hosts=["api.example.com"]),
        "stranger": stranger.issue(directory, "stranger", None, hosts=["api.example.com"]),
        "plain": None,
        "other": authority.issue(directory, "other", None, hosts=["api.example.com"]),
        "sans": authority.issue(directory, "sans", "spiffe://example.com/pay", hosts=["pay.internal"]),
        "old": authority.issue(directory, "old", None, hosts=["api.example.com"]),
        "slice": stranger.issue(directory, "slice", None, hosts=["api.example.com"]),
    }
    mesh.authority, mesh.stranger = authority.pem().decode(), stranger.pem().decode()
    root = directory / "system.pem"
    root.write_bytes(authority.pem())
    try:
        mesh.servers = {name: Outside(name, ADDRESSES[name], made) for name, made in files.items()}
        mesh.servers["mutual"] = Outside("mutual", ADDRESSES["mutual"], files["good"], clients=mesh.authority)
        shown(directory, authority, "first.shop")
        mesh.issue = lambda host: shown(directory, authority, host)
        mesh.shown = [directory / f"client.{part}.pem" for part in ("cert", "key")]
        mutual = ", mode: Mutual, clientCertificate: {}, privateKey: {}".format
        mesh.servers["old"].context.maximum_version = ssl.TLSVersion.TLSv1_2
        mesh.calls = grpc_server(ADDRESSES["calls"], files["good"])
        mesh.up(
            config_map("authority", mesh.authority), config_map("changing", mesh.authority),
            config_map("empty", "x\n", "other"),
            external("api", "api.example.com", ADDRESSES["good"], TRUSTED,
                     ports="- { port: 443, targetPort: 8443, appProtocol: tls }\n"),
            *(external(name, f"{name}.example.com", ADDRESSES[name], validation()) for name in REFUSED),
            external("system", "system.example.com", ADDRESSES["other"],
                     "{ wellKnownCACertificates: System, hostname: api.example.com }"),
            external("old", "old.example.com", ADDRESSES["old"], validation()),
            external("modern", "modern.example.com", ADDRESSES["old"], validation(more=", minimumVersion: '1.3'")),
            external("shared", "shared.example.com", ADDRESSES["plain"], None, "apus-system"),
            external("foreign", "foreign.example.com", ADDRESSES["plain"], None, "other"),
            external("policed", "policed.example.com", ADDRESSES["other"], None),
            *(external(name, f"{name}.example.com", ADDRESSES["calls"], validation(hostname)).replace(
                "{ name: http,", "{ name: http, appProtocol: grpc,")
              for name, hostname in (("calls", "api.example.com"), ("misnamed", "www.example.com"))),
            external("broken", "broken.example.com", ADDRESSES["good"],
                     "{ caCertificateRefs: [{ group: '', kind: ConfigMap, name: none }] }"),
            external("mutual", "mutual.example.com", ADDRESSES["mutual"], validation(more=mutual(*mesh.shown))),
            external("unshown", "unshown.example.com", ADDRESSES["mutual"], validation()),
            external("keyless", "keyless.example.com", ADDRESSES["mutual"],
                     validation(more=mutual(mesh.shown[0], "/nowhere.pem"))),
            external("routed", "routed.example.com", ADDRESSES["good"], validation()),
            policy("policed", "policed", validation(), kind="ExternalService", version="v1alpha3"),
            sliced("sans", ADDRESSES["sans"]), policy("sans", "sans", validation(
                "pay.example.com", more=", subjectAltNames: [{ type: Hostname, hostname: no.example.com }, "
                                        "{ type: URI, uri: 'spiffe://example.com/pay' }]")),
            sliced("rivals", ADDRESSES["good"]),
            policy("rivals-old", "rivals", validation(), created="2026-01-01T00:00:00Z"),
            policy("rivals-new", "rivals", validation("www.example.com"), created="2026-02-01T00:00:00Z"),
            sliced("sections", ADDRESSES["good"]),
            policy("sections-all", "sections", validation("www.example.com"), created="2026-01-01T00:00:00Z"),
            policy("sections-http", "sections", validation(), section="http", created="2026-02-01T00:00:00Z"),
            sliced("changing", ADDRESSES["slice"]), policy("changing", "changing", validation(authority="changing")),
            sliced("lost", ADDRESSES["plain"]), policy("lost", "lost", validation(authority="empty")),
            policy("nowhere", "nowhere", validation()),
            sliced("refused", ADDRESSES["plain"]),
            policy("refused", "refused", "{ hostname: '*.example.com', wellKnownCACertificates: System }"),
            manifests.service("meshed"), policy("meshed", "meshed", validation()),
            manifests.service("front"),
            manifests.text("""
                apiVersion: gateway.networking.k8s.io/v1
                kind: HTTPRoute
                metadata: { name: front, namespace: shop }
                spec:
                  parentRefs: [{ group: "", kind: Service, name: front }]
                  rules:
                  - filters: [{ type: URLRewrite, urlRewrite: { hostname: api.example.com } }]
                    backendRefs:
                    - { group: mesh.apus.dev, kind: ExternalService, name: api, port: 80, weight: 1 }
                    - { group: mesh.apus.dev, kind: ExternalService, name: policed, port: 80, weight: 1 }
                ---
                apiVersion: gateway.networking.k8s.io/v1
                kind: HTTPRoute
                metadata: { name: routed, namespace: shop }
                spec:
                  parentRefs: [{ group: mesh.apus.dev, kind: ExternalService, name: routed }]
                  rules:
                  - matches: [{ path: { value: /here } }]
                    backendRefs: [{ name: meshed, port: 80 }]
                  - filters:
                    - { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-by, value: route }] } }
                    backendRefs: [{ group: mesh.apus.dev, kind: ExternalService, name: routed, port: 80 }]
                ---
                apiVersion: mesh.apus.dev/v1alpha1
                kind: TrafficPolicy
                metadata: { name: policed, namespace: shop }
                spec:
                  targetRefs: [{ group: mesh.apus.dev, kind: ExternalService, name: policed }]
                  retries: { attempts: 2, conditions: [503] }
                """))
        mesh.serve("meshed")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(root))
            # One worker: turns are each worker's.
            mesh.caller, *ports = mesh.client("calls.shop:80", "misnamed.shop:80",
                                              flags=["--workers", "1", "--dns-server", "127.77.1.250"])
        mesh.channel, mesh.misnamed = (grpc.insecure_channel(f"127.0.0.1:{port}") for port in ports)
        until(lambda: mesh.ask("http://api.example.com/").status == 200, "the server outside answers")
        yield mesh
    finally:
        for channel in (mesh.channel, mesh.misnamed):
            if channel:
                channel.close()
        mesh.stop()
        if mesh.calls:
            mesh.calls.stop(0)
        for server in mesh.servers.values():
            server.stop()


@pytest.fixture(autouse=True)
def logs(mesh, request):
    request.node.apus_mesh = mesh


# MARK: ExternalService

def test_a_server_that_speaks_tls_1_2_only_is_called_unless_1_3_is_asked_for(mesh):
    assert mesh.ask("http://old.example.com/a").said["version"] == "TLSv1.2"
    before = len(mesh.servers["old"].requests)
    answer = mesh.ask("http://modern.example.com/b")
    assert answer.status == 503 and "TLS failure" in answer.text, answer
    assert len(mesh.servers["old"].requests) == before
    assert mesh.ask("http://api.example.com/").said["version"] == "TLSv1.3"


def test_a_server_outside_is_called_by_its_name_over_verified_tls(mesh):
    answer = mesh.ask("http://API.example.com./path?q=1")
    said = answer.said
    assert (answer.status, said["target"], said["secure"], said["sni"]) == (200, "/path?q=1", True, "api.example.com")
    assert said["version"] in ("TLSv1.2", "TLSv1.3") and said["alpn"] == "http/1.1"
    assert mesh.ask("http://api.example.com/").said["host"] == "api.example.com"


def test_connections_to_it_are_kept(mesh):
    assert len({tuple(mesh.ask("http://api.example.com/").said["client"]) for _ in range(20)}) <= 4


@pytest.mark.parametrize("case", REFUSED)
def test_a_server_that_does_not_prove_its_name_gets_nothing(mesh, case):
    reason, text = REFUSED[case]
    failures = lambda: mesh.caller.metrics().sum("tls_handshake_failures_total", reason=reason)
    before, requests = failures(), list(mesh.servers[case].requests)
    answer = mesh.ask(f"http://{case}.example.com/")
    assert answer.status == 503 and text in answer.text
    assert mesh.servers[case].requests == requests
    assert failures() > before
    assert mesh.caller.metrics().sum("response_total", dst_service=case, status_code="503", response_flag="UF") > 0


def test_the_log_says_what_the_server_showed(mesh):
    def logged():
        mesh.ask("http://wrong-name.example.com/")
        return "expected api.example.com, the certificate is for www.example.com, *.example.org" in mesh.caller.log()

    until(logged, "the log has the names", 10)


def test_the_authorities_of_the_machine_are_trusted_where_asked_for(mesh):
    assert mesh.ask("http://system.example.com/").said["sni"] == "api.example.com"


def test_an_authority_that_is_missing_is_told_and_nothing_is_sent(mesh):
    requests = list(mesh.servers["good"].requests)
    answer = mesh.ask("http://broken.example.com/")
    assert answer.status == 502 and "authorities to verify the server with cannot be used" in answer.text
    assert mesh.servers["good"].requests == requests
    status = mesh.conditions("externalservice", "broken")
    assert status["ResolvedRefs"][:2] == ("False", "InvalidCACertificateRef")
    assert "there is no ConfigMap shop/none" in status["ResolvedRefs"][2]


def test_a_program_may_speak_tls_itself_through_connect(mesh):
    context = ssl.create_default_context(cadata=mesh.authority)
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_connection((mesh.caller.address, 15001), timeout=10) as connection:
        connection.sendall(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
        assert b" 200 " in connection.recv(4096).split(b"\r\n")[0]
        with context.wrap_socket(connection, server_hostname="api.example.com") as secure:
            secure.sendall(b"GET /own HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: secure.recv(4096), b""))
    assert b'"target": "/own"' in answer


def test_bytes_behind_connect_to_a_port_with_tls_go_over_tls(mesh):
    with socket.create_connection((mesh.caller.address, 15001), timeout=10) as connection:
        connection.sendall(b"CONNECT api.example.com:80 HTTP/1.1\r\nHost: api.example.com:80\r\n\r\n")
        assert b" 200 " in connection.recv(4096).split(b"\r\n")[0]
        connection.sendall(b"GET /raw HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(4096)
    assert b'"target": "/raw"' in answer and b'"secure": true' in answer


def test_grpc_goes_over_tls_with_h2(mesh):
    say = mesh.channel.unary_unary("/outside.Echo/Say")
    answer, call = say.with_call(b"hello", timeout=10)
    assert answer == b"hello" and dict(call.trailing_metadata())["x-served"] == "outside"
    with pytest.raises(grpc.RpcError) as refused:
        mesh.misnamed.unary_unary("/outside.Echo/Say")(b"hello", timeout=10)
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE and "for other names" in refused.value.details()


def test_hosts_are_for_the_own_namespace_and_those_of_the_root_namespace_for_all(mesh):
    assert mesh.ask("http://shared.example.com/").said["secure"] is False
    answer = mesh.ask("http://foreign.example.com/")
    assert answer.status == 503 and "the DNS has no address for the host" in answer.text
    assert mesh.ask("http://api.example.com:8080/").status == 503


def test_a_route_sends_shares_to_servers_outside(mesh):
    answers = [mesh.ask("http://front.shop/") for _ in range(20)]
    assert {(answer.status, answer.text if answer.status != 200 else "") for answer in answers} == {(200, "")}
    servers = [answer.said for answer in answers]
    assert {one["host"] for one in servers} == {"api.example.com"}
    counts = collections.Counter(one["server"] for one in servers)
    assert set(counts) == {"good", "other"} and min(counts.values()) >= 8


def test_a_route_takes_the_requests_for_a_server_outside(mesh):
    elsewhere = mesh.ask("http://routed.example.com/there")
    assert (elsewhere.said["server"], elsewhere.headers["x-by"], elsewhere.said["sni"]) == ("good", "route", "api.example.com")
    here = mesh.ask("http://routed.example.com/here")
    assert here.status == 200 and "x-by" not in here.headers
    assert mesh.caller.metrics().sum("response_total", route_name="httproute/shop/routed#0") >= 1
    why = mesh.json("why", "--from", "client", "--to", "http://routed.example.com/here")
    assert why["rule"]["name"] == "httproute/shop/routed#0" and why["backends"][0]["backend"] == "meshed.shop:80"
    accepted = mesh.json("get", "httproute", "routed", "-n", "shop")["status"]["parents"][0]
    assert accepted["parentRef"]["kind"] == "ExternalService" and accepted["conditions"][0]["status"] == "True"


def test_a_server_that_asks_for_a_certificate_gets_the_one_of_the_files(mesh):
    assert mesh.ask("http://mutual.example.com/").said["shown"] == ["first.shop"]
    refused = mesh.ask("http://unshown.example.com/")
    assert refused.status == 503 and "does it ask for a client certificate" in refused.text


def test_a_renewed_certificate_is_shown_by_new_connections_and_a_broken_one_by_none(mesh):
    mesh.issue("second.shop")
    until(lambda: mesh.ask("http://mutual.example.com/").said["shown"] == ["second.shop"], "the new certificate is shown")
    whole = mesh.shown[1].read_bytes()
    mesh.issue("third.shop")
    mesh.shown[1].write_bytes(whole)
    until(lambda: "the private key does not belong to the first certificate" in mesh.caller.log(), "the log tells of the pair")
    assert mesh.ask("http://mutual.example.com/").said["shown"] == ["second.shop"]
    mesh.issue("fourth.shop")
    until(lambda: mesh.ask("http://mutual.example.com/").said["shown"] == ["fourth.shop"], "the mended pair is shown")


def test_without_the_certificate_that_is_asked_for_nothing_is_sent(mesh):
    requests = list(mesh.servers["mutual"].requests)
    answer = mesh.ask("http://keyless.example.com/")
    assert answer.status == 502 and "the certificate to show to the server cannot be used" in answer.text
    assert mesh.servers["mutual"].requests == requests
    assert "client certificate: /nowhere.pem cannot be read; nothing is sent" in mesh.caller.log()
    assert mesh.caller.metrics().sum("response_total", dst_service="keyless", response_flag="UF") >= 1


def test_a_trafficpolicy_repeats_requests_to_a_server_outside(mesh):
    server = mesh.servers["other"]
    server.status = 503
    try:
        before = len(server.requests)
        assert mesh.ask("http://policed.example.com/again").status == 503
        assert server.requests[before:] == ["/again"] * 3
    finally:
        server.status = 200


# MARK: BackendTLSPolicy

def test_a_policy_makes_endpoints_outside_speak_tls(mesh):
    assert mesh.ask("http://policed.example.com/").said["sni"] == "api.example.com"
    status = mesh.conditions("backendtlspolicy", "policed")
    assert status["Accepted"][:2] == ("True", "Accepted") and status["ResolvedRefs"][:2] == ("True", "ResolvedRefs")


def test_one_of_the_alternative_names_is_enough_and_the_hostname_is_the_sni(mesh):
    assert mesh.ask("http://sans.shop/").said["sni"] == "pay.example.com"


def test_of_two_policies_for_a_service_the_older_counts(mesh):
    assert mesh.ask("http://rivals.shop/").status == 200
    assert mesh.conditions("backendtlspolicy", "rivals-old")["Accepted"][0] == "True"
    assert mesh.conditions("backendtlspolicy", "rivals-new")["Accepted"][:2] == ("False", "Conflicted")


def test_a_policy_for_a_port_goes_before_one_for_the_service(mesh):
    assert mesh.ask("http://sections.shop/").status == 200
    assert mesh.conditions("backendtlspolicy", "sections-all")["Accepted"][0] == "True"


def test_a_change_of_the_authority_is_followed(mesh):
    answer = mesh.ask("http://changing.shop/")
    assert answer.status == 503 and "not trusted" in answer.text
    try:
        text = (mesh.manifests / "mesh.yaml").read_text()
        mesh.write("mesh.yaml", text.replace(config_map("changing", mesh.authority), config_map("changing", mesh.stranger)))
        until(lambda: mesh.ask("http://changing.shop/").status == 200, "the new authority is trusted")
    finally:
        mesh.write("mesh.yaml", text)
    until(lambda: mesh.ask("http://changing.shop/").status == 503, "the old authority is back")


@pytest.mark.parametrize("name", ["lost", "refused"])
def test_a_policy_that_cannot_be_used_never_brings_plaintext(mesh, name):
    requests = list(mesh.servers["plain"].requests)
    assert mesh.ask(f"http://{name}.shop/").status == 502
    assert mesh.servers["plain"].requests == requests
    accepted = mesh.conditions("backendtlspolicy", name)["Accepted"]
    assert accepted[0] == "False" and accepted[1] == {"lost": "NoValidCACertificate", "refused": "Invalid"}[name]


def test_a_target_that_is_not_there_is_told(mesh):
    assert mesh.conditions("backendtlspolicy", "nowhere")["Accepted"][:2] == ("False", "TargetNotFound")


def test_endpoints_in_the_mesh_keep_the_mesh_s_own_tls(mesh):
    mesh.caller.address
    until(lambda: mesh.ask("http://meshed.shop/").status == 200, "the meshed service answers")
    assert mesh.caller.metrics().sum("response_total", dst_service="meshed", status_code="200", tls="true") > 0


# MARK: What is told

def test_endpoints_and_why_tell_the_tls(mesh):
    row, = mesh.json("endpoints", "api.shop:80")[0]["endpoints"]
    assert (row["address"], row["tls"]) == (f"{ADDRESSES['good']}:{PORT}", "api.example.com")
    assert "TLS api.example.com" in mesh.apus("endpoints", "api.shop:80").stdout
    why = mesh.apus("why", "--from", "client", "--to", "http://api.example.com/").stdout
    assert "api.shop:80" in why and "TLS api.example.com" in why
    mesh.ask("http://stranger.example.com/")
    why = mesh.apus("why", "--from", "client", "--to", "http://stranger.example.com/").stdout
    assert "TLS failed: unknown_authority" in why
