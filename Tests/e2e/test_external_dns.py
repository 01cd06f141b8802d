"""ExternalServices whose addresses the DNS says: one host, several, and wildcards, against a DNS server of the tests' own."""

import json

import pytest

from support import http, manifests
from support.certificates import Authority
from support.dns import NameServer
from support.mesh import Mesh
from support.outside import PORT, Outside
from support.waiting import until

ONE, TWO, THREE, SIX = "127.77.1.1", "127.77.1.2", "127.77.1.3", "::1"
A, B = "127.77.1.11", "127.77.1.12"


def external(name, hosts, more="", port=""):
    return manifests.text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: ExternalService
        metadata: {{ name: {name}, namespace: shop }}
        spec:
          hosts: {json.dumps(hosts)}
          resolution: DNS
          {more}
          ports: [{{ name: http, port: 80, targetPort: {PORT}{port} }}]
        """)


class DNSMesh(Mesh):
    caller, names, servers = None, None, {}

    def ask(self, host, target="/"):
        answer = http.via_proxy(self.caller.address, f"http://{host}{target}")
        answer.said = json.loads(answer.body) if answer.headers.get("content-type") == "application/json" else None
        return answer

    def who(self, host, count=20):
        """The servers that answer for a host."""
        answers = [self.ask(host) for _ in range(count)]
        return {answer.said["server"] if answer.said else answer.status for answer in answers}

    def lookups(self, result):
        return self.caller.metrics().sum("dns_lookups_total", result=result)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dns")
    mesh = DNSMesh(directory)
    authority = Authority.foreign()
    quick = "dns: { minimumTTL: 1s, maximumTTL: 2s }"
    tls = f", tls: {{ caCertificates: {json.dumps(authority.pem().decode())} }}"
    try:
        mesh.names = NameServer("127.77.1.53")
        mesh.names.records = {
            "two.example.com": (60, [ONE, TWO]), "moving.example.com": (1, [ONE]), "kept.example.com": (0, [TWO]),
            "six.example.com": (60, [SIX]), "both.example.com": (60, [ONE, SIX]), "zero.example.com": (0, [ONE]),
            "odd.example.com": (60, ["0.0.0.0", "224.0.0.1"]), "late.example.com": (1, []),
            "a.wild.example.com": (60, [ONE]), "b.wild.example.com": (60, [TWO]), "x.y.wild.example.com": (60, [THREE]),
            "wild.example.com": (60, [ONE]), "first.example.com": (60, [ONE]), "second.example.com": (60, [TWO]),
            "a.tls.example.com": (60, [A]), "b.tls.example.com": (60, [B]), "c.tls.example.com": (60, [A]),
        }
        for address in (ONE, TWO, THREE, SIX):
            mesh.servers[address] = Outside(address, address)
        for address, host in ((A, "a.tls.example.com"), (B, "b.tls.example.com")):
            mesh.servers[address] = Outside(address, address, authority.issue(directory, host, None, hosts=[host]))
        mesh.up(
            *(external(name, [f"{name}.example.com"]) for name in ("two", "six", "both", "zero", "odd", "nowhere")),
            *(external(name, [f"{name}.example.com"], quick) for name in ("moving", "kept", "late")),
            external("wild", ["*.wild.example.com"]), external("several", ["first.example.com", "second.example.com"]),
            external("tls", ["*.tls.example.com"], port=tls),
            manifests.service("front"), manifests.service("bare"),
            *(manifests.text(f"""
                apiVersion: gateway.networking.k8s.io/v1
                kind: HTTPRoute
                metadata: {{ name: {name}, namespace: shop }}
                spec:
                  parentRefs: [{{ group: "", kind: Service, name: {name} }}]
                  rules:
                  - backendRefs: [{{ group: mesh.apus.dev, kind: ExternalService, name: wild, port: 80 }}]
                    {rewrite}
                """) for name, rewrite in (
                    ("front", "filters: [{ type: URLRewrite, urlRewrite: { hostname: b.wild.example.com } }]"), ("bare", ""))))
        mesh.caller = mesh.client(flags=["--dns-server", mesh.names.flag])[0]
        yield mesh
    finally:
        mesh.stop()
        for server in [*mesh.servers.values(), *([mesh.names] if mesh.names else [])]:
            server.stop()


@pytest.fixture(autouse=True)
def logs(mesh, request):
    request.node.apus_mesh = mesh


# MARK: One host

def test_requests_are_balanced_over_all_addresses_of_a_name(mesh):
    assert mesh.who("two.example.com") == {ONE, TWO}
    assert mesh.lookups("answered") > 0


def test_ipv6_addresses_are_addresses(mesh):
    assert mesh.who("six.example.com", 2) == {SIX}
    assert mesh.who("both.example.com") == {ONE, SIX}


def test_a_name_that_moves_is_followed_after_its_ttl(mesh):
    assert mesh.who("moving.example.com", 3) == {ONE}
    mesh.names.records["moving.example.com"] = (1, [THREE])
    until(lambda: mesh.who("moving.example.com", 3) == {THREE}, "the new address is used", 10)


def test_the_last_good_answer_is_kept_while_the_dns_fails(mesh):
    assert mesh.who("kept.example.com", 3) == {TWO}
    before = mesh.lookups("failed")
    del mesh.names.records["kept.example.com"]
    until(lambda: mesh.lookups("failed") > before, "a question without an answer", 10)
    assert mesh.who("kept.example.com", 5) == {TWO}
    assert "the DNS has no answer for kept.example.com" in mesh.caller.log()
    assert "its last addresses stay in use" in mesh.caller.log()


def test_a_ttl_of_zero_counts_for_the_minimum(mesh):
    for _ in range(20):
        assert mesh.ask("zero.example.com").status == 200
    # One question for each family.
    assert mesh.names.asked["zero.example.com"] <= 2


@pytest.mark.parametrize("name", ["nowhere", "odd"])
def test_a_name_without_an_address_that_can_be_used_is_told(mesh, name):
    answer = mesh.ask(f"{name}.example.com")
    assert answer.status == 503 and "the DNS has no address for the host" in answer.text
    assert mesh.caller.metrics().sum("response_total", dst_service=name, response_flag="DF") > 0


def test_a_name_that_comes_to_be_is_found(mesh):
    assert mesh.ask("late.example.com").status == 503
    mesh.names.records["late.example.com"] = (1, [ONE])
    until(lambda: mesh.ask("late.example.com").status == 200, "the name has an address", 15)


# MARK: Hosts that requests name

def test_a_wildcard_goes_to_the_host_that_the_request_names(mesh):
    assert mesh.names.asked["a.wild.example.com"] == mesh.names.asked["x.y.wild.example.com"] == 0
    assert mesh.who("a.wild.example.com", 3) == {ONE}
    assert mesh.who("B.Wild.example.com.", 3) == {TWO}
    assert mesh.who("x.y.wild.example.com", 3) == {THREE}
    assert mesh.ask("a.wild.example.com").said["host"] == "a.wild.example.com"
    assert mesh.names.asked["a.wild.example.com"] <= 2


def test_several_hosts_are_as_many_backends(mesh):
    assert (mesh.who("first.example.com", 5), mesh.who("second.example.com", 5)) == ({ONE}, {TWO})


def test_a_name_that_the_wildcard_does_not_cover_is_none_of_its_hosts(mesh):
    """It leaves the mesh as any other host does, if it may."""
    mesh.ask("wild.example.com")
    until(lambda: mesh.caller.metrics().sum("egress_requests_total", decision="allowed", reason="ALLOW_ANY") == 1, "it leaves")
    answer = mesh.ask("bare.shop")
    assert answer.status == 404 and "does its route need a URLRewrite" in answer.text
    assert mesh.names.asked["bare.shop"] == 0


def test_a_route_names_the_host_by_a_rewrite(mesh):
    assert mesh.who("front.shop", 5) == {TWO}


def test_each_host_proves_its_own_name(mesh):
    assert mesh.ask("a.tls.example.com").said["sni"] == "a.tls.example.com"
    assert mesh.ask("b.tls.example.com").said["sni"] == "b.tls.example.com"
    answer = mesh.ask("c.tls.example.com")
    assert answer.status == 503 and "for other names" in answer.text


def test_a_hostile_number_of_hosts_costs_no_more_than_the_limit(mesh):
    limit = 256
    for number in range(limit + 20):
        assert mesh.ask(f"n{number}.wild.example.com").status == 503
    page = json.loads(http.get(mesh.caller.address, 15000, "/clusters").body)
    for worker in page["workers"]:
        assert sum(one["backend"] == "wild.shop:80" and "host" in one for one in worker["backends"]) <= limit
    # Those idle longest gave way, and come back.
    assert mesh.who("a.wild.example.com", 2) == {ONE}


# MARK: A DNS that says nothing

def test_a_silent_dns_fails_the_first_request_in_time_and_nothing_else(mesh):
    mesh.names.answers = False
    try:
        assert mesh.ask("silent.wild.example.com").status == 503
        assert mesh.who("two.example.com") == {ONE, TWO}
    finally:
        mesh.names.answers = True


# MARK: What is told

def test_endpoints_tell_that_the_dns_says_where_they_are(mesh):
    text = mesh.apus("endpoints", "tls.shop:80").stdout
    assert "by DNS" in text and "*.tls.example.com" in text and "TLS the host asked for" in text
    mesh.who("two.example.com", 2), mesh.who("a.wild.example.com", 1), mesh.who("b.wild.example.com", 1)
    two, = mesh.json("endpoints", "two.shop:80")
    assert two["hosts"] == ["two.example.com"]
    assert [(row["address"], row["workload"], row["state"]) for row in two["endpoints"]] == [
        (f"{address}:{PORT}", "two.example.com", "ready") for address in sorted((ONE, TWO))]
    rows = mesh.json("endpoints", "wild.shop:80", "--from", "client")[0]["endpoints"]
    found = {row["workload"]: row["address"] for row in rows}
    assert found["a.wild.example.com"] == f"{ONE}:{PORT}" and found["b.wild.example.com"] == f"{TWO}:{PORT}"
    backend, = mesh.json("why", "--from", "client", "--to", "http://a.wild.example.com/")["backends"]
    assert [row["address"] for row in backend["endpoints"]] == [f"{ONE}:{PORT}"]
    why = mesh.apus("why", "--from", "client", "--to", "http://a.wild.example.com/").stdout
    assert "wild.shop:80" in why and "delivered" in why and "finds the addresses of *.wild.example.com by the DNS" in why
