/// What clients' proxies saw of both versions in some time.
package struct RolloutSamples: Hashable, Sendable, Codable {
  package var stable = VersionSample()
  package var canary = VersionSample()

  package init() {}

  package static func += (a: inout RolloutSamples, b: RolloutSamples) {
    a.stable += b.stable
    a.canary += b.canary
  }
}

/// Requests that clients' proxies sent to one version.
package struct VersionSample: Hashable, Sendable, Codable {
  package var successes = 0.0
  /// Failed answers, and attempts that were repeated: what a client's proxy made good is a failure of the version all the same.
  package var failures = 0.0
  package var latency = Histogram()

  package init() {}

  package var requests: Double { successes + failures }
  package var successRate: Double? { requests > 0 ? successes / requests : nil }

  package static func += (a: inout VersionSample, b: VersionSample) {
    a.successes += b.successes
    a.failures += b.failures
    for (bound, count) in b.latency.buckets { a.latency.add(count, atOrBelow: bound) }
  }

  /// Counts one series of the metrics contract (docs/metrics.md); others are passed over.
  mutating func add(_ sample: MetricSample) {
    switch sample.name {
    case "response_total":
      if sample.labels["classification"] == "failure" { failures += sample.value } else { successes += sample.value }
    case "retries_total": failures += sample.value
    case "response_latency_ms_bucket":
      guard let bound = sample.labels["le"], let limit = bound == "+Inf" ? .infinity : Double(bound) else { return }
      latency.add(sample.value, atOrBelow: limit)
    default: break
    }
  }
}
