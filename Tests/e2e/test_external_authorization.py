"""Custom policies against a real authorizer in grpcio, which is also stopped; callers with identities of the mesh."""

import json
import re

import pytest

from support import http
from support.manifests import service, text
from support.mesh import Mesh, program
from support.waiting import free_port, until

AUTHORIZER = """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: ExternalAuthorizer
    metadata: {{ name: {name}, namespace: shop }}
    spec:
      service: {{ name: opa, port: 80 }}
      grpc: {{ contextExtensions: {{ tier: gold }} }}
      {more}
    """
POLICY = """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: AuthorizationPolicy
    metadata: {{ name: ask-{name}, namespace: shop }}
    spec:
      targetRefs: [{{ group: "", kind: Service, name: {name} }}]
      action: custom
      provider: {name}
      rules: [{{ to: [{{ paths: [{{ prefix: / }}] }}] }}]
    """
CLOSED, OPEN = "closed", "open"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("external-authorization"))
    try:
        mesh.up(service(CLOSED), service(OPEN), service("opa", app_protocol="grpc"),
                text(AUTHORIZER.format(name=CLOSED, more="timeout: 2s")),
                text(AUTHORIZER.format(name=OPEN, more="timeout: 2s\n      onFailure: allow")),
                *(text(POLICY.format(name=name)) for name in (CLOSED, OPEN)))
        mesh.opa = mesh.run("opa", program("authorizer.py", 8080), port=8080, own_address=True, wait=False)
        for name in (CLOSED, OPEN):
            setattr(mesh, name, mesh.run(name, program("echo.py", 8080, "v1"), port=8080, own_address=True, wait=False,
                                         flags=["--access-log", "all"]))
        mesh.local = {name: free_port() for name in (CLOSED, OPEN)}
        mesh.web = mesh.run("web", ["sleep", "infinity"], wait=False,
                            listen={port: f"{name}.shop:80" for name, port in mesh.local.items()})
        for name in ("opa", CLOSED, OPEN, "web"):
            getattr(mesh, name).wait_until_ready()
        for name in (CLOSED, OPEN):
            until(lambda name=name: ask(mesh, name).headers.get("x-checked") == "yes", f"{name} is served")
        yield mesh
    finally:
        mesh.stop()


def ask(mesh, name, path="/", **headers):
    return http.get("127.0.0.1", mesh.local[name], path, {key.replace("_", "-"): value for key, value in headers.items()},
                    timeout=20)


def questions(mesh):
    return [json.loads(line) for line in mesh.opa.log().splitlines() if line.startswith("{")]


def counted(workload, result):
    return workload.metrics().sum("external_authorization_total", result=result)


def test_what_the_provider_allows_goes_on_as_it_changes_it(mesh):
    answer = ask(mesh, CLOSED, "/orders?token=t&a=1", x_user="forged", x_secret="s", x_id="one")
    assert answer.status == 200 and answer.headers["x-checked"] == "yes"
    said = json.loads(answer.body)
    headers = dict(said["headers"])
    assert headers["x-user"] == "ada" and "x-secret" not in headers
    assert said["target"] == "/orders?a=1"
    question = next(q for q in questions(mesh) if q["headers"].get("x-id") == "one")
    assert question["source"] == "spiffe://cluster.local/ns/shop/sa/web"
    assert question["destination"] == "spiffe://cluster.local/ns/shop/sa/closed" and question["service"] == "closed.shop"
    assert question["method"] == "GET" and question["path"] == "/orders?token=t&a=1"
    assert question["context"] == {"tier": "gold"} and question["headers"]["x-secret"] == "s"
    # No field that proxies tell each other is anybody else's business.
    assert not [name for name in question["headers"] if name.startswith("x-apus-")]


def test_what_the_provider_denies_is_answered_as_it_says_counted_and_logged(mesh):
    before = counted(mesh.closed, "denied")
    answer = ask(mesh, CLOSED, x_verdict="deny")
    assert answer.status == 418 and answer.body == b"not you" and answer.headers["x-reason"] == "teapot"
    assert counted(mesh.closed, "denied") == before + 1
    until(lambda: "said no" in mesh.closed.log(), "the refusal is logged")
    assert mesh.closed.metrics().sum("authorization_denied_total", reason="provider",
                                     authorization_policy="shop/ask-closed") >= 1


@pytest.mark.parametrize("verdict", ["error", "garbage"])
def test_an_answer_that_is_none_goes_by_the_failure_mode(mesh, verdict):
    assert ask(mesh, CLOSED, x_verdict=verdict).status == 403
    assert ask(mesh, OPEN, x_verdict=verdict).status == 200


def test_a_field_that_is_no_text_opens_no_way_in(mesh):
    """A gRPC server refuses messages with such text, which must not make a failure of them."""
    answer = ask(mesh, OPEN, x_strange="\xff\xfe", x_verdict="deny")
    assert answer.status == 418


def test_who_may_call_is_told_by_the_tool(mesh):
    assert "custom by opa.shop:80" in mesh.apus("authz", "closed.shop").stdout
    [port] = mesh.json("authz", "closed.shop")
    assert port["rows"][0]["policy"] == "shop/ask-closed" and port["otherwise"] == "allow"


def test_a_provider_that_is_down_goes_by_the_failure_mode(mesh):
    """The last of this mesh's tests: nobody starts it again."""
    mesh.opa.kill_group()
    mesh.opa.wait()
    errors, allowed = counted(mesh.closed, "error"), counted(mesh.open, "error_allowed")
    denied = mesh.closed.metrics().sum("authorization_denied_total", reason="provider_failed",
                                        authorization_policy="shop/ask-closed")
    assert ask(mesh, CLOSED, "/down").status == 403 and ask(mesh, OPEN, "/down").status == 200
    assert counted(mesh.closed, "error") == errors + 1 and counted(mesh.open, "error_allowed") == allowed + 1
    after = mesh.closed.metrics().sum("authorization_denied_total", reason="provider_failed",
                                        authorization_policy="shop/ask-closed")
    assert after == denied + 1
    silent = "no answer of opa.shop:80"
    for workload, reason in ((mesh.closed, silent), (mesh.open, f"{silent}, and it fails open")):
        line = re.compile(rf'"/down"[^\n]*"authorization":"custom by shop/ask-\w+: {reason}"')
        until(lambda: line.search(workload.log()), f"the access log has {line.pattern}")
    # Lines of the proxy's own log come once a second: for whoever keeps no access log.
    assert "no answer of opa.shop:80" in re.search(r"warning: let in GET .*", mesh.open.log()).group(0)
