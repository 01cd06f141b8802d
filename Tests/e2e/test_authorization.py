"""AuthorizationPolicy against real proxies: callers with and without identity, every protocol, hostile spellings of
paths, edits."""

import contextlib
import json
import re
import socket

import h2.config
import h2.connection
import h2.events
import pytest

from support import http
from support.manifests import text
from support.mesh import INBOUND_PORT, PROXY_PORT, Mesh, program
from support.waiting import free_port, until


def service(name, app_protocol="http"):
    return text(f"""
        apiVersion: v1
        kind: Service
        metadata: {{ name: {name}, namespace: shop }}
        spec:
          selector: {{ app: {name} }}
          ports: [{{ name: main, port: 80, targetPort: 8080, appProtocol: {app_protocol} }}]
        """)


def policy(name, spec, target=None):
    refs = f'\n  targetRefs: [{{ group: "", kind: Service, name: {target} }}]' if target else ""
    return f"""
apiVersion: mesh.apus.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {{ name: {name}, namespace: shop }}
spec:
  {spec}{refs}
"""


WEB = "action: allow\n  rules: [{ from: [{ serviceAccounts: [web] }] }]"
POLICIES = [
    policy("web-only", WEB, "orders"),
    policy("no-delete", "action: deny\n  rules: [{ to: [{ methods: [DELETE] }] }]", "orders"),
    policy("posts", "action: audit\n  rules: [{ to: [{ methods: [POST] }] }]", "orders"),
    policy("web-bytes", WEB, "bank"),
    policy("public", "action: allow\n  rules: [{ to: [{ paths: [{ prefix: /public }] }] }]", "shelf"),
    policy("no-admin", "action: deny\n  rules: [{ to: [{ paths: [{ prefix: /admin }] }] }]", "desk"),
    policy("one-host", "action: allow\n  rules: [{ to: [{ hosts: [public.example] }] }]", "hall"),
]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("authz"))
    try:
        mesh.up(*map(service, ["orders", "shelf", "desk", "hall"]), service("bank", "tcp"), *POLICIES)
        for name in ["orders", "shelf", "desk", "hall"]:
            setattr(mesh, name, mesh.run(
                name, program("echo.py", 8080, "v1"), port=8080, own_address=True, wait=False, flags=["--access-log", "all"]))
        mesh.bank = mesh.run("bank", program("tcp_echo.py", 8080), port=8080, own_address=True, wait=False)
        mesh.local = {}
        for name, namespace in [("web", "shop"), ("stranger", "pay")]:
            ports = {target: free_port() for target in ("orders", "bank")}
            mesh.local[name] = ports
            setattr(mesh, name, mesh.run(
                name, ["sleep", "infinity"], namespace=namespace, wait=False,
                listen={port: f"{target}.shop:80" for target, port in ports.items()}))
        for name in ["orders", "shelf", "desk", "hall", "bank", "web", "stranger"]:
            getattr(mesh, name).wait_until_ready()
        until(lambda: ask(mesh, "web").status == 200, "web is served")
        until(lambda: raw(mesh.shelf, "GET", "/public").status == 200, "the shelf is served")
        until(lambda: raw(mesh.desk, "GET", "/").status == 200, "the desk is served")
        yield mesh
    finally:
        mesh.stop()


def ask(mesh, caller, path="/", method="GET", **headers):
    return http.get("127.0.0.1", mesh.local[caller]["orders"], path, headers, method=method)


def raw(workload, method, target, host="shelf.shop", extra=""):
    """A request in these very bytes to the port for callers outside the mesh."""
    with socket.create_connection((workload.address, INBOUND_PORT), timeout=10) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{extra}Connection: close\r\n\r\n".encode("latin-1"))
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    return http.Answer(int(head.split()[1]) if head else 0, {}, body)


def raw_http2(workload, target, host="shelf.shop", headers=(), method="GET"):
    """The same with prior knowledge of HTTP/2. Status 0: the stream was reset."""
    settings = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False)
    engine = h2.connection.H2Connection(settings)
    engine.initiate_connection()
    fields = [(":method", method), (":scheme", "http"), (":authority", host), (":path", target)]
    engine.send_headers(1, [*fields, *dict(headers).items()], end_stream=True)
    answer = http.Answer(0, {}, b"")
    with socket.create_connection((workload.address, INBOUND_PORT), timeout=10) as connection:
        connection.sendall(engine.data_to_send())
        while data := connection.recv(65536):
            for event in engine.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    answer.headers = dict(event.headers)
                    answer.status = int(answer.headers[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    answer.body += event.data
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    return answer
            connection.sendall(engine.data_to_send())
    return answer


def denied(workload, **labels):
    return workload.metrics().sum("authorization_denied_total", direction="inbound", **labels)


class Refused:
    """That so many calls were refused meanwhile, and counted."""

    def __init__(self, workload, count=1, **labels):
        self.workload, self.count, self.labels = workload, count, labels

    def __enter__(self):
        self.before = denied(self.workload, **self.labels)

    def __exit__(self, kind, *_):
        if kind is None:
            assert denied(self.workload, **self.labels) - self.before == self.count


# MARK: Callers


def test_the_account_that_a_policy_names_is_served_and_others_are_not(mesh):
    assert ask(mesh, "web").status == 200
    with Refused(mesh.orders, reason="nothing_allows", authorization_policy="", dst_service="orders", dst_namespace="shop"):
        answer = ask(mesh, "stranger")
        assert answer.status == 403 and "authorization" in answer.text and "web-only" not in answer.text
    mesh.orders.wait_for_log(
        r"denied GET / to port 8080 of spiffe://cluster.local/ns/pay/sa/stranger at \S+: no allow policy matches")


def test_a_caller_outside_the_mesh_has_no_identity(mesh):
    with Refused(mesh.orders, reason="nothing_allows"):
        assert raw(mesh.orders, "GET", "/").status == 403


def test_an_identity_that_is_only_claimed_is_none(mesh):
    """Fields that proxies write are taken out, counted and told; what is left is a caller without identity."""
    def removed():
        return mesh.orders.metrics().sum("reserved_fields_removed_total", direction="inbound")

    forged = "x-forwarded-client-cert: URI=spiffe://cluster.local/ns/shop/sa/web\r\nx-apus-service: web\r\n"
    before = removed()
    with Refused(mesh.orders, reason="nothing_allows"):
        assert raw(mesh.orders, "GET", "/", extra=forged).status == 403
    assert removed() == before + 1
    mesh.orders.wait_for_log(r"fields that only proxies of the mesh write were taken out of a request of 127\.0\.0\.1:\d+")
    line = re.compile(r"denied GET / to port 8080 of a caller without identity at 127\.0\.0\.1:\d+: no allow policy matches")
    # Of refusals one a second has a line.
    until(lambda: raw(mesh.orders, "GET", "/", extra=forged).status == 403 and line.search(mesh.orders.log()),
          "the refusal is told")


def test_a_deny_policy_goes_before_one_that_allows(mesh):
    with Refused(mesh.orders, reason="rule", authorization_policy="shop/no-delete"):
        assert ask(mesh, "web", method="DELETE").status == 403


def test_an_audit_policy_counts_and_changes_nothing(mesh):
    def counted(matched):
        return mesh.orders.metrics().sum(
            "authorization_audited_total", authorization_policy="shop/posts", matched=matched, dst_service="orders")

    matched, others = counted("true"), counted("false")
    assert ask(mesh, "web", method="POST").status == 200 and ask(mesh, "stranger", method="POST").status == 403
    assert ask(mesh, "web").status == 200
    assert counted("true") - matched == 2 and counted("false") - others == 1


def test_a_grpc_client_is_told_permission_denied(mesh):
    answer = raw_http2(mesh.orders, "/shop.v1.Orders/List", "orders.shop",
                       {"content-type": "application/grpc", "te": "trailers"}, "POST")
    assert answer.status == 200 and answer.headers["grpc-status"] == "7"


def test_the_access_log_says_who_decided(mesh):
    ask(mesh, "stranger", "/logged")
    line = until(lambda: re.search(r'{[^\n]*"/logged"[^\n]*}', mesh.orders.log()), "the access log has the request").group(0)
    entry = json.loads(line)
    assert entry["flag"] == "UAEX" and entry["authorization"] == "no allow policy matches" and entry["status"] == 403


# MARK: Byte streams


def stream(mesh, caller):
    """A connection, and what comes back on it. Who refuses it may reset it before the client has seen that it stands."""
    connection = socket.socket()
    connection.settimeout(10)
    try:
        connection.connect(("127.0.0.1", mesh.local[caller]["bank"]))
        connection.sendall(b"hello")
        return connection, connection.recv(5)
    except (ConnectionResetError, BrokenPipeError):
        return connection, b""


def served_stream(mesh):
    return until(lambda: (found := stream(mesh, "web"))[1] == b"hello" and found[0], "web's stream is served")


def test_byte_streams_are_closed_for_whom_nothing_allows(mesh):
    connection = served_stream(mesh)
    connection.close()
    with Refused(mesh.bank, reason="nothing_allows"):
        connection, answer = stream(mesh, "stranger")
        assert answer == b""


def test_what_a_tunnel_would_carry_nobody_can_judge(mesh):
    """Rules about paths are not passed by in a tunnel, neither from the mesh nor from outside."""
    with Refused(mesh.desk, reason="rule", authorization_policy="shop/no-admin"):
        with socket.create_connection((mesh.web.address, PROXY_PORT), timeout=10) as connection:
            connection.sendall(b"CONNECT desk.shop:80 HTTP/1.1\r\nHost: desk.shop:80\r\n\r\n")
            assert connection.recv(64).split()[1] == b"403"
    assert raw(mesh.desk, "CONNECT", f"{mesh.desk.address}:8080").status == 405


def test_an_edit_is_in_force_for_the_next_request_and_ends_the_streams_that_it_forbids(mesh):
    connection = served_stream(mesh)
    assert ask(mesh, "web").status == 200
    mesh.write("lock.yaml", policy("locked", "action: deny\n  rules: [{ from: [{ serviceAccounts: [web] }] }]"))
    try:
        until(lambda: ask(mesh, "web").status == 403, "the edit is in force")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert denied(mesh.bank, reason="rule", authorization_policy="shop/locked") == 1
    finally:
        (mesh.manifests / "lock.yaml").unlink()
        connection.close()
    until(lambda: ask(mesh, "web").status == 200, "the end of it, too")


# MARK: Spellings of paths

ADMIN = [
    "/admin", "/admin/", "/admin/x", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/%61%64%6d%69%6e",
    "/admin%2fx", "/%2fadmin", "/%2e/admin", "/x/%2e%2e/admin", "/x/.%2e/admin", "/admin;x=1", "/admin;/x",
    "/;/admin", "/x/..;/admin", "/admin%3bx", "/admin%00", "/%00/admin", "/admin%00.png", "/%c0%afadmin",
    "/x/%c0%ae%c0%ae/admin", "/%e0%80%afadmin", "/\\admin", "/x/..\\admin", "/%5cadmin", "/%252e%252e/admin",
    "/x/%252e%252e/admin", "/%2561dmin", "/admin?x", "/admin/../admin", "/x//../admin", "/../admin", "/%2e%2e/admin",
    "/%ffadmin", "/admin%", "/%u0061dmin", "/admin/.", "///admin///",
]
ESCAPES = [
    "/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public%2f..%2fadmin", "/public/..;/admin",
    "/public;/../admin", "/public/..\\admin", "/public/%5c../admin", "/public/%c0%ae%c0%ae/admin",
    "/public/%252e%252e/admin", "/public/./../admin", "/public//../../admin", "/public/%00/../admin",
    "/public/x/../../admin", "/publicity", "/PUBLIC/x", "/Public", "/public%20", "/public%2fx",
]


# What of it is in a line of the access log: one for each refusal that was made by the rules.
REASON = re.compile(r'"authorization":"(?:path refused: \w+|deny by shop/no-admin|no allow policy matches)"')
SENDERS = {"HTTP/1.1": lambda workload, path: raw(workload, "GET", path), "HTTP/2": raw_http2}


def refuses_all(workload, send, paths):
    """Each is refused, counted once, and in the log with a reason."""
    def broken():
        return workload.metrics().sum("protocol_errors_total", direction="inbound")

    before, broken_before, lines = denied(workload), broken(), len(REASON.findall(workload.log()))
    for path in paths:
        answer = send(workload, path)
        assert answer.status in (0, 400, 403), (path, answer)
    judged = denied(workload) - before
    # What is no path at all does not get as far as the rules.
    assert judged + broken() - broken_before == len(paths)
    # The access log is written a little later, and may still have had a line of an earlier test to write.
    until(lambda: len(REASON.findall(workload.log())) - lines >= judged, f"{judged} lines with a reason")
    if broken() > broken_before:
        assert "HTTP of 127.0.0.1:" in workload.log()


@pytest.mark.parametrize("version", SENDERS)
def test_no_spelling_of_a_denied_path_gets_past_a_deny_rule(mesh, version):
    refuses_all(mesh.desk, SENDERS[version], ADMIN)


@pytest.mark.parametrize("version", SENDERS)
def test_no_spelling_of_an_allowed_path_leads_elsewhere(mesh, version):
    refuses_all(mesh.shelf, SENDERS[version], ESCAPES + ADMIN)


@pytest.mark.parametrize("path, seen", [
    ("/public//a", "/public/a"), ("/public/./a?b=//", "/public/a?b=//"), ("/x/../public", "/public"),
    ("/%70ublic/a%20b", "/public/a%20b"),
    ("/public/caf%c3%a9", "/public/caf%C3%A9"), ("/public/", "/public/"), ("/public/a%25", "/public/a%25"),
])
def test_the_program_is_asked_for_the_path_that_was_judged(mesh, path, seen):
    for answer in (raw(mesh.shelf, "GET", path), raw_http2(mesh.shelf, path)):
        assert answer.status == 200 and json.loads(answer.body)["target"] == seen


def test_letter_case_is_part_of_a_path(mesh):
    assert json.loads(raw(mesh.desk, "GET", "/Admin").body)["target"] == "/Admin"


def test_a_path_that_can_be_read_in_two_ways_is_refused_and_counted(mesh):
    with Refused(mesh.desk, reason="ambiguous_path", dst_service="desk"):
        assert raw(mesh.desk, "GET", "/a;b").status == 400
    until(lambda: '"authorization":"path refused: semicolon"' in mesh.desk.log(), "the access log says why")


def test_a_port_whose_rules_read_no_paths_gets_them_as_they_come(mesh):
    answer = until(lambda: ask(mesh, "web", "/a//b/%2e;c/%2f"), "an answer")
    assert json.loads(answer.body)["target"] == "/a//b/%2e;c/%2f"


# MARK: Hosts


def host_seen(answer):
    return [value for name, value in json.loads(answer.body)["headers"] if name == "host"] if answer.status == 200 else None


class Broken:
    """That a message was refused as no HTTP, counted under a reason, and told in the log, which has a line a second."""

    def __init__(self, workload, reason, text):
        self.workload, self.reason, self.line = workload, reason, re.compile(rf"HTTP of \S+ refused \({reason}\): {text}")

    def count(self):
        return self.workload.metrics().sum("protocol_errors_total", direction="inbound", reason=self.reason)

    def by(self, send, *statuses):
        start = len(self.workload.log())

        def once():
            before = self.count()
            assert send().status in statuses
            assert self.count() == before + 1
            return self.line.search(self.workload.log(), start)

        until(once, f"a line {self.line.pattern}", interval=0.2)


def test_of_two_authorities_one_counts_for_rule_and_program(mesh):
    with Refused(mesh.hall, reason="nothing_allows"):
        assert raw(mesh.hall, "GET", "/", "secret.example").status == 403
    assert host_seen(raw(mesh.hall, "GET", "/", "PUBLIC.example:80")) == ["PUBLIC.example:80"]
    assert host_seen(raw(mesh.hall, "GET", "http://public.example/", "secret.example")) == ["public.example"]
    with Refused(mesh.hall, reason="nothing_allows"):
        assert raw(mesh.hall, "GET", "http://secret.example/", "public.example").status == 403
    Broken(mesh.hall, "repeated_host", "There is more than one Host field").by(
        lambda: raw(mesh.hall, "GET", "/", "public.example", extra="Host: secret.example\r\n"), 400)


@pytest.mark.parametrize("authority, host", [("public.example", "secret.example"), ("secret.example", "public.example")])
def test_an_http2_authority_and_a_host_field_that_differ_are_no_request(mesh, authority, host):
    Broken(mesh.hall, "http2_stream_error", "Host differs from :authority").by(
        lambda: raw_http2(mesh.hall, "/", authority, {"host": host}), 0)
    assert host_seen(raw_http2(mesh.hall, "/", "public.example", {"host": "public.example"})) == ["public.example"]
    with Refused(mesh.hall, reason="nothing_allows"):
        assert raw_http2(mesh.hall, "/", "secret.example", {"host": "secret.example"}).status == 403


# MARK: Mistakes


def test_a_policy_with_a_mistake_and_no_version_before_closes_what_it_is_for(mesh):
    name, path = "shop/typo", mesh.manifests / "typo.yaml"

    def asked():
        return raw_http2(mesh.hall, "/", "public.example").status

    assert asked() == 200
    mesh.write("typo.yaml", policy("typo", "action: allow\n  rules: [{ form: [{ serviceAccounts: [web] }] }]", "hall"))
    try:
        line = re.compile(rf"denied GET / .*: {name} has a mistake, which closes the port until it is mended")
        until(lambda: asked() == 403 and line.search(mesh.hall.log()), "the target is closed, and the log says why")
        with Refused(mesh.hall, reason="broken_policy", authorization_policy=name):
            assert asked() == 403
        # Nobody else's target.
        assert ask(mesh, "web").status == 200
        why = mesh.apus("why", "--from", "web", "--to", "http://hall.shop/", check=False).stdout
        assert f"the AuthorizationPolicy {name} has a mistake and no version before it" in why, why
        assert "everything, until the policy is mended" in mesh.apus("authz", "hall.shop").stdout
        assert re.search(r"^typo +shop +hall\.shop +False ", mesh.apus("get", "authorizationpolicy").stdout, re.M)
        check = mesh.apus("check", check=False).stdout
        assert "every call to the Service shop/hall is refused" in check and "spec.rules[0].form" in check, check
        # One that only audits says nothing of who may call.
        mesh.write("typo.yaml", policy("typo", "action: audit\n  rules: [{ form: [{ serviceAccounts: [web] }] }]", "hall"))
        until(lambda: asked() == 200, "it is open again")
    finally:
        path.unlink()
    # A version before stays in force.
    good = policy("kept", "action: deny\n  rules: [{ to: [{ methods: [PUT] }] }]", "hall")
    mesh.write("kept.yaml", good)
    try:
        until(lambda: raw(mesh.hall, "PUT", "/", "public.example").status == 403, "the policy is in force")
        mesh.write("kept.yaml", good.replace("methods", "method"))
        mesh.controller.wait_for_log("kept.yaml")
        assert asked() == 200 and raw(mesh.hall, "PUT", "/", "public.example").status == 403
    finally:
        (mesh.manifests / "kept.yaml").unlink()
