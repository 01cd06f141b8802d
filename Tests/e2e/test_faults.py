"""Things die. What was asked of the mesh goes on, and what cannot go on is said clearly."""

import hashlib
import os
import signal
import subprocess
import time

import pytest

from support import http, manifests
from support.mesh import CONTROLLER, descendants
from support.waiting import accepts, until

CONNECTIONS = 4


def two_workloads(mesh):
    mesh.up(manifests.service("orders"))
    first, second = mesh.serve("orders"), mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    until(lambda: len(http.instances(port)) == 2, "both workloads serve")
    return first, second, client, port


def test_traffic_leaves_a_backend_that_is_killed(mesh):
    first, second, _, port = two_workloads(mesh)
    with http.Load(port, connections=CONNECTIONS) as load:
        load.after(200)
        first.kill_group()
        killed = time.monotonic()
        survivor = second.workload_name
        until(lambda: not any(workload["name"] == first.workload_name for workload in mesh.json("status")["workloads"]),
              "the dead workload left the mesh")
        load.after(50)
        others_before = load.versions[first.workload_name]
        errors_before = len(load.bad)
        load.after(500)
        assert load.versions[first.workload_name] == others_before
        assert load.versions[survivor] > 0
        assert len(load.bad) == errors_before, load.bad
    # Only what was in flight may have failed.
    assert len(load.bad) <= CONNECTIONS, load.bad
    assert all(when >= killed for when, _ in load.bad)


def test_an_endpoint_whose_program_is_stopped_by_its_owner_loses_no_request(mesh):
    first, _, _, port = two_workloads(mesh)
    with http.Load(port, connections=CONNECTIONS) as load:
        load.after(200)
        first.signal(signal.SIGTERM)
        first.wait()
        load.after(200)
    assert load.bad == []


def test_no_request_fails_while_the_controller_is_killed_and_comes_back(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders", "v1")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    with http.Load(port, connections=CONNECTIONS) as load:
        load.after(200)
        mesh.controller.kill_group()
        until(lambda: not accepts(*CONTROLLER), "the controller is gone")
        until(lambda: client.metrics().sum("discovery_connected") == 0, "the proxy noticed")
        load.after(300)
        assert client.metrics().sum("config_age_seconds") > 0
        mesh.up()
        until(lambda: client.metrics().sum("discovery_connected") == 1, "the proxy reconnected", 30)
        until(lambda: sum(w["ready"] for w in mesh.json("status")["workloads"]) == 2, "both workloads registered again", 30)
        # Configuration flows again.
        mesh.write("extra.yaml", manifests.http_route("orders", """
            - filters:
                - type: ResponseHeaderModifier
                  responseHeaderModifier: { set: [{ name: x-after, value: restart }] }
              backendRefs: [{ name: orders, port: 80 }]
            """))
        until(lambda: http.get("127.0.0.1", port).headers.get("x-after") == "restart", "new configuration in force", 30)
        load.after(200)
    assert load.bad == []


def test_a_killed_proxy_is_started_again_and_its_program_is_left_alone(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    _, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    programs, proxy = server.program_pids, server.proxy_pid
    os.kill(proxy, signal.SIGKILL)
    server.wait_for_log(r"proxy was killed by SIGKILL; restarting it")
    until(lambda: server.proxy_pid != proxy, "another proxy")
    server.wait_for_log(r"the proxy is back")
    until(lambda: http.get("127.0.0.1", port).status == 200, "traffic flows again")
    assert server.program_pids == programs


def test_a_dead_application_is_told_apart_from_a_dead_proxy(mesh):
    mesh.up(manifests.service("orders", 18765))
    mesh.run("orders", ["sleep", "infinity"], port=18765, wait=False).wait_until_ready()
    client, port = mesh.client("orders.shop:80")
    # The program never accepts, so the workload never becomes ready and the service has no endpoint.
    answer = http.get("127.0.0.1", port)
    assert answer.status in (502, 503) and answer.headers["server"] == "apus"
    assert client.is_running


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_reported_and_the_old_state_kept(mesh):
    mesh.state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(mesh.state)], check=True)
    mesh.after_stop.append(lambda: subprocess.run(["umount", "--lazy", str(mesh.state)], check=False))

    def digest():
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(mesh.state.rglob("*.pem"))
                if "ca" in path.parts}

    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    _, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    before, addresses = digest(), (mesh.state / "addresses.json").read_text()

    filler = mesh.state / "filler"
    with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(b"x" * 4096)
    late = mesh.run("late", ["sleep", "infinity"], wait=False)
    until(lambda: "No space left on device" in late.log() + mesh.controller.log(), "the full disk is named")
    assert digest() == before and (mesh.state / "addresses.json").read_text() == addresses
    assert http.get("127.0.0.1", port).status == 200

    # With space again, and after a restart on the old state, everything works.
    late.kill_group()
    filler.unlink()
    mesh.controller.kill_group()
    mesh.up()
    assert digest() == before
    mesh.run("later", ["sleep", "infinity"])
    assert http.get("127.0.0.1", port).status == 200


def test_nothing_of_a_killed_apus_run_stays_behind(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    family = [pid for pid, _ in descendants(server.pid)]
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), "proxy and program are gone too")
    until(lambda: mesh.json("status")["workloads"] == [], "the lease has ended")
