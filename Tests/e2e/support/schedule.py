"""Which tests have the machine for themselves, and in which order the files begin when several run at once."""

import pathlib

# They measure latency, or what share of many requests fails.
ALONE = {"test_abuse.py", "test_drills.py"}
# The longest first, so that none of them is left at the end. Whatever is not here takes less than 15 seconds.
LONGEST = [
    "test_readme.py", "test_drain.py", "test_endurance.py", "test_tools.py", "test_bodies.py", "test_rotation.py",
    "test_trafficpolicy.py", "test_certificates.py", "test_traffic.py", "test_rollouts.py", "test_why.py", "test_faults.py",
    "test_splits.py", "test_external_dns.py",
]


def is_alone(path):
    return pathlib.Path(path).name in ALONE


def rank(path):
    name = pathlib.Path(path).name
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)
