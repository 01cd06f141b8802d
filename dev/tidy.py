#!/usr/bin/env python3
"""The tidy test: rules about our own text that a compiler does not know.

An error fails `make check`; a warning is printed and does not. A rule's exceptions are named here, with their reason.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

DATA_PLANE = {"MeshCore", "MeshHTTP", "MeshPolicy", "MeshTelemetry", "MeshRuntime", "MeshAPI", "MeshProxy"}
# Executables and the command-line tool's renderers write to standard output; libraries do not.
MAY_PRINT = {"apus", "apus-controller", "apus-proxy", "apus-shop", "MeshCLI"}
# Only the runtime reads a clock: everyone else is handed the time, which is what makes the rest testable.
MAY_READ_CLOCK = {"MeshRuntime"}
# Files that may trap on purpose: (path, reason).
MAY_TRAP = {}
# Files whose functions may be long: (path, reason).
MAY_BE_LONG = {
    "Sources/MeshHTTP/HTTP1/HTTP1Encoder+Reason.swift": "a table: one case a line, as IANA registers them",
}

FILE_LINES, FUNCTION_LINES, COLUMNS = 400, 50, 120

TEXT_SUFFIXES = {".swift", ".py", ".md", ".yaml", ".yml", ".json", ".h", ".c", ".proto", ".txt", ".cfg", ".conf", ".sh", ""}
GENERATED = re.compile(r"/Generated/|\.pb\.swift$|\.grpc\.swift$")
# Third-party text or data kept byte for byte.
VERBATIM = re.compile(r"^LICENSE$|/[Cc]orpus/|/Vectors/|/Fixtures/|^bench/results/")

PROMISE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
HOME_PATH = re.compile(r"(?<![\w.$}])/(?:home/\w+|root|Users/\w+|work)/")
PRINT = re.compile(r"(?<![\w.])(?:debugPrint|print|dump)\(")
CLOCK = re.compile(r"\b(?:clock_gettime|gettimeofday|ContinuousClock|SuspendingClock|Date\(\)|Date\.now|time\(nil\))")
TRAP = re.compile(r"\btry!|\bfatalError\(|\bas! ")
UNCHECKED = re.compile(r"@unchecked\s+Sendable|nonisolated\(unsafe\)")
SLEEP = re.compile(r"\bTask\.sleep|\busleep\(|(?<![\w.])sleep\(")
STRING = re.compile(r'(#*)("""|")')
FUNCTION = re.compile(r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:[a-z]+(?:\(\w+\))?\s+)*(?:func\s+\S+|init[?!]?\s*[(<]|deinit\b)")


class Report:
    def __init__(self):
        self.errors, self.warnings = [], []

    def error(self, path, line, text):
        self.errors.append(f"{path}:{line}: error: {text}")

    def warn(self, path, line, text):
        self.warnings.append(f"{path}:{line}: warning: {text}")


def tracked_files():
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout
    for name in sorted(filter(None, listing.decode().split("\0"))):
        path = ROOT / name
        if path.is_file() and path.suffix in TEXT_SUFFIXES and not GENERATED.search(name) and not VERBATIM.search(name):
            yield name, path


def strip_code(text):
    """The text with comments and string literals blanked, line structure kept."""
    out, i, depth = [], 0, 0
    while i < len(text):
        two = text[i:i + 2]
        if depth == 0 and two == "//":
            end = text.find("\n", i)
        elif two == "/*":
            depth, end = depth + 1, i + 2
        elif depth and two == "*/":
            depth, end = depth - 1, i + 2
        elif depth == 0 and (opening := STRING.match(text, i)):
            end = end_of_string(text, opening)
        else:
            out.append(" " if depth and text[i] != "\n" else text[i])
            i += 1
            continue
        end = len(text) if end < 0 else end
        out.extend("\n" if c == "\n" else " " for c in text[i:end])
        i = end
    return "".join(out)


def end_of_string(text, opening):
    """Where the literal ends. What is interpolated is code, which may have strings of its own, but belongs to the literal."""
    pounds, quote = opening.groups()
    closing, escape = quote + pounds, "\\" + pounds
    i = opening.end()
    while i < len(text):
        if text.startswith(closing, i):
            return i + len(closing)
        if text.startswith(escape + "(", i):
            i = end_of_brackets(text, i + len(escape))
        elif text.startswith(escape, i):
            i += len(escape) + 1
        elif text[i] == "\n" and quote == '"':
            return i
        else:
            i += 1
    return i


def end_of_brackets(text, i):
    depth = 0
    while i < len(text):
        if opening := STRING.match(text, i):
            i = end_of_string(text, opening)
            continue
        depth += (text[i] == "(") - (text[i] == ")")
        i += 1
        if depth == 0:
            break
    return i


def check_text(name, lines, report):
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            report.error(name, number, "trailing whitespace")
        if name != "dev/tidy.py" and PROMISE.search(line):
            report.error(name, number, "promises work not done: do it, or file an issue")
        if HOME_PATH.search(line):
            report.error(name, number, "absolute path of one machine")
        if "\t" in line and not name.endswith("Makefile"):
            report.error(name, number, "tab")
        if name.endswith(".py") and len(line) > COLUMNS + 8:
            report.warn(name, number, f"{len(line)} columns")


def check_functions(name, code_lines, report):
    number = 0
    while number < len(code_lines):
        if FUNCTION.match(code_lines[number]):
            depth, seen, end = 0, False, number
            while end < len(code_lines):
                depth += code_lines[end].count("{") - code_lines[end].count("}")
                seen = seen or "{" in code_lines[end]
                if (seen and depth <= 0) or (not seen and end > number + 12):
                    break
                end += 1
            if seen and end - number + 1 > FUNCTION_LINES:
                report.warn(name, number + 1, f"function of {end - number + 1} lines: look hard (over {FUNCTION_LINES})")
        number += 1


def check_swift(name, text, lines, report):
    parts = name.split("/")
    target = parts[1] if parts[0] == "Sources" and len(parts) > 2 else None
    is_test = parts[0] == "Tests"
    code_lines = strip_code(text).splitlines()
    for number, code in enumerate(code_lines, 1):
        if target and target not in MAY_PRINT and PRINT.search(code):
            report.error(name, number, "a library does not print")
        if target in DATA_PLANE - MAY_READ_CLOCK and CLOCK.search(code):
            report.error(name, number, "only MeshRuntime reads a clock: take the time as a parameter")
        if target and name not in MAY_TRAP and TRAP.search(code):
            report.error(name, number, "can end the process (allowed files are listed in dev/tidy.py)")
        if UNCHECKED.search(code) and not explained(lines, number):
            report.error(name, number, "needs a comment on the line before that names the loop or lock that guards it")
        if is_test and SLEEP.search(code):
            report.error(name, number, "a unit test does not wait by the clock")
    if len(lines) > FILE_LINES:
        report.warn(name, 1, f"{len(lines)} lines: is it still one topic? (over {FILE_LINES})")
    if not is_test and name not in MAY_BE_LONG:
        check_functions(name, code_lines, report)


def explained(lines, number):
    """Whether a comment stands on the same line or before it, past attributes and other lines of the declaration."""
    if "//" in lines[number - 1]:
        return True
    before = number - 2
    while before >= 0 and lines[before].strip().startswith("@"):
        before -= 1
    return before >= 0 and lines[before].strip().startswith(("//", "*/"))


def main():
    report = Report()
    for name, path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        lines = text.split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        elif text:
            report.error(name, len(lines), "no newline at the end of the file")
        check_text(name, lines, report)
        if path.suffix == ".swift":
            check_swift(name, text, lines, report)
    for line in report.warnings + report.errors:
        print(line)
    if report.warnings:
        print(f"tidy: {len(report.warnings)} warnings, {len(report.errors)} errors")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
