#!/usr/bin/env python3
"""Every test that docs/threat-model.md names as the proof of a defence exists, and every defence names one."""

import pathlib
import re
import sys

import check_standards

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "threat-model.md"


def main():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    suites, files = check_standards.swift_tests(), check_standards.python_tests()
    names = check_standards.short_names("\n".join(lines))
    complaints, count = [], 0
    for number, cell in check_standards.rows(lines):
        tests = re.findall(r"`([^`]+)`", cell)
        count += len(tests)
        if not tests:
            complaints.append(f"{PAGE.relative_to(ROOT)}:{number}: a defence without a test")
        for token in tests:
            if trouble := check_standards.problem(token, names, suites, files):
                complaints.append(f"{PAGE.relative_to(ROOT)}:{number}: `{token}`: {trouble}")
    if count == 0:
        complaints.append(f"{PAGE.relative_to(ROOT)}: names no test at all")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
