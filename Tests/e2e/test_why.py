"""`apus why`, `routes`, `endpoints` and `analyze` beside what real proxies do."""

import concurrent.futures
import json
import random
import re

import pytest

from support import manifests
from support.gamma import ROUTES, GammaMesh, service
from support.mesh import program
from support.waiting import until

PROGRAMS = ("echo-v1", "echo-v2")


# MARK: Random rules

def random_match(dice):
    """One match as YAML in one line; few words, so that requests hit many of them."""
    parts = []
    if dice.random() < 0.8:
        kind, value = dice.choice([
            ("Exact", "/a"), ("Exact", "/a/b"), ("PathPrefix", "/a"), ("PathPrefix", "/a/b"), ("PathPrefix", "/b"),
            ("RegularExpression", "/[ab]/?.*"), ("RegularExpression", "/b/[0-9]+")])
        parts.append(f"path: {{ type: {kind}, value: '{value}' }}")
    if dice.random() < 0.3:
        parts.append(f"method: {dice.choice(['GET', 'PUT'])}")
    if dice.random() < 0.3:
        value = dice.choice(["value: '1'", "type: RegularExpression, value: '[12]'"])
        parts.append("headers: [{ name: X-Who, " + value + " }]")
    if dice.random() < 0.3:
        parts.append("queryParams: [{ name: q, " + dice.choice(["value: '1'", "type: RegularExpression, value: '1*'"]) + " }]")
    return "{ " + ", ".join(parts) + " }" if parts else "{ path: { type: PathPrefix, value: / } }"


def random_route(dice, name, rules, created):
    """A route of `target`; each of its rules says its name in the answer."""
    text = manifests.text(f"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {{ name: {name}, namespace: shop, creationTimestamp: '{created}' }}
        spec:
          parentRefs: [{{ group: "", kind: Service, name: target, port: 80 }}]
          rules:
        """)
    for index in range(rules):
        backends = dice.choice([["echo-v1"], ["echo-v2"], ["echo-v1", "echo-v2"], ["echo-v1", "gone"], ["gone"], ["idle"]])
        matches = ", ".join(random_match(dice) for _ in range(dice.randint(1, 2)))
        text += f"    - name: {name}-{index}\n      matches: [{matches}]\n"
        text += ("      filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-rule, value: "
                 f"{name}-{index} }}] }} }}]\n")
        text += f"      backendRefs: [{', '.join(f'{{ name: {backend}, port: 80 }}' for backend in backends)}]\n"
    return text


def random_request(dice):
    target = dice.choice(["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/7", "/b/x", "/c"])
    target += dice.choice(["", "", "?q=1", "?q=2", "?x=1&q=1", "?q"])
    headers = dice.choice([{}, {}, {"x-who": "1"}, {"X-WHO": "2"}, {"x-who": "3"}])
    return target, headers, dice.choice(["GET", "GET", "PUT", "DELETE"])


# MARK: The mesh

@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    mesh = GammaMesh(tmp_path_factory.mktemp("why"))
    dice = random.Random(20)
    try:
        mesh.up(*map(service, [*PROGRAMS, "orders", "target", "idle"]), (ROUTES / "why.yaml").read_text(),
                random_route(dice, "older", 9, "2024-01-01T00:00:00Z"), random_route(dice, "newer", 5, "2024-06-01T00:00:00Z"))
        for name in PROGRAMS:
            mesh.run(name, program("echo.py", 8080, name[-2:]), port=8080, own_address=True,
                     labels={"topology.kubernetes.io/zone": name[-2:]})
        mesh.caller, mesh.ports = mesh.connect(["orders", "target", *PROGRAMS])
        _, mesh.strangers = mesh.connect(["orders"], namespace="billing")
        for name in PROGRAMS:
            until(lambda: mesh.ask(name).said, f"{name} answers")
        until(lambda: mesh.ask("orders", ports=mesh.strangers).said, "the stranger is served")
        # Both endpoints have travelled to the proxy of the random requests, too.
        until(lambda: mesh.ask("orders", "/shop", {"x-version": "two"}).said, "the second program serves")
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(autouse=True)
def shown(request, explained):
    request.node.apus_mesh = explained


def why(mesh, url, headers=(), method="GET", caller="client.shop", *flags):
    """Exit code and answer."""
    fields = [part for name, value in dict(headers).items() for part in ("-H", f"{name}: {value}")]
    done = mesh.apus("why", "--from", caller, "--to", url, "--method", method, *fields, *flags, "-o", "json", check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


# MARK: Against real proxies

def test_why_agrees_with_real_proxies_about_random_requests(explained):
    dice = random.Random(7)
    requests = {(target, tuple(headers.items()), method): None
                for target, headers, method in (random_request(dice) for _ in range(400))}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda r: why(explained, f"http://target.shop{r[0]}", r[1], r[2]), requests))
    taken = set()
    for (target, headers, method), (code, answer) in zip(requests, answers):
        real = explained.ask("target", target, headers, method)
        story = f"{method} {target} {dict(headers)}: {real.status} {real.headers}\n{json.dumps(answer, indent=1)}"
        rule = answer.get("rule", {}).get("name", "")
        taken.add(rule)
        likely = {backend["backend"].split(".")[0] for backend in answer["backends"]
                  if backend["share"] > 0 and "failure" not in backend}
        failures = {failure["status"] for failure in answer["failures"]}
        assert (code == 0) == answer["delivered"] == (not failures), story
        if real.said:
            assert rule.endswith(f"#{real.headers['x-rule']}") and f"echo-{real.said['version']}" in likely, story
        else:
            assert real.status in failures, story
            assert "x-rule" not in real.headers or rule.endswith(f"#{real.headers['x-rule']}"), story
        assert (real.status == 404) == (rule == ""), story
    assert len(requests) > 150 and len(taken) >= 7, taken


@pytest.mark.parametrize("target, headers, method, status, rule", [
    ("/x", {"x-version": "two"}, "GET", 200, "testers"),
    ("/x?version=two", {}, "GET", 200, "testers"),
    ("/old/list?a=b", {}, "GET", 301, "moved"),
    ("/shop/list", {}, "GET", 200, "shop"),
    ("/nobody", {}, "GET", 503, "nobody"),
    ("/get", {}, "GET", 200, "only-get"),
    ("/get", {}, "POST", 404, None),
])
def test_why_tells_the_status_and_the_rule_before_the_request_is_sent(explained, target, headers, method, status, rule):
    real = explained.ask("orders", target, headers, method)
    code, answer = why(explained, f"http://orders{target}", headers, method)
    assert real.status == status
    assert answer.get("rule", {}).get("name") == (f"httproute/shop/orders#{rule}" if rule else None)
    if status == 301:
        # The client's own port of the listener is not the service's.
        assert code == 0 and (answer["reply"]["status"], answer["reply"]["location"]) == (301, "http://orders/api/list?a=b")
        assert real.headers["location"] == "http://orders.shop/api/list?a=b"
    elif status == 200:
        assert code == 0 and answer["delivered"]
        sees = answer["backends"][0].get("sees", f"{method} {target}, Host orders").split()[1].rstrip(",")
        assert real.said["target"] == sees
    else:
        assert code == 1 and answer["failures"][0]["status"] == status and answer["failures"][0]["share"] == 1


def test_a_share_that_fails_is_told_with_its_part(explained):
    code, answer = why(explained, "http://orders/half")
    [failure] = answer["failures"]
    assert code == 1 and (failure["share"], failure["status"]) == (0.5, 500) and "gone.shop:80" in failure["reason"]
    assert {explained.ask("orders", "/half").status for _ in range(6)} == {200, 500}
    text = explained.apus("why", "--from", "client.shop", "--to", "orders/half", check=False).stdout
    verdict = r"^✘ 50 % of such requests fail: the backend gone\.shop:80 cannot serve: the mesh knows no service gone\.shop"
    assert re.search(verdict, text, re.M), text


# MARK: What it says

def test_why_says_everything_that_applies_with_its_source(explained):
    _, answer = why(explained, "http://orders/shop/list")
    rule, [backend] = answer["rule"], answer["backends"]
    assert re.search(r"/mesh\.yaml:\d+$", rule["source"]) and rule["matches"] == ["path /shop, /shop/*"]
    assert rule["timeouts"] == {"requestMs": 2000, "backendRequestMs": 500}
    assert rule["retry"]["attempts"] == 1 and rule["retry"]["statusCodes"] == [503]
    assert answer["mirrors"] == [{"backend": "echo-v2.shop:80", "share": 1, "endpoints": 1}]
    assert backend["sees"] == "GET /api/list, Host orders"
    assert backend["retryBudget"] == {"percent": 35, "minimumPerSecond": 10}
    # What policies say, where the route does not say it itself.
    where = f"{explained.manifests}/mesh.yaml:"
    assert [(row["field"], row["value"], row["policy"], row["level"]) for row in backend["policy"]] == [
        ("balancer.algorithm", "roundRobin", "TrafficPolicy shop/backends", "service"),
        ("retries.budget.percent", "35", "TrafficPolicy shop/backends", "service")]
    assert all(row["source"].startswith(where) for row in backend["policy"])
    assert rule["policy"] == []
    _, other = why(explained, "http://orders/get")
    assert other["rule"]["timeouts"] == {"requestMs": 9000}
    assert [(row["field"], row["value"], row["policy"], row["level"]) for row in other["rule"]["policy"]] == [
        ("timeouts.request", "9s", "TrafficPolicy shop/orders", "route")]
    [endpoint] = backend["endpoints"]
    assert endpoint["ready"] and endpoint["zone"] == "v1" and endpoint["state"] == "ready"
    assert endpoint["identity"] == "spiffe://cluster.local/ns/shop/sa/echo-v1"
    caller = answer["caller"]
    assert caller["identity"] == "spiffe://cluster.local/ns/shop/sa/client" and caller["configuration"] == "SYNCED"
    assert (answer["service"]["port"], answer["service"]["appProtocol"]) == (80, "http")
    # The exact paths that are tried before, each with the reason.
    reasons = {entry["rule"].split("#")[1]: entry["reasons"] for entry in answer["passedOver"]}
    assert reasons == {"half": ["wants path = /half"], "nobody": ["wants path = /nobody"]}

    text = explained.apus("why", "--from", "client.shop", "--to", "http://orders/shop/list").stdout
    for line in (r"^request +GET orders/shop/list$", r"^service +orders\.shop:80 \(http\)$",
                 r"^not +httproute/shop/orders#half: wants path = /half$",
                 r"^rule +httproute/shop/orders#shop  \(\S+mesh\.yaml:\d+\)$", r"^timeout +request 2 s, each attempt 500 ms$",
                 r"^retry +once on 503", r"^backend +100 %  echo-v1\.shop:80$",
                 r"^ +retry budget 35 % of its requests",
                 r"^ +policy balancer\.algorithm: roundRobin  \(TrafficPolicy shop/backends, for the service, ",
                 r"^mirror +100 % copied to echo-v2\.shop:80",
                 r"^✔ delivered$"):
        assert re.search(line, text, re.M), f"{line}\n{text}"


def test_clients_of_another_namespace_have_the_rules_of_their_own(explained):
    assert explained.ask("orders", "/nobody", ports=explained.strangers).said["version"] == "v2"
    code, answer = why(explained, "http://orders.shop/nobody", caller="client.billing")
    assert code == 0 and answer["rule"]["name"] == "httproute/billing/own#billing" and answer["service"]["isConsumerRoute"]
    # A name without a namespace is of the caller's.
    code, answer = why(explained, "http://orders/", caller="client.billing")
    assert code == 1 and answer["failures"][0]["fix"] == "did you mean orders.shop?"


@pytest.mark.parametrize("url, reason, fix", [
    ("http://order.shop/", "knows no service order.shop", "did you mean orders.shop?"),
    ("http://orders.shop:81/", "has no port 81", "its ports: 80, 8080"),
])
def test_the_first_reason_comes_with_a_fix(explained, url, reason, fix):
    code, answer = why(explained, url)
    assert code == 1 and answer["failures"][0]["status"] == 404
    assert reason in answer["failures"][0]["reason"] and fix in answer["failures"][0]["fix"]


def test_wrong_arguments_and_callers_have_their_exit_codes(explained):
    for arguments in (["--from", "client"], ["--from", "client", "--to", "ftp://orders/"],
                      ["--from", "client", "--to", "orders", "-H", "nonsense"]):
        assert explained.apus("why", *arguments, check=False).returncode == 64
    refused = explained.apus("why", "--from", "nobody", "--to", "orders", check=False)
    assert refused.returncode == 1 and "no workload nobody is registered" in refused.stderr
    refused = explained.apus("why", "--from", "client", "--to", "orders", check=False)
    assert refused.returncode == 1 and "client.billing" in refused.stderr


# MARK: Routes and endpoints

def test_routes_stand_in_the_order_in_which_proxies_try_them(explained):
    [port] = [port for port in explained.json("routes", "orders", "-n", "shop") if port["port"] == 80]
    order = [rule["name"].split("#")[1] for rule in port["rules"]]
    assert order == ["half", "nobody", "shop", "twice", "only-get", "moved", "testers"]
    assert port["consumers"] == ["billing"]
    half = port["rules"][0]
    assert [(backend["backend"], backend["share"], backend.get("failureStatus")) for backend in half["backends"]] == [
        ("echo-v1.shop:80", 0.5, None), ("gone.shop:80", 0.5, 500)]
    own = explained.json("routes", "orders.shop:80", "--for", "billing")
    assert [rule["name"] for rule in own[0]["rules"]] == ["httproute/billing/own#billing"]
    text = explained.apus("routes", "orders.shop:80").stdout
    assert text.startswith("orders.shop:80 (http); clients in billing have rules of their own\n")
    last = r"^ +7  httproute/shop/orders#testers +header x-version = two \| query version = two +100 % echo-v2"
    assert re.search(last, text, re.M), text
    assert explained.apus("routes", "nonsense", check=False).returncode == 1


def test_endpoints_are_listed_with_their_workloads_and_identities(explained):
    ports = {f"{port['service']}:{port['port']}": port["endpoints"] for port in explained.json("endpoints", "-n", "shop")}
    [endpoint] = ports["echo-v1:80"]
    assert endpoint["address"].endswith(":8080") and endpoint["workload"].startswith("echo-v1") and endpoint["ready"]
    assert (endpoint["zone"], endpoint["weight"]) == ("v1", 1) and endpoint["identity"].endswith("/sa/echo-v1")
    assert ports["idle:80"] == []
    text = explained.apus("endpoints", "echo-v1.shop:80").stdout
    assert re.search(r"^SERVICE +ADDRESS +WORKLOAD +READY +ZONE +WEIGHT +IDENTITY +LABELS$", text, re.M)
    assert re.search(r"^echo-v1\.shop:80 +127\.66\.\d+\.\d+:8080 +echo-v1-\w+ +yes +v1 +1 +spiffe://", text, re.M), text


# MARK: Analysis

def test_the_analysis_of_the_running_mesh_finds_what_is_wrong(explained):
    done = explained.apus("analyze", "-o", "json", check=False)
    found = {(problem["code"], problem["object"], problem["field"]): problem for problem in json.loads(done.stdout)["problems"]}
    assert done.returncode == 1
    for key in (("APUS0201", "HTTPRoute shop/orders", "spec.rules[3].backendRefs[1]"),
                ("APUS0301", "HTTPRoute shop/orders", "spec.rules[5]"),
                ("APUS0401", "Service shop/idle", "spec.selector"),
                ("APUS0106", "HTTPRoute billing/own", "spec.parentRefs[0]")):
        problem = found[key]
        assert problem["file"].endswith("mesh.yaml") and problem["line"] > 1 and problem["message"]
    text = explained.apus("analyze", check=False).stdout
    wanted = (r"mesh\.yaml:\d+:\d+: error APUS0201: HTTPRoute shop/orders: spec\.rules\[3\]\.backendRefs\[1\]: "
              r"there is no Service shop/gone")
    assert re.search(wanted, text)
    assert "APUS0301 (warning)" in explained.apus("analyze", "--explain", "apus0301").stdout
    assert explained.apus("analyze", "--explain", "APUS9999", check=False).returncode == 64
