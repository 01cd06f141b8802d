#!/usr/bin/env python3
"""docs/reference/dependencies.md lists what we depend on, at the versions that are built: no more, no less."""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "dependencies.md"
# Debian packages of dev/bootstrap that are tools, not libraries.
TOOLS = {"pkg-config", "make"}


def rows(text, heading):
    """The cells of the table below a heading."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def swift_packages():
    """Name -> (version, whether Package.swift asks for it)."""
    pins = json.loads((ROOT / "Package.resolved").read_text())["pins"]
    asked = re.findall(r'\.package\(url: "[^"]*/([^"/]+)"', (ROOT / "Package.swift").read_text())
    asked = {name.lower() for name in asked}
    return {pin["identity"]: (pin["state"]["version"], pin["identity"] in asked) for pin in pins}


def debian_packages():
    line = re.search(r'^build_packages="([^"]*)"', (ROOT / "dev" / "bootstrap").read_text(), re.M).group(1)
    return {entry.split(":")[0] for entry in line.split()} - TOOLS


def python_packages():
    found = set()
    for purpose in ("test", "bench"):
        for line in (ROOT / "dev" / f"requirements-{purpose}.txt").read_text().splitlines():
            if line := line.split("#")[0].strip():
                name, version = line.split("==")
                found.add((name, version, purpose))
    return found


def differences(what, page, truth):
    for each in sorted(page - truth):
        yield f"{PAGE.relative_to(ROOT)}: {what} {each} is listed, but not in use"
    for each in sorted(truth - page):
        yield f"{PAGE.relative_to(ROOT)}: {what} {each} is in use, but not listed"


def main():
    text = PAGE.read_text(encoding="utf-8")
    swift = {(row[0], row[1], row[3] == "us") for row in rows(text, "Swift packages")}
    complaints = list(differences("Swift package", swift, {(name, *rest) for name, rest in swift_packages().items()}))
    complaints += differences("Debian package", {row[0] for row in rows(text, "System libraries")}, debian_packages())
    complaints += differences("Python package", {tuple(row) for row in rows(text, "Python packages")}, python_packages())
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
