"""Rollouts with real programs: promotion, roll-back on errors and on latency, too few requests, people's orders, and
a controller that is killed on the way. Every rollout has a service of its own; their versions are shared: v1 and v2
answer, v3 fails."""

import collections
import re
import socket
import time

import pytest

from support import http, manifests
from support.mesh import Mesh, program
from support.waiting import until

SERVICES = ["good", "failing", "slow", "quiet", "steered", "kept", "routed"]
# A step lasts as long as two judgements may take, so that what happens is seen.
GATES = "{interval: 1s, minimumRequests: 20, successRate: {minimumPercent: 99}, latency: {percentile: 90, maximum: 100ms}}"


def service(name):
    """Without endpoints of its own: each request must go to one of the versions."""
    return manifests.service(name).replace(f"app: {name}", "app: nothing")


def rollout(name, canary="v2", steps="[{weight: 20, pause: 1s}, {weight: 60, pause: 1s}]", gates=GATES, stable="v1",
            kind="Service"):
    group = "" if kind == "Service" else "gateway.networking.k8s.io"
    return manifests.text(f"""
        apiVersion: mesh.apus.dev/v1alpha1
        kind: TrafficPolicy
        metadata: {{ name: {name}, namespace: shop }}
        spec:
          targetRefs: [{{ group: "{group}", kind: {kind}, name: {name} }}]
          rollout:
            stable: {{ service: {stable} }}
            canary: {{ service: {canary} }}
            steps: {steps}
            {f"gates: {gates}" if gates else ""}
        """)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("rollout"))
    try:
        mesh.up(*map(service, SERVICES), *map(manifests.service, ["v1", "v2", "v3"]),
                manifests.http_route("slow", """
                    - backendRefs:
                        - { name: v1, port: 80 }
                        - name: v2
                          port: 80
                          filters:
                            - type: URLRewrite
                              urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /slow/0.2 } }
                    """),
                manifests.http_route("routed", """
                    - matches: [{ headers: [{ name: x-tester, value: "yes" }] }]
                      backendRefs: [{ name: v2, port: 80 }]
                    - backendRefs: [{ name: v1, port: 80 }, { name: v2, port: 80 }]
                    """))
        mesh.serve("v1", "v1")
        mesh.serve("v2", "v2")
        bad = mesh.run("v3", program("moody.py", 8080), port=8080, own_address=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moods:
            moods.settimeout(5)
            moods.sendto(b"failing", (bad.address, 8080))
            moods.recv(64)
        mesh.client_workload, *ports = mesh.client(*(f"{name}.shop:80" for name in SERVICES))
        mesh.ports = dict(zip(SERVICES, ports))
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture(scope="module")
def bad_ones(shop):
    """How those end whose canary fails or is slow; at the same time, because each takes its time."""
    shop.write("failing.yaml", rollout("failing", canary="v3"))
    shop.write("slow.yaml", rollout("slow", kind="HTTPRoute"))
    with http.Load(shop.ports["failing"]), http.Load(shop.ports["slow"], connections=16):
        return {name: wait(shop, name) for name in ("failing", "slow")}


@pytest.fixture
def mesh(shop, request):
    request.node.apus_mesh = shop
    return shop


def status(mesh, name):
    return mesh.json("rollout", "status", f"shop/{name}")


def reasons(mesh, name):
    return [event["reason"] for event in status(mesh, name)["events"]]


def place(mesh, name):
    now = status(mesh, name)
    return now["phase"], now["canary"]["weight"]


def begun(mesh, name, weight):
    """The first step, in the client's proxy, too: before, nobody stands behind the service."""
    until(lambda: place(mesh, name) == ("Progressing", weight), "the first step")
    mesh.wait_until_serving(mesh.ports[name])


def wait(mesh, name, timeout="25s", *flags):
    return mesh.apus("rollout", "wait", name, "--timeout", timeout, *flags, check=False, timeout=40)


def shares(mesh, name, count=50, **options):
    answers = [http.get("127.0.0.1", mesh.ports[name], **options) for _ in range(count)]
    return collections.Counter(answer.headers.get("x-version", answer.status) for answer in answers)


def test_a_good_canary_is_promoted_and_the_manifest_keeps_its_weights(mesh):
    mesh.write("good.yaml", rollout("good"))
    begun(mesh, "good", 20)
    with http.Load(mesh.ports["good"]) as load:
        why = mesh.apus("why", "--from", "client", "--to", "http://good.shop/").stdout
        routes = mesh.apus("routes", "good").stdout
        done = wait(mesh, "good")
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"^\S+  StepPassed: success rate 100 % \(at least 99 %\), p90 [\d.]+ ms \(at most 100 ms\)$",
                         done.stdout, re.M)
        assert "shop/good: Promoted: every request goes to v2" in done.stdout
        load.after(20)
    assert load.bad == []
    assert reasons(mesh, "good") == ["Started", "StepBegan", "StepPassed", "StepBegan", "StepPassed", "Promoted"]
    assert shares(mesh, "good") == {"v2": 50}
    assert "weights by the rollout shop/good (Progressing, 20 % to v2)" in why and "20 %  v2.shop:80" in why, why
    assert "80 % v1.shop:80, 20 % v2.shop:80" in routes and "weights by the rollout shop/good" in routes, routes
    document = mesh.apus("get", "trafficpolicy", "good", "-n", "shop", "-o", "yaml").stdout
    assert re.search(r'type: Progressing\n +status: "False"\n +reason: Promoted', document), document


def test_a_canary_that_fails_is_rolled_back(mesh, bad_ones):
    done = bad_ones["failing"]
    assert done.returncode == 1, done.stdout + done.stderr
    assert "every request goes to v1 again: success rate 0 % (at least 99 %)" in done.stdout, done.stdout
    until(lambda: shares(mesh, "failing") == {"v1": 50}, "every request goes to the stable version")
    text = mesh.apus("rollout", "status", "failing").stdout
    assert "✘ RolledBack" in text and "[----------------------------------------]  0 % to v3" in text, text
    assert "RolledBack" in mesh.apus("get", "trafficpolicy", "failing", "-n", "shop").stdout


def test_a_canary_that_is_slow_is_rolled_back(mesh, bad_ones):
    done = bad_ones["slow"]
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"v1 again: p90 \d+ ms \(at most 100 ms\)", done.stdout), done.stdout


def test_too_few_requests_decide_nothing_and_the_wait_ends(mesh):
    mesh.write("quiet.yaml", rollout("quiet", canary="v3",
                                     gates=GATES.replace("interval: 1s", "interval: 1s, maximumWait: 1s")))
    begun(mesh, "quiet", 20)
    # Its canary fails, but two failures of ten requests say nothing.
    assert shares(mesh, "quiet", 10)["v1"] > 0
    done = wait(mesh, "quiet")
    assert done.returncode == 1, done.stdout + done.stderr
    now = status(mesh, "quiet")
    assert (now["phase"], now["reason"], now["canary"]["weight"]) == ("Paused", "TooFewRequests", 20)
    assert re.search(r"waited 1s for a judgement: \d+ of 20 requests to the canary", now["message"]), now
    assert wait(mesh, "quiet", "1s").returncode == 1


def test_people_pause_resume_promote_abort_and_restart(mesh):
    mesh.write("steered.yaml", rollout("steered", steps="[{weight: 10, pause: manual}, {weight: 50, pause: 1h}]", gates=None))
    until(lambda: place(mesh, "steered") == ("Paused", 10), "the first step")
    assert wait(mesh, "steered", "1s").returncode == 2
    mesh.apus("rollout", "resume", "steered")
    until(lambda: place(mesh, "steered") == ("Progressing", 50), "the second step")
    mesh.apus("rollout", "pause", "steered", "-n", "shop")
    assert status(mesh, "steered")["reason"] == "PausedByHand"
    again = mesh.apus("rollout", "pause", "steered", check=False)
    assert again.returncode == 1 and "it is paused already" in again.stderr, again.stderr
    assert "Promoted, 100 % to v2" in mesh.apus("rollout", "promote", "steered").stdout
    until(lambda: shares(mesh, "steered") == {"v2": 50}, "every request goes to the canary")
    assert "RolledBack, 0 % to v2" in mesh.apus("rollout", "rollback", "steered").stdout
    until(lambda: shares(mesh, "steered") == {"v1": 50}, "every request goes to the stable version")
    mesh.apus("rollout", "restart", "steered")
    until(lambda: place(mesh, "steered") == ("Paused", 10), "the first step again")
    # An edit of anything else changes nothing; one of the canary begins again.
    text = rollout("steered", steps="[{weight: 10, pause: manual}, {weight: 50, pause: 1h}]", gates=None)
    mesh.apus("rollout", "resume", "steered")
    until(lambda: place(mesh, "steered") == ("Progressing", 50), "the second step again")
    mesh.write("steered.yaml", text + "  timeouts: { request: 7s }\n")
    until(lambda: "timeouts.request" in mesh.apus("why", "--from", "client", "--to", "http://steered.shop/").stdout, "the edit")
    assert place(mesh, "steered") == ("Progressing", 50)
    mesh.write("steered.yaml", text.replace("service: v2", "service: v2, revision: b"))
    until(lambda: place(mesh, "steered") == ("Paused", 10), "the first step of another rollout")
    assert status(mesh, "steered")["revision"] == "b"
    assert wait(mesh, "steered", "1s", "--canary", "v2", "--revision", "c").returncode == 2
    missing = mesh.apus("rollout", "status", "nothing", check=False)
    assert missing.returncode == 1 and "there is no rollout nothing" in missing.stderr


def test_a_rule_that_names_one_version_is_a_pin(mesh):
    mesh.write("routed.yaml", rollout("routed", steps="[{weight: 0, pause: manual}, {weight: 100, pause: 1h}]", gates=None))
    until(lambda: place(mesh, "routed") == ("Paused", 0), "the first step")
    until(lambda: shares(mesh, "routed", 20) == {"v1": 20}, "nothing goes to the canary")
    assert shares(mesh, "routed", 20, headers={"x-tester": "yes"}) == {"v2": 20}
    # Blue and green: one step from none to all.
    mesh.apus("rollout", "resume", "routed")
    until(lambda: shares(mesh, "routed", 20) == {"v2": 20}, "all goes to the canary")


def test_a_version_that_does_not_exist_is_a_finding_and_waits(mesh):
    mesh.write("gone.yaml", service("gone"), rollout("gone", canary="v9"))
    try:
        now = until(lambda: status(mesh, "gone"), "the rollout is known")
        assert (now["phase"], now["message"]) == ("Waiting", "there is no Service shop/v9"), now
        findings = mesh.apus("analyze", check=False).stdout
        assert re.search(r"gone\.yaml:\d+:\d+: error APUS0901: TrafficPolicy shop/gone: .*there is no Service shop/v9",
                         findings), findings
    finally:
        (mesh.manifests / "gone.yaml").unlink()


def test_a_controller_that_is_killed_on_the_way_goes_on_where_it_was(mesh):
    mesh.write("kept.yaml", rollout("kept", steps="[{weight: 30, pause: 1s}, {weight: 60, pause: 4s}]"))
    begun(mesh, "kept", 30)
    with http.Load(mesh.ports["kept"]) as load:
        until(lambda: place(mesh, "kept") == ("Progressing", 60), "the second step")
        before = status(mesh, "kept")
        mesh.controller.kill_group()
        load.after(50)
        began = time.monotonic()
        mesh.up()
        after = status(mesh, "kept")
        assert (after["phase"], after["canary"]["weight"], after["step"]) == ("Progressing", 60, 2)
        assert after["stepStartedMs"] == before["stepStartedMs"]
        assert after["events"][:len(before["events"])] == before["events"]
        done = wait(mesh, "kept")
        assert done.returncode == 0, done.stdout + done.stderr
        # The pause went on while nobody was there, and was not begun again.
        ends = status(mesh, "kept")["events"][-1]["atMs"]
        assert ends - before["stepStartedMs"] < 4000 + 4000, (before, time.monotonic() - began)
        load.after(20)
    assert load.bad == []
    assert reasons(mesh, "kept") == ["Started", "StepBegan", "StepPassed", "StepBegan", "StepPassed", "Promoted"]
    # The other rollouts are where they were, too.
    assert place(mesh, "good") == ("Promoted", 100) and place(mesh, "failing") == ("RolledBack", 0)
    assert shares(mesh, "good") == {"v2": 50}
