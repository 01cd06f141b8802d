"""What tests say and what becomes of them, told by the process that has the terminal, wherever they ran."""

import json
import pathlib


def first_line(report):
    """The error in one line, as pytest's own summary has it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else str(report.longrepr)).strip().splitlines()
    where = f"{report.when}: " if report.when in ("setup", "teardown") else ""
    return where + (lines[0] if lines else "no reason given")


class Sayings:
    """A plugin that shows the lines of the fixture `say`."""

    def __init__(self, config):
        self.plugins = config.pluginmanager

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            for name, text in report.user_properties:
                if name == "says":
                    self.plugins.get_plugin("terminalreporter").write_line(f"\n  {report.nodeid.partition('::')[0]}: {text}")


class Outcomes:
    """A plugin that writes to a file, as JSON, how many tests passed and which failed with which line, each once."""

    def __init__(self, file):
        self.file, self.passed, self.failed = pathlib.Path(file), 0, {}

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.setdefault(report.nodeid, first_line(report))
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_sessionfinish(self):
        self.file.write_text(json.dumps({"passed": self.passed, "failed": self.failed}))
