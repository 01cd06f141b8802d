"""Load on a mesh while its authority is being replaced."""

from .mesh import BINARIES
from .wrk import SteadyLoad

# Requests per second, over all clients. Debug builds are several times slower.
RATE = 2000 if "debug" not in str(BINARIES) else 300


class Traffic:
    """Load on all of `mesh.ports`. At its end nothing may have failed, and every proxy of `mesh.workloads`
    must be the one of the start."""

    def __init__(self, mesh):
        self.mesh = mesh
        self.loads = [SteadyLoad(mesh.directory, port, RATE / len(mesh.ports)) for port in mesh.ports]

    def __enter__(self):
        self.proxies = [workload.proxy_pid for workload in self.mesh.workloads]
        for load in self.loads:
            load.__enter__()

    def __exit__(self, kind, *_):
        for load in self.loads:
            load.__exit__()
        if kind is None:
            assert not any(load.failed for load in self.loads), [load.report for load in self.loads]
            assert sum(load.rate for load in self.loads) > RATE / 2, [load.report for load in self.loads]
            assert [workload.proxy_pid for workload in self.mesh.workloads] == self.proxies
