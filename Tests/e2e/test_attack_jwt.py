"""RequestAuthentication against forged, stolen and broken tokens: each is refused, logged and counted, and the
program hears of none."""

import json
import re
import time

import pytest

from support import http, manifests, tokens
from support.certificates import Authority
from support.mesh import Mesh, program
from support.tokens import AUDIENCE, ISSUER, Key, KeyServer, key_set, segment
from support.waiting import until

PORT = 8080
SERVER, SECURE = "127.77.9.1", "127.77.9.2"
KEYS = {kind: Key(kind, kid) for kind, kid in (("rsa", "r1"), ("ec", "e1"), ("ed", "d1"))}
STRANGER = Key("rsa", "r1")
WEAK = Key("rsa", "weak", bits=1024)


def authentication(name, rules, service=None, required=False):
    return manifests.text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: RequestAuthentication
        metadata: {{ name: {name}, namespace: shop }}
        spec:
          targetRefs: [{{ group: "", kind: Service, name: {service or name} }}]
          required: {str(required).lower()}
          jwtRules: {json.dumps(rules)}
        """)


def rule(source, **more):
    return {"issuer": ISSUER, "audiences": [AUDIENCE], **source, **more}


class TokenMesh(Mesh):
    def ask(self, service, token=None, path="/", headers=None, method="GET"):
        field = {"authorization": f"Bearer {token}"} if token is not None else {}
        return http.get("127.0.0.1", self.ports[service], path, {**field, **(headers or {})}, method=method)

    def seen(self, service, token=None, **options):
        """The fields that the program got."""
        answer = self.ask(service, token, **options)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def refused(self, reason, service="orders"):
        return self.workloads[service].metrics().sum("request_authentication_total", dst_service=service, result=reason)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    mesh = TokenMesh(tmp_path_factory.mktemp("jwt"))
    authority = Authority.foreign()
    directory = tmp_path_factory.mktemp("keys")
    secure = KeyServer(SECURE, key_set(KEYS["ec"].jwk()), files=authority.issue(directory, "keys", None, hosts=["localhost"]))
    mesh.server = KeyServer(SERVER, key_set(KEYS["ec"].jwk()))
    mesh.file = directory / "jwks.json"
    mesh.file.write_text(key_set(KEYS["ed"].jwk()))
    inline = key_set(
        *(key.jwk() for key in KEYS.values()), WEAK.jwk(), {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
        Key("rsa", "pinned").jwk(alg="PS256"))
    places = {
        "fromHeaders": [{"name": "authorization"}, {"name": "x-token"}], "fromParams": ["access_token"],
        "fromCookies": ["session"], "outputClaimToHeaders": [
            {"header": "x-user", "claim": "sub"}, {"header": "x-roles", "claim": "realm.roles"}],
        "outputPayloadToHeader": "x-claims"}
    try:
        mesh.up(
            *(manifests.service(name) for name in ("orders", "open", "places", "web", "files", "away", "strange", "broken")),
            authentication("orders", [rule({"jwks": inline})], required=True),
            authentication("open", [rule({"jwks": inline}, outputClaimToHeaders=places["outputClaimToHeaders"],
                                         outputPayloadToHeader="x-claims")]),
            authentication("places", [rule({"jwks": inline}, **places)], required=True),
            authentication("web", [rule({"jwksUri": mesh.server.url})], required=True),
            authentication("files", [rule({"jwksFile": str(mesh.file)})], required=True),
            authentication("away", [rule({"jwksUri": "http://127.77.9.3:8088/keys"})], required=True),
            authentication("strange", [rule({"jwksUri": secure.url})], required=True),
            authentication("broken", [{"issuer": ISSUER}], required=False))
        names = ["orders", "open", "places", "web", "files", "away", "strange", "broken"]
        mesh.workloads = {name: mesh.run(name, program("echo.py", PORT, name), port=PORT, own_address=True, wait=False,
                                         flags=["--access-log", "all"])
                          for name in names}
        for workload in mesh.workloads.values():
            workload.wait_until_ready()
        mesh.caller, *ports = mesh.client(*(f"{name}.shop:80" for name in names))
        mesh.ports = dict(zip(names, ports))
        for name in names:
            until(lambda: mesh.ask(name).status in (200, 401), f"{name} answers")
        yield mesh
    finally:
        mesh.stop()
        mesh.server.stop()
        secure.stop()


GOOD = [("rsa", "RS256"), ("rsa", "PS256"), ("ec", "ES256"), ("ed", "EdDSA")]


@pytest.mark.parametrize("kind, algorithm", GOOD)
def test_a_good_token_passes_and_is_taken_out_of_the_request(mesh, kind, algorithm):
    token = KEYS[kind].token(algorithm=algorithm)
    before = mesh.refused("cached")
    for _ in range(3):
        assert "authorization" not in dict(mesh.seen("orders", token)["headers"])
    # With several workers each sees the token a first time.
    assert mesh.refused("valid") >= 1 and mesh.refused("cached") + mesh.refused("valid") >= before + 3


def no_signature(header):
    text = f"{segment(header)}.{segment(claims())}"
    return f"{text}."


def claims(**changes):
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "mallory", "exp": int(time.time()) + 600, **changes}


def flipped(token):
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def other_payload(token):
    head, _, signature = token.split(".")
    return f"{head}.{segment(claims(sub='root'))}.{signature}"


RSA, EC = KEYS["rsa"], KEYS["ec"]
ATTACKS = {
    "alg none": ("algorithm", lambda: no_signature({"alg": "none", "typ": "JWT"})),
    "alg None": ("algorithm", lambda: no_signature({"alg": "None"})),
    "alg nOnE with a kid": ("algorithm", lambda: no_signature({"alg": "nOnE", "kid": "r1"})),
    "no alg": ("malformed", lambda: no_signature({"typ": "JWT"})),
    "HMAC with the public key as its secret": ("algorithm", lambda: tokens.hmac_token(RSA.public_pem, claims(), "r1")),
    "HMAC with the set's shared secret": ("algorithm", lambda: tokens.hmac_token(b"secret", claims(), "shared")),
    "an RSA key's id on ECDSA": ("unknown_key", lambda: EC.token(header={"alg": "ES256", "kid": "r1"})),
    "RS256 with a key that is for PS256": ("unknown_key", lambda: STRANGER.token(header={"alg": "RS256", "kid": "pinned"})),
    "a weak RSA key of the set": ("unknown_key", lambda: WEAK.token()),
    "a stranger's key under a known id": ("signature", lambda: STRANGER.token()),
    "a key of its own in the header": ("signature", lambda: STRANGER.token(
        header={"alg": "RS256", "kid": "r1", "jwk": STRANGER.jwk()})),
    "a URL of its own keys in the header": ("signature", lambda: STRANGER.token(
        header={"alg": "RS256", "kid": "r1", "jku": "http://127.77.9.1:8088/keys"})),
    "kid: a path": ("unknown_key", lambda: RSA.token(header={"alg": "RS256", "kid": "../../../../dev/null"})),
    "kid: SQL": ("unknown_key", lambda: RSA.token(header={"alg": "RS256", "kid": "x' UNION SELECT 'secret"})),
    "kid: a number": ("malformed", lambda: RSA.token(header={"alg": "RS256", "kid": 1})),
    "kid: empty": ("malformed", lambda: RSA.token(header={"alg": "RS256", "kid": ""})),
    "a bit of the signature": ("signature", lambda: flipped(RSA.token())),
    "no signature": ("signature", lambda: RSA.token().rsplit(".", 1)[0] + "."),
    "a signature of zeros (CVE-2022-21449)": ("signature", lambda: EC.token().rsplit(".", 1)[0] + "." + tokens.b64(bytes(64))),
    "a DER signature": ("signature", lambda: EC.token().rsplit(".", 1)[0] + "." + tokens.b64(bytes([48, 6, 2, 1, 1, 2, 1, 1]))),
    "another payload": ("signature", lambda: other_payload(RSA.token())),
    "expired": ("expired", lambda: RSA.token(exp=int(time.time()) - 61)),
    "not yet valid": ("not_yet_valid", lambda: RSA.token(nbf=int(time.time()) + 120)),
    "issued in the future": ("not_yet_valid", lambda: RSA.token(iat=int(time.time()) + 120)),
    "no end": ("claims", lambda: RSA.token(exp=None)),
    "an end that is text": ("claims", lambda: RSA.token(exp="4102444800")),
    "an end beyond all numbers": ("claims", lambda: RSA.token(claims=json.dumps(claims()).replace(
        str(claims()["exp"]), "1e999").encode())),
    "another audience": ("audience", lambda: RSA.token(aud="payments")),
    "other audiences": ("audience", lambda: RSA.token(aud=["payments", "orders2"])),
    "no audience": ("audience", lambda: RSA.token(aud=None)),
    "another issuer": ("issuer", lambda: RSA.token(iss="https://issuer.example/")),
    "no issuer": ("claims", lambda: RSA.token(iss=None)),
    "a member twice": ("malformed", lambda: RSA.token(claims=json.dumps(claims()).encode()[:-1] + b',"sub":"root"}')),
    "crit": ("header", lambda: RSA.token(header={"alg": "RS256", "kid": "r1", "crit": ["exp"]})),
    "b64 false": ("header", lambda: RSA.token(header={"alg": "RS256", "kid": "r1", "b64": False})),
    "a token that is for something else": ("header", lambda: RSA.token(
        header={"alg": "RS256", "kid": "r1", "typ": "logout+jwt"})),
    "padding": ("malformed", lambda: RSA.token() + "="),
    "four parts": ("malformed", lambda: RSA.token() + ".e30"),
    "two parts": ("malformed", lambda: RSA.token().rsplit(".", 1)[0]),
    "nothing": ("malformed", lambda: ""),
    "no JSON": ("malformed", lambda: f"{tokens.b64(b'hello')}.e30.AAAA"),
    "a list as payload": ("malformed", lambda: RSA.token(claims=[])),
    "deep nesting": ("malformed", lambda: RSA.token(claims=b'{"a":' * 64 + b"1" + b"}" * 64)),
    "oversized": ("too_large", lambda: RSA.token(claims=claims(padding="x" * 16_000))),
    "too many claims": ("claims", lambda: RSA.token(claims=claims(**{f"c{n}": n for n in range(300)}))),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_and_counted(mesh, attack):
    reason, make = ATTACKS[attack]
    before = mesh.refused(reason)
    answer = mesh.ask("orders", make())
    assert answer.status == 401, answer.text
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="orders.shop", error="invalid_token", error_description="'), challenge
    assert "version" not in answer.text
    assert mesh.refused(reason) == before + 1


def test_every_attack_is_logged_with_its_reason(mesh):
    lines = []
    for number, (reason, make) in enumerate(ATTACKS.values()):
        assert mesh.ask("orders", make(), path=f"/attack-{number}").status == 401
        lines.append(re.compile(rf'"path":"/attack-{number}"[^\n]*"status":401[^\n]*"token":"{reason}"'))
    log = mesh.workloads["orders"].log
    until(lambda: all(line.search(log()) for line in lines), "the access log has all of them")
    # The proxy's own log has one a second, for whoever keeps no access log.
    assert "token refused (" in log()


def test_without_a_token_the_challenge_says_only_to_send_one(mesh):
    answer = mesh.ask("orders")
    assert answer.status == 401 and answer.headers["www-authenticate"] == 'Bearer realm="orders.shop"'
    assert mesh.refused("absent") >= 1
    # Other credentials are no token.
    assert mesh.ask("orders", headers={"authorization": "Basic YTpi"}).status == 401


def test_a_grpc_client_gets_unauthenticated(mesh):
    answer = mesh.ask("orders", headers={"content-type": "application/grpc", "te": "trailers"}, method="POST")
    assert answer.status == 200 and answer.headers["grpc-status"] == "16"
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_the_scheme_has_any_letter_case(mesh):
    token = RSA.token()
    for scheme in ("bearer", "BEARER", "Bearer  "):
        assert mesh.ask("orders", headers={"authorization": f"{scheme} {token}"}).status == 200, scheme
        assert mesh.ask("open", headers={"authorization": f"{scheme} {flipped(token)}"}).status == 401, scheme


def test_where_none_is_required_no_token_passes_and_a_bad_one_does_not(mesh):
    headers = dict(mesh.seen("open", headers={"x-user": "root", "X_User": "root", "x-roles": "admin"})["headers"])
    assert not {"x-user", "x_user", "x-roles"} & headers.keys()
    assert mesh.refused("none", "open") >= 1
    assert mesh.ask("open", flipped(RSA.token())).status == 401
    assert mesh.ask("open", "opaque").status == 401


def test_claims_reach_the_program_in_place_of_what_a_client_says(mesh):
    token = RSA.token(realm={"roles": ["reader", "writer"]})
    headers = mesh.seen("open", token, headers={"X-User": "root", "x_roles": "admin"})["headers"]
    assert [value for name, value in headers if name in ("x-user", "x_user")] == ["ada"]
    assert [value for name, value in headers if name in ("x-roles", "x_roles")] == ["reader,writer"]


def test_the_payload_reaches_the_program_as_it_stands_in_the_token(mesh):
    """As Envoy and Istio have it: base64url without padding. The second time it comes from the cache."""
    token = RSA.token()
    for _ in range(2):
        headers = mesh.seen("open", token, headers={"X-Claims": "e30", "x_claims": "e30"})["headers"]
        assert [value for name, value in headers if name in ("x-claims", "x_claims")] == [token.split(".")[1]]
    forged = {"X-Claims": "e30", "x_claims": "e30"}
    assert not {"x-claims", "x_claims"} & dict(mesh.seen("open", headers=forged)["headers"]).keys()


@pytest.mark.parametrize("subject", ["ada\r\nx-admin: 1", "ada\u0000", " ada", "a" * 2000])
def test_a_claim_that_no_field_can_carry_is_left_out(mesh, subject):
    headers = dict(mesh.seen("open", RSA.token(sub=subject))["headers"])
    assert "x-user" not in headers and "x-admin" not in headers


def test_a_role_with_a_comma_does_not_become_two(mesh):
    assert "x-roles" not in dict(mesh.seen("open", RSA.token(realm={"roles": ["reader,admin", "writer"]}))["headers"])


def test_tokens_stand_in_other_places(mesh):
    token = RSA.token()
    assert "x-token" not in dict(mesh.seen("places", headers={"x-token": token})["headers"])
    assert mesh.seen("places", path=f"/list?a=1&access_token={token}&b=2")["target"] == "/list?a=1&b=2"
    assert mesh.seen("places", path=f"/list?access_token={token}")["target"] == "/list"
    cookies = dict(mesh.seen("places", headers={"cookie": f"theme=dark; session={token}; lang=de"})["headers"])["cookie"]
    assert cookies == "theme=dark; lang=de"
    # A name that the program would read the same.
    assert mesh.seen("places", path=f"/list?%61ccess_token={token}")["target"] == "/list"


@pytest.mark.parametrize("second", ["authorization", "x-token", "cookie", "parameter"])
def test_two_tokens_are_a_malformed_request(mesh, second):
    token = RSA.token()
    headers = {"authorization": f"Bearer {token}", "x-token": token, "cookie": f"session={token}"}
    one = {"x-token": token} if second == "authorization" else {"authorization": f"Bearer {token}"}
    path = f"/?access_token={token}" if second == "parameter" else "/"
    answer = mesh.ask("places", headers={**one, **({second: headers[second]} if second in headers else {})}, path=path)
    assert answer.status == 400 and 'error="invalid_request"' in answer.headers["www-authenticate"]


def test_a_tunnel_does_not_pass_by_the_tokens(mesh):
    import socket
    before = mesh.refused("tunnel")
    with socket.create_connection((mesh.caller.address, 15001), timeout=10) as connection:
        connection.sendall(b"CONNECT orders.shop:80 HTTP/1.1\r\nHost: orders.shop:80\r\n\r\n")
        assert not connection.recv(64).startswith(b"HTTP/1.1 200")
    assert mesh.refused("tunnel") == before + 1


def check_lines(mesh):
    """`apus check` of keys for tokens: source -> (result, detail)."""
    items = json.loads(mesh.apus("check", "-o", "json", check=False).stdout)
    name = "keys for tokens from "
    return {item["name"].removeprefix(name): (item["result"], item["detail"])
            for item in items if item["name"].startswith(name)}


def test_keys_are_fetched_again_for_an_unknown_key_but_not_for_everybody(mesh):
    web, new = mesh.workloads["web"], Key("ec", "e2")
    until(lambda: mesh.ask("web", EC.token()).status == 200, "the keys are there")

    def failures():
        return web.metrics().sum("jwks_fetches_total", result="failure")

    # The provider is away: what was known stays in use, and the failure is told.
    before, mesh.server.status = failures(), 500
    assert mesh.ask("web", new.token()).status == 401
    until(lambda: failures() > before, "the fetch has failed")
    assert mesh.ask("web", EC.token()).status == 200
    web.wait_for_log("no keys: status 500; the last good keys stay in use")
    assert web.metrics().sum("jwks_failing", source=mesh.server.url) == 1
    result, detail = check_lines(mesh)[mesh.server.url]
    assert result == "warning" and detail.startswith("status 500, for ") and "stay in use" in detail, detail
    # It is back, with a new key.
    mesh.server.text, mesh.server.status = key_set(KEYS["ec"].jwk(), new.jwk()), 200
    until(lambda: mesh.ask("web", new.token()).status == 200, "the new key is known")
    fetched = mesh.server.requests
    for n in range(100):
        assert mesh.ask("web", EC.token(header={"alg": "ES256", "kid": f"made-up-{n}"})).status == 401
    assert mesh.server.requests <= fetched + 1
    # Both keys at once, as in every rotation.
    assert mesh.ask("web", EC.token()).status == 200


def test_keys_that_were_never_had_refuse_tokens_as_our_own_fault(mesh):
    answer = mesh.ask("away", EC.token())
    assert answer.status == 503 and "www-authenticate" not in answer.headers
    assert mesh.ask("away").status == 401
    assert mesh.refused("keys_unavailable", "away") >= 1
    assert "no keys: " in mesh.workloads["away"].log()
    metrics = mesh.workloads["away"].metrics()
    assert metrics.sum("jwks_fetches_total", result="failure") >= 1
    assert metrics.sum("jwks_keys", source="http://127.77.9.3:8088/keys") == 0
    assert metrics.sum("jwks_failing", source="http://127.77.9.3:8088/keys") == 1


def test_apus_check_tells_whose_keys_cannot_be_had_and_why(mesh):
    lines = check_lines(mesh)
    result, detail = lines["http://127.77.9.3:8088/keys"]
    assert result == "error" and re.search(r", for \d+.*; requests with a token are answered 503", detail), lines
    assert lines[mesh.server.url][0] == "ok" and lines["keys in the manifest"][0] == "ok", lines
    assert any(result == "error" and "unknown_authority" in detail for result, detail in lines.values()), lines


def test_a_server_of_keys_must_prove_who_it_is(mesh):
    assert mesh.ask("strange", EC.token()).status == 503
    assert "unknown_authority" in mesh.workloads["strange"].log()


def test_the_keys_of_a_file_are_followed_and_a_broken_file_changes_nothing(mesh):
    first, second = KEYS["ed"], Key("ed", "d2")
    assert mesh.ask("files", first.token()).status == 200
    mesh.file.write_text("{")
    mesh.workloads["files"].wait_for_log("the last good keys stay in use", 5)
    assert mesh.ask("files", first.token()).status == 200
    mesh.file.write_text(key_set(second.jwk()))
    until(lambda: mesh.ask("files", second.token()).status == 200, "the new key is known", 5)
    # What was verified with the old keys is not remembered beyond them.
    assert mesh.ask("files", first.token()).status == 401


def test_a_manifest_with_an_error_opens_nothing(mesh):
    assert mesh.ask("broken").status == 401
    assert mesh.ask("broken", RSA.token()).status == 401


def test_why_and_get_tell_of_the_tokens(mesh):
    why = mesh.apus("why", "--from", "client.shop", "--to", "http://orders.shop/").stdout
    assert f"a token of {ISSUER} is required" in why and "RequestAuthentication shop/orders" in why, why
    got = mesh.apus("get", "requestauthentication").stdout
    assert "orders" in got and "broken" in got, got
