"""Attacks on a live proxy while an honest client goes on: docs/design/0003-abuse-budgets.md has their table.

The victim asks at a constant rate by another listener of the same worker. Its 99th percentile under attack is compared
with its 99th percentile beside a harmless load by the same Python program, so that what a busy machine of one or two
cores costs both is not blamed on the proxy.
"""

import pytest

from support.abuse import CASES, arena, attacked, beside_harmless
from support.mesh import resident_kib
from support.waiting import until

# Below this no one is hurt. bench/abuse measures on a quiet machine, with the proxy on a core of its own: there the
# victim's 99th percentile stays below 5 ms under every attack. The rest is for the schedulers of busier machines.
FLOOR_SECONDS = 0.025


@pytest.fixture(scope="module")
def proxies(tmp_path_factory):
    with arena(tmp_path_factory.mktemp("abuse")) as (proxies, _):
        yield proxies


@pytest.fixture(scope="module")
def quiet(proxies):
    return {name: beside_harmless(proxy, 2) for name, proxy in proxies.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.listener}")
def test_the_victim_does_not_notice(case, proxies, quiet):
    proxy = proxies[case.listener]
    before, hits = resident_kib(proxy.pid), proxy.hits()
    allowed = max(3 * quiet[case.listener], FLOOR_SECONDS)
    latency, resident, seen = attacked(case, proxy, case.seconds)
    if latency > allowed or not all(seen.get(answer) for answer in case.seen) or not all_counted(case, proxy, hits):
        # Once more, and for longer: a scheduler's hiccup does not come twice, an attack that works does; and an attacker
        # of the lowest priority may not have got far on a busy machine.
        latency, resident, seen = attacked(case, proxy, 2 * case.seconds)
    assert latency <= allowed, f"p99 {latency * 1000:.1f} ms, {quiet[case.listener] * 1000:.1f} ms when quiet; {seen}"

    # The attack was one, and was named.
    until(lambda: all_counted(case, proxy, hits), f"{case.limits} are counted; seen: {seen}, counted: {proxy.hits()}", 3)
    for answer in case.seen:
        assert seen.get(answer, 0) > 0, seen
    assert seen.get("left", 0) == 0, seen

    # Nothing is left of it but memory, and of that not more than was said.
    assert resident - before <= case.growth * 1024, f"grew by {(resident - before) // 1024} MiB"
    until(lambda: proxy.metrics().sum("tcp_open_connections", peer="src") == 0, "its connections are gone")
    until(lambda: all_ended(proxy.metrics()), "all of its requests have ended", 3)


def all_counted(case, proxy, before):
    """The limits that the attack is known by."""
    now = proxy.hits()
    return all(now.get(limit, 0) > before.get(limit, 0) for limit in case.limits)


def all_ended(metrics):
    return metrics.sum("request_total") == metrics.sum("response_total")
