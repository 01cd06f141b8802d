"""Fixtures of the end-to-end tests: real programs in a real mesh on this machine's loopback addresses.

The tests run one after another: the addresses 127.66.0.0/16 exist once per machine.
"""

import pathlib
import resource
import socket
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support.mesh import BINARIES, CONTROLLER, Mesh


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
    """Writes a line that people see, whether the test passes or not."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def write(text):
        with capture.global_and_fixture_disabled():
            print(f"\n  {text}", flush=True)

    return write


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    made = getattr(item, "apus_mesh", None)
    if made and report.failed:
        for name, text in made.log_tails():
            report.sections.append((f"log of {name}", text))
    return report
