"""TrafficPolicy against real proxies: balancers, limits, outliers, retries and time limits, where they come from, and what is
told of them. The policies are in manifests/trafficpolicy.yaml; every service has the same three endpoints."""

import collections
import concurrent.futures
import re
import socket
import time
import uuid

import pytest

from support import http, manifests
from support.gamma import ROUTES, GammaMesh
from support.mesh import program
from support.waiting import until

SERVICES = ["plain", "once", "routed", "turns", "ring", "maglev", "source", "sticky", "bounded", "shaky", "steady",
            "thrifty", "changing", "hedged", "streams"]
VERSIONS = {"v1", "v2", "v3"}
# No test waits this long: it only has to be far beyond every time limit.
LONG = 60


def service(name):
    return manifests.text(f"""
        apiVersion: v1
        kind: Service
        metadata: {{ name: {name}, namespace: shop }}
        spec:
          selector: {{ group: echo }}
          ports: [{{ name: http, port: 80, targetPort: 8080, appProtocol: http }}]
        """)


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    mesh = GammaMesh(tmp_path_factory.mktemp("policy"))
    try:
        mesh.up(*map(service, SERVICES), (ROUTES / "trafficpolicy.yaml").read_text())
        for version in sorted(VERSIONS):
            mesh.run(version, program("echo.py", 8080, version), port=8080, own_address=True, labels={"group": "echo"})
        ports = {name: None for name in SERVICES}
        # One worker: limits and turns are each worker's.
        mesh.caller, *local = mesh.client(*(f"{name}.shop:80" for name in ports), flags=["--workers", "1"])
        mesh.ports = dict(zip(ports, local))
        until(lambda: {mesh.ask("turns").said["version"] for _ in range(3)} == VERSIONS, "every endpoint answers")
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture
def ask(policies, request):
    request.node.apus_mesh = policies
    return policies.ask


@pytest.fixture
def key():
    """Names the requests of one test in what the programs have seen."""
    return uuid.uuid4().hex


def versions(ask, name, count, target="/", **options):
    return collections.Counter(ask(name, target, **options).said["version"] for _ in range(count))


# MARK: Balancers

def test_round_robin_gives_everyone_the_same(ask):
    assert set(versions(ask, "turns", 30).values()) == {10}


def test_the_hash_of_a_header_sticks(ask):
    kept = {user: set(versions(ask, "ring", 4, headers={"x-user": f"user-{user}"})) for user in range(40)}
    assert {len(one) for one in kept.values()} == {1}
    assert set.union(*kept.values()) == VERSIONS


def test_the_hash_of_a_query_parameter_sticks(ask):
    kept = {user: set(versions(ask, "maglev", 4, f"/?other={user}&user={user}")) for user in range(40)}
    assert {len(one) for one in kept.values()} == {1}
    assert set.union(*kept.values()) == VERSIONS


def test_the_hash_of_the_source_address_sticks(ask):
    assert len(versions(ask, "source", 20)) == 1


def test_a_cookie_is_issued_and_sticks(ask):
    homes = collections.Counter()
    for _ in range(20):
        first = ask("sticky")
        issued = first.headers["set-cookie"]
        name, value = re.fullmatch(r"(shop-id)=(\w+); Max-Age=3600; Path=/shop; HttpOnly", issued).groups()
        home = first.said["version"]
        homes[home] += 1
        for _ in range(3):
            again = ask("sticky", headers={"cookie": f"a=b; {name}={value}"})
            assert (again.said["version"], again.headers.get("set-cookie")) == (home, None)
    assert len(homes) > 1


def test_without_a_policy_nobody_issues_cookies(ask):
    assert "set-cookie" not in ask("plain").headers


# MARK: Limits

def test_past_a_limit_requests_are_refused_with_the_flag_uo(ask, policies, key):
    flags = lambda: policies.caller.metrics().sum("response_total", dst_service="bounded", status_code="503",
                                                  response_flag="UO")
    before = flags()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, "bounded", f"/?key={key}&delay=3")
        until(lambda: sum(policies.seen("turns").get(key, 0) for _ in range(3)) > 0, "the first request is under way")
        refused = ask("bounded")
        assert refused.status == 503
        assert first.result().status == 200
    assert ask("bounded").status == 200
    assert flags() == before + 1
    assert policies.caller.metrics().sum("backend_overflow_total", backend="bounded", limit="active_requests") == before + 1


# MARK: Outliers

def test_outliers_are_ejected_unless_a_policy_says_otherwise(ask, policies):
    for _ in range(30):
        assert ask("shaky", "/?status=500").status == ask("steady", "/?status=500").status == 500
    ejections = policies.caller.metrics().by("backend", "outlier_ejections_total", reason="server_errors")
    assert ejections["shaky"] > 0 and not ejections.get("steady"), ejections


# MARK: Retries and time limits, and where they come from

def attempts(ask, name, path, key, status=503):
    """How often the programs were asked for a request that fails every time."""
    assert ask(name, f"{path}?key={key}&status={status}").status == status
    return times_asked(ask, key)


def times_asked(ask, key):
    asked = collections.Counter()
    for _ in range(30):
        answer = ask("turns", "/seen")
        asked[answer.headers["x-version"]] = answer.said.get(key, 0)
        if set(asked) == VERSIONS:
            return sum(asked.values())
    raise AssertionError(f"some of the programs did not answer: {asked}")


@pytest.mark.parametrize("name, path, status, expected", [
    ("plain", "/", 503, 4),          # conditions of the mesh, attempts of the namespace
    ("plain", "/", 500, 1),
    ("once", "/", 503, 1),           # the service's word
    ("routed", "/", 503, 2),         # the route's
    ("routed", "/never", 503, 1),    # the rule's
    ("routed", "/own", 500, 3),      # what the rule itself says, whole: not the conditions of policies
    ("routed", "/own", 503, 1),
    ("thrifty", "/", 503, 1),        # no budget
])
def test_each_field_is_that_of_the_most_specific_policy(ask, key, name, path, status, expected):
    assert attempts(ask, name, path, key, status) == expected


def test_retry_after_is_waited_for_unless_it_asks_for_too_long(ask, key):
    start = time.monotonic()
    assert ask("plain", f"/?status=503&first=1&key={key}&retry-after=1").status == 200
    assert 1 <= time.monotonic() - start < LONG
    late = ask("plain", f"/?status=503&key={key}-late&retry-after=60")
    assert (late.status, late.headers["retry-after"]) == (503, "60")
    assert times_asked(ask, f"{key}-late") == 1


def test_a_hedge_answers_for_a_slow_endpoint(ask, policies):
    start = time.monotonic()
    assert versions(ask, "hedged", 9, f"/?delay={LONG}&only=v1").keys() == {"v2", "v3"}
    assert time.monotonic() - start < LONG
    won = policies.caller.metrics().sum("hedges_total", backend="hedged", result="won")
    assert won >= 3
    # A POST may do more when it is sent twice.
    assert {ask("hedged", "/?delay=0.4&only=v1", method="POST").status for _ in range(3)} == {200}
    assert policies.caller.metrics().sum("hedges_total", backend="hedged") == won


# MARK: Streams

def test_a_silent_stream_ends(ask, policies):
    start = time.monotonic()
    answer = ask("streams", f"/?delay={LONG}")
    assert answer.status == 504 and "stream idle timeout" in answer.text
    assert 1 <= time.monotonic() - start < LONG


def test_a_stream_ends_at_its_limit_whatever_it_has_become(policies):
    """A tunnel through which bytes go all the time."""
    address = policies.caller.address
    with socket.create_connection((address, 15001), timeout=10) as tunnel:
        tunnel.sendall(b"CONNECT streams.shop:80 HTTP/1.1\r\nHost: streams.shop:80\r\n\r\n")
        assert b" 200 " in tunnel.recv(4096)
        start, ended = time.monotonic(), False
        while not ended and time.monotonic() < start + LONG:
            try:
                tunnel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                ended = not tunnel.recv(65536)
            except ConnectionError:
                ended = True
            time.sleep(0.2)
        assert ended and time.monotonic() - start > 3


# MARK: Changes

def policy(name, blocks, target="group: \"\", kind: Service, name: changing", namespace="shop"):
    return manifests.text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: TrafficPolicy
        metadata: {{ name: {name}, namespace: {namespace} }}
        spec:
          targetRefs: [{{ {target} }}]
          {blocks}
        """)


def test_a_policy_changes_under_load_without_a_failed_request(ask, policies):
    with http.Load(policies.ports["changing"]) as load:
        load.after(100)
        for blocks in (
            "balancer: { algorithm: maglev, hashOn: { sourceAddress: true } }", "balancer: { algorithm: roundRobin }",
            "limits: { connections: 100, activeRequests: 1000 }", "outliers: { enabled: false }",
            "balancer: { algorithm: ringHash, hashOn: { cookie: { name: id } } }", "timeouts: { request: 50s }",
        ):
            policies.write("changing.yaml", policy("changing", blocks))
            load.after(100)
        policies.write("changing.yaml", policy("changing", "balancer: { algorithm: maglev, hashOn: { sourceAddress: true } }"))
        until(lambda: len(versions(ask, "changing", 20)) == 1, "the last policy in force")
        (policies.manifests / "changing.yaml").unlink()
        until(lambda: len(versions(ask, "changing", 20)) > 1, "the balancer is the default again")
        load.after(100)
    assert load.bad == []


def test_defaults_return_when_a_policy_goes(ask, policies, key):
    policies.write("changing.yaml", policy("changing", "timeouts: { request: 200ms }"))
    until(lambda: ask("changing", "/?delay=1").status == 504, "the time limit in force")
    # The policy of the namespace is no longer overridden, and not there.
    policies.write("changing.yaml", policy("changing", "retries: { attempts: 0 }"))
    until(lambda: ask("changing", "/?delay=1").status == 200, "the time limit gone")
    assert attempts(ask, "changing", "/", key) == 1
    (policies.manifests / "changing.yaml").unlink()
    until(lambda: attempts(ask, "changing", "/", uuid.uuid4().hex) == 4, "the namespace's retries")


# MARK: What is told

def conditions(mesh, name, namespace="shop"):
    found = mesh.json("get", "trafficpolicy", name, "-n", namespace)
    assert (found["apiVersion"], found["kind"]) == ("mesh.apus.dev/v1alpha1", "TrafficPolicy")
    return [
        (ancestor["ancestorRef"], {each["type"]: (each["status"], each["reason"]) for each in ancestor["conditions"]})
        for ancestor in found["status"]["ancestors"]]


def test_the_status_says_where_a_policy_is_in_force(policies):
    good = {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
    service = {"group": "", "kind": "Service", "namespace": "shop", "name": "turns", "sectionName": "http"}
    assert conditions(policies, "turns") == [(service, good)]
    mesh = {"group": "mesh.apus.dev", "kind": "Mesh", "name": "default"}
    assert conditions(policies, "everyone", "apus-system") == [(mesh, good)]
    [(_, lost)] = conditions(policies, "lost")
    assert lost == {"Accepted": ("False", "TargetNotFound"), "ResolvedRefs": ("False", "TargetNotFound")}
    [(_, loser)] = conditions(policies, "turns-too")
    assert loser == {**good, "Conflicted": ("True", "Conflicted")}


def test_the_table_and_the_status_of_the_mesh_name_the_winner(policies):
    table = policies.apus("get", "trafficpolicies").stdout
    assert re.search(r"^rule +shop +HTTPRoute/routed#never +True +True ", table, re.M), table
    assert re.search(r"^shop +shop +Namespace/shop +True +True ", table, re.M), table
    assert "shop/lost: TargetNotFound: there is no Service shop/bounced; did you mean bounded?" in table, table
    told = "the TrafficPolicy shop/turns goes before in balancer.algorithm"
    assert f"shop/turns-too: Conflicted: {told}" in table, table
    assert f"TrafficPolicy shop/turns-too: warning: {told}" in policies.apus("status").stdout


def test_a_mistake_is_told_with_its_line_and_the_version_before_stays(ask, policies):
    policies.write("changing.yaml", policy("changing", "timeouts: { request: 200ms }"))
    until(lambda: ask("changing", "/?delay=1").status == 504, "the time limit in force")
    policies.write("changing.yaml", policy("changing", "timeouts: { request: 200 }"))
    expected = ("changing.yaml:6:24: TrafficPolicy shop/changing: spec.timeouts.request: must be a duration, "
                "not the number 200; write 200s for seconds")
    until(lambda: expected in policies.apus("status").stdout, "the mistake in the status")
    [(_, found)] = conditions(policies, "changing")
    assert found["PartiallyInvalid"] == ("True", "Invalid")
    assert ask("changing", "/?delay=1").status == 504
    assert policies.apus("validate", "-f", policies.manifests, check=False).returncode != 0
    (policies.manifests / "changing.yaml").unlink()
    until(lambda: ask("changing", "/?delay=1").status == 200, "the time limit gone")
