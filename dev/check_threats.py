#!/usr/bin/env python3
"""Every test named in docs/threat-model.md and docs/reference/attacks.md exists; every defence and every attack names one."""

import pathlib
import re
import sys

import check_standards

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "docs" / "threat-model.md", ROOT / "docs" / "reference" / "attacks.md"]


def complaints_of(page, suites, files):
    lines = page.read_text(encoding="utf-8").splitlines()
    names = check_standards.short_names("\n".join(lines))
    complaints, count = [], 0
    for number, cell in check_standards.rows(lines):
        tests = re.findall(r"`([^`]+)`", cell)
        count += len(tests)
        if not tests:
            complaints.append(f"{page.relative_to(ROOT)}:{number}: nothing here names a test")
        for token in tests:
            if trouble := check_standards.problem(token, names, suites, files):
                complaints.append(f"{page.relative_to(ROOT)}:{number}: `{token}`: {trouble}")
    if count == 0:
        complaints.append(f"{page.relative_to(ROOT)}: names no test at all")
    return complaints


def main():
    suites, files = check_standards.swift_tests(), check_standards.python_tests()
    complaints = [line for page in PAGES for line in complaints_of(page, suites, files)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
