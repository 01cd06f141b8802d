"""The systemd units as they are shipped: systemd accepts them, and the programs need nothing that the units take away."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys

import pytest

from support import http, manifests
from support.controller import Controller, metrics
from support.dns import NameServer
from support.mesh import BINARIES, CONTROLLER, METRICS_PORT, PROGRAMS, ROOT, Mesh, program
from support.metrics import Metrics
from support.waiting import accepts, free_port, until

UNITS = ROOT / "packaging" / "systemd"
# systemd's own scale, 0 (nothing is open) to 10; what a unit leaves open is in docs/reference/processes.md.
OUTSIDE = manifests.text("""
    apiVersion: mesh.apus.dev/v1alpha1
    kind: ExternalService
    metadata: { name: outside, namespace: shop }
    spec:
      hosts: [outside.example]
      resolution: DNS
      ports: [{ name: http, port: 80 }]
    """)
EXPOSURE = {"apus-controller.service": 1.5, "apus-proxy@.service": 1.5, "apus-run@.service": 3.0}


@pytest.mark.parametrize("name", EXPOSURE)
def test_systemd_accepts_the_unit_and_finds_little_exposed(tmp_path, name):
    assert sorted(EXPOSURE) == sorted(path.name for path in UNITS.glob("*.service"))
    for path in UNITS.glob("*.service"):
        (tmp_path / path.name).write_text(path.read_text().replace("/usr/bin/", f"{BINARIES}/"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name], capture_output=True, text=True, timeout=30)
    # systemd tells of the units of the machine, too, that it looks at on the way.
    complaints = [line for line in verified.stderr.splitlines() if "apus" in line]
    assert not complaints, complaints
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", tmp_path / name], capture_output=True, text=True,
        timeout=30)
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", security.stdout).group(1))
    assert exposure <= EXPOSURE[name], security.stdout


def test_a_unit_names_every_file_that_it_needs():
    for name, files in {"apus-controller.service": ["/var/lib/apus", "/etc/apus/manifests"],
                        "apus-run@.service": ["/etc/apus/run/%i.join", "${CREDENTIALS_DIRECTORY}/join-token"]}.items():
        text = (UNITS / name).read_text()
        assert all(file in text for file in files), name


def confined(unit, binary, *arguments):
    return [sys.executable, PROGRAMS / "confined.py", UNITS / unit, BINARIES / binary, *arguments]


def test_the_filter_kills_what_makes_another_call(tmp_path):
    made = tmp_path / "made"
    command = [sys.executable, PROGRAMS / "confined.py", UNITS / "apus-proxy@.service", shutil.which("mkdir"), made]
    assert subprocess.run(list(map(str, command)), timeout=10).returncode == -signal.SIGSYS
    assert not made.exists()


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A controller and a proxy under the filters of their units, in an ordinary mesh."""
    mesh = Mesh(tmp_path_factory.mktemp("confined"))
    try:
        mesh.names = NameServer("127.77.0.53")
        mesh.names.records["outside.example"] = (60, ["127.77.0.54"])
        mesh.after_stop.append(mesh.names.stop)
        mesh.write("mesh.yaml", manifests.service("web"), manifests.service("orders"), OUTSIDE)
        mesh.controller = mesh.start("controller", confined(
            "apus-controller.service", "apus-controller", "--manifests", mesh.manifests, "--state-dir", mesh.state,
            "--certificate-lifetime", 6,
            # Its name is looked up, in vain.
            "--signer", "https://signer.invalid/", "--signer-timeout", "2s"))
        until(lambda: accepts(*CONTROLLER) and mesh.apus("status", check=False).returncode == 0, "the controller answers", 20)
        yield mesh
    finally:
        mesh.stop()


@contextlib.contextmanager
def confined_proxy(mesh, *listens):
    """A proxy of the service `web`, registered by this process."""
    made = json.loads(mesh.apus("identity", "token", "create", "--service", "web", "-n", "shop").stdout)
    controller = Controller(made["trust_anchors_pem"])
    with controller.joined(token=made["token"], ready=True) as grant:
        process = mesh.start(
            grant["workload"],
            ["env", f"APUS_JOIN_TOKEN={grant['token']}", *confined(
                "apus-proxy@.service", "apus-proxy", "--workload", grant["workload"], "--namespace", "shop", "--identity",
                grant["identity"], "--address", grant["address"], "--controller", "%s:%d" % CONTROLLER, "--trust-anchors",
                mesh.state / "trust-anchors.pem", "--access-log", "all", "--dns-server", mesh.names.flag, "--app-address",
                grant["address"], *(f"--listen={each}" for each in listens))])
        process.address = grant["address"]
        until(lambda: process.is_running and http.get(grant["address"], METRICS_PORT, "/ready").status == 200, "ready", 20)
        yield process
    controller.close()


def test_the_controller_and_a_proxy_work_under_the_filters_of_their_units(town):
    mesh, ports = town, [free_port(), free_port()]
    mesh.serve("orders")
    with confined_proxy(mesh, f"127.0.0.1:{ports[0]}=orders.shop:80") as proxy:
        # A client: HTTP/1 and HTTP/2, many connections, bodies, an upgrade of configuration meanwhile.
        mesh.wait_until_serving(ports[0])
        with http.Load(ports[0], connections=16) as load:
            mesh.write("more.yaml", manifests.service("extra"))
            until(lambda: proxy_refreshes(proxy) >= 3, "certificates are renewed", 20)
            load.after(200)
        assert load.bad == []
        assert http.get("127.0.0.1", ports[0], "/upload", method="POST", body=b"x" * 3_000_000).status == 200
        # A server: the mesh port, mutual TLS, the application on its own address.
        with program_at(mesh, proxy.address):
            client, port = mesh.client("web.shop:80")
            mesh.wait_until_serving(port)
        # A name outside, where nobody listens; the pages; the end.
        assert http.via_proxy(proxy.address, "http://outside.example/", timeout=15).status == 503
        assert mesh.names.asked
        for page in ("/certs", "/config_dump", "/clusters", "/loops", "/server_info"):
            assert http.get(proxy.address, 15000, page).status == 200
        assert "process_open_fds" in http.get(proxy.address, METRICS_PORT, "/metrics").text
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0, proxy.log()
    assert mesh.apus("chaos", "stop").returncode == mesh.apus("chaos", "start").returncode == 0
    assert mesh.apus("analyze", check=False).returncode in (0, 1)
    assert metrics().sum("workload_joins_total") >= 1
    until(lambda: metrics().sum("issuer_requests_total"), "the signer is asked", 10)
    mesh.controller.signal(signal.SIGTERM)
    assert mesh.controller.wait() == 0, mesh.controller.log()


def proxy_refreshes(proxy):
    return Metrics(http.get(proxy.address, METRICS_PORT, "/metrics").text).sum("identity_cert_refresh_total")


@contextlib.contextmanager
def program_at(mesh, address):
    process = mesh.start("app", ["env", f"APUS_WORKLOAD_ADDRESS={address}", *program("app.py", 8080, "v1")])
    until(lambda: accepts(address, 8080), "the application accepts")
    yield process
    process.kill_group()
