"""Requests at a steady rate, in the background, by wrk: every connection waits a while before each request."""

import re
import signal
import subprocess

CONNECTIONS = 24


class SteadyLoad:
    def __init__(self, directory, port, rate):
        script = directory / f"steady-{port}.lua"
        script.write_text(f"function delay() return {1000 * CONNECTIONS / rate:.3f} end\n")
        self.command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d300s", "--timeout", "5s", "-s", str(script),
                        f"http://127.0.0.1:{port}/"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            # It prints its report.
            self.process.send_signal(signal.SIGINT)
        self.report = self.process.communicate(timeout=20)[0]
        self.requests = int(re.search(r"(\d+) requests in", self.report).group(1))
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", self.report).group(1))
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", self.report)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", self.report)
        self.failed = sum(map(int, errors.groups())) if errors else 0
        self.failed += int(bad.group(1)) if bad else 0
