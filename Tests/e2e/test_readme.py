"""The README's tour works by copy and paste, in order, in one shell."""

import os
import re
import signal
import subprocess

from support.mesh import ROOT

TOUR = re.compile(r"<!-- tour -->\n```sh\n(.*?)```", re.S)


def test_the_tour_of_the_readme_can_be_followed_by_copy_and_paste(mesh):
    steps = TOUR.findall((ROOT / "README.md").read_text())
    assert len(steps) >= 6
    # The binaries are built already, and maybe elsewhere.
    script = "\n".join(steps).replace("make build\n", "").replace("$PWD/.build/release:", "")
    tour = subprocess.Popen(["bash", "-euo", "pipefail", "-c", script], env=mesh.environment, cwd=ROOT, start_new_session=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = tour.communicate(timeout=100)
    finally:
        try:
            os.killpg(tour.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        subprocess.run(["rm", "-rf", "/tmp/tour"], check=False)
    assert tour.returncode == 0, output
    counts = dict((word, int(number)) for number, word in re.findall(r"^ +(\d+) (one|two)$", output, re.M)[:2])
    assert sum(counts.values()) == 200 and 5 <= counts["two"] <= 40, output
    assert re.search(r"^ +50 two$", output, re.M), output
    assert re.search(r"orders\.yaml:\d+:\d+: .*TrafficSplit shop/orders", output), output
