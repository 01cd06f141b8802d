#!/usr/bin/env python3
"""Every test that docs/standards.md names exists.

The page says itself what its short names stand for: "`Mistakes` is `RouteMistakeTests`", "`e2e` is `Tests/e2e/test_gamma.py`".
A test is `Suite.function` for Swift, and `file.the_beginning_of_its_name`, without `test_`, for Python.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "standards.md"

CODE = re.compile(r"`([^`]+)`")
# "`A` is `B`", "`A` and `B` are `C` and `D`"; words in brackets may stand between.
IS = re.compile(r"`([^`]+)`(?: \([^)]*\))?,? is `([^`]+)`")
ARE = re.compile(r"`([^`]+)` and `([^`]+)` are `([^`]+)` and `([^`]+)`")
SUITE = re.compile(r"^\s*(?:@Suite\b.*?)?(?:package |final )?(?:struct|class|enum|extension)\s+(\w+)")
SWIFT_TEST = re.compile(r"\bfunc\s+(\w+)\s*\(")
PYTHON_TEST = re.compile(r"^def test_(\w+)\(", re.M)


def swift_tests():
    """Suite -> names of its functions."""
    suites = {}
    for path in sorted((ROOT / "Tests").rglob("*.swift")):
        suite = None
        for line in path.read_text(encoding="utf-8").splitlines():
            # Only what begins at the margin is a suite; a nested type's functions are its own.
            if (match := SUITE.match(line)) and not line.startswith(" "):
                suite = match.group(1)
            elif suite and (match := SWIFT_TEST.search(line)):
                suites.setdefault(suite, set()).add(match.group(1))
    return suites


def python_tests():
    """`test_gamma.py` -> names of its tests without `test_`."""
    files = (ROOT / "Tests" / "e2e").glob("test_*.py")
    return {path.name: PYTHON_TEST.findall(path.read_text(encoding="utf-8")) for path in files}


def short_names(text):
    text = re.sub(r"\s+", " ", text)
    names = dict(IS.findall(text))
    for a, b, c, d in ARE.findall(text):
        names.update({a: c, b: d})
    return names


def rows(lines):
    """(line number, last cell) of every table whose last column tells of tests."""
    is_about_tests = False
    for number, line in enumerate(lines, 1):
        if not line.startswith("|"):
            is_about_tests = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[-1] in ("Test", "Tests", "Here"):
            is_about_tests = True
        elif is_about_tests and set(cells[-1]) - set("-: "):
            yield number, cells[-1]


def problem(token, names, suites, files):
    """What is wrong with a name, or None."""
    place, dot, test = token.rpartition(".")
    # A whole file or suite.
    if not dot or token.endswith(".py"):
        place, test = token, ""
    target = names.get(place, place)
    file = target.rsplit("/", 1)[-1].removesuffix(".py") + ".py"
    if file in files:
        found = any(name.startswith(test) for name in files[file])
        return None if found else f"{file} has no test that begins with test_{test}"
    if target not in suites:
        return f"there is no suite and no file of tests called {target}"
    return None if not test or test in suites[target] else f"{target} has no test {test}"


def main():
    text = PAGE.read_text(encoding="utf-8")
    names, suites, files = short_names(text), swift_tests(), python_tests()
    complaints, count = [], 0
    for number, cell in rows(text.splitlines()):
        for token in CODE.findall(cell):
            count += 1
            if wrong := problem(token, names, suites, files):
                complaints.append(f"{PAGE.relative_to(ROOT)}:{number}: `{token}`: {wrong}")
    # A change of the page's form must not switch the check off.
    if count < 100:
        complaints.append(f"{PAGE.relative_to(ROOT)}: only {count} names of tests found")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
