"""Which failures a run is forgiven."""

import contextlib
import io
import unittest

import scripts  # finds the modules of dev/
import second_chance

CI = {"CI": "true"}


def judge(failures, passing=(), environment=CI):
    """The verdict, and what was run again."""
    again = []
    with contextlib.redirect_stdout(io.StringIO()):
        verdict = second_chance.judge(failures, lambda name: again.append(name) or name in passing, environment)
    return verdict, again


class SecondChanceTests(unittest.TestCase):
    def test_who_passes_by_itself_is_flaky_and_who_fails_again_has_failed(self):
        verdict, again = judge({"a": "late", "b": "wrong"}, passing={"a"})
        self.assertEqual((verdict.flaky, verdict.failed), ({"a": "late"}, {"b": "wrong"}))
        self.assertEqual(again, ["a", "b"])

    def test_without_failures_nothing_is_run(self):
        verdict, again = judge({})
        self.assertEqual((verdict.flaky, verdict.failed, again), ({}, {}, []))

    def test_many_failures_are_no_accident(self):
        most = {str(number): "no" for number in range(second_chance.MOST)}
        self.assertEqual(len(judge(most, passing=most)[0].flaky), second_chance.MOST)
        more = most | {"one": "no"}
        verdict, again = judge(more, passing=more)
        self.assertEqual((verdict.failed, verdict.flaky, again), (more, {}, []))

    def test_people_see_the_plain_result(self):
        verdict, again = judge({"a": "late"}, passing={"a"}, environment={})
        self.assertEqual((verdict.failed, again), ({"a": "late"}, []))

    def test_the_report_has_a_line_for_each(self):
        text = io.StringIO()
        second_chance.Verdict({"b": "wrong"}, {"a": "late"}).report(text)
        self.assertEqual(text.getvalue(), "FAILED  b: wrong\nFLAKY   a: late\n")


if __name__ == "__main__":
    unittest.main()
