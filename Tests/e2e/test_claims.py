"""What a verified token says, as a condition of who may call: RequestAuthentication and AuthorizationPolicy together."""

import json

import pytest

from support import http, manifests
from support.mesh import Mesh, program
from support.tokens import AUDIENCE, ISSUER, Key, key_set
from support.waiting import until

KEY = Key("ed", "d1")

AUTHENTICATION = manifests.text(f"""
    apiVersion: mesh.apus.dev/v1alpha1
    kind: RequestAuthentication
    metadata: {{ name: users, namespace: shop }}
    spec:
      targetRefs: [{{ group: "", kind: Service, name: orders }}]
      jwtRules: {json.dumps([{"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": key_set(KEY.jwk())}])}
    """)

RULES = {
    "readers": 'action: allow\n  rules: [{ to: [{ methods: [GET] }], when: [{ claim: groups, values: [readers] }] }]',
    "admins": 'action: allow\n  rules: [{ when: [{ claim: realm.role, values: [admin] }] }]',
    "blocked": 'action: deny\n  rules: [{ when: [{ claim: tenant, values: ["evil-*"] }] }]',
}


def policy(name, spec):
    return f"""
apiVersion: mesh.apus.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {{ name: {name}, namespace: shop }}
spec:
  {spec}
  targetRefs: [{{ group: "", kind: Service, name: orders }}]
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("claims"))
    try:
        mesh.up(manifests.service("orders"), AUTHENTICATION, *(policy(*rule) for rule in RULES.items()))
        mesh.run("orders", program("echo.py", 8080, "orders"), port=8080, own_address=True)
        _, port = mesh.client("orders.shop:80")

        def ask(token=None, method="GET"):
            fields = {"authorization": f"Bearer {token}"} if token else {}
            return http.get("127.0.0.1", port, "/", fields, method=method)

        until(lambda: ask().status == 403, "the policies are in force")
        yield ask
    finally:
        mesh.stop()


def test_nobody_s_request_has_no_claims(ask):
    answer = ask()
    assert answer.status == 403, answer.text


def test_a_claim_that_is_a_list_allows_what_its_rule_names(ask):
    token = KEY.token(groups=["writers", "readers"])
    assert ask(token).status == 200
    assert ask(token, "DELETE").status == 403


def test_a_claim_inside_another_allows(ask):
    assert ask(KEY.token(realm={"role": "admin"}), "DELETE").status == 200
    assert ask(KEY.token(realm={"role": "administrator"}), "DELETE").status == 403
    assert ask(KEY.token(**{"realm.role": "guest"}), "DELETE").status == 403


def test_a_claim_denies_whatever_else_allows(ask):
    assert ask(KEY.token(groups=["readers"], tenant="evil-1")).status == 403
    assert ask(KEY.token(groups=["readers"], tenant="good")).status == 200


def test_claims_of_a_token_that_is_not_good_count_for_nothing(ask):
    forged = Key("ed", "d1").token(groups=["readers"])
    answer = ask(forged)
    assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Bearer"), answer.headers


def test_claims_of_one_request_are_not_the_next_one_s(ask):
    """On one connection: the exchange is used again."""
    assert ask(KEY.token(groups=["readers"])).status == 200
    for _ in range(20):
        assert ask().status == 403
