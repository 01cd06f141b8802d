"""`apus run` behaves like the program it runs: exit codes, signals, and an orderly end."""

import os
import signal
import threading

import pytest

from support import http, manifests
from support.waiting import until


@pytest.mark.parametrize("script, code",
                         [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 128 + 9), ("kill -TERM $$", 128 + 15)])
def test_it_exits_as_the_program_did(mesh, script, code):
    mesh.up()
    assert mesh.run("job", ["sh", "-c", script], wait=False).wait() == code


def test_a_program_that_does_not_exist_is_told_like_a_shell_does(mesh):
    mesh.up()
    job = mesh.run("job", ["/no/such/program"], wait=False)
    assert job.wait() == 127 and "/no/such/program" in job.log()


def test_it_passes_signals_on(mesh):
    mesh.up()
    script = 'trap "echo got-hup; exit 5" HUP; echo waiting; while :; do sleep 0.1; done'
    job = mesh.run("job", ["sh", "-c", script], wait=False)
    job.wait_for_log("waiting")
    job.signal(signal.SIGHUP)
    assert job.wait() == 5 and "got-hup" in job.log()


def test_sigterm_lets_requests_in_flight_end(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    answers = []
    slow = threading.Thread(target=lambda: answers.append(http.get("127.0.0.1", port, "/slow/0.8", timeout=20)))
    slow.start()
    until(lambda: server.metrics().sum("request_total", direction="inbound") >= 2, "the slow request is under way", 5)
    server.signal(signal.SIGTERM)
    code = server.wait()
    slow.join()
    assert [answer.status for answer in answers] == [200]
    # The program has no handler of its own, so SIGTERM ended it.
    assert code in (0, 128 + 15)
    until(lambda: server.workload_name not in str(mesh.json("status")["workloads"]), "the workload has left the mesh")
    assert client.is_running


def test_without_a_controller_it_says_so(mesh):
    job = mesh.run("job", ["true"], flags=["--ready-timeout", "2"], wait=False)
    assert job.wait() == 75
    assert "waiting for the control plane" in job.log() and "apus check" in job.log()
    assert not os.path.exists(mesh.state / "ca")
