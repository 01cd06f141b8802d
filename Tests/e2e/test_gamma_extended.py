"""Extended features of the Gateway API's HTTPRoute against real proxies, over HTTP/1.1 and HTTP/2: mirrors, time limits,
retries, CORS. The routes are in manifests/gamma-extended.yaml."""

import uuid

import pytest

from support.gamma import PROTOCOLS, gamma_mesh
from support.waiting import until

PARENTS = ["mirror", "timeouts", "retry", "cors", "backend-redirect"]
# No test waits this long: it only has to be far beyond every time limit of the routes.
LONG = 60


@pytest.fixture(scope="module")
def mesh_with_routes(tmp_path_factory):
    with gamma_mesh(tmp_path_factory.mktemp("extended"), "gamma-extended.yaml", PARENTS,
                    ["echo-v1", "echo-v2", "echo-v3"]) as mesh:
        yield mesh


@pytest.fixture(params=PROTOCOLS)
def ask(mesh_with_routes, request):
    request.node.apus_mesh = mesh_with_routes
    return lambda *arguments, **options: mesh_with_routes.ask(*arguments, protocol=request.param, **options)


@pytest.fixture
def key():
    """Names the requests of one test in what the programs have seen."""
    return uuid.uuid4().hex


# MARK: Mirrors

def copies(mesh, key, service="echo-v2"):
    return mesh.seen(service).get(key, 0)


@pytest.mark.parametrize("path, mirrors", [("/one", ["echo-v2"]), ("/two", ["echo-v2", "echo-v3"])])
def test_a_mirror_gets_a_copy_and_its_answer_is_dropped(ask, mesh_with_routes, key, path, mirrors):
    answer = ask("mirror", f"{path}?key={key}&status=200")
    assert (answer.status, answer.said["version"]) == (200, "v1")
    for name in mirrors:
        until(lambda: copies(mesh_with_routes, key, name) == 1, f"the copy at {name}")
    assert copies(mesh_with_routes, key, "echo-v1") == 1


def test_the_client_does_not_wait_for_a_slow_mirror(ask, mesh_with_routes, key):
    # The original is spared the delay: it was seen before by its own program.
    ask("mirror", f"/never?key={key}")
    answer = ask("mirror", f"/one?key={key}&delay={LONG}&first=1")
    assert (answer.status, answer.said["version"]) == (200, "v1")
    until(lambda: copies(mesh_with_routes, key) == 1, "the copy")


@pytest.mark.parametrize("path, percent", [("/percent", 20), ("/fraction", 35), ("/never", 0), ("/one", 100)])
def test_a_mirror_gets_its_share(ask, mesh_with_routes, key, path, percent):
    for _ in range(100):
        assert ask("mirror", f"{path}?key={key}").status == 200
    # Each worker deals its own share out evenly.
    lowest, highest = (percent - 3, percent + 3) if percent % 100 else (percent, percent)
    until(lambda: lowest <= copies(mesh_with_routes, key) <= highest, f"{percent} copies of 100")


def test_a_mirror_that_does_not_exist_costs_nothing(ask):
    assert ask("mirror", "/absent").said["version"] == "v1"


def test_a_copy_is_rewritten_as_its_original_is(ask, mesh_with_routes, key):
    target = f"/as-sent/a?key={key}"
    assert ask("mirror", f"/rewritten/a?key={key}").said["target"] == target
    until(lambda: mesh_with_routes.seen("echo-v2").get(target) == 1, "the copy under the new path")


# MARK: Time limits

@pytest.mark.parametrize("path", ["/request", "/backend", "/both"])
def test_what_takes_longer_than_its_limit_is_504(ask, path):
    assert ask("timeouts", f"{path}?delay={LONG}").status == 504
    assert ask("timeouts", path).status == 200


def test_limits_of_0_are_none(ask):
    assert ask("timeouts", "/disabled?delay=0.5").status == 200


# MARK: Retries

def attempts(mesh, key):
    return mesh.seen("echo-v1").get(key, 0)


@pytest.mark.parametrize("path, status, failures, expected, made", [
    ("/three-of-500", 500, 2, 200, 3), ("/three-of-500", 500, 3, 200, 4), ("/three-of-500", 500, 9, 500, 4),
    ("/three-of-500", 503, 1, 503, 1), ("/two-of-all", 502, 2, 200, 3), ("/two-of-all", 504, 9, 504, 3),
    ("/none", 500, 1, 500, 1)])
def test_listed_statuses_are_tried_again_until_the_attempts_are_spent(
        ask, mesh_with_routes, key, path, status, failures, expected, made):
    answer = ask("retry", f"{path}?status={status}&first={failures}&key={key}")
    assert (answer.status, attempts(mesh_with_routes, key)) == (expected, made)


def test_an_attempt_that_took_too_long_is_tried_again(ask, mesh_with_routes, key):
    assert ask("retry", f"/timeouts?delay={LONG}&first=1&key={key}").status == 200
    assert attempts(mesh_with_routes, key) >= 2


def test_the_limit_of_the_request_holds_for_all_attempts_together(ask, mesh_with_routes, key):
    assert ask("retry", f"/total?delay={LONG}&key={key}").status == 504
    assert attempts(mesh_with_routes, key) >= 2


# MARK: CORS

def access(answer):
    """The answer's fields of CORS, shortened."""
    prefix = "access-control-"
    return {name.removeprefix(prefix): value for name, value in answer.headers.items() if name.startswith(prefix)}


def preflight(origin, method="PUT", headers="x-one, x-three"):
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


@pytest.mark.parametrize("origin",
                         ["https://www.foo.com", "https://a.bar.com", "https://a.b.bar.com", "http://local.test:8080"])
def test_a_preflight_of_an_allowed_origin_is_answered_by_the_proxy(ask, origin):
    answer = ask("cors", "/exact", preflight(origin), "OPTIONS")
    assert answer.status in (200, 204) and answer.said is None
    assert access(answer) == {"allow-origin": origin, "allow-methods": "GET, PUT", "allow-headers": "x-one, x-two",
                              "max-age": "3600"}


@pytest.mark.parametrize("origin", [
    "https://foo.com", "http://www.foo.com", "https://bar.com", "https://a.bar.com.evil.example", "https://abar.com",
    "http://local.test", "https://www.foo.com:444", "null"])
def test_an_origin_that_is_not_listed_gets_no_permission(ask, origin):
    assert access(ask("cors", "/exact", preflight(origin), "OPTIONS")) == {}
    assert access(ask("cors", "/exact", {"Origin": origin})) == {}


def test_a_simple_request_is_served_and_marked(ask):
    answer = ask("cors", "/exact", {"Origin": "https://www.foo.com"})
    assert answer.said["version"] == "v1" and "origin" in answer.headers["vary"].lower()
    assert access(answer) == {"allow-origin": "https://www.foo.com", "expose-headers": "x-version"}
    assert access(ask("cors", "/exact")) == {}


def test_wildcards_stand_for_themselves_without_credentials(ask):
    assert access(ask("cors", "/wildcards", preflight("https://any.example"), "OPTIONS")) == {
        "allow-origin": "*", "allow-methods": "*", "allow-headers": "*", "max-age": "5"}
    assert access(ask("cors", "/wildcards", {"Origin": "https://any.example"})) == {"allow-origin": "*", "expose-headers": "*"}


def test_with_credentials_wildcards_become_what_was_asked_for(ask):
    assert access(ask("cors", "/credentials", preflight("https://any.example"), "OPTIONS")) == {
        "allow-origin": "https://any.example", "allow-credentials": "true", "allow-methods": "PUT",
        "allow-headers": "x-one, x-three", "max-age": "5"}
    simple = access(ask("cors", "/credentials", {"Origin": "https://any.example"}))
    assert simple["allow-origin"] == "https://any.example" and simple["allow-credentials"] == "true"
    assert "x-version" in simple["expose-headers"]


# MARK: Filters of a backend

def test_a_redirect_of_a_backend_answers_in_its_place(ask):
    answer = ask("backend-redirect", "/a?b=c")
    assert (answer.status, answer.headers["location"]) == (301, "http://example.org/a?b=c")
