"""Programs that run beside the measurement: started pinned and in their own session, watched, ended."""

import os
import signal
import subprocess
import time

from harness.accounting import descendants
from harness.context import BenchError


def pinned(core, command):
    return ["taskset", "-c", core, *command]


class Processes:
    def __init__(self, name, log):
        self.name, self.log, self.running = name, log, []

    def spawn(self, core, command, **options):
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                pinned(core, command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options)
        self.running.append(process)
        return process

    def pids(self):
        return [pid for process in self.running for pid in descendants(process.pid)]

    def check(self):
        for process in self.running:
            if process.poll() is not None:
                raise BenchError(f"{self.name} exited with {process.returncode}; see {self.log}")

    def wait_until(self, is_ready, seconds=30):
        """`is_ready` raises or returns false until the program answers."""
        deadline, last = time.monotonic() + seconds, "no answer"
        while time.monotonic() < deadline:
            self.check()
            try:
                if is_ready():
                    return
            except (OSError, BenchError) as error:
                last = error
            time.sleep(0.05)
        raise BenchError(f"{self.name} was not ready within {seconds} s: {last}; see {self.log}")

    def stop(self):
        for process in reversed(self.running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.running = []
