"""Fixtures of the end-to-end tests: real programs in a real mesh on this machine's loopback addresses.

The tests of one network run one after another: the addresses 127.66.0.0/16 exist once in it. `make e2e` gives each of its
processes a network, where it may.
"""

import contextlib
import pathlib
import resource
import socket
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import network, schedule
from support.forward import HOST, Credentials, Forward, TestBackend
from support.frames import Connection
from support.mesh import BINARIES, CONTROLLER, Mesh
from support.outcomes import Outcomes, Sayings


def pytest_addoption(parser):
    group = parser.getgroup("apus")
    group.addoption("--own-network", action="store_true", help="each process of pytest-xdist has a network of its own")
    group.addoption("--outcomes", metavar="FILE", help="write what passed and failed to a file, as JSON")


def is_worker(config):
    return hasattr(config, "workerinput")


def pytest_configure(config):
    if is_worker(config) and config.option.own_network:
        network.enter()
    if not is_worker(config):
        config.pluginmanager.register(Sayings(config))
        if config.option.outcomes:
            config.pluginmanager.register(Outcomes(config.option.outcomes))


def pytest_collection_modifyitems(config, items):
    for item in items:
        if schedule.is_alone(item.path):
            item.add_marker(pytest.mark.alone)
    if is_worker(config):
        items.sort(key=lambda item: schedule.rank(item.path))


def pytest_sessionstart(session):
    missing = [name for name in ("apus", "apus-controller", "apus-proxy") if not (BINARIES / name).exists()]
    if missing and not session.config.option.collectonly:
        pytest.exit(f"not built: {', '.join(missing)} in {BINARIES}; run `make build`", returncode=2)
    # Ten thousand connections need descriptors, here and in the processes that inherit the limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture
def mesh(tmp_path, request):
    with socket.socket() as probe:
        if probe.connect_ex(CONTROLLER) == 0:
            pytest.fail("another Apus controller runs on this machine (127.66.0.1:15010): stop it first")
    made = Mesh(tmp_path)
    request.node.apus_mesh = made
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def say(request):
    """Tells a line that people see after the test, whether it passes or not."""
    return lambda text: request.node.user_properties.append(("says", text))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    made = getattr(item, "apus_mesh", None)
    if made and report.failed:
        for name, text in made.log_tails():
            report.sections.append((f"log of {name}", text))
    return report


@pytest.fixture(scope="session")
def http2_backend(tmp_path_factory):
    with TestBackend(tmp_path_factory.mktemp("backend")) as backend:
        yield backend


@pytest.fixture(scope="session")
def http2_credentials(tmp_path_factory):
    return Credentials.make(tmp_path_factory.mktemp("credentials"))


@pytest.fixture(scope="session")
def http2_listeners(tmp_path_factory, http2_backend, http2_credentials):
    """Standalone proxies before an HTTP/1.1 backend: name -> (port, TLS context or None)."""
    directory = tmp_path_factory.mktemp("http2")
    # The kernel takes a mute backend's connections; nobody ever accepts them.
    with socket.create_server((HOST, 0), backlog=2048) as mute, contextlib.ExitStack() as stack:
        made = {}
        for name, upstream in (("", http2_backend.port), (" to a mute backend", mute.getsockname()[1])):
            for kind, flags, context in (("cleartext", [], None),
                                         ("TLS", http2_credentials.flags, http2_credentials.context())):
                proxy = Forward(upstream, directory / f"{kind}{name}.log", *flags)
                made[kind + name] = (stack.enter_context(proxy).port, context)
        yield made


@pytest.fixture(params=["cleartext", "TLS"])
def dial(request, http2_listeners):
    """Opens connections of hand-made frames to a listener; each test runs on both kinds."""
    made = []

    def connect(**options):
        port, context = http2_listeners[request.param]
        made.append(Connection(port, context, **options))
        return made[-1]

    yield connect
    for connection in made:
        connection.socket.close()
