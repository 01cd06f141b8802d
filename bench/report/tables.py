"""The results as Markdown."""

import peers

CORES_NOTE = (
    "Columns: median (min-max) over rounds. `Apus / it`: ratio of Apus's median to the peer's in the first column. "
    "`proxy`, `load`: cores used by the proxies, and by the load generator with the program behind."
)


def number(value, digits):
    return f"{value:,.{digits}f}"


def cell(row, metric):
    if metric["key"] not in row:
        return "-"
    spread = row[metric["key"]]
    low, middle, high = (number(spread[key], metric["digits"]) for key in ("min", "median", "max"))
    return f"{middle} ({low}-{high})"


def mebibytes(row, key):
    if key not in row:
        return "-"
    value = row[key]["median"] if isinstance(row[key], dict) else row[key]
    return f"{value / 1024:.1f}" if value else "-"


def share(row, key):
    return f"{row[key]['median']:.2f}" if key in row else "-"


def ratio(name, workload):
    key = workload["metrics"][0]["key"]
    ours, theirs = workload["peers"].get("apus", {}).get(key), workload["peers"][name].get(key)
    if name == "apus" or not ours or not theirs or theirs["median"] <= 0:
        return ""
    return f"{ours['median'] / theirs['median']:.2f}"


def head(summary):
    where, software = summary["machine"], dict(summary["versions"])
    commit = software.pop("commit")
    names = {name: kind.title for name, kind in peers.KINDS.items()}
    return [
        "# Benchmark", "",
        f"{summary['date']}, commit {commit}; {where['cores']} cores, {where['processor']}, {where['memory_mib']:,} MiB, "
        f"Linux {where['kernel']}.",
        ", ".join(f"{names.get(name, name)} {version}" for name, version in software.items()) + ".",
        f"Medians of {summary['rounds']} interleaved rounds of {summary['seconds']:g} s; one worker or thread per proxy; "
        f"load and programs behind on core {where['load_core']}, proxies on core {where['proxy_core']} (except (j)). "
        f"{CORES_NOTE}",
        "", "![plot](latest.svg)",
    ]


def target_line(target):
    sign = ">=" if target["at_least"] else "<="
    if target["against"]:
        goal = f"{sign} {target['limit']:g} x {target['against']}"
        found = f"{target['measured']:.2f} x ({target['ours']:.4g} against {target['theirs']:.4g})"
    else:
        goal, found = f"{sign} {target['limit']:g} {target['unit']}", f"{target['ours']:.4g} {target['unit']}"
    verdict = "met" if target["is_met"] else "**missed**"
    return f"| ({target['letter']}) {target['workload']} | {target['heading']} | {goal} | {found} | {verdict} |"


def targets(summary):
    if not summary["targets"]:
        return []
    met = sum(target["is_met"] for target in summary["targets"])
    return ["", f"## Targets: {met} of {len(summary['targets'])} met", "",
            "| workload | what | target | measured | |", "|---|---|---|---|---|", *map(target_line, summary["targets"])]


def table(workload):
    metrics = workload["metrics"]
    headings = [metrics[0]["heading"], "Apus / it", *(metric["heading"] for metric in metrics[1:]),
                "proxy", "load", "RSS idle MiB", "RSS loaded MiB"]
    out = [f"| | {' | '.join(headings)} |", f"|---|{'---:|' * len(headings)}"]
    for name, row in workload["peers"].items():
        cells = [cell(row, metrics[0]), ratio(name, workload), *(cell(row, metric) for metric in metrics[1:])]
        cells += [share(row, key) for key in ("proxy_busy", "load_busy")]
        cells += [mebibytes(row, key) for key in ("idle_rss_kib", "loaded_rss_kib")]
        out.append(f"| {peers.KINDS[name].title} | {' | '.join(cells)} |")
    return out


def section(workload):
    out = ["", f"## ({workload['letter']}) {workload['title']}", ""]
    if "not_measured" in workload:
        return [*out, f"Not measured: {workload['not_measured']}."]
    out += table(workload)
    said = {**{name: f"left out: {reason}" for name, reason in workload["left_out"].items()}, **workload["notes"]}
    if said:
        out += ["", "; ".join(f"{peers.KINDS[name].title}: {text}" for name, text in said.items()) + "."]
    return out


def markdown(summary):
    out = head(summary) + targets(summary)
    for workload in summary["workloads"].values():
        out += section(workload)
    return "\n".join(out)
