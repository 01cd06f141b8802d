"""What is read from the report of the unit tests."""

import pathlib
import tempfile
import unittest

from scripts import script

REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="TestResults" errors="0" tests="3" failures="2">
    <testcase classname="MeshProxyTests.HedgingTests" name="won()" time="0.5" />
    <testcase classname="MeshProxyTests.HedgingTests" name="failures(_:)" time="0.5">
      <failure message="Expectation failed: (1) == 2&#10;more" />
      <failure message="another" />
    </testcase>
    <testcase classname="MeshCoreTests.SlabTests" name="reuse()" time="0.5"><failure>late</failure></testcase>
  </testsuite>
</testsuites>
"""


class SwiftTestTests(unittest.TestCase):
    def test_each_failed_test_has_its_name_and_first_error(self):
        with tempfile.TemporaryDirectory() as directory:
            report = pathlib.Path(directory) / "report.xml"
            report.write_text(REPORT)
            ran, failed = script("swift-test").read(report)
        self.assertEqual(len(ran), 3)
        self.assertEqual(failed, {
            "MeshProxyTests.HedgingTests/failures(_:)": "Expectation failed: (1) == 2",
            "MeshCoreTests.SlabTests/reuse()": "late",
        })


if __name__ == "__main__":
    unittest.main()
