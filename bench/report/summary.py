"""Medians and spread over rounds, the ratios of Apus to each peer, the targets."""

import datetime
import statistics

from peers import KINDS
from report.machine import machine, versions
from report.targets import evaluate

ALWAYS = ("proxy_busy", "load_busy", "loaded_rss_kib")


def statistic(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarise(results, workloads, options, context):
    summary = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(context), "versions": versions(options.peers, context),
        "rounds": options.rounds, "seconds": options.seconds,
        "workloads": {workload.name: of_workload(workload, results[workload.name]) for workload in workloads},
    }
    summary["targets"] = evaluate(summary)
    return summary


def of_workload(workload, result):
    described = {
        "letter": workload.letter, "title": workload.title,
        "metrics": [
            {"key": metric.key, "heading": metric.heading, "digits": metric.digits, "is_better_low": metric.is_better_low}
            for metric in workload.metrics
        ],
    }
    if "not_measured" in result:
        return {**described, "not_measured": result["not_measured"], "peers": {}}
    names = list(result["rounds"][0])
    return {
        **described, "left_out": result["left_out"], "took_seconds": round(result["took_seconds"], 1),
        "notes": notes_of(workload, names), "peers": {name: of_peer(name, workload, result) for name in in_order(names)},
    }


def in_order(names):
    return [name for name in KINDS if name in names]


def notes_of(workload, names):
    return {name: KINDS[name].notes[workload.topology] for name in in_order(names) if workload.topology in KINDS[name].notes}


def of_peer(name, workload, result):
    rounds = [samples[name] for samples in result["rounds"]]
    keys = [*(metric.key for metric in workload.metrics), *ALWAYS]
    # What a peer has no value for (the direct connection has no proxy's CPU) is absent.
    known = [key for key in keys if rounds[0].get(key) is not None]
    row = {key: statistic([sample[key] for sample in rounds]) for key in known}
    if name in result["idle_rss_kib"]:
        row["idle_rss_kib"] = result["idle_rss_kib"][name]
    row["ratios"] = [apus_over(samples, name, workload.metrics[0].key) for samples in result["rounds"]]
    row["samples"] = rounds
    return row


def apus_over(samples, name, key):
    """Apus's value over this peer's, in one round."""
    ours, theirs = samples.get("apus", {}).get(key), samples[name].get(key)
    return ours / theirs if ours is not None and theirs else None
