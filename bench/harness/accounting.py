"""What the operating system says of processes: CPU time, memory, children."""

import dataclasses
import os
import pathlib
import re
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process and all its threads, also those that have ended; children not included."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_kib(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmRSS:\s+(\d+)", text, re.M)
    return int(found.group(1)) if found else 0


def descendants(pid):
    """The process and everything it started."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        queue.extend(children.get(current, []))
    return found


@dataclasses.dataclass
class Meter:
    """What some processes spent while a `with` block ran, without its first `warm_up` seconds. Memory is read once, late in
    the block, while the load is on."""

    peer: object
    backends: object
    seconds: float
    warm_up: float = 0.0
    cpu: float = 0.0
    backend_cpu: float = 0.0
    elapsed: float = 0.0
    loaded_rss_kib: int = 0

    def __enter__(self):
        self.pids, self.backend_pids = self.peer.pids(), self.backends.pids()
        self.timers = [threading.Timer(self.warm_up + self.seconds * 0.7, self.sample_memory)]
        if self.warm_up:
            self.timers.append(threading.Timer(self.warm_up, self.begin))
        for timer in self.timers:
            timer.start()
        self.begin()
        return self

    def __exit__(self, *error):
        self.cpu = self.total(self.pids) - self.cpu
        self.backend_cpu = self.total(self.backend_pids) - self.backend_cpu
        self.elapsed = time.monotonic() - self.started
        for timer in self.timers:
            timer.cancel()
            timer.join()

    def begin(self):
        self.started = time.monotonic()
        self.cpu, self.backend_cpu = self.total(self.pids), self.total(self.backend_pids)

    @staticmethod
    def total(pids):
        return sum(map(cpu_seconds, pids))

    def sample_memory(self):
        self.loaded_rss_kib = self.peer.rss_kib()

    def common(self, load_cpu):
        """What every sample says of the two cores: the proxies' share, and that of the load and the program behind."""
        return {
            "proxy_busy": self.cpu / self.elapsed,
            "load_busy": load_cpu / (self.elapsed + self.warm_up) + self.backend_cpu / self.elapsed,
            "loaded_rss_kib": self.loaded_rss_kib,
        }
