"""A CPU quota for some processes: control groups, version 2 or 1, whichever this machine has. Needs root."""

import os
import pathlib
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
# Short, so that a proxy is slowed down evenly rather than stopped for a noticeable time.
PERIOD_US = 10_000


def is_version_2():
    return (ROOT / "cgroup.controllers").exists()


def quota_unavailable():
    """Why there can be no quota, or None."""
    if is_version_2():
        if "cpu" not in (ROOT / "cgroup.subtree_control").read_text().split():
            return "the cpu controller is not enabled for control groups below the root"
        parent = ROOT
    else:
        parent = ROOT / "cpu"
        if not (parent / "cpu.shares").exists() and not (parent / "tasks").exists():
            return "no control group with a CPU quota"
    return None if os.access(parent, os.W_OK) else "control groups need root"


class CPUQuota:
    def __init__(self, name, cores):
        self.directory = (ROOT if is_version_2() else ROOT / "cpu") / name
        self.directory.mkdir()
        quota = round(cores * PERIOD_US)
        if is_version_2():
            (self.directory / "cpu.max").write_text(f"{quota} {PERIOD_US}\n")
        else:
            (self.directory / "cpu.cfs_period_us").write_text(f"{PERIOD_US}\n")
            (self.directory / "cpu.cfs_quota_us").write_text(f"{quota}\n")

    def hold(self, pids):
        for pid in pids:
            (self.directory / "cgroup.procs").write_text(f"{pid}\n")

    def remove(self):
        """After the processes have ended; the kernel may take a moment to let go of them."""
        for _ in range(100):
            try:
                return self.directory.rmdir()
            except OSError:
                time.sleep(0.02)
        return self.directory.rmdir()
