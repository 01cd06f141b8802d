"""From samples to results: medians and spread, targets, a table, JSON, a plot."""

import json

from report.plot import draw
from report.summary import summarise
from report.tables import markdown

__all__ = ["markdown", "summarise", "write"]


def write(summary, directory):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.json").write_text(json.dumps(summary, indent=1) + "\n")
    (directory / "latest.md").write_text(markdown(summary) + "\n")
    (directory / "latest.svg").write_text(draw(summary))
