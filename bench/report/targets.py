"""What the project promises itself, compared with a run. A ratio is one of medians over rounds."""

import dataclasses

TITLES = {"nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy", "traefik": "Traefik"}


@dataclasses.dataclass(frozen=True)
class Target:
    workload: str
    metric: str
    limit: float
    # At most `limit` times the best of these peers (at least, where more is better); without peers, the value itself.
    against: tuple = ()
    unit: str = ""
    at_least: bool = False


def cost(workload, of_proxies, of_envoy, peers, metric="cpu_us_per_request"):
    return [Target(workload, metric, of_proxies, peers), Target(workload, metric, of_envoy, ("envoy",))]


TARGETS = (
    *cost("http1", 0.9, 0.3, ("nginx", "haproxy")),
    *cost("http2", 0.9, 0.3, ("nginx", "haproxy")),
    *cost("mesh-http1", 0.8, 0.25, ("haproxy",)),
    *cost("mesh-grpc", 0.8, 0.25, ("haproxy",)),
    Target("tcp-bulk", "gbit_per_second", 0.9, ("haproxy",), at_least=True),
    *(target for workload in ("latency", "mesh-latency") for target in (
        *cost(workload, 1.0, 0.6, ("haproxy",), "added_p50_us"), Target(workload, "added_p99_us", 1.0, ("haproxy",)))),
    Target("idle", "kib_per_connection", 2, unit="KiB"),
    Target("idle-tls", "kib_per_connection", 20, unit="KiB"),
    *(Target(workload, metric, 1.0, ("haproxy",), at_least=True)
      for workload in ("handshakes", "resumed") for metric in ("connections_per_second", "per_cpu_second")),
    Target("http1", "idle_rss_mib", 20, unit="MiB"),
    Target("scaling", "scaling", 1.8, unit="x", at_least=True),
    *(Target("routing", metric, 1.1, unit="x") for metric in ("many_rules", "many_services")),
    Target("authorization", "guarded", 1.05, unit="x"),
    Target("updates", "update_ms", 50, unit="ms"),
    Target("tokens", "added_us", 3, unit="us"),
    Target("storm", "recovered_seconds", 5, unit="s"),
    Target("storm", "peak_rss_mib", 100, unit="MiB"),
)


def value_of(workload, name, metric):
    row = workload["peers"].get(name)
    if row is None:
        return None
    if metric == "idle_rss_mib":
        return row["idle_rss_kib"] / 1024
    return row[metric]["median"] if metric in row else None


def heading_of(workload, metric):
    if metric == "idle_rss_mib":
        return "RSS idle"
    return next(each["heading"] for each in workload["metrics"] if each["key"] == metric)


def evaluate(summary):
    """Every target whose workload and peers were measured."""
    out = []
    for target in TARGETS:
        workload = summary["workloads"].get(target.workload)
        ours = value_of(workload, "apus", target.metric) if workload else None
        theirs = {name: value_of(workload, name, target.metric) for name in target.against} if workload else {}
        if ours is None or None in theirs.values():
            continue
        described = {"letter": workload["letter"], "heading": heading_of(workload, target.metric)}
        out.append({**judge(target, ours, theirs), **described})
    return out


def judge(target, ours, theirs):
    best, measured = None, ours
    if theirs:
        best = (max if target.at_least else min)(theirs, key=theirs.get)
        # Added latency may be nothing or less, within the noise: no ratio then, and nothing to beat.
        measured = ours / theirs[best] if theirs[best] > 0 else (0.0 if ours <= theirs[best] else float("inf"))
    is_met = measured >= target.limit if target.at_least else measured <= target.limit
    return {
        "workload": target.workload, "metric": target.metric, "limit": target.limit, "at_least": target.at_least,
        "unit": target.unit, "against": TITLES[best] if best else None, "ours": ours, "theirs": theirs.get(best),
        "measured": measured, "is_met": is_met,
    }
