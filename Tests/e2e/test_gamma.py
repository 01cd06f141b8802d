"""The mesh profile of the Gateway API's conformance tests (GAMMA) against real proxies, over HTTP/1.1 and HTTP/2.

Stricter than the originals: what the program was asked is compared too, and the whole of `Location`. The routes are in
manifests/gamma.yaml; a service for each of their parents stands beside them.
"""

import pytest

from support.gamma import PROTOCOLS, gamma_mesh
from support.waiting import until

PARENTS = ["matching", "exact", "order", "headers", "methods", "query", "weight", "modify", "modify-backend", "modify-shares",
           "responses", "redirect", "redirect-path", "rewrite", "named", "broken"]


@pytest.fixture(scope="module")
def mesh_with_routes(tmp_path_factory):
    with gamma_mesh(tmp_path_factory.mktemp("gamma"), "gamma.yaml", PARENTS) as mesh:
        _, mesh.strangers = mesh.connect(["echo-v1"], namespace="consumer")
        until(lambda: mesh.ask("echo-v1", ports=mesh.strangers).said, "the stranger is served")
        yield mesh


@pytest.fixture(params=PROTOCOLS)
def ask(mesh_with_routes, request):
    request.node.apus_mesh = mesh_with_routes
    return lambda *arguments, **options: mesh_with_routes.ask(*arguments, protocol=request.param, **options)


def version(answer):
    """Of the program that answered; the status if it was not asked."""
    return answer.said["version"] if answer.said else answer.status


# MARK: Whose requests

def test_a_service_without_a_route_answers(ask):
    assert version(ask("echo")) in ("v1", "v2")
    until(lambda: {version(ask("echo")) for _ in range(8)} == {"v1", "v2"}, "both programs of the service answer")


def test_a_route_takes_the_requests_of_its_parent_whatever_host_they_name(ask):
    answer = ask("echo-v2", host="echo-v1")
    assert (version(answer), answer.headers["x-header-set"]) == ("v2", "v2")
    assert dict(answer.said["headers"])["host"] == "echo-v1"
    answer = ask("exact", "/v1", host="echo-v2")
    assert version(answer) == "v1" and "x-header-set" not in answer.headers


def test_a_route_of_one_port_leaves_the_others(ask):
    assert ask("echo-v1").headers["x-header-set"] == "v1"
    beside = ask("echo-v1:8080")
    assert version(beside) == "v1" and "x-header-set" not in beside.headers
    for name in ("echo-v2", "echo-v2:8080"):
        answer = ask(name)
        assert (version(answer), answer.headers["x-header-set"]) == ("v2", "v2")


def test_a_consumer_route_is_for_the_clients_of_its_namespace(ask, mesh_with_routes):
    answer = ask("echo-v1", ports=mesh_with_routes.strangers)
    assert (version(answer), answer.headers["x-header-set"]) == ("v1", "consumer")
    assert ask("echo-v1").headers["x-header-set"] == "v1"


def test_every_route_is_accepted(mesh_with_routes):
    routes = mesh_with_routes.json("get", "httproute")["items"]
    assert len(routes) == len(PARENTS) + 3
    for route in routes:
        for parent in route["status"]["parents"]:
            conditions = {condition["type"]: condition for condition in parent["conditions"]}
            assert conditions["Accepted"]["status"] == "True", route
            resolved = route["metadata"]["name"] not in ("weight", "broken")
            assert conditions["ResolvedRefs"]["status"] == str(resolved), route


# MARK: Matches

CASES = [
    ("matching", "/", {}, "v1"), ("matching", "/example", {}, "v1"), ("matching", "/", {"Version": "one"}, "v1"),
    ("matching", "/v2example", {}, "v1"), ("matching", "/foo/v2/example", {}, "v1"),
    ("matching", "/v2", {}, "v2"), ("matching", "/v2/", {}, "v2"), ("matching", "/v2/example", {}, "v2"),
    ("matching", "/v2?a=b", {}, "v2"), ("matching", "/", {"Version": "two"}, "v2"),
    ("exact", "/v1", {}, "v1"), ("exact", "/v2", {}, "v2"), ("exact", "/v1?a=/v2", {}, "v1"),
    ("exact", "/", {}, 404), ("exact", "/v1/", {}, 404), ("exact", "/v1/example", {}, 404), ("exact", "/V1", {}, 404),
    ("order", "/match/exact", {}, "v2"), ("order", "/match/exact/", {}, "v1"), ("order", "/match", {}, "v1"),
    ("order", "/match/any", {}, "v1"), ("order", "/match/prefix", {}, "v2"), ("order", "/match/prefix/any", {}, "v2"),
    ("order", "/match/prefixes", {}, "v1"), ("order", "/match/prefix/17", {}, "v1"),
    ("order", "/match/prefix/17x", {}, "v2"), ("order", "/other", {}, 404),
    ("headers", "/", {"Color": "blue", "Size": "xl"}, "v1"), ("headers", "/", {"color": "blue"}, "v2"),
    ("headers", "/", {"color": "blue", "size": "xxl"}, "v2"), ("headers", "/", {"color": "green", "size": "l"}, "v2"),
    ("headers", "/", {"color": "Blue"}, 404), ("headers", "/", {"size": "l"}, 404), ("headers", "/", {}, 404),
    ("query", "/?animal=whale", {}, "v1"), ("query", "/?animal=dolphin", {}, "v2"),
    ("query", "/?animal=dolphin&color=blue", {}, "v2"), ("query", "/?color=blue&animal=dolphin", {}, "v2"),
    ("query", "/?color=blue", {}, 404), ("query", "/?animal=dog", {}, 404), ("query", "/?animal=whaledolphin", {}, 404),
    ("query", "/?Animal=whale", {}, 404), ("query", "/?animal=Whale", {}, 404), ("query", "/", {}, 404),
    ("query", "/?animal=dog&animal=whale", {}, 404), ("query", "/?animal=whale&animal=dog", {}, "v1"),
    ("query", "/?xanimal=whale", {}, 404), ("query", "/animal=whale", {}, 404), ("query", "/?animal", {}, 404),
    ("query", "/path1?animal=shark", {}, "v1"), ("query", "/path2?animal=shark", {}, 404),
    ("query", "/?animal=kraken", {"Version": "one"}, "v2"), ("query", "/?animal=kraken", {}, 404),
    ("query", "/path3?animal=shark", {}, "v1"), ("query", "/path4?animal=kraken", {"Version": "three"}, "v1"),
    ("query", "/path4?animal=kraken", {}, 404), ("query", "/path3?animal=kraken", {"Version": "three"}, 404),
    ("query", "/path5?animal=hydra", {}, "v1"), ("query", "/?animal=hydra", {}, "v2"),
    ("query", "/?animal=x-ray-fish", {}, "v2"), ("query", "/?animal=an-x-ray", {}, 404),
]


def test_matches_of_path_header_and_query(ask):
    wrong = []
    for name, target, headers, expected in CASES:
        answer = ask(name, target, headers)
        if version(answer) != expected or (answer.said and answer.said["target"] != target):
            wrong.append((name, target, headers, expected, answer))
    assert wrong == []


@pytest.mark.parametrize("method, target, headers, expected", [
    ("POST", "/", {}, "v1"), ("GET", "/", {}, "v2"), ("HEAD", "/", {}, 404), ("DELETE", "/", {}, 404),
    ("PUT", "/path/x", {}, "v1"), ("PUT", "/path/longer", {}, "v2"), ("PUT", "/", {}, 404),
    ("PATCH", "/", {"version": "two"}, "v1"), ("DELETE", "/", {"version": "two"}, "v2")])
def test_the_method_counts_after_the_path_and_before_headers(ask, method, target, headers, expected):
    answer = ask("methods", target, headers, method=method)
    assert version(answer) == expected
    assert answer.said is None or answer.said["method"] == method


def test_named_and_unnamed_rules_serve_and_show_in_metrics(ask, mesh_with_routes):
    assert version(ask("named", "/named")) == "v1" and version(ask("named", "/unnamed")) == "v2"
    routes = mesh_with_routes.caller.metrics().by("route_name", "response_total", direction="outbound", status_code="200")
    assert {"httproute/shop/named#named-rule", "httproute/shop/named#1"} <= set(routes)


# MARK: Backends

def test_weights_are_kept_and_a_share_of_0_gets_nothing(ask):
    answers = [version(ask("weight")) for _ in range(200)]
    assert set(answers) == {"v1", "v2"}
    # Shares are dealt out evenly by each worker, so a few requests are all that they may differ by.
    assert abs(answers.count("v1") - 140) <= 6, answers.count("v1")


def test_what_no_backend_can_serve_is_500(ask):
    broken = {path: version(ask("broken", path)) for path in (
        "/absent", "/port", "/kind", "/none", "/empty", "/zero", "/good")}
    assert broken == {**dict.fromkeys(broken, 500), "/good": "v1"}
    answers = [version(ask("broken", "/half")) for _ in range(20)]
    assert set(answers) == {"v1", 500} and 7 <= answers.count(500) <= 13


# MARK: Header filters

ADDED = "add-appends-values"
MODIFIED = [
    ("/set", {"Some-Other-Header": "val"}, {"some-other-header": ["val"], "x-header-set": ["set-overwrites-values"]}),
    ("/set", {"X-Header-Set": "some-other-value"}, {"x-header-set": ["set-overwrites-values"]}),
    ("/add", {"Some-Other-Header": "val"}, {"some-other-header": ["val"], "x-header-add": [ADDED]}),
    ("/add", {"X-Header-Add": "some-other-value"}, {"x-header-add": ["some-other-value", ADDED]}),
    ("/remove", {"X-Header-Remove": "val", "Other": "val"}, {"x-header-remove": [], "other": ["val"]}),
    ("/multiple", {"X-Header-Set-2": "old", "X-Header-Add-2": "old", "X-Header-Remove-2": "old", "Other": "val"},
     {"x-header-set-1": ["header-set-1"], "x-header-set-2": ["header-set-2"], "x-header-add-1": ["header-add-1"],
      "x-header-add-2": ["old", "header-add-2"], "x-header-remove-2": [], "other": ["val"]}),
    ("/case-insensitivity", {"x-header-SET": "old", "x-header-ADD": "old", "X-Header-Remove": "old"},
     {"x-header-set": ["header-set"], "x-header-add": ["old", "header-add"], "x-header-remove": []}),
]


@pytest.mark.parametrize("name", ["modify", "modify-backend"])
@pytest.mark.parametrize("path, sent, expected", MODIFIED)
def test_request_headers_are_set_added_and_removed(ask, name, path, sent, expected):
    answer = ask(name, path, sent)
    assert version(answer) == "v1" and answer.said["target"] == path
    got = {wanted: [part.strip() for key, value in answer.said["headers"] if key == wanted for part in value.split(",")]
           for wanted in expected}
    assert got == expected


def test_filters_of_a_backend_are_for_its_share_only(ask):
    said = [ask("modify-shares").said for _ in range(20)]
    assert {(one["version"], dict(one["headers"])["x-share"]) for one in said} == {("v1", "v1"), ("v2", "v2")}


def test_response_headers_are_set_added_and_removed(ask):
    headers = ask("responses").headers
    assert headers["x-response-set"] == "by the route" and headers["x-response-new"] == "new"
    assert "x-response-remove" not in headers and headers["x-version"] == "v1"
    # A dictionary keeps the last line of a name.
    assert headers["x-response-add"] in ("route", "program, route")


# MARK: Redirects and rewrites

@pytest.mark.parametrize("name, target, status, location", [
    ("redirect", "/hostname", 302, "http://example.org/hostname"),
    ("redirect", "/hostname/a?b=c&d", 302, "http://example.org/hostname/a?b=c&d"),
    ("redirect", "/host-and-status", 301, "http://example.org/host-and-status"),
    ("redirect", "/see-other", 303, "http://example.org/see-other"),
    ("redirect", "/temporary", 307, "http://example.org/temporary"),
    ("redirect", "/permanent", 308, "http://example.org/permanent"),
    ("redirect", "/port", 302, "http://redirect.shop:8083/port"),
    ("redirect", "/port-and-host", 302, "http://example.org:8083/port-and-host"),
    ("redirect", "/port-and-status", 301, "http://redirect.shop:8083/port-and-status"),
    ("redirect", "/scheme", 302, "https://redirect.shop/scheme"),
    ("redirect", "/scheme-and-host", 302, "https://example.org/scheme-and-host"),
    ("redirect", "/scheme-and-port", 302, "https://redirect.shop:8443/scheme-and-port"),
    ("redirect", "/scheme-and-well-known", 302, "https://redirect.shop/scheme-and-well-known"),
    ("redirect", "/same-scheme", 302, "http://redirect.shop/same-scheme"),
    ("redirect-path", "/original-prefix", 302, "http://redirect-path.shop/replacement-prefix"),
    ("redirect-path", "/original-prefix/lemon?a=b", 302, "http://redirect-path.shop/replacement-prefix/lemon?a=b"),
    ("redirect-path", "/strip/a", 302, "http://redirect-path.shop/a"),
    ("redirect-path", "/strip//evil.example", 302, "http://redirect-path.shop//evil.example"),
    ("redirect-path", "/full/path/original?a=b", 302, "http://redirect-path.shop/full-path-replacement?a=b"),
    ("redirect-path", "/full-and-host/a", 302, "http://example.org/full-path-replacement"),
    ("redirect-path", "/prefix-and-status/a", 301, "http://example.org/replacement-prefix/a"),
])
def test_a_redirect_says_the_whole_location(ask, name, target, status, location):
    answer = ask(name, target)
    assert (answer.status, answer.headers["location"], answer.said) == (status, location, None)


@pytest.mark.parametrize("target, expected, host", [
    ("/prefix/one/two", "/one/two", None), ("/prefix/one", "/one", None), ("/prefix/one/?a=b", "/one/?a=b", None),
    ("/strip-prefix/three", "/three", None), ("/strip-prefix", "/", None), ("/strip-prefix?a=b", "/?a=b", None),
    ("/empty/three", "/three", None), ("/empty", "/", None), ("/slashes/two", "/one/two", None), ("/slashes", "/one", None),
    ("/full/one/two?a=b", "/one?a=b", None), ("/host/a", "/host/a", "one.example.org"),
    ("/host-and-path/a", "/p/a", "test.example.org"), ("/backend/a", "/of/v1/a", "backend.example.org"),
])
def test_a_rewrite_changes_what_the_program_is_asked(ask, target, expected, host):
    answer = ask("rewrite", target)
    assert (version(answer), answer.said["target"]) == ("v1", expected)
    assert dict(answer.said["headers"])["host"] == (host or "rewrite.shop")


def test_a_rewrite_and_a_header_filter_work_together(ask):
    said = ask("rewrite", "/modified/a", {"x-header-set": "old", "x-header-remove": "old"}).said
    headers = dict(said["headers"])
    assert said["target"] == "/p/a" and headers["x-header-set"] == "set" and headers["x-header-add"] == "add"
    assert "x-header-remove" not in headers
