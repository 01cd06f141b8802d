"""Prometheus text, read just enough to ask for sums."""

import re

SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\S+)?$")
LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    def __init__(self, text):
        self.text, self.samples = text, []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, f"not a Prometheus sample: {line!r}"
                self.samples.append((match.group(1), dict(LABEL.findall(match.group(2) or "")), float(match.group(3))))

    def select(self, name, **labels):
        return [(its, value) for family, its, value in self.samples
                if family == name and all(its.get(key) == want for key, want in labels.items())]

    def sum(self, name, **labels):
        return sum(value for _, value in self.select(name, **labels))

    def by(self, label, name, **labels):
        totals = {}
        for its, value in self.select(name, **labels):
            totals[its.get(label, "")] = totals.get(its.get(label, ""), 0) + value
        return totals
