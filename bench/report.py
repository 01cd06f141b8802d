"""From samples to a table: medians over rounds, ratios to Apus, the machine they were taken on."""

import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess

import measure
import peers

TITLES = {scenario.name: scenario.title for scenario in (measure.SINGLE, measure.PAIR)}
NAMES = {"apus": "Apus", "nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy"}
# How the hop between the two proxies is made, where peers differ.
HOP = {"apus": "HTTP/2", "nginx": "HTTP/1.1", "haproxy": "HTTP/2", "envoy": "HTTP/2"}
# The project's targets: Apus's CPU per request, at most so many times the peer's.
TARGETS = {"single": {"nginx": 1.1}, "pair": {"haproxy": 1.2, "envoy": 0.4}}
IDLE_RSS_TARGET_MIB = 20


def line(name, sample):
    return (f"{name:8s} {sample['cpu_us_per_request']:6.1f} us/request {sample['requests_per_second']:9.0f} rps "
            f"p50 {sample['p50_ms']:.2f} ms p99 {sample['p99_ms']:.2f} ms")


def output_of(*command):
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError:
        return ""
    return (completed.stdout + completed.stderr).strip()


def machine():
    model = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cores": os.cpu_count(), "processor": model.group(1) if model else platform.machine(),
        "kernel": platform.release(), "load_core": measure.LOAD_CORE, "proxy_core": measure.PROXY_CORE,
        "load_average_at_end": os.getloadavg()[0],
    }


def versions(context):
    def first(pattern, *command):
        found = re.search(pattern, output_of(*command)) if command[0] else None
        return found.group(1) if found else "?"

    envoy = peers.Envoy(measure.SINGLE, context).binary()
    return {
        "apus": first(r"(\d+\.\d+\S*)", str(context.binaries / "apus"), "version"),
        "commit": output_of("git", "-C", str(context.root), "rev-parse", "--short", "HEAD"),
        "nginx": first(r"nginx/(\S+)", peers.find("nginx"), "-v"),
        "haproxy": first(r"version (\S+)", peers.find("haproxy"), "-v"),
        "envoy": first(r"/(\d+\.\d+\.\d+)/", envoy, "--version"),
        "wrk": first(r"wrk (?:debian/)?(\d\S*)", peers.find("wrk"), "-v"),
    }


def median(rounds, key):
    return statistics.median(sample[key] for sample in rounds)


def summarise(results, options, context):
    summary = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(), "versions": versions(context),
        "rounds": options.rounds, "seconds": options.seconds, "scenarios": {}, "problems": [],
    }
    for scenario, measured in results.items():
        rows = {}
        for name, samples in measured.items():
            rounds = samples["rounds"]
            if not rounds:
                continue
            rows[name] = {key: median(rounds, key) for key in (
                "cpu_us_per_request", "requests_per_second", "p50_ms", "p99_ms", "loaded_rss_kib", "proxy_core_busy")}
            rows[name]["cpu_us_spread"] = [min(r["cpu_us_per_request"] for r in rounds), max(r["cpu_us_per_request"] for r in rounds)]
            rows[name]["idle_rss_kib"] = samples["idle_rss_kib"]
            rows[name]["samples"] = rounds
            errors = sum(sample["errors"] for sample in rounds)
            if errors:
                summary["problems"].append(f"{scenario}: {name}: {errors} failed requests")
        ratios = {}
        if "apus" in rows:
            ours = rows["apus"]["cpu_us_per_request"]
            ratios = {name: ours / row["cpu_us_per_request"] for name, row in rows.items() if name != "apus"}
        summary["scenarios"][scenario] = {"peers": rows, "apus_cpu_ratio": ratios}
    return summary


def mebibytes(kib):
    return f"{kib / 1024:.1f}"


def markdown(summary):
    where, software = summary["machine"], summary["versions"]
    out = [
        "# Benchmark", "",
        f"{summary['date']}, commit {software['commit']}; {where['cores']} cores, {where['processor']}, Linux {where['kernel']}.",
        f"nginx {software['nginx']}, HAProxy {software['haproxy']}, Envoy {software['envoy']}, wrk {software['wrk']}.",
        f"Medians of {summary['rounds']} interleaved rounds of {summary['seconds']:g} s; one worker or thread per proxy; "
        f"load and backend on core {where['load_core']}, proxies on core {where['proxy_core']}.",
    ]
    for scenario, result in summary["scenarios"].items():
        pair = scenario == "pair"
        out += ["", f"## {TITLES[scenario]}", ""]
        out.append(f"| |{' hop |' if pair else ''} CPU us/request (min-max) | Apus / it | requests/s | p50 ms | p99 ms | RSS idle MiB | RSS loaded MiB |")
        out.append(f"|---|{'---|' if pair else ''}---:|---:|---:|---:|---:|---:|---:|")
        for name, row in result["peers"].items():
            low, high = row["cpu_us_spread"]
            ratio = result["apus_cpu_ratio"].get(name)
            out.append(
                f"| {NAMES[name]} |{f' {HOP[name]} |' if pair else ''} {row['cpu_us_per_request']:.1f} ({low:.1f}-{high:.1f}) | "
                f"{f'{ratio:.2f}' if ratio else ''} | {row['requests_per_second']:.0f} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | "
                f"{mebibytes(row['idle_rss_kib'])} | {mebibytes(row['loaded_rss_kib'])} |")
        for name, limit in TARGETS[scenario].items():
            ratio = result["apus_cpu_ratio"].get(name)
            if ratio:
                out += ["", f"Target: at most {limit} x {NAMES[name]}'s CPU per request: {ratio:.2f}, {'met' if ratio <= limit else 'NOT met'}."]
        if not pair and "apus" in result["peers"]:
            idle = result["peers"]["apus"]["idle_rss_kib"] / 1024
            out += ["", f"Target: at most {IDLE_RSS_TARGET_MIB} MiB idle: {idle:.1f}, {'met' if idle <= IDLE_RSS_TARGET_MIB else 'NOT met'}."]
    return "\n".join(out)


def write(summary, directory):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.json").write_text(json.dumps(summary, indent=2) + "\n")
    (directory / "latest.md").write_text(markdown(summary) + "\n")
