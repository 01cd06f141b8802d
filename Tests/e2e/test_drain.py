"""Proxies and workloads are told to stop while requests pass through them, and no request is lost.

The loads ask for 5,000 requests a second together. A machine that cannot do that gets fewer; the rate reached is printed.
"""

import os
import signal

from support import manifests
from support.load import Http1, Http2, SteadyLoad
from support.mesh import BINARIES, Process, program
from support.streams import GrpcLoad
from support.waiting import accepts, free_port, until

RATE = 2_500


def both(port, host, **options):
    return (SteadyLoad(Http1, port, host, RATE, clients=64, posts=5, **options),
            SteadyLoad(Http2, port, host, RATE, clients=8, **options))


def check(say, *loads):
    for load in loads:
        say(str(load))
    for load in loads:
        assert load.problems == {}, str(load)


def restart_proxy(workload):
    """SIGTERM to the proxy alone, then until `apus run` has put another in its place."""
    proxy = workload.proxy_pid
    os.kill(proxy, signal.SIGTERM)
    until(lambda: workload.proxy_pid != proxy, "another proxy", 30)
    workload.wait_until_ready()


def ready_count(mesh, service):
    return sum(w["ready"] for w in mesh.json("status")["workloads"] if w["name"].startswith(service))


def test_sigterm_of_an_endpoints_proxy_and_of_the_endpoint_loses_nothing(mesh, say):
    mesh.up(manifests.service("orders", app_protocol="http"), manifests.service("chat", 9000, app_protocol="grpc"))
    orders = [mesh.nginx("orders", "ok") for _ in range(2)]
    chat = [mesh.run("chat", program("grpc_streams.py", 9000), port=9000, own_address=True) for _ in range(2)]
    _, port, grpc_port = mesh.client("orders.shop:80", "chat.shop:80")
    mesh.wait_until_serving(port)
    until(lambda: ready_count(mesh, "") == 5, "all are ready")
    h1, h2 = both(port, "orders.shop")
    with h1, h2, GrpcLoad(grpc_port) as streams:
        for workload in [*orders, *chat]:
            h1.after(1000), h2.after(1000), streams.after(4)
            restart_proxy(workload)
            until(lambda: ready_count(mesh, "") == 5, "all are ready again", 30)
        # Rolling restart: a new workload, then the old one goes.
        orders.append(mesh.nginx("orders", "ok"))
        chat.append(mesh.run("chat", program("grpc_streams.py", 9000), port=9000, own_address=True))
        until(lambda: ready_count(mesh, "") == 7, "the new workloads are ready")
        for workload in [*orders[:2], *chat[:2]]:
            workload.signal(signal.SIGTERM)
            assert workload.wait(40) == 0
            h1.after(1000), h2.after(1000), streams.after(4)
    assert streams.bad == []
    say(f"gRPC: {streams.good} streams of {streams.messages} messages, lost: {streams.bad}")
    check(say, h1, h2)


def forwarder(mesh, name, port, upstream):
    return mesh.start(name, [BINARIES / "apus-proxy", "--forward", f"127.0.0.1:{port}={upstream}", "--workers", "2"], Process)


def test_sigterm_of_the_proxy_that_clients_are_connected_to_loses_nothing(mesh, say):
    """Two proxies share a port, as a deployment that replaces its proxies does; clients find the other one."""
    backend = free_port()
    mesh.plain_nginx(backend)
    port = free_port()
    proxies = [forwarder(mesh, "proxy-0", port, f"127.0.0.1:{backend}")]
    until(lambda: accepts("127.0.0.1", port), "the proxy accepts")
    loads = both(port, "orders.shop")
    with loads[0], loads[1]:
        for number in range(1, 6):
            proxies.append(forwarder(mesh, f"proxy-{number}", port, f"127.0.0.1:{backend}"))
            proxies[-1].wait_for_log("listening on")
            for load in loads:
                load.after(1000)
            old = proxies.pop(0)
            old.signal(signal.SIGTERM)
            assert old.wait(20) == 0
            assert "drained" in old.log()
    check(say, *loads)


def test_a_peer_that_stops_answering_is_left_within_the_keepalive_times(mesh, say):
    mesh.up(manifests.service("orders"))
    orders = [mesh.nginx("orders", "ok") for _ in range(2)]
    client, port = mesh.client("orders.shop:80", flags=["--workers", "1"])
    mesh.wait_until_serving(port)
    until(lambda: ready_count(mesh, "orders") == 2, "both are ready")
    with SteadyLoad(Http1, port, "orders.shop", 200, clients=32) as load:
        load.after(200)
        stopped = orders[0].proxy_pid
        os.kill(stopped, signal.SIGSTOP)
        try:
            until(lambda: client.metrics().sum("limit_hits_total", limit="keepalive_timeout") >= 1,
                  "the silence is noticed", 40)
            load.after(400)
        finally:
            os.kill(stopped, signal.SIGCONT)
    # GETs whose connection fell silent went to the other endpoint; none was lost.
    check(say, load)
