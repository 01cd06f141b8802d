import MeshCore
import MeshResources

/// What clients' proxies say of the requests that a rollout divides, read from their `/metrics`.
///
/// Clients are asked, not the versions themselves: they also know of requests that never arrived.
struct RolloutScrape: Sendable {
  /// A page without the others is still read in full: it is one answer.
  static let families = ["response_total", "retries_total", "response_latency_ms_bucket"]
  static let timeout = TimeSpan.seconds(1)
  /// Proxies that are asked at a time.
  static let concurrency = 16
  static let metricsPort: UInt16 = 15020

  /// The pages of all workloads by name; a proxy that does not answer is missing.
  static func pages(of leases: [WorkloadLease]) async -> [String: [MetricSample]] {
    await withTaskGroup(of: (String, [MetricSample]?).self) { group in
      var rest = leases[...]
      func addNext() {
        guard let lease = rest.popFirst() else { return }
        group.addTask { (lease.name, await page(of: lease.address.withPort(metricsPort))) }
      }
      for _ in 0..<concurrency { addNext() }
      var pages: [String: [MetricSample]] = [:]
      for await (name, page) in group {
        pages[name] = page
        addNext()
      }
      return pages
    }
  }

  private static func page(of address: SocketAddress) async -> [MetricSample]? {
    guard let response = try? await HTTPFetch.get(address, path: "/metrics", timeout: timeout), response.status == 200
    else { return nil }
    return PrometheusText.parse(response.body, only: families)
  }
}

/// The series of one rollout as they were read last, by workload. The first reading only begins the count.
struct RolloutReadings: Sendable {
  private var last: [String: Scrape] = [:]
  private(set) var readAt: Int64?

  /// How far the counters moved since the reading before; nil for the first. A workload that was not there then adds nothing.
  mutating func increase(_ pages: [String: [MetricSample]], of plan: CompiledRollout, now: Int64) -> RolloutSamples? {
    let next = pages.mapValues { Scrape($0.filter(plan.counts)) }
    defer {
      // One that did not answer this time is counted from where it was.
      last.merge(next) { $1 }
      readAt = now
    }
    guard readAt != nil else { return nil }
    var samples = RolloutSamples()
    for (workload, scrape) in next {
      guard let before = last[workload] else { continue }
      for sample in scrape.increase(since: before) {
        if sample.labels["backend"] == plan.rollout.versions.canary {
          samples.canary.add(sample)
        } else {
          samples.stable.add(sample)
        }
      }
    }
    return samples
  }

  mutating func forget(workloadsBut living: Set<String>) { last = last.filter { living.contains($0.key) } }
}

extension CompiledRollout {
  /// Whether a series is of requests that it divides.
  func counts(_ sample: MetricSample) -> Bool {
    let labels = sample.labels
    guard labels["direction"] == "outbound", labels["dst_namespace"] == key.namespace,
      let service = labels["dst_service"], services.contains(service), let backend = labels["backend"]
    else { return false }
    return backend == rollout.versions.canary || backend == rollout.versions.stable
  }
}
