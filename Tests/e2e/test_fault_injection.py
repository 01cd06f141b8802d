"""FaultInjection against real proxies, over HTTP/1.1, HTTP/2 and gRPC: what clients see, what is counted, and how it ends. The
objects are in manifests/faults.yaml."""

import datetime
import os
import re
import signal
import time

import grpc
import pytest

from support import http
from support.gamma import PROTOCOLS, ROUTES, GammaMesh, service
from support.mesh import program
from support.waiting import until

SERVICES = ["refused", "matched", "halved", "delayed", "reset", "truncated", "corrupted", "narrow", "routed", "calm"]
LATER = ["switched", "ending", "gone"]


def fault(name, target, spec, end="2099-01-01T00:00:00Z"):
    return f"""
apiVersion: mesh.apus.dev/v1alpha1
kind: FaultInjection
metadata: {{ name: {name}, namespace: shop }}
spec:
  targetRefs: [{{ group: "", kind: Service, name: {target} }}]
  {spec}
  schedule: {{ end: "{end}" }}
"""


def everywhere(name, app_protocol="http"):
    """A service with every program behind it."""
    return service(name, app_protocol=app_protocol).replace(f"app: {name}", "group: echo")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    mesh = GammaMesh(tmp_path_factory.mktemp("faults"))
    try:
        mesh.up(service("echo", selector="group"), *map(everywhere, SERVICES + LATER), service("calls", app_protocol="grpc"),
                (ROUTES / "faults.yaml").read_text().replace("name: refused, sectionName: main }]",
                                                             "name: refused, sectionName: main }, "
                                                             '{ group: "", kind: Service, name: calls }]'))
        mesh.run("echo-v1", program("echo.py", 8080, "v1"), port=8080, own_address=True, labels={"group": "echo"})
        mesh.run("calls", program("grpc_server.py", 8080, "calls"), port=8080, own_address=True)
        mesh.caller, mesh.ports = mesh.connect(["echo", "calls", "refused:8080", *SERVICES, *LATER])
        until(lambda: mesh.ask("echo").said, "the program answers")
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(params=PROTOCOLS)
def ask(mesh, request):
    request.node.apus_mesh = mesh
    return lambda *arguments, **options: mesh.ask(*arguments, protocol=request.param, **options)


def injected(mesh, **labels):
    return mesh.caller.metrics().sum("injected_faults_total", **labels)


def counted(mesh, name):
    """What the success rates of dashboards are made of."""
    return mesh.caller.metrics().sum("response_total", direction="outbound", dst_service=name)


class Counted:
    """That exactly `faults` of these were counted meanwhile, and so many responses of the service."""

    def __init__(self, mesh, name, faults, responses, **labels):
        self.mesh, self.name, self.faults, self.responses, self.labels = mesh, name, faults, responses, labels

    def __enter__(self):
        self.before = (injected(self.mesh, dst_service=self.name, **self.labels), counted(self.mesh, self.name))

    def __exit__(self, kind, *_):
        if kind is None:
            expected = (self.before[0] + self.faults, self.before[1] + self.responses)
            now = lambda: (injected(self.mesh, dst_service=self.name, **self.labels), counted(self.mesh, self.name))
            until(lambda: now() == expected, f"{expected}, not {now()}")


# MARK: What clients see

def test_an_abort_answers_for_the_port_that_it_names(ask, mesh):
    with Counted(mesh, "refused", 3, 1, fault="abort", fault_injection="shop/refuse"):
        for _ in range(3):
            answer = ask("refused")
            assert (answer.status, answer.said) == (503, None)
            assert answer.body.startswith(b"fault injected: ")
        assert ask("refused:8080").status == 200


def test_a_grpc_call_is_aborted_with_its_own_status(mesh):
    with grpc.insecure_channel(f"127.0.0.1:{mesh.ports['calls']}",
                               options=[("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]) as channel:
        with Counted(mesh, "calls", 2, 0, fault="abort"):
            for _ in range(2):
                with pytest.raises(grpc.RpcError) as failure:
                    channel.unary_unary("/test.Echo/Unary")(b"x", timeout=20)
                assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert failure.value.details().startswith("fault injected: ")


def test_only_requests_and_callers_that_match(ask, mesh):
    chaos = {"x-test": "chaos"}
    assert ask("matched", "/pay/1", chaos, method="POST").status == 418
    for target, headers, method in [("/pay/1", {}, "POST"), ("/pay/1", chaos, "GET"), ("/paying", chaos, "POST")]:
        assert ask("matched", target, headers, method=method).status == 200


def test_a_share_of_the_requests(mesh):
    answers = [mesh.ask("halved").status for _ in range(200)]
    assert set(answers) == {200, 503} and 60 <= answers.count(503) <= 140


def test_a_delay_is_added_and_is_in_no_latency(ask, mesh):
    with Counted(mesh, "delayed", 1, 1, fault="delay"):
        start = time.monotonic()
        assert ask("delayed").status == 200
        assert time.monotonic() - start >= 0.3
    metrics = mesh.caller.metrics()
    assert metrics.sum("response_total", dst_service="delayed", response_flag="DI") == counted(mesh, "delayed")
    assert metrics.sum("response_latency_ms_sum", dst_service="delayed") < 300 * counted(mesh, "delayed")


def test_a_reset_leaves_no_answer(ask, mesh):
    with Counted(mesh, "reset", 1, 0, fault="reset"):
        with pytest.raises(OSError) as failure:
            ask("reset")
        assert re.search("reset|RST_STREAM", str(failure.value))


def test_a_body_is_cut(ask, mesh):
    with Counted(mesh, "truncated", 1, 0, fault="truncate"):
        with pytest.raises(Exception) as failure:
            ask("truncated")
        assert re.search("IncompleteRead|RST_STREAM", repr(failure.value))


def test_a_body_is_corrupted_and_keeps_its_length(ask, mesh):
    with Counted(mesh, "corrupted", 1, 0, fault="corrupt"):
        # JSON that is not what it was; so `said` cannot be read.
        with pytest.raises(ValueError):
            ask("corrupted", "/" + "x" * 2000)


def test_a_body_comes_as_slowly_as_asked_for(ask, mesh):
    with Counted(mesh, "narrow", 1, 1, fault="bandwidth"):
        start = time.monotonic()
        answer = ask("narrow", "/" + "x" * 500)
        assert answer.status == 200
        assert time.monotonic() - start >= (len(answer.body) - 100) / 1000


def test_a_fault_of_a_rule_is_that_rule_s_and_is_not_repeated(ask, mesh):
    retries = lambda: mesh.caller.metrics().sum("retries_total", dst_service="routed")
    before = retries()
    with Counted(mesh, "routed", 1, 1, route_name="httproute/shop/routed#first"):
        assert ask("routed", "/first").status == 503
        assert ask("routed", "/other").status == 200
    assert retries() == before


# MARK: How it ends

def test_a_schedule_that_is_over_strikes_nobody(ask):
    assert ask("calm").status == 200


def test_the_switch_stops_every_fault_within_a_second_and_starts_them_again(mesh):
    mesh.write("switched.yaml", fault("switched", "switched", "abort: { httpStatus: 503 }"))
    until(lambda: mesh.ask("switched").status == 503, "the fault is in force")

    def stop():
        """How long it took."""
        said = mesh.apus("chaos", "stop").stdout
        stopped = time.monotonic()
        assert "stopped for the whole mesh" in said and re.search(r"^switched +shop .* False \(Stopped\) ", said, re.M)
        until(lambda: mesh.ask("switched").status == 200, "the fault has stopped", interval=0.01)
        return time.monotonic() - stopped

    def start():
        assert "as the manifests say" in mesh.apus("chaos", "start").stdout
        until(lambda: mesh.ask("switched").status == 503, "the fault is back")
        return True

    # One time of three: the machine may be busy with other things.
    assert stop() < 1 or start() and stop() < 1 or start() and stop() < 1
    assert mesh.ask("refused").status == 200
    assert "False (Stopped)" in mesh.apus("chaos").stdout
    start()


def test_a_fault_ends_while_no_controller_is_there(mesh):
    def begin(seconds):
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        mesh.write("ending.yaml", fault("ending", "ending", "abort: { httpStatus: 503 }",
                                        end.isoformat(timespec="milliseconds")))
        try:
            return until(lambda: mesh.ask("ending").status == 503 and end, "the fault is in force", seconds - 1)
        except AssertionError:
            return None

    # A busy machine has it in force later than others.
    end = begin(3) or begin(12)
    mesh.controller.signal(signal.SIGSTOP)
    try:
        until(lambda: mesh.ask("ending").status == 200, "the fault has ended by itself", 20)
        assert datetime.datetime.now(datetime.timezone.utc) >= end
    finally:
        mesh.controller.signal(signal.SIGCONT)
    until(lambda: "Ended" in mesh.apus("get", "faultinjection", "ending").stdout, "the status tells")


def test_a_fault_ends_with_its_object(mesh):
    mesh.write("gone.yaml", fault("gone", "gone", "delay: { fixed: 1h }"))
    with pytest.raises(OSError):
        for _ in range(100):
            http.get("127.0.0.1", mesh.ports["gone"], "/", timeout=0.5)
            time.sleep(0.05)
    os.unlink(mesh.manifests / "gone.yaml")
    until(lambda: mesh.ask("gone").status == 200, "requests go through at once")


# MARK: What people are told

def test_status_says_what_is_in_force_and_what_is_not(mesh):
    table = mesh.apus("get", "faultinjection").stdout
    assert re.search(r"^refuse +shop +refused\.shop:main,calls\.shop +True +True +True +.*\.yaml:\d+$", table, re.M), table
    assert re.search(r"^over +shop +calm\.shop +True +True +False \(Ended\) ", table, re.M), table
    assert re.search(r"^lost +shop +refuse\.shop +False \(TargetNotFound\) ", table, re.M), table
    assert "did you mean refused?" in table
    document = mesh.apus("get", "faultinjection", "refuse", "-n", "shop", "-o", "yaml").stdout
    for line in ("kind: FaultInjection", "ancestors:", "type: Active", "reason: Active",
                 "controllerName: mesh.apus.dev/controller"):
        assert line in document


@pytest.mark.parametrize("spec, message", [
    ("abort: { httpStatus: 200 }", "spec.abort.httpStatus: must be a whole number from 400 to 599, not 200"),
    ("percent: 101\n  reset: true", "spec.percent: must be a number from 0.0 to 100.0, not 101"),
    ("abort: { httpStatus: 503 }\n  truncate: { afterBytes: 1 }", "spec.truncate: cannot stand beside abort"),
    ("dealy: { fixed: 1s }", "spec.dealy: is not a field of this object; did you mean delay?"),
])
def test_what_cannot_be_is_refused_with_its_place(mesh, spec, message):
    mesh.write("wrong.yaml", fault("wrong", "calm", spec))
    try:
        until(lambda: message in mesh.apus("status").stdout, message)
        assert re.search(r"wrong\.yaml:\d+:\d+: FaultInjection shop/wrong: " + re.escape(message), mesh.apus("status").stdout)
        assert re.search(r"^wrong +shop +calm\.shop +False \(Invalid\) ", mesh.apus("get", "faultinjection").stdout, re.M)
    finally:
        os.unlink(mesh.manifests / "wrong.yaml")
