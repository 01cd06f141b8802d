"""A failed test's second chance, in CI alone.

A test that a busy machine can fail is a defect, but not of the change that is being tested: it is run once more by itself, and
when it passes then it is told as FLAKY, loudly, and the run goes on. Many failures at once are no accident and get none. People
at their desks see the plain result.
"""

import dataclasses
import os

# More failures than this are one cause, not chance.
MOST = 5


@dataclasses.dataclass
class Verdict:
    """What remains of the failures of a run, each a name and its first error."""

    failed: dict
    flaky: dict

    def report(self, out=None):
        for name, error in self.failed.items():
            print(f"FAILED  {name}: {error}", file=out)
        for name, error in self.flaky.items():
            print(f"FLAKY   {name}: {error}", file=out)


def is_given(failures, environment=os.environ):
    return bool(environment.get("CI")) and 0 < len(failures) <= MOST


def judge(failures, run_again, environment=os.environ):
    """`failures`: names and first errors. `run_again(name)` runs that one test, and says whether it passed."""
    if not is_given(failures, environment):
        return Verdict(dict(failures), {})
    verdict = Verdict({}, {})
    for name, error in failures.items():
        print(f"=== once more, by itself: {name} ===", flush=True)
        (verdict.flaky if run_again(name) else verdict.failed)[name] = error
    return verdict
