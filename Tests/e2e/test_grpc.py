"""grpcio clients and servers with two proxies between them."""

import contextlib
import json
import re
import threading
import time

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from support import grpc_peer, manifests
from support.mesh import INBOUND_PORT, Mesh, program
from support.waiting import free_port, until

LARGE = 10 << 20
OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20),
           ("grpc.enable_http_proxy", 0)]


class Calls:
    """The methods of `programs/grpc_server.py` on one channel of its own connection."""

    def __init__(self, address, options=()):
        self.channel = grpc.insecure_channel(address, options=[*OPTIONS, ("grpc.use_local_subchannel_pool", 1), *options])
        self.unary = self.channel.unary_unary("/test.Echo/Unary")
        self.collect = self.channel.stream_unary("/test.Echo/Collect")
        self.produce = self.channel.unary_stream("/test.Echo/Produce")
        self.chat = self.channel.stream_stream("/test.Echo/Chat")
        self.watch = self.channel.unary_stream("/test.Echo/Watch")
        self.missing = self.channel.unary_unary("/test.Echo/Missing")
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def do(self, wish, message=b"hello", timeout=20):
        return self.unary.with_call(message, timeout=timeout, metadata=[("x-do", wish)])

    def state(self):
        return json.loads(self.channel.unary_unary("/test.Echo/State")(b"", timeout=20))


@contextlib.contextmanager
def failure(code):
    with pytest.raises(grpc.RpcError) as caught:
        yield caught
    assert caught.value.code() is code, caught.value


def serve(mesh, service, name=None, **options):
    return mesh.run(service, program("grpc_server.py", 8080, name or service), port=8080, own_address=True, **options)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """One mesh for the tests that leave it as it was: service `echo`, its server, a client with a mapped port."""
    mesh = Mesh(tmp_path_factory.mktemp("grpc"))
    try:
        names = ["split", "split-a", "split-b", "split-c"]
        mesh.up(manifests.service("echo", app_protocol="grpc"), manifests.service("nobody", app_protocol="grpc"),
                manifests.service("mortal", app_protocol="grpc"),
                *[manifests.service(name, app_protocol="grpc") for name in names],
                manifests.traffic_split("split", {"split-a": 50, "split-b": 30, "split-c": 20}))
        mesh.server = serve(mesh, "echo", flags=["--access-log", "all"])
        mesh.caller, mesh.port, mesh.nobody, mesh.mortal = mesh.client(
            "echo.shop:80", "nobody.shop:80", "mortal.shop:80", flags=["--access-log", "all"])
        until(lambda: ready(mesh.port), "the server answers through the mesh")
        yield mesh
    finally:
        mesh.stop()


def ready(port):
    try:
        return Calls(f"127.0.0.1:{port}").do("")[0]
    except grpc.RpcError:
        return None


@pytest.fixture
def calls(shop, request):
    request.node.apus_mesh = shop
    made = Calls(f"127.0.0.1:{shop.port}")
    yield made
    made.channel.close()


def test_the_four_kinds_of_calls(calls):
    assert calls.unary(b"hello", timeout=20) == b"hello"
    assert calls.unary(b"", timeout=20) == b""
    assert calls.collect(iter([b"abc"] * 100), timeout=20) == b"300"
    assert [len(message) for message in calls.produce(b"100 1000", timeout=20)] == [1000] * 100
    assert list(calls.chat(iter([b"%d" % number for number in range(100)]), timeout=20)) == [
        b"%d" % number for number in range(100)]
    assert list(calls.chat(iter([]), timeout=20)) == []


def test_a_bidirectional_stream_answers_each_message_before_the_next_is_sent(calls):
    turn, answers = threading.Semaphore(1), []

    def messages():
        for number in range(20):
            assert turn.acquire(timeout=20)
            yield b"%d" % number

    for answer in calls.chat(messages(), timeout=40):
        answers.append(answer)
        turn.release()
    assert answers == [b"%d" % number for number in range(20)]


def test_messages_larger_than_every_window_several_at_once(calls):
    message = bytes(range(256)) * (LARGE // 256)
    assert calls.unary(message, timeout=60) == message
    pending = [calls.unary.future(message, timeout=100) for _ in range(4)]
    assert all(call.result() == message for call in pending)
    assert [len(part) for part in calls.produce(b"3 %d" % LARGE, timeout=60)] == [LARGE] * 3
    assert calls.collect(iter([message] * 3), timeout=60) == b"%d" % (3 * LARGE)


def test_compressed_messages_stay_compressed(calls, shop):
    message = b"abc" * 100_000
    fields = [("x-request-id", "compressed")]
    assert calls.unary(message, timeout=20, compression=grpc.Compression.Gzip, metadata=fields) == message
    line = shop.server.wait_for_log(r'\{.*"request_id":"compressed".*\}').group(0)
    assert 0 < json.loads(line)["bytes_in"] < 10_000


def test_metadata_with_duplicates_and_bytes(calls):
    fields = [("x-do", "metadata"), ("x-one", "1"), ("x-one", "2"), ("x-raw-bin", bytes(range(256))), ("x-raw-bin", b"\0")]
    _, call = calls.unary.with_call(b"", timeout=20, metadata=fields)
    for received in (call.initial_metadata(), call.trailing_metadata()):
        told = [pair for pair in received if pair[0].startswith("x-") and pair[0] != "x-forwarded-client-cert"]
        assert told == fields


def test_metadata_above_the_limit_is_a_status_of_that_call_alone(calls):
    with failure(grpc.StatusCode.RESOURCE_EXHAUSTED):
        calls.unary(b"", timeout=20, metadata=[("x-large", "a" * 100_000)])
    assert calls.unary(b"hello", timeout=20) == b"hello"


def test_a_status_with_details(calls):
    with failure(grpc.StatusCode.FAILED_PRECONDITION) as caught:
        calls.do("details")
    status = rpc_status.from_call(caught.value)
    detail = status_pb2.Status()
    assert status.message == "not yet: 100% é" and status.details[0].Unpack(detail) and detail.message == "the detail"


def test_an_unknown_method_is_the_servers_answer_in_trailers_only(calls):
    with failure(grpc.StatusCode.UNIMPLEMENTED) as caught:
        calls.missing(b"", timeout=20)
    assert "apus" not in caught.value.details()


def test_the_standard_health_service(calls):
    serving = health_pb2.HealthCheckResponse.SERVING
    assert calls.health.Check(health_pb2.HealthCheckRequest(service="test.Echo"), timeout=20).status == serving
    watch = calls.health.Watch(health_pb2.HealthCheckRequest(service=""))
    assert next(watch).status == serving
    watch.cancel()


def test_the_server_gets_the_time_that_is_left(calls):
    # What grpcio calls no deadline.
    assert float(calls.do("remaining", timeout=None)[0]) > 1e9
    for timeout in (10, 20, 5000):
        left = float(calls.do("remaining", timeout=timeout)[0])
        # grpcio rounds what it sends up, by at most one in a hundred.
        assert timeout - 9 < left < timeout * 1.01


def test_a_deadline_ends_the_call_on_both_sides(calls, shop):
    cancelled = calls.state()["cancelled"]
    started = time.monotonic()
    with failure(grpc.StatusCode.DEADLINE_EXCEEDED):
        calls.do("slow", timeout=1)
    assert time.monotonic() - started >= 0.95
    until(lambda: calls.state()["cancelled"] >= cancelled + 1, "the server saw the end")
    assert 0 < calls.state()["remaining"] < 1.01


def test_a_client_without_a_clock_is_told_of_its_deadline_by_the_proxy(shop):
    # grpcio's own timer would answer first: this client only states its deadline.
    answer = grpc_peer.call("127.0.0.1", shop.port, "/test.Echo/Unary", [("x-do", "slow"), ("grpc-timeout", "300m")])
    assert answer["grpc-status"] == "4" and answer[":status"] == "200", answer
    # The application's proxy, a little closer to the end, may have said so first.
    assert shop.caller.metrics().sum("response_total", direction="outbound", grpc_status="4", classification="failure") >= 1


def test_cancellation_reaches_the_server_at_once(calls):
    before = calls.state()
    watch = calls.watch(b"")
    assert next(watch) == b"first"
    assert calls.state()["waiting"] == before["waiting"] + 1
    watch.cancel()
    until(lambda: calls.state()["cancelled"] >= before["cancelled"] + 1, "the server saw it")


def test_a_closed_client_connection_cancels_its_calls(calls, shop):
    before = calls.state()
    other = Calls(f"127.0.0.1:{shop.port}")
    watches = [other.watch(b"") for _ in range(3)]
    assert [next(watch) for watch in watches] == [b"first"] * 3
    other.channel.close()
    until(lambda: calls.state()["cancelled"] >= before["cancelled"] + 3, "the server saw it")


def test_a_service_without_endpoints_is_unavailable(shop, request):
    request.node.apus_mesh = shop
    nobody = Calls(f"127.0.0.1:{shop.nobody}")
    with failure(grpc.StatusCode.UNAVAILABLE) as caught:
        nobody.unary(b"", timeout=20)
    assert "no endpoint" in caught.value.details()
    assert shop.caller.metrics().sum("response_total", dst_service="nobody", grpc_status="14", response_flag="UH",
                                     classification="failure") >= 1


def test_a_server_killed_in_the_middle_of_a_call_is_unavailable(shop, request):
    request.node.apus_mesh = shop
    server = serve(shop, "mortal")
    until(lambda: ready(shop.mortal), "the server answers")
    mortal = Calls(f"127.0.0.1:{shop.mortal}")
    go = threading.Event()

    def messages():
        yield b"hello"
        assert go.wait(20)
        yield b"exit"
        time.sleep(1)

    answers = mortal.chat(messages(), timeout=20)
    assert next(answers) == b"hello"
    go.set()
    with failure(grpc.StatusCode.UNAVAILABLE) as caught:
        list(answers)
    assert "upstream closed" in caught.value.details()
    server.wait()


def test_a_caller_outside_the_mesh_reaches_the_server_in_plaintext(shop, request):
    request.node.apus_mesh = shop
    outside = Calls(f"{shop.server.address}:{INBOUND_PORT}")
    assert outside.unary(b"hello", timeout=20) == b"hello"
    with failure(grpc.StatusCode.NOT_FOUND):
        outside.do("abort 5")
    assert shop.server.metrics().sum("response_total", direction="inbound", tls="no_identity", grpc_status="5",
                                     classification="success") == 1


def test_statuses_are_in_the_metrics_of_both_proxies_and_in_the_log(calls, shop):
    for code in (8, 13):
        with pytest.raises(grpc.RpcError):
            calls.do(f"abort {code}")
    for proxy, direction in ((shop.caller, "outbound"), (shop.server, "inbound")):
        for code in ("8", "13"):
            assert proxy.metrics().sum("response_total", direction=direction, tls="true", grpc_status=code,
                                       status_code="200", classification="failure") == 1
        assert proxy.metrics().sum("response_total", direction=direction, grpc_status="0", classification="success") > 0
        proxy.wait_for_log(r'"status":200,"flag":"-","grpc_status":"13"')


def shares(text):
    counted = json.loads(re.search(r"^\{.*\}$", text, re.M).group(0))
    total = sum(counted.values())
    return {name: 100 * count / total for name, count in counted.items()}


@pytest.fixture(scope="module")
def split(shop):
    for letter in "abc":
        serve(shop, f"split-{letter}")
    until(lambda: all(workload["ready"] for workload in shop.json("status")["workloads"]), "every workload is an endpoint")
    return shop


@pytest.mark.parametrize("way", ["a mapped listener", "CONNECT to the explicit proxy"])
def test_500_calls_on_one_connection_follow_the_weights(split, request, way):
    request.node.apus_mesh = split
    port = free_port()
    target, listen = (f"127.0.0.1:{port}", {port: "split.shop:80"}) if "mapped" in way else ("split.shop:80", None)
    # `apus run` sets http_proxy, which grpcio honours: the program needs no setting of its own.
    caller = split.run("caller", program("grpc_calls.py", target, 500), listen=listen, wait=False)
    caller.wait(60)
    found = shares(caller.log())
    for letter, weight in (("a", 50), ("b", 30), ("c", 20)):
        assert abs(found[f"split-{letter}"] - weight) <= 5, found
