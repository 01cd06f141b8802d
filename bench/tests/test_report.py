"""Medians, targets and the plot, from a run that was made up."""

import xml.etree.ElementTree

import pytest

from report import plot, tables
from report.summary import of_workload, statistic
from report.targets import Target, evaluate, judge
from workloads.latency import Latency
from workloads.requests import HTTP1

COMMON = {"requests_per_second": 1000.0, "p50_ms": 1.0, "p99_ms": 2.0, "load_busy": 0.5, "load_cpu_seconds": 1.0}


def sample(cpu):
    return {**COMMON, "cpu_us_per_request": cpu, "proxy_busy": 1.0 if cpu else 0.0, "loaded_rss_kib": 15000 if cpu else 0}


def made_up():
    rounds = [
        {"direct": sample(None), "apus": sample(ours), "nginx": sample(20.0), "haproxy": sample(19.0), "envoy": sample(60.0)}
        for ours in (16.0, 15.0, 30.0)
    ]
    idle = {"direct": 0, "apus": 12 * 1024, "nginx": 14 * 1024, "haproxy": 15 * 1024, "envoy": 64 * 1024}
    result = {"rounds": rounds, "left_out": {}, "idle_rss_kib": idle, "took_seconds": 9.0}
    summary = {
        "date": "2030-01-02T03:04:05+00:00", "rounds": 3, "seconds": 3,
        "machine": {"cores": 2, "processor": "P & Q", "kernel": "6", "memory_mib": 1, "load_core": "0", "proxy_core": "1"},
        "versions": {"commit": "abc", "apus": "1.0"},
        "workloads": {"http1": of_workload(HTTP1(), result)},
    }
    summary["targets"] = evaluate(summary)
    return summary


def test_an_outlier_moves_the_spread_and_not_the_median():
    assert statistic([16.0, 15.0, 30.0]) == {"median": 16.0, "min": 15.0, "max": 30.0}


def test_targets_are_ratios_of_medians_to_the_best_of_the_peers():
    verdicts = {(each["metric"], each["against"]): each for each in made_up()["targets"]}
    against_haproxy = verdicts["cpu_us_per_request", "HAProxy"]
    assert against_haproxy["measured"] == pytest.approx(16 / 19) and against_haproxy["is_met"]
    against_envoy = verdicts["cpu_us_per_request", "Envoy"]
    assert against_envoy["measured"] == pytest.approx(16 / 60) and against_envoy["is_met"]
    assert verdicts["idle_rss_mib", None]["ours"] == 12


@pytest.mark.parametrize(("at_least", "ours", "theirs", "is_met"), [
    (True, 9.0, 10.0, True), (True, 8.9, 10.0, False), (False, 9.0, 10.0, True), (False, 9.1, 10.0, False),
])
def test_a_limit_itself_is_met(at_least, ours, theirs, is_met):
    target = Target("w", "m", 0.9, ("haproxy",), at_least=at_least)
    assert judge(target, ours, {"haproxy": theirs})["is_met"] is is_met


def test_a_peer_that_adds_nothing_is_beaten_only_by_nothing():
    target = Target("latency", "added_p50_us", 1.0, ("haproxy",))
    assert not judge(target, 5.0, {"haproxy": -1.0})["is_met"]
    assert judge(target, -2.0, {"haproxy": -1.0})["is_met"]


def test_added_latency_is_over_the_direct_connection_of_the_same_round():
    floor = {f"{point}_us": 100.0 for point in ("p50", "p90", "p99", "p99_9")}
    samples = {"direct": dict(floor), "apus": {**floor, "p50_us": 130.0}}
    Latency().finish_round(samples)
    assert samples["apus"]["added_p50_us"] == 30.0 and samples["apus"]["added_p99_us"] == 0.0
    assert samples["direct"]["added_p50_us"] is None


def test_the_table_names_every_peer_and_the_direct_connection_has_no_cost():
    text = tables.markdown(made_up())
    assert "| direct | - |" in text and "| HAProxy | 19.0 (19.0-19.0) | 0.84 |" in text
    assert "Targets: 3 of 3 met" in text


def test_the_plot_is_well_formed_and_has_a_bar_for_every_peer_with_a_cost():
    root = xml.etree.ElementTree.fromstring(plot.draw(made_up()))
    coloured = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("fill")]
    assert [each.get("fill") for each in coloured] == [plot.COLOURS[name] for name in ("apus", "nginx", "haproxy", "envoy")]
    widths = [float(each.get("width")) for each in coloured]
    assert widths[3] / widths[1] == pytest.approx(3, abs=0.01)
