"""One measurement: load a peer with wrk for some seconds, and read from /proc what its proxies spent meanwhile."""

import dataclasses
import os
import pathlib
import re
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
# On two cores the load generator and the backend share the first and the proxies have the second for themselves.
LOAD_CORE, PROXY_CORE = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    connections: int


SINGLE = Scenario("single", "One proxy, plain HTTP/1.1 keep-alive, 64 connections", 64)
PAIR = Scenario("pair", "Two proxies, mutual TLS 1.3 between them, 32 HTTP/1.1 client connections", 32)


def pinned(core, command):
    return ["taskset", "-c", str(core), *command]


def cpu_seconds(pid):
    """User and system time of a process and all its threads, children not included."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0.0
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_kib(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    found = re.search(r"^VmRSS:\s+(\d+)", text, re.M)
    return int(found.group(1)) if found else 0


def descendants(pid):
    """The process and everything it started, whoever is its parent now in between."""
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


UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def parse_wrk(output):
    latency = dict(re.findall(r"^\s+(50|75|90|99)%\s+(\S+)", output, re.M))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return {
        "requests": int(re.search(r"(\d+) requests in", output).group(1)),
        "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)),
        "p50_ms": milliseconds(latency["50"]),
        "p99_ms": milliseconds(latency["99"]),
        "errors": (int(bad.group(1)) if bad else 0) + (sum(map(int, socket_errors.groups())) if socket_errors else 0),
    }


def load(peer, scenario, seconds, context):
    pids = peer.pids()
    before, started = sum(map(cpu_seconds, pids)), time.monotonic()
    # The memory is read while the load is on, once, late.
    memory = {}
    sampler = threading.Timer(seconds * 0.7, lambda: memory.update(rss=peer.rss_kib()))
    sampler.start()
    completed = subprocess.run(
        pinned(LOAD_CORE, ["wrk", "-t1", f"-c{scenario.connections}", f"-d{max(1, round(seconds))}s", "--latency", peer.url()]),
        capture_output=True, text=True, check=True, timeout=seconds * 3 + 30,
    )
    spent, elapsed = sum(map(cpu_seconds, pids)) - before, time.monotonic() - started
    sampler.join()
    sample = parse_wrk(completed.stdout)
    sample["cpu_us_per_request"] = spent * 1e6 / max(1, sample["requests"])
    sample["proxy_core_busy"] = spent / elapsed
    sample["loaded_rss_kib"] = memory.get("rss", 0)
    return sample
