"""What TrafficPolicies make of requests before an application has them: how long they may be, whether they wait until
they are whole, how many at a time. Against real proxies of several workers."""

import collections
import contextlib
import gzip
import http.client
import socket
import threading
import time

import pytest

from support import http as client
from support import manifests
from support.mesh import program
from support.mesh import Mesh
from support.waiting import until

PORT = 8080
POLICY = """
    apiVersion: mesh.apus.dev/v1alpha1
    kind: TrafficPolicy
    metadata: {{ name: {name}, namespace: shop }}
    spec:
      targetRefs: [{{ group: "", kind: Service, name: {name} }}]
      {spec}
    """
GLOBAL = """globalRateLimit: {{ service: {{ name: limits, port: 80 }}, domain: {domain}, {more},
                         descriptors: [[{{ key: tenant, header: x-tenant }}], [{{ key: caller, source: caller }}]] }}"""
# Beyond every wait that a test means.
LONG = 20


def policy(name, spec):
    return manifests.text(POLICY.format(name=name, spec=spec))


@pytest.fixture(scope="module")
def shaped(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("shaped"))
    try:
        names = ["uploads", "crowded", "unlimited", "texts", "timed", "counted", "hurried"]
        mesh.up(*map(manifests.service, names),
                policy("uploads", "requests: { maximumBodyBytes: 200000, bufferBytes: 100000 }"),
                policy("crowded", "adaptiveConcurrency: { minimum: 2, interval: 50ms }"),
                policy("texts", "compression: { minimumBytes: 100 }"),
                manifests.service("limits", app_protocol="grpc"),
                policy("counted", GLOBAL.format(domain="shop", more="timeout: 5s")),
                policy("hurried", GLOBAL.format(domain="slow",
                                                more="timeout: 50ms, onFailure: local, local: { requests: 3, period: 1h }")),
                policy("timed", "overrides: { allow: [timeout], callers: [shop/client] }"))
        mesh.uploads = mesh.run("uploads", program("single.py", PORT), port=PORT, own_address=True)
        mesh.crowded = mesh.run("crowded", program("crowded.py", PORT), port=PORT, own_address=True, flags=["--workers", "2"])
        mesh.run("texts", program("texts.py", PORT), port=PORT, own_address=True)
        mesh.limits = mesh.run("limits", program("rls.py", PORT), port=PORT, own_address=True)
        for name in ("counted", "hurried"):
            mesh.run(name, program("texts.py", PORT), port=PORT, own_address=True)
        mesh.run("timed", program("single.py", PORT), port=PORT, own_address=True)
        mesh.run("unlimited", program("crowded.py", PORT), port=PORT, own_address=True)
        mesh.caller, *ports = mesh.client(*(f"{name}.shop:80" for name in names), flags=["--workers", "2"])
        mesh.ports = dict(zip(names, ports))
        for port in ports:
            mesh.wait_until_serving(port)
        yield mesh
    finally:
        mesh.stop()


def post(port, body, **headers):
    return client.get("127.0.0.1", port, method="POST", body=body, headers=headers, timeout=LONG)


def pieces(total):
    """A body without a length, in pieces of 1000 bytes."""
    for _ in range(total // 1000):
        yield b"a" * 1000


def test_content_past_its_limit_is_refused_by_length_and_by_count(shaped):
    port = shaped.ports["uploads"]
    assert post(port, b"a" * 200_000).text == "200000 bytes\n"
    assert post(port, b"a" * 200_001).status == 413
    # A client without a length may find its connection closed while it still writes.
    with contextlib.suppress(ConnectionError):
        assert post(port, pieces(250_000)).status == 413
    until(lambda: shaped.caller.metrics().sum(
        "response_total", dst_service="uploads", status_code="413", response_flag="TL", direction="outbound") == 2,
          "both are counted")
    # The application has heard of neither, and the endpoint's proxy says the same to who comes past the mesh.
    before = shaped.uploads.metrics().sum("response_total", dst_service="uploads", response_flag="TL", direction="inbound")
    assert before == 0
    answer = client.get(shaped.uploads.address, 15006, method="POST", body=b"a" * 200_001, headers={"host": "uploads.shop"})
    assert answer.status == 413 and answer.text.startswith("content too large")


def slow_upload(port, length, stop):
    """Sends a request but for its last byte, and waits. Returns the connection."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=LONG)
    raw.sendall(b"POST / HTTP/1.1\r\nHost: uploads.shop\r\nContent-Length: %d\r\n\r\n" % length + b"a" * (length - 1))
    stop.callback(raw.close)
    return raw


def test_a_slow_upload_does_not_keep_the_only_thread_of_an_application(shaped):
    port = shaped.ports["uploads"]
    with contextlib.ExitStack() as stack:
        slow = [slow_upload(port, 50_000, stack) for _ in range(4)]
        for _ in range(10):
            assert client.get("127.0.0.1", port, timeout=LONG).text == "0 bytes\n"
        for raw in slow:
            raw.sendall(b"a")
            answer = http.client.HTTPResponse(raw)
            answer.begin()
            assert answer.status == 200 and answer.read() == b"50000 bytes\n"


class Crowd:
    """So many clients that ask again and again, each with the patience of half a second."""

    def __init__(self, port, clients):
        self.port, self.answers, self.lock, self.ends = port, collections.Counter(), threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.work) for _ in range(clients)]

    def work(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=0.5)
        while not self.ends.is_set():
            try:
                connection.request("GET", "/")
                status = client.read(connection.getresponse()).status
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            with self.lock:
                self.answers[status] += 1
            # Who is refused does not come back at once.
            if status != 200:
                self.ends.wait(0.05)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join(LONG)

    def good_in(self, seconds):
        with self.lock:
            before = self.answers[200]
        time.sleep(seconds)
        with self.lock:
            return self.answers[200] - before


@pytest.mark.alone
def test_an_application_that_does_less_the_more_it_is_asked_keeps_its_goodput(shaped):
    with Crowd(shaped.ports["unlimited"], 24) as crowd:
        time.sleep(1)
        unlimited = crowd.good_in(2)
    with Crowd(shaped.ports["crowded"], 24) as crowd:
        time.sleep(1)
        limited = crowd.good_in(2)
        metrics = shaped.crowded.metrics()
    # Four at a time in 20 ms are 400 in two seconds; 24 at a time get nothing done that anybody waits for.
    assert limited >= 100 and limited >= 4 * unlimited, (limited, unlimited, crowd.answers)
    assert 2 <= metrics.sum("adaptive_concurrency_limit", dst_service="crowded") <= 20
    assert metrics.sum("adaptive_concurrency_unloaded_latency_ms", dst_service="crowded") >= 10
    assert metrics.sum("adaptive_concurrency_refused_total", backend="crowded") > 0
    assert shaped.caller.metrics().sum("response_total", dst_service="crowded", response_flag="CL") > 0
    until(lambda: shaped.crowded.metrics().sum("adaptive_concurrency_in_flight", dst_service="crowded") == 0,
          "all places are free")


def test_why_tells_what_becomes_of_content(shaped):
    text = shaped.apus("why", "--from", "client.shop", "--to", "http://uploads.shop/").stdout
    assert "content past 200000 bytes is answered 413; content of up to 100000 bytes is held" in text
    text = shaped.apus("why", "--from", "client.shop", "--to", "http://crowded.shop/").stdout
    assert "adaptiveConcurrency: 2 to 1000 requests" in text


def test_answers_are_compressed_for_who_accepts_it(shaped):
    port = shaped.ports["texts"]
    plain = client.get("127.0.0.1", port)
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "accept-encoding"
    small = client.get("127.0.0.1", port, headers={"accept-encoding": "br;q=1.0, gzip;q=0.5"})
    assert small.headers["content-encoding"] == "gzip" and small.headers["etag"] == 'W/"one"'
    assert len(small.body) < len(plain.body) / 4 and gzip.decompress(small.body) == plain.body
    head = client.get("127.0.0.1", port, method="HEAD", headers={"accept-encoding": "gzip"})
    assert head.headers["content-encoding"] == "gzip" and "content-length" not in head.headers and head.body == b""
    for path in ("/short", "/image", "/events"):
        assert "content-encoding" not in client.get("127.0.0.1", port, path, headers={"accept-encoding": "gzip"}).headers


def test_overrides_of_one_request_are_for_the_callers_that_a_policy_names(shaped):
    port = shaped.ports["timed"]
    assert client.get("127.0.0.1", port, "/slow").status == 200
    assert client.get("127.0.0.1", port, "/slow", headers={"x-apus-timeout": "100ms"}).status == 504
    assert client.get("127.0.0.1", port, "/slow", headers={"x-apus-timeout": "soon"}).status == 400
    _, other = shaped.client("timed.shop:80", flags=["--service-account", "other"])
    shaped.wait_until_serving(other)
    until(lambda: client.get("127.0.0.1", other, "/slow", headers={"x-apus-timeout": "100ms"}).status == 200,
          "nobody else is followed")


def tenants(port, name, count):
    return collections.Counter(client.get("127.0.0.1", port, headers={"x-tenant": name}).status for _ in range(count))


def test_a_global_limit_is_counted_by_a_service_of_the_mesh_for_all_proxies(shaped):
    port = shaped.ports["counted"]
    # The first question of a proxy opens the connection to the service; from then on each is counted.
    until(lambda: shaped.limits.log().count("shop tenant=warm") >= 1 or not tenants(port, "warm", 1), "the service is asked")
    for tenant in ("a", "b"):
        assert tenants(port, tenant, 8) == {200: 5, 429: 3}
    refused = client.get("127.0.0.1", port, headers={"x-tenant": "a"})
    assert refused.headers["retry-after"] == "1234" and refused.headers["ratelimit-limit"] == "5"
    # Without the field only the caller is counted, whose identity the service is told.
    assert client.get("127.0.0.1", port).status == 200
    assert "shop caller=spiffe://cluster.local/ns/shop/sa/client 1" in shaped.limits.log()


def test_without_an_answer_in_time_a_global_limit_is_the_proxys_own(shaped):
    port = shaped.ports["hurried"]
    answers = tenants(port, "late", 6)
    assert set(answers) == {200, 429} and answers[200] <= 3
