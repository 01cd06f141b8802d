package import MeshControl

/// What a group of series says about requests over a length of time.
package struct TrafficStats: Hashable, Sendable {
  package var requests = 0.0
  package var successes = 0.0
  package var failures = 0.0
  /// Requests that came over mutual TLS.
  package var secured = 0.0
  /// Requests sent again.
  package var retries = 0.0
  package var latency = Histogram()
  package var seconds: Double

  package init(seconds: Double) { self.seconds = seconds }

  package var successRate: Double? {
    let responses = successes + failures
    return responses > 0 ? successes / responses : nil
  }

  package var requestsPerSecond: Double? { seconds > 0 ? requests / seconds : nil }
  package var securedShare: Double? { requests > 0 ? secured / requests : nil }

  /// Counts one series of the metrics contract (docs/metrics.md); others are passed over.
  package mutating func add(_ sample: MetricSample) {
    switch sample.name {
    case "request_total":
      requests += sample.value
      if sample.labels["tls"] == "true" { secured += sample.value }
    case "response_total":
      if sample.labels["classification"] == "failure" {
        failures += sample.value
      } else {
        successes += sample.value
      }
    case "retries_total": retries += sample.value
    case "response_latency_ms_bucket":
      guard let bound = sample.labels["le"] else { return }
      guard let limit = bound == "+Inf" ? .infinity : Double(bound) else { return }
      latency.add(sample.value, atOrBelow: limit)
    default: break
    }
  }
}

/// Statistics of services and of the traffic between them, from two readings of their proxies.
package struct MeshStats: Sendable {
  /// One line of `apus stat`.
  package struct ServiceLine: Sendable {
    package var service: String
    package var namespace: String
    package var meshed: Int
    package var ready: Int
    package var stats: TrafficStats
  }

  /// Traffic of one caller to one backend of a service.
  package struct BackendLine: Sendable {
    package var from: String
    package var service: String
    package var backend: String
    package var stats: TrafficStats
    /// Of the requests of this caller to the service.
    package var share: Double?
  }

  /// Faults of one kind that requests of one caller to one service met on purpose.
  package struct FaultLine: Hashable, Sendable {
    package var from: String
    package var service: String
    /// `shop/slow-payments`.
    package var injection: String
    package var fault: String
    package var count = 0.0
  }

  package private(set) var faults: [FaultLine] = []
  package private(set) var services: [ServiceLine] = []
  package private(set) var backends: [BackendLine] = []

  private struct ServiceKey: Hashable {
    var namespace: String
    var name: String
  }

  private struct BackendKey: Hashable {
    var from: String
    var service: String
    var backend: String
  }

  /// `earlier` and `later` by workload. A workload in only one of them was not there for the whole time: it is listed,
  /// but adds no numbers.
  package init(targets: [ScrapeTarget], earlier: [String: Scrape], later: [String: Scrape], seconds: Double) {
    var lines: [ServiceKey: ServiceLine] = [:]
    var edges: [BackendKey: TrafficStats] = [:]
    var faults: [FaultLine: Double] = [:]
    for target in targets {
      let key = ServiceKey(namespace: target.namespace, name: target.service)
      var line =
        lines[key]
        ?? ServiceLine(
          service: target.service, namespace: target.namespace, meshed: 0, ready: 0, stats: .init(seconds: seconds))
      line.meshed += target.isConnected ? 1 : 0
      line.ready += target.isReady ? 1 : 0
      if let before = earlier[target.workload], let after = later[target.workload] {
        for sample in after.increase(since: before) {
          switch sample.labels["direction"] {
          case "inbound": line.stats.add(sample)
          case "outbound":
            guard let service = sample.labels["dst_service"] else { continue }
            if sample.name == "injected_faults_total" {
              faults[FaultLine(from: target.service, service: service, sample), default: 0] += sample.value
              continue
            }
            let edge = BackendKey(
              from: target.service, service: service, backend: sample.labels["backend"] ?? "")
            edges[edge, default: .init(seconds: seconds)].add(sample)
          default: break
          }
        }
      }
      lines[key] = line
    }
    services = lines.values.sorted { ($0.namespace, $0.service) < ($1.namespace, $1.service) }
    backends = Self.shares(edges)
    self.faults = Self.sorted(faults)
  }

  private static func sorted(_ faults: [FaultLine: Double]) -> [FaultLine] {
    faults.filter { $0.value > 0 }.map { line, count in
      var line = line
      line.count = count
      return line
    }.sorted { ($0.from, $0.injection, $0.fault) < ($1.from, $1.injection, $1.fault) }
  }

  private static func shares(_ edges: [BackendKey: TrafficStats]) -> [BackendLine] {
    var totals: [BackendKey: Double] = [:]
    for (key, stats) in edges {
      totals[BackendKey(from: key.from, service: key.service, backend: ""), default: 0] += stats.requests
    }
    return edges.map { key, stats in
      let total = totals[BackendKey(from: key.from, service: key.service, backend: "")] ?? 0
      return BackendLine(
        from: key.from, service: key.service, backend: key.backend, stats: stats,
        share: total > 0 ? stats.requests / total : nil)
    }.sorted { ($0.from, $0.service, $0.backend) < ($1.from, $1.service, $1.backend) }
  }
}

extension MeshStats.FaultLine {
  fileprivate init(from: String, service: String, _ sample: MetricSample) {
    self.init(
      from: from, service: service, injection: sample.labels["fault_injection"] ?? "",
      fault: sample.labels["fault"] ?? "")
  }
}
