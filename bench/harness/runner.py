"""Rounds: in each, every peer is loaded once, in an order that changes, so that slow drift of the machine hits all alike."""

import contextlib
import sys
import time

from harness.context import BenchError
from harness.rounds import order
from peers import KINDS


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class WorkloadRun:
    """One workload with all its peers up at once."""

    def __init__(self, workload, names, lab):
        self.workload, self.lab = workload, lab
        self.left_out = {}
        self.subjects, self.idle_rss_kib, self.rounds = {}, {}, []
        self.names = [name for name in names if self.is_measured(KINDS[name])]

    def is_measured(self, kind):
        if kind.name == "direct" and not self.workload.has_floor:
            return False
        if kind.name != "apus" and not self.workload.compares_peers:
            return False
        reason = kind.refusals.get(self.workload.topology)
        if reason:
            self.left_out[kind.name] = reason
        return not reason

    def run(self, rounds, seconds):
        try:
            for name in self.names:
                self.start(name)
            for number in range(rounds):
                self.rounds.append(self.run_round(number, seconds))
        finally:
            with contextlib.ExitStack() as stack:
                for subject in self.subjects.values():
                    stack.callback(self.workload.close, subject)

    def start(self, name):
        subject = self.workload.open(KINDS[name], self.lab)
        self.subjects[name] = subject
        if hasattr(subject, "rss_kib") and not isinstance(subject, type):
            self.idle_rss_kib[name] = subject.rss_kib()
        self.attempt(name, lambda: self.workload.warm_up(subject, self.lab))

    def attempt(self, name, action):
        try:
            return action()
        except BenchError as error:
            raise BenchError(f"{self.workload.name}: {name}: {error}") from error

    def run_round(self, number, seconds):
        samples = {}
        for name in order(self.names, number):
            subject = self.subjects[name]
            samples[name] = self.attempt(name, lambda: self.workload.sample(subject, self.lab, seconds))
        self.workload.finish_round(samples)
        for name in self.names:
            say(f"({self.workload.letter}) {self.workload.name} round {number + 1} {self.line(name, samples[name])}")
        return samples

    def line(self, name, sample):
        known = [(metric, sample.get(metric.key)) for metric in self.workload.metrics]
        shown = [f"{value:.{metric.digits}f} {metric.heading}" for metric, value in known if value is not None]
        return f"{name:8s} " + ", ".join(shown[:4])


def run_workload(workload, names, lab, rounds, seconds):
    """The rounds' samples, or why there are none."""
    started = time.monotonic()
    reason = workload.unavailable(lab)
    if reason:
        say(f"({workload.letter}) {workload.name} NOT MEASURED: {reason}")
        return {"not_measured": reason}
    say(f"({workload.letter}) {workload.title}")
    run = WorkloadRun(workload, names, lab)
    run.run(rounds, seconds * workload.share)
    return {
        "left_out": run.left_out, "idle_rss_kib": run.idle_rss_kib, "rounds": run.rounds,
        "took_seconds": time.monotonic() - started,
    }
