"""The load generators: wrk, h2load and our own, run once and read into a dictionary. A run that is not clean is an error."""

import json
import os
import re
import subprocess

from harness.context import LOAD_CORE, BenchError
from harness.processes import pinned

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def run(command, seconds, core=LOAD_CORE):
    """Standard output of a program and the CPU seconds it took."""
    before = os.times()
    try:
        done = subprocess.run(pinned(core, command), capture_output=True, text=True, timeout=seconds * 3 + 60, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} did not end: {error}") from error
    after = os.times()
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()[-500:]}")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, spent


def parse_wrk(output):
    latency = dict(re.findall(r"^\s+(50|75|90|99)%\s+(\S+)", output, re.M))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    if bad or errors:
        raise BenchError(f"wrk saw failures: {(bad or errors).group()}")
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    if requests == 0:
        raise BenchError("wrk saw no response")
    return {
        "requests": requests,
        "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)),
        "p50_ms": milliseconds(latency["50"]), "p99_ms": milliseconds(latency["99"]),
    }


def wrk(url, connections, seconds, core=LOAD_CORE, script=None):
    """`script`: Lua that says what is asked."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    command += ["-s", str(script), url] if script else [url]
    output, spent = run(command, seconds, core)
    return {**parse_wrk(output), "load_cpu_seconds": spent}


def parse_h2load(output, in_flight=0):
    """`in_flight` responses at most had their status counted before the warm-up ended, and their end after it."""
    counts = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", output)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
    if not counts or not codes:
        raise BenchError(f"h2load said nothing that can be read: {output[-300:]}")
    total, done, succeeded, failed, errored = map(int, counts.groups())
    good, *other = map(int, codes.groups())
    if failed or errored or any(other) or succeeded != done or good + in_flight < done or done == 0:
        raise BenchError(f"h2load saw failures: {counts.group()}; {codes.group()}")
    # h2load's own summary has a mean and a deviation, no percentiles.
    time = re.search(r"time for request:\s+(\S+)\s+(\S+)\s+(\S+)", output)
    rate = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", output)
    return {
        "requests": done, "requests_per_second": float(rate.group(1)),
        "mean_ms": milliseconds(time.group(3)), "max_ms": milliseconds(time.group(2)),
    }


def h2load(url, connections, streams, seconds, warm_up, *options):
    """Requests of the first `warm_up` seconds are not counted."""
    times = [f"--duration={max(1, round(seconds))}", f"--warm-up-time={warm_up}"]
    command = ["h2load", "-t1", *times, f"-c{connections}", f"-m{streams}", *options, url]
    output, spent = run(command, seconds)
    return {**parse_h2load(output, connections * streams), "load_cpu_seconds": spent}


def loadgen(context, mode, address, seconds, *options):
    output, _ = run([context.loadgen, mode, address, f"--seconds={seconds}", *options], seconds)
    return json.loads(output)
