"""What the runs of pytest come to, all together."""

import contextlib
import io
import os
import unittest
import unittest.mock

from scripts import script

e2e = script("e2e")


def run(*passes, again=(), isolated=True, environment=(("CI", "true"),)):
    """Runs the script with these passes in the place of pytest's, then with those of the second chances."""
    results, flags = iter([*passes, *again]), []

    def pytest(given, targets=None):
        flags.append((given, targets))
        return next(results)

    out = io.StringIO()
    with (unittest.mock.patch.object(e2e, "pytest", pytest),
          unittest.mock.patch.object(e2e.network, "can_enter", lambda: isolated),
          unittest.mock.patch.object(os, "sched_getaffinity", lambda _: {0, 1}),
          unittest.mock.patch.dict(os.environ, dict(environment), clear=True), contextlib.redirect_stdout(out)):
        code = e2e.main()
    return code, out.getvalue(), flags


GOOD = e2e.Pass(0, 10, {})


class EndToEndTests(unittest.TestCase):
    def test_two_cores_run_three_files_at_a_time_and_then_what_wants_the_machine(self):
        code, text, flags = run(GOOD, GOOD)
        self.assertEqual(code, 0)
        self.assertIn("20 passed, 0 failed, 0 flaky; 3 at a time", text)
        (together, _), (alone, _) = flags
        self.assertEqual(together[together.index("-n") + 1], "3")
        self.assertEqual((together[-1], alone[-1], alone[alone.index("-n") + 1]), ("not alone", "alone", "1"))
        self.assertTrue("--own-network" in together and "--own-network" in alone)

    def test_who_may_not_make_networks_runs_one_after_the_other(self):
        code, text, flags = run(GOOD, isolated=False)
        self.assertEqual((code, len(flags)), (0, 1))
        self.assertNotIn("--own-network", flags[0][0])
        self.assertIn("1 at a time", text)

    def test_a_flaky_test_is_told_and_does_not_fail_the_run(self):
        code, text, flags = run(e2e.Pass(1, 9, {"test_a.py::test_b": "late"}), GOOD, again=[e2e.Pass(0, 1, {})])
        self.assertEqual(code, 0)
        self.assertIn("\nFLAKY   test_a.py::test_b: late\n", text)
        self.assertTrue(flags[2][1][0].endswith("/Tests/e2e/test_a.py::test_b"))

    def test_a_test_that_fails_twice_fails_the_run(self):
        failed = e2e.Pass(1, 9, {"test_a.py::test_b": "wrong"})
        code, text, _ = run(failed, GOOD, again=[failed])
        self.assertEqual(code, 1)
        self.assertIn("\nFAILED  test_a.py::test_b: wrong\n", text)

    def test_a_run_that_ended_otherwise_is_a_failure(self):
        # Interrupted, an error inside, no tests found; and a failure without a test.
        for broken in (e2e.Pass(2, 0, {}), e2e.Pass(3, 5, {}), e2e.Pass(5, 0, {}), e2e.Pass(1, 5, {}), e2e.Pass(-9, 0, {})):
            code, text, _ = run(broken, GOOD)
            self.assertEqual(code, 1, broken)
            self.assertIn(f"pytest ended with {broken.code} and no test to blame", text)


if __name__ == "__main__":
    unittest.main()
