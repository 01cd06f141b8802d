"""A workload: a topology, a load, and what one sample of it says."""

import dataclasses

from harness.accounting import Meter


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str       # in samples and JSON
    heading: str   # in tables, with its unit
    digits: int = 1
    is_better_low: bool = True


CPU_PER_REQUEST = Metric("cpu_us_per_request", "CPU us/request")
REQUEST_RATE = Metric("requests_per_second", "requests/s", 0, is_better_low=False)


@dataclasses.dataclass(frozen=True)
class Lab:
    context: object
    backends: object


class Workload:
    """One row of rounds: every peer is loaded once in each, in turn. Subclasses say how."""

    letter, name, title = "", "", ""
    topology = None
    # Of the run's --seconds.
    share = 1.0
    # Seconds of each sample that are loaded and not counted: for what a load opens anew each time.
    lead = 0
    # What a table shows. The first is what ratios and the plot are about.
    metrics = ()
    # Whether it makes sense without a proxy.
    has_floor = True
    # Whether it says something of other proxies than Apus.
    compares_peers = True

    def unavailable(self, lab):
        """Why this machine cannot run the workload at all, or None."""
        del lab
        return None

    def open(self, kind, lab):
        """A started peer, ready to be loaded."""
        peer = kind(self.topology, lab.context, lab.backends)
        try:
            peer.start()
            peer.wait_until_ready()
        except BaseException:
            peer.stop()
            raise
        return peer

    def close(self, subject):
        subject.stop()

    def warm_up(self, subject, lab):
        """Fills pools and caches; the sample is thrown away."""
        self.sample(subject, lab, 1)

    def sample(self, subject, lab, seconds):
        """One measurement."""
        with Meter(subject, lab.backends, seconds, self.lead) as meter:
            load = self.load(subject, lab, seconds)
        return {**load, **meter.common(load["load_cpu_seconds"]), **self.costs(load, meter)}

    def load(self, subject, lab, seconds):
        raise NotImplementedError

    def costs(self, load, meter):
        """CPU per unit of work. Without a proxy there is none."""
        return {"cpu_us_per_request": meter.cpu * 1e6 / load["requests"] if meter.pids else None}

    def finish_round(self, samples):
        """What needs all peers' samples of a round."""
