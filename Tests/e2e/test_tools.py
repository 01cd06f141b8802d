"""What people and scripts read: tables, JSON, and the demonstration."""

import json
import re
import subprocess

from support import http, manifests
from support.mesh import BINARIES
from support.waiting import until


def test_stat_shows_success_rate_requests_and_latency_by_service(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    _, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    with http.Load(port) as load:
        load.after(100)
        printed = mesh.json("stat", "--window", "1s")
        sent = mesh.json("stat", "--window", "1s", "--from", "client", "-n", "shop")
        table = mesh.apus("stat", "--window", "1s").stdout
    [orders] = [row for row in printed if row["service"] == "orders"]
    traffic = orders["traffic"]
    assert orders["namespace"] == "shop" and orders["meshed"] == orders["ready"] == 1
    assert traffic["requests"] > 0 and traffic["successRate"] == 1 and traffic["mutualTLSShare"] == 1
    assert 0 < traffic["latencyP50Ms"] <= traffic["latencyP95Ms"] <= traffic["latencyP99Ms"]
    assert [(row["service"], row["share"]) for row in sent] == [("orders", 1)]
    assert re.search(r"SUCCESS +RPS +LATENCY_P50", table) and re.search(r"orders .*100\.", table)


def test_status_shows_workloads_services_and_the_age_of_the_configuration(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    def settled():
        # The services' endpoints follow the workload's readiness by one compilation.
        status = mesh.json("status")
        counted = any(service["name"] == "orders" and service["endpoints"] == 1 for service in status["services"])
        return status if counted and status["workloads"][0]["ready"] else None

    status = until(settled, "ready in status")
    workload = status["workloads"][0]
    assert workload["name"] == server.workload_name and workload["address"] == server.address
    assert workload["identity"] == "spiffe://cluster.local/ns/shop/sa/orders"
    assert "orders" in mesh.apus("status").stdout


def test_every_command_has_help_with_examples(mesh):
    for command in ("demo", "up", "run", "stat", "status", "get", "chaos", "check", "identity", "validate", "version",
                    "completion", "why", "routes", "endpoints", "analyze"):
        text = mesh.apus(command, "--help").stdout
        assert f"apus {command}" in text and re.search(r"example", text, re.I), command


def test_version_and_completion(mesh):
    assert re.search(r"client: \d+\.\d+", mesh.apus("version").stdout)
    assert mesh.json("version")["client"]
    for shell in ("bash", "zsh", "fish"):
        assert "apus" in mesh.apus("completion", shell).stdout


def test_metrics_are_prometheus_text_under_known_names(mesh):
    mesh.up(manifests.service("orders"))
    server = mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    http.get("127.0.0.1", port)
    outbound, inbound = client.metrics(), server.metrics()
    for metrics, direction in ((outbound, "outbound"), (inbound, "inbound")):
        assert metrics.sum("request_total", direction=direction) >= 1
        assert metrics.sum("response_total", direction=direction, classification="success", status_code="200") >= 1
        assert metrics.sum("response_latency_ms_count", direction=direction) >= 1
        buckets = metrics.select("response_latency_ms_bucket", direction=direction, le="+Inf")
        assert buckets, "no +Inf bucket"
        for name in ("identity_cert_expiration_timestamp_seconds", "process_resident_memory_bytes", "process_open_fds"):
            assert metrics.sum(name) > 0, name
    assert outbound.sum("response_total", dst_service="orders", dst_namespace="shop", tls="true") >= 1
    # An idle proxy is small.
    assert outbound.sum("process_resident_memory_bytes") < 20 * 1024 * 1024


def test_the_demonstration_ends_well_and_shows_every_service(mesh):
    completed = subprocess.run([str(BINARIES / "apus"), "demo", "--once"], env=mesh.environment, capture_output=True,
                               text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    table = completed.stdout
    assert re.search(r"p99", table, re.I)
    rows = [line for line in table.splitlines() if re.search(r"\d+(\.\d+)?\s*%", line)]
    assert len(rows) >= 4, table


def test_the_demonstration_of_a_canary_promotes_a_good_version_and_takes_a_bad_one_back(mesh):
    completed = subprocess.run([str(BINARIES / "apus"), "demo", "--scenario", "canary", "--once", "--duration", "1", "-o",
                                "json"],
                               env=mesh.environment, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    good, bad = json.loads(completed.stdout)["rollouts"]
    assert (good["canary"]["service"], good["phase"]) == ("orders-v2", "Promoted")
    assert (bad["canary"]["service"], bad["phase"], bad["stable"]["weight"]) == ("orders-v3", "RolledBack", 100)
    assert re.search(r"RolledBack: every request goes to orders-v2 again: success rate \d", completed.stderr), completed.stderr


def test_the_demonstration_of_chaos_breaks_one_service_and_spares_the_customers(mesh):
    completed = subprocess.run([str(BINARIES / "apus"), "demo", "--scenario", "chaos", "--once", "--duration", "4", "-o",
                                "json"],
                               env=mesh.environment, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    before, during, after = json.loads(completed.stdout)["measurements"]
    assert before["injectedFaults"] == 0 and after["injectedFaults"] == 0
    assert during["injectedFaults"] > 0 and during["retries"] > 0
    rates = {line["service"]: line["traffic"]["successRate"] for line in during["services"] if "successRate" in line["traffic"]}
    assert rates["web"] > rates["orders-v1"] and rates["payments"] == 1
