"""Sessions with endpoints (`sessionPersistence` of HTTPRoute and GRPCRoute) against real proxies, over HTTP/1.1, HTTP/2 and
gRPC. The routes are in manifests/sessions.yaml."""

import collections
import http.cookies
import signal
import time

import grpc
import pytest

from support.gamma import PROTOCOLS, ROUTES, GammaMesh, service
from support.mesh import program
from support.waiting import until

PROGRAMS = {"echo-v1": ["a", "b"], "echo-v2": ["c", "d"]}


@pytest.fixture(scope="module")
def mesh_with_sessions(tmp_path_factory):
    mesh = GammaMesh(tmp_path_factory.mktemp("sessions"))
    try:
        calls = [service(name, app_protocol="grpc") for name in ("calls", "grpc-v1", "grpc-v2")]
        mesh.write("sessions.yaml", (ROUTES / "sessions.yaml").read_text())
        mesh.up(*map(service, ["cookies", "headers", *PROGRAMS]), *calls)
        mesh.programs = {
            one: mesh.run(name, program("echo.py", 8080, one), port=8080, own_address=True)
            for name, several in PROGRAMS.items() for one in several}
        for name in ("grpc-v1", "grpc-v2"):
            mesh.run(name, program("grpc_server.py", 8080, name), port=8080, own_address=True)
        mesh.caller, mesh.ports = mesh.connect(["cookies", "headers", "calls", "echo-v1"])
        # Another proxy, in another process: what one gives out the other must understand.
        mesh.second, mesh.second_ports = mesh.connect(["cookies", "headers", "echo-v1"])
        until(lambda: {mesh.ask("cookies").said["version"] for _ in range(12)} == set("abcd"), "every program answers")
        until(lambda: mesh.ask("cookies", ports=mesh.second_ports).said, "the other proxy answers")
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(params=PROTOCOLS)
def ask(mesh_with_sessions, request):
    request.node.apus_mesh = mesh_with_sessions
    return lambda *arguments, **options: mesh_with_sessions.ask(*arguments, protocol=request.param, **options)


def morsel(answer, name):
    """The cookie of that name that an answer sets."""
    return http.cookies.SimpleCookie(answer.headers.get("set-cookie", "")).get(name)


def version(answer):
    assert answer.status == 200
    return answer.said["version"]


def test_a_cookie_keeps_its_endpoint_at_every_proxy(ask, mesh_with_sessions):
    firsts = [ask("cookies") for _ in range(12)]
    assert len(collections.Counter(map(version, firsts))) > 2
    for first in firsts[:4]:
        sid = morsel(first, "sid")
        assert sid["path"] == "/" and sid["httponly"] and sid["samesite"] == "Strict" and not sid["max-age"]
        for ports in (mesh_with_sessions.ports, mesh_with_sessions.second_ports):
            for _ in range(3):
                again = ask("cookies", headers={"cookie": f"a=b; sid={sid.value}"}, ports=ports)
                assert version(again) == version(first)
                assert "set-cookie" not in again.headers


def test_a_header_keeps_its_endpoint(ask, mesh_with_sessions):
    first = ask("headers")
    token = first.headers["x-session"]
    for ports in (mesh_with_sessions.ports, mesh_with_sessions.second_ports):
        for _ in range(5):
            assert version(ask("headers", headers={"X-Session": token}, ports=ports)) == version(first)


def test_a_policy_gives_a_service_without_a_route_sessions(ask, mesh_with_sessions):
    firsts = [ask("echo-v1") for _ in range(12)]
    assert set(map(version, firsts)) == set("ab")
    for first in firsts[:4]:
        headers = {"cookie": f"kept={morsel(first, 'kept').value}"}
        for ports in (mesh_with_sessions.ports, mesh_with_sessions.second_ports):
            assert {version(ask("echo-v1", headers=headers, ports=ports)) for _ in range(4)} == {version(first)}


def test_a_made_up_token_points_nowhere(ask):
    for made_up in ("127.0.0.1:22", "A" * 32, "../../etc"):
        answer = ask("cookies", headers={"cookie": f"sid={made_up}"})
        assert answer.status == 200 and morsel(answer, "sid").value != made_up


def test_rules_do_not_share_sessions(ask):
    sid = morsel(ask("cookies"), "sid").value
    other = ask("cookies", "/idle", headers={"cookie": f"idle={sid}"})
    assert morsel(other, "idle").value != sid


def test_a_permanent_cookie_tells_its_end_and_ends(ask):
    first = ask("cookies", "/permanent/a")
    cookie = morsel(first, "forever")
    assert (cookie["max-age"], cookie["path"]) == ("3", "/permanent")
    headers = {"cookie": f"forever={cookie.value}"}
    assert "set-cookie" not in ask("cookies", "/permanent/a", headers=headers).headers
    # Used all the time, and over all the same.
    until(lambda: "set-cookie" in ask("cookies", "/permanent/a", headers=headers).headers, "the session's end", 10)


def test_an_idle_session_ends_unless_it_is_used(mesh_with_sessions):
    ask = mesh_with_sessions.ask
    left = morsel(ask("cookies", "/idle"), "idle").value
    first = ask("cookies", "/idle")
    token, start = morsel(first, "idle").value, time.monotonic()
    while time.monotonic() < start + 4.2:
        time.sleep(0.2)
        answer = ask("cookies", "/idle", headers={"cookie": f"idle={token}"})
        assert version(answer) == version(first)
        # The use is noted in the token, once a second.
        if morsel(answer, "idle"):
            token = morsel(answer, "idle").value
    assert mesh_with_sessions.ask("cookies", "/idle", headers={"cookie": f"idle={left}"}).headers["set-cookie"]


def test_a_call_of_grpc_keeps_its_endpoint(mesh_with_sessions):
    with grpc.insecure_channel(f"127.0.0.1:{mesh_with_sessions.ports['calls']}",
                               options=[("grpc.enable_http_proxy", 0)]) as opened:
        unary = opened.unary_unary("/test.Echo/Unary")

        def call(metadata=()):
            _, said = unary.with_call(b"x", timeout=20, metadata=metadata, wait_for_ready=True)
            return dict(said.trailing_metadata())["x-name"], dict(said.initial_metadata()).get("x-session")

        until(lambda: {call()[0] for _ in range(4)} == {"grpc-v1", "grpc-v2"}, "both programs answer")
        for _ in range(4):
            server, token = call()
            for _ in range(4):
                assert call([("x-session", token)]) == (server, None)


def test_a_call_is_repeated_by_its_status_at_the_other_endpoint(mesh_with_sessions):
    def repeats():
        return mesh_with_sessions.caller.metrics().sum("retries_total", reason="grpc_status")

    before = repeats()
    with grpc.insecure_channel(f"127.0.0.1:{mesh_with_sessions.ports['calls']}",
                               options=[("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]) as opened:
        unary = opened.unary_unary("/test.Echo/Unary")
        for code, added in ((14, 2), (13, 2)):
            with pytest.raises(grpc.RpcError) as caught:
                unary(b"x", timeout=20, metadata=[("x-do", f"abort {code}")], wait_for_ready=True)
            assert caught.value.code().value[0] == code
            until(lambda: repeats() == before + added, "the repeats are counted")


def test_why_and_routes_tell_of_the_session(mesh_with_sessions):
    first = mesh_with_sessions.ask("cookies")
    token = morsel(first, "sid").value
    address = mesh_with_sessions.programs[version(first)].address
    said = mesh_with_sessions.apus("why", "--from", mesh_with_sessions.caller.workload_name, "--to", "http://cookies.shop/",
                                   "-H", f"cookie: sid={token}").stdout
    assert f"goes to {address}:8080 of echo-v" in said
    assert "session by cookie sid" in mesh_with_sessions.apus("routes").stdout


def test_weights_move_new_sessions_only_and_a_gone_endpoint_ends_its_session(mesh_with_sessions):
    ask = mesh_with_sessions.ask
    first = next(answer for answer in (ask("cookies") for _ in range(50)) if version(answer) in "ab")
    headers = {"cookie": f"sid={morsel(first, 'sid').value}"}
    shifted = (ROUTES / "sessions.yaml").read_text().replace("echo-v1, port: 80, weight: 50", "echo-v1, port: 80, weight: 0")
    mesh_with_sessions.write("sessions.yaml", shifted)
    until(lambda: {version(ask("cookies")) for _ in range(8)} <= set("cd"), "the new weights")
    for _ in range(5):
        assert version(ask("cookies", headers=headers)) == version(first)
    mesh_with_sessions.programs[version(first)].signal(signal.SIGTERM)
    until(lambda: version(ask("cookies", headers=headers)) in "cd", "the session has moved")
    moved = ask("cookies", headers=headers)
    again = ask("cookies", headers={"cookie": f"sid={morsel(moved, 'sid').value}"})
    assert version(again) == version(moved) and "set-cookie" not in again.headers
